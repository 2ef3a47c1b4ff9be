// Signing in with a second factor; and the first set-up of an account.

import { post } from "../api.js";
import { go, show, signedIn } from "../app.js";
import { fill, fresh, h, once } from "../dom.js";
import { t } from "../i18n.js";
import { setKeys } from "../keys.js";
import { help } from "../app.js";

export function field(label, facts = {}, { hint = "", lines = 0 } = {}) {
  const id = fresh("field");
  const input = h(lines ? "textarea.text" : "input.text", { id, rows: lines || null, autocomplete: "off", "aria-describedby": hint ? `${id}-hint` : null, ...facts });
  const node = h("div.field", {}, h("label.name", { for: id }, label), hint && h("span.hint", { id: `${id}-hint` }, hint), input);
  return { node, input };
}

export function loginScreen(main) {
  setKeys([["?", t("keys.help"), help]]);
  const place = h("div", {});
  const account = field(t("login.account"), { name: "account", autocomplete: "username", required: true, maxlength: 40, "data-first": true });
  const password = field(t("login.password"), { name: "password", type: "password", autocomplete: "current-password", required: true, maxlength: 200 });
  const code = field(t("login.code"), { name: "code", inputmode: "numeric", autocomplete: "one-time-code", required: true, maxlength: 6, pattern: "[0-9]{6}" }, { hint: t("login.code.hint") });
  const send = h("button.button.primary", { type: "submit" }, t("login.go"));
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    once("login", send, async () => {
      signedIn(await post("/v1/session", { account: account.input.value.trim(), password: password.input.value, code: code.input.value.trim() }));
      if (location.hash.startsWith("#/case/")) show(); else go("#/queue");
    }, place);
  } }, account.node, password.node, code.node, send);
  fill(main, h("section.card.login", {}, h("h1", { tabindex: "-1" }, t("login.title")), place, form, setUp()));
}

function setUp() {
  const place = h("div", {});
  const account = field(t("login.account"), { autocomplete: "off", required: true, maxlength: 40 });
  const code = field(t("setup.code"), { required: true, maxlength: 100 }, { hint: t("setup.code.hint") });
  const password = field(t("setup.password"), { type: "password", autocomplete: "new-password", required: true, maxlength: 200 });
  const send = h("button.button", { type: "submit" }, t("setup.go"));
  const form = h("form", { onsubmit: (event) => {
    event.preventDefault();
    once("setup", send, async () => {
      const { otpauth } = await post("/v1/account/setup", { account: account.input.value.trim(), setup_code: code.input.value.trim(), password: password.input.value });
      const secret = new URL(otpauth).searchParams.get("secret") ?? "";
      fill(form, h("div.box.good", {}, h("p", {}, t("setup.done")), h("p.mono", { tabindex: "0", "data-secret": true }, secret.replace(/(.{4})/g, "$1 ").trim()), h("p.mono.small", {}, otpauth)));
    }, place);
  } }, account.node, code.node, password.node, send);
  return h("details", {}, h("summary", {}, t("setup.title")), place, form);
}
