// Pressing a button once does a thing once, and what went wrong is said beside it.

import { announce, fill, h } from "./dom.js";
import { t } from "./i18n.js";

const running = new Set();

/** Do `work` unless the same thing (`key`) is being done; the button shows it; an error is shown in `place`. */
export async function once(key, button, work, place = null) {
  if (running.has(key)) return undefined;
  running.add(key);
  button?.setAttribute("aria-busy", "true");
  if (place) messages().forEach((box) => box.remove());
  try {
    return await work();
  } catch (error) {
    if (!place) throw error;
    say(place, error.code === undefined ? t("error.page") : error.message);
    if (error.code === undefined) console.error(error);
    return undefined;
  } finally {
    running.delete(key);
    button?.removeAttribute("aria-busy");
  }
}

/** A sentence about what went wrong, in sight and read out. */
export function say(place, sentence, bad = true) {
  const box = h(`div.notice-box.told.${bad ? "bad" : "good"}`, {}, h("p", {}, sentence));
  fill(place, box);
  if (!place.isConnected) keep([box]);
  announce(sentence, bad);
  box.scrollIntoView({ block: "nearest" });
}

/** What was said on this screen, below its heading again after it was drawn anew. */
export const messages = () => [...document.querySelectorAll("main .told")];
export function keep(boxes) {
  const main = document.getElementById("main");
  const head = main.querySelector("h1")?.closest("main > *");
  if (head) head.after(...boxes); else main.prepend(...boxes);
}

/** A button that does its work once. */
export function button(label, key, work, place, { primary = false, huge = false, facts = {} } = {}) {
  const node = h(`button.button${primary ? ".primary" : ""}${huge ? ".huge" : ""}`, {
    type: "button", onclick: () => once(key, node, work, place), ...facts,
  }, label);
  return node;
}
