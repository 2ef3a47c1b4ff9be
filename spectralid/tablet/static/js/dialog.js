// Questions over the screen. Esc says no, Enter presses what has the focus; while light may come out, STOP is in the
// dialog too, because a dialog covers everything else.

import { h } from "./dom.js";
import { t } from "./i18n.js";
import { laserMayBeOn, on } from "./state.js";
import { stopButton, stopAll } from "./stop.js";

const SETTLE_MS = 350;

/** For a moment nothing new can be pressed: the second tap of a double tap must not land on what just appeared. */
export function settle(node) {
  node.classList.add("settling");
  setTimeout(() => node.classList.remove("settling"), SETTLE_MS);
}

/**
 * Ask; resolves with the value of the pressed choice, or null for no.
 * content: nodes. choices: [{value, label, primary}]. focus: "title" (nothing is pressed by a stray Enter) or "first".
 */
export function ask({ title, content = [], choices, no = t("dialog.cancel"), focus = "first", danger = false, read = () => null }) {
  return new Promise((resolve) => {
    const back = document.activeElement;
    const name = h("h2", { id: "dialog-title", tabindex: "-1" }, title);
    const stop = h("div", { hidden: true }, stopButton());
    let open = true;
    const end = (answer) => {
      if (!open) return;
      open = false;
      quiet();
      dialog.close();
      dialog.remove();
      if (back?.isConnected) back.focus();
      resolve(answer);
    };
    const buttons = choices.map((choice) => h(
      `button.button${choice.primary ? ".primary" : ""}`,
      { type: "button", onclick: () => end({ choice: choice.value, ...read() }) },
      choice.label,
    ));
    const dialog = h(
      "dialog",
      { "aria-labelledby": "dialog-title", role: danger ? "alertdialog" : "dialog", "aria-describedby": danger ? "dialog-text" : null },
      stop, name, h("div", { id: "dialog-text" }, content),
      h("div.row", {}, buttons, no === null ? null : h("button.button", { type: "button", onclick: () => end(null) }, no)),
    );
    const show = () => { stop.hidden = !laserMayBeOn(); };
    const quiet = on("state", show);
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      if (laserMayBeOn()) stopAll();
      end(null);
    });
    dialog.addEventListener("close", () => end(null));
    show();
    document.body.append(dialog);
    dialog.showModal();
    settle(dialog);
    (focus === "title" ? name : buttons[0] ?? name).focus();
  });
}
