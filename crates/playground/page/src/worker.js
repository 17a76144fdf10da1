// Runs the core away from the page, which so never freezes.

let core;

self.onmessage = async ({ data }) => {
  if (data.module) {
    // The core has no clock and no network; these are what Rust's library would say its last words by.
    const done = () => 0;
    const imports = {
      wasi_snapshot_preview1: {
        random_get: (at, count) => {
          crypto.getRandomValues(new Uint8Array(core.memory.buffer, at, count));
          return 0;
        },
        environ_get: done,
        environ_sizes_get: (count, size) => {
          new DataView(core.memory.buffer).setUint32(count, 0, true);
          new DataView(core.memory.buffer).setUint32(size, 0, true);
          return 0;
        },
        fd_write: () => 8,
        proc_exit: () => {
          throw new Error("the core has ended");
        },
      },
    };
    core = (await WebAssembly.instantiate(data.module, imports)).exports;
    core._initialize?.();
    self.postMessage({ ready: true });
    return;
  }
  try {
    self.postMessage({ answer: ask(data.question) });
  } catch (error) {
    self.postMessage({ answer: { fault: String(error?.message ?? error) } });
  }
};

function ask(question) {
  const bytes = new TextEncoder().encode(JSON.stringify(question));
  const at = core.room(bytes.length);
  new Uint8Array(core.memory.buffer, at, bytes.length).set(bytes);
  const length = core.run();
  // The memory may have grown, so the buffer is asked for anew.
  return JSON.parse(new TextDecoder().decode(new Uint8Array(core.memory.buffer, core.answer(), length)));
}
