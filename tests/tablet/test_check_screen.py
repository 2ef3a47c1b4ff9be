"""The screen of the daily check, in a real browser: legible, reachable, and plain in two languages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.tablet import stub_checks
from tests.tablet.stub_checks import stands
from tests.tablet.stub_server import STATIC, Stub
from tests.tablet.test_screens import (
    PICTURES,
    Page,
    axe,
    bodies,
    browser,
    expect,
    faults,
    page,
    sentence,
    served,
    settled,
    show,
    stub,
    tab,
    tab_to,
)

__all__ = ["browser", "page", "served", "stub", "tab"]

NOTES = {"no_accepted", "no_dark", "no_accepted_dark", "no_temperature", "worst_band", "at", "away", "width"}


def _drifting(stub: Stub) -> None:
    stands(stub.world, "failed", drifts=True)


def _due(stub: Stub) -> None:
    stands(stub.world, "unknown")


@pytest.mark.parametrize(
    ("name", "path", "prepare"),
    [
        ("check-due", "/check", _due),
        ("check-drifting", "/check", _drifting),
        ("check-failed", "/check/failed", None),
    ],
)
def test_the_check_is_legible_and_reachable(
    name: str, path: str, prepare: Any, stub: Stub, page: Page
) -> None:
    show(page, stub, path)
    if prepare:
        prepare(stub)
    found: list[str] = []
    PICTURES.mkdir(parents=True, exist_ok=True)
    for language, theme in (("en", "night"), ("es", "day")):
        stub.world.state.update(language=language, theme=theme)
        stub.world.publish()
        page.wait_for_selector(f'html[lang="{language}"][data-theme="{theme}"]')
        settled(page)
        where = f"{name} {language} {theme}"
        found += [f"{where}: {fault}" for fault in (*faults(page), *axe(page))]
        page.screenshot(path=PICTURES / f"{name}-{language}-{theme}.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    found += [f"{name} on a phone: {fault}" for fault in faults(page)]
    page.screenshot(path=PICTURES / f"{name}-phone.png", full_page=True)
    assert found == []
    assert page.locator("h1").count() == 1


def test_from_the_notice_to_the_verdict_with_the_keyboard(stub: Stub, page: Page) -> None:
    stands(stub.world, "unknown")
    stub.world.state["officer"] = ""
    show(page, stub, "/scan")
    expect(page.locator("#chips")).to_contain_text(sentence("check.due"))
    tab_to(page, sentence("check.title"))
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(sentence("check.title"))
    settled(page)
    tab_to(page, sentence("settings.officer"))
    page.keyboard.type("K-21")
    tab_to(page, sentence("standard.polystyrene"))
    page.keyboard.press("ArrowRight")
    tab_to(page, sentence("check.lot"))
    page.keyboard.type("PS-7")
    tab_to(page, sentence("check.measure"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("alertdialog")).to_contain_text("785 nm")
    page.keyboard.press("Enter")  # A stray Enter starts no laser.
    assert bodies(stub, "POST", "/api/checks") == []
    tab_to(page, "Glasses on")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(sentence("stage.warning"))
    expect(page.locator("#laser .stop")).to_be_visible()
    assert bodies(stub, "POST", "/api/checks") == [
        {"standard": "acetaminophen", "lot": "PS-7", "confirmed": True}
    ]
    assert bodies(stub, "PUT", "/api/settings") == [{"officer": "K-21"}]
    stub.world.publish("checked", {"scan_id": "scan-1", "check_id": "failed"})
    stub.world.scanning(None)
    expect(page.locator("h1")).to_contain_text(sentence("outcome_of_check.failed"))
    expect(page.locator("#assertive")).to_contain_text(sentence("check.failed_words"))
    expect(page.locator("main")).to_contain_text(sentence("care.axis"))
    expect(page.locator("main")).to_contain_text("from -3 to 3")
    # The lot of a standard is remembered for the next day.
    page.goto(stub.url + "/check")
    expect(page.locator("#lot")).to_have_value("PS-7")


def test_a_check_is_skipped_only_with_a_reason(stub: Stub, page: Page) -> None:
    stands(stub.world, "unknown")
    show(page, stub, "/check")
    page.locator("summary", has_text=sentence("check.skip")).click()
    page.get_by_role("button", name=sentence("check.skip_record")).click()
    assert bodies(stub, "POST", "/api/checks/skip") == []
    page.get_by_label(sentence("check.skip_reason")).fill("Standard not at hand.")
    page.get_by_role("button", name=sentence("check.skip_record")).click()
    expect(page.locator("#stands")).to_have_text(sentence("check.now_skipped"))
    assert bodies(stub, "POST", "/api/checks/skip") == [{"reason": "Standard not at hand."}]
    expect(page.locator("main")).to_contain_text("Standard not at hand.")


def test_how_the_instrument_stands_is_on_every_screen(stub: Stub, page: Page) -> None:
    states = (
        ("passed", {"until": "2026-11-23T09:05:00Z"}, sentence("check.until", time="09:05 UTC")),
        ("failed", {}, sentence("check.now_failed")),
        ("skipped", {"reason": "No standard."}, sentence("check.now_skipped")),
        ("skipped", {}, sentence("check.due")),
    )
    show(page, stub, "/scan")
    for state, more, said in states:
        stands(stub.world, state, **more)
        expect(page.locator("#chips")).to_contain_text(said)
        expect(page.locator("#check-due")).to_have_count(int(state != "passed"))
    show(page, stub, "/result/notice")
    expect(page.locator("#chips")).to_contain_text(said)
    expect(page.locator(".alarm .shown")).to_contain_text(sentence("check.skipped"))


def test_a_file_of_the_instrument_does_as_well(stub: Stub, page: Page) -> None:
    stands(stub.world, "unknown")
    show(page, stub, "/check")
    page.locator("input[type=file]").set_input_files(
        {"name": "ps film.spc", "mimeType": "application/octet-stream", "buffer": b"\x4b\x4d"}
    )
    expect(page.locator("h1")).to_contain_text(sentence("outcome_of_check.passed"))
    assert bodies(stub, "POST", "/api/checks/file?name=ps+film.spc&standard=polystyrene") == [b"\x4b\x4d"]


@pytest.mark.parametrize("language", ["en", "es"])
def test_there_are_words_for_every_remark_and_figure(language: str) -> None:
    from spectralid.calibration.standards import axis_standards
    from spectralid.tablet.check_views import _NOTES

    words = json.loads((STATIC / "i18n" / f"{language}.json").read_text())
    assert {code for code, _ in _NOTES} >= NOTES
    for code, pattern in _NOTES:
        fields = {"abc"[i] for i in range(pattern.groups)}
        assert all(f"{{{field}}}" in words[f"note_of_check.{code}"] for field in fields), code
    for kind in ("raman", "infrared"):
        assert {f"standard.{one.name}" for one in axis_standards(kind)} <= words.keys()
    assert {f"figure.{figure['name']}" for figure in stub_checks.record("failed")["figures"]} <= words.keys()
