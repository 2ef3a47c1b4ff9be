// The instrument's daily check: how it stands, measuring the standard, every figure with its limits, the days so far.

import { announce, fill, h, icon } from "../dom.js";
import { hour, known, number, t, utc } from "../i18n.js";
import { standing } from "../standing.js";
import { call, get, path, post, put } from "../api.js";
import { now, taken } from "../state.js";
import { button, once } from "../act.js";
import { choices, form } from "../form.js";
import { linkTo } from "../shell.js";
import { plot } from "../plot.js";
import { controlChart, figure } from "../chart.js";
import { listOf, more, queueBadge, reasonOf } from "../verdict.js";
import { consent, failure, running } from "./scan.js";
import { download } from "./result.js";

const FILE_MS = 60000;
// Figures whose failure asks for the same thing to be done.
const CARE = {
  axis: ["bands", "axis_shift", "axis_stretch"], light: ["snr", "strength", "self_match", "relative_intensity"], bright: ["saturated_points"],
  dark: ["dark_level", "dark_noise", "temperature", "dead_pixels", "hot_pixels"], worn: ["resolution"], stray: ["background"],
};

export async function check(context) {
  return context.part ? one(context) : overview(context);
}

async function overview(context) {
  const { current, device } = now();
  if (current.scan) return running(context, current.scan);
  const title = t("check.title");
  const [facts, arrived] = await Promise.all([get("/api/checks"), get("/api/arrived").catch(() => [])]);
  const place = h("div", {});
  const chart = charts(context, facts.charts);
  const node = [
    h("h1", { tabindex: "-1" }, title),
    h(`section.notice-box.${{ passed: "good", failed: "bad" }[facts.standing.state] ?? "ask"}`, { "aria-labelledby": "stands" },
      h("h2", { id: "stands" }, standing(facts.standing)),
      h("p", {}, { passed: t("check.passed_words"), failed: t("check.failed_words") }[facts.standing.state] ?? (facts.standing.reason ? t("check.skipped_words", { reason: facts.standing.reason }) : t("check.due_words"))),
      facts.serial && h("p.small", {}, t("check.of", { serial: facts.serial }))),
    place,
    measuring(context, facts, arrived, device, place),
    facts.standing.due && skipping(context),
    chart.node,
    h("section", { "aria-labelledby": "before" }, h("h2", { id: "before" }, t("check.before")), facts.rows.length ? h("ul.records", {}, facts.rows.map(row)) : h("p", {}, t("check.none_before"))),
  ];
  const last = current.last;
  if (last?.purpose === "check" && last.sentence && last.code !== "cancelled" && !told.has(last.scan_id)) { told.add(last.scan_id); place.append(h("div.notice-box.bad", {}, h("p", {}, failure(last)))); }
  context.on("arrived", context.again);
  return { title, node, shown: chart.shown, key: (s) => JSON.stringify([s.device.connected, s.device.state, s.device.serial, s.device.check, s.current.scan?.scan_id, s.queue.queued]) };
}

// A failure that stands on the screen already is not told once more by a screen drawn anew.
const told = new Set();

const row = (r) => h("li", {}, h("a.record", { href: `/check/${encodeURIComponent(r.check_id)}` }, h(`span.outcome.${r.outcome}`, { "aria-hidden": "true" }, SIGN[r.outcome]),
  h("span", {}, h("span.what", {}, t(`outcome_of_check.${r.outcome}`)), h("span.when", {}, utc(r.utc))), queueBadge(r.queue.state)));

const SIGN = { passed: "✓", failed: "✕", skipped: "–" };

function measuring(context, facts, arrived, device, place) {
  const kept = (key) => { try { return localStorage.getItem(key) ?? ""; } catch { return ""; } };
  const keep = (key, value) => { try { localStorage.setItem(key, value); } catch { /* asked again tomorrow */ } };
  const titles = facts.standards.map((s) => ({ value: s.name, label: known("standard", s.name) === s.name ? s.title : t(`standard.${s.name}`), kind: s.kind }));
  const few = titles.slice(0, 3);
  let standard = titles.find((s) => s.value === kept("standard"))?.value ?? titles[0]?.value;
  const lot = h("input.text", { id: "lot", name: "lot", type: "text", maxlength: 60, autocomplete: "off", "aria-describedby": "lot-hint", value: kept(`lot:${standard}`), oninput: () => keep(`lot:${standard}`, lot.value.trim()) });
  const picked = (value) => { standard = value; keep("standard", value); lot.value = kept(`lot:${value}`); };
  const group = (options, name, label) => choices(name, { label, options, value: standard, width: "240px", changed: (value) => { other.inputs.concat(first.inputs).forEach((input) => { input.checked = input.value === value; }); picked(value); } });
  const first = group(few, "standard", t("check.standard"));
  const other = group(titles.slice(3), "other-standard", t("check.other_standards"));
  const asked = () => ({ standard, lot: lot.value.trim() });
  const done = ({ check_id: id }) => context.go(`/check/${encodeURIComponent(id)}`);
  const measure = h("button.button.primary.huge", { type: "button", onclick: () => once("check", measure, async () => {
    if (!(await consent(device))) return;
    await post("/api/checks", { ...asked(), confirmed: true }, { timeout: 20000 });
    await taken(get("/api/state"));
    context.again();
  }, place) }, icon("check"), t("check.measure"));
  const words = h("span", {}, t("check.file"));
  const file = h("div.photo", {}, h("input", { type: "file", "aria-label": t("check.file"), onchange: (event) => {
    const [chosen] = event.target.files;
    event.target.value = "";
    if (chosen) once("check-file", null, async () => done(await call("POST", `/api/checks/file?${new URLSearchParams({ name: chosen.name, ...asked() })}`, chosen, { type: "application/octet-stream", timeout: FILE_MS })), place);
  } }), words);
  // Who checks stands in the record; whoever has not said so yet is asked once.
  const officer = now().officer ? null : h("input.text", { id: "officer", name: "officer", type: "text", maxlength: 40, autocomplete: "off", "aria-describedby": "officer-hint",
    onchange: () => once("officer", null, () => taken(put("/api/settings", { officer: officer.value.trim() })), place) });
  return h("section.card", { "aria-labelledby": "measure" }, h("h2", { id: "measure" }, t("check.now")), h("p", {}, t("check.how")),
    officer && h("div.field", {}, h("label.name", { for: "officer" }, t("settings.officer")), h("span.hint", { id: "officer-hint" }, t("settings.officer_hint")), officer),
    first, titles.length > 3 && more(t("check.other_standards"), other),
    h("div.field", {}, h("label.name", { for: "lot" }, t("check.lot")), h("span.hint", { id: "lot-hint" }, t("check.lot_hint")), lot),
    h("div.row", {}, device.connected ? measure : h("p", {}, t("check.not_connected")), device.connected ? null : linkTo("/?step=connect", t("connect.title")), file),
    arrived.length > 0 && [h("h3", {}, t("arrived.title")), h("ul.records", {}, arrived.map((f) => {
      const take = button(t("check.take"), `check:${f.file}`, async () => done(await post("/api/checks/arrived", { file: f.file, ...asked() }, { timeout: FILE_MS })), place);
      return h("li.record.still", {}, icon("scan"), h("span", {}, h("span.what", {}, f.file), h("span.when", {}, [known("technique", f.technique), utc(f.utc)].join(" · "))), take);
    }))]);
}

const skipping = (context) => more(t("check.skip"), [h("p", {}, t("check.skip_words")), form("skip-check", {
  label: t("check.skip_record"),
  fields: (f) => [f.text("reason", { label: t("check.skip_reason"), hint: t("check.skip_hint"), required: true, limit: 300, lines: 2 })],
  submit: async ({ reason }) => { await taken(post("/api/checks/skip", { reason })); context.again(); },
})]);

/** One figure at a time over its days. */
function charts(context, found) {
  if (!found.length) return { node: null, shown: () => {} };
  const name = (c) => [known("figure", c.figure), new Set(found.map((f) => f.standard)).size > 1 && known("standard", c.standard)].filter(Boolean).join(", ");
  const stopped = found.filter((c) => c.stops.length);
  let at = Math.max(0, found.indexOf(stopped[0] ?? found.find((c) => c.figure === "axis_shift")));
  const drawn = controlChart();
  const head = h("h3", {}, name(found[at]));
  const pick = choices("chart", { label: t("chart.which"), hidden: true, width: "200px", value: String(at), options: found.map((c, i) => ({ value: String(i), label: name(c) })), changed: (value) => { at = Number(value); fill(head, name(found[at])); drawn.draw(found[at]); } });
  context.leaving(drawn.done);
  return {
    node: h("section.card", { "aria-labelledby": "days" }, h("h2", { id: "days" }, t("chart.title")),
      stopped.length > 0 && h("div.notice-box.bad", {}, h("p", {}, t("chart.stop_words", { figures: stopped.map(name).join(", ") }))), head, drawn, more(t("chart.which"), pick)),
    shown: () => drawn.draw(found[at]),
  };
}

let announced = null;

async function one(context) {
  const c = await get(path("/api/checks", context.part));
  const title = t(`outcome_of_check.${c.outcome}`);
  const done = c.outcome !== "skipped";
  const spectrum = plot({ caption: t("plot.caption"), height: 280, marks: c.expected });
  const failed = c.figures.filter((f) => f.status === "failed").map((f) => f.name);
  const care = Object.keys(CARE).filter((cause) => CARE[cause].some((name) => failed.includes(name)));
  const todo = c.outcome === "failed" ? [...care.map((cause) => t(`care.${cause}`)), t("care.again"), t("care.tell"), t("care.go_on")] : [];
  const of = (name, value) => (value ? [h("dt", {}, name), h("dd", {}, value)] : null);
  const words = { passed: c.standing.state === "passed" && c.standing.until ? t("check.may_until", { time: hour(c.standing.until) }) : t("check.may"), failed: t("check.failed_words"), skipped: t("check.skipped_words", { reason: c.reason }) }[c.outcome];
  const node = [
    c.simulated && h("p.simulated-band", {}, t("result.simulated")),
    h(`section.notice-box.outcome-box.${{ passed: "good", failed: "bad" }[c.outcome] ?? "ask"}`, {}, h("h1", { tabindex: "-1" }, h("span", { "aria-hidden": "true" }, SIGN[c.outcome], " "), title), h("p", {}, h("strong", {}, words)),
      failed.length > 0 && h("p", {}, t("check.what_failed", { figures: failed.map((name) => known("figure", name)).join(", ") })),
      todo.length > 0 && [h("h2", {}, t("check.todo")), listOf(todo)]),
    h("div.row", {}, linkTo("/check", c.outcome === "failed" ? t("check.again") : t("check.title"), c.outcome === "failed"), linkTo("/", t("check.to_scan"), c.outcome !== "failed"), done && download(path("/api/checks", c.check_id, "report.pdf"), t("report.pdf"))),
    done && h("section.card", { "aria-labelledby": "figures" }, h("h2", { id: "figures" }, t("check.figures")), figures(c.figures), h("p.small.soft", {}, t("check.uncertainty"))),
    done && h("section.card", { "aria-labelledby": "spectrum" }, h("h2", { id: "spectrum" }, t("check.spectrum")), spectrum, h("p.small.soft", {}, t("check.expected"))),
    h("section.card", { "aria-labelledby": "record" }, h("h2", { id: "record" }, t("result.record")), h("dl.facts", {},
      of(t("record.time"), utc(c.utc)), of(t("device.name"), [c.instrument, c.serial].filter(Boolean).join(" ")), done && of(t("check.standard"), known("standard", c.standard)), of(t("check.lot"), c.lot), of(t("check.limits"), c.limits_version),
      of(t("check.officer"), c.officer), of(t("record.way"), [known("queue", c.queue.state), reasonOf(c.queue)].filter(Boolean).join(" · ")), of(t("record.sha256"), done && h("span.mono", {}, c.check_id)))),
  ];
  const shown = () => {
    if (done) { spectrum.draw(c.spectrum?.x ?? [], c.spectrum?.y ?? []); spectrum.describe(c.spectrum?.x ?? [], c.spectrum?.y ?? []); }
    if (announced === c.check_id) return;
    announced = c.check_id;
    announce(`${title}. ${words}`, c.outcome === "failed");
  };
  context.leaving(spectrum.done);
  return { title, node, shown, key: (s) => JSON.stringify([s.queue.queued, s.queue.received, s.queue.attention, s.device.check?.state]) };
}

const STATUS = { passed: "passed", failed: "failed", "not done": "not_done" };

const figures = (all) => h("ul.figures", {}, all.map((f) => h(`li.${STATUS[f.status]}`, {},
  h("div.line", {}, h("span", {}, known("figure", f.name)), h("span.status", {}, h("span", { "aria-hidden": "true" }, { passed: "✓ ", failed: "✕ " }[f.status] ?? "– "), t(`status.${STATUS[f.status]}`))),
  h("div.small", {}, [f.value !== null && [figure(f.value), unit(f.unit), f.uncertainty ? `± ${figure(f.uncertainty)}` : ""].filter(Boolean).join(" "), bounds(f), f.near_limit && t("check.near")].filter(Boolean).join(" · ")),
  f.note && h("div.small.soft", f.note_code ? {} : { lang: "en" }, f.note_code ? t(`note_of_check.${f.note_code}`, Object.fromEntries(f.note_facts.map((fact, i) => ["abc"[i], number(Number(fact), 1)]))) : f.note))));

const unit = (word) => (word === "counts" ? t("unit.counts") : word);

function bounds({ low, high }) {
  if (low === null && high === null) return "";
  if (low === null) return t("check.at_most", { value: figure(high) });
  return high === null ? t("check.at_least", { value: figure(low) }) : t("check.between", { low: figure(low), high: figure(high) });
}
