// The scan: what will be scanned, the laser question, countdown, progress, the spectrum as it comes.

import { announce, fill, h, icon } from "../dom.js";
import { count, known, t, utc } from "../i18n.js";
import { get, path, post } from "../api.js";
import { now, taken } from "../state.js";
import { ask } from "../dialog.js";
import { once, say } from "../act.js";
import { linkTo } from "../shell.js";
import { plot } from "../plot.js";
import { alarmOf, mark } from "../verdict.js";
import { checkNotice, standing } from "../standing.js";
import { steps } from "./flow.js";

const COUNTED = ["warning", "warm_up"];
const IDENTIFY_MS = 60000;

/** Why a scan ended without a result: in the officer's language where the reason has a name. */
export const failure = (f) => (f.code && known("failed", f.code) !== f.code ? known("failed", f.code) : f.sentence);

const remember = (fact) => { try { sessionStorage.setItem("scanning", JSON.stringify(fact)); } catch { /* only a reload at this moment would miss it */ } };
const remembered = () => { try { return JSON.parse(sessionStorage.getItem("scanning")); } catch { return null; } };
const forget = () => sessionStorage.removeItem("scanning");

export async function scan(context) {
  const { current } = now();
  const ref = context.query.get("item") ?? current.item_ref;
  context.item = ref;
  if (current.scan?.purpose === "check") { context.go("/check", { replace: true }); return null; }
  if (current.scan) return running(context, current.scan);
  const last = await missed();
  if (last?.packet_id) { context.go(`/result/${encodeURIComponent(last.packet_id)}`, { replace: true }); return null; }
  if (!ref) { context.go("/?step=item", { replace: true }); return null; }
  return ready(context, ref, last);
}

/** How a scan ended that this page began and then did not hear of, because it was being reloaded or cut off. */
async function missed() {
  const started = remembered();
  if (!started) return null;
  const last = now().current.last;
  if (last && last.scan_id === started.scan_id) { forget(); return last; }
  const { scans } = await get(path("/api/items", started.item_ref));
  const found = scans.find((s) => !started.known.includes(s.packet_id));
  if (found) forget();
  return found ?? null;
}

async function ready(context, ref, ended) {
  const title = t("scan.title");
  const [facts, arrived] = await Promise.all([get(path("/api/items", ref)), get("/api/arrived").catch(() => [])]);
  const place = h("div", {});
  const { device } = now();
  const start = async (again = false) => {
    const known = facts.scans.map((s) => s.packet_id);
    const { scan_id: id } = await post("/api/scans", { item_ref: ref, confirmed: true, ...(again ? { again: true } : {}) }, { timeout: 20000 });
    remember({ scan_id: id, item_ref: ref, known });
    await taken(get("/api/state"));
    if (location.pathname === "/scan") context.again();
  };
  const press = () => once("scan", button, async () => {
    if (!(await consent(device))) return;
    try {
      await start();
    } catch (error) {
      if (error.code !== "same_item") throw error;
      const said = await ask({
        title: t("scan.same"), content: [h("p", {}, t("scan.same_words"))], focus: "title",
        choices: [{ value: "again", label: t("scan.same_again"), primary: true }, { value: "item", label: t("scan.same_new") }],
      });
      if (said?.choice === "again") await start(true);
      if (said?.choice === "item") context.go("/?step=item");
    }
  }, place);
  const button = h("button.button.primary.huge", { type: "button", onclick: press }, icon("scan"), t("scan.start"));
  const check = device.check?.state ?? "unknown";
  const node = [
    steps("scan"),
    h("h1", { tabindex: "-1" }, title),
    checkNotice(device),
    h("div.columns", {},
      h("section.card", { "aria-labelledby": "of" },
        h("h2", { id: "of" }, facts.label),
        h("dl.facts", {},
          h("dt", {}, t("item.container")), h("dd", {}, known("container", facts.container)),
          facts.declared && [h("dt", {}, t("declared.short")), h("dd", {}, [facts.declared.text, facts.declared.cas, facts.declared.tariff].filter(Boolean).join(" · "))],
          h("dt", {}, t("scan.done_before")), h("dd", {}, count("scan.scans", facts.scans.length))),
        h("div.row.end", {}, linkTo(`/item/${encodeURIComponent(ref)}`, t("item.record")), linkTo("/?step=item", t("item.next")))),
      h("section.card", { "aria-labelledby": "with" },
        h("h2", { id: "with" }, t("scan.instrument")),
        device.connected
          ? h("dl.facts", {},
            h("dt", {}, t("device.name")), h("dd", {}, device.name || device.kind),
            h("dt", {}, t("device.state")), h("dd", {}, known("device", device.state)),
            h("dt", {}, t("check.label")), h("dd", {}, check === "passed" ? standing(device.check) : known("check", check)))
          : [h("p", {}, t("scan.not_connected")), h("div.row", {}, linkTo("/?step=connect", t("connect.title"), true))],
        device.fault && h("div.notice-box.bad", {}, h("p", {}, device.fault)),
        device.connected && check === "passed" && h("div.row.end", {}, linkTo("/check", t("check.title"))))),
    place,
    device.connected && h("div.row", {}, button),
    arrivedFiles(context, arrived, ref),
    facts.scans.length > 0 && h("section", { "aria-labelledby": "before" }, h("h2", { id: "before" }, t("scan.before")), scansOf(facts.scans)),
  ];
  if (ended && ended.code !== "cancelled") place.append(h("div.notice-box.bad", {}, h("p", {}, failure(ended))));
  context.on("arrived", context.again);
  context.on("failed", (f) => { if (f.scan_id) { forget(); if (f.code !== "cancelled") say(place, failure(f)); } });
  context.on("stopping", forget);
  return { title, node, key: (state) => [state.device.connected, state.device.state, state.current.scan?.scan_id, state.device.check?.state, state.device.check?.reason].join(" ") };
}

/** Scans of an item, the newest first. */
export const scansOf = (scans) => h("ul.records", {}, [...scans].sort((a, b) => (b.seq ?? 0) - (a.seq ?? 0)).map((s) => h("li", {}, h(
  "a.record", { href: `/result/${encodeURIComponent(s.packet_id)}` }, mark(s.alarm),
  h("span", {}, h("span.what", {}, s.headline), h("span.when", {}, [t(`alarm.${alarmOf(s.alarm)}`), known("kind", s.verdict ?? s.kind), known("technique", s.technique), utc(s.utc)].filter(Boolean).join(" · "))),
))));

/** Spectra that came into the watched folder and belong to no item yet. */
export function arrivedFiles(context, files, ref) {
  if (!files?.length) return null;
  const place = h("div", {});
  return h("section.card", { "aria-labelledby": "arrived" }, h("h2", { id: "arrived" }, t("arrived.title")), place, h("ul.records", {}, files.map((f) => {
    const button = h("button.button", { type: "button", onclick: () => once(`assign:${f.file}`, button, async () => {
      const { packets } = await post("/api/arrived/assign", { file: f.file, item_ref: ref }, { timeout: IDENTIFY_MS });
      if (packets?.length) context.go(`/result/${encodeURIComponent(packets.at(-1))}`);
      else context.again();
    }, place) }, t("arrived.assign"));
    return h("li.record.still", {}, icon("scan"), h("span", {}, h("span.what", {}, f.file), h("span.when", {}, [known("technique", f.technique), utc(f.utc)].join(" · "))), button);
  })));
}

/** The officer confirms glasses and beam; a stray Enter or second tap confirms nothing. */
export async function consent(device) {
  const words = device.safety || t("scan.no_safety");
  const said = await ask({
    title: t(device.laser ? "consent.title" : "consent.title_no_laser"), danger: true, focus: "title",
    content: [device.simulated && h("p.simulated-band", {}, t("chips.simulated")), h("p.safety", {}, words), device.laser && h("p", {}, t("consent.words"))],
    choices: [{ value: "go", label: t(device.laser ? "consent.go" : "consent.go_no_laser"), primary: true }],
  });
  return Boolean(said);
}

/** What is being measured, for a scan or for a check. */
export async function running(context, at) {
  const checking = at.purpose === "check";
  const title = t(checking ? "check.title" : "running.title");
  const number = h("p.countdown", { "aria-hidden": "true" });
  const stage = h("h1", { tabindex: "-1" });
  const detail = h("p", {});
  const bar = h("progress", { max: 1, "aria-label": t("running.progress") });
  const place = h("div", {});
  const live = plot({ caption: t("running.live"), height: 260 });
  let heard = "";
  const show = (p) => {
    stage.textContent = known("stage", p.stage);
    const counted = COUNTED.includes(p.stage);
    number.hidden = !counted;
    number.textContent = counted ? Math.ceil(p.done) : "";
    if (p.total > 0) bar.value = Math.min(1, Math.max(0, counted ? 1 - p.done / p.total : p.done / p.total));
    else bar.removeAttribute("value");
    detail.textContent = counted ? t("running.seconds", { n: Math.ceil(p.done) })
      : [p.total > 1 && t("running.frames", { done: p.done, total: p.total }), Number.isFinite(p.snr) && p.snr > 0 && t("running.snr", { snr: Math.round(p.snr) })].filter(Boolean).join(" · ");
    if (p.stage !== heard) { heard = p.stage; announce([stage.textContent, counted ? detail.textContent : ""].filter(Boolean).join(" ")); }
  };
  show({ stage: "warning", done: 0, total: 0, snr: null, ...at });
  context.on("progress", (p) => { if (p.scan_id === at.scan_id) show(p); });
  context.on("live", (l) => { if (l.scan_id === at.scan_id) live.draw(l.x, l.y); });
  context.on("failed", (f) => {
    if (f.scan_id !== at.scan_id) return;
    forget();
    if (f.code === "cancelled") { context.again(); return; }
    fill(stage, t("running.failed"));
    number.hidden = true;
    bar.hidden = true;
    detail.textContent = "";
    say(place, failure(f));
    place.append(h("div.row", {}, h("button.button.primary", { type: "button", onclick: () => { place.replaceChildren(); context.again(); } }, t(f.retake ? "scan.again" : "page.back"))));
  });
  context.on("result", forget);
  context.on("stopping", forget);
  context.leaving(live.done);
  const failed = () => place.hasChildNodes();
  const node = [checking ? null : steps("scan"), h("section.card", {}, h("div.head", {}, stage, number), bar, detail), place, h("section.card", {}, live)];
  // When the scan is over and neither its result nor its failure was heard, the screen looks for itself.
  return { title, node, key: (state) => (failed() ? at.scan_id : String(state.current.scan?.scan_id)) };
}
