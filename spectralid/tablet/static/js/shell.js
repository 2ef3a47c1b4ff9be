// The frame: what stands on every screen. PRESUMPTIVE, what is simulated, whether light may come out and how to stop
// it, whether the program is there, what waits to be read, and the way to reachback.

import { add, announce, fill, h, icon } from "./dom.js";
import { count, known, t } from "./i18n.js";
import { get, path, post } from "./api.js";
import { laserMayBeOn, now, on } from "./state.js";
import { ask } from "./dialog.js";
import { once, say } from "./act.js";
import { stopButton } from "./stop.js";
import { standing } from "./standing.js";

const PLACES = [
  ["/", "scan", "1"], ["/history", "history", "2"], ["/queue", "queue", "3"], ["/answers", "answers", "4"], ["/device", "device", "5"], ["/settings", "settings", "6"],
];
const SHOWN_MS = 8000;

const at = (id) => document.getElementById(id);
let go = () => {};
let shown = { place: "scan", item: null };
const boxes = new Map();

export function frame(navigate) {
  go = navigate;
  on("state", draw);
  on("link", drawLink);
  on("stopping", ({ sentence, bad }) => notice("stopping", h(`div.notice-box.${bad ? "bad" : "good"}`, {}, h("p", {}, sentence)), bad ? 0 : SHOWN_MS));
  document.addEventListener("keydown", keys);
  new ResizeObserver(([lid]) => document.documentElement.style.setProperty("--lid", `${lid.target.offsetHeight}px`)).observe(at("lid"));
  at("skip").addEventListener("click", (event) => { event.preventDefault(); at("main").focus(); });
}

/** Which screen is shown, of which item: for the navigation and for reachback. */
export function screenIs(place, item) {
  shown = { place, item };
  draw();
}

let drawn = "";
/** Draw the frame anew, if what it shows has changed: a screen reader or a finger may be on it. */
export function draw() {
  const state = now();
  if (!state) return;
  const { device, queue, store, library } = state;
  const facts = JSON.stringify([document.documentElement.lang, device.connected, device.state, device.simulated, device.check, queue, store.read_only, library.old, state.answers, shown, Boolean(state.current?.scan)]);
  if (facts === drawn) return;
  drawn = facts;
  at("skip").textContent = t("skip");
  at("notices").setAttribute("aria-label", t("notices.label"));
  const waiting = (queue.queued ?? 0) + (queue.sending ?? 0);
  fill(
    at("top"),
    h("p.presumptive", {}, h("strong", {}, t("presumptive.word")), h("span", {}, t("presumptive.sentence"))),
    h("ul", { id: "chips", "aria-label": t("chips.label") },
      device.connected && device.simulated && h("li.simulated", {}, t("chips.simulated")),
      (device.connected || device.check?.state !== "unknown") && h(`li${device.check?.state === "passed" ? "" : ".bad"}`, {}, standing(device.check)),
      h(`li${["fault", "laser_off_unconfirmed"].includes(device.state) ? ".bad" : ""}`, {}, device.connected ? known("device", device.state) : t("device.disconnected")),
      h(`li${queue.attention ? ".bad" : ""}`, {}, queue.attention ? count("chips.attention", queue.attention) : waiting || !queue.endpoint ? count("chips.waiting", waiting) : t("chips.sent"),
        ` · ${t(!queue.endpoint ? "chips.no_server" : queue.online ? "chips.online" : "chips.offline")}`),
      store.read_only && h("li.bad", {}, t("chips.read_only")),
      library.old && h("li.bad", {}, t("chips.library_old"))),
  );
  drawNavigation(state);
  drawLaser(state);
  notice("store", store.read_only ? h("div.notice-box.bad", {}, h("p", {}, h("strong", {}, t("store.read_only")), ` ${store.reason}`)) : null);
}

function drawNavigation(state) {
  const focused = document.activeElement?.closest?.("#nav") ? document.activeElement.dataset.place : null;
  const unread = state.answers?.unread ?? 0;
  const attention = state.queue?.attention ?? 0;
  const badge = { answers: [unread, "nav.unread"], queue: [attention, "nav.attention"] };
  fill(
    at("nav"),
    h("ul", {}, PLACES.map(([to, name, key]) => {
      const [n, said] = badge[name] ?? [0, ""];
      return h("li", {}, h("a", { href: to, "data-place": name, "aria-current": shown.place === name ? "page" : null, "aria-keyshortcuts": `Alt+${key}` },
        icon(name), h("span", {}, t(`nav.${name}`)),
        n > 0 && [h("span.badge", { "aria-hidden": "true" }, n > 99 ? "99+" : n), h("span.unseen", {}, count(said, n))]));
    })),
    h("button.reachback", { type: "button", "data-place": "send", onclick: reachback, "aria-keyshortcuts": "Alt+R" }, icon("send"), h("span", {}, t("send.button"))),
  );
  at("nav").setAttribute("aria-label", t("nav.label"));
  if (focused) at("nav").querySelector(`[data-place="${focused}"]`)?.focus();
}

function drawLaser(state) {
  const bar = at("laser");
  const needed = laserMayBeOn(state);
  if (!needed) { bar.hidden = true; bar.replaceChildren(); return; }
  bar.setAttribute("aria-label", t("stop.label"));
  const spoken = document.documentElement.lang;
  const words = h("p", { role: "status" }, known("laser", state.device.state === "idle" ? "scan" : state.device.state));
  // The button itself stays where it is while the words beside it change: a finger may be on its way.
  if (bar.hidden || bar.dataset.words !== spoken) fill(bar, words, stopButton());
  else bar.firstChild.replaceWith(words);
  bar.dataset.words = spoken;
  bar.hidden = false;
}

/** A box above the screen, by name; null takes it away; `lasting` 0 keeps it. */
export function notice(name, node, lasting = 0) {
  boxes.get(name)?.remove();
  boxes.delete(name);
  if (!node) return;
  boxes.set(name, node);
  add(at("notices"), node);
  if (lasting) setTimeout(() => { if (boxes.get(name) === node) notice(name, null); }, lasting);
}

export function dismiss(node) {
  for (const [name, box] of boxes) if (box === node) notice(name, null);
}

function drawLink(link) {
  if (link === "here") {
    if (boxes.has("lost")) announce(t("link.back"));
    notice("lost", null);
    return;
  }
  const danger = laserMayBeOn() ? [h("p", {}, h("strong", {}, t("link.laser")))] : [];
  const words = t(link === "refused" ? "error.session" : "error.stopped");
  notice("lost", h("div.notice-box.bad", { id: "lost" }, danger, h("p", {}, h("strong", {}, words)), link === "refused" ? null : h("p", {}, t("link.trying"))));
  announce([...(danger.length ? [t("link.laser")] : []), words].join(" "), true);
}

/** A link that stays in the page, as a button. */
export const linkTo = (to, label, primary = false) => h(`a.button${primary ? ".primary" : ""}`, { href: to }, label);

/** Ask reachback, whatever the verdict: works offline, because it is a record in the queue like any other. */
export async function reachback() {
  const ref = shown.item ?? now()?.current?.item_ref;
  if (!ref) {
    const said = await ask({ title: t("send.title"), content: [h("p", {}, t("send.no_item"))], choices: [{ value: "item", label: t("send.open_item"), primary: true }] });
    if (said) go("/?step=item");
    return;
  }
  const note = h("textarea.text", { id: "send-note", rows: 3, maxlength: 2000 });
  let label = "";
  try { label = (await get(path("/api/items", ref), { timeout: 3000 })).label; } catch { /* the name is a convenience */ }
  const said = await ask({
    title: t("send.title"),
    content: [h("p", {}, label && h("strong", {}, `${label}: `), t("send.how")), h("div.field", {}, h("label.name", { for: "send-note" }, t("send.note")), note)],
    choices: [{ value: "send", label: t("send.button"), primary: true }],
    read: () => ({ note: note.value.trim() }),
  });
  if (!said) return;
  const place = h("div", {});
  notice("send", place);
  await once(`send:${ref}`, at("nav").querySelector(".reachback"), async () => {
    await post(path("/api/items", ref, "send"), { note: said.note });
    say(place, t(now()?.queue?.online ? "send.done" : "send.done_offline"), false);
    setTimeout(() => notice("send", null), SHOWN_MS);
  }, place);
}

function keys(event) {
  if (event.key === "Escape" && !document.querySelector("dialog") && laserMayBeOn()) {
    event.preventDefault();
    document.querySelector("#laser .stop")?.click();
    return;
  }
  if (!event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog")) return;
  const place = PLACES.find(([, , key]) => key === event.key);
  if (place) { event.preventDefault(); go(place[0]); }
  else if (event.key.toLowerCase() === "r") { event.preventDefault(); reachback(); }
}

/** The keys of the page, for the settings screen. */
export const shortcuts = () => [...PLACES.map(([, name, key]) => [`Alt+${key}`, t(`nav.${name}`)]), ["Alt+R", t("send.button")], ["Esc", t("stop.key")], ["Enter", t("keys.enter")], ["Tab", t("keys.tab")]];
