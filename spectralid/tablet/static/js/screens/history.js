// What was recorded: record by record, or seizure by seizure.

import { add, h } from "../dom.js";
import { known, t, utc } from "../i18n.js";
import { get, path } from "../api.js";
import { button } from "../act.js";
import { linkTo } from "../shell.js";
import { alarmOf, loudest, mark, queueBadge } from "../verdict.js";
import { download } from "./result.js";

const PAGE = 30;

export async function history(context) {
  const seizure = context.query.get("seizure");
  if (seizure) return one(context, seizure);
  const bySeizure = context.query.get("by") === "seizure";
  const title = t("history.title");
  const tabs = h("div.row", { role: "group", "aria-label": t("history.by") }, [["/history", "records", !bySeizure], ["/history?by=seizure", "seizures", bySeizure]].map(([to, name, here]) =>
    h(`a.button${here ? ".primary" : ""}`, { href: to, "aria-current": here ? "true" : null }, t(`history.${name}`))));
  const content = bySeizure ? await seizures() : await records();
  return { title, node: [h("div.head", {}, h("h1", { tabindex: "-1" }, title), tabs), content] };
}

const linkOf = (row) => {
  if (row.kind === "scan") return `/result/${encodeURIComponent(row.packet_id)}`;
  if (row.item_ref) return `/item/${encodeURIComponent(row.item_ref)}`;
  return row.seizure_ref ? `/history?seizure=${encodeURIComponent(row.seizure_ref)}` : "/queue";
};

async function records() {
  const rows = await get(`/api/history?limit=${PAGE}`);
  if (!rows.length) return h("p", {}, t("history.empty"));
  const list = h("ol.records", { "aria-label": t("history.records") });
  const place = h("div", {});
  let last = null;
  const put = (more) => {
    add(list, more.map((row) => h("li", {}, h("a.record", { href: linkOf(row) }, row.alarm ? mark(row.alarm) : h("span", {}),
      h("span", {}, h("span.what", {}, row.headline || known("packet", row.kind)), h("span.when", {}, [row.alarm && t(`alarm.${alarmOf(row.alarm)}`), row.headline && known("packet", row.kind), `#${row.seq}`, utc(row.utc)].filter(Boolean).join(" · "))), queueBadge(row.queue?.state ?? row.queue)))));
    last = more.at(-1)?.seq ?? last;
    older.hidden = more.length < PAGE;
  };
  const older = button(t("history.older"), "older", async () => put(await get(`/api/history?limit=${PAGE}&before=${last}`)), place);
  put(rows);
  return [list, place, h("div.row", {}, older)];
}

async function seizures() {
  const rows = await get("/api/seizures");
  if (!rows.length) return h("p", {}, t("history.empty"));
  return h("ul.records", {}, rows.map((s) => h("li", {}, h("a.record", { href: `/history?seizure=${encodeURIComponent(s.seizure_ref)}` }, s.alarm ? mark(s.alarm) : h("span", {}),
    h("span", {}, h("span.what", {}, s.place || s.seizure_ref), h("span.when", {}, [known("mode", s.mode), t("seizure.items", { n: Array.isArray(s.items) ? s.items.length : s.items ?? 0 }), utc(s.opened_utc)].join(" · ")))))));
}

async function one(context, ref) {
  const s = await get(path("/api/seizures", ref));
  const title = t("seizure.at", { place: s.place || ref });
  const base = path("/api/seizures", ref);
  return {
    title,
    node: [
      h("h1", { tabindex: "-1" }, title),
      h("p.soft", {}, [known("mode", s.mode), utc(s.opened_utc)].join(" · ")),
      s.note && h("p", {}, s.note),
      h("ul.records", {}, (Array.isArray(s.items) ? s.items : []).map((i) => {
        const scans = Array.isArray(i.scans) ? i.scans : [];
        const alarm = i.alarm ?? loudest(scans.map((scan) => scan.alarm));
        return h("li", {}, h("a.record", { href: `/item/${encodeURIComponent(i.item_ref)}` }, alarm ? mark(alarm) : h("span", {}),
          h("span", {}, h("span.what", {}, i.label || i.item_ref), h("span.when", {}, [alarm && t(`alarm.${alarmOf(alarm)}`), i.headline ?? scans.at(-1)?.headline].filter(Boolean).join(" · ")))));
      })),
      h("div.row", {}, s.closed ? null : linkTo(`/?step=item&seizure=${encodeURIComponent(ref)}`, t("item.next"), true), download(`${base}/report.pdf`, t("report.pdf")), download(`${base}/report.json`, t("report.json")), linkTo("/history?by=seizure", t("page.back"))),
    ],
  };
}
