"""An officer's shift in a real browser, against the real program: twelve scans of known composition.

What is real: the page in Chromium, ``spectralid tablet`` in a process of its own with its store, engine,
policy and exchange, TLS and signatures. What is simulated, and how: `shift_world`. The server is the double
of the exchange tests. Shares are of the Raman photons, as in the benchmarks: the simulator knows no weights.

Pictures of every step are left in ``build/shift``, figures in ``build/shift/figures.json``.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from spectralid.casework import outbox
from spectralid.casework.store import CaseStore
from tests.casework.field import Field
from tests.casework.server_double import never_replies
from tests.report import pages
from tests.tablet import shift_world as world

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "build" / "shift"
AUDIT = (Path(__file__).parent / "audit.js").read_text()
ENGLISH = ROOT / "spectralid" / "tablet" / "static" / "i18n" / "en.json"
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
RULES = ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
DEVICE = "tablet-7"
PATIENCE_MS = 60_000

# In the page, before its own scripts: when events came, what was shown when, how long nothing was drawn.
CLOCKS = """
(() => {
  const seen = (window.__shift = { events: [], shown: {}, longest: 0 });
  const now = () => performance.timeOrigin + performance.now();
  const Plain = window.EventSource;
  window.EventSource = class extends Plain {
    constructor(...given) {
      super(...given);
      for (const name of ["progress", "result", "failed"]) {
        this.addEventListener(name, (e) => seen.events.push([now(), name, JSON.parse(e.data)]));
      }
    }
  };
  let last = performance.now();
  const frame = () => {
    const here = performance.now();
    seen.longest = Math.max(seen.longest, here - last);
    last = here;
    const match = /^\\/result\\/([^/]+)$/.exec(location.pathname);
    const main = document.getElementById("main");
    if (match && main?.ariaBusy !== "true" && main?.querySelector(".sign, h1")) {
      seen.shown[match[1]] ??= now();
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
})();
"""

# Ask the program for its state again and again, as the page does, and remember the slowest answer.
PROBE = """
() => { const p = (window.__probe = { worst: 0, n: 0, stop: false });
  (async () => { while (!p.stop) {
    const t = performance.now(); await fetch("/api/state");
    p.worst = Math.max(p.worst, performance.now() - t); p.n += 1;
    await new Promise((r) => setTimeout(r, 100)); } })(); }
"""

POST = """
async ([path, body]) => { const reply = await fetch(path, { method: "POST", body: JSON.stringify(body),
  headers: { "Content-Type": "application/json", "X-Spectralid": "1" } });
  return [reply.status, await reply.json()]; }
"""


@dataclass
class Sample:
    """What lies under the probe, what is done with it, and what has to come of it."""

    label: str
    substances: str
    container: str = "none"
    fluorescence: float = 0.5
    declared: dict[str, str] = field(default_factory=dict)


class Place(Field):
    """A tablet by the clock of this machine, and its server."""

    def open(self, **options: Any) -> CaseStore:
        return CaseStore.open(self.folder / "tablet", ballast_bytes=1 << 20, **options)


@dataclass
class Shift:
    """Everything of one shift."""

    page: Any
    base: str
    place: Place
    watched: Path
    figures: dict[str, Any]
    complaints: list[str] = field(default_factory=list)
    shots: int = 0
    seed: int = 40

    def shot(self, name: str) -> None:
        """A picture of the whole page as it is now."""
        self.shots += 1
        self.page.wait_for_selector("main:not([aria-busy]) h1")
        self.page.evaluate("scrollTo(0, 0)")
        self.page.screenshot(path=PICTURES / f"{self.shots:02d}-{name}.png", full_page=True)

    def audit(self, where: str) -> None:
        """Controls large enough, contrast high enough; axe finds nothing."""
        faults = self.page.evaluate(AUDIT, {"target": 72, "contrast": 7})
        assert faults == [], (where, faults)
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.evaluate(axe.AXE_SCRIPT)
        options = {"runOnly": RULES, "resultTypes": ["violations"]}
        found = self.page.evaluate("(options) => axe.run(document, options)", options)["violations"]
        assert found == [], (where, [(v["id"], [n["html"] for n in v["nodes"]]) for v in found])
        self.figures["screens audited"] = self.figures.get("screens audited", 0) + 1

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        status, answer = self.page.evaluate(POST, [path, body])
        assert status < 300, (path, status, answer)
        return answer

    def get(self, path: str) -> Any:
        reply = self.page.request.get(self.base + path)
        assert reply.ok, (path, reply.status)
        return reply.json()

    def noted(self, message: Any) -> None:
        """What the browser complains of: scripts and content security policy, not answers and lost links."""
        if message.type == "error" and "ERR_" not in message.text and "status of" not in message.text:
            self.complaints.append(message.text)

    # --- what the officer does

    def under_the_probe(self, sample: Sample) -> None:
        """Lay the next sample down: the simulated instrument is started anew with it."""
        self.seed += 1
        scene = {"simulate": sample.substances, "fluorescence": sample.fluorescence, "seed": self.seed}
        if sample.container != "none":
            scene["container"] = sample.container
        self.post("/api/instrument", scene)

    def add_item(self, sample: Sample) -> None:
        page = self.page
        if "step=item" not in page.url:
            if not page.get_by_role("link", name="Next item").count():
                page.locator("#nav").get_by_role("link", name="Scan").click()
            page.get_by_role("link", name="Next item").first.click()
        page.locator("input[name=label]").fill(sample.label)
        page.locator(f"label.big:has(input[value={sample.container}])").click()
        if sample.declared:
            page.locator("summary").first.click()
            for name, value in sample.declared.items():
                page.locator(f"input[name={name}], textarea[name={name}]").fill(value)
        page.locator("form button[type=submit]").click()
        page.wait_for_url(re.compile(r"/scan(\?|$)"))

    def scan(self) -> dict[str, Any]:
        """Press the button, confirm, wait; gives the record."""
        page = self.page
        page.locator("button.huge").click()
        page.locator("dialog .button.primary").click()
        try:
            page.wait_for_url(re.compile(r"/result/"), timeout=PATIENCE_MS)
        except sync_api.TimeoutError:
            self.shot("no-result")
            raise
        packet = page.url.rsplit("/", 1)[-1]
        page.wait_for_function("(id) => window.__shift.shown[id]", arg=packet)
        seen = page.evaluate("window.__shift")
        photons = [t for t, name, e in seen["events"] if name == "progress" and e["stage"] == "sample"]
        done = [t for t, name, e in seen["events"] if name == "progress" and e["stage"] == "identifying"]
        waited = self.figures.setdefault("seconds from the last photon to the result", [])
        waited.append(round((seen["shown"][packet] - max(photons)) / 1000, 3))
        after = self.figures.setdefault("seconds from the end of the measurement to the result", [])
        after.append(round((seen["shown"][packet] - max(done)) / 1000, 3))
        page.evaluate("window.__shift.events.length = 0")
        return self.get(f"/api/records/{packet}")

    def measure(self, sample: Sample, shot: str = "") -> dict[str, Any]:
        self.under_the_probe(sample)
        self.add_item(sample)
        record = self.scan()
        self.shot(shot or sample.label.replace(" ", "-"))
        return record

    def strip(self, result: str, *, photo: bool = False) -> dict[str, Any]:
        """Record a fentanyl strip of the item on the screen; gives the item."""
        page = self.page
        page.get_by_role("link", name="strip").first.click()
        page.locator("label.big:has(input[value=fentanyl])").click()
        page.locator(f"label.big:has(input[value={result}])").click()
        page.locator("label.big:has(input[value=btnx])").click()
        page.locator("input[name=dilution_mg_ml]").fill("2")
        for more in page.locator("form details:not([open]) > summary").all():
            more.click()
        for name, value in (
            ("lot", "L22"),
            ("expiry", "2099-12-31"),
            ("cutoff_ng_ml", "200"),
            ("read_s", "120"),
        ):
            page.locator(f"input[name={name}]").fill(value)
        if photo:
            page.locator("input[type=file]").set_input_files(
                {"name": "strip.png", "mimeType": "image/png", "buffer": page.screenshot()}
            )
            ready = json.loads(ENGLISH.read_text("utf-8"))["photo.ready"]
            page.locator(".photo", has_text=ready).wait_for()
        page.locator("form button[type=submit]").click()
        page.wait_for_url(re.compile(r"/item/[^?]+$"))
        return self.get("/api/items/" + page.url.rsplit("/", 1)[-1])

    def send(self, note: str) -> None:
        page = self.page
        page.locator("button.reachback").click()
        page.locator("#send-note").fill(note)
        page.locator("dialog .button.primary").click()
        page.locator("dialog").wait_for(state="detached")


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Band table, library and instrument model; half a minute of work, kept in a folder if one is named."""
    if shutil.which("chromium") is None:
        pytest.skip("no chromium on this machine")
    kept = os.environ.get("SPECTRALID_SHIFT_WORLD")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("agency")
    files = {"bands": folder / "bands.csv", "library": folder / "agency.h5", "model": folder / "unit.json"}
    if all(file.exists() for file in files.values()):
        return files
    bands = world.write_band_table(files["bands"])
    library = world.build_library(files["library"], bands)
    return {
        "bands": bands,
        "library": library,
        "model": world.characterise(folder / "unit.json", library, bands),
    }


@pytest.fixture(scope="module")
def shift(agency: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shift]:
    chromium = shutil.which("chromium")
    shutil.rmtree(PICTURES, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    folder = tmp_path_factory.mktemp("shift")
    watched = folder / "bench"
    watched.mkdir()
    place = Place(folder, device_id=DEVICE)
    place.server.utc = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    place.server.start()
    place.enrol(issued_utc=place.server.utc)
    place.server.stop()  # the shift begins without a network
    place.store.close()
    began = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, "-c", "import sys; from spectralid.cli import main; sys.exit(main())", "tablet",
         "--data", str(folder / "tablet"), "--library", str(agency["library"]), "--port", "0", "--simulate",
         "--sim-bands", str(agency["bands"]), "--instrument-model", str(agency["model"]),
         "--watch", str(watched)],
        stdout=subprocess.PIPE, stderr=(folder / "program.log").open("w"), text=True,
    )  # fmt: skip
    try:
        assert program.stdout is not None
        address = program.stdout.readline().strip()
        assert address.startswith("http"), (folder / "program.log").read_text()
        figures: dict[str, Any] = {"seconds from start to address": round(time.monotonic() - began, 2)}
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 1024, "height": 768}, locale="en-US")
            page.set_default_timeout(30_000)
            page.add_init_script(CLOCKS)
            base = re.match(r"http://[^/]+", address).group()  # type: ignore[union-attr]
            shift = Shift(page, base, place, watched, figures)
            page.on("pageerror", lambda error: shift.complaints.append(str(error)))
            page.on("console", shift.noted)
            page.goto(address)
            yield shift
            page.screenshot(path=PICTURES / "99-last.png")
            browser.close()
    finally:
        program.terminate()
        with suppress(subprocess.TimeoutExpired):
            program.wait(20)
        program.kill()
        place.server.stop()
        (PICTURES / "program.log").write_text((folder / "program.log").read_text())
    (PICTURES / "figures.json").write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n")


def test_a_full_shift(shift: Shift, agency: dict[str, Path]) -> None:
    # One test: its parts need each other, and a distributed run would take them apart.
    twelve_scans(shift, agency)
    every_screen_by_day_and_night_in_both_languages(shift)
    everything_is_on_record_and_on_the_server_once(shift)


def twelve_scans(shift: Shift, agency: dict[str, Path]) -> None:
    page, place = shift.page, shift.place
    release = threading.Event()

    # Connect (the first time as the officer does it), open a seizure.
    page.get_by_role("heading", level=1).wait_for()
    shift.shot("connect")
    if not page.locator("#sample-find").is_visible():
        page.locator("details summary").first.click()
    page.locator("#sample-find").fill("acetaminophen")
    page.get_by_role("button", name="acetaminophen", exact=True).click()
    page.locator("input[name=officer]").fill("K-17")
    page.locator("input[name=place]").fill("Lane 4")
    page.locator("label.big:has(input[value=land])").click()
    shift.shot("seizure")
    page.locator("form button[type=submit]").click()
    page.wait_for_url(re.compile("step=item"))
    shift.shot("item")

    # 1: open powder, declared as what it is; every stage looked at.
    first = Sample("tablet 1", "acetaminophen", declared={"text": "paracetamol", "cas": "103-90-2"})
    shift.add_item(first)
    shift.shot("ready")
    page.locator("button.huge").click()
    page.locator("dialog").wait_for()
    shift.shot("consent")
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")
    record = shift.scan()
    shift.shot("1-acetaminophen")
    assert record["verdict"]["kind"] == "identified"
    assert record["components"][0]["name"] == "Acetaminophen"
    assert shift.get(f"/api/items/{record['item_ref']}")["declared"]["outcome"] == "consistent"

    # 2: through the bag. 3: through the vial.
    record = shift.measure(Sample("bag 2", "sucrose", "pe"), "2-sucrose-in-a-bag")
    assert record["verdict"]["headline"] == "Sucrose"
    record = shift.measure(Sample("vial 3", "caffeine", "glass"), "3-caffeine-in-glass")
    assert record["verdict"]["headline"] == "Caffeine"

    # 4: seven per cent of fentanyl in lactose, in a bag; the strip agrees; reachback is asked, offline.
    mixture = world.photon_shares({"lactose": 0.93, "fentanyl": 0.07}, agency["bands"])
    record = shift.measure(Sample("bag 4", mixture, "pe"), "4-fentanyl-7-per-cent")
    fentanyl = record
    assert record["verdict"]["alarm"] == "danger"
    assert "Fentanyl" in record["verdict"]["headline"]
    assert 0.03 < next(c["share"] for c in record["components"] if c["name"] == "Fentanyl") < 0.12
    assert any("naloxone" in p for p in record["verdict"]["precautions"])
    # What to do stands above what it is.
    care = page.locator("#main li", has_text="naloxone").bounding_box()
    name = page.locator("#main h1").bounding_box()
    assert care is not None and name is not None and care["y"] < name["y"]  # noqa: PT018
    item = shift.strip("pos", photo=True)
    shift.shot("4-with-a-positive-strip")
    assert item["strips"][0]["evidence"]["ratio"] > 1
    assert not item["strips"][0]["evidence"]["conflict"]
    assert len(item["strips"][0]["photo"]) == 64
    assert set(item["assessment"]["swgdrug"]) == {"A", "C"}
    shift.send("Second person at hand.")
    shift.shot("4-sent-without-a-network")
    queue = shift.get("/api/queue")
    assert queue["summary"]["queued"] == len(queue["rows"]) > 8

    # 5: nothing in the library is it; declared as citric acid. What is unknown is handled as dangerous.
    record = shift.measure(
        Sample("drum 5", world.UNKNOWN, declared={"text": "citric acid"}), "5-not-in-the-library"
    )
    assert record["verdict"]["kind"] in ("no_match", "inconclusive")
    assert record["verdict"]["alarm"] in ("unknown", "danger")
    assert record["verdict"]["escalate"]

    # 6 and 7: it fluoresces; the tablet asks for the infrared, whose file comes into the watched folder.
    record = shift.measure(Sample("bag 6", "caffeine", fluorescence=40.0), "6-fluoresces")
    assert record["verdict"]["kind"] in ("inconclusive", "poor_signal")
    assert record["suggest"] == "ftir"
    axis, absorbance = world.infrared("caffeine", seed=77, shift=0.6)
    (shift.watched / "bench-0001.jdx").write_text(world.jcamp("bag 6", axis, absorbance))
    page.locator("#notices").get_by_text("bench-0001.jdx").wait_for()
    shift.shot("7-a-file-arrived")
    page.goto(f"{shift.base}/item/{record['item_ref']}")
    page.get_by_role("button", name="Assign").or_(page.locator("li.record.still button")).first.click()
    page.wait_for_url(re.compile(r"/result/"))
    page.locator("#main h1").wait_for()
    shift.shot("7-infrared")
    infrared = shift.get("/api/records/" + page.url.rsplit("/", 1)[-1])
    assert infrared["verdict"]["headline"] == "Caffeine"
    page.goto(f"{shift.base}/item/{record['item_ref']}")
    page.locator("#main h1").wait_for()
    shift.shot("7-both-techniques")
    assert len(shift.get(f"/api/items/{record['item_ref']}")["scans"]) == 2

    # 8: a shipment that is not what it is declared as.
    record = shift.measure(
        Sample("pallet 8", "melamine", declared={"text": "sodium bicarbonate", "tariff": "2836.30"}),
        "8-mis-declared",
    )
    page.goto(f"{shift.base}/item/{record['item_ref']}")
    page.locator("#main h1").wait_for()
    shift.shot("8-declared-as-something-else")
    assert shift.get(f"/api/items/{record['item_ref']}")["declared"]["outcome"] == "inconsistent"

    # 9: sugar by the spectrum, fentanyl by the strip: shown as a conflict, escalated, not averaged away.
    record = shift.measure(Sample("bag 9", "sucrose"), "9-sucrose")
    assert record["verdict"]["alarm"] == "notice"
    item = shift.strip("pos")
    shift.shot("9-strip-conflict")
    assert item["strips"][0]["evidence"]["conflict"]
    assert item["assessment"]["conflicts"]
    assert item["assessment"]["escalate"]
    assert item["assessment"]["alarm"] != "notice"

    # 10: the server takes requests in and says nothing; the page does not notice.
    for area in ("packets", "inbox", "time"):
        place.server.script(area, *[never_replies(release)] * 50)
    place.server.start()
    page.evaluate("window.__shift.longest = 0")
    page.evaluate(PROBE)
    record = shift.measure(Sample("bag 10", "sodium bicarbonate", "pe"), "10-while-the-server-is-silent")
    assert record["verdict"]["headline"] == "Sodium bicarbonate"
    for name in ("History", "Queue", "Answers"):
        page.locator("#nav").get_by_role("link", name=name).click()
        page.get_by_role("heading", level=1).wait_for()
    silent = page.evaluate(
        "(window.__probe.stop = true, { ...window.__probe, frame: window.__shift.longest })"
    )
    shift.figures["while the server is silent"] = {
        "slowest answer of the program, ms": round(silent["worst"]),
        "answers": silent["n"],
        "longest time without a drawn frame, ms": round(silent["frame"]),
    }
    # A page that waits for the network would wait for the whole of a deadline, which is longer.
    assert silent["n"] > 10
    assert silent["worst"] < 5000
    place.server.stop()
    release.set()
    for area in ("packets", "inbox", "time"):
        place.server._faults[area].clear()

    # 11 and 12: the network is back while the officer works on.
    place.server.start()
    record = shift.measure(Sample("vial 11", "ibuprofen", "glass"), "11-ibuprofen-in-glass")
    assert record["verdict"]["headline"] == "Ibuprofen"
    both = world.photon_shares({"caffeine": 0.5, "acetaminophen": 0.5}, agency["bands"])
    record = shift.measure(Sample("tablet 12", both), "12-two-substances")
    assert record["verdict"]["kind"] == "mixture"
    assert {"Acetaminophen", "Caffeine"} <= {c["name"] for c in record["components"]}

    page.locator("#nav").get_by_role("link", name="Queue").click()
    page.get_by_role("button", name="now").or_(page.locator("button.primary")).first.click()
    total = len(shift.get("/api/queue")["rows"])
    page.wait_for_function(
        "async (n) => (await (await fetch('/api/state')).json()).queue.received >= n",
        arg=total,
        timeout=PATIENCE_MS,
    )
    shift.shot("queue-drained")
    assert len(place.server.packets) == total

    # The answer of the laboratory comes, is read once, and stands in the report.
    place.server.utc = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    place.server.answer(
        DEVICE, kind="lab_result", lab="confirmed", item_ref=fentanyl["item_ref"],
        seizure_ref=fentanyl["seizure_ref"], packet_ids=[fentanyl["packet_id"]], utc=place.server.utc,
        headline="Fentanyl hydrochloride in lactose, 6.4 % by GC-MS", words="Confirmed by two techniques.",
        by="LAB-2",
    )  # fmt: skip
    page.locator("#notices a", has_text=re.compile(".")).first.wait_for(timeout=PATIENCE_MS)
    shift.shot("an-answer-came")
    page.locator("#nav").get_by_role("link", name="Answers").click()
    page.get_by_text("GC-MS").first.wait_for()
    shift.shot("answers")
    page.get_by_role("button", name="read").first.click()
    page.wait_for_function("async () => (await (await fetch('/api/state')).json()).answers.unread === 0")
    shift.shot("answers-read")

    # Reports, as the officer downloads them.
    for name, path in (
        ("report-fentanyl", f"/api/records/{fentanyl['packet_id']}/report.pdf"),
        ("report-seizure", f"/api/seizures/{fentanyl['seizure_ref']}/report.pdf"),
    ):
        data = page.request.get(shift.base + path).body()
        (PICTURES / f"{name}.pdf").write_bytes(data)
        pages.pictures(data, PICTURES / name)
        text = " ".join(pages.texts(data))
        assert "SIMULATED: NOT EVIDENCE" in text
        assert "PRESUMPTIVE" in text
        assert "CONFIRMED BY A LABORATORY" in text
        assert page.request.get(shift.base + path).body() == data
    assert shift.complaints == []
    assert max(shift.figures["seconds from the last photon to the result"]) < 30  # the goal is 3
    shift.figures["packets"] = total


def every_screen_by_day_and_night_in_both_languages(shift: Shift) -> None:
    """After the shift, with everything in it that a shift brings."""
    page = shift.page
    history = shift.get("/api/history?limit=100")
    scans = [row for row in history if row["kind"] == "scan"]
    alarms = {row["alarm"]: row["packet_id"] for row in scans}
    items = {row["packet_id"]: row["item_ref"] for row in scans}
    first = scans[-1]["item_ref"]
    seizure = scans[0]["seizure_ref"]
    routes = {
        "connect": "/?step=connect", "seizure": "/?step=seizure", "item": "/?step=item", "scan": "/scan",
        "strip": f"/item/{first}?do=strip", "declared": f"/item/{first}?do=declared",
        "note": f"/item/{first}?do=note", "history": "/history", "by-seizure": "/history?by=seizure",
        "one-seizure": f"/history?seizure={seizure}", "queue": "/queue", "answers": "/answers",
        "device": "/device", "settings": "/settings",
        **{f"result-{alarm}": f"/result/{packet}" for alarm, packet in alarms.items()},
        **{f"item-{alarm}": f"/item/{items[alarms[alarm]]}" for alarm in ("danger", "unknown", "warning")},
    }  # fmt: skip
    for name, route in routes.items():
        page.goto(shift.base + route)
        for language, theme in (("en", "day"), ("en", "night"), ("es", "night"), ("es", "day")):
            reply = page.request.put(
                f"{shift.base}/api/settings", data={"language": language, "theme": theme},
                headers={"X-Spectralid": "1"},
            )  # fmt: skip
            assert reply.ok
            page.wait_for_selector(f'html[lang="{language}"][data-theme="{theme}"]')
            page.wait_for_selector("main:not([aria-busy]):not(.settling) h1")
            shift.audit(f"{name} {language} {theme}")
            if (language, theme) == ("es", "night"):
                shift.shot(f"{language}-{theme}-{name}")
    assert shift.complaints == []


def everything_is_on_record_and_on_the_server_once(shift: Shift) -> None:
    place = shift.place
    with CaseStore.open(place.folder / "tablet", read_only=True) as store:
        assert store.verify() == ()
        assert store.custody.verify() == ()
        rows = outbox.states(store)
        scans = [store.packet(row.packet_id) for row in store.history(limit=200, kind="scan")]
    techniques = [p.manifest["instrument"]["technique"] for p in scans]
    assert (techniques.count("raman"), techniques.count("ftir_atr")) == (11, 1)
    assert {p.manifest["officer_ref"] for p in scans} == {"K-17"}
    assert [r.seq for r in rows if r.state not in ("received", "answered")] == []
    assert sorted(seq for _, seq in place.server.packets) == sorted(r.seq for r in rows)
    assert len(set(place.server.deliveries)) == len(place.server.packets)
