// The page as a person meets it: names, typing, sending, links, themes, keyboard, width and size. How long something takes
// is printed, and fails nothing: the machine may be busy.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SECRET, axe, blank, box, browse, configure, counted, decided, open, paste, region, serve } from "./server.mjs";

let server;
let browser;
before(async () => {
  server = await serve();
  browser = await browse();
});
after(async () => {
  await browser?.close();
  server?.stop();
});

const LIMITED = JSON.stringify({
  tokens: { keys: [{ secret: { env: "API_GUARD_SECRET" } }] },
  rate_limits: [{ name: "two", max_requests: 2, window_seconds: 3600, key: ["subject"] }],
  revocation: { endpoint: { path: "/auth/revoke", required_permissions: ["tokens:revoke"] } },
});
const soon = () => Math.floor(Date.now() / 1000) + 3600;
const claims = (more = {}) => JSON.stringify({ sub: "user-7", iat: soon() - 3700, exp: soon(), ...more });

/** A page with a configuration and claims. */
async function with_(configuration, token = claims()) {
  const page = await open(browser, server.url);
  await configure(page, configuration);
  await box(page, "Claims").fill(token);
  return page;
}

const verdict = (page) => region(page, "Decision").innerText();

const sent = async (page) => Number(/(\d+) requests? sent/.exec(await verdict(page))[1]);
const stale = (page) => page.locator("#decision .stale").waitFor();
const fresh = (page) => page.locator("#decision .stale").waitFor({ state: "detached" });

async function send(page, expected) {
  const before = await sent(page);
  await page.getByRole("button", { name: "Send" }).click();
  await counted(page, before + 1);
  const text = await verdict(page);
  assert.match(text, expected);
  return text;
}

/** Waits until the editor shows this text. */
const written = (page, text) => page.getByRole("textbox", { name: "Configuration" }).filter({ hasText: text }).waitFor();

test("everything has its name", async () => {
  const page = await open(browser, server.url);
  for (const name of ["Configuration", "URL", "Headers", "Body", "Client address", "Time", "Claims", "Token"]) {
    await page.getByRole("textbox", { name }).waitFor({ state: "visible" });
  }
  await box(page, "Secret").waitFor({ state: "visible" });
  for (const name of ["Method", "Examples"]) await page.getByRole("combobox", { name }).waitFor({ state: "visible" });
  for (const name of ["Send", "Reset", "Share"]) await page.getByRole("button", { name }).waitFor({ state: "visible" });
  for (const name of ["Problems", "Decision", "Steps", "Reply", "Service"]) await region(page, name).waitFor({ state: "visible" });
  assert.match(await verdict(page), /^200 allowed/);
  const steps = await region(page, "Steps").locator("#step-list > li .step").allInnerTexts();
  assert.deepEqual(steps, ["form", "addresses", "limits before the token", "token", "revocation", "limits after the token", "permission"]);
  assert.deepEqual(page.complaints, []);
});

test("each example is allowed, and is that of the documents", async () => {
  const page = await open(browser, server.url);
  const names = ["First API", "Auth0", "Keycloak", "Supabase", "Hasura", "Django", "gRPC", "MCP"];
  for (const name of names) {
    await page.getByRole("combobox", { name: "Examples" }).selectOption(name);
    await decided(page, /^200 allowed/);
    assert.doesNotMatch(await region(page, "Problems").innerText(), /error/, name);
    await box(page, "Claims").fill(JSON.stringify({ sub: "x" }));
    await decided(page, /^401 /);
  }
});

test("what breaks a configuration is told at its line, and the decision before stays", async () => {
  const page = await open(browser, server.url);
  const good = '{\n  "tokens": { "keys": [ { "secret": { "env": "API_GUARD_SECRET" } } ] },\n  "routes": [ { "path": "/orders/{id}" } ]\n}';
  await configure(page, good);
  await decided(page, /\/routes\/0/);
  await configure(page, good.replace('"path"', '"pathh"'));
  const problem = region(page, "Problems").getByRole("listitem").filter({ hasText: "/routes/0/pathh" });
  await problem.waitFor();
  assert.match(await problem.innerText(), /Line 3[^]*did you mean "path"/);
  assert.match(await verdict(page), /^200 allowed[^]*The configuration has errors/);
  await problem.click();
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Configuration");
  await page.keyboard.type('"path"');
  await fresh(page);
  assert.match(await verdict(page), /^200 allowed/);
  for (const half of [good.slice(0, 40), "", "{", "tokens:\n  keys:\n  - {", good.slice(0, -3)]) {
    await configure(page, half);
    await stale(page);
    assert.match(await verdict(page), /^200 allowed/);
    await configure(page, good);
    await fresh(page);
  }
  assert.deepEqual(page.complaints, []);
});

test("a long configuration is replaced as a whole", async () => {
  const long = Array.from({ length: 400 }, (_, index) => `# ${index}`).join("\n");
  const page = await open(browser, server.url);
  await configure(page, long);
  await configure(page, LIMITED);
  await decided(page, /^200 allowed[^]*\/unmatched_routes/);
});

test("typing spends nothing, sending fills the limit, and Reset begins anew", async () => {
  const page = await with_(LIMITED);
  for (const path of ["/a", "/b", "/c", "/d"]) {
    await box(page, "URL").fill(path);
    await region(page, "Service").getByText(`GET ${path}`).waitFor();
  }
  await send(page, /^200 allowed/);
  await region(page, "Steps").getByText("1 of 2 requests").waitFor();
  await send(page, /^200 allowed/);
  const text = await send(page, /^429 rate_limited/);
  assert.match(text, /Rate limit exceeded: 2\/2 requests in 3600 seconds/);
  assert.match(await region(page, "Reply").innerText(), /HTTP 429[^]*retry-after/);
  await page.getByRole("button", { name: "Reset" }).click();
  await decided(page, /^200 allowed/);
  assert.equal(await box(page, "URL").inputValue(), "/d");
});

test("a token that was revoked in the page is refused from then on", async () => {
  const page = await with_(LIMITED.replace('"max_requests":2', '"max_requests":50'));
  await page.getByRole("combobox", { name: "Method" }).selectOption("POST");
  await box(page, "URL").fill("/auth/revoke");
  await decided(page, /\/revocation\/endpoint/);
  await send(page, /^200 allowed/);
  assert.match(await region(page, "Reply").innerText(), /"revoked": true/);
  await page.getByRole("combobox", { name: "Method" }).selectOption("GET");
  await box(page, "URL").fill("/orders");
  await decided(page, /^401 token_revoked/);
  await page.getByRole("button", { name: "Reset" }).click();
  await decided(page, /^200 allowed/);
});

test("claims or a token count, whichever was typed last", async () => {
  const page = await with_(LIMITED);
  await decided(page, /^200 allowed/);
  await box(page, "Token").fill("no.token.at all");
  await decided(page, /^401 token_malformed/);
  await box(page, "Claims").fill(claims({ exp: soon() - 7200 }));
  await decided(page, /^401 token_expired/);
  await box(page, "Token").fill("");
  await box(page, "Claims").fill("");
  await decided(page, /^401 token_missing/);
  await box(page, "Claims").fill("{");
  await page.locator('#claims[aria-invalid="true"]').waitFor();
  assert.match(await verdict(page), /^401 token_missing/);
});

test("a textbox that cannot be read is marked", async () => {
  const page = await open(browser, server.url);
  for (const [name, bad] of [["Time", "yesterday"], ["Client address", "here"], ["Headers", "no colon"]]) {
    await box(page, name).fill(bad);
    await page.waitForFunction(() => document.activeElement.getAttribute("aria-invalid") === "true");
    await box(page, name).fill("");
    await page.waitForFunction(() => !document.activeElement.hasAttribute("aria-invalid"));
  }
  await box(page, "Time").fill("2020-01-01T00:00:00Z");
  await decided(page, /^401 token_issued_in_future/);
});

test("in report mode it is allowed, and what would have been is told", async () => {
  const page = await with_(LIMITED.replace("{", '{"mode":"report",'), "");
  await decided(page, /^200 allowed\s+Report mode: it would have been 401 token_missing/);
});

test("a link holds the state and no secret", async () => {
  const configuration = `{"tokens": {"keys": [{"secret": {"value": "${SECRET}"}}], "sources": [{"header": "x-key"}, {"query": "t"}]}, "unmatched_routes": "public"}`;
  const page = await open(browser, server.url, { permissions: ["clipboard-read", "clipboard-write"] });
  await configure(page, configuration);
  await box(page, "URL").fill("https://ada:pass-word-1@api.example.com/orders?t=query-token-1&page=2&access_token=query-token-2");
  await box(page, "Headers").fill("X-Key: header-token-1\nauthorization: Basic YTpi\ncookie: s=cookie-1\naccept: text/plain");
  await box(page, "Body").fill('{"token": "body-token-1", "n": 1}');
  await box(page, "Token").fill("pasted-token-1");
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByText("The link is in the address and in the clipboard.").waitFor();
  const link = page.url();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
  const bytes = Buffer.from(new URL(link).hash.slice(3), "base64url");
  const { inflateRawSync } = await import("node:zlib");
  const shared = inflateRawSync(bytes).toString();
  for (const secret of [SECRET, "pass-word-1", "query-token", "header-token", "YTpi", "cookie-1", "body-token", "pasted-token"]) {
    assert.ok(!shared.includes(secret), `${secret} in ${shared}`);
  }
  const other = await open(browser, link);
  assert.equal(await box(other, "URL").inputValue(), "https://api.example.com/orders?page=2");
  assert.equal(await box(other, "Headers").inputValue(), "accept: text/plain");
  assert.match(await verdict(other), /^200 allowed[^]*\/unmatched_routes/);
  assert.doesNotMatch(await region(other, "Problems").innerText(), /error/);
});

test("what is too long for a link is said", async () => {
  const page = await open(browser, server.url);
  // There, though there is nothing to say yet: else a screen reader would not tell what comes into it.
  await page.getByRole("status").waitFor({ state: "attached" });
  await paste(page, "Body", "x".repeat(5 << 20));
  await page.getByRole("button", { name: "Share" }).click();
  await page.getByRole("status").filter({ hasText: "too long" }).waitFor();
  assert.equal(new URL(page.url()).hash, "");
});

test("a broken link is said, and the first example begins", async () => {
  for (const broken of ["#s=%%%", "#s=AAAA", "#garbage", "#s=" + Buffer.from("{}").toString("base64url")]) {
    const page = await open(browser, server.url + "/" + broken);
    assert.match(await page.getByRole("status").innerText(), /link is broken/i, broken);
    assert.doesNotMatch(await page.getByRole("status").innerText(), /execute|\.\./, broken);
    assert.equal(await page.getByRole("combobox", { name: "Examples" }).inputValue(), "First API");
    assert.match(await verdict(page), /^200 allowed/);
    assert.deepEqual(page.complaints, [], broken);
    await page.context().close();
  }
});

test("a megabyte that is pasted is answered", async () => {
  const page = await with_(LIMITED);
  // What was typed before is answered, too.
  await send(page, /^200 allowed/);
  const routes = (count) => Array.from({ length: count }, (_, index) => `{"path": "/some-resource-with-a-name-${index}/{id}", "access": "public"}`);
  const large = `{"tokens": {"keys": [{"secret": {"env": "API_GUARD_SECRET"}}]}, "routes": [\n${routes(14_500).join(",\n")}\n]}`;
  assert.ok(large.length > 1_000_000);
  const pastes = [["Body", "x".repeat(1 << 20)], ["Token", "a".repeat(1 << 20)], ["Configuration", "x".repeat(1 << 20)], ["Configuration", "[".repeat(1 << 20)], ["Configuration", large], ["Configuration", "a:\n" + "  - b: c\n".repeat(110_000)]];
  for (const [name, text] of pastes) {
    await page.evaluate(() => {
      const pasted = new Promise((resolve) => addEventListener("paste", () => resolve(performance.now()), { capture: true, once: true }));
      const told = new Promise((resolve) => new MutationObserver((_, observer) => {
        observer.disconnect();
        resolve(performance.now());
      }).observe(document.querySelector("#right"), { childList: true, subtree: true, characterData: true }));
      window.milliseconds = Promise.all([pasted, told]).then(([from, to]) => to - from);
    });
    await paste(page, name, text);
    const milliseconds = await page.evaluate(() => window.milliseconds);
    console.log(`# ${name}, ${text.length} bytes: ${Math.round(milliseconds)} ms`);
  }
  await configure(page, LIMITED);
  await box(page, "Token").fill("");
  await decided(page, /\/unmatched_routes/);
});

test("completion proposes the fields of the schema and what they may be", async () => {
  const page = await open(browser, server.url);
  await configure(page, '{\n  "request": {  }\n}');
  await page.keyboard.press("Control+Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("End");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Control+Space");
  await page.getByRole("option", { name: "allowed_methods" }).waitFor();
  await page.keyboard.type("path_c");
  await page.getByRole("option", { name: "path_case" }).waitFor();
  await page.keyboard.press("Enter");
  await written(page, '"path_case": ');
  await page.keyboard.press("Control+Space");
  await page.getByRole("option", { name: "insensitive" }).click();
  await written(page, '"path_case": "insensitive"');
});

test("completion knows each place, in JSON and in YAML", async () => {
  const page = await open(browser, server.url);
  // The cursor is at "^", and the text that comes first is not proposed.
  const places = [
    ["{^}", "tokens"], ['{ "mode": "^" }', '"report"', "tokens"], ['{ "^" }', "tokens"], ['{ "tokens": { "keys": [ {^} ] } }', "secret", "tokens"],
    ['{ "rate_limits": [ { "key": [ ^ ] } ] }', '"client_ip"'], ['/* c */ { "request": { ^ } }', "path_case", "tokens"],
    ["mode: ^\nrequest: {}", "report", "tokens"], ["tokens:\n  ^", "keys", "tokens"], ["tokens:\n  keys:\n  - secret:\n      ^", "env", "tokens"],
    ["routes:\n- path: /\n  ^\n  access: public", "methods", "access"], ["routes:\n- path: /\n  access: ^", "optional", "tokens"],
    ["routes:\n- path: /\n- ^", "path", "tokens"], ["routes:\n- path: /\n^", "tokens", "routes"], ["request:\n  path_case: '^'", "insensitive", "tokens"],
  ];
  for (const [place, proposed, other] of places) {
    const [before, after] = place.split("^");
    await configure(page, before + after);
    await page.keyboard.press("Control+End");
    for (let steps = 0; steps < after.length; steps += 1) await page.keyboard.press("ArrowLeft");
    await page.keyboard.press("Control+Space");
    const list = page.getByRole("listbox", { name: "Completions" });
    const labels = list.locator(".cm-completionLabel");
    await labels.filter({ hasText: proposed }).first().waitFor();
    const texts = await labels.allInnerTexts();
    assert.ok(!texts.includes(other), `${place}: ${texts}`);
    await page.keyboard.press("Escape");
  }
  await configure(page, '{ "mode": "" }');
  await page.keyboard.press("Control+End");
  for (let steps = 0; steps < 3; steps += 1) await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("Control+Space");
  await page.getByRole("option", { name: "report" }).click();
  await written(page, '{ "mode": "report" }');
});

test("the keyboard alone is enough", async () => {
  const page = await open(browser, server.url);
  const reached = [];
  for (let steps = 0; steps < 40 && reached.at(-1) !== "Token"; steps += 1) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.labels?.[0]?.innerText ?? document.activeElement.innerText));
  }
  for (const name of ["Examples", "Send", "Reset", "Share", "Configuration", "Method", "URL", "Headers", "Body", "Client address", "Time", "Claims", "Secret", "Token"]) {
    assert.ok(reached.includes(name), `${name}: ${reached}`);
  }
  await page.keyboard.press("Control+Enter");
  await page.getByText("yes, 1 request sent").waitFor();
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing in the ${colorScheme} theme`, async () => {
    const page = await open(browser, server.url, { colorScheme, bypassCSP: true });
    await page.addScriptTag({ path: axe });
    const found = async () =>
      (await page.evaluate(() => window.axe.run())).violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("; ")}`);
    assert.deepEqual(await found(), []);
    await box(page, "Time").fill("x");
    await page.locator('#time[aria-invalid="true"]').waitFor();
    assert.deepEqual(await found(), []);
    await configure(page, '{"tokens": {"keys": [{"secret": {"value": "secret-secret-secret-secret-secret"}}]}, "mode": "report", "x": 1}');
    await region(page, "Problems").getByRole("listitem").filter({ hasText: "/x" }).waitFor();
    await stale(page);
    assert.deepEqual(await found(), []);
    await configure(page, LIMITED);
    await box(page, "Time").fill("");
    await box(page, "Token").fill("x");
    await decided(page, /^401/);
    assert.deepEqual(await found(), []);
  });
}

test("a narrow screen needs no scrolling to the side", async () => {
  const page = await open(browser, server.url, { viewport: { width: 360, height: 740 } });
  for (const name of ["First API", "Hasura", "MCP"]) {
    await page.getByRole("combobox", { name: "Examples" }).selectOption(name);
    await send(page, /^200 allowed/);
    await page.getByRole("button", { name: "Reset" }).click();
    await decided(page, /0 requests sent/);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), name);
  }
});

/** The time of a cold load until the first decision, and what came over the wire. */
async function coldLoad() {
  const page = await blank(browser);
  const before = Date.now();
  await page.goto(server.url);
  await decided(page, /^200 allowed/);
  const milliseconds = Date.now() - before;
  // The worker's own script is not among the page's resources.
  const bytes = await page.evaluate(async () => {
    const entries = [...performance.getEntriesByType("resource"), ...performance.getEntriesByType("navigation")];
    const seen = new Map(entries.map(({ name, transferSize }) => [name, transferSize]));
    const worker = new URL("worker.js", location).href;
    if (!seen.has(worker)) seen.set(worker, (await (await fetch(worker)).arrayBuffer()).byteLength);
    return [...seen.values()].reduce((sum, size) => sum + size, 0);
  });
  await page.context().close();
  return { milliseconds, bytes };
}

test("a cold load takes at most 1.5 MB", async () => {
  const { milliseconds, bytes } = await coldLoad();
  console.log(`# first decision after ${milliseconds} ms, ${bytes} bytes over the wire`);
  assert.ok(bytes > 500_000 && bytes < 1_500_000, `${bytes} bytes`);
});
