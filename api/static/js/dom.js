// Elements in one line each. Text goes in as text, never as HTML.

import { ICONS } from "./icons.js";

/** el("p", {class: "x", onclick}, "text", child): attributes as in HTML, listeners as on…, false and null left out. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A drawing of 24 × 24, in the colour of the text around it. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true" })) {
    svg.setAttribute(key, value);
  }
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button; with an icon's name, the icon stands before the text. */
export function button(text, { icon: drawing, kind = "", ...attributes } = {}) {
  return el("button", { type: "button", class: `button ${kind}`.trim(), ...attributes }, drawing && icon(drawing), text);
}

export const find = (selector, root = document) => root.querySelector(selector);

let announced = 0;

/** Tells people who listen instead of look. */
export function announce(text) {
  const region = find("#announcer");
  if (!region) return;
  announced += 1; // the same words twice are spoken twice only when they differ
  region.textContent = text + (announced % 2 ? "" : "\u00a0");
}
