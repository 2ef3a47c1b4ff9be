// The fit on the bench: which components with which shares, asked of the engine again and again. Only the newest
// answer counts.

import { get, path, post } from "./api.js";
import { quietly } from "./dom.js";

const QUIET_MS = 90;

export function bench(caseId, scan, told) {
  const base = `${path("/v1/cases", caseId, "bench", String(scan.seq), String(scan.idx))}`;
  const state = {
    sheet: null, fit: null, parts: [], excluded: new Set(), marks: null, marked: "", tolerance: 8, pinned: true,
    proposals: null, limits: new Map(), busy: false, error: "", raw: false,
  };
  let asked = 0;
  let stop = null;

  const changed = (what) => told(state, what);
  const on = () => state.parts.filter((part) => part.on);
  const wanted = () => ({ components: on().map(({ slug, share }) => ({ slug, share })), excluded: [...state.excluded] });

  function take(fit) {
    state.fit = fit;
    state.limits.clear(); // they were of another fit
    for (const told of fit.parts) {
      const mine = state.parts.find((part) => part.slug === told.slug);
      if (mine) mine.told = told;
      else state.parts.push({ slug: told.slug, name: told.name, on: true, share: null, told });
    }
  }

  async function refit(body = wanted()) {
    const mine = (asked += 1);
    stop?.abort();
    state.error = "";
    if (!body.components?.length && !body.search) { state.fit = null; state.busy = false; changed("fit"); return; }
    stop = new AbortController();
    state.busy = true;
    changed("busy");
    try {
      const { fit } = await post(`${base}/fit`, body.search ? { excluded: body.excluded } : body, { signal: stop.signal });
      if (mine !== asked) return;
      if (body.search) state.parts = state.parts.filter((part) => fit.parts.some((one) => one.slug === part.slug)).map((part) => ({ ...part, on: true, share: null }));
      take(fit);
    } catch (error) {
      if (mine !== asked || error.code === "stale") return;
      state.error = error.message;
    }
    state.busy = false;
    changed("fit");
    // What may explain the rest is of this rest, or not shown.
    if (state.proposals) searching();
  }
  const rest = async () => {
    if (!on().length) { state.proposals = null; changed("candidates"); return; }
    const mine = asked;
    const { proposals } = await post(`${base}/rest`, { ...wanted(), count: 8 });
    if (mine !== asked) return;
    state.proposals = proposals;
    changed("candidates");
  };
  const searching = quietly(() => rest().catch(() => { state.proposals = null; changed("candidates"); }), 250);
  const later = quietly(() => refit(), QUIET_MS);

  return {
    state, on, refit,
    async load() {
      state.sheet = await get(base, { timeout: 90000 });
      if (state.sheet.fit) take(state.sheet.fit);
      changed("sheet");
    },
    toggle(index) {
      const part = state.parts[index];
      if (!part) return null;
      part.on = !part.on;
      if (part.on) state.excluded.delete(part.slug); else part.share = null;
      refit();
      return part;
    },
    hold(slug, share) {
      const part = state.parts.find((one) => one.slug === slug);
      if (!part) return;
      part.share = share;
      if (share === null) refit(); else later();
    },
    add(slug, name) {
      const part = state.parts.find((one) => one.slug === slug);
      state.excluded.delete(slug);
      if (part) part.on = true; else state.parts.push({ slug, name, on: true, share: null, told: null });
      return refit();
    },
    exclude(slug) {
      if (state.excluded.has(slug)) { state.excluded.delete(slug); changed("candidates"); return false; }
      state.excluded.add(slug);
      const part = state.parts.find((one) => one.slug === slug);
      if (part) { part.on = false; part.share = null; }
      refit();
      return true;
    },
    /** The engine's own answer again, or its best without what is excluded. */
    engine() {
      state.parts.forEach((part) => { part.share = null; });
      return refit({ search: true, excluded: [...state.excluded] });
    },
    rest,
    async mark(slug) {
      state.marked = slug;
      const said = await get(`${base}/marks?slug=${encodeURIComponent(slug)}&tolerance_cm1=${state.tolerance}`);
      if (state.marked !== slug) return;
      state.marks = said;
      changed("marks");
      if (!on().some((part) => part.slug === slug) && on().length) {
        const { limits } = await post(`${base}/limits`, { ...wanted(), names: [slug] });
        if (limits[0]) state.limits.set(slug, limits[0]);
        if (state.marked === slug) changed("marks");
      }
    },
    find: async (text) => (await get(`${base}/compounds?q=${encodeURIComponent(text)}`)).compounds,
    stop() { stop?.abort(); later.stop(); searching.stop(); asked += 1; },
  };
}
