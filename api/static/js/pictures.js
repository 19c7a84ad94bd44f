// Previews of meshes as pictures. They are fetched with the visitor's key, a few at a time, and only when looked at.

import { api } from "./api.js";

const AT_ONCE = 2;
const SIZE_PX = 160;

export class Pictures {
  constructor(sizePx = SIZE_PX) {
    this.sizePx = sizePx;
    this.urls = new Map();
    this.waiting = [];
    this.busy = 0;
    this.watch = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) if (isIntersecting) this.#want(target);
    }, { rootMargin: "120px" });
    this.wanted = new WeakMap();
  }

  /** Shows the preview of a finished job in `image`, and until then `otherwise` (a URL) or nothing. */
  put(image, job, otherwise = null) {
    const known = this.urls.get(job.key);
    if (known) {
      image.src = known;
      return;
    }
    if (otherwise) image.src = otherwise;
    if (job.status !== "succeeded") return;
    this.wanted.set(image, job);
    this.watch.observe(image);
  }

  #want(image) {
    this.watch.unobserve(image);
    this.waiting.push(image);
    this.#next();
  }

  async #next() {
    if (this.busy >= AT_ONCE || !this.waiting.length) return;
    const image = this.waiting.shift();
    const job = this.wanted.get(image);
    this.busy += 1;
    try {
      if (!this.urls.has(job.key)) {
        const { blob: picture } = await api.file(api.previewPath(job.id, this.sizePx));
        this.urls.set(job.key, URL.createObjectURL(picture));
      }
      image.src = this.urls.get(job.key);
      image.classList.add("rendered");
    } catch {
      // The uploaded picture, or the drawing of a cube, stays in its place.
    } finally {
      this.busy -= 1;
      this.#next();
    }
  }
}
