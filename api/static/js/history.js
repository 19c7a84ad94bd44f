// The jobs this page knows, newest first: from the service's list, from events, and those just submitted.

import { api } from "./api.js";

const PAGE = 30;
const ENDED = new Set(["succeeded", "failed", "canceled"]);

export const hasEnded = (job) => ENDED.has(job.status);

export class History extends EventTarget {
  /** Events: `changed` (detail: the job), `removed` (detail: an id), `loaded`. */
  constructor(live) {
    super();
    this.jobs = new Map();
    this.live = live;
    this.cursor = null;
    live.addEventListener("job", ({ detail }) => this.put(detail));
    live.addEventListener("gone", ({ detail }) => this.remove(detail));
  }

  /** The next page of older jobs. */
  async load({ first = false } = {}) {
    const { jobs, next_cursor: cursor } = await api.jobs(PAGE, first ? null : this.cursor);
    this.cursor = cursor;
    for (const job of jobs) this.put(job);
    this.dispatchEvent(new Event("loaded"));
  }

  put(job) {
    const before = this.jobs.get(job.id);
    if (before && hasEnded(before) && !hasEnded(job)) return; // an answer that was overtaken
    this.jobs.set(job.id, job);
    if (!hasEnded(job)) this.live.follow(job.id);
    this.dispatchEvent(new CustomEvent("changed", { detail: job }));
  }

  remove(id) {
    this.jobs.delete(id);
    this.dispatchEvent(new CustomEvent("removed", { detail: id }));
  }

  get newestFirst() {
    return [...this.jobs.values()].sort((a, b) => (a.id < b.id ? 1 : -1)); // ids sort by time
  }
}
