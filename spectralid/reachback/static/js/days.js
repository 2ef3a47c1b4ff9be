// A figure of an instrument over its days: what it may be, and where a rule stopped it; and the same in words.

import { h } from "./dom.js";
import { number, t } from "./i18n.js";

const HEIGHT = 150;
const MARGIN = 14;

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** As many digits as tell one day from the next. */
export const figure = (value) => {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  return number(value, size >= 1000 || size === 0 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3);
};

/** What a chart says, in words. */
export function said(chart) {
  const end = chart.needed ? t("days.needed", { n: chart.needed }) : chart.mean === null ? t("days.no_spread")
    : chart.stops.length ? t("days.stopped", { n: new Set(chart.stops.map((one) => one.time)).size }) : t("days.in_control");
  return `${t("days.last", { n: chart.values.length, last: figure(chart.values.at(-1)), unit: chart.unit })} ${end}`;
}

/** The chart as a figure; it draws itself again when its size or the theme changes. */
export function days(chart, title) {
  const canvas = h("canvas", { role: "img", "aria-label": `${title}: ${said(chart)}` });
  const node = h("figure.days", {}, h("figcaption.small", {}, h("strong", {}, title), " ", said(chart)), canvas);
  const paint = () => {
    const width = canvas.clientWidth;
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(HEIGHT * ratio);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const charted = chart.mean !== null;
    const all = [...chart.values, ...(charted ? [chart.stop_low, chart.stop_high] : [])];
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const span = high - low || Math.abs(high) || 1;
    const up = (value) => HEIGHT - MARGIN - ((value - low) / span) * (HEIGHT - 2 * MARGIN);
    const across = (i) => (chart.values.length < 2 ? width / 2 : MARGIN + (i / (chart.values.length - 1)) * (width - 2 * MARGIN));
    const line = (points, stroke, thick, dash = []) => {
      pen.strokeStyle = colour(stroke);
      pen.lineWidth = thick;
      pen.setLineDash(dash);
      pen.beginPath();
      for (const [x, y] of points) pen.lineTo(x, y);
      pen.stroke();
      pen.setLineDash([]);
    };
    if (charted) {
      for (const at of [chart.stop_low, chart.stop_high]) line([[0, up(at)], [width, up(at)]], "bad", 1.5, [7, 5]);
      line([[0, up(chart.mean)], [width, up(chart.mean)]], "plot-grid", 1);
      line(chart.average.flatMap((at, i) => (at === null ? [] : [[across(i), up(at)]])), "warn", 2.5);
    }
    line(chart.values.map((value, i) => [across(i), up(value)]), "plot-axis", 1);
    const stopped = new Set(chart.stops.map((one) => one.time));
    chart.values.forEach((value, i) => {
      pen.fillStyle = colour("plot-axis");
      pen.beginPath(); pen.arc(across(i), up(value), 3, 0, 2 * Math.PI); pen.fill();
      if (!stopped.has(chart.times[i])) return;
      pen.strokeStyle = colour("bad");
      pen.lineWidth = 2;
      pen.strokeRect(across(i) - 7, up(value) - 7, 14, 14);
    });
  };
  const redraw = new ResizeObserver(paint);
  redraw.observe(canvas);
  addEventListener("theme", paint);
  node.done = () => { redraw.disconnect(); removeEventListener("theme", paint); };
  return node;
}
