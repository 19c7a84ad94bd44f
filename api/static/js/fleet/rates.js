// Hit rates over time, from counters that only grow: what was looked up in the last minutes, and what share was there.

import { recall, remember } from "../memory.js";

const SAMPLE_MS = 5000;
const WINDOW_MS = 5 * 60_000;
const KEPT_MS = 60 * 60_000;

export const TIERS = [
  { name: "local", title: "Local (L1)", className: "tier-local" },
  { name: "shared", title: "Shared (L2)", className: "tier-shared" },
  { name: "archive", title: "Archive", className: "tier-archive" },
];

export class Rates {
  constructor() {
    const since = Date.now() - KEPT_MS;
    this.samples = recall("rates", []).filter(({ at }) => at > since);
  }

  add(cache, now = Date.now()) {
    const counters = countersOf(cache);
    const last = this.samples.at(-1);
    // Counters that went back belong to another service, or to one that began anew.
    if (last && TIERS.some(({ name }) => counters[name][1] < last.counters[name][1])) this.samples = [];
    else if (last && now - last.at < SAMPLE_MS) this.samples.pop();
    this.samples.push({ at: now, counters });
    this.samples = this.samples.filter(({ at }) => at > now - KEPT_MS);
    remember("rates", this.samples);
  }

  /** Points [ms, share] per tier; where nothing was looked up, the last known share goes on. */
  series() {
    return TIERS.map(({ name, title, className }) => {
      let share = null;
      const points = this.samples.map(({ at, counters }, index) => {
        share = rateBetween(this.#before(index, at)?.counters[name], counters[name]) ?? share;
        return [at, share];
      });
      return { name: title, className, points };
    });
  }

  get begin() {
    return this.samples[0]?.at ?? Date.now();
  }

  #before(index, at) {
    let first = null;
    for (let i = index - 1; i >= 0 && this.samples[i].at >= at - WINDOW_MS; i--) first = this.samples[i];
    return first ?? this.samples[index - 1];
  }
}

/** [hits, lookups] per tier. What the shared tier misses is looked for in the archive. */
function countersOf({ local, shared, archive }) {
  const both = ({ hits, misses }) => [hits ?? 0, (hits ?? 0) + (misses ?? 0)];
  return { local: both(local), shared: both(shared), archive: [archive.hits, Math.max(archive.hits, shared.misses ?? 0)] };
}

/** With nothing before it, a sample stands for everything since the service began. */
function rateBetween([hits0, all0] = [0, 0], [hits, all]) {
  return all > all0 ? Math.min(1, (hits - hits0) / (all - all0)) : null;
}
