// Builds the page into a folder: node build.mjs CORE.wasm FOLDER. The examples come from the documents.

import { readFileSync, mkdirSync, writeFileSync, copyFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import * as esbuild from "esbuild";

const [core, folder] = process.argv.slice(2);
if (!core || !folder) {
  console.error("usage: node build.mjs CORE.wasm FOLDER");
  process.exit(2);
}
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");

/** The first block of JSON under a heading of a document. */
function shown({ page, heading }) {
  const text = readFileSync(join(root, page), "utf8");
  const start = text.search(new RegExp(`^#+ ${heading}$`, "m"));
  const block = start < 0 ? null : /```json\n([^]*?)```/.exec(text.slice(start));
  if (!block) throw new Error(`${page} has no JSON under "${heading}"`);
  const indentation = /(^|\n)( *)```json/.exec(text.slice(start))[2];
  return block[1].trimEnd().replaceAll(new RegExp(`^${indentation}`, "gm"), "");
}

const examples = JSON.parse(readFileSync(join(here, "examples.json"), "utf8")).map(({ from, headers, ...example }) => ({
  ...example,
  configuration: shown(from),
  headers: (headers ?? []).join("\n"),
}));

const ready = {
  name: "examples",
  setup(build) {
    build.onResolve({ filter: /^examples$/ }, () => ({ path: "examples", namespace: "examples" }));
    build.onLoad({ filter: /.*/, namespace: "examples" }, () => ({ contents: JSON.stringify(examples), loader: "json" }));
  },
};

// The editor writes its styles into the page, which the page's policy forbids, unless they are adopted style sheets. Those
// it takes for a shadow root alone, for the sake of browsers that are older than what this page needs.
const adopted = {
  name: "adopted",
  setup(build) {
    build.onLoad({ filter: /style-mod\/src\/style-mod\.js$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const asked = "!root.head && root.adoptedStyleSheets";
      if (!text.includes(asked)) throw new Error(`${path}: "${asked}" is no longer in it`);
      return { contents: text.replace(asked, "root.adoptedStyleSheets"), loader: "js" };
    });
  },
};

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
await esbuild.build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.js", worker: "src/worker.js", style: "style.css" },
  outdir: folder,
  bundle: true,
  minify: true,
  charset: "utf8",
  target: ["chrome120", "firefox121", "safari17"],
  format: "iife",
  legalComments: "none",
  logLevel: "warning",
  plugins: [ready, adopted],
});
for (const name of ["index.html", "icon.svg"]) copyFileSync(join(here, name), join(folder, name));
// Every byte of gzip's header is fixed, so that two builds are the same.
const packed = gzipSync(readFileSync(core), { level: 9 });
packed[9] = 255;
writeFileSync(join(folder, "core.wasm.gz"), packed);
