// Elements from plain values. Text only ever goes in as text nodes: whatever an officer, a tablet, a file name or a
// server says is shown, never run.

const SVG = "http://www.w3.org/2000/svg";
const OURS = /^(\/(?!\/)|#)/;
// Marks that turn the direction of writing: in somebody's text they would reverse what stands after it.
const TURNS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** An element: h("button.button.primary", {onclick, "aria-label"}, "text", child, [more]). */
export function h(what, facts = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = ["svg", "line"].includes(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  if (classes.length) node.setAttribute("class", classes.join(" "));
  for (const [name, value] of Object.entries(facts ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else if ((name === "href" || name === "src") && !OURS.test(value)) continue;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  return add(node, children);
}

/** Append children: nodes, texts, lists of them; nothing for null, undefined and false. */
export function add(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child).replace(TURNS, "\ufffd"));
  }
  return node;
}

/** Put new children in place of the old ones. */
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, ...children);
}

let count = 0;
/** A name that no other element of the page has. */
export const fresh = (stem) => `${stem}-${(count += 1)}`;

/** A short note to a screen reader; urgent for what must not wait. */
export function announce(text, urgent = false) {
  const place = document.getElementById(urgent ? "assertive" : "polite");
  place.textContent = "";
  setTimeout(() => { place.textContent = text; }, 60);
}

/** Call `work` only once things have been quiet for so long; `.now()` at once if something waits. */
export function quietly(work, wait) {
  let timer = 0;
  const later = (...facts) => {
    clearTimeout(timer);
    timer = setTimeout(() => { timer = 0; work(...facts); }, wait);
  };
  later.stop = () => { clearTimeout(timer); timer = 0; };
  return later;
}

const running = new Set();
/** Do `work` unless the same thing is being done; the button shows it; what went wrong stands in `place`. */
export async function once(key, button, work, place) {
  if (running.has(key)) return undefined;
  running.add(key);
  button?.setAttribute("aria-busy", "true");
  if (place) fill(place);
  try {
    return await work();
  } catch (error) {
    if (!place) throw error;
    say(place, error.message);
    if (error.status === undefined) console.error(error);
    return undefined;
  } finally {
    running.delete(key);
    button?.removeAttribute("aria-busy");
  }
}

/** A sentence in sight and read out. */
export function say(place, sentence, how = "bad", ...more) {
  fill(place, h(`div.box.told.${how}`, {}, h("p", {}, sentence), more));
  announce(sentence, how === "bad");
  place.scrollIntoView?.({ block: "nearest" });
}
