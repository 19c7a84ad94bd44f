// The 3D viewer: a canvas with its buttons. Give it a GLB, it shows it; it asks no server for anything.

import { el, icon as drawing } from "../dom.js";
import { attachControls, Camera, ROOMY, TIGHT } from "./camera.js";
import { readGlb } from "./glb.js";
import { Measures } from "./measures.js";
import { Renderer } from "./renderer.js";

const MOST_PIXELS_PER_POINT = 2;
const LONGEST_STEP_S = 0.1;
const MM_PER_M = 1000;

const TOGGLES = [
  { name: "turn", key: " ", label: "Turn", icon: "turn", title: "Turn by itself (space)" },
  { name: "texture", key: "t", label: "Texture", icon: "texture", title: "Texture or clay (T)" },
  { name: "wireframe", key: "w", label: "Wireframe", icon: "wireframe", title: "Edges of every triangle (W)" },
  { name: "measure", key: "m", label: "Measures", icon: "measure", title: "Width, height and depth in mm (M)" },
];

export class Viewer {
  /** @param {HTMLElement} host is filled with the viewer */
  constructor(host) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.look = { turn: !calm, texture: true, wireframe: false, measure: false };
    this.camera = new Camera();
    this.canvas = el("canvas", { tabindex: "0", role: "application", "aria-roledescription": "3D view" });
    this.canvas.setAttribute("aria-label", "3D view. Arrow keys turn the mesh, plus and minus zoom, 0 resets.");
    this.buttons = new Map(TOGGLES.map((toggle) => [toggle.name, this.#button(toggle)]));
    this.message = el("p", { class: "viewer-message", hidden: true, role: "status" });
    this.bar = el("div", { class: "viewer-bar", role: "toolbar", "aria-label": "How the mesh is shown" },
      ...this.buttons.values(),
      iconButton("reset", "Start view", "Back to the first view (0)", () => this.#reset()),
      iconButton("fullscreen", "Full screen", "Full screen (F)", () => this.#fullScreen()));
    this.host = host;
    host.classList.add("viewer");
    host.replaceChildren(this.canvas, this.bar, this.message);
    this.measures = new Measures(host);
    this.measures.hide();
    this.#listen();
    this.say("");
  }

  /** Words instead of a mesh; an empty text takes them away. */
  say(text) {
    this.message.textContent = text;
    this.message.hidden = !text;
  }

  /**
   * Shows a mesh.
   * @param {ArrayBuffer} buffer a GLB
   * @throws {Error} it cannot be read or drawn; the message is for people
   */
  async show(buffer) {
    const glb = readGlb(buffer);
    this.renderer ??= new Renderer(this.canvas);
    const picture = glb.texture && await decoded(glb.texture, this.renderer.gl);
    this.shown = buffer;
    this.renderer.load(glb, picture);
    picture?.close();
    this.camera.fit(this.renderer.model.radius);
    this.camera.turning = this.look.turn;
    this.say("");
    this.host.dataset.faces = String(glb.indices.length / 3);
    this.host.dataset.state = "shown";
    this.#press();
    this.redraw();
  }

  clear() {
    this.shown = null;
    this.renderer?.unload();
    this.measures.hide();
    delete this.host.dataset.state;
    delete this.host.dataset.faces;
    this.redraw();
  }

  redraw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now) {
    this.frame = 0;
    const seconds = Math.min(LONGEST_STEP_S, (now - (this.before ?? now)) / 1000);
    this.before = now;
    const goesOn = Boolean(this.renderer?.model) && this.camera.pass(seconds) && this.canvas.isConnected;
    this.#draw();
    if (goesOn && !document.hidden && this.host.checkVisibility()) this.redraw();
    else this.before = undefined;
  }

  #draw() {
    if (!this.renderer) return;
    this.#size();
    const dark = getComputedStyle(this.host).colorScheme === "dark"
      || (getComputedStyle(this.host).colorScheme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
    this.renderer.draw(this.camera, {
      texture: this.look.texture, wireframe: this.look.wireframe,
      ink: [0.06, 0.05, 0.07], shadow: dark ? 0.75 : 0.5,
    });
    const { model } = this.renderer;
    if (!model || !this.look.measure) return this.measures.hide();
    const { clientWidth, clientHeight } = this.canvas;
    const lengthsMm = model.sides.map((side) => side * MM_PER_M);
    this.measures.show(this.camera, model.sides.map((side) => side * model.scale), lengthsMm, clientWidth, clientHeight);
  }

  #size() {
    const ratio = Math.min(devicePixelRatio, MOST_PIXELS_PER_POINT);
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio));
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    this.camera.aspect = width / height;
    this.camera.foot = Math.min(0.3, this.bar.offsetHeight && 1 - this.bar.offsetTop / this.canvas.clientHeight);
    this.camera.room = this.look.measure ? ROOMY : TIGHT;
  }

  #listen() {
    const moved = () => this.redraw();
    attachControls(this.canvas, this.camera, { moved, touched: () => this.#set("turn", false) });
    this.host.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target !== this.canvas) return;
      const toggle = TOGGLES.find(({ key }) => key === event.key.toLowerCase());
      if (toggle) this.#set(toggle.name, !this.look[toggle.name]);
      else if (event.key.toLowerCase() === "f") this.#fullScreen();
      else return;
      event.preventDefault();
    });
    new ResizeObserver(moved).observe(this.host);
    document.addEventListener("visibilitychange", moved);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", moved);
    this.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.renderer = undefined;
    });
    this.canvas.addEventListener("webglcontextrestored", () => this.shown && this.show(this.shown));
  }

  #button({ name, label, icon, title }) {
    const button = iconButton(icon, label, title, () => this.#set(name, !this.look[name]));
    button.dataset.toggle = name;
    return button;
  }

  #set(name, on) {
    this.look[name] = on;
    if (name === "turn") this.camera.turning = on;
    this.#press();
    this.redraw();
  }

  #press() {
    for (const [name, button] of this.buttons) button.setAttribute("aria-pressed", String(this.look[name]));
  }

  #reset() {
    this.camera.reset();
    this.redraw();
  }

  #fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.host.requestFullscreen?.();
  }
}

async function decoded(blob, gl) {
  const as = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  const picture = await createImageBitmap(blob, as);
  const most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
  const shrink = most / Math.max(picture.width, picture.height);
  if (shrink >= 1) return picture;
  const resizeWidth = Math.floor(picture.width * shrink);
  return createImageBitmap(blob, { ...as, resizeWidth, resizeHeight: Math.floor(picture.height * shrink) });
}

function iconButton(icon, label, title, onclick) {
  return el("button", { type: "button", class: "viewer-button", title, onclick },
    drawing(icon), el("span", { class: "viewer-label" }, label));
}
