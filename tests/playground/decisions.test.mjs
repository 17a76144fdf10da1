// The page decides as `api-guard explain` does, on every case of tests/decisions.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createECDH, createHmac, createPrivateKey, sign } from "node:crypto";
import { after, before, test } from "node:test";
import { SECRET, box, browse, configure, counted, explain, open, root, serve } from "./server.mjs";

let server;
let browser;
let page;
const folder = mkdtempSync(join(tmpdir(), "api-guard-playground-"));
before(async () => {
  server = await serve();
  browser = await browse();
  page = await open(browser, server.url);
  await box(page, "Secret").fill(SECRET);
});
after(async () => {
  await browser?.close();
  server?.stop();
  rmSync(folder, { recursive: true });
});

/** Of both, so that what is left of a window is the same. */
const TIME = "2026-11-29T10:00:00Z";

const base64url = (text) => Buffer.from(text).toString("base64url");

/** A private key of the tests by its kind and number, as tests/decisions says. */
function privateKey(kind, number) {
  const bytes = Buffer.alloc(32, Number(number));
  if (kind === "eddsa") {
    const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), bytes]);
    return createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  }
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(bytes);
  const point = curve.getPublicKey();
  const [x, y, d] = [point.subarray(1, 33), point.subarray(33), bytes].map((part) => part.toString("base64url"));
  return createPrivateKey({ key: { kty: "EC", crv: "P-256", x, y, d }, format: "jwk" });
}

/** A token of these claims. */
function signed({ token, kid, signer }) {
  const [kind, number] = (signer ?? "secret").split(":");
  const alg = { secret: "HS256", es256: "ES256", eddsa: "EdDSA" }[kind];
  const input = `${base64url(JSON.stringify({ alg, typ: "JWT", ...(kid ? { kid } : {}) }))}.${base64url(JSON.stringify(token))}`;
  const signature =
    kind === "secret"
      ? createHmac("sha256", SECRET).update(input).digest()
      : sign(kind === "es256" ? "sha256" : null, Buffer.from(input), { key: privateKey(kind, number), dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
}

/** Asks the page. A method that no list has comes by the page's own state. */
async function ask(rule, one) {
  const method = one.method ?? "GET";
  await page.evaluate((method) => {
    const select = document.getElementById("method");
    if (![...select.options].some(({ value }) => value === method)) select.append(new Option(method, method));
  }, method);
  const values = {
    url: one.path ?? "/",
    headers: Object.entries(one.headers ?? {}).map(([name, value]) => `${name}: ${value}`).join("\n"),
    body: one.body ?? "",
    address: one.client_ip ?? "",
    time: TIME,
    claims: "",
    token: one.token ? signed(one) : "",
    keySet: rule.key_set ? JSON.stringify(rule.key_set) : "",
  };
  await page.getByRole("combobox", { name: "Method" }).selectOption(method);
  await page.evaluate((values) => {
    for (const [id, value] of Object.entries(values)) {
      document.getElementById(id).value = value;
      document.getElementById(id).dispatchEvent(new Event("input", { bubbles: true }));
    }
  }, values);
  // A decision that comes late, on what was typed, says that it is only tried.
  await page.evaluate(() => document.querySelector("#decision .facts")?.remove());
  await page.getByRole("button", { name: "Reset" }).click();
  const count = one.repeat ?? 1;
  for (let times = 0; times < count; times += 1) await page.getByRole("button", { name: "Send" }).click();
  await counted(page, count);
  return page.evaluate(() => {
    const texts = (selector, inside = document) => [...inside.querySelectorAll(selector)].map((one) => one.textContent);
    return {
      verdict: document.querySelector("#decision .verdict").textContent,
      would: document.querySelector("#decision .would")?.textContent ?? null,
      errors: texts("#decision .reason"),
      rule: document.querySelector("#decision .facts code").textContent,
      steps: [...document.querySelectorAll("#step-list > li")].map((item) => ({
        step: item.querySelector(".step").textContent,
        state: item.querySelector(".state").textContent,
        notes: texts(".notes > p", item),
      })),
      reply: document.querySelector("#reply-text .first")?.textContent ?? null,
      body: document.querySelector("#reply-text pre")?.textContent ?? null,
      headers: texts("#reply-text .header:not(.new)"),
      added: texts("#service-text .first, #service-text .header.new"),
    };
  });
}

const files = readdirSync(join(root, "tests/decisions"), { recursive: true }).filter((name) => name.endsWith(".json")).sort();

for (const name of files) {
  test(`the page decides as explain does: ${name}`, async () => {
    const rule = JSON.parse(readFileSync(join(root, "tests/decisions", name)));
    const text = JSON.stringify(rule.configuration);
    const configuration = join(folder, "api-guard.json");
    writeFileSync(configuration, text);
    await configure(page, text);
    for (const one of rule.cases) {
      const args = ["--config", configuration, "--method", one.method ?? "GET", "--path", one.path ?? "/", "--time", TIME];
      for (const [header, value] of Object.entries(one.headers ?? {})) args.push("--header", `${header}:${value}`);
      if (one.token) args.push("--token", signed(one));
      if (one.body !== undefined) args.push("--body", one.body);
      if (one.client_ip) args.push("--client-ip", one.client_ip);
      if (one.repeat) args.push("--repeat", String(one.repeat));
      if (rule.key_set) {
        writeFileSync(join(folder, "jwks.json"), JSON.stringify(rule.key_set));
        args.push("--jwks", join(folder, "jwks.json"));
      }
      const [expected, found] = await Promise.all([explain(args), ask(rule, one)]);
      const told = `${JSON.stringify(one)} ${JSON.stringify(found)} ${JSON.stringify(expected)}`;
      assert.equal(found.verdict, expected.allowed ? "200 allowed" : `${expected.status} ${expected.code}`, told);
      const would = expected.decision === "would_refuse" ? `Report mode: it would have been ${expected.status} ${expected.code}.` : null;
      assert.equal(found.would, would, told);
      assert.deepEqual(found.errors, expected.errors, told);
      assert.equal(found.rule, expected.rule, told);
      // What is a key set's to say names Key set here, and --jwks there.
      const steps = (steps) => steps.map((step) => ({ ...step, notes: step.notes.filter((note) => !note.includes("key set")) }));
      assert.deepEqual(steps(found.steps), steps(expected.steps), told);
      const { reply } = expected;
      if (reply) {
        assert.ok(found.reply.startsWith(`HTTP ${reply.status}`), told);
        assert.deepEqual(found.headers, Object.entries(reply.headers).map(([name, value]) => `${name}: ${value}`), told);
        assert.deepEqual(JSON.parse(found.body), reply.body, told);
      } else {
        const added = Object.entries(expected.upstream_headers).filter(([, value]) => value !== null);
        for (const [name, value] of added) {
          const line = name === ":path" ? `${one.method ?? "GET"} ${value}` : `${name}: ${value}`;
          assert.ok(found.added.includes(line), told);
        }
      }
    }
  });
}
