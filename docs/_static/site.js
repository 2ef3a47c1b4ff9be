// What the theme leaves out for those who do not see the page or have no mouse.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll('p.caption[role="heading"]')) {
    caption.setAttribute("aria-level", "2");
  }
  const names = { ".sidebar-drawer": "Pages", ".toc-drawer": "On this page" };
  for (const [selector, name] of Object.entries(names)) {
    document.querySelector(selector)?.setAttribute("aria-label", name);
  }
  // What scrolls by itself has to be reachable with the keyboard.
  for (const wide of document.querySelectorAll("pre, .table-wrapper, .output")) {
    if (wide.scrollWidth > wide.clientWidth) {
      wide.tabIndex = 0;
    }
  }
});
