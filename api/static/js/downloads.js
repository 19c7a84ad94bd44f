// Downloads of a finished mesh: any format, any size, made once by the service and remembered there.

import { api } from "./api.js";
import { announce, button, el, find } from "./dom.js";
import { complaint, fileName, said } from "./words.js";

const FORMATS = {
  glb: "colours and texture, for screens", stl: "shape alone, for printing", obj: "colours at corners", ply: "colours at corners",
};

export class Downloads {
  constructor(root) {
    this.root = root;
    this.size = el("input", { id: "download-size", type: "number", min: 0.1, max: 10000, step: "any", inputmode: "decimal" });
    this.faces = el("input", { id: "download-faces", type: "number", min: 4, max: 10000000, step: 1, placeholder: "all" });
    this.buttons = Object.entries(FORMATS).map(([format, use]) => button(format.toUpperCase(), {
      icon: "download", title: `${format.toUpperCase()}: ${use}`, "data-format": format, onclick: () => this.#get(format),
    }));
    this.note = el("p", { class: "download-note", role: "status", hidden: true });
    root.replaceChildren(
      el("div", { class: "download-options" },
        el("label", { for: "download-size" }, "Longest side, mm"), this.size,
        el("label", { for: "download-faces" }, "Most faces"), this.faces),
      el("div", { class: "download-buttons" }, ...this.buttons), this.note);
  }

  show(job) {
    if (this.job?.id !== job.id) {
      this.size.value = job.options.size_mm;
      this.faces.value = job.options.target_faces ?? "";
      this.#say("");
    }
    this.job = job;
    for (const one of this.buttons) one.classList.toggle("primary", one.dataset.format === job.result.format);
  }

  async #get(format) {
    if (!this.size.reportValidity() || !this.faces.reportValidity()) return;
    const { job } = this;
    const pressed = find(`[data-format=${format}]`, this.root);
    const size = Number(this.size.value);
    const faces = Number(this.faces.value) || null;
    const options = {
      size_mm: size && size !== job.options.size_mm ? size : null,
      target_faces: faces !== job.options.target_faces ? faces : null,
    };
    pressed.setAttribute("aria-busy", "true");
    this.#say(`Preparing the ${format.toUpperCase()}…`);
    try {
      const { blob, notice } = await api.file(api.modelPath(job.id, format, options));
      save(blob, fileName(job, format));
      this.#say(notice && said({ message: notice }));
      announce(`${format.toUpperCase()} downloaded`);
    } catch (error) {
      this.#say(complaint(error));
    } finally {
      pressed.removeAttribute("aria-busy");
    }
  }

  #say(text) {
    this.note.textContent = text;
    this.note.hidden = !text;
  }
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
