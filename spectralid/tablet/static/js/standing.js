// How the instrument stands with its daily check: one line for every screen, and a notice before a scan.

import { h } from "./dom.js";
import { hour, t } from "./i18n.js";

/** In one line, how the instrument stands. */
export function standing(check) {
  const state = check?.state ?? "unknown";
  if (state === "passed" && check.until) return t("check.until", { time: hour(check.until) });
  return state === "unknown" || (state === "skipped" && !check.reason) ? t("check.due") : t(`check.now_${state}`);
}

/** What an officer has to know of the check before a scan; nothing where one holds. */
export function checkNotice(device) {
  const { check } = device;
  if (!(device.connected || device.watching) || !check || check.state === "passed") return null;
  const failed = check.state === "failed";
  const words = failed ? t("check.failed_words") : check.reason ? t("check.skipped_words", { reason: check.reason }) : t("check.due_words");
  return h(`section.notice-box${failed ? ".bad" : ".ask"}`, { "aria-labelledby": "check-due" }, h("h2", { id: "check-due" }, standing(check)), h("p", {}, words),
    h("div.row", {}, h("a.button", { href: "/check" }, t("check.title"))));
}
