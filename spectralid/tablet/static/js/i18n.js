// The words of the page. All languages are loaded at the start, because the sentence "the program stopped" is needed
// when nothing can be loaded any more.

const LANGUAGES = ["en", "es"];
const tables = {};
let current = "en";

export async function loadLanguages() {
  await Promise.all(LANGUAGES.map(async (language) => {
    const reply = await fetch(`/static/i18n/${language}.json`);
    tables[language] = await reply.json();
  }));
}

export const language = () => current;

export function setLanguage(wanted) {
  current = tables[wanted] ? wanted : "en";
  document.documentElement.lang = current;
}

/** The text of a key, with {fields} filled in. A key nobody wrote shows itself. */
export function t(key, facts = {}) {
  const text = tables[current]?.[key] ?? tables.en?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in facts ? String(facts[name]) : whole));
}

/** One or many: the keys `key.one` and `key.other`. */
export function count(key, n, facts = {}) {
  const form = new Intl.PluralRules(current).select(n) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { n: number(n), ...facts });
}

/** The text of a key that a server's word chooses, or that word itself where we have none for it. */
export function known(stem, word) {
  const key = `${stem}.${word}`;
  return key in (tables.en ?? {}) ? t(key) : String(word ?? "");
}

export const number = (value, digits = 0) =>
  new Intl.NumberFormat(current, { maximumFractionDigits: digits }).format(value);

export const percent = (share) =>
  new Intl.NumberFormat(current, { style: "percent", maximumFractionDigits: share < 0.1 ? 1 : 0 }).format(share);

/** The hour of a UTC time, for what ends within a day. */
export function hour(text) {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? t("time.unknown") : `${time.toISOString().slice(11, 16)} UTC`;
}

/** A UTC time as 2026-11-22 12:34 UTC: the same in every language, and what the record says. */
export function utc(text) {
  const time = new Date(text);
  if (!text || Number.isNaN(time.getTime())) return t("time.unknown");
  return `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
