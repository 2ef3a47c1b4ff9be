// The frame: who is signed in, which screen is shown, whether the server is there.

import { get, onTrouble, remove, setCsrf } from "./api.js";
import { dialog } from "./dialog.js";
import { announce, fill, h } from "./dom.js";
import { language, loadLanguages, setLanguage, t } from "./i18n.js";
import { enabled, listen, listing, setEnabled, setKeys } from "./keys.js";
import { caseScreen } from "./screens/case.js";
import { instrumentsScreen } from "./screens/instruments.js";
import { loginScreen } from "./screens/login.js";
import { queueScreen } from "./screens/queue.js";

const main = document.getElementById("main");
// Who may see the instruments, and who has no queue and sees them first (the table of roles says it; the server keeps it).
const mayRead = (roles) => roles.some((role) => ["chemist", "senior_chemist", "lab_analyst", "qa_manager", "admin", "auditor"].includes(role));
const noQueue = (roles) => mayRead(roles) && !roles.some((role) => ["chemist", "senior_chemist", "auditor"].includes(role));

let session = null;
let leave = () => {};
let serial = 0;

export const me = () => session;
export function signedIn(said) { session = said; setCsrf(said.csrf); }
export const go = (hash) => { if (location.hash === hash) show(); else location.hash = hash; };

function top() {
  const theme = document.documentElement.dataset.theme;
  fill(
    document.getElementById("top"),
    h("p.brand", {}, "spectralid reachback"),
    h("p.presumptive", {}, h("strong", {}, t("presumptive.word")), " ", t("presumptive.words")),
    h("p.chip.bad", { id: "link" }),
    session ? h("p.chip", {}, session.account) : null,
    session && mayRead(session.roles) ? h("a.button", { href: "#/instruments" }, t("instruments.open")) : null,
    session?.roles.includes("lab_analyst") ? h("a.button", { href: "/console/static/laboratory.html" }, t("lab.open")) : null,
    h("button.button", { type: "button", id: "help", onclick: help }, t("help.open"), " ", h("kbd", { "aria-hidden": "true" }, "?")),
    h("button.button", { type: "button", onclick: () => { setTheme(theme === "day" ? "night" : "day"); top(); } }, t(theme === "day" ? "theme.night" : "theme.day")),
    h("button.button", { type: "button", lang: language() === "en" ? "es" : "en", onclick: () => { localStorage.setItem("language", language() === "en" ? "es" : "en"); setLanguage(localStorage.getItem("language")); top(); show(); } }, language() === "en" ? "Español" : "English"),
    session ? h("button.button", { type: "button", onclick: signOut }, t("session.out")) : null,
  );
  document.getElementById("skip").textContent = t("page.skip");
}

function setTheme(theme) {
  localStorage.setItem("theme", theme);
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event("theme"));
}

export function help() {
  dialog(t("help.title"), (close) => [
    listing(),
    h("label.check", {}, h("input", { type: "checkbox", checked: enabled(), onchange: (event) => setEnabled(event.target.checked) }), t("help.enabled")),
    h("p.soft.small", {}, t("help.words")),
    h("div.row", {}, h("button.button.primary", { type: "button", "data-first": true, onclick: () => close() }, t("dialog.close"))),
  ], { narrow: true });
}

async function signOut() {
  await leave();
  leave = () => {};
  try { await remove("/v1/session"); } catch { /* signed out here in any case */ }
  session = null;
  go("#/login");
}

/** Show the screen that the address names. */
export async function show() {
  const mine = (serial += 1);
  await leave();
  leave = () => {};
  if (mine !== serial) return;
  fill(document.getElementById("notices"));
  if (!session) {
    try { signedIn(await get("/v1/session")); } catch { session = null; }
  }
  if (mine !== serial) return;
  const [, name = "", ...rest] = location.hash.split("/");
  const screen = !session ? loginScreen : name === "case" && rest[0] ? caseScreen : name === "instruments" || noQueue(session.roles) ? instrumentsScreen : queueScreen;
  setKeys([]);
  top();
  main.setAttribute("aria-busy", "true");
  try {
    const left = await screen(main, rest.map(decodeURIComponent), () => mine === serial);
    if (mine === serial) leave = left ?? leave; else await left?.();
  } catch (error) {
    if (mine !== serial || (error.status === 401 && !session)) return;
    fill(main, h("h1", { tabindex: "-1" }, t("error.title")), h("div.box.bad", {}, h("p", {}, error.message)), h("p", {}, h("a.button", { href: "#/queue" }, t("case.back"))));
    if (error.status === undefined) console.error(error);
  } finally {
    if (mine === serial) {
      main.removeAttribute("aria-busy");
      const first = main.querySelector("[data-first]") ?? main.querySelector("h1");
      if (!document.querySelector("dialog[open]")) first?.focus();
      document.title = `${main.querySelector("h1")?.textContent ?? ""} – spectralid reachback`;
    }
  }
}

async function run() {
  try { await loadLanguages(); } catch { setTimeout(run, 1000); return; }
  setLanguage(localStorage.getItem("language") ?? navigator.language.slice(0, 2));
  document.documentElement.dataset.theme = localStorage.getItem("theme") === "night" ? "night" : "day";
  onTrouble({
    lost: () => { const link = document.getElementById("link"); if (link && !link.textContent) { link.textContent = t("error.away"); announce(t("error.away"), true); } },
    here: () => { const link = document.getElementById("link"); if (link) link.textContent = ""; },
    signedOut: (path) => { if (session && path !== "/v1/session") { session = null; leave = () => {}; show(); announce(t("session.over"), true); } },
  });
  listen();
  addEventListener("hashchange", show);
  show();
}

run();
