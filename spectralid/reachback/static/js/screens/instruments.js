// How the instruments of the tablets stand by their daily checks: those to look at first, and the days of one tablet.

import { get, path } from "../api.js";
import { help } from "../app.js";
import { days, figure } from "../days.js";
import { fill, h } from "../dom.js";
import { known, t, utc } from "../i18n.js";
import { setKeys } from "../keys.js";

const SIGN = { passed: ["✓", "plain"], overdue: ["◆", "warn"], skipped: ["◆", "warn"], failed: ["▲", "bad"] };

const state = (one) => h(`span.tag.${one.attention ? SIGN[one.state][1] : "plain"}`, {}, `${SIGN[one.state][0]} ${t(`instrument.${one.state}`)}`);
const figuresOf = (names) => names.map((name) => known("figure", name)).join(", ");

/** Why it stands so, in words. */
const why = (one) => [one.last.reason, one.last.failed.length ? figuresOf(one.last.failed) : "", one.state === "overdue" ? t(one.used_since ? "instruments.used" : "instruments.unused") : "",
  one.last.simulated ? t("instruments.simulated") : ""].filter(Boolean).join(" · ");

export async function instrumentsScreen(main, [device]) {
  setKeys([["?", t("keys.help"), help]]);
  return device ? oneDevice(main, device) : fleet(main);
}

async function fleet(main) {
  const found = await get("/v1/checks");
  const head = (names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, t(`instruments.${name}`)))));
  fill(main,
    h("div.head", {}, h("h1", { tabindex: "-1" }, t("instruments.title"))),
    h(`div.box.told.${found.attention ? "bad" : "good"}`, {}, h("p", {}, found.attention ? t("instruments.attention", { n: found.attention }) : t("instruments.none"))),
    h("div.card", {}, found.instruments.length ? h("table.queue", {}, h("caption.unseen", {}, t("instruments.title")), head(["device", "site", "instrument", "state", "checked", "why"]),
      h("tbody", {}, found.instruments.map((one) => h("tr", {},
        h("td", {}, h("a", { href: `#/instruments/${encodeURIComponent(one.device_id)}` }, one.device_id)), h("td", {}, one.site_ref), h("td", {}, one.instrument),
        h("td", {}, state(one)), h("td", {}, utc(one.checked_utc)), h("td", {}, why(one)))))) : h("p.soft", {}, t("instruments.empty"))),
    found.unchecked.length ? h("div.card", {}, h("h2", {}, t("instruments.unchecked")), h("p", {}, found.unchecked.join(", "))) : null);
  return null;
}

async function oneDevice(main, device) {
  const found = await get(path("/v1/devices", device, "checks"));
  const drawn = [];
  const chart = (one, several) => {
    const made = days(one, [known("figure", one.figure), several && one.standard].filter(Boolean).join(", "));
    drawn.push(made);
    return made;
  };
  fill(main,
    h("div.head", {}, h("h1", { tabindex: "-1" }, t("instruments.of", { device: found.device_id, site: found.site_ref })), h("a.button", { href: "#/instruments" }, t("instruments.back"))),
    found.instruments.length ? found.instruments.map((one) => {
      const stands = found.standings.find((standing) => standing.instrument === one.instrument);
      const several = new Set(one.charts.map((each) => each.standard)).size > 1;
      return h("section.card", {}, h("h2", {}, one.instrument, " ", stands ? state(stands) : null), stands && why(stands) ? h("p", {}, why(stands)) : null,
        one.charts.length ? h("div.charts", {}, one.charts.map((each) => chart(each, several))) : null,
        one.charts.some((each) => each.mean !== null) ? h("p.small.soft", {}, t("days.key")) : null,
        h("div.scroll", { tabindex: "0", role: "region", "aria-label": `${t("instruments.checks")} ${one.instrument}` }, h("table", {}, h("caption.unseen", {}, t("instruments.checks")),
          h("thead", {}, h("tr", {}, ["checked", "state", "standard", "limits", "why"].map((name) => h("th", { scope: "col" }, t(`instruments.${name}`))))),
          h("tbody", {}, one.checks.map((check) => h("tr", {}, h("td", {}, utc(check.checked_utc)), h("td", {}, `${SIGN[check.outcome][0]} ${t(`instrument.${check.outcome}`)}`),
            h("td", {}, [check.standard, check.lot].filter(Boolean).join(", ")), h("td", {}, check.limits_version), h("td", {}, check.reason || failed(check))))))));
    }) : h("p.soft", {}, t("instruments.empty")));
  return () => drawn.forEach((one) => one.done());
}

/** The figures that failed, with what they were and may be. */
const failed = (check) => check.figures.filter((one) => one.status === "failed").map((one) => `${known("figure", one.name)} ${figure(one.value)} ${one.unit} (${figure(one.low ?? NaN)} … ${figure(one.high ?? NaN)})`).join("; ");
