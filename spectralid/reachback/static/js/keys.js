// Single keys. They work where nothing is being typed, and can be switched off (WCAG 2.2, 2.1.4).

import { h } from "./dom.js";
import { t } from "./i18n.js";

const TYPED = "input:not([type=checkbox]):not([type=radio]):not([type=range]), textarea, select";
const PRESSED = "a[href], button, summary, input, select, textarea";
let map = new Map();

export const enabled = () => localStorage.getItem("keys") !== "off";
export function setEnabled(on) { localStorage.setItem("keys", on ? "on" : "off"); }

/** The keys of a screen: [[key or keys, words for the help, work(event, key)], …]. */
export function setKeys(list) { map = new Map(list.map((one) => [[one[0]].flat().join(" "), one])); }

export function listen() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !enabled()) return;
    if (document.querySelector("dialog[open]")) return;
    const at = event.target;
    if (at.matches?.(TYPED)) return;
    // Enter and space belong to what has the focus.
    if ((event.key === "Enter" || event.key === " ") && at.matches?.(PRESSED)) return;
    for (const [keys, , work] of map.values()) {
      if ([keys].flat().includes(event.key)) {
        event.preventDefault();
        work(event, event.key);
        return;
      }
    }
  });
}

/** What every key of this screen does. */
export function listing() {
  return h("dl.keys", {}, [...map.values()].filter(([, words]) => words).map(([keys, words]) => [
    h("dt", {}, label(keys).map((key, i) => [i ? " " : "", h("kbd", {}, key)])), h("dd", {}, words),
  ]));
}

const SHOWN = { Escape: "Esc", ArrowLeft: "←", ArrowRight: "→" };
function label(keys) {
  const all = [keys].flat();
  return all.length > 4 ? [all[0], "…", all.at(-1)] : all.map((key) => SHOWN[key] ?? key);
}
