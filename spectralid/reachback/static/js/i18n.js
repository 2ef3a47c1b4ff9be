// The words of the page. Both languages are loaded at the start: what stopped must be said when nothing loads any more.

const LANGUAGES = ["en", "es"];
const tables = {};
let current = "en";

export async function loadLanguages() {
  await Promise.all(LANGUAGES.map(async (language) => {
    tables[language] = await (await fetch(`/console/static/i18n/${language}.json`)).json();
  }));
}

export const language = () => current;
export const languages = LANGUAGES;

export function setLanguage(wanted) {
  current = tables[wanted] ? wanted : "en";
  document.documentElement.lang = current;
}

/** The text of a key, with {fields} filled in. A key nobody wrote shows itself. */
export function t(key, facts = {}) {
  const text = tables[current]?.[key] ?? tables.en?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in facts ? String(facts[name]) : whole));
}

/** The text of a key that somebody's word chooses, or that word itself where we have none for it. */
export const known = (stem, word) => (`${stem}.${word}` in (tables.en ?? {}) ? t(`${stem}.${word}`) : String(word ?? ""));

// What rounds to nothing has no sign.
export const number = (value, digits = 0) => new Intl.NumberFormat(current, { maximumFractionDigits: digits, minimumFractionDigits: digits, useGrouping: false, signDisplay: "negative" }).format(value);
export const percent = (share) => (Number.isFinite(share) ? new Intl.NumberFormat(current, { style: "percent", maximumFractionDigits: 1, minimumFractionDigits: 1 }).format(share) : "–");

/** A UTC time as 2026-11-22 12:34 UTC: the same in every language, and what the record says. */
export function utc(text) {
  const time = new Date(text);
  return !text || Number.isNaN(time.getTime()) ? "–" : `${time.toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
