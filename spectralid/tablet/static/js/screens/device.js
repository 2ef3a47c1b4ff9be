// The instrument, the library, the store, the clock: what this tablet stands on today.

import { h } from "../dom.js";
import { hour, known, number, t, utc } from "../i18n.js";
import { get } from "../api.js";
import { now } from "../state.js";
import { linkTo } from "../shell.js";
import { ago } from "../verdict.js";
import { stopButton } from "../stop.js";
import { connecting, disconnecting } from "./connect.js";

export async function device(context) {
  const title = t("nav.device");
  const facts = await get("/api/device");
  const { library, store, clock, policy, queue, version } = now();
  const place = h("div", {});
  const of = (name, value) => (value === null || value === undefined || value === "" ? null : [h("dt", {}, name), h("dd", {}, value)]);
  const card = (id, name, ...content) => h("section.card", { "aria-labelledby": id }, h("h2", { id }, name), content);
  const node = [
    h("h1", { tabindex: "-1" }, title), place,
    facts.fault && h("div.notice-box.bad", {}, h("p", {}, facts.fault)),
    facts.connected
      ? card("instrument", t("device.instrument"),
        h("dl.facts", {}, of(t("device.name"), facts.name), of(t("device.serial"), facts.serial), of(t("device.kind"), known("kind_of_device", facts.kind)), of(t("device.state"), known("device", facts.state)),
          of(t("check.label"), [known("check", facts.check?.state ?? "unknown"), facts.check?.until && t("check.until", { time: hour(facts.check.until) }), facts.check?.time && t("check.last", { time: utc(facts.check.time) }), facts.check?.reason].filter(Boolean).join(" · ")),
          facts.simulated && of(t("device.simulated"), t("device.yes"))),
        facts.safety && h("p.safety", {}, facts.safety),
        h("div.row.end", {}, facts.laser && stopButton(), linkTo("/check", t("check.title")), disconnecting(context, place)))
      : connecting(context, facts, context.again),
    facts.watching && card("watch", t("device.watching"), h("p.mono", {}, facts.watching), h("p", {}, t("device.watching_words")), facts.connected ? null : h("div.row.end", {}, linkTo("/check", t("check.title")))),
    h("div.columns", {},
      card("library", t("library.label"), library.old && h("div.notice-box.bad", {}, h("p", {}, t("library.old_words"))),
        h("dl.facts", {}, of(t("library.name"), `${library.name} ${library.version}`), of(t("library.age_label"), ago(library.age_days)), of(t("library.compounds"), number(library.compounds ?? 0)), of(t("library.nameable"), number(library.nameable ?? 0)))),
      card("store", t("store.label"), store.read_only && h("div.notice-box.bad", {}, h("p", {}, t("store.read_only"), " ", store.reason)),
        h("dl.facts", {}, of(t("store.packets"), number(store.packets ?? 0)), of(t("store.free"), `${number(store.free_mb ?? 0)} MB`), of(t("store.ballast"), t(store.ballast ? "device.yes" : "store.no_ballast")))),
      card("clock", t("clock.label"), h("dl.facts", {}, clock.utc && of(t("clock.time"), utc(clock.utc)), of(t("device.state"), known("clock", clock.state)), of(t("policy.label"), `${policy.name} ${policy.version}`), of(t("queue.server"), queue.endpoint ?? t("queue.no_server")), of(t("device.program"), version)),
        policy.note && h("div.notice-box.bad", {}, h("p", {}, policy.note)))),
  ];
  return { title, node, key: (s) => JSON.stringify([s.device, s.library, s.store.read_only, s.policy]) };
}
