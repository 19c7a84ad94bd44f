// The Fleet tab: who works at what, what waits, how well the caches serve, and their administration.

import { currentKey, keyEvents } from "../api.js";
import { el, icon } from "../dom.js";
import { count, nameOf, percent, seconds, standing } from "../words.js";
import { drawChart } from "./chart.js";
import { Entries } from "./entries.js";
import { Rates, TIERS } from "./rates.js";
import { clearButtons, LimitsForm, tierRows } from "./tiers.js";

const SHORTEST_CHART_MS = 5 * 60_000;
const REFRESH_MS = 10_000;

export class FleetView {
  constructor(root, { live, history }) {
    Object.assign(this, { root, history, rates: new Rates() });
    this.tiles = el("dl", { class: "tiles" });
    this.workers = el("ul", { class: "workers" });
    this.chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.chart.setAttribute("class", "chart");
    this.tiers = el("ul", { class: "tiers" });
    this.admin = el("div", { class: "admin" });
    this.locked = el("p", { class: "card locked", hidden: true }, icon("key"),
      el("span", {}, "The cache’s figures and its administration are for admins. Enter an admin key with the key button above."));
    this.stale = el("p", { class: "problem", role: "status", hidden: true });
    root.append(el("h1", { class: "unseen" }, "Fleet"), this.stale, this.tiles,
      el("div", { class: "columns" }, card("Workers", this.workers), this.rateCard = card("Hit rate per tier", legend(), this.chart)),
      this.locked, this.admin);
    this.#fillAdmin();
    live.addEventListener("fleet", ({ detail }) => this.#take(detail));
    live.addEventListener("link", ({ detail }) => this.#linked(detail));
    history.addEventListener("changed", () => this.shown && this.fleet && this.#showWorkers());
    keyEvents.addEventListener("changed", () => this.shown && this.#refresh());
  }

  visible(shown) {
    this.shown = shown;
    clearInterval(this.timer);
    if (!shown) return;
    if (this.fleet) this.#show();
    this.#refresh();
    this.timer = setInterval(() => this.#refresh({ quietly: true }), REFRESH_MS);
  }

  #fillAdmin() {
    const entries = el("section", { class: "card" }, el("h2", {}, "In the shared cache"));
    const limits = el("section", { class: "card" }, el("h2", {}, "Limits"));
    this.entries = new Entries(entries, this.history);
    this.limits = new LimitsForm(limits);
    limits.append(clearButtons(() => this.#refresh()));
    this.admin.append(el("div", { class: "columns" }, card("Tiers", this.tiers), limits), entries);
  }

  /** What stands here while the service does not answer is yesterday's news, and says so. */
  #linked(word) {
    this.stale.hidden = word !== "offline" || !this.seen;
    if (this.seen) this.stale.textContent = `The service does not answer. These figures are from ${this.seen.toLocaleTimeString()}.`;
  }

  #take(fleet) {
    const first = !this.fleet?.cache;
    this.seen = new Date();
    this.fleet = fleet.cache ? fleet : { ...this.fleet, ...fleet }; // polling knows nothing of the cache
    if (fleet.cache) this.rates.add(fleet.cache);
    if (this.shown) this.#show();
    if (this.shown && first) this.#refresh(); // the tab was opened before the first figures came
  }

  #show() {
    this.#showTiles();
    this.#showWorkers();
    const { cache } = this.fleet;
    this.rateCard.hidden = this.admin.hidden = !cache;
    this.locked.hidden = Boolean(cache) || !currentKey();
    if (!cache) return;
    this.tiers.replaceChildren(...tierRows(cache));
    const now = Date.now();
    drawChart(this.chart, this.rates.series(), Math.min(this.rates.begin, now - SHORTEST_CHART_MS), now);
  }

  #showTiles() {
    const { workers, queues, cache } = this.fleet;
    const alive = workers.filter((worker) => worker.alive);
    const busy = alive.filter((worker) => worker.doing).length;
    const tiles = [
      tile("Workers", count(alive.length), `${busy} busy${alive.length < workers.length ? `, ${workers.length - alive.length} silent` : ""}`),
      ...Object.entries(queues).map(([queue, depth]) => tile(`Waiting to ${queue}`, count(depth), depth === 1 ? "work" : "works")),
    ];
    if (cache) {
      const hits = (cache.local.hits ?? 0) + (cache.shared.hits ?? 0) + cache.archive.hits;
      const all = hits + Math.max(0, (cache.shared.misses ?? 0) - cache.archive.hits);
      tiles.push(tile("Answered by a tier", all ? percent(hits / all) : "–", `of ${count(all)} lookups`),
        tile("GPU time saved", seconds(cache.gpu_seconds_saved), cache.enabled ? "since the first start" : "caches are switched off"));
    }
    this.tiles.replaceChildren(...tiles);
  }

  #showWorkers() {
    const rows = this.fleet.workers.map((worker) => el("li", { class: worker.alive ? "worker" : "worker silent" },
      el("span", { class: "device" }, worker.device.toUpperCase().replace(/:0$/, "")),
      el("span", { class: "worker-words" },
        el("strong", {}, `${worker.queue} on ${worker.host}`), el("span", { class: "faint" }, this.#doing(worker))),
      el("span", { class: "badge" }, worker.alive ? (worker.doing ? "busy" : "idle") : "silent")));
    this.workers.replaceChildren(...(rows.length ? rows : [el("li", { class: "faint" }, "No worker has signed in yet.")]));
  }

  /** A worker names what it does as “generator, beginning of the key”; jobs on this page know more. */
  #doing({ id, alive, doing }) {
    if (!alive) return "has not been heard of; its work goes to others";
    if (!doing) return `waits · ${id.slice(0, 8)}`;
    const key = doing.split(" ")[1] ?? "-";
    const job = [...this.history.jobs.values()].find((one) => one.key.startsWith(key) && one.status === "running");
    return job ? `${nameOf(job)} · ${standing(job)} · ${job.progress} %` : `works on ${doing}`;
  }

  async #refresh({ quietly = false } = {}) {
    if (!this.fleet?.cache) return;
    this.limitsDue ||= !quietly; // until they were read: what is being typed is not overwritten later
    try {
      await this.entries.load({ first: true });
      if (this.limitsDue) await this.limits.load();
      this.limitsDue = false;
    } catch (error) {
      this.locked.hidden = error.status !== 403;
    }
  }
}

function card(title, ...children) {
  return el("section", { class: "card" }, el("h2", {}, title), ...children);
}

function tile(name, value, rest) {
  return el("div", { class: "card tile" }, el("dt", {}, name), el("dd", {}, value, el("small", {}, rest)));
}

function legend() {
  return el("p", { class: "legend", "aria-hidden": "true" }, TIERS.map(({ title, className }) => el("span", { class: className }, title)));
}
