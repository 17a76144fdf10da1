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

/** How long a test waits for what has to come, so that a machine of any speed has the time. Only a failure takes it. */
export const PATIENCE_MILLISECONDS = 90_000;

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
  chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: process.getuid?.() === 0 ? ["--no-sandbox"] : [],
    timeout: PATIENCE_MILLISECONDS,
  });

/** An empty page, of a person who wants no motion: a colour is what it will be at once. */
export async function blank(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 1000 }, reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(PATIENCE_MILLISECONDS);
  return context.newPage();
}

/** A page that has decided once. What it asks of others, or complains of, is gathered. */
export async function open(browser, url, options = {}) {
  const page = await blank(browser, options);
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

/**
 * Pastes a text in place of all that a textbox holds. The editor has only the lines in view in its element, so what
 * selects and replaces the element's content, as Playwright's `fill` does, leaves other lines where they are.
 */
export async function paste(page, name, text) {
  await box(page, name).focus();
  await page.keyboard.press("Control+A");
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    const paste = new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
    // The editor takes the event. Other textboxes leave it to the browser, which believes none that a script has made.
    if (document.activeElement.dispatchEvent(paste)) document.execCommand("insertText", false, text);
  }, text);
}

/** Replaces the configuration, as a person does who pastes another one. */
export const configure = (page, text) => paste(page, "Configuration", text);

/** Waits until the page shows a decision of this text: give one that the decision before does not have. */
export async function decided(page, text = /^[1-5]\d\d /) {
  await page.waitForFunction(
    ([source, flags]) => new RegExp(source, flags).test(document.querySelector("#decision").innerText),
    [text.source, text.flags],
  );
}

/** Waits until the page shows the decision of the request that was sent as the `count`-th since the last Reset. */
export const counted = (page, count) => decided(page, new RegExp(`yes, ${count} requests? sent`));

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
