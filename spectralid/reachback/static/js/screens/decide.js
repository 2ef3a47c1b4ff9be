// The decision: what, on what basis, and the words the officer will read. What is written is kept while it is written.

import { path, post } from "../api.js";
import { dialog } from "../dialog.js";
import { announce, fill, fresh, h, once, quietly, say } from "../dom.js";
import { known, t } from "../i18n.js";
import { field } from "./login.js";

const VERDICTS = ["identified", "mixture", "class_only", "inconclusive", "no_match"];
const KEEP_MS = 2500;

/** Ask for the decision; resolves with the server's outcome, or null if it was put off. */
export function decide({ caseId, said, one, work, scans, lease, keepDraft, again }) {
  const draft = plain(work.draft);
  const fit = one?.state.fit;
  const evidence = fit?.evidence ?? [];
  const found = (fit?.parts ?? []).filter((part) => part.share > 0);
  const others = (draft.substances ?? []).filter((slug) => !found.some((part) => part.slug === slug));
  const place = h("div", {});
  const radios = VERDICTS.map((value) => h("input", { type: "radio", name: "verdict", value, checked: (draft.verdict || (found.length > 1 ? "mixture" : found.length ? "identified" : "")) === value, onchange: changed }));
  const boxes = [...found.map((part) => ({ slug: part.slug, name: part.name })), ...others.map((slug) => ({ slug, name: slug }))].map((part) => ({ ...part, input: h("input", { type: "checkbox", name: "substance", value: part.slug, checked: draft.substances ? draft.substances.includes(part.slug) : true, onchange: changed }) }));
  const checks = evidence.map((item) => ({ ...item, input: h("input", { type: "checkbox", name: "evidence", value: item.code, checked: (draft.checked ?? []).includes(item.code), onchange: changed }) }));
  const names = boxes.filter((box) => box.input.checked).map((box) => box.name);
  const text = field(t("decide.basis.text"), { name: "basis", maxlength: 2000, value: draft.basis_text ?? "", oninput: changed, required: true }, { lines: 3, hint: t("decide.basis.hint") });
  const headline = field(t("decide.headline"), { name: "headline", maxlength: 300, value: draft.headline ?? names.join(" + "), oninput: changed, required: true });
  const words = field(t("decide.words"), { name: "words", maxlength: 4000, value: draft.words ?? t("decide.words.usual"), oninput: changed }, { lines: 3 });
  // Characters that cannot be shown are not sent on; the server would refuse them.
  const warned = [...new Set(scans.flatMap((scan) => scan.field?.precautions ?? []))].map((line) => line.replace(/\p{C}/gu, "\ufffd"));
  const care = field(t("decide.precautions"), { name: "precautions", maxlength: 4000, value: (draft.precautions ?? warned).join("\n"), oninput: changed }, { lines: 3, hint: t("decide.precautions.hint") });
  const hazard = h("input", { type: "checkbox", name: "hazard", checked: draft.high_hazard ?? said.case.high_hazard, onchange: changed });
  const preview = h("div.preview", { "aria-label": t("decide.preview"), role: "region" });
  const kept = h("p.small.soft", {});
  const errors = h("span.wrong", { id: fresh("wrong"), role: "alert" });

  const content = () => ({
    verdict: radios.find((radio) => radio.checked)?.value ?? "",
    substances: boxes.filter((box) => box.input.checked).map((box) => box.slug),
    checked: checks.filter((check) => check.input.checked).map((check) => check.code),
    basis_text: text.input.value, headline: headline.input.value, words: words.input.value,
    precautions: care.input.value.split("\n").map((line) => line.trim()).filter(Boolean), high_hazard: hazard.checked,
  });
  const keep = async () => {
    try { await keepDraft(content()); kept.textContent = t("draft.kept", { at: new Date().toISOString().slice(11, 19) }); } catch (error) { kept.textContent = t("draft.notkept"); if (error.status === undefined) console.error(error); }
  };
  const later = quietly(keep, KEEP_MS);
  function changed() {
    work.draft = content();
    errors.textContent = "";
    draw();
    later();
  }
  function draw() {
    const now = content();
    fill(preview, h("p.kicker", {}, t("presumptive.word")), now.precautions.length && now.high_hazard ? h("ul", {}, now.precautions.map((line) => h("li", {}, line))) : null, h("p.headline", {}, now.headline || "…"), h("p.words", {}, now.words),
      now.precautions.length && !now.high_hazard ? h("ul", {}, now.precautions.map((line) => h("li", {}, line))) : null);
  }
  draw();

  return dialog(t("decide.title", { seizure: said.case.seizure_ref }), (close) => {
    const send = h("button.button.primary", { type: "submit" }, t("decide.send"));
    const wrong = (sentence, input) => { errors.textContent = sentence; input?.focus(); };
    const submit = () => {
      const now = content();
      if (!now.verdict) return wrong(t("decide.need.verdict"), radios[0]);
      if (["identified", "mixture"].includes(now.verdict) && !now.substances.length) return wrong(t("decide.need.substance"), boxes[0]?.input);
      if (checks.length && !now.checked.length) return wrong(t("decide.need.checked"), checks[0].input);
      if (now.basis_text.trim().length < 3) return wrong(t("decide.need.basis"), text.input);
      if (!now.headline.trim()) return wrong(t("decide.need.headline"), headline.input);
      const basis = [...checks.filter((check) => check.input.checked).map((check) => `[${check.code}] ${check.sentence}`), now.basis_text.trim()].join("\n").slice(0, 4000);
      return once("decide", send, async () => {
        const body = { token: work.token, verdict: now.verdict, headline: now.headline.trim(), words: now.words, basis, substances: now.substances, precautions: now.precautions, high_hazard: now.high_hazard, first_look: said.first_look?.impression ?? "", seen: said.case.evidence };
        try {
          later.stop();
          const outcome = await post(`${path("/v1/cases", caseId)}/adjudications`, body);
          work.draft = {};
          close(outcome);
        } catch (error) {
          if (error.status !== 409) throw error;
          // More evidence came in: it has to be looked at before anything is sent.
          const more = error.code === "case-changed";
          const trouble = h("div", {});
          const retake = h("button.button", { type: "button", onclick: (event) => once("retake", event.currentTarget, async () => {
            await again();
            if (more) { close(null); return; }
            fill(place);
            announce(t("lease.got"));
            send.focus();
          }, trouble) }, t(more ? "lease.look" : "lease.again"));
          say(place, `${error.message} ${t("lease.kept")}`, "warn", retake, trouble);
          retake.focus();
        }
      }, place);
    };
    const group = (title, content, hint = "") => h("fieldset.field", {}, h("legend", {}, title), hint ? h("span.hint", {}, hint) : null, content);
    return h("form", { novalidate: true, onsubmit: (event) => { event.preventDefault(); submit(); } }, h("div.decide", {},
      h("div", {},
        group(t("decide.verdict"), h("div.choices", {}, radios.map((radio, i) => h("label.check", {}, radio, h("span", {}, known("verdict", VERDICTS[i])))))),
        boxes.length ? group(t("decide.substances"), h("div.choices", {}, boxes.map((box) => h("label.check", {}, box.input, h("span", {}, box.name))))) : null,
        group(t("decide.basis"), checks.length ? checks.map((check) => h("label.check", {}, check.input, h("span", {}, check.sentence))) : h("p.soft", {}, t("decide.noevidence")), t("decide.basis.check")),
        text.node),
      h("div", {}, headline.node, words.node, care.node, h("label.check", {}, hazard, h("span", {}, t("decide.hazard"))), h("h3", {}, t("decide.preview")), preview)),
    place, errors, kept, h("div.row", {}, send, h("button.button", { type: "button", onclick: () => { later.stop(); keep(); close(); } }, t("decide.later"))));
  });
}

/** A draft as this form wrote it, or as the server kept a decision that came too late. */
function plain(draft) {
  if (typeof draft.basis !== "string" || draft.basis_text !== undefined) return draft;
  const lines = draft.basis.split("\n");
  const codes = lines.map((line) => /^\[([a-z]+)\] /.exec(line)?.[1]).filter(Boolean);
  return { ...draft, checked: codes, basis_text: lines.filter((line) => !/^\[[a-z]+\] /.test(line)).join("\n") };
}

/** Ask a second person; resolves with the outcome, or null. */
export function review({ caseId, said, work }) {
  const last = [...said.decisions].reverse().find((one) => one.kind === "decision");
  const place = h("div", {});
  const note = field(t("review.note"), { maxlength: 4000, required: true }, { lines: 4, hint: t("review.hint") });
  return dialog(t("review.title", { seizure: said.case.seizure_ref }), (close) => {
    const send = (agrees, button) => {
      if (!note.input.value.trim()) { say(place, t("review.needed")); note.input.focus(); return; }
      once("review", button, async () => {
        try { close(await post(`${path("/v1/cases", caseId)}/second-review`, { token: work.token, agrees, note: note.input.value.trim() })); } catch (error) {
          if (error.status !== 409) throw error;
          say(place, `${error.message} ${t("lease.kept")}`, "warn");
        }
      }, place);
    };
    const yes = h("button.button.primary", { type: "button", onclick: () => send(true, yes) }, t("review.agree"));
    const no = h("button.button", { type: "button", onclick: () => send(false, no) }, t("review.return"));
    return [
      last ? h("div.card", {}, h("p", {}, t("review.by", { by: last.by })), h("div.preview", {}, h("p.kicker", {}, t("presumptive.word")), h("p.headline", {}, last.said.headline), h("p.words", {}, last.said.words)),
        h("h3", {}, t("decide.substances")), h("p", {}, last.said.substances?.join(", ") || "–"), h("h3", {}, t("decide.basis")), h("p.mono", {}, last.said.basis), last.said.first_look ? [h("h3", {}, t("look.title")), h("p.mono", {}, last.said.first_look)] : null) : null,
      note.node, place, h("div.row", {}, yes, no, h("button.button", { type: "button", onclick: () => close() }, t("decide.later"))),
    ];
  }, { narrow: true });
}
