// What waits, in the order of the server: countdown, priority, state, owner.

import { get, path, post } from "../api.js";
import { go, help, me } from "../app.js";
import { announce, fill, h, once, say } from "../dom.js";
import { known, t } from "../i18n.js";
import { setKeys } from "../keys.js";

const POLL_MS = 5000;

/** How much of the hour is left, in words; later than it, that is said. */
export function left(due, now) {
  const s = Math.floor((new Date(due) - now) / 1000);
  const clock = (n) => `${Math.floor(n / 3600) ? `${Math.floor(n / 3600)}:` : ""}${String(Math.floor((n % 3600) / 60)).padStart(2, "0")}:${String(n % 60).padStart(2, "0")}`;
  if (s < 0) return { text: t("due.late", { time: clock(-s) }), how: "late" };
  return { text: t(s < 900 ? "due.soon" : "due.left", { time: clock(s) }), how: s < 900 ? "soon" : "" };
}

export async function queueScreen(main, _, here) {
  const body = h("tbody", {});
  const place = h("div", {});
  const empty = h("p.soft", { hidden: true }, t("queue.empty"));
  const chemist = me().roles.some((role) => role.includes("chemist"));
  const next = h("button.button.primary", { type: "button", onclick: () => takeNext() }, t("queue.next"), " ", h("kbd", { "aria-hidden": "true" }, "n"));
  let rows = [];
  let skew = 0;
  let timer = 0;
  let tick = 0;

  const links = () => [...body.querySelectorAll("a")];
  const move = (by) => {
    const all = links();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    all[Math.min(Math.max(at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by, 0), all.length - 1)].focus();
  };
  const takeNext = () => once("next", next, async () => {
    const { lease } = await post("/v1/queue/next");
    if (lease) go(`#/case/${encodeURIComponent(lease.case_id)}`);
    else say(place, t("queue.nothing"), "good");
  }, place);

  setKeys([
    ["j", t("keys.row.next"), () => move(1)], ["k", t("keys.row.before"), () => move(-1)],
    ["Enter", t("keys.row.open"), () => links()[0]?.click()],
    ...(chemist ? [["n", t("keys.next"), takeNext]] : []),
    ["?", t("keys.help"), help],
  ]);

  const times = () => {
    const now = new Date(Date.now() + skew);
    for (const cell of body.querySelectorAll("[data-due]")) {
      const { text, how } = cell.dataset.stopped ? { text: t("due.stopped"), how: "" } : left(cell.dataset.due, now);
      if (cell.textContent !== text) cell.textContent = text;
      cell.className = `due number ${how}`;
    }
  };
  const draw = (fresh) => {
    const focused = document.activeElement?.dataset?.case;
    const new_ones = rows.length ? fresh.filter((one) => !rows.some((old) => old.case_id === one.case_id)).length : 0;
    rows = fresh;
    fill(body, rows.map((one) => h("tr", {},
      h("td", { "data-due": one.due_utc, "data-stopped": one.stopped || null }),
      h("td", {}, h(`span.tag.${["bad", "warn", "plain"][one.priority] ?? "plain"}`, {}, `${["▲", "◆", "○"][one.priority] ?? "○"} ${t(`priority.${one.priority}`)}`), one.high_hazard ? [" ", h("span.tag.bad", {}, t("queue.two"))] : null),
      h("td", {}, h("a", { href: `#/case/${encodeURIComponent(one.case_id)}`, "data-case": one.case_id }, one.seizure_ref), h("div.soft.small", {}, one.case_id)),
      h("td", {}, one.site_ref), h("td", {}, one.device_id),
      h("td.number", {}, one.scans), h("td", {}, known("state", one.state)),
      h("td", {}, one.holder ? (one.holder === me().account ? t("queue.you") : one.holder) : t("queue.nobody")),
    )));
    empty.hidden = rows.length > 0;
    times();
    if (focused) links().find((link) => link.dataset.case === focused)?.focus();
    if (new_ones) announce(t("queue.new", { n: new_ones }));
  };
  const poll = async () => {
    clearTimeout(timer);
    try {
      const said = await get("/v1/queue");
      if (!here()) return;
      skew = new Date(said.server_utc) - Date.now();
      draw(said.cases);
    } finally {
      if (here()) timer = setTimeout(() => poll().catch(() => {}), POLL_MS);
    }
  };
  body.addEventListener("focusin", (event) => { event.target.closest("tr").dataset.focus = "true"; });
  body.addEventListener("focusout", (event) => { delete event.target.closest("tr")?.dataset.focus; });

  fill(main,
    h("div.head", {}, h("h1", { tabindex: "-1" }, t("queue.title")), chemist ? next : null), place,
    h("div.card", {}, h("table.queue", {},
      h("caption.unseen", {}, t("queue.caption")),
      h("thead", {}, h("tr", {}, ["due", "priority", "seizure", "site", "device", "scans", "state", "owner"].map((name) => h(`th${["scans", "due"].includes(name) ? ".number" : ""}`, { scope: "col" }, t(`queue.${name}`))))), body), empty));
  await poll();
  tick = setInterval(times, 1000);
  return () => { clearTimeout(timer); clearInterval(tick); };
}
