// Who measures, where, in which language, by day or by night; and the keys.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { put } from "../api.js";
import { now, taken } from "../state.js";
import { once, say } from "../act.js";
import { choices, form } from "../form.js";
import { shortcuts } from "../shell.js";

const NAMES = { en: "English", es: "Español" };

export async function settings() {
  const title = t("nav.settings");
  const state = now();
  const place = h("div", {});
  const change = (field) => (value) => once(`settings:${field}`, null, () => taken(put("/api/settings", { [field]: value })), place);
  const who = form("settings", {
    label: t("settings.save"),
    fields: (f) => [
      f.text("officer", { label: t("settings.officer"), hint: t("settings.officer_hint"), value: state.officer ?? "", limit: 40 }),
      f.text("site", { label: t("settings.site"), value: state.site ?? "", limit: 80 }),
    ],
    submit: async (values) => { await taken(put("/api/settings", values)); say(place, t("settings.saved"), false); },
  });
  const node = [
    h("h1", { tabindex: "-1" }, title), place,
    h("div.columns", {},
      h("div.card", {},
        choices("language", { label: t("settings.language"), value: state.language, options: state.languages.map((l) => ({ value: l, label: NAMES[l] ?? l })), changed: change("language") }),
        choices("theme", { label: t("settings.theme"), value: state.theme, options: ["day", "night"].map((v) => ({ value: v, label: t(`theme.${v}`) })), changed: change("theme") })),
      h("div.card", {}, who)),
    h("section.card", { "aria-labelledby": "keys" }, h("h2", { id: "keys" }, t("keys.title")), h("dl.keys", {}, shortcuts().map(([key, what]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, what)]))),
  ];
  return { title, node, key: (s) => `${s.theme} ${s.language}` };
}
