// Elements from plain values. Text only ever goes in as text nodes: whatever an officer, a file name or a server says
// is shown, never run.

const SAFE_LINK = /^\/(?!\/)/;

/** An element: h("button.button.primary", {onclick, "aria-label"}, "text", child, [more]). */
export function h(what, facts = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  for (const [name, value] of Object.entries(facts ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "value" || name === "checked") node[name] = value;
    else if (name === "href" && !SAFE_LINK.test(value) && !value.startsWith("#")) continue;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  add(node, children);
  return node;
}

/** Append children: nodes, texts, lists of them; nothing for null, undefined and false. */
export function add(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

/** Put new children in place of the old ones. */
export function fill(node, ...children) {
  node.replaceChildren();
  return add(node, ...children);
}

export const icon = (name) => h(`span.icon.icon-${name}`, { "aria-hidden": "true" });

let count = 0;
/** A name that no other element of the page has. */
export const fresh = (stem) => `${stem}-${(count += 1)}`;

/** A short note to a screen reader; assertive for what is dangerous. */
export function announce(text, urgent = false) {
  const place = document.getElementById(urgent ? "assertive" : "polite");
  place.textContent = "";
  // The same words twice are only read twice if the region was empty in between.
  setTimeout(() => { place.textContent = text; }, 60);
}
