// The way to a scan, one step at a time: instrument, seizure, item. What is already there is not asked again.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { get, path, post, put } from "../api.js";
import { now, taken } from "../state.js";
import { form } from "../form.js";
import { linkTo } from "../shell.js";
import { mark } from "../verdict.js";
import { checkNotice } from "../standing.js";
import { connecting } from "./connect.js";

const STEPS = ["connect", "seizure", "item", "scan"];
const MODES = ["mail", "express", "land", "air", "sea", "other"];
const CONTAINERS = ["none", "pe", "glass", "other"];

/** Where the officer is on the way; not controls, only a line of orientation. */
export function steps(at) {
  const here = STEPS.indexOf(at);
  return h("ol.steps", { "aria-label": t("steps.label") }, STEPS.map((step, i) => h(
    `li${i < here ? ".done" : ""}`, { "aria-current": i === here ? "step" : null },
    h("span.dot", { "aria-hidden": "true" }, i < here ? "✓" : i + 1), h("span", {}, t(`steps.${step}`)), i < here && h("span.unseen", {}, t("steps.done")),
  )));
}

const stepOf = (state, wanted, given) => {
  if (["seizure", "item", "connect"].includes(wanted)) return wanted === "item" && !given && !state.current.seizure_ref ? "seizure" : wanted;
  if (!state.device.connected) return "connect";
  if (!state.current.seizure_ref) return "seizure";
  return state.current.item_ref ? "scan" : "item";
};

export async function flow(context) {
  const wanted = context.query.get("step");
  const step = stepOf(now(), wanted, context.query.get("seizure"));
  if (step === "scan") { context.go("/scan", { replace: true }); return null; }
  const made = await { connect, seizure, item }[step](context);
  return { ...made, key: (state) => `${step === "connect" && state.device.connected} ${state.device.check?.state} ${state.device.check?.reason}` };
}

async function connect(context) {
  const title = t("connect.title");
  const device = await get("/api/device");
  return { title, node: [steps("connect"), h("h1", { tabindex: "-1" }, title), checkNotice(device), connecting(context, device, () => context.go("/")), h("div.row", {}, linkTo("/?step=seizure", t("connect.without")))] };
}

async function seizure(context) {
  const title = t("seizure.title");
  const open = (await get("/api/seizures")).filter((s) => !s.closed).slice(0, 5);
  const officer = now().officer;
  const node = form("seizure", {
    label: t("seizure.open"),
    fields: (f) => [
      !officer && f.text("officer", { label: t("settings.officer"), hint: t("settings.officer_hint"), required: true, limit: 40 }),
      f.text("place", { label: t("seizure.place"), value: localStorage.getItem("place") ?? now().site ?? "", required: true, limit: 120 }),
      f.choice("mode", { label: t("seizure.mode"), options: MODES.map((m) => ({ value: m, label: t(`mode.${m}`) })), value: localStorage.getItem("mode") ?? "mail", required: true, width: "136px" }),
      h("details", {}, h("summary", {}, t("seizure.more")), h("div.inside", {}, f.text("note", { label: t("note.label"), lines: 3, limit: 2000 }))),
    ],
    submit: async ({ officer: who, ...values }) => {
      if (who) await taken(put("/api/settings", { officer: who }));
      const { seizure_ref: made } = await post("/api/seizures", values);
      localStorage.setItem("place", values.place);
      localStorage.setItem("mode", values.mode);
      context.go(`/?step=item&seizure=${encodeURIComponent(made)}`);
    },
  });
  const others = open.length
    ? h("section", { "aria-labelledby": "going-on" }, h("h2", { id: "going-on" }, t("seizure.going_on")), h("ul.records", {}, open.map((s) => h("li", {}, h(
      "a.record", { href: `/?step=item&seizure=${encodeURIComponent(s.seizure_ref)}` }, s.alarm ? mark(s.alarm) : h("span", {}),
      h("span", {}, h("span.what", {}, s.place || s.seizure_ref), h("span.when", {}, [t(`mode.${MODES.includes(s.mode) ? s.mode : "other"}`), t("seizure.items", { n: itemsOf(s) })].join(" · "))),
    )))))
    : null;
  return { title, node: [steps("seizure"), h("h1", { tabindex: "-1" }, title), checkNotice(now().device), h("div.columns.wide-first", {}, h("div.card", {}, node), others)] };
}

const itemsOf = (seizureFacts) => (Array.isArray(seizureFacts.items) ? seizureFacts.items.length : Number(seizureFacts.items) || 0);

async function item(context) {
  const title = t("item.new");
  const ref = context.query.get("seizure") ?? now().current.seizure_ref;
  const within = await get(path("/api/seizures", ref));
  const node = form(`item:${ref}`, {
    label: t("item.open"),
    fields: (f) => [
      f.text("label", { label: t("item.label"), hint: t("item.label_hint"), value: t("item.default", { n: itemsOf(within) + 1 }), required: true, limit: 80 }),
      f.choice("container", { label: t("item.container"), options: CONTAINERS.map((c) => ({ value: c, label: t(`container.${c}`), icon: c })), value: "none", required: true, width: "150px" }),
      h("details", {}, h("summary", {}, t("declared.add")), h("div.inside", {}, declaredFields(f))),
    ],
    submit: async ({ label, container, text, cas, tariff }) => {
      const declared = text || cas || tariff ? { text, cas, tariff } : null;
      const { item_ref: made } = await post("/api/items", { seizure_ref: ref, label, container, declared });
      context.go(`/scan?item=${encodeURIComponent(made)}`);
    },
  });
  return {
    title,
    node: [steps("item"), h("div.head", {}, h("h1", { tabindex: "-1" }, title), h("span.soft", {}, t("item.in", { place: within.place || ref }))), checkNotice(now().device), h("div.card", {}, node),
      h("div.row", {}, linkTo("/?step=seizure", t("seizure.other")))],
  };
}

/** What the papers say is in it: the same three fields wherever they are asked. */
export const declaredFields = (f, known = {}) => [
  f.text("text", { label: t("declared.text"), hint: t("declared.text_hint"), value: known?.text ?? "", limit: 300 }),
  f.text("cas", { label: t("declared.cas"), value: known?.cas ?? "", limit: 20 }),
  f.text("tariff", { label: t("declared.tariff"), value: known?.tariff ?? "", limit: 20 }),
];
