// The form beside the pictures: which generator, its parameters from its own schema, and how the mesh is handed out.

import { el, find } from "./dom.js";
import { fieldFrom } from "./fields.js";
import { recall, remember } from "./memory.js";
import { sentence } from "./words.js";

const FINISH = {
  target_faces: { type: "integer", minimum: 4, title: "Most faces", description: "Empty: all that the mesh has" },
  up_axis: {
    enum: ["auto", "y", "z"], default: "auto", title: "Up axis",
    description: "Auto: y for GLB and OBJ, z for STL and PLY",
  },
  seed: { type: "integer", minimum: 0, default: 0, title: "Seed", description: "For generators that roll dice" },
  priority: { enum: ["normal", "high", "low"], default: "normal", title: "Priority", description: "Place in the queue" },
};

export class SettingsForm {
  constructor() {
    this.form = find("#settings");
    this.generators = [];
    this.kept = recall("settings", { params: {} });
    this.select = find("#generator");
    this.size = find("#size");
    this.anew = find("#anew");
    this.params = new Map();
    this.finish = new Map();
    this.select.addEventListener("change", () => this.#showParams());
    this.#showFinish();
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.form.addEventListener("change", () => this.#keep());
  }

  /** @param {object[]} generators as the service lists them, the default one first */
  offer(generators) {
    if (JSON.stringify(generators) === JSON.stringify(this.generators)) return; // what is being typed stays
    this.generators = generators;
    this.select.replaceChildren(...generators.map((one) => el("option", {
      value: one.name, disabled: !one.available, title: one.unavailable_because,
    }, one.available ? sentence(one.name) : `${sentence(one.name)} (not available)`)));
    const wanted = generators.find((one) => one.name === this.kept.generator && one.available);
    const first = wanted ?? generators.find((one) => one.default) ?? generators[0];
    if (first) this.select.value = first.name;
    this.#showParams();
  }

  /** What a submission says, and whether it must be made anew. */
  read() {
    const fields = { generator: this.select.value, format: this.#format(), size_mm: this.size.value };
    for (const [name, field] of [...this.finish, ...this.params]) fields[name] = field.read();
    if (fields.up_axis === "auto") delete fields.up_axis;
    return { fields, anew: this.anew.checked };
  }

  /** As `read`, for a submission that goes out now: making anew is asked for once. */
  take() {
    const asked = this.read();
    this.anew.checked = false;
    return asked;
  }

  /** Marks fields that the service has refused; answers whether all of them are on the page. */
  complain(errors) {
    const fields = new Map([...this.finish, ...this.params]);
    for (const { field, message } of errors) {
      const row = fields.get(field);
      row?.complain(message);
      row?.row.closest("details")?.setAttribute("open", "");
    }
    return errors.length > 0 && errors.every(({ field }) => fields.has(field));
  }

  valid() {
    for (const input of this.form.querySelectorAll(":invalid")) input.closest("details")?.setAttribute("open", "");
    return this.form.reportValidity();
  }

  #format() {
    return new FormData(this.form).get("format") ?? "glb";
  }

  #showParams() {
    const chosen = this.generators.find((one) => one.name === this.select.value);
    find("#generator-hint").textContent = chosen?.title ?? "";
    const properties = Object.entries(chosen?.parameters.properties ?? {});
    const kept = this.kept.params[chosen?.name] ?? {};
    this.params = new Map(properties.map(([name, schema]) => [name, fieldFrom(name, schema, kept[name])]));
    find("#params").replaceChildren(...[...this.params.values()].map((field) => field.row));
    find("#params-box").hidden = properties.length === 0;
  }

  #showFinish() {
    this.finish = new Map(Object.entries(FINISH).map(([name, schema]) => [name, fieldFrom(name, schema)]));
    find("#finish").prepend(...[...this.finish.values()].map((field) => field.row));
    this.size.value = this.kept.size_mm ?? 50;
    const format = this.form.querySelector(`[name=format][value="${this.kept.format ?? "glb"}"]`);
    if (format) format.checked = true;
  }

  #keep() {
    const params = Object.fromEntries([...this.params].map(([name, field]) => [name, field.read()]));
    this.kept = {
      generator: this.select.value, size_mm: this.size.value, format: this.#format(),
      params: { ...this.kept.params, [this.select.value]: params },
    };
    remember("settings", this.kept);
  }
}
