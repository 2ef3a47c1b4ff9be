// What has gone where: every packet with its state, and the ways to move them.

import { fill, h } from "../dom.js";
import { count, known, t, utc } from "../i18n.js";
import { get, post } from "../api.js";
import { now } from "../state.js";
import { button, say } from "../act.js";
import { form } from "../form.js";
import { queueBadge, reasonOf } from "../verdict.js";

const DISK_MS = 120000;

export async function queue(context) {
  const title = t("queue.title");
  const place = h("div", {});
  const counts = h("ul.counts", { "aria-label": t("queue.counts") });
  const rows = h("ol.records", { "aria-label": t("queue.packets") });
  const link = h("p", {});
  const trouble = h("div", {});
  const redraw = async () => {
    const found = await get("/api/queue");
    const { queue: q } = now();
    fill(counts, ["queued", "sending", "received", "answered", "attention"].map((s) => h(`li${s === "attention" && q[s] ? ".bad" : ""}`, {}, h("b", {}, q[s] ?? 0), known("queue", s))));
    fill(trouble, q.attention_code ? h("div.notice-box.bad", {}, h("p", {}, reasonOf({ code: q.attention_code, reason: t("queue.attention_unknown") }))) : null);
    const why = !q.online && q.failure_code ? known("reason", q.failure_code) : "";
    fill(link, !q.endpoint ? t("queue.no_server") : q.online ? t("queue.online") : t("queue.offline"), " ", why && why !== q.failure_code ? `${why} ` : "", q.endpoint && (q.last_contact_utc ? t("queue.last", { time: utc(q.last_contact_utc) }) : t("queue.never")));
    fill(rows, found.rows.map(packet));
    if (!found.rows.length) fill(rows, h("li", {}, t("queue.empty")));
  };
  await redraw();
  const node = [
    h("h1", { tabindex: "-1" }, title), trouble, counts, link, place,
    h("div.row", {}, button(t("queue.retry"), "retry", async () => { await post("/api/queue/retry"); await redraw(); say(place, t("queue.retried"), false); }, place, { primary: true })),
    h("h2", {}, t("queue.packets")), rows,
    h("div.columns", {}, usb("export", t("usb.export"), t("usb.export_words"), async (folder) => count("usb.written", (await post("/api/queue/export", { folder }, { timeout: DISK_MS })).written), redraw),
      usb("import", t("usb.import"), t("usb.import_words"), async (folder) => {
        const { taken, refused } = await post("/api/queue/import", { folder }, { timeout: DISK_MS });
        return [count("usb.taken", taken), ...(refused ?? [])].join(" ");
      }, redraw)),
  ];
  // Numbers move while the officer types a folder: only the list is drawn anew.
  let was = JSON.stringify(now().queue);
  context.on("state", (s) => { const is = JSON.stringify(s.queue); if (is !== was) { was = is; redraw().catch(() => {}); } });
  return { title, node };
}

const packet = (row) => h("li.record.still", {}, h("span.mono", {}, row.seq ? `#${row.seq}` : ""),
  h("span", {}, h("span.what", {}, row.headline || known("packet", row.kind)), h("span.when", {}, [row.headline && known("packet", row.kind), row.tries > 0 && count("queue.tries", row.tries), row.next_try_utc && t("queue.next", { time: utc(row.next_try_utc) })].filter(Boolean).join(" · ")),
    reasonOf(row) && h("p", {}, reasonOf(row))), queueBadge(row.state));

function usb(name, title, words, work, redraw) {
  const done = h("div", {});
  const node = form(`usb-${name}`, {
    label: title,
    fields: (f) => [f.text("folder", { label: t("usb.folder"), hint: t("usb.hint"), value: localStorage.getItem("usb") ?? "", required: true, limit: 500 })],
    submit: async ({ folder }) => {
      const sentence = await work(folder);
      localStorage.setItem("usb", folder);
      say(done, sentence, false);
      await redraw();
    },
  });
  return h("section.card", { "aria-labelledby": `usb-${name}` }, h("h2", { id: `usb-${name}` }, title), h("p", {}, words), node, done);
}
