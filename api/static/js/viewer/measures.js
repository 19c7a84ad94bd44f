// Width, height and depth drawn along the mesh: three edges of its box, each with its length in mm beside it.

import { project } from "./matrix.js";
import { millimetres } from "../words.js";

const SVG = "http://www.w3.org/2000/svg";

export class Measures {
  constructor(host) {
    this.drawing = document.createElementNS(SVG, "svg");
    this.drawing.setAttribute("class", "measures");
    this.drawing.setAttribute("aria-hidden", "true");
    this.edges = [0, 1, 2].map(() => {
      const line = this.drawing.appendChild(document.createElementNS(SVG, "line"));
      const text = this.drawing.appendChild(document.createElementNS(SVG, "text"));
      return { line, text };
    });
    host.append(this.drawing);
  }

  hide() {
    this.drawing.style.display = "none";
  }

  /** @param {number[]} sides of the mesh as shown, longest 1 · @param {number[]} lengthsMm of the same sides */
  show(camera, sides, lengthsMm, width, height) {
    this.drawing.style.display = "";
    const matrix = camera.matrix();
    const half = sides.map((side) => side / 2 + 0.02);
    edgesTowards(camera.eye, half).forEach(([from, to], axis) => {
      const [a, b] = [project(matrix, from, width, height), project(matrix, to, width, height)];
      this.#draw(this.edges[axis], a, b, lengthsMm[axis], [width / 2, height / 2]);
    });
  }

  #draw({ line, text }, a, b, lengthMm, middle) {
    const seen = a && b && Math.hypot(a[0] - b[0], a[1] - b[1]) > 24;
    for (const part of [line, text]) part.style.display = seen ? "" : "none";
    if (!seen) return;
    for (const [name, value] of Object.entries({ x1: a[0], y1: a[1], x2: b[0], y2: b[1] })) line.setAttribute(name, value);
    const at = [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const away = Math.hypot(at[0] - middle[0], at[1] - middle[1]) || 1;
    text.setAttribute("x", at[0] + ((at[0] - middle[0]) / away) * 42);
    text.setAttribute("y", at[1] + ((at[1] - middle[1]) / away) * 16 + 4);
    text.textContent = millimetres(lengthMm);
  }
}

/** The edges of the box that stand clear of the mesh as seen from here: bottom front, outer upright, bottom side. */
function edgesTowards(eye, [x, y, z]) {
  const sx = eye[0] < 0 ? -1 : 1;
  const sz = eye[2] < 0 ? -1 : 1;
  const sy = eye[1] < 0 ? 1 : -1;
  // The upright edge at the outline: of the two, the one further to the side.
  const left = Math.abs(eye[0]) * z < Math.abs(eye[2]) * x;
  const [ux, uz] = left ? [-sx, sz] : [sx, -sz];
  return [
    [[-x, sy * y, sz * z], [x, sy * y, sz * z]],
    [[ux * x, -y, uz * z], [ux * x, y, uz * z]],
    [[sx * x, sy * y, -z], [sx * x, sy * y, z]],
  ];
}
