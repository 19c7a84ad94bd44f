// Where pictures come in: dropped anywhere on the page, pasted, chosen or drawn as an example; then submitted.

import { announce, button, el, find, icon } from "./dom.js";
import { EXAMPLES, example } from "./examples.js";
import { rememberThumbnail, shrink } from "./memory.js";
import { send } from "./sending.js";
import { advice, said, sentence } from "./words.js";

const MOST_PICTURES = 100;

/** Whether the file is of a type or an ending that the chooser offers. */
function isTaken(file) {
  const name = file.name.toLowerCase();
  return find("#chooser").accept.split(",").some((one) => (one.startsWith(".") ? name.endsWith(one) : file.type === one));
}

export class Composer {
  /** `submitted(job, file)` is called for each accepted picture. */
  constructor(settings, submitted) {
    this.settings = settings;
    this.submitted = submitted;
    this.tray = [];
    this.list = find("#tray");
    this.go = find("#make");
    this.problem = find("#compose-problem");
    this.#listen();
    this.#offerExamples();
    this.#show();
  }

  add(files) {
    const pictures = [...files].filter(isTaken);
    if (pictures.length < files.length) this.#say({ code: "bad_image", message: "Pictures that are taken: PNG, JPEG, WebP, AVIF, GIF, BMP, TIFF, PNM" });
    else this.#say(null);
    const room = MOST_PICTURES - this.tray.length;
    if (pictures.length > room) this.#say({ code: "", message: `At most ${MOST_PICTURES} pictures go in at once` });
    this.tray.push(...pictures.slice(0, room).map((file) => ({ file, url: URL.createObjectURL(file) })));
    this.#show();
    if (!pictures.length) return;
    announce(`${this.tray.length} ${this.tray.length === 1 ? "picture" : "pictures"} ready`);
    this.go.focus({ preventScroll: true });
  }

  /** Submits everything in the tray; what is refused stays there, with the reason. */
  async submit() {
    if (!this.tray.length || this.busy || !this.settings.valid()) return;
    this.busy = true;
    this.#say(null);
    for (const item of this.tray) item.problem = null;
    this.#show();
    const [sent, refused] = [[...this.tray], []];
    await send(sent, this.settings.take(), {
      taken: (item, job) => this.#taken(item, job),
      refused: (item, error) => refused.push(Object.assign(item, { problem: error })),
      busy: (error, seconds) => this.#say(error, `Trying again in ${seconds} s.`),
    });
    this.busy = false;
    this.#complain(refused, sent.length);
    this.#show();
  }

  async #taken(item, job) {
    this.#drop(item);
    const thumbnail = await shrink(item.file);
    if (thumbnail) rememberThumbnail(job.id, thumbnail);
    this.submitted(job, item.file);
  }

  #complain(refused, sent) {
    if (!refused.length) return this.#say(null);
    const { problem } = refused.at(-1);
    this.settings.complain(problem.errors);
    this.#say(problem, sent > 1 ? `${refused.length} of ${sent} pictures ${refused.length > 1 ? "were" : "was"} not taken.` : "");
  }

  #drop(item) {
    this.tray = this.tray.filter((one) => one !== item);
    URL.revokeObjectURL(item.url);
    this.#show();
  }

  #show() {
    this.list.replaceChildren(...this.tray.map((item) => el("li", { class: item.problem ? "refused" : "" },
      el("img", { src: item.url, alt: "", onerror: ({ target }) => target.replaceWith(icon("warning")) }),
      el("span", { class: "tray-name", title: item.file.name }, item.file.name || "pasted picture",
        item.problem && el("small", {}, said(item.problem))),
      el("button", {
        type: "button", class: "quiet", "aria-label": `Take ${item.file.name} out`, disabled: this.busy,
        onclick: () => this.#drop(item),
      }, icon("close")))));
    this.list.hidden = this.tray.length === 0;
    const many = this.tray.length > 1;
    find("span", this.go).textContent = this.busy ? "Sending…" : many ? `Make ${this.tray.length} meshes` : "Make the mesh";
    this.go.disabled = this.busy || this.tray.length === 0;
  }

  /** `more` stands before the advice. */
  #say(problem, more = "") {
    this.problem.hidden = !problem;
    if (!problem) return;
    const words = [el("strong", {}, said(problem)), more, advice(problem)].filter(Boolean);
    this.problem.replaceChildren(icon("warning"), el("p", {}, ...words.flatMap((word) => [word, " "])));
  }

  #listen() {
    const chooser = find("#chooser");
    chooser.addEventListener("change", () => {
      this.add(chooser.files);
      chooser.value = "";
    });
    this.go.addEventListener("click", () => this.submit());
    document.addEventListener("paste", (event) => {
      if (event.clipboardData?.files.length) this.add(event.clipboardData.files);
    });
    let depth = 0; // dragenter and dragleave come for every element on the way
    const over = (by) => {
      depth = by === 0 ? 0 : Math.max(0, depth + by);
      document.body.classList.toggle("dropping", depth > 0);
    };
    const carries = (event) => event.dataTransfer?.types.includes("Files");
    addEventListener("dragenter", (event) => carries(event) && over(1));
    addEventListener("dragleave", (event) => carries(event) && over(-1));
    addEventListener("dragover", (event) => carries(event) && event.preventDefault());
    addEventListener("drop", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      over(0);
      this.add(event.dataTransfer.files);
    });
  }

  #offerExamples() {
    find("#examples").append(...EXAMPLES.map((name) =>
      button(sentence(name), { kind: "small", onclick: async () => this.add([await example(name)]) })));
  }
}
