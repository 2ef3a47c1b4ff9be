// A spectrum on a canvas, with its axis, its strongest bands in words for those who cannot see it.

import { FONT, blank, colour } from "./canvas.js";
import { h } from "./dom.js";
import { number, t } from "./i18n.js";

const MARGIN = { left: 14, right: 14, top: 14, bottom: 52 };

function pairs(x, y) {
  if (!Array.isArray(x) || !Array.isArray(y) || x.length !== y.length) return [];
  const points = x.map((at, i) => [Number(at), y[i] === null ? NaN : Number(y[i])]).filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
  return points.sort((a, b) => a[0] - b[0]);
}

function steps(low, high, room) {
  const rough = (high - low) / Math.max(2, Math.floor(room / 110));
  const size = [50, 100, 200, 250, 500, 1000, 2000].find((s) => s >= rough) ?? 5000;
  const ticks = [];
  for (let at = Math.ceil(low / size) * size; at <= high; at += size) ticks.push(at);
  return ticks;
}

/** Positions of the strongest maxima, strongest first. */
export function strongest(x, y, wanted = 5) {
  const points = pairs(x, y);
  if (points.length < 5) return [];
  const apart = (points.at(-1)[0] - points[0][0]) / 60;
  const tops = points.filter((p, i) => i > 1 && i < points.length - 2 && p[1] >= points[i - 1][1] && p[1] > points[i + 1][1]).sort((a, b) => b[1] - a[1]);
  const kept = [];
  for (const top of tops) {
    if (kept.every((k) => Math.abs(k[0] - top[0]) > apart)) kept.push(top);
    if (kept.length === wanted) break;
  }
  return kept.map((p) => p[0]);
}

/** A figure with its own `draw(x, y)`, `marks` where something is expected; it draws itself again when its size or the theme changes. */
export function plot({ caption, height = 240, marks = [] }) {
  const canvas = h("canvas", { role: "img", "aria-label": caption });
  const words = h("figcaption", {}, caption);
  const node = h("figure.plot", {}, canvas, words);
  node.style.setProperty("--height", `${height}px`);
  let data = { x: [], y: [] };

  const paint = () => {
    const sheet = blank(canvas);
    if (!sheet) return;
    const { pen, width, tall } = sheet;
    const points = pairs(data.x, data.y);
    const [left, right] = [MARGIN.left, width - MARGIN.right];
    const [top, bottom] = [MARGIN.top, tall - MARGIN.bottom];
    const [low, high] = points.length ? [points[0][0], points.at(-1)[0]] : [200, 3200];
    const across = (at) => left + ((at - low) / (high - low || 1)) * (right - left);
    pen.lineWidth = 1;
    pen.font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
    pen.textAlign = "center";
    pen.fillStyle = colour("--plot-axis");
    for (const tick of steps(low, high, right - left)) {
      const at = across(tick);
      pen.strokeStyle = colour("--plot-grid");
      pen.beginPath(); pen.moveTo(at, top); pen.lineTo(at, bottom); pen.stroke();
      const label = number(tick);
      const half = pen.measureText(label).width / 2;
      pen.fillText(label, Math.min(Math.max(at, half), width - half), bottom + 21);
    }
    pen.fillText(t("plot.axis"), (left + right) / 2, tall - 7);
    pen.strokeStyle = colour("--plot-axis");
    pen.beginPath(); pen.moveTo(left, bottom); pen.lineTo(right, bottom); pen.stroke();
    if (!points.length) return;
    pen.strokeStyle = colour("--plot-axis");
    pen.lineWidth = 2;
    pen.setLineDash([4, 6]);
    for (const mark of marks.filter((at) => at >= low && at <= high)) {
      pen.beginPath(); pen.moveTo(across(mark), top); pen.lineTo(across(mark), bottom); pen.stroke();
    }
    pen.setLineDash([]);
    const values = points.map((p) => p[1]);
    const floor = Math.min(...values);
    const span = Math.max(...values) - floor || 1;
    pen.strokeStyle = colour("--plot");
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.beginPath();
    for (const [at, value] of points) pen.lineTo(across(at), bottom - 3 - ((value - floor) / span) * (bottom - top - 6));
    pen.stroke();
  };

  const redraw = new ResizeObserver(paint);
  redraw.observe(canvas);
  const themed = new MutationObserver(paint);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  node.done = () => { redraw.disconnect(); themed.disconnect(); };
  node.draw = (x, y) => {
    data = { x, y };
    paint();
  };
  node.describe = (x, y) => {
    const points = pairs(x, y);
    if (!points.length) return;
    const bands = strongest(x, y).map((at) => number(Math.round(at)));
    const text = t("plot.words", { from: number(Math.round(points[0][0])), to: number(Math.round(points.at(-1)[0])), bands: bands.join(" · ") });
    canvas.setAttribute("aria-label", text);
    words.textContent = text;
  };
  return node;
}
