// One case: its spectra with fit, components and rest; what else speaks for or against; and the way to a decision.

import { ApiError, get, path, post, put, remove } from "../api.js";
import { go, help, me } from "../app.js";
import { bench as opened } from "../bench.js";
import { DASHES, chart, sample } from "../chart.js";
import { ask } from "../dialog.js";
import { announce, fill, fresh, h, once, quietly, say } from "../dom.js";
import { known, number, percent, t, utc } from "../i18n.js";
import { setKeys } from "../keys.js";
import { decide, review } from "./decide.js";
import { evidenceCards, similarCard } from "./evidence.js";
import { left } from "./queue.js";

const KEEP_MS = 240000;
const COLOURS = 9;

export async function caseScreen(main, [caseId], here) {
  const mayDecide = me().roles.some((role) => role.includes("chemist"));
  const place = h("div", {});
  let lease = null;
  let why = "";
  if (mayDecide) {
    try { lease = await post(`${path("/v1/cases", caseId)}/lease`); } catch (error) {
      if (!(error instanceof ApiError) || ![403, 409].includes(error.status)) throw error;
      why = error.message;
    }
  }
  let said = await get(`${path("/v1/cases", caseId)}/bench`);
  let skew = new Date(said.now) - Date.now();
  const work = { draft: said.draft ?? {}, token: lease?.token ?? 0 };
  let at = 0;
  let one = null;
  let selected = "";
  let over = false;

  // --- the frame

  const clock = h("span.number", {});
  const held = h("span", {});
  const head = h("div.head", {});
  const plot = chart();
  const side = h("div", {});
  const below = h("div.evidence", {});
  const table = h("div", {});
  const spectra = h("div.row", {});
  const scans = () => said.scans.filter((scan) => scan.role === "sample");
  const named = () => !said.blind;
  const drawHead = () => {
    const c = said.case;
    fill(head,
      h("h1", { tabindex: "-1", "data-case": caseId }, t("case.title", { seizure: c.seizure_ref })),
      h("div.row", {},
        h("span.tag", {}, known("state", c.state)), c.high_hazard && named() ? h("span.tag.bad", {}, t("queue.two")) : null,
        h("span", {}, `${t("queue.due")}: `, clock), held,
        lease ? h("button.button.primary", { type: "button", onclick: toDecide, disabled: said.blind || null }, lease.purpose === "review" ? t("case.review") : t("case.decide"), " ", h("kbd", { "aria-hidden": "true" }, "Enter")) : null,
        lease && lease.purpose !== "review" && said.case.state !== "INTERIM" ? h("button.button", { type: "button", onclick: interim }, t("case.interim"), " ", h("kbd", { "aria-hidden": "true" }, "t")) : null,
        h("a.button", { href: "#/queue" }, t("case.back"), " ", h("kbd", { "aria-hidden": "true" }, "Esc")),
      ));
    ticking();
  };
  const ticking = () => {
    const now = new Date(Date.now() + skew);
    const c = said.case;
    const due = !c.due_utc ? { text: "–", how: "" } : c.stopped ? { text: t("due.stopped"), how: "" } : left(c.due_utc, now);
    clock.textContent = due.text;
    clock.className = `number tag ${{ late: "bad", soon: "warn" }[due.how] ?? ""}`;
    held.textContent = lease ? t("case.held", { until: utc(lease.until_utc).slice(11) }) : t("case.reading");
  };

  // --- the chart

  const colourOf = (slug) => `c${one.state.parts.findIndex((part) => part.slug === slug) % COLOURS}`;
  const dashOf = (slug) => DASHES[one.state.parts.findIndex((part) => part.slug === slug) % DASHES.length];
  const drawChart = () => {
    const { sheet, fit, marks, raw } = one.state;
    if (!sheet) return;
    const minus = (a, b) => a.map((v, i) => (v === null || b[i] === null ? null : v - b[i]));
    const shown = [];
    if (raw && sheet.raw) {
      // As the instrument gave it: its own points, its own unit.
      shown.push({ title: t("chart.raw", { unit: scans()[at].unit || "–" }), curves: [{ name: t("chart.measured"), x: order(sheet.raw.x, sheet.raw.x), y: order(sheet.raw.x, sheet.raw.y), colour: "c-measured" }] });
      if (fit) {
        const back = (y) => y.map((v) => (v === null ? null : v * fit.scale[1] + fit.scale[0]));
        const x = fit.x.map((v) => v + fit.shift);
        shown[0].curves.push({ name: t("chart.fit"), x, y: back(fit.fit), colour: "c-fit", dash: [6, 3] }, { name: t("chart.background"), x, y: back(fit.background), colour: "c-background", dash: [2, 3] });
      }
    } else if (fit) {
      shown.push({ title: t("chart.corrected"), curves: [
        { name: t("chart.measured"), x: fit.x, y: minus(fit.values, fit.background), colour: "c-measured" },
        { name: t("chart.fit"), x: fit.x, y: minus(fit.fit, fit.background), colour: "c-fit", dash: [6, 3] },
      ] });
    } else if (sheet.corrected) {
      shown.push({ title: t("chart.corrected.only"), curves: [{ name: t("chart.measured"), x: sheet.corrected.x, y: sheet.corrected.y, colour: "c-measured" }] });
    } else if (sheet.raw) {
      shown.push({ title: t("chart.raw", { unit: scans()[at].unit || "–" }), curves: [{ name: t("chart.measured"), x: order(sheet.raw.x, sheet.raw.x), y: order(sheet.raw.x, sheet.raw.y), colour: "c-measured" }] });
    }
    if (fit) {
      shown.push({ title: t("chart.components"), curves: fit.parts.map((part, i) => ({ name: part.name, x: fit.x, y: fit.curves[i], colour: colourOf(part.slug), dash: dashOf(part.slug) })) });
      shown.push({ title: t("chart.rest"), zero: true, symmetric: true, bands: [{ x: fit.x, high: fit.tolerance, low: fit.tolerance.map((v) => (v === null ? null : -v)), colour: "c-tolerance" }], curves: [{ name: t("chart.rest.name"), x: fit.x, y: fit.residual, colour: "c-rest", width: 1.2 }] });
    }
    plot.set({
      x: shown[0]?.curves[0].x ?? [], panels: shown, infrared: sheet.infrared, named: Boolean(fit),
      peaks: fit?.peaks ?? sheet.peaks,
      marks: marks && one.state.pinned && !raw ? marks.marks.filter((m) => m.inside).map((m) => ({ ...m, tolerance: marks.tolerance_cm1 })) : [],
    });
    drawTable();
  };

  function drawTable() {
    const { fit, sheet, marks } = one.state;
    const peaks = fit?.peaks ?? sheet.peaks;
    const name = (slug) => one.state.parts.find((part) => part.slug === slug)?.name ?? slug;
    const near = (at) => marks?.marks.find((m) => m.found !== null && Math.abs(m.found - at) < 0.6);
    const was = table.querySelector("details")?.open;
    fill(table, h("details.card", { open: was || null }, h("summary", {}, t("table.title", { n: peaks.length })), h("div.scroll", { tabindex: "0", role: "region", "aria-label": t("table.caption") }, h("table", {},
      h("caption.unseen", {}, t("table.caption")),
      h("thead", {}, h("tr", {}, h("th.number", { scope: "col" }, t("table.position")), h("th.number", { scope: "col" }, t("table.height")), h("th", { scope: "col" }, t("table.by")), marks ? h("th", { scope: "col" }, t("table.mark", { name: marks.name })) : null)),
      h("tbody", {}, peaks.map((peak) => h("tr", {}, h("td.number", {}, number(peak.position, 1)), h("td.number", {}, number(peak.height, 2)),
        h("td", {}, !fit ? "–" : peak.by.length ? peak.by.map(name).join(", ") : h("strong", {}, t("table.nobody"))),
        marks ? h("td", {}, near(peak.position) ? t("table.matched", { at: number(near(peak.position).position, 1) }) : "–") : null)))))));
  }

  // --- components and candidates

  const sliders = new Map();
  const parts = h("div", {});
  const figures = h("p.small.number", { id: fresh("figures") });
  const fault = h("div", { role: "alert" });
  const list = h("ul.options", { role: "listbox", tabindex: "0", id: "candidates" });
  const chosen = h("div", {});
  const lookup = h("div", {});
  const firstLook = h("div", {});

  function drawParts() {
    const { state } = one;
    const slugs = state.parts.map((part) => part.slug).join();
    if (parts.dataset.slugs !== slugs) {
      parts.dataset.slugs = slugs;
      sliders.clear();
      fill(parts, state.parts.map((part, i) => partRow(part, i)));
    }
    state.parts.forEach((part, i) => {
      const row = sliders.get(part.slug);
      const share = part.on ? (part.share ?? part.told?.share ?? 0) : 0;
      row.node.className = `part${part.on ? "" : " off"}`;
      row.toggle.setAttribute("aria-pressed", String(part.on));
      row.slider.disabled = !part.on;
      if (document.activeElement !== row.slider || part.share === null) row.slider.value = String(Math.round(share * 200) / 2);
      row.slider.setAttribute("aria-valuetext", part.on ? `${percent(share)}${part.share === null ? "" : `, ${t("part.held")}`}` : t("part.off"));
      row.share.textContent = part.on ? percent(share) : t("part.off");
      row.free.disabled = part.share === null || !part.on;
      const b = part.on ? part.told?.bands : null;
      row.more.textContent = !part.on || !part.told ? "" : [
        part.share === null && part.told.high - part.told.low < 1e-9 ? "" : part.share === null ? t("part.interval", { low: percent(part.told.low), high: percent(part.told.high) }) : t("part.held"),
        state.parts.filter((p) => p.on).length > 1 ? t("part.gain", { gain: number(part.told.gain, 0) }) : "",
        b ? t("part.bands", { n: b.supported, of: b.positions.length }) + (b.missing.length ? ` ${t("part.missing", { at: b.missing.map((m) => number(m)).join(", ") })}` : "") : "",
        part.told.tier === "measured" ? "" : t(`tier.${part.told.tier}`),
      ].filter(Boolean).join(" · ");
      row.number.textContent = i < 9 ? String(i + 1) : "·";
    });
    const f = state.fit;
    figures.textContent = f ? t("fit.figures", { chi2: number(f.chi2, 1), points: f.points, rise: number(f.rise, 1), odds: number(f.log_odds, 1), held: number(f.held_log_odds, 1), shift: number(f.shift, 1) }) : t("fit.none");
    parts.setAttribute("aria-busy", String(state.busy));
    if (state.error) fill(fault, h("div.box.bad", {}, h("p", {}, state.error))); else fill(fault);
  }

  function partRow(part, i) {
    const name = part.name ?? part.slug;
    const num = h("span", {}, String(i + 1));
    const toggle = h("button.button.small", { type: "button", "aria-label": t("part.toggle", { name }), onclick: () => toggled(i) }, num);
    const share = h("span.share", {});
    const slider = h("input", { type: "range", min: 0, max: 100, step: 0.5, "aria-label": t("part.slider", { name }), oninput: () => { one.hold(part.slug, Number(slider.value) / 100); drawParts(); } });
    const free = h("button.button.small", { type: "button", "aria-label": t("part.free.of", { name }), onclick: () => one.hold(part.slug, null) }, t("part.free"));
    const more = h("div.more", {});
    const node = h("div.part", { role: "group", "aria-label": name }, toggle, h("div.what", {}, sample(`c${i % COLOURS}`, DASHES[i % DASHES.length]), " ", name), share, h("div.slide", {}, slider, free), more);
    sliders.set(part.slug, { node, toggle, slider, free, more, share, number: num });
    return node;
  }
  const toggled = (i) => {
    const part = one.toggle(i);
    if (part) announce(t(part.on ? "part.on.said" : "part.off.said", { name: part.name }));
  };

  function rows() {
    const { state } = one;
    const out = [];
    const seen = new Set();
    const take = (group, all) => {
      const fresh_ones = all.filter((c) => !seen.has(c.slug));
      if (!fresh_ones.length) return;
      out.push({ group });
      for (const c of fresh_ones) { seen.add(c.slug); out.push(c); }
    };
    if (state.proposals) take(t("candidates.rest"), state.proposals.map((p) => ({ slug: p.slug, name: p.name, tier: p.tier, fact: t("candidates.z", { z: number(p.z, 1), gain: number(p.log_odds, 1) }) })));
    if (state.found) take(t("candidates.found"), state.found.map((c) => ({ slug: c.slug, name: c.name, fact: c.cas })));
    take(t("candidates.engine"), (state.sheet?.engine?.candidates ?? []).map((c) => ({ slug: c.slug, name: c.name, tier: c.tier, fact: c.probability === null ? number(c.score, 3) : `${number(c.score, 3)} · p ${percent(c.probability)}` })));
    take(t("candidates.fitted"), state.parts.map((p) => ({ slug: p.slug, name: p.name, fact: "" })));
    return out;
  }

  function drawCandidates() {
    const { state } = one;
    const all = rows();
    if (!all.some((c) => c.slug === selected)) selected = all.find((c) => c.slug)?.slug ?? "";
    fill(list, all.map((c) => (c.group ? h("li.group", { role: "presentation" }, c.group) : h("li", { role: "option", id: `option-${c.slug}`, "aria-selected": String(c.slug === selected), onclick: () => select(c.slug) },
      h("span", {}, c.name, c.tier && c.tier !== "measured" ? [" ", h("span.soft.small", {}, t(`tier.${c.tier}`))] : null),
      h("span.number.small", {}, state.excluded.has(c.slug) ? h("span.tag.warn", {}, `✕ ${t("candidates.excluded")}`) : state.parts.some((p) => p.on && p.slug === c.slug) ? h("span.tag.good", {}, `✓ ${t("candidates.in")}`) : null, " ", c.fact ?? "")))));
    list.setAttribute("aria-label", t("candidates.title"));
    if (selected) list.setAttribute("aria-activedescendant", `option-${selected}`); else list.removeAttribute("aria-activedescendant");
    list.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
    drawChosen();
  }

  function drawChosen() {
    const { state } = one;
    const marks = state.marks?.slug === selected ? state.marks : null;
    const inside = marks?.marks.filter((m) => m.inside) ?? [];
    const limit = state.limits.get(selected);
    const inFit = state.parts.some((p) => p.on && p.slug === selected);
    fill(chosen, marks ? [
      h("p.small", {}, h("strong", {}, marks.name), ": ", t("marks.found", { n: inside.filter((m) => m.found !== null).length, of: inside.length, tolerance: number(marks.tolerance_cm1, 1) }),
        inside.some((m) => m.found === null) ? [" ", t("marks.missing", { at: inside.filter((m) => m.found === null).map((m) => number(m.position)).join(", ") })] : null),
      !inFit && limit ? h("p.small", {}, limit.sentence) : null,
    ] : null);
  }

  const marking = quietly((slug) => one?.mark(slug).catch((error) => say(place, error.message)), 120);
  function select(slug) {
    selected = slug;
    drawCandidates();
    const name = rows().find((c) => c.slug === slug)?.name ?? "";
    announce(name);
    if (slug) marking(slug);
  }
  const step = (by) => {
    const slugs = rows().filter((c) => c.slug).map((c) => c.slug);
    if (slugs.length) select(slugs[Math.min(Math.max(slugs.indexOf(selected) + by, 0), slugs.length - 1)]);
  };
  const addSelected = () => {
    if (!selected || !named()) return;
    if (one.state.parts.some((p) => p.on && p.slug === selected)) { one.state.pinned = !one.state.pinned; drawChart(); announce(t(one.state.pinned ? "marks.on" : "marks.off")); return; }
    const name = rows().find((c) => c.slug === selected)?.name ?? selected;
    one.add(selected, name).then(() => announce(t("part.added", { name })));
  };
  const excludeSelected = () => {
    if (!selected || !named()) return;
    const name = rows().find((c) => c.slug === selected)?.name ?? selected;
    announce(t(one.exclude(selected) ? "candidates.excluded.said" : "candidates.back.said", { name }));
  };
  const residual = () => once("rest", restButton, async () => {
    await one.rest();
    announce(t("rest.said", { n: one.state.proposals?.length ?? 0 }));
    const first = one.state.proposals?.[0];
    if (first) select(first.slug);
  }, place);
  const restButton = h("button.button.small", { type: "button", onclick: residual }, t("rest.search"), " ", h("kbd", { "aria-hidden": "true" }, "r"));

  // --- before and after the first look

  function drawSide() {
    if (said.blind) { drawFirstLook(); return; }
    const tolerance = h("input.text", { type: "number", min: 0.5, max: 50, step: 0.5, value: String(one.state.tolerance), id: "tolerance", onchange: () => { one.state.tolerance = Math.min(Math.max(Number(tolerance.value) || 8, 0.5), 50); marking(selected); } });
    const search = h("input.text", { type: "search", id: "lookup", maxlength: 100, autocomplete: "off", "aria-describedby": "lookup-hint", oninput: () => finding(search.value.trim()) });
    const finding = quietly(async (text) => {
      try { one.state.found = text ? await one.find(text) : null; drawCandidates(); if (text) announce(t("lookup.said", { n: one.state.found.length })); } catch (error) { say(place, error.message); }
    }, 250);
    search.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "ArrowDown") { event.preventDefault(); list.focus(); if (one.state.found?.[0]) select(one.state.found[0].slug); }
      if (event.key === "Escape") { event.stopPropagation(); list.focus(); }
    });
    fill(side,
      h("section.card", { "aria-label": t("parts.title") }, h("h2", {}, t("parts.title")), parts, fault, figures,
        h("div.row", {}, restButton, h("button.button.small", { type: "button", onclick: () => one.engine() }, t("fit.engine")), h("button.button.small", { type: "button", id: "view", "aria-pressed": "false", onclick: toggleRaw }, t("view.raw"), " ", h("kbd", { "aria-hidden": "true" }, "b")))),
      h("section.card", { "aria-label": t("candidates.title") }, h("h2", {}, t("candidates.title")), list, chosen,
        h("div.row", {}, h("button.button.small", { type: "button", onclick: addSelected }, t("candidates.add"), " ", h("kbd", { "aria-hidden": "true" }, "m")), h("button.button.small", { type: "button", onclick: excludeSelected }, t("candidates.exclude"), " ", h("kbd", { "aria-hidden": "true" }, "x"))),
        h("div.field", {}, h("label.name", { for: "lookup" }, t("lookup.title")), h("span.hint", { id: "lookup-hint" }, t("lookup.hint")), search),
        h("div.field", {}, h("label.name", { for: "tolerance" }, t("marks.tolerance")), tolerance), lookup));
    drawParts();
    drawCandidates();
  }

  function toggleRaw() {
    one.state.raw = !one.state.raw;
    document.getElementById("view")?.setAttribute("aria-pressed", String(one.state.raw));
    announce(t(one.state.raw ? "view.raw.said" : "view.corrected.said"));
    drawChart();
  }

  function drawFirstLook() {
    const text = h("textarea.text", { id: "first-look", maxlength: 4000, rows: 5, "aria-describedby": "first-look-hint", "data-first": true });
    const told = h("div", {});
    const send = (impression, button) => once("look", button, async () => {
      await post(`${path("/v1/cases", caseId)}/first-look`, { impression });
      said = await get(`${path("/v1/cases", caseId)}/bench`);
      await openSheet(at);
      drawAll();
      announce(t("look.shown"));
      list.focus();
    }, told);
    const write = h("button.button.primary", { type: "button", onclick: () => { if (text.value.trim()) send(text.value.trim(), write); else { say(told, t("look.needed")); text.focus(); } } }, t("look.write"));
    const skip = h("button.button", { type: "button", onclick: () => send("", skip) }, t("look.skip"));
    fill(firstLook, h("section.card", { "aria-labelledby": "look-title" }, h("h2", { id: "look-title" }, t("look.title")), h("p", { id: "first-look-hint" }, t("look.words")),
      h("div.field", {}, h("label.name", { for: "first-look" }, t("look.label")), text), told, h("div.row", {}, write, skip),
      h("p.small.soft", {}, h("button.button.small", { type: "button", id: "view", "aria-pressed": "false", onclick: toggleRaw }, t("view.raw")))));
    fill(side, firstLook);
  }

  // --- spectra

  function heard(state, what) {
    if (!here() || over) return;
    if (what === "busy") { parts.setAttribute("aria-busy", "true"); return; }
    if (what === "marks") { drawChart(); drawChosen(); return; }
    if (what === "candidates") { drawCandidates(); return; }
    drawChart();
    if (named()) { drawParts(); drawCandidates(); }
    if (what === "fit" && selected) marking(selected);
  }
  async function openSheet(index) {
    one?.stop();
    at = index;
    const scan = scans()[at];
    one = opened(caseId, scan, heard);
    selected = "";
    delete parts.dataset.slugs;
    await one.load();
    if (!here()) return;
    if (one.state.sheet.problem) say(place, one.state.sheet.problem, "warn");
    if (named() && one.state.parts[0]) marking((selected = one.state.parts[0].slug));
  }
  function drawSpectra() {
    const all = scans();
    fill(spectra, all.length < 2 ? null : all.map((scan, i) => h("button.button.small", { type: "button", "aria-pressed": String(i === at), onclick: () => other(i) }, t("case.spectrum", { n: i + 1, item: scan.item_ref, technique: known("technique", scan.technique) }))));
  }
  async function other(index) {
    if (index < 0 || index >= scans().length) return;
    await openSheet(index);
    drawSpectra();
    drawSide();
  }

  // --- what is done

  async function toDecide() {
    if (!lease || said.blind) return;
    const facts = { caseId, said, one, work, scans: scans(), lease: () => lease, keepDraft, again };
    const done = await (lease.purpose === "review" ? review(facts) : decide(facts));
    if (!done) return;
    over = true;
    lease = null;
    go("#/queue");
    setTimeout(() => say(document.getElementById("notices"), t(`done.${done.state}`) === `done.${done.state}` ? t("done.other", { state: done.state }) : t(`done.${done.state}`, { why: done.reasons.map((r) => t(`reason.${r}`)).join(", ") }), "good"), 300);
  }
  async function again() {
    lease = await post(`${path("/v1/cases", caseId)}/lease`);
    work.token = lease.token;
    const before = said.case.evidence;
    said = await get(`${path("/v1/cases", caseId)}/bench`);
    skew = new Date(said.now) - Date.now();
    drawHead();
    drawSpectra();
    drawBelow();
    fill(place);
    if (said.case.evidence > before) say(place, t("case.more", { n: said.case.evidence - before }), "warn");
  }
  async function interim() {
    if (!lease || lease.purpose === "review") return;
    if (!(await ask(t("interim.title"), [t("interim.words"), `${t("presumptive.word")} · ${t("interim.headline")} – ${t("interim.text")}`], t("interim.send")))) return;
    await once("interim", null, async () => {
      await post(`${path("/v1/cases", caseId)}/interim`, { token: lease.token });
      said = { ...said, ...(await get(`${path("/v1/cases", caseId)}/bench`)) };
      drawHead();
      drawBelow();
      say(place, t("interim.done"), "good");
    }, place);
  }
  const keepDraft = async (content) => { await post(`${path("/v1/cases", caseId)}/drafts`, { token: work.token, content }); };

  const stale = (error) => {
    lease = null;
    drawHead();
    say(place, `${error.message} ${t("lease.kept")}`, "warn", h("button.button", { type: "button", onclick: (event) => once("again", event.currentTarget, again, place) }, t("lease.again")));
  };
  const keepAlive = async () => {
    if (!lease || document.hidden) return;
    try { lease = await put(`${path("/v1/cases", caseId)}/lease`, { token: lease.token }); ticking(); } catch (error) { if (error.status === 409) stale(error); }
  };

  function drawBelow() {
    const names = named() ? similarCard(caseId) : null;
    fill(below, evidenceCards(said, caseId, one), names);
  }
  function drawAll() {
    drawHead();
    drawSpectra();
    drawSide();
    drawChart();
    drawBelow();
  }

  setKeys([
    ["j", t("keys.candidate.next"), () => step(1)], ["k", t("keys.candidate.before"), () => step(-1)],
    [["1", "2", "3", "4", "5", "6", "7", "8", "9"], t("keys.toggle"), (_, key) => named() && toggled(Number(key) - 1)],
    ["m", t("keys.add"), addSelected], ["x", t("keys.exclude"), excludeSelected], ["r", t("keys.rest"), () => named() && residual()],
    ["b", t("keys.raw"), toggleRaw], ["/", t("keys.lookup"), () => document.getElementById("lookup")?.focus()],
    ["c", t("keys.chart"), () => plot.focus()], [["[", "]"], t("keys.spectrum"), (_, key) => other(at + (key === "]" ? 1 : -1))],
    ["t", t("keys.interim"), interim], ["Enter", t("keys.decide"), toDecide], ["Escape", t("keys.back"), () => go("#/queue")],
    ["?", t("keys.help"), help],
    [["←", "→", "+", "-", "0", ",", "."], t("keys.plot"), () => {}],
  ]);
  await (scans().length ? openSheet(0) : Promise.resolve());
  if (!here()) return () => {};
  fill(main, head, place, spectra, h("div.case", {}, h("div", {}, h("section.card", { "aria-label": t("chart.label") }, plot), table, below), side));
  if (scans().length) drawAll(); else { drawHead(); fill(below, evidenceCards(said, caseId, null)); say(place, t("case.nothing"), "warn"); }
  if (why) say(place, why, "warn");
  else if (said.draft && lease) say(place, t("draft.there"), "good");
  const ticker = setInterval(ticking, 1000);
  const keeper = setInterval(keepAlive, KEEP_MS);
  return async () => {
    clearInterval(ticker);
    clearInterval(keeper);
    one?.stop();
    plot.done();
    // Given back, unless something was written: then it stays for the rest of its quarter of an hour.
    if (lease && !Object.values(work.draft).some((v) => (Array.isArray(v) ? v.length : v))) {
      try { await remove(`${path("/v1/cases", caseId)}/lease?token=${lease.token}`); } catch { /* it ends by itself */ }
    }
  };
}

/** Points in ascending order of the axis. */
function order(x, y) {
  return x[0] <= x.at(-1) ? y : [...y].reverse();
}
