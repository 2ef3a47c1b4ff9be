// Fields for gloved hands. What was typed survives a reload: it stays in this tab until it has been recorded.

import { h, fresh, icon } from "./dom.js";
import { t } from "./i18n.js";
import { once } from "./act.js";

/** What was typed into a form and not yet recorded. */
function draft(name) {
  const key = `draft:${name}`;
  let kept = {};
  try { kept = JSON.parse(sessionStorage.getItem(key)) ?? {}; } catch { /* nothing kept */ }
  const save = () => { try { sessionStorage.setItem(key, JSON.stringify(kept)); } catch { /* no room: only convenience is lost */ } };
  return {
    get: (field, otherwise) => kept[field] ?? otherwise,
    set: (field, value) => { kept[field] = value; save(); },
    clear: () => { kept = {}; sessionStorage.removeItem(key); },
  };
}

/**
 * A form. `fields(form)` gives its content; `submit(values)` records it. Values are those of the named fields.
 * A field that is required and empty is named in words, focused, and nothing is sent.
 */
export function form(name, { fields, submit, label }) {
  const place = h("div", { "aria-live": "polite" });
  const kept = draft(name);
  const controls = new Map();
  const api = {
    text: (field, options = {}) => text(controls, kept, field, options),
    choice: (field, options) => choice(controls, kept, field, options),
  };
  const go = h("button.button.primary.wide", { type: "submit" }, label);
  const node = h("form", { novalidate: true, onsubmit: (event) => { event.preventDefault(); send(); } }, fields(api), place, h("div.row.end", {}, go));
  const send = () => once(`form:${name}`, go, async () => {
    const values = {};
    for (const [field, control] of controls) {
      const problem = control.problem();
      if (problem) { control.focus(); return; }
      values[field] = control.value();
    }
    await submit(values);
    kept.clear();
  }, place);
  return node;
}

function text(controls, kept, field, { label, hint = "", value = "", required = false, type = "text", lines = 1, mode = null, limit = 300, min = null }) {
  const id = fresh(field);
  const wrong = h("span.wrong", { id: `${id}-wrong`, role: "alert" });
  const input = h(lines > 1 ? "textarea.text" : "input.text", {
    id, name: field, type: lines > 1 ? null : type, rows: lines > 1 ? lines : null, maxlength: limit, inputmode: mode, autocomplete: "off", min,
    "aria-describedby": [hint && `${id}-hint`, `${id}-wrong`].filter(Boolean).join(" "), "aria-required": required || null,
    value: kept.get(field, value),
    oninput: () => { kept.set(field, input.value); told(""); },
  });
  const told = (sentence) => {
    wrong.textContent = sentence;
    if (sentence) input.setAttribute("aria-invalid", "true"); else input.removeAttribute("aria-invalid");
    return Boolean(sentence);
  };
  const numeric = mode === "decimal";
  controls.set(field, {
    value: () => {
      const typed = input.value.trim();
      return numeric ? (typed === "" ? null : Number(typed.replace(",", "."))) : typed;
    },
    problem: () => {
      const typed = input.value.trim();
      if (required && !typed) return told(t("form.needed", { field: label }));
      if (numeric && typed && !(Number(typed.replace(",", ".")) >= 0)) return told(t("form.number", { field: label }));
      return told("");
    },
    focus: () => input.focus(),
  });
  return h("div.field", {}, h("label.name", { for: id }, label), hint && h("span.hint", { id: `${id}-hint` }, hint), input, wrong);
}

/** One of a few, as big buttons (radio buttons underneath, so that keyboard and screen reader know what they are). */
export function choices(name, { label, options, value, changed = () => {}, width = null, hidden = false }) {
  const group = fresh(name);
  const inputs = options.map((option) => h("input", {
    type: "radio", name: group, value: option.value, checked: option.value === value, onchange: () => changed(option.value),
  }));
  const grid = h("div.choices", {}, options.map((option, i) => h(
    `label.big${option.icon ? ".pictured" : ""}`, {}, inputs[i], option.icon ? icon(option.icon) : null, h("span", {}, option.label), h("span.tick", { "aria-hidden": "true" }, "✓"),
  )));
  if (width) grid.style.setProperty("--choice", width);
  const node = h("fieldset.field", {}, h(`legend.name${hidden ? ".unseen" : ""}`, {}, label), grid);
  node.inputs = inputs;
  return node;
}

function choice(controls, kept, field, { label, options, value = null, required = false, width = null }) {
  const wrong = h("span.wrong", { role: "alert" });
  let chosen = kept.get(field, value);
  const node = choices(field, {
    label, options, value: chosen, width,
    changed: (picked) => { chosen = picked; kept.set(field, picked); wrong.textContent = ""; },
  });
  node.append(wrong);
  controls.set(field, {
    value: () => chosen ?? "",
    problem: () => {
      wrong.textContent = required && !chosen ? t("form.needed", { field: label }) : "";
      return Boolean(wrong.textContent);
    },
    focus: () => node.inputs[0]?.focus(),
  });
  return node;
}
