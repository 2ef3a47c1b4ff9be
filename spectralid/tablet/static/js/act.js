// Pressing a button once does a thing once, and what went wrong is said beside it.

import { announce, fill, h } from "./dom.js";
import { t } from "./i18n.js";

const running = new Set();

/** Do `work` unless the same thing (`key`) is being done; the button shows it; an error is shown in `place`. */
export async function once(key, button, work, place = null) {
  if (running.has(key)) return undefined;
  running.add(key);
  button?.setAttribute("aria-busy", "true");
  if (place) place.replaceChildren();
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
  fill(place, h(`div.notice-box.${bad ? "bad" : "good"}`, {}, h("p", {}, sentence)));
  announce(sentence, bad);
  place.scrollIntoView({ block: "nearest" });
}

/** A button that does its work once. */
export function button(label, key, work, place, { primary = false, huge = false, facts = {} } = {}) {
  const node = h(`button.button${primary ? ".primary" : ""}${huge ? ".huge" : ""}`, {
    type: "button", onclick: () => once(key, node, work, place), ...facts,
  }, label);
  return node;
}
