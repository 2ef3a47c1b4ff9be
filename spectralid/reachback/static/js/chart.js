// Panels one above the other that share their axis, their zoom and their cursor. Every curve has a colour, a dash and a
// name in the legend; where the cursor is, every value stands in words.

import { announce, fill, fresh, h, quietly } from "./dom.js";
import { number, t } from "./i18n.js";

const MARGIN = { left: 52, right: 12, top: 20, bottom: 6 };
const BOTTOM = 34;
const FONT = 13;
export const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [14, 4], [1, 4], [5, 2, 1, 2, 1, 2]];

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

/** A short line of a curve's colour and dash, for legends. */
export function sample(name, dash) {
  const line = h("line", { x1: 1, y1: 6, x2: 27, y2: 6, "stroke-dasharray": dash.join(" ") || null });
  line.style.stroke = `var(--${name})`;
  return h("svg", { width: 28, height: 12, "aria-hidden": "true" }, line);
}

function ticks(low, high, room) {
  const rough = (high - low) / Math.max(2, Math.floor(room / 90));
  const power = 10 ** Math.floor(Math.log10(rough));
  const size = [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= rough);
  const out = [];
  for (let at = Math.ceil(low / size) * size; at <= high + size * 1e-9; at += size) out.push(at);
  return out;
}

/** The index of the point nearest to `at`; `x` ascends. */
export function nearest(x, at) {
  let low = 0;
  let high = x.length - 1;
  while (high - low > 1) {
    const mid = (low + high) >> 1;
    if (x[mid] < at) low = mid; else high = mid;
  }
  return at - x[low] < x[high] - at ? low : high;
}

/** The panels. `set({x, panels, marks, peaks, infrared, keep})` gives what is drawn. */
export function chart({ heights = [230, 170, 110], cursorMoved = () => {} } = {}) {
  const words = fresh("readout");
  const readout = h("p.readout", { id: words });
  const legend = h("ul.legend", {});
  const panels = heights.map((height) => ({ title: h("p", {}), canvas: h("canvas", { height, "aria-hidden": "true" }), height }));
  const node = h("figure.chart", {
    tabindex: "0", role: "application", "aria-roledescription": t("chart.role"), "aria-label": t("chart.label"), "aria-describedby": words,
  }, readout, panels.map((one) => h("div.panel", {}, one.title, one.canvas)), legend);

  let data = { x: [], panels: [], marks: [], peaks: [], infrared: false };
  let view = [0, 1];
  let full = [0, 1];
  let cursor = null;
  let drag = null;
  let waiting = 0;

  const paint = () => { if (!waiting) waiting = requestAnimationFrame(() => { waiting = 0; panels.forEach(draw); }); };
  const across = (at, width) => {
    const part = (at - view[0]) / (view[1] - view[0] || 1);
    return MARGIN.left + (data.infrared ? 1 - part : part) * (width - MARGIN.left - MARGIN.right);
  };
  const back = (px, width) => {
    const part = (px - MARGIN.left) / (width - MARGIN.left - MARGIN.right);
    return view[0] + (data.infrared ? 1 - part : part) * (view[1] - view[0]);
  };

  function range(curves, symmetric) {
    let low = Infinity;
    let high = -Infinity;
    for (const curve of curves) {
      for (let i = 0; i < curve.x.length; i += 1) {
        if (curve.x[i] < view[0] || curve.x[i] > view[1]) continue;
        const y = curve.y[i];
        if (y === null) continue;
        if (y < low) low = y;
        if (y > high) high = y;
      }
    }
    if (!(high > low)) return [low - 1 || 0, low + 1 || 1];
    if (symmetric) { const most = Math.max(Math.abs(low), Math.abs(high)); return [-most * 1.15, most * 1.15]; }
    return [low - 0.04 * (high - low), high + 0.12 * (high - low)];
  }

  function draw(one, index) {
    const spec = data.panels[index];
    const last = index === Math.max(data.panels.length, 1) - 1;
    const width = one.canvas.clientWidth;
    const tall = one.height + (last ? BOTTOM - MARGIN.bottom : 0);
    if (!width) return;
    const ratio = devicePixelRatio || 1;
    one.canvas.width = Math.round(width * ratio);
    one.canvas.height = Math.round(tall * ratio);
    one.canvas.style.height = `${tall}px`;
    const pen = one.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, width, tall);
    pen.font = `${FONT}px ${getComputedStyle(document.body).fontFamily}`;
    const bottom = one.height - MARGIN.bottom;
    const [low, high] = range([...(spec?.curves ?? []), ...(spec?.bands ?? []).flatMap((b) => [{ x: b.x, y: b.high }, { x: b.x, y: b.low }])], spec?.symmetric);
    const up = (y) => bottom - ((y - low) / (high - low || 1)) * (bottom - MARGIN.top);
    pen.textAlign = "center";
    pen.lineWidth = 1;
    for (const at of ticks(view[0], view[1], width - MARGIN.left - MARGIN.right)) {
      const px = across(at, width);
      pen.strokeStyle = colour("plot-grid");
      pen.beginPath(); pen.moveTo(px, MARGIN.top); pen.lineTo(px, bottom); pen.stroke();
      if (last) { pen.fillStyle = colour("plot-axis"); pen.fillText(number(at), px, bottom + 16); }
    }
    if (last) { pen.fillStyle = colour("plot-axis"); pen.fillText(t("chart.axis"), (MARGIN.left + width - MARGIN.right) / 2, tall - 2); }
    pen.textAlign = "right";
    pen.fillStyle = colour("plot-axis");
    for (const at of ticks(low, high, (bottom - MARGIN.top) * 2).slice(0, 5)) pen.fillText(Math.abs(at) >= 1000 ? number(at) : number(at, 2), MARGIN.left - 5, up(at) + 4);
    pen.save();
    pen.beginPath(); pen.rect(MARGIN.left, 0, width - MARGIN.left - MARGIN.right, bottom + 1); pen.clip();
    for (const band of spec?.bands ?? []) {
      pen.fillStyle = colour(band.colour);
      pen.beginPath();
      band.x.forEach((x, i) => { if (band.high[i] !== null) pen.lineTo(across(x, width), up(band.high[i])); });
      for (let i = band.x.length - 1; i >= 0; i -= 1) if (band.low[i] !== null) pen.lineTo(across(band.x[i], width), up(band.low[i]));
      pen.fill();
    }
    if (spec?.zero) { pen.strokeStyle = colour("plot-axis"); pen.beginPath(); pen.moveTo(0, up(0)); pen.lineTo(width, up(0)); pen.stroke(); }
    if (index === 0) drawMarks(pen, width, bottom);
    for (const curve of spec?.curves ?? []) {
      pen.strokeStyle = colour(curve.colour);
      pen.lineWidth = curve.width ?? 1.6;
      pen.setLineDash(curve.dash ?? []);
      pen.lineJoin = "round";
      pen.beginPath();
      let gap = true;
      for (let i = 0; i < curve.x.length; i += 1) {
        if (curve.y[i] === null) { gap = true; continue; }
        const px = across(curve.x[i], width);
        if (gap) pen.moveTo(px, up(curve.y[i])); else pen.lineTo(px, up(curve.y[i]));
        gap = false;
      }
      pen.stroke();
    }
    pen.setLineDash([]);
    if (index === 0) drawPeaks(pen, width, up);
    if (cursor !== null) {
      pen.strokeStyle = colour("plot-cursor");
      pen.lineWidth = 1.5;
      pen.beginPath(); pen.moveTo(across(cursor, width), 0); pen.lineTo(across(cursor, width), bottom); pen.stroke();
    }
    pen.restore();
    pen.strokeStyle = colour("plot-axis");
    pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(MARGIN.left, MARGIN.top); pen.lineTo(MARGIN.left, bottom); pen.lineTo(width - MARGIN.right, bottom); pen.stroke();
  }

  // A band that the spectrum has is a filled triangle with a line; one that it lacks is hollow, with a dashed line.
  function drawMarks(pen, width, bottom) {
    pen.strokeStyle = colour("c-mark");
    pen.fillStyle = colour("c-mark");
    for (const mark of data.marks) {
      const px = across(mark.position, width);
      const reach = Math.abs(across(mark.position + (mark.tolerance ?? 0), width) - px);
      pen.globalAlpha = 0.14;
      pen.fillRect(px - reach, MARGIN.top, 2 * reach, bottom - MARGIN.top);
      pen.globalAlpha = 1;
      pen.lineWidth = 1.2;
      pen.setLineDash(mark.found === null ? [3, 3] : []);
      pen.beginPath(); pen.moveTo(px, bottom); pen.lineTo(px, MARGIN.top + (1 - mark.height) * (bottom - MARGIN.top) * 0.6 + 12); pen.stroke();
      pen.setLineDash([]);
      pen.beginPath(); pen.moveTo(px - 5, bottom); pen.lineTo(px + 5, bottom); pen.lineTo(px, bottom - 9); pen.closePath();
      if (mark.found === null) pen.stroke(); else pen.fill();
    }
  }

  function drawPeaks(pen, width, up) {
    const shown = data.panels[0]?.curves[0];
    if (!shown) return;
    pen.textAlign = "center";
    const placed = [];
    for (const peak of [...data.peaks].filter((p) => p.position >= view[0] && p.position <= view[1]).sort((a, b) => b.height - a.height).slice(0, 14)) {
      const px = across(peak.position, width);
      if (placed.some((at) => Math.abs(at - px) < 44)) continue;
      placed.push(px);
      const y = shown.y[nearest(shown.x, peak.position)];
      if (y === null) continue;
      const text = `${number(peak.position)}${peak.by && !peak.by.length && data.named ? " ?" : ""}`;
      pen.fillStyle = colour("text");
      pen.fillText(text, Math.min(Math.max(px, MARGIN.left + 18), width - 30), Math.max(up(y) - 6, 12));
    }
  }

  const tell = quietly((text) => announce(text), 250);
  function point(at, aloud = false) {
    if (!data.x.length) return;
    cursor = Math.min(Math.max(at, full[0]), full[1]);
    const said = [`${number(cursor, 1)} cm⁻¹`];
    for (const spec of data.panels) {
      for (const curve of spec.curves) {
        const y = curve.y[nearest(curve.x, cursor)];
        if (y !== null && y !== undefined) said.push(`${curve.name} ${Math.abs(y) >= 1000 ? number(y) : number(y, 3)}`);
      }
    }
    const near = data.peaks.find((peak) => Math.abs(peak.position - cursor) <= 4);
    if (near) said.push(t("chart.band", { at: number(near.position) }));
    const text = said.join(" · ");
    readout.textContent = text;
    if (aloud) tell(text);
    cursorMoved(cursor);
    paint();
  }

  function zoom(by, at = cursor ?? (view[0] + view[1]) / 2) {
    const span = Math.min(Math.max((view[1] - view[0]) * by, 20), full[1] - full[0]);
    const part = (at - view[0]) / (view[1] - view[0] || 1);
    pan(at - part * span, span);
  }
  function pan(from, span = view[1] - view[0]) {
    const low = Math.min(Math.max(from, full[0]), full[1] - span);
    view = [low, low + span];
    paint();
  }
  const reset = () => { view = [...full]; paint(); };

  for (const { canvas } of panels) {
    const at = (event) => back(event.clientX - canvas.getBoundingClientRect().left, canvas.clientWidth);
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(event.deltaY < 0 ? 0.8 : 1.25, at(event)); }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); drag = { x: event.clientX, from: view[0] }; });
    canvas.addEventListener("pointerup", () => { drag = null; });
    canvas.addEventListener("dblclick", reset);
    canvas.addEventListener("pointermove", (event) => {
      if (drag && event.buttons) {
        const scale = (view[1] - view[0]) / (canvas.clientWidth - MARGIN.left - MARGIN.right);
        pan(drag.from + (data.infrared ? 1 : -1) * (event.clientX - drag.x) * scale);
      } else point(at(event));
    });
  }
  node.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !data.x.length) return;
    const way = data.infrared ? -1 : 1;
    const step = (event.shiftKey ? 10 : 1) * Math.max((view[1] - view[0]) / 400, 0.5);
    const here = cursor ?? (view[0] + view[1]) / 2;
    const steps = {
      ArrowLeft: () => point(here - way * step, true), ArrowRight: () => point(here + way * step, true),
      "+": () => zoom(0.7), "=": () => zoom(0.7), "-": () => zoom(1.4), 0: reset, Home: reset,
      PageUp: () => pan(view[0] - 0.5 * way * (view[1] - view[0])), PageDown: () => pan(view[0] + 0.5 * way * (view[1] - view[0])),
      ",": () => toPeak(-way), ".": () => toPeak(way),
    };
    if (!steps[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    steps[event.key]();
    if (cursor !== null && (cursor < view[0] || cursor > view[1])) pan(cursor - (view[1] - view[0]) / 2);
  });
  function toPeak(way) {
    const here = cursor ?? (way > 0 ? -Infinity : Infinity);
    const all = data.peaks.map((peak) => peak.position).filter((at) => (way > 0 ? at > here + 0.5 : at < here - 0.5)).sort((a, b) => way * (a - b));
    if (all.length) point(all[0], true);
  }

  const resized = new ResizeObserver(paint);
  resized.observe(node);
  addEventListener("theme", paint);
  Object.assign(node, {
    done: () => { resized.disconnect(); removeEventListener("theme", paint); },
    zoom, reset, point,
    view: () => [...view],
    cursor: () => cursor,
    set: (given) => {
      const keep = data.x.length > 0;
      data = { ...data, ...given };
      const known = data.panels[0]?.curves[0];
      if (known?.x.length) {
        const there = known.x.filter((_, i) => known.y[i] !== null);
        const ends = [there[0] ?? 0, there.at(-1) ?? 1];
        full = [Math.min(...ends), Math.max(...ends)];
      }
      if (!keep || view[0] < full[0] - 50 || view[1] > full[1] + 50 || view[1] - view[0] > full[1] - full[0]) view = [...full];
      panels.forEach((one, i) => {
        one.title.textContent = data.panels[i]?.title ?? "";
        one.canvas.parentElement.hidden = !data.panels[i];
      });
      const names = new Map(data.panels.flatMap((spec) => spec.curves.map((curve) => [curve.name, curve])));
      fill(legend, [...names.values()].map((curve) => h("li", {}, sample(curve.colour, curve.dash ?? []), curve.name)));
      if (cursor !== null) point(cursor); else readout.textContent = t("chart.hint");
      paint();
    },
  });
  return node;
}
