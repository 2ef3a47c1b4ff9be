// What the tablet program last said of itself, who wants to know, and whether it is there at all.

import { get, onTrouble } from "./api.js";

const EVENTS = ["progress", "live", "result", "checked", "failed", "answer", "arrived"];
const SILENCE_MS = 10000;
const RETRY_MS = 1000;

let state = null;
let link = "starting"; // starting | here | lost | refused
let source = null;
let heard = 0;
let events = 0;
let probing = false;
const listeners = new Map();

export const now = () => state;
export const linked = () => link;

/** Call `told(data)` for each event of a name ("state", "link", and the server's); gives back how to stop. */
export function on(name, told) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  // An entry of its own each time: the same function may be registered by a screen that comes and one that goes.
  const entry = (data) => told(data);
  listeners.get(name).add(entry);
  return () => listeners.get(name).delete(entry);
}

export function tell(name, data) {
  for (const told of [...(listeners.get(name) ?? [])]) told(data);
}

/**
 * Take the state that a request answers with, and give it back. An event that came meanwhile is newer than the answer,
 * or will be followed by one that is.
 */
export async function taken(request) {
  const before = events;
  const fresh = await request;
  if (events === before) take(fresh);
  return fresh;
}

function take(fresh) {
  if (!fresh || typeof fresh !== "object" || !fresh.device) return;
  heard = performance.now();
  state = fresh;
  tell("state", state);
}

function setLink(next) {
  if (next === link) return;
  link = next;
  tell("link", link);
}

/** Ask for the state until it comes: at once, and then once a second for as long as it takes. */
async function probe() {
  if (probing) return;
  probing = true;
  try {
    await taken(get("/api/state", { timeout: 3000 }));
    setLink("here");
    if (!source || source.readyState === EventSource.CLOSED) listen();
  } catch (error) {
    if (error.status !== 401 && error.status !== 403) setLink("lost");
    setTimeout(probe, RETRY_MS);
  } finally {
    probing = false;
  }
}

function listen() {
  source?.close();
  source = new EventSource("/api/events");
  source.addEventListener("open", () => { heard = performance.now(); });
  source.addEventListener("error", () => probe());
  source.addEventListener("state", (event) => read(event, (data) => { events += 1; take(data); }));
  for (const name of EVENTS) {
    source.addEventListener(name, (event) => read(event, (data) => { heard = performance.now(); tell(name, data); }));
  }
}

function read(event, told) {
  let data;
  try { data = JSON.parse(event.data); } catch { return; }
  told(data);
}

/** Start listening; resolves with the first state that comes. */
export function start() {
  onTrouble({ lost: () => { if (link !== "starting") probe(); }, refused: () => setLink("refused") });
  const first = new Promise((resolve) => { const stop = on("state", (data) => { stop(); resolve(data); }); });
  probe();
  // A stream can die without an error; a state that is asked for now and then finds that out.
  setInterval(() => { if (link === "here" && performance.now() - heard > SILENCE_MS) probe(); }, SILENCE_MS / 2);
  return first;
}

const ON = ["armed", "warmup", "acquiring", "laser_off_unconfirmed"];
/** Whether light may come out: STOP must be in reach. */
export const laserMayBeOn = (s = state) =>
  Boolean(s && (s.current?.scan || (s.device.connected && (ON.includes(s.device.state) || (s.device.state === "fault" && s.device.laser)))));
