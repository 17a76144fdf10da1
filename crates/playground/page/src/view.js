// Shows what the core has answered.

const byId = (id) => document.getElementById(id);

/** An element with a class, and with texts or elements in it. */
function make(name, className, ...children) {
  const element = document.createElement(name);
  if (className) element.className = className;
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const reasons = {
  200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 405: "Method Not Allowed", 408: "Request Timeout",
  413: "Content Too Large", 415: "Unsupported Media Type", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Service Unavailable",
};

/** The list of problems; `goTo` is called with the one that is chosen. */
export function problems({ list, more }, goTo) {
  const items = list.map((problem) => {
    const button = make("button", "go", `Line ${problem.line}`, " ", make("code", "", problem.pointer || "(whole document)"));
    button.type = "button";
    const item = make("li", problem.severity, button, " ", make("span", "severity", problem.severity), " ", make("span", "text", problem.message));
    item.addEventListener("click", () => goTo(problem));
    return item;
  });
  byId("problem-list").replaceChildren(...items);
  byId("problem-list").hidden = !items.length;
  byId("no-problems").hidden = items.length > 0;
  byId("no-problems").textContent = "None.";
  byId("more-problems").hidden = !more;
  byId("more-problems").textContent = `and ${more} more`;
}

/** Marks the textboxes that cannot be read. */
export function wrong(found, names) {
  for (const name of names) {
    const box = byId(name);
    const note = byId(`${name}-wrong`);
    if (!box || !note) continue;
    const problem = found[name];
    if (problem) box.setAttribute("aria-invalid", "true");
    else box.removeAttribute("aria-invalid");
    note.hidden = !problem;
    note.textContent = problem ? sentence(problem) : "";
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");

/** The decision, its steps, the reply and what the service sees. */
export function decision(answer, { sent, act }) {
  const { explained, limits, service } = answer;
  const box = byId("decision");
  const isRefused = !explained.allowed;
  const kind = isRefused ? "refused" : explained.decision === "would_refuse" ? "reported" : "allowed";
  const verdict = isRefused ? `${explained.status} ${explained.code}` : "200 allowed";
  const parts = [make("p", "verdict", verdict)];
  if (kind === "reported") {
    parts.push(make("p", "would", `Report mode: it would have been ${explained.status} ${explained.code}.`));
  }
  for (const error of explained.errors) parts.push(make("p", "reason", error));
  const facts = make("dl", "facts");
  const fact = (name, value) => facts.append(make("dt", "", name), " ", make("dd", "", value), " ");
  fact("Decided by", make("code", "", explained.rule));
  if (explained.route) fact("Route", make("code", "", explained.route));
  fact("Counted", act === "send" ? `yes, ${times(sent)} sent` : `no, only tried; ${times(sent)} sent`);
  parts.push(facts);
  box.className = kind;
  box.replaceChildren(...apart(parts));
  steps(explained.steps, limits);
  reply(explained, answer.grpc);
  serviceSees(service, explained);
}

const times = (count) => `${count} ${count === 1 ? "request" : "requests"}`;

/** Elements with space between them, for those who take the text alone. */
const apart = (elements) => elements.flatMap((element) => [element, " "]);

/** Nothing can be decided yet, or what is shown is older than what is typed. */
export function stale(text) {
  const box = byId("decision");
  let note = box.querySelector(".stale");
  if (!text) {
    note?.remove();
    document.body.classList.remove("outdated");
    return;
  }
  if (!box.querySelector(".verdict:not(.waiting)")) {
    box.className = "waiting";
    box.replaceChildren(make("p", "verdict waiting", "No decision yet"), " ", make("p", "stale", text));
    return;
  }
  if (!note) {
    note = make("p", "stale");
    box.append(note);
  }
  note.textContent = `${text} What is shown was decided before.`;
  document.body.classList.add("outdated");
}

function steps(list, limits) {
  const left = [...limits];
  const items = list.map(({ step, state, notes }) => {
    const item = make("li", state.replaceAll(" ", "-"), make("span", "step", step), " ", make("span", "state", state), " ");
    if (notes.length) item.append(make("div", "notes", ...apart(notes.map((note) => make("p", "", note)))));
    if (step.includes("limit")) {
      const own = left.filter((limit) => notes.some((note) => note.startsWith(`${limit.name} `) && note.includes(" of ")));
      for (const limit of own) {
        left.splice(left.indexOf(limit), 1);
        item.append(gauge(limit));
      }
    }
    return item;
  });
  byId("step-list").replaceChildren(...items);
}

/** How full a limit is. */
function gauge({ name, used, most }) {
  const meter = document.createElement("meter");
  meter.max = most;
  meter.value = Math.min(used, most);
  meter.low = most * 0.8;
  meter.high = most * 0.999;
  meter.optimum = 0;
  meter.setAttribute("aria-label", `${name}: ${used} of ${most}`);
  return make("div", "gauge", meter, make("span", "", `${used} / ${most}`));
}

/** Shows elements in place of others; `null` is none. */
const show = (box, ...children) => box.replaceChildren(...apart(children.filter(Boolean)));

function header(name, value, className) {
  return make("div", `header ${className ?? ""}`, make("span", "name", name), ": ", make("span", "value", value));
}

function reply(explained, grpc) {
  const box = byId("reply-text");
  if (explained.reply) {
    const { status, headers, body } = explained.reply;
    const text = body === null ? "" : JSON.stringify(body, null, 2);
    show(
      box,
      make("div", "first", `HTTP ${status} ${reasons[status] ?? ""}`),
      ...Object.entries(headers).map(([name, value]) => header(name, value)),
      grpc && make("div", "quiet", "A gRPC client hears in its place:"),
      grpc && header("grpc-status", String(grpc[0]), "new"),
      grpc && header("grpc-message", grpc[1], "new"),
      make("pre", "", text),
    );
    return;
  }
  const added = Object.entries(explained.response_headers);
  show(
    box,
    make("div", "quiet", added.length ? "The service's own answer, with these headers:" : "The service's own answer, as it is."),
    ...added.map(([name, value]) => header(name, value, "new")),
  );
}

function serviceSees(service, explained) {
  const box = byId("service-text");
  if (!service) {
    const text = explained.allowed ? "The service sees nothing: api-guard answers itself." : "The service sees nothing of this request.";
    box.replaceChildren(make("div", "quiet", text));
    return;
  }
  const value = (name) => service.headers.find((one) => one.name === name)?.value ?? "";
  show(
    box,
    make("div", "first", `${value(":method")} ${value(":path")}`),
    header("host", value(":authority")),
    ...service.headers.filter((one) => ![":method", ":path", ":authority"].includes(one.name)).map((one) => header(one.name, one.value, one.new ? "new" : "")),
    ...service.removed.map((name) => make("div", "header gone", make("span", "name", name), " is removed")),
    service.body ? make("pre", "", service.body.length > 2000 ? `${service.body.slice(0, 2000)}\n… ${service.body.length} characters` : service.body) : null,
  );
}

/** Says something once. */
export function say(text, isBad) {
  const box = byId("message");
  box.textContent = text;
  box.classList.toggle("bad", Boolean(isBad));
}
