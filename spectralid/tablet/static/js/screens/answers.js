// Answers of reachback and laboratory, in their order; each is acknowledged once, the oldest unread one first.

import { h } from "../dom.js";
import { known, t, utc } from "../i18n.js";
import { get, path, post } from "../api.js";
import { button } from "../act.js";
import { linkTo } from "../shell.js";
import { listOf } from "../verdict.js";

export async function answers(context) {
  const title = t("answers.title");
  const all = (await get("/api/answers")).sort((a, b) => a.n - b.n);
  const first = all.find((a) => !a.shown);
  const place = h("div", {});
  const card = (a) => answerCard(a, {
    all,
    extra: a.shown ? null : a === first
      ? button(t("answers.have_read"), `shown:${a.answer_id}`, async () => { await post(path("/api/answers", a.answer_id, "shown")); context.again(); }, place, { primary: true })
      : h("p.soft", {}, t("answers.earlier_first", { n: first.n })),
    link: true,
  });
  const unread = all.filter((a) => !a.shown);
  const read = all.filter((a) => a.shown).reverse();
  const node = [
    h("h1", { tabindex: "-1" }, title), place,
    h("section", { "aria-labelledby": "unread" }, h("h2", { id: "unread" }, t("answers.unread")), unread.length ? unread.map(card) : h("p", {}, t("answers.none_unread"))),
    read.length > 0 && h("section", { "aria-labelledby": "read" }, h("h2", { id: "read" }, t("answers.read_before")), read.map(card)),
  ];
  return { title, node, key: (s) => String(s.answers?.unread) };
}

/** One answer, wherever it is shown: what to do stands above what it says. */
export function answerCard(a, { all = [], extra = null, link = false } = {}) {
  const later = all.find((other) => other.supersedes === a.answer_id);
  const earlier = all.find((other) => other.answer_id === a.supersedes);
  const marks = [
    h("span.badge-state.answered", {}, known("answer", a.kind)),
    a.late && h("span.badge-state", {}, t("answers.late")),
    later && h("span.badge-state.attention", {}, t("answers.superseded", { n: later.n })),
    a.lab && h("span.badge-state", {}, t(`lab.${a.lab}`)),
  ];
  return h(`article.notice-box${a.precautions?.length && !later ? ".ask" : ""}`, { "aria-label": t("answers.number", { n: a.n }) },
    h("p.row", {}, marks),
    a.precautions?.length ? [h("h3", {}, t("result.precautions")), listOf(a.precautions)] : null,
    h("h3", {}, a.headline), h("p", {}, a.words),
    a.supersedes && h("p", {}, h("strong", {}, earlier ? t("answers.replaces", { n: earlier.n }) : t("answers.replaces_earlier"))),
    h("p.small.soft", {}, [t("answers.number", { n: a.n }), a.by && t("answers.by", { by: a.by }), a.case && t("answers.case", { case: a.case }), utc(a.utc)].filter(Boolean).join(" · ")),
    h("div.row", {}, extra, link && a.item_ref && linkTo(`/item/${encodeURIComponent(a.item_ref)}`, t("item.record"))));
}
