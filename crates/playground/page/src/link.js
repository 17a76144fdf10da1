// A link that holds the state: base64url of compressed JSON, in the fragment, which no server sees.

const MARK = "#s=";
const MOST_BYTES = 4 << 20;
// Chromium opens no longer address than 2 MiB.
const MOST_LETTERS = 2_000_000;
const TOO_LONG = new Error("it is too long");

/** The fragment for a state, which has no secrets any more; `null` if it would be longer than a browser opens. */
export async function fragment(state) {
  const json = new TextEncoder().encode(JSON.stringify(state));
  if (json.length > MOST_BYTES) return null;
  const packed = await through(new CompressionStream("deflate-raw"), json);
  if (packed.length > (MOST_LETTERS * 3) / 4) return null;
  let text = "";
  for (const byte of packed) text += String.fromCharCode(byte);
  return MARK + btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The state of a fragment; `null` if there is none. Throws what is wrong with it. */
export async function state(fragment, fields) {
  if (fragment === "" || fragment === "#") return null;
  if (!fragment.startsWith(MARK)) throw new Error("it does not begin as the links of this page do");
  const found = await unpacked(fragment.slice(MARK.length));
  if (typeof found !== "object" || found === null || Array.isArray(found)) throw new Error("it holds no state");
  const known = {};
  for (const [name, value] of Object.entries(found)) {
    if (!fields.includes(name) || typeof value !== "string") throw new Error("it holds no state of this page");
    // Half a character, which no keyboard types, cannot be asked about.
    known[name] = value.toWellFormed();
  }
  if (typeof known.configuration !== "string") throw new Error("it holds no configuration");
  return known;
}

/** The JSON of a fragment. What a browser says of one that is broken is not said in words for people. */
async function unpacked(fragment) {
  try {
    const text = decodeURIComponent(fragment).replaceAll("-", "+").replaceAll("_", "/");
    const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const json = await through(new DecompressionStream("deflate-raw"), packed);
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    throw error === TOO_LONG ? error : new Error("it was cut off or changed");
  }
}

async function through(transform, bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(transform).getReader();
  const pieces = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > MOST_BYTES) throw TOO_LONG;
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
