// Everything the page asks of the tablet program. Each request ends: with an answer, or within its time with a sentence
// in the officer's language. Nothing here waits for a network beyond this machine.

import { t } from "./i18n.js";

export class ApiError extends Error {
  constructor(sentence, { code = "", status = 0, body = null } = {}) {
    super(sentence);
    this.code = code;
    this.status = status;
    this.body = body;
  }
}

const watchers = { lost: () => {}, refused: () => {} };

/** Whom to tell that the program does not answer, or does not know this page any more. */
export function onTrouble(told) { Object.assign(watchers, told); }

/** One request; the parsed answer, or an ApiError whose message can be shown as it is. */
export async function call(method, path, body = undefined, { timeout = 10000, type = "application/json" } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Spectralid"] = "1";
  let payload;
  if (body !== undefined) {
    headers["Content-Type"] = type;
    payload = type === "application/json" ? JSON.stringify(body) : body;
  }
  let reply;
  let data = null;
  try {
    reply = await fetch(path, { method, headers, body: payload, signal: stop.signal, cache: "no-store", credentials: "same-origin" });
    const text = await reply.text();
    try { data = text ? JSON.parse(text) : null; } catch { data = null; }
  } catch {
    watchers.lost();
    throw stop.signal.aborted
      ? new ApiError(t("error.timeout"), { code: "timeout" })
      : new ApiError(t("error.stopped"), { code: "stopped" });
  } finally {
    clearTimeout(timer);
  }
  if (reply.ok) return data;
  if (reply.status === 401 || reply.status === 403) watchers.refused();
  const told = data?.error ?? {};
  const sentence = told.sentence || t(reply.status === 401 || reply.status === 403 ? "error.session" : "error.unexpected", { status: reply.status });
  throw new ApiError(sentence, { code: told.code ?? "", status: reply.status, body: data });
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body = {}, options) => call("POST", path, body, options);
export const put = (path, body = {}, options) => call("PUT", path, body, options);
export const remove = (path, options) => call("DELETE", path, undefined, options);

/** A path with its parts made safe: path("/api/items", ref, "strips"). */
export const path = (base, ...parts) => [base, ...parts.map(encodeURIComponent)].join("/");
