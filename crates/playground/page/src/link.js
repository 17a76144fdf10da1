// A link that holds the state: base64url of compressed JSON, in the fragment, which no server sees.

const MARK = "#s=";
const MOST_BYTES = 4 << 20;

/** The fragment for a state, which has no secrets any more. */
export async function fragment(state) {
  const json = new TextEncoder().encode(JSON.stringify(state));
  const packed = await through(new CompressionStream("deflate-raw"), json);
  let text = "";
  for (const byte of packed) text += String.fromCharCode(byte);
  return MARK + btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The state of a fragment; `null` if there is none. Throws what is wrong with it. */
export async function state(fragment, fields) {
  if (fragment === "" || fragment === "#") return null;
  if (!fragment.startsWith(MARK)) throw new Error("it does not begin as the links of this page do");
  const text = decodeURIComponent(fragment.slice(MARK.length)).replaceAll("-", "+").replaceAll("_", "/");
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const json = await through(new DecompressionStream("deflate-raw"), packed);
  const found = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw new Error("it holds no state");
  const known = {};
  for (const [name, value] of Object.entries(found)) {
    if (!fields.includes(name) || typeof value !== "string") throw new Error("it holds no state of this page");
    known[name] = value;
  }
  if (typeof known.configuration !== "string") throw new Error("it holds no configuration");
  return known;
}

async function through(transform, bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(transform).getReader();
  const pieces = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > MOST_BYTES) throw new Error("it is too long");
    pieces.push(value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
