// The chosen job: its progress, then its mesh in 3D with measures, downloads and where it came from.

import { api, ApiError } from "./api.js";
import { announce, button, el, find, icon } from "./dom.js";
import { Downloads } from "./downloads.js";
import { hasEnded } from "./history.js";
import { facts, origin } from "./facts.js";
import { thumbnailOf } from "./memory.js";
import { Viewer } from "./viewer/viewer.js";
import { complaint, estimate, nameOf, said, standing } from "./words.js";

const MOST_FACES_SHOWN = 400_000;

export class Stage {
  /** `again(file, job)` submits a picture once more; `fileOf(id)` is what was uploaded, if this page still has it. */
  constructor(root, { history = null, cancel = null, again = null, fileOf = () => null } = {}) {
    Object.assign(this, { root, history, cancel, again, fileOf });
    this.viewer = new Viewer(find(".viewer-host", root));
    this.downloads = new Downloads(find(".downloads", root));
    this.shownKey = null;
    this.job = null;
    history?.addEventListener("changed", ({ detail }) => detail.id === this.job?.id && this.show(detail));
  }

  /** Shows a job as it stands; without one, the empty stage. */
  show(job) {
    const before = this.job;
    this.job = job;
    this.root.dataset.status = job?.status ?? "none";
    if (!job) return this.#empty();
    find(".stage-title", this.root).textContent = nameOf(job);
    this.#head(job);
    if (job.status === "succeeded") return this.#mesh(job, before);
    this.#noMesh();
    if (before?.id === job.id && before.status !== job.status) announce(`${nameOf(job)}: ${standing(job)}`);
    return hasEnded(job) ? this.#end(job) : this.#progress(job);
  }

  #empty() {
    find(".stage-title", this.root).textContent = "";
    find(".stage-actions", this.root).replaceChildren();
    this.#noMesh();
    find(".stage-state", this.root).replaceChildren(
      el("div", { class: "hero" }, icon("cube"), el("p", {}, "Your mesh appears here."),
        el("p", { class: "faint" }, "Drop a picture anywhere on the page, paste one, or try an example.")));
  }

  #noMesh() {
    if (this.shownKey) this.viewer.clear();
    this.shownKey = null;
    this.viewer.say("");
    find(".stage-state", this.root).hidden = false;
    find(".stage-result", this.root).hidden = true;
  }

  #head(job) {
    const file = this.fileOf(job.id);
    const actions = [];
    if (!hasEnded(job) && this.cancel) {
      actions.push(button("Cancel", { icon: "close", kind: "small", onclick: () => this.cancel(job.id) }));
    }
    if (hasEnded(job) && file && this.again) {
      const words = job.status === "succeeded" ? "Make anew" : "Try again";
      actions.push(button(words, { icon: "again", kind: "small", onclick: () => this.again(file, job) }));
    }
    if (job.status === "succeeded" && this.history) {
      actions.push(el("a", { class: "button small", href: api.viewUrl(job.id), target: "_blank" }, icon("open"), "3D page"));
    }
    const bar = find(".stage-actions", this.root);
    const was = [...bar.children].map((child) => child.textContent).join();
    if (was !== actions.map((child) => child.textContent).join()) bar.replaceChildren(...actions);
  }

  #progress(job) {
    const box = find(".stage-state", this.root);
    if (box.dataset.job !== job.id || !find("progress", box)) {
      const source = thumbnailOf(job.id);
      box.dataset.job = job.id;
      box.replaceChildren(el("div", { class: "working" },
        source && el("img", { src: source, alt: "" }),
        el("p", { class: "working-stage" }),
        el("progress", { max: 100, "aria-label": "Progress" }),
        el("p", { class: "faint working-rest" })));
    }
    const bar = find("progress", box);
    find(".working-stage", box).textContent = standing(job);
    if (job.status === "queued") bar.removeAttribute("value");
    else bar.value = job.progress;
    const share = job.status === "running" ? `${job.progress} %` : "";
    const tries = job.attempts > 1 ? `try ${job.attempts}` : "";
    find(".working-rest", box).textContent = [share, estimate(job), tries].filter(Boolean).join(" · ");
  }

  #end(job) {
    const box = find(".stage-state", this.root);
    delete box.dataset.job;
    const failed = job.status === "failed";
    box.replaceChildren(el("div", { class: failed ? "ended failed" : "ended" },
      icon(failed ? "warning" : "close"),
      el("p", { class: "ended-title" }, failed ? "This did not work" : "Canceled"),
      failed && el("p", {}, complaint(job.error)),
      el("p", { class: "faint" }, failed ? `Error code: ${job.error.code}` : "Nothing was made.")));
  }

  async #mesh(job, before) {
    find(".stage-state", this.root).hidden = true;
    find(".stage-result", this.root).hidden = false;
    find(".facts", this.root).replaceChildren(...facts(job.result));
    find(".origin", this.root).replaceChildren(...origin(job));
    this.downloads.show(job);
    const shown = `${job.id} ${job.key} ${job.result.sha256}`;
    if (this.shownKey === shown) return;
    this.shownKey = shown;
    if (before?.id === job.id && before.status !== "succeeded") announce(`${nameOf(job)} is done`);
    await this.#load(job, shown);
  }

  async #load(job, shown) {
    this.viewer.clear();
    this.viewer.say("Loading the mesh…");
    try {
      const mesh = await api.meshToShow(job, MOST_FACES_SHOWN);
      if (this.shownKey === shown) await this.viewer.show(mesh);
    } catch (error) {
      if (this.shownKey !== shown) return;
      const reason = error instanceof ApiError ? complaint(error) : said(error);
      this.viewer.say(reason);
    }
  }
}
