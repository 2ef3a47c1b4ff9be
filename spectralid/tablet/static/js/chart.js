// A control chart on a canvas: the days, what they may be, and where a rule stopped the instrument; and the same in words.

import { FONT, blank, colour } from "./canvas.js";
import { h } from "./dom.js";
import { number, t } from "./i18n.js";

const MARGIN = { left: 14, right: 14, top: 30, bottom: 16 };

/** As many digits as tell one day from the next. */
export const figure = (value) => {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return number(value, size >= 1000 || size === 0 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
};

/** A figure with `draw(chart)`; it draws itself again when its size or the theme changes. */
export function controlChart({ height = 200 } = {}) {
  const canvas = h("canvas", { role: "img" });
  const words = h("figcaption", {});
  const node = h("figure.plot", {}, canvas, words);
  node.style.setProperty("--height", `${height}px`);
  let chart = null;

  const paint = () => {
    const sheet = chart && blank(canvas);
    if (!sheet) return;
    const { pen, width, tall } = sheet;
    const [left, right, top, bottom] = [MARGIN.left, width - MARGIN.right, MARGIN.top, tall - MARGIN.bottom];
    const charted = Number.isFinite(chart.mean);
    const lines = charted ? [chart.stop_low, chart.stop_high] : [];
    const all = [...chart.values, ...lines];
    let [low, high] = [Math.min(...all), Math.max(...all)];
    // A limit far away would press the days flat: it is drawn only where it is near.
    const span = high - low || Math.abs(high) || 1;
    const limits = [chart.low, chart.high].filter((at) => Number.isFinite(at) && at > low - 2 * span && at < high + 2 * span);
    [low, high] = [Math.min(low, ...limits), Math.max(high, ...limits)];
    const pad = (high - low || 1) * 0.08;
    const up = (value) => bottom - ((value - low + pad) / (high - low + 2 * pad)) * (bottom - top);
    const n = chart.values.length;
    const across = (i) => (n < 2 ? (left + right) / 2 : left + 12 + (i / (n - 1)) * (right - left - 24));
    const level = (value, stroke, dash, name) => {
      pen.strokeStyle = stroke;
      pen.setLineDash(dash);
      pen.lineWidth = 2;
      pen.beginPath(); pen.moveTo(left, up(value)); pen.lineTo(right, up(value)); pen.stroke();
      pen.setLineDash([]);
      if (!name) return;
      pen.fillStyle = colour("--plot-axis");
      pen.textAlign = "left";
      pen.fillText(name, left, up(value) - 6);
    };
    pen.font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
    limits.forEach((at) => level(at, colour("--danger-edge"), [], t("chart.limit", { value: figure(at) })));
    if (charted) {
      level(chart.mean, colour("--plot-grid"), []);
      [chart.stop_low, chart.stop_high].forEach((at) => level(at, colour("--danger-edge"), [8, 6]));
      pen.strokeStyle = colour("--unknown-edge");
      pen.lineWidth = 3;
      pen.beginPath();
      chart.average.forEach((at, i) => { if (at !== null) pen.lineTo(across(i), up(at)); });
      pen.stroke();
    }
    const stopped = new Set(chart.stops.map((s) => s.time));
    pen.strokeStyle = colour("--plot");
    pen.fillStyle = colour("--plot");
    pen.lineWidth = 1;
    pen.beginPath();
    chart.values.forEach((value, i) => pen.lineTo(across(i), up(value)));
    pen.stroke();
    chart.values.forEach((value, i) => {
      pen.beginPath(); pen.arc(across(i), up(value), 4, 0, 2 * Math.PI); pen.fill();
      if (!stopped.has(chart.times[i])) return;
      pen.strokeStyle = colour("--danger-edge");
      pen.lineWidth = 3;
      pen.strokeRect(across(i) - 10, up(value) - 10, 20, 20);
    });
  };

  const redraw = new ResizeObserver(paint);
  redraw.observe(canvas);
  const themed = new MutationObserver(paint);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  node.done = () => { redraw.disconnect(); themed.disconnect(); };
  node.draw = (next) => {
    chart = next;
    const said = [
      t("chart.days", { n: chart.values.length, last: figure(chart.values.at(-1)), unit: chart.unit }),
      chart.needed ? t("chart.needed", { n: chart.needed })
        : !Number.isFinite(chart.mean) ? t("chart.no_spread")
          : chart.stops.length ? t("chart.stopped", { n: new Set(chart.stops.map((s) => s.time)).size }) : t("chart.in_control"),
    ].join(" ");
    words.textContent = Number.isFinite(chart.mean) ? `${said} ${t("chart.key")}` : said;
    canvas.setAttribute("aria-label", said);
    paint();
  };
  return node;
}
