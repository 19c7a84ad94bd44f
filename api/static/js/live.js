// Keeps jobs and fleet fresh: by one event stream for the whole page, and by asking when a stream cannot be had.
// A browser opens only six connections to one host, so a stream per job would block the page.

import { api } from "./api.js";
import { readEvents } from "./sse.js";

const POLL_MS = 1500;
const RECONNECT_MS = 2000;
const MOST_JOBS = 100;

export class Live extends EventTarget {
  /** Events: `job` (detail: the body), `gone` (detail: an id), `fleet` (detail: the body), `link` (detail: a word). */
  constructor() {
    super();
    this.ids = new Set();
    this.link = "";
    this.opened = null;
  }

  start() {
    this.#run();
  }

  /** Follows a job until it ends. */
  follow(id) {
    if (this.ids.has(id)) return;
    this.ids.add(id);
    this.#again();
  }

  /** Opens the stream anew: another key, or more jobs. */
  #again() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.opened?.abort(), 0); // several jobs at a time, one new stream
  }

  restart() {
    this.#again();
  }

  async #run() {
    for (;;) {
      this.opened = new AbortController();
      const { signal } = this.opened;
      try {
        await readEvents(this.#path(), { signal, told: (event) => this.#told(event) });
        await this.#pause(RECONNECT_MS);
      } catch (error) {
        if (error.name !== "AbortError" && !signal.aborted) await this.#poll(error);
      }
    }
  }

  #path() {
    const jobs = [...this.ids].slice(-MOST_JOBS).map((id) => `job=${id}`);
    return `/api/events${jobs.length ? `?${jobs.join("&")}` : ""}`;
  }

  #told({ name, data }) {
    this.#linked("live");
    const body = JSON.parse(data);
    if (name === "job") this.#job(body);
    else if (name === "fleet") this.#emit("fleet", body);
  }

  #job(body) {
    if (["succeeded", "failed", "canceled"].includes(body.status)) this.ids.delete(body.id);
    this.#emit("job", body);
  }

  /** One round of asking, after a stream has failed; the next round tries the stream again. */
  async #poll(reason) {
    this.#linked(reason.status === 401 ? "key" : "polling");
    try {
      for (const id of this.ids) await this.#ask(id);
      const { queues, workers, redis } = await api.health();
      if (redis === "down") this.#linked("offline"); // it can name neither queues nor workers
      else this.#emit("fleet", { queues, workers });
    } catch (error) {
      this.#linked(error.status === 401 ? "key" : "offline");
    }
    await this.#pause(this.ids.size ? POLL_MS : RECONNECT_MS);
  }

  /** Waits, unless something happens that needs the stream at once. */
  #pause(ms) {
    return new Promise((resume) => {
      this.opened.signal.addEventListener("abort", resume, { once: true });
      setTimeout(resume, ms);
    });
  }

  async #ask(id) {
    try {
      this.#job(await api.job(id));
    } catch (error) {
      if (error.status !== 404) throw error;
      this.ids.delete(id);
      this.#emit("gone", id);
    }
  }

  #linked(word) {
    if (this.link !== word) this.#emit("link", (this.link = word));
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
