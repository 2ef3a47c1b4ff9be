// The result: what to fear first, then what it is, then everything it stands on.

import { announce, h } from "../dom.js";
import { known, language, t, utc } from "../i18n.js";
import { get, path } from "../api.js";
import { now } from "../state.js";
import { linkTo, reachback } from "../shell.js";
import { plot } from "../plot.js";
import { ago, alarmOf, alarmPanel, bars, isUrgent, listOf, more, queueBadge, reasonOf } from "../verdict.js";
import { answerCard } from "./answers.js";

let announced = null;

export async function result(context) {
  const record = await get(path("/api/records", context.part));
  const verdict = record.verdict ?? refused(record);
  context.item = record.item_ref;
  const lang = verdict.language ?? record.language ?? null;
  const state = now();
  const check = record.check?.state ?? record.check ?? state.device.check?.state ?? "unknown";
  const library = { ...record.library ?? state.library };
  // The age of the library in use is that of the record's, if they are the same.
  if (library.age_days === undefined && library.name === state.library.name && library.version === state.library.version) Object.assign(library, { age_days: state.library.age_days, old: state.library.old });
  const ref = encodeURIComponent(record.item_ref ?? "");
  const title = `${t(`alarm.${alarmOf(verdict.alarm)}`)}: ${verdict.headline}`;
  const spectrum = plot({ caption: t("plot.caption"), height: 280 });
  const packet = encodeURIComponent(record.packet_id);

  const node = [
    record.simulated && h("p.simulated-band", {}, t("result.simulated")),
    alarmPanel({
      alarm: verdict.alarm, kind: verdict.kind, headline: verdict.headline, words: verdict.words, precautions: verdict.precautions, lang, tag: "h1",
      under: [h("span.badge-state", {}, t("record.stored_badge", { seq: record.seq })), queueBadge(record.queue?.state), h(`span.badge-state${check === "failed" ? ".attention" : ""}`, {}, known("check", check)), library?.old && h("span.badge-state", {}, t("chips.library_old"))],
    }),
    record.queue?.state === "attention" && h("div.notice-box.bad", {}, h("p", {}, reasonOf(record.queue))),
    (record.answers ?? []).map((a) => answerCard(a)),
    verdict.escalate && h("section.notice-box.ask", { "aria-labelledby": "reachback" }, h("h2", { id: "reachback" }, t("result.escalate")),
      h("div.row", {}, h("button.button.primary", { type: "button", onclick: reachback }, t("send.button")))),
    record.suggest && h("section.notice-box.ask", { "aria-labelledby": "other" }, h("h2", { id: "other" }, t(`suggest.${record.suggest}`)), h("p", {}, record.suggest_reason || t("suggest.words")),
      h("div.row", {}, linkTo(`/item/${ref}`, t("suggest.how")))),
    h("div.row", {}, linkTo("/?step=item", t("item.next"), true), linkTo(`/scan?item=${ref}`, t("scan.again")), linkTo(`/item/${ref}?do=strip`, t("strip.title")),
      linkTo(`/item/${ref}?do=declared`, t("declared.title")), linkTo(`/item/${ref}`, t("item.record"))),
    h("div.columns", {},
      section("excluded", t("result.not_excluded"), listOf(verdict.not_excluded, { lang })),
      record.components?.length ? section("components", t("result.components"), bars(record.components), h("p.small.soft", {}, t("result.shares"))) : null,
      verdict.advice?.length ? section("advice", t("result.advice"), listOf(verdict.advice, { lang })) : null),
    section("spectrum", t("result.spectrum"), spectrum),
    more(t("result.why"), listOf(verdict.reasons, { lang })),
    more(t("result.evidence"), listOf(verdict.evidence, { lang })),
    section("record", t("result.record"), facts(record, check, library)),
    h("div.row", {}, download(`/api/records/${packet}/report.pdf`, t("report.pdf")), download(`/api/records/${packet}/report.json`, t("report.json"))),
  ];
  const shown = () => {
    spectrum.draw(record.spectrum?.x ?? [], record.spectrum?.y ?? []);
    spectrum.describe(record.spectrum?.x ?? [], record.spectrum?.y ?? []);
    // Read out once, not each time the queue moves.
    if (announced === record.packet_id) return;
    announced = record.packet_id;
    announce([title, t("presumptive.word"), isUrgent(verdict.alarm) && verdict.precautions?.[0]].filter(Boolean).join(". "), isUrgent(verdict.alarm));
  };
  context.leaving(spectrum.done);
  return { title, node, shown, key: (s) => JSON.stringify([s.queue.queued, s.queue.received, s.queue.answered, s.queue.attention, s.answers?.unread]) };
}

/** A scan that could not be compared with the library: recorded, without a name, to be handled like the unknown. */
const refused = (record) => ({
  kind: "inconclusive", alarm: "unknown", headline: t("result.refused"), words: record.refused ?? "", escalate: true, language: language(),
  precautions: [t("result.refused_care"), t("result.refused_gloves")], not_excluded: [t("result.refused_open")], reasons: [], evidence: [], advice: [],
});

const section = (id, title, ...content) => h("section.card", { "aria-labelledby": id }, h("h2", { id }, title), content);
export const download = (to, label) => h("a.button", { href: to, download: true }, label);

function facts(record, check, library) {
  const of = (name, value) => (value === null || value === undefined || value === "" ? null : [h("dt", {}, name), h("dd", {}, value)]);
  const tool = record.instrument ?? {};
  return h("dl.facts", {},
    of(t("record.stored"), t("record.stored_as", { seq: record.seq })),
    of(t("record.way"), known("queue", record.queue?.state)),
    of(t("record.lab"), t(`lab.${record.lab ?? "none"}`)),
    of(t("record.time"), [utc(record.utc), record.clock_state && record.clock_state !== "synced" ? ` (${known("clock", record.clock_state)})` : ""].join("")),
    of(t("record.item"), record.item_label),
    of(t("record.technique"), known("technique", record.technique)),
    of(t("device.name"), [tool.maker, tool.model ?? tool.instrument ?? tool.name, tool.serial].filter(Boolean).join(" ") || null),
    of(t("check.label"), [known("check", check), record.check_utc && t("check.last", { time: utc(record.check_utc) })].filter(Boolean).join(" · ")),
    of(t("library.label"), [library?.name, library?.version].filter(Boolean).join(" ")),
    of(t("library.age_label"), ago(library?.age_days)),
    of(t("policy.label"), record.verdict?.policy),
    of(t("record.sha256"), h("span.mono", {}, record.sha256)));
}
