// Questions over the screen. Esc says no; the focus goes back to where it came from.

import { fresh, h } from "./dom.js";
import { t } from "./i18n.js";

/** Show a dialog; `content(close)` gives its nodes; resolves with what `close` was given. */
export function dialog(title, content, { narrow = false } = {}) {
  return new Promise((resolve) => {
    const back = document.activeElement;
    const id = fresh("dialog");
    let open = true;
    const close = (value = null) => {
      if (!open) return;
      open = false;
      node.close();
      node.remove();
      if (back?.isConnected) back.focus();
      resolve(value);
    };
    const heading = h("h2", { id, tabindex: "-1" }, title);
    const node = h(`dialog${narrow ? ".narrow" : ""}`, { "aria-labelledby": id }, heading, content(close));
    node.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
    node.addEventListener("close", () => close());
    document.body.append(node);
    node.showModal();
    (node.querySelector("[data-first]") ?? heading).focus();
  });
}

export function ask(title, text, choice) {
  return dialog(title, (close) => [
    text.map((line) => h("p", {}, line)),
    h("div.row", {}, h("button.button.primary", { type: "button", "data-first": true, onclick: () => close(true) }, choice), h("button.button", { type: "button", onclick: () => close() }, t("dialog.no"))),
  ], { narrow: true });
}
