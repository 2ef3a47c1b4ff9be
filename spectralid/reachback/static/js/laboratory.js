// The laboratory's page: a result by form, a file of results, and what nobody could place.

import { ApiError, call, get, onTrouble, path, post, setCsrf } from "./api.js";
import { fill, fresh, h, once, say } from "./dom.js";
import { loadLanguages } from "./i18n.js";

const main = document.getElementById("main");
const WORDS = {
  applied: "Applied to the case.",
  waiting: "Kept; it is applied when the case has an answer. The officer knows that a result is there.",
  noted: "Kept; it changes nothing.",
  unmatched: "Kept; its case or item is not clear. Place it below.",
  dismissed: "Kept; a person dismissed it.",
};
const WHY = {
  "no-case-named": "no case is named", "no-such-case": "there is no such case", "several-cases": "several cases have that seizure",
  "contradicts-sample": "the sample is on record for another case or item", "which-item": "the case has several items: name one",
  "no-such-item": "the case has no such item", "older-report": "a later report on the sample is on record",
  "regional-decided": "the regional laboratory has decided", "conclusive-stands": "another sample was conclusive",
  "no-answer-yet": "the case has no answer yet", "contradicts-answer": "it found another than what was answered, and counts as refuting it",
  "of-another-answer": "it names nothing, and the answer is another than what it confirmed",
};

function field(label, facts = {}, hint = "", tag = "input.text") {
  const id = fresh("field");
  const input = h(tag, { id, name: label, autocomplete: "off", maxlength: 100, "aria-describedby": hint ? `${id}-hint` : null, ...facts });
  return { input, node: h("div.field", {}, h("label.name", { for: id }, label), hint && h("span.hint", { id: `${id}-hint` }, hint), input) };
}

function choice(label, values) {
  const one = field(label, { maxlength: null }, "", "select.text");
  for (const value of values) one.input.append(h("option", { value }, value || "as the field says"));
  return one;
}

const listed = (text) => text.split("|").map((one) => one.trim()).filter(Boolean);
const utc = (local) => (local ? new Date(local).toISOString() : "");

function substances(text) {
  return listed(text).map((one) => {
    const [, slug, share, error] = /^(\S+?)(?:\s+([\d.,]+)\s*(?:±\s*([\d.,]+)\s*)?%)?$/.exec(one) ?? [];
    if (!slug) throw new ApiError(`“${one}” is not as: fentanyl 4.2 ± 0.3 %`);
    const part = (number) => (number === undefined ? null : Number(number.replace(",", ".")) / 100);
    return { slug, share: part(share), uncertainty: part(error) };
  });
}

function resultForm(methods, changed) {
  const place = h("div");
  const f = {
    case_id: field("Case", {}, "C-…; may be left empty for a sample that was registered"),
    item_ref: field("Item", {}, "where the case has several"),
    laboratory: field("Laboratory", { required: true }),
    sample_ref: field("Sample", { required: true }),
    report_ref: field("Report number"),
    corrects: field("Corrects report", {}, "its number, if this takes the place of another report"),
    stage: choice("Stage", ["forward", "regional"]),
    result: choice("Result", ["inconclusive", "confirmed", "refuted"]),
    methods: field("Methods", { required: true, maxlength: 300, placeholder: "GC-MS | FTIR" }, `divided by |: ${methods.join(", ")}`),
    substances: field("Substances found", { maxlength: 2000, placeholder: "fentanyl 4.2 ± 0.3 % | lactose" }, "slugs of the compound table, with share of the mass where known, divided by |"),
    measured_utc: field("Measured", { type: "datetime-local", maxlength: null }, "in the time of this computer"),
    reported_utc: field("Reported", { type: "datetime-local", maxlength: null }, "in the time of this computer"),
    analyst: field("Analyst", {}, "never sent to a device"),
    note: field("Note", { maxlength: 2000, rows: 3 }, "never sent to a device", "textarea.text"),
  };
  const send = h("button.button.primary", { type: "submit" }, "Record the result");
  const submit = (event) => {
    event.preventDefault();
    once("result", send, async () => {
      const said = Object.fromEntries(Object.entries(f).map(([name, one]) => [name, one.input.value.trim()]));
      const body = { ...said, methods: listed(said.methods), substances: substances(said.substances), measured_utc: utc(said.measured_utc), reported_utc: utc(said.reported_utc) };
      const taken = await post("/v1/lab-results", body);
      const known = taken.status === 200 ? "It was on record. " : "";
      const why = taken.why ? ` (${WHY[taken.why] ?? taken.why})` : "";
      const state = taken.state ? ` The case is ${taken.state}.` : "";
      say(place, `${known}${WORDS[taken.what]}${why}${state}`, taken.what === "applied" ? "good" : "warn");
      changed();
    }, place);
  };
  return h("section.card", {}, h("h2", {}, "A result"), h("form", { onsubmit: submit }, Object.values(f).map((one) => one.node), send), place);
}

function fileForm(changed) {
  const place = h("div");
  const file = field("CSV file", { type: "file", accept: ".csv,.txt,text/csv", required: true, maxlength: null }, "UTF-8 or UTF-16; columns as in the documentation");
  const button = (dry, words) => h(dry ? "button.button" : "button.button.primary", { type: "button", onclick: (event) => once("file", event.currentTarget, () => bring(dry), place) }, words);
  const bring = async (dry) => {
    if (!file.input.files.length) throw new ApiError("Choose a file first.");
    const reply = await fetch(`/v1/lab-results/csv?dry=${dry}`, { method: "POST", body: file.input.files[0], headers: { "X-CSRF-Token": token, "Content-Type": "text/csv" }, credentials: "same-origin" });
    const done = await reply.json();
    if (!reply.ok) throw new ApiError(done.detail ?? "The server refused the file.", { status: reply.status });
    const bad = done.bad.map((one) => h("li", {}, `Line ${one.line}: ${one.why}`));
    const count = `${done.lines.length} lines ${dry ? "would be taken" : "taken"}, ${done.bad.length} not.`;
    const ignored = done.ignored.length ? h("p", {}, `Columns that are not read: ${done.ignored.join(", ")}`) : null;
    say(place, count, done.bad.length ? "warn" : "good", bad.length ? h("ul", {}, bad) : null, ignored);
    if (!dry) changed();
  };
  return h("section.card", {}, h("h2", {}, "A file of results"), file.node, h("div.row", {}, button(true, "Look first"), button(false, "Take it in")), place);
}

function unmatched(results, changed) {
  const rows = results.map((one) => {
    const place = h("div");
    const to = field("Case of this result");
    const item = field("Item of it");
    const why = field("Or why it is of no case here", { maxlength: 100 });
    const act = (name, body) => (event) => once(`${name}-${one.n}`, event.currentTarget, async () => {
      await post(path("/v1/lab-results", String(one.n), name), body());
      changed();
    }, place);
    const said = `${one.result}, ${one.laboratory}, sample ${one.sample_ref}${one.report_ref ? `, report ${one.report_ref}` : ""}: ${WHY[one.why] ?? one.why}`;
    return h("li.card", {}, h("p", {}, said), to.node, item.node,
      h("button.button", { type: "button", onclick: act("placement", () => ({ case_id: to.input.value.trim(), item_ref: item.input.value.trim() })) }, "Place it"),
      why.node, h("button.button", { type: "button", onclick: act("dismissal", () => ({ why: why.input.value.trim() })) }, "Dismiss it"), place);
  });
  return h("section.card", {}, h("h2", {}, `Not placed: ${results.length}`), rows.length ? h("ul.plain", {}, rows) : h("p", {}, "Every result has its case."));
}

function signIn() {
  const place = h("div");
  const account = field("Account", { autocomplete: "username", required: true, maxlength: 40 });
  const password = field("Password", { type: "password", autocomplete: "current-password", required: true, maxlength: 200 });
  const code = field("Code of the second factor", { inputmode: "numeric", autocomplete: "one-time-code", required: true, maxlength: 6 });
  const send = h("button.button.primary", { type: "submit" }, "Sign in");
  const submit = (event) => {
    event.preventDefault();
    once("sign-in", send, async () => {
      await post("/v1/session", { account: account.input.value.trim(), password: password.input.value, code: code.input.value.trim() });
      await show();
    }, place);
  };
  fill(main, h("section.card.login", {}, h("h1", { tabindex: "-1" }, "Laboratory results"), h("form", { onsubmit: submit }, account.node, password.node, code.node, send), place));
}

let token = "";

async function show() {
  let session;
  try {
    session = await get("/v1/session");
  } catch (error) {
    if (error.status !== 401) throw error;
    signIn();
    return;
  }
  token = session.csrf;
  setCsrf(token);
  const { methods } = await get("/v1/lab-methods");
  const list = h("div");
  const changed = async () => {
    const { results } = await get("/v1/lab-results?what=unmatched");
    fill(list, unmatched(results, changed));
  };
  const out = h("button.button.small", { type: "button", onclick: async () => { await call("DELETE", "/v1/session"); signIn(); } }, `Sign out ${session.account}`);
  fill(main, h("div.head", {}, h("h1", { tabindex: "-1" }, "Laboratory results"), out), resultForm(methods.map((one) => one.name), changed), fileForm(changed), list);
  await changed();
}

onTrouble({ signedOut: () => {} });
loadLanguages().then(show).catch((error) => fill(main, h("p.box.bad", {}, error.message)));
