// Connecting an instrument: a real one on its port, or a simulated one to practise with.

import { h } from "../dom.js";
import { t } from "../i18n.js";
import { post, remove } from "../api.js";
import { taken } from "../state.js";
import { once, button } from "../act.js";
import { choices } from "../form.js";

const CONNECT_MS = 45000;
const FEW = 12;

const named = (entry) => (typeof entry === "string" ? { value: entry, label: entry } : { value: entry.name, label: entry.title || entry.name });
const remembered = (key, options) => options.find((o) => o.value === localStorage.getItem(key))?.value ?? options[0]?.value;

async function connect(body, connected) {
  await taken(post("/api/instrument", body, { timeout: CONNECT_MS }));
  connected();
}

/** The choices to connect with; `connected` is called when it has worked. */
export function connecting(context, device, connected) {
  const place = h("div", {});
  const ports = (device.ports ?? []).map(named);
  const profiles = (device.profiles ?? []).map(named);
  let port = remembered("port", ports);
  let profile = remembered("profile", profiles);
  const real = ports.length && profiles.length
    ? [
      choices("port", { label: t("connect.port"), options: ports, value: port, changed: (v) => { port = v; }, width: "200px" }),
      choices("profile", { label: t("connect.profile"), options: profiles, value: profile, changed: (v) => { profile = v; }, width: "240px" }),
      h("div.row", {}, button(t("connect.button"), "connect", () => {
        localStorage.setItem("port", port);
        localStorage.setItem("profile", profile);
        return connect({ port, profile }, connected);
      }, place, { primary: true, huge: true })),
    ]
    : [h("p", {}, t("connect.no_port")), h("div.row", {}, button(t("connect.look_again"), "look", context.again, place, { primary: true }))];
  return h("div", {}, h("section.card", { "aria-labelledby": "real" }, h("h2", { id: "real" }, t("connect.real")), real), place, simulated(device, place, connected));
}

function simulated(device, place, connected) {
  const samples = device.samples ?? [];
  const grid = h("div.choices", {});
  grid.style.setProperty("--choice", "200px");
  const press = (name) => {
    const node = h("button.button", { type: "button", onclick: () => once("connect", node, () => connect({ simulate: name }, connected), place) }, name);
    return node;
  };
  const show = (wanted) => grid.replaceChildren(...samples.filter((s) => s.toLowerCase().includes(wanted)).slice(0, FEW).map(press));
  show("");
  const find = h("input.text", { id: "sample-find", type: "search", autocomplete: "off", oninput: () => show(find.value.trim().toLowerCase()) });
  if (!samples.length) return null;
  return h("details", { open: !(device.ports ?? []).length }, h("summary", {}, t("connect.simulated")), h(
    "div.inside", {}, h("p", {}, t("connect.simulated_words")),
    samples.length > FEW && h("div.field", {}, h("label.name", { for: "sample-find" }, t("connect.find")), find), grid,
  ));
}

export function disconnecting(context, place) {
  return button(t("connect.disconnect"), "disconnect", async () => { await taken(remove("/api/instrument")); context.again(); }, place);
}
