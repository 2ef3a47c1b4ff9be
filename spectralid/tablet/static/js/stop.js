// STOP: end the scan and switch the laser off. Never waits for anything, may be pressed again at any time.

import { announce, h } from "./dom.js";
import { remove, post } from "./api.js";
import { t } from "./i18n.js";
import { taken, tell } from "./state.js";

const TIMEOUT_MS = 4000;

export async function stopAll() {
  tell("stopping", { sentence: t("stop.stopping"), bad: false });
  announce(t("stop.stopping"), true);
  const [off] = await Promise.allSettled([
    taken(post("/api/instrument/off", {}, { timeout: TIMEOUT_MS })),
    remove("/api/scans", { timeout: TIMEOUT_MS }),
  ]);
  const sure = off.status === "fulfilled" && off.value?.device?.state !== "laser_off_unconfirmed";
  const sentence = t(sure ? "stop.stopped" : "stop.unconfirmed");
  tell("stopping", { sentence, bad: !sure });
  announce(sentence, true);
}

export const stopButton = () => h("button.stop", { type: "button", onclick: stopAll }, t("stop.word"), h("small", {}, t("stop.what")));
