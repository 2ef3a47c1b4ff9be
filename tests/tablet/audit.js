// What a person with gloves, in the sun or in the dark, needs of a page, measured. Gives back a list of faults.
({ target, contrast }) => {
  const faults = [];
  const open = document.querySelector("dialog[open]");
  const seen = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".unseen") && (!open || open.contains(node));
  const name = (node) => `${node.tagName.toLowerCase()}.${node.className} "${(node.getAttribute("aria-label") || node.textContent || node.name || "").trim().slice(0, 40)}"`;

  for (const node of document.querySelectorAll('a[href], button, input, select, textarea, summary, [role="button"], [tabindex="0"]')) {
    if (!seen(node)) continue;
    const { width, height } = node.getBoundingClientRect();
    if (width < target || height < target) faults.push(`small: ${name(node)} is ${width.toFixed(0)} × ${height.toFixed(0)}`);
  }

  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const under = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) {
      const layer = parse(getComputedStyle(at).backgroundColor);
      if (layer[3] > 0) layers.push(layer);
      if (layer[3] === 1) break;
    }
    return layers.reverse().reduce((below, [r, g, b, a]) => [r * a + below[0] * (1 - a), g * a + below[1] * (1 - a), b * a + below[2] * (1 - a)], [255, 255, 255]);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => { const s = v / 255; return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const ratio = (one, other) => { const [a, b] = [light(one), light(other)].sort((x, y) => y - x); return (a + 0.05) / (b + 0.05); };
  const check = (node, what) => {
    const style = getComputedStyle(node);
    const found = ratio(parse(style.color), under(node));
    if (found < contrast) faults.push(`contrast: ${what} ${found.toFixed(2)} in ${name(node)}`);
    if (Number(style.opacity) < 1) faults.push(`faded: ${name(node)}`);
    if (parseFloat(style.fontSize) < 16) faults.push(`small text: ${style.fontSize} in ${name(node)}`);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const node = text.parentElement;
    if (text.data.trim() && !["SCRIPT", "NOSCRIPT"].includes(node.tagName) && seen(node)) check(node, "text");
  }
  for (const node of document.querySelectorAll("input.text, textarea.text")) if (seen(node)) check(node, "typed text");
  // The edge of what can be pressed stands out from what is around it (WCAG 1.4.11).
  for (const node of document.querySelectorAll(".button, label.big, .photo, input.text, textarea.text, summary, .record")) {
    if (!seen(node)) continue;
    const style = getComputedStyle(node);
    const around = under(node.parentElement);
    const best = Math.max(ratio(parse(style.borderTopColor), around), ratio(under(node), around));
    if (!node.matches(".still") && best < 3) faults.push(`edge: ${best.toFixed(2)} of ${name(node)}`);
  }

  // The word stands inside its shape: a point outside of it belongs to something else.
  for (const word of document.querySelectorAll(".sign .word")) {
    if (!seen(word)) continue;
    word.scrollIntoView({ block: "center" });
    const range = document.createRange();
    range.selectNodeContents(word);
    const box = range.getBoundingClientRect();
    const face = word.closest(".face");
    const inset = box.height * 0.2;
    for (const [x, y] of [[box.left, box.top + inset], [box.right, box.top + inset], [box.left, box.bottom - inset], [box.right, box.bottom - inset]]) {
      if (!face.contains(document.elementFromPoint(x, y))) faults.push(`outside its shape: ${word.textContent}`);
    }
  }
  window.scrollTo(0, 0);

  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push(`scrolls sideways by ${wide} px`);
  for (const node of document.querySelectorAll("body *")) {
    if (!seen(node) || node.closest("#skip, canvas")) continue;
    const box = node.getBoundingClientRect();
    if (box.width > 0 && (box.right > innerWidth + 1 || box.left < -1)) { faults.push(`outside the window: ${name(node)}`); break; }
  }
  for (const image of document.images) if (!image.hasAttribute("alt")) faults.push(`no words for ${image.src}`);
  return faults;
}
