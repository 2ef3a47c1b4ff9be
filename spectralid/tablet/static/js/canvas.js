// What pictures on a canvas share: the size of their words, the colours of the theme, a clean sheet.

export const FONT = 17;

/** A colour of the theme that is on. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** A canvas wiped clean, with a pen as fine as the screen; nothing while it has no size. */
export function blank(canvas) {
  const width = canvas.clientWidth;
  const tall = canvas.clientHeight;
  if (!width || !tall) return null;
  const scale = Math.min(window.devicePixelRatio || 1, 3);
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(tall * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, tall);
  return { pen, width, tall };
}
