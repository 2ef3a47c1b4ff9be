// Everything the page asks of the server. Each request ends: with an answer, or within its time with a sentence.

import { t } from "./i18n.js";

export class ApiError extends Error {
  constructor(sentence, { status = 0, code = "", draft = null } = {}) {
    super(sentence);
    Object.assign(this, { status, code, draft });
  }
}

let csrf = "";
const watchers = { lost: () => {}, here: () => {}, signedOut: () => {} };
export function onTrouble(told) { Object.assign(watchers, told); }
export function setCsrf(token) { csrf = token; }

export async function call(method, path, body = undefined, { timeout = 20000, signal = null } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), timeout);
  signal?.addEventListener("abort", () => stop.abort());
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let reply;
  let data = null;
  try {
    reply = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: stop.signal, cache: "no-store", credentials: "same-origin" });
    const text = await reply.text();
    try { data = text ? JSON.parse(text) : null; } catch { data = null; }
    watchers.here();
  } catch {
    if (signal?.aborted) throw new ApiError("", { code: "stale" });
    watchers.lost();
    throw new ApiError(t(stop.signal.aborted ? "error.timeout" : "error.lost"), { code: "lost" });
  } finally {
    clearTimeout(timer);
  }
  if (reply.ok) return data;
  if (reply.status === 401) watchers.signedOut(path);
  throw new ApiError(data?.detail || t("error.unexpected", { status: reply.status }), { status: reply.status, code: data?.code ?? "", draft: data?.draft ?? null });
}

export const get = (path, options) => call("GET", path, undefined, options);
export const post = (path, body = {}, options) => call("POST", path, body, options);
export const put = (path, body = {}, options) => call("PUT", path, body, options);
export const remove = (path, options) => call("DELETE", path, undefined, options);

/** A path with its parts made safe: path("/v1/cases", id, "bench"). */
export const path = (base, ...parts) => [base, ...parts.map(encodeURIComponent)].join("/");
