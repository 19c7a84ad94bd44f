// Where pictures come in: dropped anywhere on the page, pasted, chosen or drawn as an example; then submitted.

import { api, ApiError } from "./api.js";
import { announce, button, el, find, icon } from "./dom.js";
import { EXAMPLES, example } from "./examples.js";
import { rememberThumbnail, shrink } from "./memory.js";
import { advice, sentence } from "./words.js";

const AT_ONCE = 2;
const MOST_TRIES = 5;
const MOST_PICTURES = 100;

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
    const pictures = [...files].filter((file) => file.type.startsWith("image/") || /\.(heic|heif|avif|tiff?|bmp)$/i.test(file.name));
    if (pictures.length < files.length) this.#say({ code: "bad_image", detail: "Only pictures can be made into meshes." });
    else this.#say(null);
    const room = MOST_PICTURES - this.tray.length;
    if (pictures.length > room) this.#say({ code: "", detail: `At most ${MOST_PICTURES} pictures go in at once.` });
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
    this.#show();
    const { fields, anew } = this.settings.read();
    const waiting = [...this.tray];
    let failure = null;
    const one = async () => {
      for (let item = waiting.shift(); item && !failure?.stops; item = waiting.shift()) {
        failure = (await this.#send(item, fields, anew)) ?? failure;
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    this.busy = false;
    if (failure) this.#say(failure);
    this.#show();
  }

  async #send(item, fields, anew) {
    try {
      const name = item.file.name || "pasted picture";
      const job = await patiently(() => api.submit(item.file, name, { label: name.slice(0, 200), ...fields }, { anew }));
      const thumbnail = await shrink(item.file);
      if (thumbnail) rememberThumbnail(job.id, thumbnail);
      this.#drop(item);
      this.submitted(job, item.file);
      return null;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      item.problem = error.message;
      const marked = this.settings.complain(error.errors);
      return { code: error.code, detail: error.message, stops: marked || error.status === 401 || error.retryable };
    }
  }

  #drop(item) {
    this.tray = this.tray.filter((one) => one !== item);
    URL.revokeObjectURL(item.url);
    this.#show();
  }

  #show() {
    this.list.replaceChildren(...this.tray.map((item) => el("li", { class: item.problem ? "refused" : "" },
      el("img", { src: item.url, alt: "" }),
      el("span", { class: "tray-name", title: item.problem ?? item.file.name }, item.file.name || "pasted picture"),
      el("button", {
        type: "button", class: "quiet", "aria-label": `Take ${item.file.name} out`, disabled: this.busy,
        onclick: () => this.#drop(item),
      }, icon("close")))));
    this.list.hidden = this.tray.length === 0;
    const many = this.tray.length > 1;
    find("span", this.go).textContent = this.busy ? "Sending…" : many ? `Make ${this.tray.length} meshes` : "Make the mesh";
    this.go.disabled = this.busy || this.tray.length === 0;
  }

  #say(problem) {
    this.problem.hidden = !problem;
    if (!problem) return;
    this.problem.replaceChildren(icon("warning"), el("p", {}, el("strong", {}, sentence(problem.detail)), " ", advice(problem)));
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

/** Again, when the service says that it would help, at the time that it says. */
async function patiently(attempt) {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error.status === 429 || error.code === "queue_full") || tries === MOST_TRIES) throw error;
      await new Promise((resume) => setTimeout(resume, 1000 * Math.min(30, error.retryAfterS ?? tries)));
    }
  }
}
