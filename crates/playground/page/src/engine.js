// Asks the core, one question at a time. What is typed while it works waits, and only the latest of it is judged.

const PATIENCE_MILLISECONDS = 8000;

export class Engine {
  #module;
  #worker;
  #waiting = []; // { question, resolve }
  #current;
  #timer;
  #isReady = false;

  /** Fetches and compiles the core. */
  async start(url) {
    const packed = await fetch(url);
    if (!packed.ok) throw new Error(`${url}: ${packed.status}`);
    this.#module = await WebAssembly.compile(await unpacked(await packed.arrayBuffer()));
    await this.#begin();
  }

  /** The answer of the core; `null` if a later question of the same kind was asked before this one was begun. */
  ask(question) {
    return new Promise((resolve) => {
      if (question.act === "try") this.#drop();
      this.#waiting.push({ question, resolve });
      this.#next();
    });
  }

  #drop() {
    this.#waiting = this.#waiting.filter((one) => {
      const stays = one.question.act !== "try";
      if (!stays) one.resolve(null);
      return stays;
    });
  }

  #begin() {
    this.#worker = new Worker("worker.js");
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => {
        if (data.ready) {
          this.#isReady = true;
          resolve();
          this.#next();
        } else this.#done(data.answer);
      };
      this.#worker.onerror = (event) => {
        reject(new Error(event.message || "the worker cannot be started"));
        this.#done({ fault: event.message || "the core has failed" });
      };
      this.#worker.postMessage({ module: this.#module });
    });
  }

  #next() {
    if (!this.#isReady || this.#current || !this.#waiting.length) return;
    this.#current = this.#waiting.shift();
    this.#worker.postMessage({ question: this.#current.question });
    this.#timer = setTimeout(() => this.#giveUp(), PATIENCE_MILLISECONDS);
  }

  #done(answer) {
    clearTimeout(this.#timer);
    const current = this.#current;
    this.#current = undefined;
    current?.resolve(answer);
    this.#next();
  }

  async #giveUp() {
    this.#worker.terminate();
    this.#isReady = false;
    const seconds = PATIENCE_MILLISECONDS / 1000;
    const fault = `no answer in ${seconds} seconds, so the core was started anew: what was counted is forgotten`;
    await this.#begin().catch(() => {});
    this.#done({ fault });
  }
}

/** The module, from gzip (RFC 1952) unless the server has unpacked it already. */
async function unpacked(buffer) {
  const start = new Uint8Array(buffer, 0, 2);
  if (start[0] !== 0x1f || start[1] !== 0x8b) return buffer;
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}
