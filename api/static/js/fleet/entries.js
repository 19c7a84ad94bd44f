// What is in the shared tier, the most recent first, with a picture where a job of this page shows the same mesh.

import { api } from "../api.js";
import { announce, button, el, icon } from "../dom.js";
import { Pictures } from "../pictures.js";
import { ago, bytes, count, seconds, sentence } from "../words.js";

const PAGE = 24;

export class Entries {
  constructor(root, history) {
    this.history = history;
    this.cards = new Map();
    this.pictures = new Pictures();
    this.list = el("ul", { class: "entries" });
    this.empty = el("p", { class: "faint" }, "The shared cache is empty.");
    this.more = button("Show more", { kind: "small", hidden: true, onclick: () => this.load() });
    root.append(this.empty, this.list, this.more);
  }

  async load({ first = false } = {}) {
    const page = await api.cacheEntries(PAGE, first ? null : this.cursor);
    this.cursor = page.next_cursor;
    this.more.hidden = !this.cursor;
    if (first) this.cards = new Map([...this.cards].filter(([key]) => page.entries.some((entry) => entry.key === key)));
    const cards = page.entries.map((entry) => this.#card(entry));
    if (first) this.list.replaceChildren(...cards);
    else this.list.append(...cards);
    this.empty.hidden = this.list.children.length > 0;
  }

  /** The card of an entry, made once and then only brought up to date, so that pictures do not flicker. */
  #card(entry) {
    const known = this.cards.get(entry.key) ?? this.#insert(entry);
    known.figures.textContent = `${bytes(entry.size_mb * 2 ** 20)} · ${ago(entry.timestamp)}`;
    known.use.textContent = `read ${count(entry.access_count ?? 0)}× · cost ${seconds(entry.cost_seconds ?? 0)}`;
    this.#picture(known, entry);
    return known.card;
  }

  #insert(entry) {
    const [figures, use] = [el("span"), el("span")];
    const picture = el("img", { alt: "", class: "entry-picture", loading: "lazy" });
    const kind = entry.kind === "generation" ? "mesh" : entry.format === "png" ? "preview" : entry.format ?? "file";
    const card = el("li", { class: "entry", title: entry.key },
      el("span", { class: "entry-frame" }, icon("cube"), picture),
      el("span", { class: "entry-words" },
        el("strong", {}, kind.length <= 3 ? kind.toUpperCase() : sentence(kind)),
        figures, use),
      el("button", {
        type: "button", class: "quiet", title: "Forget, in every tier", "aria-label": `Forget ${kind} ${entry.key.slice(0, 8)}`,
        onclick: () => this.#forget(entry.key, card),
      }, icon("trash")));
    this.cards.set(entry.key, { card, picture, figures, use });
    return this.cards.get(entry.key);
  }

  #picture(known, entry) {
    if (known.job) return;
    known.job = [...this.history.jobs.values()].find((one) => one.key === entry.generation && one.status === "succeeded");
    if (known.job) this.pictures.put(known.picture, known.job);
  }

  async #forget(key, card) {
    if (!confirm("Forget this entry in every tier, the archive included?")) return;
    await api.deleteEntry(key);
    card.remove();
    announce("Entry forgotten");
  }
}
