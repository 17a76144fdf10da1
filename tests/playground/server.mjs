// What the tests of the playground share: the command that serves the page, and a browser.

import { spawn, execFile } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const require = createRequire(join(root, "crates/playground/page/package.json"));
const { chromium } = require("playwright-core");

export const axe = require.resolve("axe-core/axe.min.js");
export const SECRET = "a-secret-of-the-tests-that-is-long-enough";
const command = process.env.API_GUARD ?? join(root, "target/debug/api-guard");

/** The command's page, on a port that is free. */
export async function serve() {
  const child = spawn(command, ["playground", "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const lines = createInterface({ input: child.stdout });
  const { value: line } = await lines[Symbol.asyncIterator]().next();
  const url = /http:\S+/.exec(line ?? "")?.[0];
  if (!url) throw new Error(`the command says "${line}"`);
  return { url, stop: () => child.kill("SIGTERM") };
}

export const browse = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });

/** A page that has decided once. What it asks of others, or complains of, is gathered. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(error.message));
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith("blob:")) page.complaints.push(`asked ${request.url()}`);
  });
  await page.goto(url);
  await decided(page);
  return page;
}

export const region = (page, name) => page.getByRole("region", { name });
export const box = (page, name) => page.getByLabel(name, { exact: true });

/** Waits until the page has decided on what is typed. */
export async function decided(page, text = /^[1-5]\d\d /) {
  await page.waitForFunction(
    ([source, flags]) => new RegExp(source, flags).test(document.querySelector("#decision").innerText),
    [text.source, text.flags],
    { timeout: 15_000 },
  );
}

/** What the command explains, as JSON. */
export function explain(args) {
  return new Promise((resolve, reject) => {
    execFile(command, ["explain", "--json", ...args], { env: { API_GUARD_SECRET: SECRET } }, (error, out, told) => {
      try {
        resolve(JSON.parse(out));
      } catch {
        reject(new Error(`${args.join(" ")}: ${told}`));
      }
    });
  });
}
