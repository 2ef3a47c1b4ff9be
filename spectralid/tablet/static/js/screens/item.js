// One item: everything known of it, and what can be added.

import { h } from "../dom.js";
import { known, number, t } from "../i18n.js";
import { ApiError, call, get, path, post } from "../api.js";
import { form } from "../form.js";
import { once } from "../act.js";
import { linkTo } from "../shell.js";
import { alarmPanel, listOf, more, queueBadge } from "../verdict.js";
import { answerCard } from "./answers.js";
import { declaredFields } from "./flow.js";
import { arrivedFiles, scansOf } from "./scan.js";

const LONGEST_PX = 1600;
const JPEG = 0.85;
const UPLOAD_MS = 30000;

export async function item(context) {
  context.item = context.part;
  const facts = await get(path("/api/items", context.part));
  const made = { strip, declared, note }[context.query.get("do")];
  return made ? made(context, facts) : overview(context, facts);
}

const page = (ref) => `/item/${encodeURIComponent(ref)}`;
const back = (ref) => h("div.row.end", {}, linkTo(page(ref), t("page.cancel")));

async function overview(context, facts) {
  const ref = context.part;
  const title = facts.label || facts.item_ref;
  const { assessment } = facts;
  const arrived = facts.suggest || !facts.scans.length ? await get("/api/arrived").catch(() => []) : [];
  const place = h("div", {});
  const again = () => context.again();
  const node = [
    h("div.head", {}, h("h1", { tabindex: "-1" }, title), queueBadge(facts.queue)),
    assessment && alarmPanel({
      alarm: assessment.alarm, headline: assessment.headline, precautions: assessment.precautions,
      extra: [
        assessment.conflicts?.length ? h("div.notice-box.bad", {}, h("h3", {}, t("item.conflict")), listOf(assessment.conflicts)) : null,
        assessment.words && more(t("item.words"), h("p", {}, assessment.words)),
        assessment.swgdrug?.length ? h("p.small", {}, t("item.swgdrug", { categories: assessment.swgdrug.join(" + ") })) : null,
      ],
    }),
    (facts.answers ?? []).map((a) => answerCard(a)),
    facts.suggest && h("section.notice-box.ask", { "aria-labelledby": "other" }, h("h2", { id: "other" }, t(`suggest.${facts.suggest}`)), h("p", {}, facts.suggest_reason || t("suggest.words")), h("p", {}, t("suggest.steps"))),
    arrivedFiles(context, arrived, ref),
    place,
    h("div.row", {}, linkTo(`/scan?item=${encodeURIComponent(ref)}`, t("scan.title"), true), linkTo(`${page(ref)}?do=strip`, t("strip.title")), linkTo(`${page(ref)}?do=declared`, t("declared.title")),
      linkTo(`${page(ref)}?do=note`, t("note.title")), photoButton(t("photo.take"), async (blob) => {
        await call("POST", path("/api/items", ref, "photos"), blob, { type: blob.type, timeout: UPLOAD_MS });
        again();
      }, place), linkTo("/?step=item", t("item.next"))),
    h("section", { "aria-labelledby": "scans" }, h("h2", { id: "scans" }, t("item.scans")), facts.scans.length ? scansOf(facts.scans) : h("p", {}, t("item.no_scans"))),
    facts.fusion && h("section.card", { "aria-labelledby": "fusion" }, h("h2", { id: "fusion" }, t("item.fusion")), h("p", {}, h("strong", {}, known("fusion", facts.fusion.outcome)), " ", facts.fusion.words)),
    h("div.columns", {},
      h("section.card", { "aria-labelledby": "declared" }, h("h2", { id: "declared" }, t("declared.title")), declaredFacts(facts.declared)),
      h("section.card", { "aria-labelledby": "strips" }, h("h2", { id: "strips" }, t("item.strips")), facts.strips.length ? facts.strips.map(stripFacts) : h("p", {}, t("item.no_strips"))),
      h("section.card", { "aria-labelledby": "notes" }, h("h2", { id: "notes" }, t("item.notes")),
        facts.notes?.length ? listOf(facts.notes.map((n) => (typeof n === "string" ? n : n.text))) : h("p", {}, t("item.no_notes")),
        facts.photos?.length ? [h("h3", {}, t("item.photos")), photos(facts.photos)] : null),
      h("section.card", { "aria-labelledby": "facts" }, h("h2", { id: "facts" }, t("item.facts")), h("dl.facts", {},
        h("dt", {}, t("item.container")), h("dd", {}, known("container", facts.container)),
        h("dt", {}, t("seizure.label")), h("dd", {}, h("a.button", { href: `/history?seizure=${encodeURIComponent(facts.seizure_ref)}` }, t("seizure.show")))))),
  ];
  return { title, node, key: (s) => JSON.stringify([s.queue.queued, s.queue.received, s.queue.answered, s.queue.attention, s.answers?.unread]) };
}

const photos = (taken) => h("ul.thumbs", {}, taken.map((p, i) => h("li", {}, p.packet_id
  ? h("img", { src: path("/api/records", p.packet_id, "photos", p.sha256), alt: t("photo.alt", { n: i + 1 }), loading: "lazy" }) : p.name || p.sha256.slice(0, 12))));

function declaredFacts(declared) {
  if (!declared) return h("p", {}, t("declared.none"));
  const bad = declared.outcome === "inconsistent";
  return [
    h("dl.facts", {}, ["text", "cas", "tariff"].filter((f) => declared[f]).map((f) => [h("dt", {}, t(`declared.${f}`)), h("dd", {}, declared[f])])),
    declared.outcome && h(`div.notice-box${bad ? ".bad" : ""}`, {}, h("p", {}, h("strong", {}, known("outcome", declared.outcome))), listOf(declared.reasons)),
  ];
}

function stripFacts(strip) {
  const { evidence } = strip;
  const ratio = Number.isFinite(evidence?.ratio)
    ? t("strip.ratio", { ratio: number(evidence.ratio, 1), low: number(evidence.low, 1), high: number(evidence.high, 1) })
    : t("strip.no_ratio");
  return h(`div.notice-box${evidence?.conflict ? ".bad" : ""}`, {}, h("h3", {}, `${strip.target}: ${known("strip", strip.result)}`), h("p", {}, [strip.brand, strip.lot, strip.expiry].filter(Boolean).join(" · ")),
    strip.packet_id && strip.photo ? h("p", {}, h("img", { class: "shot", src: path("/api/records", strip.packet_id, "photos", strip.photo), alt: t("strip.photo"), loading: "lazy" })) : null,
    evidence && [evidence.conflict && h("p", {}, h("strong", {}, t("strip.conflict"))), h("p", {}, ratio), listOf(evidence.reasons)]);
}

async function strip(context, facts) {
  const title = t("strip.title");
  const { targets, brands } = await get("/api/strips/choices");
  const options = (names) => names.map((n) => (typeof n === "string" ? { value: n, label: n } : { value: n.value ?? n.name, label: n.label ?? n.title ?? n.name }));
  let photo = null;
  const place = h("div", {});
  const node = form(`strip:${context.part}`, {
    label: t("strip.record"),
    fields: (f) => [
      f.choice("target", { label: t("strip.target"), options: options(targets), required: true, width: "200px" }),
      f.choice("result", { label: t("strip.result"), options: ["pos", "neg", "invalid"].map((r) => ({ value: r, label: t(`strip.${r}`) })), required: true, width: "200px" }),
      f.choice("brand", { label: t("strip.brand"), options: [...options(brands), { value: "", label: t("strip.other_brand") }], value: localStorage.getItem("strip-brand"), width: "200px" }),
      h("p", {}, t("strip.weight")),
      h("div.columns", {},
        f.text("dilution_mg_ml", { label: t("strip.dilution"), mode: "decimal", limit: 12 }),
        f.text("read_s", { label: t("strip.read"), mode: "decimal", limit: 8 }),
        f.text("expiry", { label: t("strip.expiry"), type: "date", value: localStorage.getItem("strip-expiry") ?? "" })),
      h("details", {}, h("summary", {}, t("strip.more")), h("div.inside", {},
        f.text("lot", { label: t("strip.lot"), limit: 40, value: localStorage.getItem("strip-lot") ?? "" }),
        f.text("cutoff_ng_ml", { label: t("strip.cutoff"), mode: "decimal", limit: 12 }))),
      photoButton(t("strip.photo"), async (blob, told) => { photo = await dataUrl(blob); told(t("photo.ready")); }, place),
      place,
    ],
    submit: async (values) => {
      await post(path("/api/items", context.part, "strips"), { ...values, photo }, { timeout: UPLOAD_MS });
      // The next strip is from the same box.
      for (const [field, value] of [["brand", values.brand], ["lot", values.lot], ["expiry", values.expiry]]) localStorage.setItem(`strip-${field}`, value ?? "");
      context.go(page(context.part));
    },
  });
  return { title, node: [h("h1", { tabindex: "-1" }, title), h("p.soft", {}, facts.label), h("div.card", {}, node), back(context.part)] };
}

async function declared(context, facts) {
  const title = t("declared.title");
  const node = form(`declared:${context.part}`, {
    label: t("declared.check"),
    fields: (f) => declaredFields(f, facts.declared),
    submit: async ({ text, cas, tariff }) => {
      if (!text && !cas && !tariff) throw new ApiError(t("declared.empty"), { code: "empty" });
      await post(path("/api/items", context.part, "declared"), { text, cas, tariff });
      context.go(page(context.part));
    },
  });
  return { title, node: [h("h1", { tabindex: "-1" }, title), h("p.soft", {}, facts.label), h("div.card", {}, node), back(context.part)] };
}

async function note(context, facts) {
  const title = t("note.title");
  const node = form(`note:${context.part}`, {
    label: t("note.record"),
    fields: (f) => [f.text("text", { label: t("note.label"), lines: 5, limit: 2000, required: true })],
    submit: async ({ text }) => { await post(path("/api/items", context.part, "notes"), { text }); context.go(page(context.part)); },
  });
  return { title, node: [h("h1", { tabindex: "-1" }, title), h("p.soft", {}, facts.label), h("div.card", {}, node), back(context.part)] };
}

/** A picture from the camera or a file, made small enough for a packet. */
function photoButton(label, taken, place) {
  const words = h("span", {}, label);
  const input = h("input", { type: "file", accept: "image/*", capture: "environment", "aria-label": label, onchange: () => {
    const [file] = input.files;
    if (file) once("photo", null, async () => taken(await small(file), (text) => { words.textContent = text; input.setAttribute("aria-label", text); }), place);
  } });
  return h("div.photo", {}, input, words);
}

async function small(file) {
  let picture;
  try { picture = await createImageBitmap(file); } catch { throw new ApiError(t("photo.unreadable"), { code: "photo" }); }
  const scale = Math.min(1, LONGEST_PX / Math.max(picture.width, picture.height));
  const canvas = h("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => { canvas.toBlob(resolve, "image/jpeg", JPEG); });
}

const dataUrl = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(new ApiError(t("photo.unreadable"), { code: "photo" }));
  reader.readAsDataURL(blob);
});
