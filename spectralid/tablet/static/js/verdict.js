// How a verdict looks: one word, one shape, one colour, and what it stands on.

import { h } from "./dom.js";
import { count, known, percent, t } from "./i18n.js";

const ALARMS = ["danger", "unknown", "warning", "notice"];
const URGENT = ["danger", "unknown"];

/** An alarm nobody knows is handled as unknown, never as harmless. */
export const alarmOf = (word) => (ALARMS.includes(word) ? word : "unknown");
export const isUrgent = (word) => URGENT.includes(alarmOf(word));

/** The loudest of some alarms, or null. */
export const loudest = (words) => ALARMS.find((alarm) => words.filter(Boolean).map(alarmOf).includes(alarm)) ?? null;

/** The sign with its word inside. */
export function sign(word, tag = "p") {
  const alarm = alarmOf(word);
  return h(`div.sign.${alarm}`, {}, h("div.edge", {}), h("div.face", {}, h(`${tag}.word`, tag === "h1" ? { tabindex: "-1" } : {}, t(`alarm.${alarm}`))));
}

/** The same shape, small, beside a text that says the word. */
export const mark = (word) => h(`span.mark.${alarmOf(word)}`, { role: "img", "aria-label": t(`alarm.${alarmOf(word)}`) });

export const listOf = (texts, facts = {}) => (texts?.length ? h("ul", facts, texts.map((text) => h("li", {}, text))) : null);

/** What few need at once, behind its title. */
export const more = (title, content) => (content ? h("details", {}, h("summary", {}, title), h("div.inside", {}, content)) : null);

/** Sign, precautions, name: precautions stand above the name wherever the substance may hurt. */
export function alarmPanel({ alarm, kind = "", headline, words = "", precautions = [], extra = null, lang = null, under = [], tag = "p", level = "h2" }) {
  const name = h(`${level}.name`, { lang }, headline);
  const care = precautions.length
    ? [h(level, {}, t("result.precautions")), listOf(precautions, { class: "precautions", lang })]
    : [];
  const kicker = h("p.kicker", {}, [kind && known("kind", kind), t("presumptive.word")].filter(Boolean).join(" · "));
  return h(`section.card.alarm.${alarmOf(alarm)}`, { "aria-label": t("result.verdict") }, h(
    "div.verdict", {}, h("div.shown", {}, sign(alarm, tag), under),
    h("div.said", {}, isUrgent(alarm) ? [care, kicker, name] : [kicker, name, care], words && h("p", { lang }, words), extra),
  ));
}

/** A probability; rounding never makes it certain. */
const chance = (p) => (p > 0.99 ? `> ${percent(0.99)}` : p < 0.01 ? `< ${percent(0.01)}` : percent(p));

/** Components with their share of the signal, its range, and how sure the name is. */
export function bars(components) {
  return h("ul.bars", {}, components.map((c) => {
    const share = Number.isFinite(c.share) ? Math.min(1, Math.max(0, c.share)) : null;
    const range = Number.isFinite(c.low) && Number.isFinite(c.high) && percent(c.low) !== percent(c.high);
    const bar = share === null ? null : h("div.bar", { "aria-hidden": "true" }, h("div.share", {}), range ? h("div.range", {}) : null);
    bar?.style.setProperty("--share", share);
    if (range) {
      bar?.style.setProperty("--low", Math.max(0, c.low));
      bar?.style.setProperty("--high", Math.min(1, c.high));
    }
    const facts = [
      Number.isFinite(c.probability) && t("component.probability", { p: chance(c.probability) }),
      c.tier && known("tier", c.tier),
    ].filter(Boolean).join(" · ");
    return h(
      "li", {},
      h("div.line", {}, h("span", {}, c.form ? `${c.name} (${c.form})` : c.name), h("span", {}, share === null ? t("component.no_share")
        : range ? t("component.share", { share: percent(share), low: percent(c.low), high: percent(c.high) }) : percent(share))),
      bar, facts && h("span.small.soft", {}, facts),
    );
  }));
}

const SYMBOL = { queued: "○", sending: "↑", received: "✓", answered: "✓✓", attention: "!" };

/** Where a packet is on its way, as a word with a sign. */
export function queueBadge(state) {
  if (!state) return null;
  return h(`span.badge-state.${SYMBOL[state] ? state : "queued"}`, {}, h("span", { "aria-hidden": "true" }, SYMBOL[state] ?? "○"), known("queue", state));
}

/** Why a packet is not further: in the officer's language where the reason has a name. */
export const reasonOf = (row) => (row.code && known("reason", row.code) !== row.code ? known("reason", row.code) : row.reason ?? "");

export const ago = (days) => (Number.isFinite(days) ? count("library.age", days) : t("time.unknown"));
