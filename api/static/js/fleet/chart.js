// A small line chart: shares from 0 to 100 % over time, as SVG. Told in words to those who do not see it.

import { percent } from "../words.js";

const WIDTH = 640; // until it is known how wide it is shown
const HEIGHT = 200;
const FRAME = { left: 50, right: 12, top: 12, bottom: 26 };

/** @param {{name: string, className: string, points: [number, ?number][]}[]} series points as [time in ms, share] */
export function drawChart(svg, series, fromMs, toMs) {
  const width = svg.clientWidth || WIDTH; // one unit is one pixel, so that letters keep their size on a phone
  const x = (time) => FRAME.left + ((time - fromMs) / (toMs - fromMs)) * (width - FRAME.left - FRAME.right);
  const y = (share) => HEIGHT - FRAME.bottom - share * (HEIGHT - FRAME.top - FRAME.bottom);
  svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", spoken(series));
  svg.replaceChildren(...grid(x, y, fromMs, toMs, width), ...series.flatMap((one) => line(one, x, y, fromMs)));
}

function* grid(x, y, fromMs, toMs, width) {
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    yield part("line", { x1: FRAME.left, x2: width - FRAME.right, y1: y(share), y2: y(share), class: "chart-grid" });
    if (share % 0.5 === 0) yield text(`${share * 100} %`, { x: FRAME.left - 8, y: y(share) + 4, "text-anchor": "end" });
  }
  const minutes = Math.round((toMs - fromMs) / 60_000);
  yield text(`${minutes} min ago`, { x: x(fromMs), y: HEIGHT - 6, "text-anchor": "start" });
  yield text("now", { x: x(toMs), y: HEIGHT - 6, "text-anchor": "end" });
}

function line({ className, points }, x, y, fromMs) {
  const seen = points.filter(([time, share]) => share !== null && time >= fromMs);
  if (!seen.length) return [];
  const path = seen.map(([time, share]) => `${x(time).toFixed(1)},${y(share).toFixed(1)}`).join(" ");
  const [time, share] = seen.at(-1);
  return [
    part("polyline", { points: path, class: `chart-line ${className}` }),
    part("circle", { cx: x(time), cy: y(share), r: 4, class: `chart-dot ${className}` }),
  ];
}

function spoken(series) {
  const now = series.map(({ name, points }) => {
    const last = points.findLast(([, share]) => share !== null);
    return `${name} ${last ? percent(last[1]) : "no lookups yet"}`;
  });
  return `Hit rate per tier: ${now.join(", ")}`;
}

function part(name, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

function text(words, attributes) {
  const node = part("text", { ...attributes, class: "chart-text" });
  node.textContent = words;
  return node;
}
