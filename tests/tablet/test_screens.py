"""The officer's screens in a real browser, against a stand-in: legible, in reach, not blocked, not fooled."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tablet.stub_server import STATIC, Stub, bands

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
Browser, Page = sync_api.Browser, sync_api.Page
expect = sync_api.expect

PICTURES = Path(__file__).resolve().parents[2] / "build" / "screens"
AUDIT = (Path(__file__).parent / "audit.js").read_text()
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
SIZES = {"landscape": (1024, 768), "wide": (1280, 800), "portrait": (800, 1280)}
RULES = ["wcag2a", "wcag2aa", "wcag2aaa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
HOSTILE = (
    "\"'><img src=x onerror=window.hacked=1><script>window.hacked=1</script>{{7*7}} \u202eevil " + "W" * 180
)

Prepare = Callable[[Stub, Page], None]


def _press(*names: str) -> Prepare:
    def act(_: Stub, page: Page) -> None:
        for name in names:
            page.get_by_role("button", name=name).first.click()

    return act


def _scanning(stub: Stub, page: Page) -> None:
    stub.world.scanning("sample", 4, 10, "acquiring")
    page.wait_for_selector("progress")
    stub.world.publish("live", {"scan_id": "scan-0", **bands((876, 1.0), (1004, 0.5))})


def _warning(stub: Stub, page: Page) -> None:
    stub.world.scanning("warning", 3, 3, "armed")
    page.wait_for_selector(".countdown:not([hidden])")


def _no_library(stub: Stub, _: Page) -> None:
    stub.world.state["device"].update(connected=False, state="disconnected", simulated=False)
    stub.world.state["library"].update(old=True, age_days=500)
    stub.world.state["store"].update(read_only=True, reason="The disk is full.")
    stub.world.publish()


def _evidence(stub: Stub, page: Page) -> None:
    item = stub.world.items["I-1"]
    item["strips"].append(
        {
            "target": "nitazene",
            "brand": "BTNX",
            "lot": "A1",
            "expiry": "2027-01-01",
            "result": "neg",
            "evidence": {
                "ratio": None,
                "low": None,
                "high": None,
                "conflict": True,
                "reasons": ["No dilution was recorded."],
            },
        }
    )
    item["declared"] = {
        "text": "citric acid",
        "cas": "77-92-9",
        "tariff": "2918.14",
        "outcome": "inconsistent",
        "reasons": ["Citric acid was not found."],
    }
    item["fusion"] = {
        "outcome": "disagree",
        "words": "Raman speaks for mannitol, infrared for something else.",
    }
    item.update(suggest="ftir", suggest_reason="The sample fluoresces.", notes=[{"text": "White powder."}])
    stub.world.state["queue"]["queued"] += 1
    stub.world.publish()
    page.wait_for_selector("text=White powder.")


SCREENS: dict[str, tuple[str, Prepare | None]] = {
    "connect": ("/?step=connect", None),
    "seizure": ("/?step=seizure", None),
    "item-new": ("/?step=item", lambda _, page: page.locator("summary").click()),
    "scan-ready": ("/scan", None),
    "scan-consent": ("/scan", _press("Start scan")),
    "scan-warning": ("/scan", _warning),
    "scan-running": ("/scan", _scanning),
    "result-danger": ("/result/danger", None),
    "result-unknown": ("/result/unknown", None),
    "result-warning": ("/result/warning", None),
    "result-notice": ("/result/notice", None),
    "item": ("/item/I-1", _evidence),
    "strip": ("/item/I-1?do=strip", lambda _, page: page.locator("summary").click()),
    "declared": ("/item/I-1?do=declared", None),
    "send": ("/item/I-1", _press("Send to reachback")),
    "history": ("/history", None),
    "seizure-one": ("/history?seizure=S-1", None),
    "queue": ("/queue", None),
    "answers": ("/answers", None),
    "device": ("/device", None),
    "device-troubled": ("/device", _no_library),
    "settings": ("/settings", None),
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield made
        made.close()


@pytest.fixture(scope="module")
def served() -> Iterator[Stub]:
    stub = Stub()
    yield stub
    stub.drop()


@pytest.fixture(scope="module")
def tab(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1024, "height": 768}, reduced_motion="reduce")
    page.set_default_timeout(8000)
    yield page
    page.close()


@pytest.fixture
def stub(served: Stub) -> Stub:
    served.resume()
    served.world.reset()
    return served


@pytest.fixture
def page(tab: Page) -> Iterator[Page]:
    """A page without memory; the test fails if its script or its content security policy complained."""
    complaints: list[str] = []

    def noted(message: Any) -> None:
        if message.type == "error" and "ERR_" not in message.text and "status of" not in message.text:
            complaints.append(message.text)

    def failed(error: Any) -> None:
        complaints.append(str(error))

    tab.on("console", noted)
    tab.on("pageerror", failed)
    tab.set_viewport_size({"width": 1024, "height": 768})
    yield tab
    tab.remove_listener("console", noted)
    tab.remove_listener("pageerror", failed)
    tab.evaluate("() => { sessionStorage.clear(); localStorage.clear(); }")
    tab.goto("about:blank")
    assert complaints == []


def show(page: Page, stub: Stub, path: str) -> None:
    page.goto(stub.url + path)
    settled(page)


def settled(page: Page) -> None:
    page.wait_for_selector("main:not([aria-busy]) h1")
    page.wait_for_selector("main:not(.settling)")


def faults(page: Page) -> list[str]:
    return page.evaluate(AUDIT, {"target": 72, "contrast": 7})


def axe(page: Page) -> list[str]:
    from axe_playwright_python.base import AXE_SCRIPT

    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    options = {"runOnly": RULES, "resultTypes": ["violations"]}
    found = page.evaluate("(options) => axe.run(document, options)", options)
    return [
        f"{v['id']}: {n['target']} {n['failureSummary']}" for v in found["violations"] for n in v["nodes"]
    ]


def sentence(key: str, language: str = "en", **facts: Any) -> str:
    text = json.loads((STATIC / "i18n" / f"{language}.json").read_text())[key]
    for name, value in facts.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


def bodies(stub: Stub, method: str, path: str) -> list[Any]:
    return stub.world.sent(method, path)


# --- every screen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCREENS)
def test_screen_is_legible_and_reachable(name: str, stub: Stub, page: Page) -> None:
    path, prepare = SCREENS[name]
    show(page, stub, path)
    if prepare:
        prepare(stub, page)
    PICTURES.mkdir(parents=True, exist_ok=True)
    found: list[str] = []
    for language, theme in (("en", "day"), ("en", "night"), ("es", "night"), ("es", "day")):
        stub.world.state.update(language=language, theme=theme)
        stub.world.publish()
        page.wait_for_selector(f'html[lang="{language}"][data-theme="{theme}"]')
        settled(page)
        expect(page.locator("#top strong")).to_have_text(sentence("presumptive.word", language))
        where = f"{name} {language} {theme}"
        found += [f"{where}: {fault}" for fault in (*faults(page), *axe(page))]
        page.screenshot(path=PICTURES / f"{name}-{language}-{theme}.png")
    # Spanish is the longer language: what fits there fits in English.
    for size in ("wide", "portrait"):
        page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
        found += [f"{name} {size}: {fault}" for fault in faults(page)]
        page.screenshot(path=PICTURES / f"{name}-{size}.png")
    # 1024 × 768 enlarged to 200 %.
    page.set_viewport_size({"width": 512, "height": 384})
    found += [f"{name} 200 %: {fault}" for fault in faults(page)]
    assert found == []
    # Drawn anew for another language, nothing stands there twice.
    assert page.locator("h1").count() == 1
    assert page.locator("main .name:is(h2, h3)").count() <= 1


def test_text_alone_can_be_doubled(stub: Stub, page: Page) -> None:
    for path in ("/result/unknown", "/scan", "/?step=item"):
        show(page, stub, path)
        page.evaluate("() => { document.documentElement.style.fontSize = '200%'; }")
        assert [f for f in faults(page) if not f.startswith("outside its shape")] == []


# --- the way to a result ---------------------------------------------------------------------------------


def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is called so has the focus, as somebody without a pointer does."""
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate(
            "() => [document.activeElement.getAttribute('aria-label'), document.activeElement.innerText,"
            " document.activeElement.labels?.[0]?.innerText, document.activeElement.name].join('|')"
        )
        if name in here:
            outline = page.evaluate(
                "() => { const e = document.activeElement; const o = e.closest('label.big') ?? e;"
                " return getComputedStyle(o).outlineStyle; }"
            )
            assert outline == "solid", f"the focus on {name} cannot be seen"
            return
    raise AssertionError(f"{name} cannot be reached with Tab")


def test_whole_way_with_the_keyboard_alone(stub: Stub, page: Page) -> None:
    stub.world.state["device"].update(connected=False, state="disconnected", simulated=False)
    stub.world.state["current"].update(seizure_ref=None, item_ref=None)
    stub.world.state["officer"] = ""
    show(page, stub, "/")
    expect(page.locator("h1")).to_be_focused()
    page.keyboard.press("Shift+Tab")
    tab_to(page, "Connect")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text(sentence("seizure.title"))
    settled(page)
    tab_to(page, "Officer")
    page.keyboard.type("K-21")
    tab_to(page, "Place")
    page.keyboard.press("Control+A")
    page.keyboard.type("Lane 3")
    tab_to(page, "Mail")
    page.keyboard.press("ArrowRight")
    tab_to(page, "Open the seizure")
    page.keyboard.press("Enter")

    expect(page.locator("h1")).to_have_text(sentence("item.new"))
    expect(page.locator("h1")).to_be_focused()
    settled(page)
    tab_to(page, "Open, nothing between")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")  # Enter in a form records it.

    expect(page.locator("h1")).to_have_text(sentence("scan.title"))
    settled(page)
    tab_to(page, "Start scan")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alertdialog")).to_be_visible()
    page.keyboard.press("Enter")  # A stray Enter starts no laser.
    expect(page.get_by_role("alertdialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alertdialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Start scan")).to_be_focused()
    assert bodies(stub, "POST", "/api/scans") == []
    page.keyboard.press("Enter")
    expect(page.get_by_role("alertdialog")).to_contain_text("785 nm")
    tab_to(page, "Glasses on")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(sentence("stage.warning"))
    stub.world.scanning("sample", 3, 10, "acquiring")
    expect(page.locator("#polite")).to_have_text(sentence("stage.sample"))
    stub.world.finish("danger")
    expect(page.locator("h1")).to_have_text("DANGER")
    expect(page.locator("h1")).to_be_focused()
    expect(page.locator("#assertive")).to_contain_text("Ultra-potent opioid")

    assert bodies(stub, "PUT", "/api/settings") == [{"officer": "K-21"}]
    assert bodies(stub, "POST", "/api/seizures") == [{"place": "Lane 3", "mode": "express", "note": ""}]
    assert bodies(stub, "POST", "/api/items") == [
        {"seizure_ref": "S-2", "label": "Item 1", "container": "pe", "declared": None}
    ]
    assert bodies(stub, "POST", "/api/scans") == [{"item_ref": "I-2", "confirmed": True}]


def test_precautions_stand_above_the_name_where_it_may_hurt(stub: Stub, page: Page) -> None:
    for alarm, above in (("danger", True), ("unknown", True), ("warning", False), ("notice", False)):
        show(page, stub, f"/result/{alarm}")
        care = page.locator(".alarm .precautions").bounding_box()
        name = page.locator(".alarm .name").bounding_box()
        assert (care["y"] < name["y"]) is above, alarm
        assert page.locator(".sign").get_attribute("class") == f"sign {alarm}"
        expect(page.locator("main")).to_contain_text("PRESUMPTIVE")
        expect(page.locator("main")).to_contain_text("below 6 % of the signal it would not have been seen")
        expect(page.locator(".simulated-band")).to_be_visible()


def test_alarm_nobody_knows_is_shown_as_unknown(stub: Stub, page: Page) -> None:
    stub.world.refuse["GET", "/api/records/odd"] = (
        200,
        stub.world.record("notice") | {"verdict": None, "refused": "Its range is too short."},
    )
    show(page, stub, "/result/odd")
    expect(page.locator("h1")).to_have_text("UNKNOWN")
    expect(page.locator("main")).to_contain_text("Its range is too short.")
    expect(page.locator(".alarm .precautions")).to_contain_text(sentence("result.refused_care"))


def test_confirmed_is_said_only_after_the_laboratory_said_it(stub: Stub, page: Page) -> None:
    for packet, said in (("danger", "lab.none"), ("warning", "lab.confirmed")):
        show(page, stub, f"/result/{packet}")
        expect(page.locator("dl.facts")).to_contain_text(sentence(said))


def test_rounding_makes_nothing_certain(stub: Stub, page: Page) -> None:
    for packet, said in (("warning", "probability > 99%"), ("danger", "probability 97%")):
        show(page, stub, f"/result/{packet}")
        expect(page.locator(".bars")).to_contain_text(said)


def test_why_nothing_is_sent_is_told(stub: Stub, page: Page) -> None:
    stub.world.state["queue"].update(attention_code="re-enrol", failure_code="not-the-server")
    show(page, stub, "/queue")
    expect(page.locator("main .notice-box.bad").first).to_have_text(sentence("reason.re-enrol"))
    expect(page.locator("main")).to_contain_text(sentence("reason.not-the-server"))


def test_repeated_scan_is_asked_about(stub: Stub, page: Page) -> None:
    stub.world.refuse["POST", "/api/scans"] = (409, {"error": {"code": "same_item", "sentence": "Again?"}})
    show(page, stub, "/scan")
    page.get_by_role("button", name="Start scan").click()
    page.get_by_role("button", name="Glasses on").click()
    dialog = page.get_by_role("dialog", name=sentence("scan.same"))
    expect(dialog).to_be_visible()
    stub.world.refuse.clear()
    dialog.get_by_role("button", name=sentence("scan.same_again")).click()
    expect(page.locator("progress")).to_be_visible()
    assert bodies(stub, "POST", "/api/scans")[-1] == {"item_ref": "I-1", "confirmed": True, "again": True}


def test_failed_scan_says_why_and_offers_another(stub: Stub, page: Page) -> None:
    show(page, stub, "/scan")
    _scanning(stub, page)
    stub.world.publish(
        "failed", {"scan_id": "scan-0", "sentence": "Bright.", "code": "saturated", "retake": True}
    )
    expect(page.locator("main .notice-box.bad")).to_contain_text(sentence("failed.saturated"))
    stub.world.scanning(None)
    page.get_by_role("button", name=sentence("scan.again")).click()
    expect(page.get_by_role("button", name="Start scan")).to_be_visible()


# --- STOP ------------------------------------------------------------------------------------------------


def test_stop_stays_in_reach_while_light_may_come_out(stub: Stub, page: Page) -> None:
    show(page, stub, "/history")
    expect(page.locator("#laser")).to_be_hidden()
    for state in ("armed", "warmup", "acquiring", "laser_off_unconfirmed", "fault"):
        stub.world.scanning(None, device=state)
        for width, height in (*SIZES.values(), (512, 384)):
            page.set_viewport_size({"width": width, "height": height})
            page.evaluate("() => window.scrollTo(0, document.body.scrollHeight)")
            button = page.locator("#laser .stop")
            box = button.bounding_box()
            assert box["y"] >= 0
            assert box["y"] + box["height"] <= height, f"STOP is outside of {width} × {height}"
            button.click(trial=True)
    page.set_viewport_size({"width": 1024, "height": 768})
    page.locator("#laser .stop").click()
    expect(page.locator("#assertive")).to_have_text(sentence("stop.stopped"))
    assert len(bodies(stub, "POST", "/api/instrument/off")) == 1
    assert len(bodies(stub, "DELETE", "/api/scans")) == 1
    expect(page.locator("#laser")).to_be_hidden()


def test_stop_by_escape_and_inside_a_dialog(stub: Stub, page: Page) -> None:
    show(page, stub, "/item/I-1")
    stub.world.scanning("sample", 1, 10, "acquiring")
    expect(page.locator("#laser")).to_be_visible()
    page.get_by_role("button", name="Send to reachback").click()
    expect(page.locator("dialog .stop")).to_be_visible()
    page.locator("dialog .stop").click()
    expect(page.locator("#assertive")).to_have_text(sentence("stop.stopped"))
    page.keyboard.press("Escape")
    stub.world.scanning("sample", 1, 10, "acquiring")
    expect(page.locator("#laser")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#laser")).to_be_hidden()
    assert len(bodies(stub, "POST", "/api/instrument/off")) == 2


def test_stopped_scan_is_said_to_be_stopped(stub: Stub, page: Page) -> None:
    show(page, stub, "/scan")
    _scanning(stub, page)
    page.locator("#laser .stop").click()
    expect(page.locator("#assertive")).to_have_text(sentence("stop.stopped"))
    stub.world.publish(
        "failed", {"scan_id": "scan-0", "sentence": "Cancelled.", "code": "cancelled", "retake": False}
    )
    expect(page.locator("#notices")).to_contain_text(sentence("failed.cancelled"))
    expect(page.locator("#assertive")).to_have_text(sentence("stop.stopped"))
    expect(page.get_by_role("button", name="Start scan")).to_be_visible()


def test_laser_not_confirmed_off_is_never_called_off(stub: Stub, page: Page) -> None:
    stub.world.refuse["POST", "/api/instrument/off"] = (
        409,
        {"error": {"code": "device", "sentence": "No reply."}},
    )
    show(page, stub, "/scan")
    stub.world.scanning("sample", 1, 10, "acquiring")
    page.locator("#laser .stop").click()
    expect(page.locator("#notices .bad")).to_contain_text(sentence("stop.unconfirmed"))
    assert sentence("stop.stopped") not in page.locator("body").inner_text()


# --- nothing blocks, nothing is lost, nothing happens twice -----------------------------------------------


def test_reload_in_the_middle_of_a_scan(stub: Stub, page: Page) -> None:
    show(page, stub, "/scan")
    page.get_by_role("button", name="Start scan").click()
    page.get_by_role("button", name="Glasses on").click()
    expect(page.locator("progress")).to_be_visible()
    stub.world.scanning("sample", 4, 10, "acquiring")
    page.reload()
    expect(page.locator("h1")).to_have_text(sentence("stage.sample"))
    expect(page.locator("#laser .stop")).to_be_visible()
    page.goto("about:blank")
    stub.world.finish("unknown")  # while nobody listens
    page.goto(stub.url + "/scan")
    expect(page.locator("h1")).to_have_text("UNKNOWN")


def test_what_was_typed_survives_a_reload_until_it_is_recorded(stub: Stub, page: Page) -> None:
    show(page, stub, "/item/I-1?do=strip")
    page.get_by_label("fentanyl").check()
    page.get_by_label("BTNX").check()
    page.get_by_label("Dilution").fill("1,5")
    page.get_by_label("Positive").check()
    page.reload()
    settled(page)
    expect(page.get_by_label("Dilution")).to_have_value("1,5")
    page.get_by_role("button", name=sentence("strip.record")).click()
    expect(page.locator("h1")).to_have_text("Item 1")
    (sent,) = bodies(stub, "POST", "/api/items/I-1/strips")
    assert sent == {
        "target": "fentanyl",
        "result": "pos",
        "brand": "BTNX",
        "dilution_mg_ml": 1.5,
        "lot": "",
        "expiry": "",
        "cutoff_ng_ml": None,
        "read_s": None,
        "photo": None,
    }
    show(page, stub, "/item/I-1?do=strip")
    expect(page.get_by_label("Dilution")).to_have_value("")


def test_program_that_stops_and_comes_back(stub: Stub, page: Page) -> None:
    show(page, stub, "/queue")
    stub.world.scanning("sample", 1, 10, "acquiring")
    expect(page.locator("#laser")).to_be_visible()
    stub.drop()
    lost = page.locator("#lost")
    expect(lost).to_contain_text("The tablet program stopped. Nothing recorded is lost.")
    expect(lost).to_contain_text(sentence("link.laser"))
    expect(page.locator("h1")).to_have_text(sentence("queue.title"))
    page.get_by_role("button", name=sentence("queue.retry")).click()
    expect(page.locator("main .notice-box.bad").first).to_contain_text(sentence("error.stopped"))
    page.screenshot(path=PICTURES / "lost.png")
    assert faults(page) == []
    stub.world.scanning(None)
    stub.world.state["queue"]["queued"] = 9
    stub.resume()
    expect(lost).to_have_count(0)
    expect(page.locator("#laser")).to_be_hidden()
    expect(page.locator(".counts li").first).to_contain_text("9")
    stub.world.state["queue"]["queued"] = 8
    stub.world.publish()  # the stream of events goes on, too
    expect(page.locator(".counts li").first).to_contain_text("8")


def test_program_that_hangs_gets_a_sentence(stub: Stub, browser: Browser) -> None:
    page = browser.new_page()  # of its own: the clock of a page cannot be given back
    page.clock.install()
    page.goto(stub.url + "/settings")
    page.get_by_role("button", name="Save").wait_for()
    page.clock.run_for(1000)
    stub.world.hold.clear()
    try:
        page.get_by_role("button", name="Save").click()
        page.clock.run_for(11_000)
        expect(page.locator("form .notice-box.bad")).to_have_text(sentence("error.timeout"))
    finally:
        stub.world.hold.set()
        page.close()


def test_refused_page_says_what_to_open(stub: Stub, page: Page) -> None:
    show(page, stub, "/settings")
    stub.world.refuse["PUT", "/api/settings"] = (401, {})
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#lost")).to_contain_text(sentence("error.session"))


def test_double_tap_records_once_and_confirms_nothing(stub: Stub, page: Page) -> None:
    show(page, stub, "/item/I-1?do=note")
    page.get_by_label("Note").fill("White powder.")
    stub.world.hold.clear()
    page.get_by_role("button", name=sentence("note.record")).dblclick()
    page.get_by_role("button", name=sentence("note.record")).dispatch_event("click")
    stub.world.hold.set()
    expect(page.locator("h1")).to_have_text("Item 1")
    assert bodies(stub, "POST", "/api/items/I-1/notes") == [{"text": "White powder."}]

    # The second tap on Start lands where the dialog's buttons are: it must not be a yes.
    show(page, stub, "/scan")
    page.get_by_role("button", name="Start scan").click()
    yes = page.get_by_role("button", name="Glasses on")
    box = yes.bounding_box()
    page.keyboard.press("Escape")
    start = page.get_by_role("button", name="Start scan")
    start.dispatch_event("click")
    page.mouse.click(box["x"] + 20, box["y"] + 20)
    expect(page.get_by_role("alertdialog")).to_be_visible()
    assert bodies(stub, "POST", "/api/scans") == []


def test_hostile_texts_are_shown_and_never_run(stub: Stub, page: Page) -> None:
    world = stub.world

    def poison(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {k: poison(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [poison(v, key) for v in value]
        keep = {
            "alarm",
            "kind",
            "state",
            "theme",
            "language",
            "languages",
            "utc",
            "technique",
            "container",
            "lab",
            "tier",
            "sha256",
        }
        return (
            HOSTILE
            if isinstance(value, str) and key not in keep and not key.endswith(("_ref", "_id"))
            else value
        )

    world.seizures.update(poison(world.seizures))
    world.items.update(poison(world.items))
    world.answers[:] = poison(world.answers)
    world.arrived[:] = poison(world.arrived)
    for name in ("officer", "site", "device", "store", "policy", "queue"):
        world.state[name] = poison(world.state[name], name)
    record = poison(world.record("danger"))
    world.refuse["GET", "/api/records/danger"] = (200, record)
    rows = {"rows": poison(world.queue_rows()), "summary": {}}
    world.refuse["GET", "/api/queue"] = (200, rows)
    paths = (
        "/result/danger",
        "/item/I-1",
        "/scan",
        "/answers",
        "/queue",
        "/device",
        "/settings",
        "/history?seizure=S-1",
        "/?step=item",
        "/result/%3Cimg%20src=x%3E",
    )
    for path in paths:
        show(page, stub, path)
        assert page.evaluate("() => window.hacked") is None, path
        assert page.locator("img[src=x], main script").count() == 0, path
        assert [f for f in faults(page) if "sideways" in f or "outside the" in f] == [], path
    expect(page.locator("main")).to_contain_text("There is no such record.")
    page.goto(stub.url + "/result/danger")
    expect(page.locator(".alarm .name")).to_have_text(HOSTILE)


# --- evidence, queue, answers, settings -------------------------------------------------------------------


def test_declared_goods_are_checked_and_the_outcome_shown(stub: Stub, page: Page) -> None:
    show(page, stub, "/item/I-1?do=declared")
    page.get_by_role("button", name=sentence("declared.check")).click()
    expect(page.locator("form .notice-box.bad")).to_have_text(sentence("declared.empty"))
    page.get_by_label("Declared as").fill("citric acid")
    page.get_by_role("button", name=sentence("declared.check")).click()
    expect(page.get_by_text(sentence("outcome.inconsistent"))).to_be_visible()
    assert bodies(stub, "POST", "/api/items/I-1/declared") == [
        {"text": "citric acid", "cas": "", "tariff": ""}
    ]


def test_missing_field_is_named_and_focused(stub: Stub, page: Page) -> None:
    show(page, stub, "/item/I-1?do=strip")
    page.get_by_role("button", name=sentence("strip.record")).click()
    expect(page.get_by_text(sentence("form.needed", field="The strip is made for"))).to_be_visible()
    page.get_by_label("fentanyl").check()
    page.get_by_role("button", name=sentence("strip.record")).click()
    expect(page.get_by_text(sentence("form.needed", field="It shows"))).to_be_visible()
    assert bodies(stub, "POST", "/api/items/I-1/strips") == []
    page.get_by_label("Negative").check()
    page.get_by_label("Dilution").fill("a lot")
    page.get_by_role("button", name=sentence("strip.record")).click()
    expect(page.get_by_label("Dilution")).to_be_focused()
    expect(page.get_by_label("Dilution")).to_have_attribute("aria-invalid", "true")


def test_photo_is_made_small_and_sent(stub: Stub, page: Page, tmp_path: Path) -> None:
    picture = tmp_path / "photo.png"
    show(page, stub, "/item/I-1")
    picture.write_bytes(page.screenshot())
    page.get_by_label(sentence("photo.take")).set_input_files(picture)
    expect(page.get_by_text(re.compile(r"photo \d+ bytes"))).to_be_visible()
    (sent,) = bodies(stub, "POST", "/api/items/I-1/photos")
    assert sent[:2] == b"\xff\xd8"
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.get_by_label(sentence("photo.take")).set_input_files(broken)
    expect(page.locator("main .notice-box.bad", has_text=sentence("photo.unreadable"))).to_be_visible()


def test_reachback_is_asked_from_every_screen(stub: Stub, page: Page) -> None:
    show(page, stub, "/history")
    page.get_by_role("button", name="Send to reachback").click()
    page.get_by_label("Note for the chemist").fill("Please look.")
    page.get_by_role("dialog").get_by_role("button", name="Send to reachback").click()
    expect(page.locator("#notices")).to_contain_text(sentence("send.done_offline"))
    assert bodies(stub, "POST", "/api/items/I-1/send") == [{"note": "Please look."}]
    stub.world.state["current"]["item_ref"] = None
    stub.world.state["queue"]["attention"] = 0
    stub.world.publish()
    expect(page.locator("#chips")).to_contain_text("2 to send")
    page.keyboard.press("Alt+R")
    expect(page.get_by_role("dialog")).to_contain_text(sentence("send.no_item"))
    page.get_by_role("button", name=sentence("send.open_item")).click()
    expect(page.locator("h1")).to_have_text(sentence("item.new"))


def test_answers_are_read_in_order_and_acknowledged_once(stub: Stub, page: Page) -> None:
    show(page, stub, "/answers")
    read = page.get_by_role("button", name=sentence("answers.have_read"))
    expect(read).to_have_count(1)
    first, second = page.locator("article").nth(0), page.locator("article").nth(1)
    expect(first).to_contain_text(sentence("answers.late"))
    expect(first).to_contain_text("superseded by answer 2")
    expect(second).to_contain_text("Read answer 1 first.")
    read.dblclick()
    expect(page.locator("article").nth(0)).to_contain_text("Fentanyl hydrochloride")
    page.get_by_role("button", name=sentence("answers.have_read")).click()
    expect(page.get_by_text(sentence("answers.none_unread"))).to_be_visible()
    assert [p for m, p, _ in stub.world.requests if m == "POST"] == [
        "/api/answers/a1/shown",
        "/api/answers/a2/shown",
    ]


def test_answer_and_file_that_come_are_told_on_any_screen(stub: Stub, page: Page) -> None:
    show(page, stub, "/settings")
    stub.world.publish("answer", {"answer_id": "a1"})
    expect(page.locator("#notices")).to_contain_text(sentence("answers.came"))
    stub.world.publish("arrived", {"file": "x.spa"})
    expect(page.locator("#notices")).to_contain_text("x.spa")
    page.locator("#notices").get_by_role("link", name=sentence("answers.read")).click()
    expect(page.locator("h1")).to_have_text(sentence("answers.title"))
    expect(page.locator("#notices")).not_to_contain_text(sentence("answers.came"))
    stub.world.publish("result", {"packet_id": "danger"})
    expect(page.locator("#assertive")).to_contain_text("DANGER")
    show(page, stub, "/scan")
    page.get_by_role("button", name=sentence("arrived.assign")).click()
    expect(page.locator("h1")).to_have_text("WARNING")
    assert bodies(stub, "POST", "/api/arrived/assign") == [{"file": "sample 7 (ATR).spa", "item_ref": "I-1"}]


def test_queue_is_retried_and_handed_over_by_usb(stub: Stub, page: Page) -> None:
    show(page, stub, "/queue")
    expect(page.locator("ol.records li").first).to_contain_text("not enrolled")
    page.get_by_role("button", name=sentence("queue.retry")).click()
    expect(page.locator("main .notice-box.good")).to_have_text(sentence("queue.retried"))
    export, taken = (
        page.locator("section", has_text="Export to USB"),
        page.locator("section", has_text="Import from USB"),
    )
    export.get_by_label("Folder").fill("/media/usb")
    export.get_by_role("button").click()
    expect(export).to_contain_text("3 records written.")
    taken.get_by_label("Folder").fill("/media/usb")
    taken.get_by_role("button").click()
    expect(taken).to_contain_text("1 message taken in. old.sidmsg")
    assert bodies(stub, "POST", "/api/queue/export") == [{"folder": "/media/usb"}]


def test_language_and_light_change_at_once(stub: Stub, page: Page) -> None:
    show(page, stub, "/settings")
    page.get_by_label("Español").check()
    expect(page.locator("html")).to_have_attribute("lang", "es")
    expect(page.locator("h1")).to_have_text("Ajustes")
    page.get_by_label("Noche").check()
    expect(page.locator("html")).to_have_attribute("data-theme", "night")
    assert bodies(stub, "PUT", "/api/settings") == [{"language": "es"}, {"theme": "night"}]
    # What the record says stays in the language it was written in, and says so to a screen reader.
    show(page, stub, "/result/danger")
    expect(page.locator(".alarm .name")).to_have_attribute("lang", "en")


def test_keys_move_between_screens_and_back_goes_back(stub: Stub, page: Page) -> None:
    show(page, stub, "/scan")
    for key, path in (
        ("2", "/history"),
        ("3", "/queue"),
        ("4", "/answers"),
        ("5", "/device"),
        ("6", "/settings"),
    ):
        page.keyboard.press(f"Alt+{key}")
        page.wait_for_url(stub.url + path)
        settled(page)
        expect(page.locator("h1")).to_be_focused()
        expect(page.locator("#nav a[aria-current=page]")).to_have_attribute("href", path)
    page.go_back()
    expect(page.locator("h1")).to_have_text(sentence("nav.device"))


def test_screen_that_cannot_be_shown_says_so_and_tries_again(stub: Stub, page: Page) -> None:
    stub.world.refuse["GET", "/api/history"] = (500, {})
    show(page, stub, "/history")
    expect(page.locator("main")).to_contain_text(sentence("error.unexpected", status=500))
    stub.world.refuse.clear()
    page.get_by_role("button", name=sentence("page.again")).click()
    expect(page.locator("h1")).to_have_text(sentence("history.title"))


# --- words and sources -----------------------------------------------------------------------------------


def _sources() -> str:
    return "\n".join(file.read_text() for file in sorted((STATIC / "js").rglob("*.js")))


def test_languages_have_the_same_keys_and_fields() -> None:
    tables = {f.stem: json.loads(f.read_text()) for f in (STATIC / "i18n").glob("*.json")}
    assert set(tables) == {"en", "es"}
    english = tables["en"]
    for language, table in tables.items():
        assert list(table) == list(english), language
        for key, text in table.items():
            assert text.strip(), f"{language} {key}"
            fields = sorted(re.findall(r"{(\w+)}", text))
            assert fields == sorted(re.findall(r"{(\w+)}", english[key])), f"{language} {key}"
    same = {k for k, text in english.items() if text == tables["es"][k]}
    assert same <= {"technique.raman", "record.way", "running.seconds"}, same


def test_every_key_is_used_and_every_used_key_is_there() -> None:
    keys = set(json.loads((STATIC / "i18n" / "en.json").read_text()))
    source = _sources()
    used = set(re.findall(r"\bt\(\s*\"([^\"]+)\"", source))
    used |= set(re.findall(r"\"([a-z_]+\.[a-z_]+)\"", source)) & keys
    for stem in [*re.findall(r"\bcount\(\s*\"([^\"]+)\"", source), "nav.unread", "nav.attention"]:
        used |= {f"{stem}.one", f"{stem}.other"}
    assert used <= keys, used - keys
    stems = set(re.findall(r"known\(\"(\w+)\"", source)) | set(re.findall(r"t\(`(\w+)\.\$", source))
    assert {k for k in keys - used if k.split(".")[0] not in stems} == set()


def test_texts_only_ever_become_text() -> None:
    source = _sources()
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "DOMParser",
        "srcdoc",
    ):
        assert forbidden not in source, forbidden
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"\son\w+=|style=|<style|<script(?! type=\"module\" src=)", page)
    everything = source + page + "".join(f.read_text() for f in (STATIC / "css").glob("*.css"))
    assert re.findall(r"https?://[^\s\"')]+", everything) == []
