// Which screen is shown, and how one gives way to the next.

import { announce, fill, h } from "./dom.js";
import { get, path } from "./api.js";
import { language, loadLanguages, setLanguage, t } from "./i18n.js";
import { now, on, start } from "./state.js";
import { dismiss, draw, frame, linkTo, notice, screenIs } from "./shell.js";
import { settle } from "./dialog.js";
import { keep, messages } from "./act.js";
import { isUrgent } from "./verdict.js";
import { flow } from "./screens/flow.js";
import { failure, scan } from "./screens/scan.js";
import { result } from "./screens/result.js";
import { item } from "./screens/item.js";
import { history as past } from "./screens/history.js";
import { queue } from "./screens/queue.js";
import { answers } from "./screens/answers.js";
import { check } from "./screens/check.js";
import { device } from "./screens/device.js";
import { settings } from "./screens/settings.js";

// Path, screen, place in the navigation.
const ROUTES = [
  [/^\/$/, flow, "scan"], [/^\/scan$/, scan, "scan"], [/^\/result\/([^/]+)$/, result, "scan"], [/^\/item\/([^/]+)$/, item, "scan"], [/^\/history$/, past, "history"],
  [/^\/queue$/, queue, "queue"], [/^\/answers$/, answers, "answers"], [/^\/check(?:\/([^/]+))?$/, check, "device"],
  [/^\/device$/, device, "device"], [/^\/settings$/, settings, "settings"],
];

const SHOWN_MS = 8000;

const main = document.getElementById("main");
let showing = null; // address, what to undo on leaving, key(state) with its last value, language
let turn = 0;

function go(to, { replace = false } = {}) {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  show();
}

/** Show the screen of the address. `again` draws the same one anew and leaves focus and position where they were. */
async function show(again = false) {
  const mine = (turn += 1);
  const [route, match] = ROUTES.map((r) => [r, r[0].exec(location.pathname)]).find(([, m]) => m) ?? [ROUTES[0], []];
  const leave = [];
  const here = location.href;
  const words = language();
  const context = {
    part: match[1] ? decodeURIComponent(match[1]) : "",
    query: new URLSearchParams(location.search),
    // What a screen began may end after the officer has gone elsewhere: then it moves nothing any more.
    go: (to, options) => { if (location.href === here) go(to, options); },
    again: () => { if (location.href === here) show(true); },
    on: (name, told) => leave.push(on(name, told)),
    leaving: (work) => leave.push(work),
    item: null,
  };
  if (!again) { fill(main, h("p.starting", {}, t("page.loading"))); main.setAttribute("aria-busy", "true"); }
  let made;
  try {
    made = await route[1](context);
  } catch (error) {
    if (error.code === undefined) console.error(error);
    made = trouble(error, context);
  }
  if (mine !== turn || !made) { leave.forEach((work) => work()); return; }
  if (/^\/(result|check)\/./.test(location.pathname)) notice("result", null);
  showing?.leave.forEach((work) => work());
  showing = { here, leave, key: made.key, was: made.key?.(now()), words };
  const focused = again ? signature(document.activeElement) : null;
  const told = again ? messages() : [];
  fill(main, made.node);
  if (told.length) keep(told);
  main.removeAttribute("aria-busy");
  document.title = `${made.title} – spectralid`;
  screenIs(route[2], context.item);
  made.shown?.();
  if (again) { refocus(focused); return; }
  settle(main);
  window.scrollTo(0, 0);
  (main.querySelector("h1[tabindex]") ?? main).focus({ preventScroll: true });
}

function trouble(error, context) {
  return {
    title: t("page.trouble"),
    node: [h("h1", { tabindex: "-1" }, t("page.trouble")), h("div.notice-box.bad", { role: "alert" }, h("p", {}, error.code === undefined ? t("error.page") : error.message)),
      h("div.row", {}, h("button.button.primary", { type: "button", onclick: context.again }, t("page.again")), linkTo("/", t("page.home")))],
  };
}

const signature = (node) => (node && main.contains(node) ? [node.tagName, node.name ?? "", node.getAttribute("href") ?? "", node.textContent].join("|") : null);

function refocus(wanted) {
  if (!wanted) return;
  const found = [...main.querySelectorAll("a,button,input,textarea,summary,[tabindex]")].find((node) => signature(node) === wanted);
  (found ?? main.querySelector("h1[tabindex]") ?? main).focus({ preventScroll: true });
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey || link.target || link.hasAttribute("download") || link.id === "skip") return;
  if (!link.getAttribute("href").startsWith("/") || link.getAttribute("href").startsWith("/api/")) return;
  event.preventDefault();
  go(link.getAttribute("href"));
}

function stateCame(state) {
  setLanguage(state.language);
  document.documentElement.dataset.theme = state.theme === "night" ? "night" : "day";
  draw();
  // Another screen is on its way and asks for what it needs by itself.
  if (showing?.here !== location.href) return;
  const key = showing.key?.(state);
  if (showing.words !== language() || key !== showing.was) {
    showing.was = key;
    showing.words = language();
    show(true);
  }
}

/** A result that comes while another screen is read: the officer is told, not torn away. */
async function resultCame({ packet_id: id }) {
  if (location.pathname === "/scan") { go(`/result/${encodeURIComponent(id)}`, { replace: true }); return; }
  let verdict = null;
  try { verdict = (await get(path("/api/records", id))).verdict; } catch { /* the link is enough */ }
  const urgent = isUrgent(verdict?.alarm);
  const words = verdict ? `${t(`alarm.${verdict.alarm}`)}: ${verdict.headline}` : "";
  notice("result", h(`div.notice-box.${urgent ? "bad" : "good"}`, {}, h("p", {}, h("strong", {}, t("result.ready")), " ", words), linkTo(`/result/${encodeURIComponent(id)}`, t("result.show"), true)));
  announce(`${t("result.ready")} ${words}`, true);
}

/** The instrument was checked: shown where it was asked for, told elsewhere. */
function checkCame({ check_id: id }) {
  const to = `/check/${encodeURIComponent(id)}`;
  if (location.pathname === "/check") { go(to, { replace: true }); return; }
  notice("result", h("div.notice-box.ask", {}, h("p", {}, h("strong", {}, t("check.ready"))), linkTo(to, t("check.show"), true)));
  announce(t("check.ready"));
}

/** A scan that failed while another screen is read, or a file in the watched folder that could not be read. */
function failed(told) {
  const sentence = failure(told);
  if (told.code === "cancelled") {
    // STOP has said already what became of the laser: that must not be talked over.
    notice("failed", h("div.notice-box.good", {}, h("p", {}, sentence)), SHOWN_MS);
    return;
  }
  const screen = told.purpose === "check" ? "/check" : "/scan";
  if (told.scan_id && location.pathname === screen) return;
  notice("failed", h("div.notice-box.bad", {}, h("p", {}, sentence), told.scan_id ? linkTo(screen, t("scan.again"), true) : h("button.button", { type: "button", onclick: () => notice("failed", null) }, t("page.understood"))));
  announce(sentence, true);
}

async function run() {
  try {
    await loadLanguages();
  } catch {
    setTimeout(run, 1000);
    return;
  }
  setLanguage(navigator.language.slice(0, 2));
  frame(go);
  on("state", stateCame);
  on("result", resultCame);
  on("checked", checkCame);
  on("failed", failed);
  on("answer", () => {
    notice("answer", h("div.notice-box.ask", {}, h("p", {}, h("strong", {}, t("answers.came"))), linkTo("/answers", t("answers.read"), true)));
    announce(t("answers.came"), true);
  });
  on("arrived", ({ file }) => {
    notice("arrived", h("div.notice-box.ask", {}, h("p", {}, h("strong", {}, t("arrived.came", { file }))), linkTo("/scan", t("arrived.assign"), true)));
    announce(t("arrived.came", { file }));
  });
  await start();
  addEventListener("popstate", () => show());
  document.addEventListener("click", follow);
  document.addEventListener("click", (event) => {
    // A notice whose link was followed has done its work.
    const box = event.target.closest?.("#notices .notice-box");
    if (box && event.target.closest("a")) dismiss(box);
  });
  show();
}

run();
