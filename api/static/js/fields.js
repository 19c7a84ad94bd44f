// One field of a form from one property of a JSON schema: a slider, a number, a choice, a tick, a text.

import { el } from "./dom.js";
import { sentence } from "./words.js";

/** @returns {{row: HTMLElement, read: () => *, write: (value) => void, complain: (text: string) => void}} */
export function fieldFrom(name, schema, value) {
  const plain = unwrapped(schema);
  const kind = plain.enum ? choice : KINDS[plain.type] ?? text;
  const id = `field-${name}`;
  const { control, extra = [], read, write } = kind(id, plain);
  const inner = control.matches("input, select") ? control : control.querySelector("input, select");
  const hint = el("small", { id: `${id}-hint` }, plain.description ?? "");
  const complaint = el("small", { id: `${id}-complaint`, class: "complaint", hidden: true });
  inner.setAttribute("aria-describedby", `${hint.id} ${complaint.id}`);
  const label = el("label", { for: id }, plain.title && plain.title !== plain.title.toLowerCase() ? plain.title : sentence(name));
  const tick = plain.type === "boolean";
  const row = el("div", { class: tick ? "field tick" : "field", "data-field": name },
    tick ? [control, label] : [label, ...extra, control], hint, complaint);
  write(value ?? plain.default ?? null);
  const complain = (words) => {
    complaint.textContent = words;
    complaint.hidden = !words;
    inner.setAttribute("aria-invalid", String(Boolean(words)));
  };
  row.addEventListener("input", () => complain(""));
  return { row, read, write, complain };
}

/** Pydantic writes an optional value as anyOf with null; the value's own schema counts. */
function unwrapped(schema) {
  const inner = schema.anyOf?.find((one) => one.type !== "null");
  return inner ? { ...schema, ...inner } : schema;
}

function choice(id, schema) {
  const control = el("select", { id }, schema.enum.map((one) => el("option", { value: one }, sentence(one))));
  return { control, read: () => control.value, write: (value) => (control.value = value) };
}

function tick(id) {
  const control = el("input", { id, type: "checkbox" });
  return { control, read: () => control.checked, write: (value) => (control.checked = Boolean(value)) };
}

function number(id, schema) {
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  const whole = schema.type === "integer";
  const slides = low !== undefined && high !== undefined && schema.exclusiveMinimum === undefined && high - low <= 2000;
  const step = whole ? 1 : slides ? "any" : "any";
  const control = el("input", { id, type: "number", min: low, max: high, step, inputmode: whole ? "numeric" : "decimal" });
  const read = () => (control.value === "" ? null : Number(control.value));
  if (!slides) return { control, read, write: (value) => (control.value = value ?? "") };
  const slider = el("input", {
    type: "range", min: low, max: high, step: whole ? 1 : (high - low) / 200, tabindex: "-1", "aria-hidden": "true",
  });
  slider.addEventListener("input", () => (control.value = Number(Number(slider.value).toPrecision(3))));
  control.addEventListener("input", () => (slider.value = control.value));
  const pair = el("div", { class: "slider" }, slider, control);
  const write = (value) => (slider.value = control.value = value ?? "");
  return { control: pair, read, write };
}

function text(id, schema) {
  const control = el("input", { id, type: "text", maxlength: schema.maxLength });
  return { control, read: () => control.value, write: (value) => (control.value = value ?? "") };
}

const KINDS = { boolean: tick, integer: number, number, string: text };
