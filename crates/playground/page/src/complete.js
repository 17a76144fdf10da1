// Completion of a configuration, JSON or YAML, from its schema.

import { syntaxTree } from "@codemirror/language";
import { outline } from "./outline.js";
import schema from "../../../../docs/api-guard.schema.json";

const OBJECTS = new Set(["Object", "BlockMapping", "FlowMapping"]);
const LISTS = new Set(["Array", "BlockSequence", "FlowSequence"]);
const PAIRS = new Set(["Property", "Pair"]);
const NAMES = new Set(["PropertyName", "Key"]);
// What YAML reads by its brackets and quotes, wherever its lines begin.
const FLOW = new Set(["FlowMapping", "FlowSequence", "QuotedLiteral", "BlockLiteral", "BlockLiteralContent", "Comment"]);
const SCALARS = new Set(["String", "Number", "True", "False", "Null", "Literal", "QuotedLiteral"]);

/** All schemas that a schema stands for, without references. */
function meant(one, seen = new Set()) {
  if (!one || typeof one !== "object" || seen.has(one)) return [];
  seen.add(one);
  const referred = one.$ref ? [schema.$defs[one.$ref.replace("#/$defs/", "")]] : [];
  const below = [...referred, ...(one.anyOf ?? []), ...(one.oneOf ?? []), ...(one.allOf ?? [])];
  return [one, ...below.flatMap((other) => meant(other, seen))];
}

/** The schemas at a path; "*" is an item of a list. */
export function at(path) {
  let schemas = meant(schema);
  for (const step of path) {
    schemas = schemas
      .flatMap((one) =>
        step === "*" ? [one.items] : [one.properties?.[step] ?? (typeof one.additionalProperties === "object" ? one.additionalProperties : null)],
      )
      .flatMap((one) => meant(one));
  }
  return schemas;
}

function described(one) {
  const all = meant(one);
  return all.map((each) => each.description).find(Boolean);
}

/** The properties of objects at a path. */
function properties(path) {
  const found = new Map();
  for (const one of at(path)) {
    for (const [name, property] of Object.entries(one.properties ?? {})) found.set(name, property);
  }
  return found;
}

/** The values that are proposed at a path, as JSON. */
function values(path) {
  const found = new Map();
  const add = (value, info) => {
    if (value !== undefined && !found.has(JSON.stringify(value))) found.set(JSON.stringify(value), info);
  };
  for (const one of at(path)) {
    add(one.const, one.description);
    for (const value of one.enum ?? []) add(value);
    if (one.type === "boolean" || one.type?.includes?.("boolean")) [true, false].forEach((value) => add(value));
    if (one.default !== undefined && typeof one.default !== "object") add(one.default, "the default");
  }
  if (path.at(-1) === "*") {
    for (const one of at(path.slice(0, -1))) {
      if (Array.isArray(one.default)) one.default.filter((value) => typeof value !== "object").forEach((value) => add(value, "one of the default"));
    }
  }
  return found;
}

const scalar = (text) => text.trim().replace(/^(["'])(.*)\1$/s, "$2").replace(/["'].*$/s, "");

/** What a pair is called. */
function nameOf(pair, doc) {
  const name = pair.getChild("PropertyName") ?? pair.getChild("Key") ?? pair.firstChild;
  return name ? scalar(doc.sliceString(name.from, name.to)) : "";
}

/** The path that leads to a node, the node's own object or list not included. */
function pathOf(node, doc) {
  const path = [];
  for (let child = node, parent = node.parent; parent; child = parent, parent = parent.parent) {
    if (PAIRS.has(parent.name) && !NAMES.has(child.name)) path.unshift(nameOf(parent, doc));
    if (LISTS.has(parent.name)) path.unshift("*");
  }
  return path;
}

/** The completions at a position. */
export function complete(context) {
  const { state, pos, explicit } = context;
  const doc = state.doc;
  const isJson = /^\s*(\{|\/\/|\/\*)/.test(doc.sliceString(0, 2000));
  let node = syntaxTree(state).resolveInner(pos, -1);
  while ((node.name === "⚠" || node.name === "{" || node.name === "[") && node.parent) node = node.parent;
  if (node.parent && NAMES.has(node.parent.name)) node = node.parent;
  // What is written of the name or value so far.
  const written = context.matchBefore(/["']?[\w$./:-]*/) ?? { from: pos, to: pos, text: "" };
  if (!explicit && !written.text) return null;
  const above = !isJson && !isWithin(node, FLOW) ? outline(doc, pos) : null;
  if (above) return atOutline(above, pos);
  const isScalar = SCALARS.has(node.name) && node.from <= pos && node.to >= pos;
  const from = isScalar || NAMES.has(node.name) ? Math.min(node.from, written.from || node.from) : written.from;
  let to = pos;
  if (isScalar || NAMES.has(node.name)) to = doc.lineAt(pos).to < node.to ? pos : node.to;

  // Between quotes with nothing in them, everything is proposed.
  const isEmpty = isScalar && /^(""|'')$/.test(doc.sliceString(node.from, node.to));
  const isName = NAMES.has(node.name) || (OBJECTS.has(node.name) && !isScalar);
  if (isName) {
    const object = NAMES.has(node.name) ? node.parent?.parent : node;
    const path = object ? pathOf(object, doc) : [];
    return names(path, object, isJson, { doc, from, to, own: NAMES.has(node.name) ? node : null });
  }
  const holder = isScalar ? node : null;
  let path;
  if (holder) path = pathOf(holder, doc);
  else if (PAIRS.has(node.name)) path = [...pathOf(node, doc), nameOf(node, doc)];
  else if (LISTS.has(node.name) || node.name === "Item") path = [...pathOf(node, doc), ...(LISTS.has(node.name) ? ["*"] : [])];
  else path = pathOf(node, doc);
  const options = valueOptions(path, isJson);
  if (!isJson || !options.length) {
    const listed = names(path, null, isJson, { doc, from, to, own: holder });
    if (listed && (!isJson || node.name === "JsonText")) options.push(...listed.options);
  }
  if (!options.length) return null;
  return isEmpty ? { from, to, options, filter: false } : { from, to, options, validFor: /^["']?[\w$./:-]*["']?$/ };
}

const valueOptions = (path, isJson) =>
  [...values(path)].map(([value, info]) => ({
    label: isJson ? value : value.replace(/^"(.*)"$/, "$1"),
    type: "enum",
    info: info ?? undefined,
  }));

const isWithin = (node, names) => names.has(node.name) || (node.parent !== null && isWithin(node.parent, names));

/** The completions where block YAML has nothing yet: values after a name, and else names, or values of a list. */
function atOutline({ path, isValue, beside }, pos) {
  const options = valueOptions(path, false);
  if (!isValue) options.push(...nameOptions(path, new Set(beside), false, false));
  return options.length ? { from: pos, to: pos, options, validFor: /^[\w$./:-]*$/ } : null;
}

function names(path, object, isJson, { doc, from, to, own }) {
  const taken = new Set();
  for (let child = object?.firstChild; child; child = child.nextSibling) {
    if (PAIRS.has(child.name) && !(own && child.from <= own.from && child.to >= own.to)) taken.add(nameOf(child, doc));
  }
  const hasColon = /^\s*:/.test(doc.sliceString(to, to + 20));
  const options = nameOptions(path, taken, isJson, hasColon);
  if (!options.length) return null;
  return own && /^(""|'')$/.test(doc.sliceString(from, to))
    ? { from, to, options, filter: false }
    : { from, to, options, validFor: /^["']?[\w$]*["']?$/ };
}

function nameOptions(path, taken, isJson, hasColon) {
  return [...properties(path)]
    .filter(([name]) => !taken.has(name))
    .map(([name, property]) => {
      const written = isJson ? `"${name}"` : name;
      const fallback = meant(property).map((one) => one.default).find((value) => value !== undefined);
      return {
        label: written,
        displayLabel: name,
        type: "property",
        detail: fallback === undefined || typeof fallback === "object" ? undefined : `default ${JSON.stringify(fallback)}`,
        info: described(property),
        apply: hasColon ? written : `${written}: `,
      };
    });
}
