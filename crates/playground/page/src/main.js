// The page: what is typed goes to the core, and what it answers is shown.

import { Editor } from "./editor.js";
import { Engine } from "./engine.js";
import * as link from "./link.js";
import * as view from "./view.js";
import examples from "examples";

const BOXES = ["method", "url", "headers", "body", "address", "time", "claims", "secret", "token", "keySet"];
const FIELDS = ["configuration", ...BOXES];
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
const PAUSE_MILLISECONDS = 80;
const DAY_SECONDS = 86_400;

const byId = (id) => document.getElementById(id);
const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
const random = hex(crypto.getRandomValues(new Uint8Array(16)));
const ownSecret = hex(crypto.getRandomValues(new Uint8Array(32)));

const engine = new Engine();
let editor;
let timer;
let sent = 0;
// Which of the two was typed last: the claims, which the page signs, or a token.
let claimsCount = true;
// Counts what was typed, so that an answer that comes late is known.
let revision = 0;

const state = () => {
  const state = { configuration: editor.text };
  for (const name of BOXES) state[name] = byId(name).value;
  if (claimsCount && state.claims.trim()) state.token = "";
  return state;
};

const question = (act) => ({ act, state: state(), now: Date.now(), random });

function changed() {
  revision += 1;
  clearTimeout(timer);
  timer = setTimeout(() => ask("try"), PAUSE_MILLISECONDS);
}

async function ask(act) {
  clearTimeout(timer);
  const asked = revision;
  const answer = await engine.ask(question(act));
  if (answer) show(answer, act, asked);
}

function show(answer, act, asked) {
  if (answer.fault) {
    view.stale(`The core: ${answer.fault}.`);
    return;
  }
  // Lines of an older text would be wrong ones.
  if (asked === revision) {
    view.problems(answer.problems, (problem) => editor.goTo(problem));
    editor.mark(answer.problems.list);
  }
  sent = answer.sent ?? sent;
  const found = answer.wrong ?? {};
  view.wrong(found, BOXES);
  notes(answer);
  if (answer.explained) {
    view.stale("");
    view.decision(answer, { sent, act });
  } else {
    const isConfiguration = answer.problems.list.some(({ severity }) => severity === "error");
    view.stale(isConfiguration ? "The configuration has errors." : "A textbox cannot be read.");
  }
}

/** Says beside the textboxes what becomes of them. */
function notes(answer) {
  const typed = state();
  const facts = answer.configuration;
  const pasted = typed.token.trim() !== "";
  const signs = !pasted && typed.claims.trim() !== "";
  const say = (id, text) => {
    byId(id).textContent = text;
  };
  say("claims-note", pasted ? "Not sent: the token below is." : signs ? "Signed and sent as the token." : "No claims, so no token is sent.");
  const left = byId("token").value.trim() !== "" && !pasted;
  say("token-note", pasted ? "Sent as it is." : left ? "Not sent: the claims are." : "Paste one to send it in place of the claims.");
  if (facts) {
    const { variable, hasSecret } = facts;
    const inside = hasSecret ? "the configuration holds the secret itself" : "the configuration has no secret";
    say("secret-note", variable ? `The value of ${variable}. It never leaves this page.` : `Not needed: ${inside}.`);
  }
  if (answer.fetches) {
    byId("keySet-field").hidden = !answer.fetches.length;
    const names = answer.fetches.join(", ");
    const own = signs && !facts?.hasSecret ? " The claims are signed with a key of this page, which counts as one of it." : "";
    say("keySet-note", `Stands for what Envoy would fetch for ${names} (a JSON Web Key Set).${own}`);
  }
}

/** Fills in everything. What is missing becomes empty, but for the secret. */
function fill(found) {
  editor.text = found.configuration;
  chooseMethod(found.method ?? "GET");
  for (const name of BOXES) {
    if (name !== "method" && name !== "secret") byId(name).value = found[name] ?? "";
  }
  claimsCount = true;
  revision += 1;
}

function chooseMethod(method) {
  const select = byId("method");
  if (![...select.options].some((option) => option.value === method)) select.append(new Option(method, method));
  select.value = method;
}

function fillExample(name) {
  const example = examples.find((one) => one.name === name) ?? examples[0];
  const now = Math.floor(Date.now() / 1000);
  const claims = { ...example.claims, iat: now, exp: now + DAY_SECONDS };
  fill({ ...example, claims: example.claims ? pretty(claims) : "" });
  byId("examples").value = example.name;
}

/** JSON with a line for each member, and short lists on one. */
const pretty = (value) =>
  JSON.stringify(value, null, 2).replaceAll(/\[\s+([^[\]{}]*?)\s+\]/g, (whole, items) => {
    const line = `[${items.replaceAll(/\s*\n\s*/g, " ")}]`;
    return line.length <= 60 ? line : whole;
  });

async function share() {
  const { link: shared, fault } = await engine.ask(question("link"));
  if (fault) {
    view.say(`There is no link. The core: ${fault}.`, true);
    return;
  }
  const fragment = await link.fragment(shared);
  if (!fragment) {
    view.say("There is no link: what is typed is too long for one.", true);
    return;
  }
  history.replaceState(null, "", fragment);
  const left = "It holds everything but secrets, tokens and credentials.";
  try {
    await navigator.clipboard.writeText(location.href);
    view.say(`The link is in the address and in the clipboard. ${left}`);
  } catch {
    view.say(`The link is in the address. ${left}`);
  }
}

/** Fills in what the address holds, or else the first example. */
async function fromAddress() {
  try {
    const found = await link.state(location.hash, FIELDS.filter((name) => name !== "secret" && name !== "token"));
    if (found) {
      fill(found);
      byId("examples").value = "";
      return;
    }
  } catch (error) {
    view.say(`The link is broken, and cannot be read: ${error.message}. This is the first example.`, true);
  }
  fillExample(examples[0].name);
}

function listen() {
  for (const name of BOXES) {
    byId(name).addEventListener("input", () => {
      if (name === "claims") claimsCount = true;
      if (name === "token") claimsCount = byId("token").value.trim() === "";
      changed();
    });
  }
  byId("method").addEventListener("change", changed);
  byId("examples").addEventListener("change", (event) => {
    if (!event.target.value) return;
    view.say("");
    history.replaceState(null, "", location.pathname);
    fillExample(event.target.value);
    ask("reset");
  });
  byId("send").addEventListener("click", () => ask("send"));
  byId("reset").addEventListener("click", () => ask("reset"));
  byId("share").addEventListener("click", share);
  byId("request").addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      ask("send");
    }
  }, true);
  addEventListener("hashchange", async () => {
    view.say("");
    await fromAddress();
    ask("reset");
  });
}

async function start() {
  byId("method").append(...METHODS.map((method) => new Option(method, method)));
  byId("examples").append(new Option("—", ""), ...examples.map(({ name }) => new Option(name, name)));
  byId("secret").value = ownSecret;
  editor = new Editor(byId("editor"), changed);
  listen();
  const begun = engine.start("core.wasm.gz");
  await fromAddress();
  try {
    await begun;
  } catch (error) {
    view.say(`The core cannot be loaded: ${error.message}`, true);
    return;
  }
  await ask("reset");
}

start();
