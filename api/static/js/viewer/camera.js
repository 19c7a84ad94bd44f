// A camera that circles the middle of the mesh, and the hands that move it: mouse, fingers, keys.
// The mesh's longest side is 1 and its middle is the origin.

import { lookAt, multiply, perspective } from "./matrix.js";

const FOV_Y = 0.5;
const START = { yaw: 0.5, pitch: 0.24, pan: [0, 0] };
const STEEPEST = 1.5;
export const [TIGHT, ROOMY] = [0.9, 1.04]; // of the ball around the mesh; with room for the lines of its measures
const KEY_STEP = 0.16;
const TURN_PER_S = 0.35;

export class Camera {
  constructor() {
    this.aspect = 1;
    this.radius = 0.8;
    this.foot = 0; // of the picture's height, where buttons stand: the mesh keeps clear of it
    this.room = TIGHT;
    this.turning = false;
    this.reset();
  }

  reset() {
    Object.assign(this, START, { zoom: 1 });
  }

  /** Half the diagonal of what must fit into the picture. */
  fit(radius) {
    this.radius = radius;
    this.reset();
  }

  get distance() {
    const narrow = Math.min(1 - this.foot, this.aspect);
    return (this.radius * this.room) / Math.sin(Math.atan(Math.tan(FOV_Y / 2) * narrow)) / this.zoom;
  }

  get eye() {
    const { yaw, pitch, distance } = this;
    const flat = Math.cos(pitch) * distance;
    return [Math.sin(yaw) * flat, Math.sin(pitch) * distance, Math.cos(yaw) * flat];
  }

  matrix() {
    const { eye, distance } = this;
    const lens = perspective(FOV_Y, this.aspect, Math.max(0.01, distance - 3), distance + 3);
    const lift = this.foot * distance * Math.tan(FOV_Y / 2);
    const moved = multiply(shift(this.pan[0], this.pan[1] + lift), lookAt(eye, [0, 0, 0]));
    return multiply(lens, moved);
  }

  rotate(dx, dy) {
    this.yaw -= dx;
    this.pitch = clamp(this.pitch + dy, -STEEPEST, STEEPEST);
  }

  magnify(factor) {
    this.zoom = clamp(this.zoom * factor, 0.3, 8);
  }

  /** dx, dy as shares of the picture's height. */
  move(dx, dy) {
    const size = 2 * this.distance * Math.tan(FOV_Y / 2);
    this.pan = [clamp(this.pan[0] + dx * size, -1, 1), clamp(this.pan[1] - dy * size, -1, 1)];
  }

  /** @returns {boolean} whether the picture changes by itself */
  pass(seconds) {
    if (this.turning) this.yaw += TURN_PER_S * seconds;
    return this.turning;
  }
}

/** Lets hands move the camera; `moved` is called after each change, `touched` when somebody takes hold. */
export function attachControls(element, camera, { moved, touched }) {
  const fingers = new Map();
  let spread = 0;

  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    spread = spreadOf(fingers);
    touched();
  });
  element.addEventListener("pointermove", (event) => {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const dx = (event.clientX - before[0]) / element.clientHeight;
    const dy = (event.clientY - before[1]) / element.clientHeight;
    fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (fingers.size > 1) {
      const now = spreadOf(fingers);
      if (spread > 0) camera.magnify(now / spread);
      spread = now;
      camera.move(dx / 2, dy / 2);
    } else if (event.shiftKey || event.buttons === 2) {
      camera.move(dx, dy);
    } else {
      camera.rotate(dx * 3.2, dy * 3.2);
    }
    moved();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    element.addEventListener(end, (event) => fingers.delete(event.pointerId));
  }
  element.addEventListener("contextmenu", (event) => event.preventDefault());
  element.addEventListener("wheel", (event) => {
    if (!element.matches(":focus, :fullscreen") && !event.ctrlKey && document.activeElement !== element) return;
    event.preventDefault();
    camera.magnify(Math.exp(-event.deltaY * 0.0016));
    moved();
  }, { passive: false });
  element.addEventListener("keydown", (event) => {
    const act = keyAction(camera, event.key);
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    touched();
    act();
    moved();
  });
}

function keyAction(camera, key) {
  return {
    ArrowLeft: () => camera.rotate(KEY_STEP, 0),
    ArrowRight: () => camera.rotate(-KEY_STEP, 0),
    ArrowUp: () => camera.rotate(0, KEY_STEP),
    ArrowDown: () => camera.rotate(0, -KEY_STEP),
    "+": () => camera.magnify(1.15),
    "=": () => camera.magnify(1.15),
    "-": () => camera.magnify(1 / 1.15),
    0: () => camera.reset(),
  }[key];
}

function spreadOf(fingers) {
  if (fingers.size < 2) return 0;
  const [a, b] = [...fingers.values()];
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}

const shift = (x, y) => new Float32Array([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, x, y, 0, 1]);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
