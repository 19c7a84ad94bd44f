// What a finished mesh is, and where it came from, as small pieces of the page.

import { el, icon } from "./dom.js";
import { bytes, count, isHit, millimetres, said, seconds, served, volume } from "./words.js";

/** Tiles with the measures of a job's result. */
export function facts(result) {
  const size = result.size_mm.map((side) => millimetres(side).replace(" mm", "")).join(" × ");
  return [
    tile("Size", `${size} mm`),
    tile("Volume", result.volume_mm3 === null ? "open surface" : volume(result.volume_mm3)),
    tile("Faces", count(result.faces), `${count(result.vertices)} vertices`),
    result.watertight
      ? tile("Watertight", "Yes", "ready to print", "good")
      : tile("Watertight", "No", "a slicer may have to close it", "poor"),
    tile("File", bytes(result.size_bytes), result.format.toUpperCase()),
    ...(result.notices ?? []).map(({ message }) => tile("Notice", said({ message }), "", "poor notice")),
  ];
}

function tile(name, value, rest = "", kind = "") {
  return el("div", { class: `fact ${kind}`.trim() }, el("dt", {}, name),
    el("dd", {}, kind && icon(kind === "good" ? "check" : "warning"), value, rest && el("small", {}, rest)));
}

/** One line: how it was served, how long that took, and what it saved. */
export function origin(job) {
  const { badge, text } = served(job.cache);
  const totalS = job.timings.total_s;
  const took = totalS === undefined ? "" : totalS < 0.0005 ? " at once" : ` in ${seconds(totalS)}`;
  const made = job.cache === "MISS" && job.timings.generate_s
    ? `, of which ${seconds(job.timings.generate_s)} generating` : "";
  return [
    el("span", { class: isHit(job.cache) ? "badge hit" : "badge", title: job.cache }, isHit(job.cache) && icon("bolt"), badge),
    el("span", {}, ` ${isHit(job.cache) ? "Served" : "It was"} ${text}${took}${made}.`),
    job.saved_s ? el("strong", { class: "saved" }, ` Saved ${seconds(job.saved_s)} of generating.`) : null,
  ].filter(Boolean);
}
