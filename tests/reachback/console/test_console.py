"""The chemist's console in a real browser, on the real application: keyboard, axe, faults, hostile words.

Pictures of every screen are left in ``build/console``.
"""

from __future__ import annotations

import json
import re
import shutil
from contextlib import contextmanager
from datetime import timedelta

import pytest

from spectralid.casework import dsse, messages
from spectralid.casework.manifest import dumps
from spectralid.reachback.bench import decisions
from spectralid.reachback.caseload import leases
from spectralid.reachback.store.database import FILE
from spectralid.reachback.tablets import answers, instrument_checks
from tests.reachback.console import browser as console
from tests.reachback.console import world
from tests.reachback.desk import says
from tests.reachback.test_api_instruments import body

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_base = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")

PATIENCE_MS = 15_000
# Whatever a pointer does in the page; a keyboard makes clicks of its own, which carry no place.
POINTERS = """
window.__pointers = 0;
for (const name of ["pointerdown", "mousedown", "touchstart"])
  addEventListener(name, () => { window.__pointers += 1; }, true);
"""


@pytest.fixture(scope="module")
def chromium():
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=found, args=console.ARGUMENTS)
        yield made
        made.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory, sqlite_template, agency):
    shutil.rmtree(console.PICTURES, ignore_errors=True)
    console.PICTURES.mkdir(parents=True)
    with console.site(tmp_path_factory.mktemp("site"), sqlite_template, agency) as running:
        running.person("ada", "chemist")
        running.person("ben", "senior_chemist")
        running.person("eve", "auditor")
        yield running


@contextmanager
def opened(chromium, site, *, size=(1440, 900)):
    """A page of a browser without memory; its script and its content security policy must not complain."""
    complaints = []
    context = chromium.new_context(
        viewport={"width": size[0], "height": size[1]}, locale="en-US", reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script(POINTERS)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda one: (
            complaints.append(one.text)
            if one.type == "error" and "status of" not in one.text and "ERR_" not in one.text
            else None
        ),
    )
    page.goto(site.url + "/console")
    settled(page)
    yield page
    context.close()
    assert complaints == []


@pytest.fixture
def page(chromium, site):
    with opened(chromium, site) as one:
        yield one


def settled(page):
    page.wait_for_selector("main:not([aria-busy]) h1")


def sign_in(page, site, name):
    """As the form does, without typing."""
    body = {"account": name, "password": console.PASSWORD, "code": site.code(name)}
    status = page.evaluate(
        """async (body) => (await fetch("/v1/session", {method: "POST", body: JSON.stringify(body),
           headers: {"Content-Type": "application/json"}})).status""",
        body,
    )
    assert status == 201
    page.reload()
    page.wait_for_selector("table.queue")
    settled(page)


def visit(page, case_id):
    page.evaluate("(hash) => { location.hash = hash; }", f"#/case/{case_id}")
    page.wait_for_selector(f"main:not([aria-busy]) h1[data-case='{case_id}']")


def look(page, impression=""):
    """Past the first look."""
    if impression:
        page.locator("#first-look").fill(impression)
    page.get_by_role("button", name="Keep it" if impression else "Decline").click()
    fitted(page)


def fitted(page):
    page.wait_for_selector("#candidates li[aria-selected=true]")
    page.wait_for_selector("[aria-busy=false] .part")


def shot(page, name):
    page.wait_for_timeout(150)
    page.screenshot(path=console.PICTURES / f"{name}.png", full_page=not page.locator("dialog[open]").count())


def faults(page, rules=console.RULES):
    """What axe finds, and whether the page is wider than the window."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(axe_base.AXE_SCRIPT)
    found = page.evaluate(
        "(options) => axe.run(document, options)", {"runOnly": rules, "resultTypes": ["violations"]}
    )
    out = [f"{v['id']}: {n['html']} {n['failureSummary']}" for v in found["violations"] for n in v["nodes"]]
    return out + wider(page)


def wider(page):
    """Whether the page is wider than the window."""
    by = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"scrolls sideways by {by} px"] if by > 0 else []


def inbox(site, tablet, n=0):
    raw = answers.after(site.db, site.desk.keys, tablet.device_id, n, now=site.desk.time)
    return [messages.parse_answer(one, site.desk.trust(tablet)) for one in raw], raw


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def tab_to(page, selector, most=80):
    for _ in range(most):
        if page.evaluate("(s) => document.activeElement?.matches(s) ?? false", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def figure_of(page):
    return page.locator("p[id^=figures]").inner_text()


# --- one case, from the queue to the tablet ----------------------------------------------------------------


def test_one_case_by_keyboard_alone(page, site):
    tablet = site.desk.tablet
    case_id = world.case(site.desk, seizure="K-1")
    shot(page, "login")
    page.keyboard.type("ada")
    press(page, "Tab")
    page.keyboard.type(console.PASSWORD)
    press(page, "Tab")
    page.keyboard.type(site.code("ada"))
    press(page, "Enter")
    page.wait_for_selector("table.queue tbody tr")
    shot(page, "queue")

    press(page, "j", "Enter")
    page.wait_for_selector("#first-look:focus")
    text = page.locator("body").inner_text().lower()
    assert not any(name in text for name in (*world.NAMES, "field-says", "sock"))
    shot(page, "first-look")
    page.keyboard.type("A xanthine with a sugar.")
    press(page, "Tab", "Enter")
    fitted(page)
    assert "FIELD-SAYS-CAFFEINE" in page.locator("main").inner_text()
    shot(page, "case")

    # A component out and in again; a slider moved; the engine answers with a fit of its own.
    before = figure_of(page)
    press(page, "2")
    page.wait_for_function("(was) => document.querySelector('p[id^=figures]').innerText !== was", arg=before)
    press(page, "2")
    page.wait_for_function("(was) => document.querySelector('p[id^=figures]').innerText === was", arg=before)
    tab_to(page, "input[type=range]")
    with page.expect_response(
        lambda r: r.url.endswith("/fit") and r.request.post_data_json["components"][0]["share"]
    ):
        press(page, *["ArrowLeft"] * 20)
    page.wait_for_function(
        "() => /raise it by [1-9]/.test(document.querySelector('p[id^=figures]').innerText)"
    )
    shot(page, "slider")
    tab_to(page, ".part button:not([disabled]):not([aria-pressed])")
    press(page, "Enter")
    page.wait_for_function("(was) => document.querySelector('p[id^=figures]').innerText === was", arg=before)

    # What explains the rest of one component alone? The other one: into the fit with it.
    press(page, "2", "r")
    page.wait_for_selector("#candidates li.group:text('explain the rest') + li[aria-selected=true]")
    assert page.locator("#candidates li[aria-selected=true]").inner_text().startswith("Lactose")
    press(page, "m")
    page.wait_for_function("(was) => document.querySelector('p[id^=figures]').innerText === was", arg=before)
    press(page, "j", "x")
    page.wait_for_selector("#candidates .tag.warn")
    press(page, "x", "/")
    page.keyboard.type("sucr")
    page.wait_for_selector("#candidates >> text=Sucrose")
    press(page, "Enter", "c", ".", ".", "+", "+", "ArrowRight")
    assert re.match(r"\d+\.\d cm⁻¹ · measured", page.locator(".readout").inner_text())
    shot(page, "zoom")

    # No decision without its basis.
    press(page, "0", "Enter")
    page.wait_for_selector("dialog[open]")
    tab_to(page, "dialog button[type=submit]")
    press(page, "Enter")
    page.wait_for_selector("dialog .wrong:text('needs its basis')")
    assert page.evaluate("() => document.activeElement.name") == "evidence"
    press(page, "Space", "Tab", "Space")
    tab_to(page, "textarea[name=basis]")
    page.keyboard.type("Both references explain every band.")
    tab_to(page, "input[name=headline]")
    press(page, "Control+a")
    page.keyboard.type("Caffeine and lactose")
    shot(page, "decide")
    tab_to(page, "dialog button[type=submit]")
    press(page, "Enter")
    page.wait_for_selector("table.queue")
    page.wait_for_selector("#notices .box")
    shot(page, "decided")
    assert page.evaluate("() => window.__pointers") == 0

    # The field was told caffeine alone: a second person has to look, also by keyboard.
    assert site.desk.case(case_id)["state"] == "SECOND_REVIEW"
    press(page, "Escape")
    with opened(page.context.browser, site) as other:
        sign_in(other, site, "ben")
        visit(other, case_id)
        fitted(other)
        press(other, "Enter")
        other.wait_for_selector("dialog[open]")
        assert "A xanthine with a sugar." in other.locator("dialog").inner_text()
        assert "[bands]" in other.locator("dialog").inner_text()
        tab_to(other, "dialog textarea")
        other.keyboard.type("Bands checked.")
        shot(other, "review")
        tab_to(other, "dialog .button.primary")
        press(other, "Enter")
        other.wait_for_selector("table.queue")
        assert other.evaluate("() => window.__pointers") == 0

    (answer,), (raw,) = inbox(site, tablet)
    assert (answer.kind, answer.headline, answer.case) == ("final", "Caffeine and lactose", case_id)
    assert answer.basis.startswith("[bands] ")
    assert answer.basis.endswith("Both references explain every band.")
    (decided, reviewed) = decisions.of_case(site.db, case_id)
    assert decided["said"]["first_look"] == "A xanthine with a sugar."
    assert decided["said"]["substances"] == ["caffeine", "lactose"]
    assert (decided["by"], reviewed["by"]) == ("ada", "ben")
    answers.take_shown(site.db, tablet.device_id, answer.answer_id, tablet.shown(raw), now=site.desk.time)
    assert site.desk.case(case_id)["state"] == "DELIVERED"


# --- everybody ---------------------------------------------------------------------------------------------


def test_axe_finds_nothing_on_any_screen_by_day_and_night_in_both_languages(page, site):
    # Two spectra and a strip; and a case of this session with a decision that waits for another person.
    desk = site.desk
    case_id = world.case(desk, seizure="A-1", strip="neg")
    desk.ingest(world.scan(desk.tablet, world.mixture({"urea": 1.0}, seed=5), seizure="A-1"))
    decided = world.case(desk, seizure="A-2", photo=False)
    desk.decide(desk.lease(decided, "ada"), says("urea"))
    found = {}

    def screens(name):
        # What does not hang on colours is the same at night.
        found[f"{name}, {language}"] = faults(page, console.COLOURS if night else console.RULES)
        shot(page, f"{name}-{'night' if night else 'day'}")

    for night, language in ((False, "en"), (True, "es")):
        page.evaluate(
            "([theme, language]) => { localStorage.theme = theme; localStorage.language = language; }",
            ["night" if night else "day", language],
        )
        page.reload()
        settled(page)
        page.locator("summary").click()
        screens("login")
        sign_in(page, site, "ben")
        screens("queue")
        press(page, "?")
        page.wait_for_selector("dialog[open]")
        screens("help")
        press(page, "Escape")
        visit(page, case_id)
        if not night:
            screens("first-look")
            page.locator("#first-look + *, .row button").last.focus()
            page.get_by_role("button", name="Decline").click()
        fitted(page)
        press(page, "2", "r")
        page.wait_for_selector("#candidates li.group:nth-of-type(1) + li[aria-selected=true] >> text=σ")
        page.locator("details summary").first.click()
        page.wait_for_function("() => !document.querySelector('main').innerText.includes('…')")
        screens("case")
        press(page, "b")
        screens("raw")
        press(page, "b", "Enter")
        page.wait_for_selector("dialog[open]")
        screens("decide")
        press(page, "Escape", "t")
        page.wait_for_selector("dialog[open]")
        screens("interim")
        press(page, "Escape")
        visit(page, decided)
        press(page, "Enter")
        page.wait_for_selector("dialog[open]")
        screens("review")
        press(page, "Escape")
        page.locator("#top button").last.click()
        page.wait_for_selector("form input[name=code]")
    assert {name: fault for name, fault in found.items() if fault} == {}


def test_nothing_is_cut_off_in_a_small_window(chromium, site):
    case_id = world.case(site.desk, seizure="W-1", photo=False)
    with opened(chromium, site, size=(1024, 768)) as page:
        sign_in(page, site, "ada")
        for width in (1024, 640):
            page.set_viewport_size({"width": width, "height": 900})
            assert wider(page) == []
        visit(page, case_id)
        look(page)
        for width in (640, 1024):
            page.set_viewport_size({"width": width, "height": 900})
            assert wider(page) == []
            shot(page, f"narrow-{width}")


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_lease_that_ended_keeps_what_was_written(page, site):
    desk = site.desk
    case_id = world.case(desk, seizure="L-1", shares={"caffeine": 1.0})
    sign_in(page, site, "ada")
    visit(page, case_id)
    look(page)
    press(page, "Enter")
    page.locator("input[name=evidence]").first.check()
    page.locator("textarea[name=basis]").fill("I know this one.")
    # The browser slept; somebody else has the case now.
    desk.passes(minutes=16)
    other = desk.lease(case_id, "ben")
    page.locator("dialog button[type=submit]").click()
    told = page.locator("dialog .box.warn")
    told.wait_for()
    assert "ben has it now" in told.inner_text()
    assert page.locator("textarea[name=basis]").input_value() == "I know this one."
    shot(page, "stale")
    kept = leases.drafts_of(site.db, case_id, "ada")[-1].content
    assert kept["basis"].endswith("I know this one.")
    page.get_by_role("button", name="Take the case again").click()
    page.locator("dialog .box.bad").wait_for()  # not while ben has it
    leases.release(site.db, case_id, other.token, "ben", now=desk.time)
    # A new page, as after a crash: what was written is there.
    page.reload()
    settled(page)
    page.wait_for_selector(".box.good")
    fitted(page)
    press(page, "Enter")
    assert page.locator("textarea[name=basis]").input_value() == "I know this one."
    assert page.locator("input[name=evidence]").first.is_checked()
    page.locator("dialog button[type=submit]").click()
    page.wait_for_selector("table.queue")
    assert desk.case(case_id)["state"] == "ANSWERED"


def test_evidence_that_came_in_meanwhile_is_a_conflict_that_can_be_mended(page, site):
    desk = site.desk
    case_id = world.case(desk, seizure="E-1", shares={"caffeine": 1.0}, tablet=desk.other)
    sign_in(page, site, "ada")
    visit(page, case_id)
    look(page)
    press(page, "Enter")
    page.locator("input[name=evidence]").first.check()
    page.locator("textarea[name=basis]").fill("One band is enough.")
    desk.ingest(desk.other.strip("xylazine", "neg", seizure="E-1"))
    page.locator("dialog button[type=submit]").click()
    page.locator("dialog .box.warn").wait_for()
    assert desk.case(case_id)["state"] == "LEASED"
    assert "xylazine" not in page.locator("main").inner_text()
    page.get_by_role("button", name="Look at what came in").click()
    page.locator("dialog").wait_for(state="detached")
    assert "1 more pieces of evidence" in page.locator("main .box.warn").inner_text()
    assert "xylazine" in page.locator("main").inner_text()
    page.locator("h1").focus()
    press(page, "Enter")
    assert page.locator("textarea[name=basis]").input_value() == "One band is enough."
    page.locator("dialog button[type=submit]").click()
    page.wait_for_selector("table.queue")
    assert desk.case(case_id)["state"] == "ANSWERED"


def test_treat_as_hazardous_reaches_the_tablet_before_the_decision(page, site):
    desk = site.desk
    third = desk.enrol("tablet-3")
    case_id = world.case(desk, seizure="T-1", tablet=third)
    sign_in(page, site, "ada")
    visit(page, case_id)
    look(page)
    press(page, "t")
    page.wait_for_selector("dialog[open]")
    press(page, "Enter")
    page.wait_for_selector(".box.good >> text=hazardous")
    (answer,), _ = inbox(site, third)
    assert (answer.kind, answer.headline) == ("interim", "Treat as hazardous")
    assert desk.case(case_id)["state"] == "INTERIM"


def test_hostile_words_are_words(page, site):
    bad = world.HOSTILE
    desk = site.desk
    fourth = desk.enrol("tablet-4")
    case_id = world.case(
        desk,
        seizure="X-1 <b>",
        tablet=fourth,
        photo=False,
        said={
            "components": [{"slug": bad[:90], "name": bad}],
            "candidates": [{"substance_id": bad[:90], "name": bad, "score": 1}],
            "reason_codes": [bad],
            "families": [bad],
            "verdict": {"kind": bad, "alarm": bad, "headline": bad, "precautions": [bad]},
            "library": {"name": bad, "version": bad},
        },
        caution_shown=[bad[:100]],
        escalation={"why": [bad[:60], "javascript:alert(1)"], "urgency": bad, "officer_note": bad},
        instrument={"technique": "raman", "maker": bad, bad: bad},
    )
    strip = {"target": bad, "brand": bad, "lot": bad, "expiry": bad, "result": "pos"}
    svg = world.Blob(
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.hacked=1'/>", "image/svg+xml", "x.svg"
    )
    for raw in (
        fourth.make(
            "item",
            "X-1 <b>",
            "I-9",
            label=bad,
            container=bad,
            declared={"text": bad, "cas": bad, "tariff": bad},
        ),
        fourth.make(
            "evidence", "X-1 <b>", "I-1", (svg,), strips=[strip], note=bad, photos=[{"blob": svg.sha256}]
        ),
        fourth.send("X-1 <b>", why=[bad[:80]]),
    ):
        desk.ingest(raw)
    sign_in(page, site, "ada")
    assert page.locator("table.queue >> text=X-1 <b>").count() == 1
    visit(page, case_id)
    typed = bad.replace("\u202e", "")  # what cannot be shown is refused where it is typed
    look(page, typed)
    page.get_by_text("Every number").click()
    text = page.locator("main").inner_text()
    assert text.count("<img src=x onerror=window.hacked=1>") >= 10
    page.locator("h1").focus()
    press(page, "Enter")
    page.wait_for_selector("dialog[open]")
    page.locator("textarea[name=words]").fill(typed)
    page.locator("input[name=headline]").fill(typed)
    assert "<script>" in page.locator(".preview").inner_text()
    # A mark that turns the direction of writing does not turn ours: "positive" stays to be read.
    assert "\u202e" not in page.locator("body").inner_text()
    assert page.evaluate("() => window.hacked") is None
    assert page.locator("img[src=x], main svg[onload], dialog script, main script").count() == 0
    shot(page, "hostile")
    page.locator("textarea[name=basis]").fill(typed)
    page.locator("input[name=evidence]").first.check()
    page.locator("dialog button[type=submit]").click()
    page.wait_for_selector("table.queue")
    sign_out_and_in(page, site, "eve")
    visit(page, case_id)
    page.wait_for_selector("text=to read only")
    assert "<script>" in page.locator("main").inner_text()
    assert page.evaluate("() => window.hacked") is None
    assert not page.locator("main button", has_text="Decide").count()
    # However long a name somebody gives, what stands beside it keeps its room.
    assert page.evaluate("() => document.documentElement.scrollHeight") < 5000
    assert wider(page) == []
    shot(page, "reading")


def sign_out_and_in(page, site, name):
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_selector("form input[name=code]")
    sign_in(page, site, name)


def test_only_the_newest_fit_counts(page, site):
    """Replies that come late, or in another order, change nothing."""
    case_id = world.case(site.desk, seizure="R-1", photo=False)
    sign_in(page, site, "ada")
    visit(page, case_id)
    look(page)
    waiting = []

    def hold(route):
        waiting.append(route)
        if len(waiting) > 1:
            route.continue_()

    page.route("**/fit", hold)
    slider = page.locator("input[type=range]").first
    slider.focus()
    press(page, "ArrowLeft")
    page.wait_for_timeout(250)  # past the pause after which it is asked; the reply is held back
    assert len(waiting) == 1
    press(page, "End", "ArrowLeft")
    share = page.locator(".part .share").nth(1)
    page.wait_for_function("() => document.querySelectorAll('.part .share')[1].innerText === '0.5%'")
    waiting[0].abort()
    page.wait_for_timeout(100)
    assert share.inner_text() == "0.5%"
    body = json.loads(waiting[-1].request.post_data)
    assert body["components"][0]["share"] == pytest.approx(0.995)


def test_single_keys_can_be_switched_off_and_do_nothing_while_typing(page, site):
    case_id = world.case(site.desk, seizure="Q-1", photo=False)
    sign_in(page, site, "ada")
    visit(page, case_id)
    look(page)
    before = figure_of(page)
    page.locator("#lookup").focus()
    page.keyboard.type("2")
    page.wait_for_timeout(150)
    assert figure_of(page) == before
    page.locator("#candidates").focus()
    press(page, "?")
    page.wait_for_selector("dialog[open]")
    page.locator("dialog input[type=checkbox]").uncheck()
    press(page, "Escape", "2")
    page.wait_for_timeout(150)
    assert figure_of(page) == before


def test_a_case_left_without_a_word_is_given_back(page, site):
    case_id = world.case(site.desk, seizure="G-1", photo=False)
    sign_in(page, site, "ada")
    visit(page, case_id)
    assert site.desk.case(case_id)["holder"] == "ada"
    page.locator("h1").focus()
    press(page, "Escape")
    page.wait_for_selector("table.queue")
    assert site.desk.case(case_id)["holder"] is None


def test_a_session_that_ended_asks_to_sign_in_again(page, site):
    sign_in(page, site, "ada")
    page.context.clear_cookies()
    press(page, "n")
    page.wait_for_selector("form input[name=code]")


def test_a_wrong_code_is_said_and_nothing_else(page, site):
    page.locator("input[name=account]").fill("ada")
    page.locator("input[name=password]").fill(console.PASSWORD)
    page.locator("input[name=code]").fill("000000")
    press(page, "Enter")
    page.wait_for_selector(".box.bad")
    assert page.locator("input[name=account]").input_value() == "ada"


def test_a_set_up_shows_the_second_factor_once(page, site):
    from spectralid.reachback.people import accounts

    now, settings = site.desk.time, site.server.here.settings.accounts
    code = accounts.add(site.db, "fay", roles=["chemist"], sites=None, by="admin", now=now, settings=settings)
    page.locator("summary").click()
    fields = page.locator("details input")
    for i, value in enumerate(("fay", code, console.PASSWORD)):
        fields.nth(i).fill(value)
    press(page, "Enter")
    secret = page.locator("[data-secret]").inner_text().replace(" ", "")
    assert re.fullmatch("[A-Z2-7]{16,}", secret)
    shot(page, "set-up")


def test_the_instruments_to_look_at_come_first_and_their_days_are_drawn(chromium, site):
    """For quality managers and administrators, who have no queue, it is the screen they come to."""
    site.person("kim", "qa_manager")
    now = site.desk.time
    days = [
        body(now - timedelta(days=30 - n), value=0.05 * (n % 5) + 0.2 * max(0, n - 25), serial="SN-1")
        for n in range(29)
    ]
    for said in (*days, body(now, "failed", value=4.2), body(now - timedelta(hours=1), serial="SN-2")):
        payload = dumps({**said, "schema": "spectralid.ipv/1", "device_id": "tablet-1"})
        raw = dsse.sign(payload, instrument_checks.IPV_TYPE, site.desk.tablet.key)
        instrument_checks.take(site.db, "tablet-1", raw, now=now)
    with opened(chromium, site) as page:
        sign_in(page, site, "kim")
        assert page.locator("h1").inner_text() == "Instruments and their daily checks"
        rows = page.locator("tbody tr")
        assert rows.count() == 2
        assert "FAILED" in rows.first.inner_text()
        assert "Axis: shift" in rows.first.inner_text()
        assert "To look at: 1" in page.locator(".box.bad").inner_text()
        found = faults(page)
        shot(page, "instruments-en")
        rows.first.get_by_role("link").focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".days canvas")
        assert "STOP" in page.locator(".days").first.inner_text()
        assert "axis" in page.locator(".days canvas").first.get_attribute("aria-label").lower()
        page.get_by_role("button", name="Español").click()
        page.wait_for_selector("h1:has-text('Instrumentos de tablet-1')")
        settled(page)
        found += faults(page)
        shot(page, "instruments-es")
        page.set_viewport_size({"width": 640, "height": 480})
        found += faults(page)
        assert found == []


def test_both_catalogues_say_the_same_things():
    from importlib import resources

    folder = resources.files("spectralid.reachback").joinpath("static", "i18n")
    english, spanish = (
        json.loads(folder.joinpath(f"{name}.json").read_text("utf-8")) for name in ("en", "es")
    )
    assert english.keys() == spanish.keys()
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", spanish[key])), key
    sources = "".join(
        one.read_text("utf-8")
        for folder in ("js", "js/screens")
        for one in resources.files("spectralid.reachback").joinpath("static", folder).iterdir()
        if one.name.endswith(".js")
    )
    used = set(re.findall(r"\bt\(\s*\"([^\"]+)\"", sources))
    assert used <= english.keys()


def test_nothing_is_loaded_from_elsewhere():
    from importlib import resources

    for path in resources.files("spectralid.reachback").joinpath("static").rglob("*"):
        if path.is_file():
            text = path.read_text("utf-8")
            found = set(re.findall(r"https?://[^\"'\s)]+", text)) - {"http://www.w3.org/2000/svg"}
            assert found == set(), path
            assert "innerHTML" not in text
            assert "eval(" not in text
            assert "style=" not in text
    assert FILE
