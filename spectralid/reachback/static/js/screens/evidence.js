// What else speaks: why it was sent, the tablet's verdict, items, strips, photos, history, similar seizures, decisions.

import { get, path } from "../api.js";
import { h } from "../dom.js";
import { known, number, percent, t, utc } from "../i18n.js";

const card = (title, ...content) => h("section.card", {}, h("h2", {}, title), content);
const facts = (pairs) => h("dl.facts", {}, pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
const listed = (values) => (values?.length ? h("ul", {}, values.map((one) => h("li", {}, one))) : null);

export function evidenceCards(said, caseId, one) {
  return [whyCard(said), fieldCard(said), itemsCard(said), stripsCard(said), photosCard(said, caseId), said.blind ? null : historyCard(caseId), decisionsCard(said), one && !said.blind ? dossierCard(one) : null];
}

function whyCard(said) {
  if (said.blind) return card(t("why.title"), h("p.soft", {}, t("look.hidden")));
  const words = [...new Set([...said.scans.flatMap((scan) => scan.why), ...said.sends.flatMap((send) => send.why)])];
  const notes = [...said.scans.map((scan) => scan.officer_note), ...said.sends.map((send) => send.officer_note), ...said.notes.map((note) => note.text)].filter((note, i, all) => note && all.indexOf(note) === i);
  return card(t("why.title"),
    words.length ? h("p", {}, words.map((word) => [h("span.tag", {}, known("why", word)), " "])) : h("p.soft", {}, t("why.none")),
    said.case.round > 1 ? h("p", {}, t("why.round", { n: said.case.round, why: known("round", said.case.why_round) })) : null,
    notes.length ? [h("h3", {}, t("why.notes")), notes.map((note) => h("p", { class: "note" }, note))] : null);
}

function fieldCard(said) {
  if (said.blind) return null;
  const scans = said.scans.filter((scan) => scan.field);
  return card(t("field.title"), scans.map((scan) => [
    h("p", {}, h("strong", {}, scan.field.headline || known("verdict", scan.field.decision)), " ", scan.field.alarm ? h("span.tag", {}, known("alarm", scan.field.alarm)) : null),
    facts([
      [t("field.scan"), `${scan.item_ref} · ${known("technique", scan.technique)} · ${utc(scan.captured_utc)}`],
      [t("field.components"), scan.field.components.map((c) => `${c.name}${c.share === null ? "" : ` ${percent(c.share)}`}`).join(", ")],
      [t("field.families"), scan.field.families.join(", ")],
      [t("field.reasons"), scan.field.reasons.join(", ")],
      [t("field.warned"), scan.caution_shown.join(", ")],
      [t("field.instrument"), Object.entries(scan.instrument).filter(([name]) => name !== "technique").map(([name, value]) => `${name} ${value}`).join(", ")],
      [t("field.check"), known("check", scan.ipv)],
      [t("field.library"), scan.field.library],
    ]),
  ]));
}

function itemsCard(said) {
  return card(t("items.title"), said.items.length ? said.items.map((item) => facts([
    [t("items.ref"), item.item_ref], [t("items.label"), item.label], [t("items.container"), item.container],
    [t("items.declared"), item.declared], ["CAS", item.cas], [t("items.tariff"), item.tariff],
  ])) : h("p.soft", {}, t("none")));
}

function stripsCard(said) {
  return card(t("strips.title"), said.strips.length ? [said.strips.map((strip) => facts([
    [strip.target || t("strips.unknown"), h("strong", {}, known("strip", strip.result))],
    [t("items.ref"), strip.item_ref],
    [t("strips.kind"), [strip.brand, strip.lot, strip.expiry].filter(Boolean).join(" · ")],
    [t("strips.dilution"), strip.dilution_mg_ml === null ? t("strips.nodilution") : `${number(strip.dilution_mg_ml, 2)} mg/mL`],
    [t("strips.cutoff"), strip.cutoff_ng_ml === null ? "" : `${number(strip.cutoff_ng_ml)} ng/mL`],
    [t("strips.read"), strip.read_s === null ? "" : `${number(strip.read_s)} s`],
  ])), h("p.small.soft", {}, t("strips.words"))] : h("p.soft", {}, t("none")));
}

function photosCard(said, caseId) {
  if (!said.photos.length) return card(t("photos.title"), h("p.soft", {}, t("none")));
  const address = (photo) => path("/v1/cases", caseId, "packets", String(photo.seq), "files", photo.sha256);
  return card(t("photos.title"), h("ul.photos", {}, said.photos.map((photo) => h("li", {}, photo.media_type
    ? h("a", { href: address(photo), target: "_blank", rel: "noopener" }, h("img", { src: address(photo), alt: t("photos.alt", { name: photo.name || photo.sha256.slice(0, 8), item: photo.item_ref || "–" }), loading: "lazy" }))
    : h("a", { href: address(photo), download: `${photo.sha256.slice(0, 16)}.bin` }, t("photos.file", { name: photo.name || photo.sha256.slice(0, 8), size: number(photo.size / 1024, 1) }))))));
}

function historyCard(caseId) {
  const place = h("div", {}, h("p.soft", {}, t("loading")));
  const node = card(t("history.title"), place);
  get(path("/v1/cases", caseId, "device-history")).then((said) => {
    place.replaceChildren(
      h("p.small", {}, t("history.checks", { device: said.device_id }), " ", said.checks.length ? said.checks.slice(0, 3).map((one) => `${utc(one.utc)} ${t(one.passed ? "check.passed" : "check.failed")}`).join("; ") : t("none")),
      h("div.scroll", { tabindex: "0", role: "region", "aria-label": t("history.title") }, h("table", {}, h("caption.unseen", {}, t("history.title")),
        h("thead", {}, h("tr", {}, [t("history.when"), t("history.case"), t("history.said")].map((name) => h("th", { scope: "col" }, name)))),
        h("tbody", {}, said.scans.slice(0, 25).map((scan) => h("tr", {}, h("td", {}, utc(scan.captured_utc)), h("td", {}, scan.case_id === caseId ? t("history.this") : scan.case_id), h("td", {}, known("verdict", scan.verdict), scan.substances.length ? `: ${scan.substances.join(", ")}` : "")))))));
  }).catch((error) => place.replaceChildren(h("p", {}, error.message)));
  return node;
}

/** Other seizures like this one, where the server can say so. */
export function similarCard(caseId) {
  const place = h("div", {}, h("p.soft", {}, t("loading")));
  const node = card(t("similar.title"), place);
  get(path("/v1/cases", caseId, "similar"), { timeout: 30000 }).then((said) => {
    place.replaceChildren(...(said.similar.length ? [
      h("ul", {}, said.similar.slice(0, 10).map((one) => h("li", {}, h("a", { href: `#/case/${encodeURIComponent(one.case_id)}` }, one.case_id), " ", t("similar.lr", { lr: `${one.capped ? "≥ " : ""}${number(one.log10_ratio, 1)}` }), " ", one.words, " ", h("span.soft", {}, `${one.site_ref} · ${utc(one.opened_utc).slice(0, 10)} · ${known("state", one.state)}`)))),
      h("p.small.soft", {}, t("similar.searched", { n: said.searched }), " ", said.limits),
    ] : [h("p.soft", {}, t("similar.none")), h("p.small.soft", {}, t("similar.searched", { n: said.searched }))]));
  }).catch((error) => { place.replaceChildren(h("p.soft", {}, error.status === 404 ? t("similar.none") : error.message)); });
  return node;
}

function decisionsCard(said) {
  if (said.blind || (!said.decisions.length && !said.answers.length)) return null;
  return card(t("decisions.title"),
    said.decisions.map((one) => [h("h3", {}, t(`decisions.${one.kind}`), ` · ${one.by} · ${utc(one.utc)}`), h("p", {}, one.said.headline ?? (one.said.agrees ? t("review.agrees") : t("review.returned"))), h("p.mono.small", {}, one.said.basis ?? one.said.note ?? one.said.words ?? "")]),
    said.answers.length ? [h("h3", {}, t("answers.title")), h("ul", {}, said.answers.map((one) => h("li", {}, `${utc(one.utc)}: ${one.headline}`, " ", h("span.tag", {}, t(one.superseded ? "answers.superseded" : one.shown_utc ? "answers.shown" : "answers.sent")))))] : null);
}

function dossierCard(one) {
  const engine = one.state.sheet?.engine;
  if (!engine) return null;
  return card(t("dossier.title"),
    engine.alarms.length ? h("p", {}, h("span.tag.bad", {}, `▲ ${engine.alarms.join(", ")}`)) : null,
    engine.families.length ? listed(engine.families.map((f) => `${f.family}: ${number(f.log_ratio, 1)}${f.lead_only ? ` (${t("dossier.lead")})` : ""}`)) : null,
    engine.leads.length ? h("p.small", {}, t("dossier.leads"), " ", engine.leads.slice(0, 5).map((lead) => lead.name).join(", ")) : null,
    h("details", {}, h("summary", {}, t("dossier.all")), h("div.scroll.mono", { tabindex: "0", role: "region", "aria-label": t("dossier.all") }, engine.dossier)));
}
