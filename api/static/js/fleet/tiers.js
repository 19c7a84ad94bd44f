// The tiers with their use, and for admins: their limits, and emptying them.

import { api } from "../api.js";
import { announce, button, el } from "../dom.js";
import { bytes, count, percent, said } from "../words.js";

const MB = 2 ** 20;

export function tierRows({ local, shared, archive }) {
  return [
    row("Local (L1)", "each worker’s own memory", "tier-local", local),
    row("Shared (L2)", "Redis, for all workers", "tier-shared", shared),
    el("li", { class: "tier tier-archive" }, el("strong", {}, "Archive"), el("span", { class: "faint" }, "keeps every result"),
      el("span", { class: "tier-figures" }, `${count(archive.hits)} hits`, archiveUse(archive))),
  ];
}

function row(title, hint, className, tier) {
  if (tier.hits === null || tier.hits === undefined) {
    return el("li", { class: `tier ${className}` }, el("strong", {}, title), el("span", { class: "faint" }, "not available now"));
  }
  const looked = tier.hits + tier.misses;
  const share = tier.max_memory_mb ? tier.current_memory_mb / tier.max_memory_mb : 0;
  return el("li", { class: `tier ${className}` },
    el("strong", {}, title), el("span", { class: "faint" }, hint),
    el("span", { class: "tier-figures" },
      `${looked ? percent(tier.hits / looked) : "–"} hits of ${count(looked)} lookups · ${count(tier.evictions)} evicted`),
    el("meter", { min: 0, max: 1, high: 0.9, value: share, "aria-label": `${title}: memory in use` }),
    el("span", { class: "tier-figures" }, `${count(tier.current_items)} entries · ${bytes(tier.current_memory_mb * MB)} of ${bytes(tier.max_memory_mb * MB)}`));
}

function archiveUse({ objects, memory_mb: memoryMb }) {
  return objects === null ? "" : ` · ${count(objects)} results · ${bytes(memoryMb * MB)}`;
}

const LIMITS = {
  max_size: ["Entries of each local tier", 1, 1],
  max_memory_mb: ["Megabytes of each local tier", 0.001, "any"],
  shared_max_size: ["Entries of the shared tier", 1, 1],
  shared_max_memory_mb: ["Megabytes of the shared tier", 0.001, "any"],
  ttl_seconds: ["Seconds an entry lives", 0.001, "any"],
};

/** The form of limits; it asks for them when it is shown. */
export class LimitsForm {
  constructor(root) {
    this.inputs = Object.fromEntries(Object.entries(LIMITS).map(([name, [, min, step]]) => [
      name, el("input", { id: `limit-${name}`, type: "number", min, step, required: true }),
    ]));
    this.enabled = el("input", { id: "limit-enabled", type: "checkbox" });
    this.note = el("p", { class: "faint", role: "status" });
    this.form = el("form", { class: "limits", onsubmit: (event) => this.#save(event) },
      Object.entries(LIMITS).map(([name, [title]]) =>
        el("div", { class: "field" }, el("label", { for: `limit-${name}` }, title), this.inputs[name])),
      el("div", { class: "field tick" }, this.enabled, el("label", { for: "limit-enabled" }, "Caches answer"),
        el("small", {}, "Off: everything is made anew; the archive still keeps results")),
      el("div", { class: "row" }, el("button", { class: "button primary" }, "Apply"), this.note));
    root.append(this.form);
  }

  async load() {
    this.#fill(await api.cacheConfig());
  }

  #fill(config) {
    for (const [name, input] of Object.entries(this.inputs)) input.value = config[name] ?? "";
    this.enabled.checked = config.enabled;
    const { applied, pending } = config.workers;
    this.note.textContent = pending.length
      ? `${applied.length} processes have applied it, ${pending.length} not yet.` : `Applied by all ${applied.length} processes.`;
  }

  async #save(event) {
    event.preventDefault();
    const limits = Object.fromEntries(Object.entries(this.inputs).map(([name, input]) => [name, Number(input.value)]));
    try {
      this.#fill(await api.setCacheConfig({ ...limits, enabled: this.enabled.checked }));
      announce("Limits applied");
    } catch (error) {
      this.note.textContent = said(error);
    }
  }
}

const CLEARS = [
  ["", "Empty the caches", "Empty every worker’s memory and the shared cache? Results stay in the archive."],
  ["archive", "Empty the archive", "Delete every archived result for good? Meshes that no cache holds must be made again."],
];

/** Buttons that empty tiers, after asking. `done` is called when something was emptied. */
export function clearButtons(done) {
  const note = el("span", { class: "faint", role: "status" });
  const clear = async (tier, question) => {
    if (!confirm(question)) return;
    try {
      const { cleared, pending } = await api.clearCache(tier);
      const told = Object.entries(cleared).map(([name, entries]) => (entries === null ? name : `${name}: ${count(entries)} entries`));
      note.textContent = `Emptied ${told.join(", ")}${pending.length ? `; ${pending.length} processes follow` : ""}.`;
      done();
    } catch (error) {
      note.textContent = said(error);
    }
  };
  return el("div", { class: "row" },
    CLEARS.map(([tier, words, question]) => button(words, { icon: "trash", kind: "small danger", onclick: () => clear(tier, question) })),
    note);
}
