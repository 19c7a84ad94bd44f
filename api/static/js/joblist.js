// The list of jobs: one row each, kept in place while it changes, so that focus and clicks are never lost.

import { el, find, icon } from "./dom.js";
import { hasEnded } from "./history.js";
import { thumbnailOf } from "./memory.js";
import { Pictures } from "./pictures.js";
import { ago, estimate, isHit, nameOf, served, standing } from "./words.js";

export class JobList {
  /** `chosen(id)` when somebody picks a job, `cancel(id)` when somebody stops one. */
  constructor(history, { chosen, cancel }) {
    this.history = history;
    this.chosen = chosen;
    this.cancel = cancel;
    this.list = find("#jobs");
    this.rows = new Map();
    this.selected = null;
    this.pictures = new Pictures();
    history.addEventListener("changed", ({ detail }) => this.#put(detail));
    history.addEventListener("removed", ({ detail }) => this.#remove(detail));
    history.addEventListener("loaded", () => this.#frame());
    find("#more").addEventListener("click", () => history.load());
    setInterval(() => this.#tick(), 30_000);
  }

  select(id) {
    this.selected = id;
    for (const [one, row] of this.rows) row.open.setAttribute("aria-current", String(one === id));
  }

  #put(job) {
    const row = this.rows.get(job.id) ?? this.#insert(job);
    row.job = job;
    this.#fill(row);
    this.#frame();
  }

  #insert(job) {
    const row = {
      picture: el("img", { alt: "", class: "job-picture", loading: "lazy" }),
      name: el("span", { class: "job-name" }),
      state: el("span", { class: "job-state" }),
      badge: el("span", { class: "badge", hidden: true }),
      bar: el("progress", { max: 100, value: 0, "aria-label": `Progress of ${nameOf(job)}` }),
      stop: el("button", {
        type: "button", class: "quiet job-stop", "aria-label": `Cancel ${nameOf(job)}`, title: "Cancel",
        onclick: () => this.cancel(job.id),
      }, icon("close")),
    };
    row.open = el("button", { type: "button", class: "job-open", onclick: () => this.chosen(job.id) },
      row.picture, el("span", { class: "job-words" }, row.name, row.state), row.badge);
    row.item = el("li", { class: "job", "data-job": job.id }, row.open, row.bar, row.stop);
    row.open.setAttribute("aria-current", String(job.id === this.selected));
    this.rows.set(job.id, row);
    const newer = this.history.newestFirst.findIndex((one) => one.id === job.id);
    const after = this.history.newestFirst.slice(newer + 1).map((one) => this.rows.get(one.id)).find(Boolean);
    this.list.insertBefore(row.item, after?.item ?? null);
    return row;
  }

  #fill(row) {
    const { job } = row;
    row.item.dataset.status = job.status;
    row.name.textContent = nameOf(job);
    row.name.title = nameOf(job);
    row.state.textContent = stateLine(job);
    row.badge.hidden = job.status !== "succeeded";
    row.badge.textContent = served(job.cache).badge ?? "";
    row.badge.className = isHit(job.cache) ? "badge hit" : "badge";
    row.badge.title = `${job.cache}: ${served(job.cache).text}`;
    row.bar.hidden = row.stop.hidden = hasEnded(job);
    if (job.status === "queued") row.bar.removeAttribute("value");
    else row.bar.value = job.progress;
    this.pictures.put(row.picture, job, thumbnailOf(job.id));
  }

  #remove(id) {
    this.rows.get(id)?.item.remove();
    this.rows.delete(id);
    this.#frame();
  }

  #frame() {
    find("#more").hidden = !this.history.cursor;
    find("#no-jobs").hidden = this.rows.size > 0;
    const open = [...this.rows.values()].filter(({ job }) => job && !hasEnded(job)).length;
    find("#jobs-open").textContent = open ? `${open} in progress` : "";
  }

  #tick() {
    for (const row of this.rows.values()) row.state.textContent = stateLine(row.job);
  }
}

function stateLine(job) {
  if (job.status === "succeeded") return `${job.result.format.toUpperCase()} · ${ago(job.finished_at)}`;
  if (hasEnded(job)) return `${standing(job)} · ${ago(job.finished_at)}`;
  return [standing(job), job.status === "running" && `${job.progress} %`, estimate(job)].filter(Boolean).join(" · ");
}
