"""The laboratory's page in a browser: sign in, a result by form, a file, and one that nobody could place."""

from __future__ import annotations

import shutil

import pytest

from spectralid.reachback.lab import laboratory
from tests.reachback.console import browser as console

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
axe_base = pytest.importorskip("axe_playwright_python.base", reason="axe is not installed")


def test_a_laboratory_enters_what_it_found(tmp_path, sqlite_template, agency):
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium on this machine")
    with (
        console.site(tmp_path / "site", sqlite_template, agency) as site,
        sync_api.sync_playwright() as driver,
    ):
        site.person("lab", "lab_analyst")
        case_id = site.desk.answered()
        browser = driver.chromium.launch(executable_path=found, args=console.ARGUMENTS)
        page = browser.new_page()
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.set_default_timeout(20_000)
        page.goto(f"{site.url}/console/static/laboratory.html")
        page.get_by_label("Account").fill("lab")
        page.get_by_label("Password").fill(console.PASSWORD)
        page.get_by_label("Code of the second factor").fill(site.code("lab"))
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Case", exact=True).fill(case_id)
        page.get_by_label("Laboratory", exact=True).fill("Forward 1")
        page.get_by_label("Sample", exact=True).fill("F-1")
        page.get_by_label("Result", exact=True).select_option("confirmed")
        page.get_by_label("Methods").fill("gc-ms | FTIR")
        page.get_by_label("Substances found").fill("lactose 97,5 ± 1 %")
        page.get_by_role("button", name="Record the result").click()
        page.get_by_text("Applied to the case. The case is LAB_CONFIRMED.").first.wait_for()
        (result,) = laboratory.of_case(site.db, case_id)
        assert (result.methods, result.substances[0].share, result.by) == (("GC-MS", "FTIR"), 0.975, "lab")
        file = (
            "laboratory,sample_ref,result,methods\nForward 1,F-7,confirmed,GC-MS\nForward 1,F-8,maybe,GC-MS\n"
        )
        page.get_by_label("CSV file").set_input_files(
            {"name": "results.csv", "mimeType": "text/csv", "buffer": file.encode()}
        )
        page.get_by_role("button", name="Look first").click()
        page.get_by_text("1 lines would be taken, 1 not.").first.wait_for()
        assert len(laboratory.listed(site.db)) == 1
        page.get_by_role("button", name="Take it in").click()
        page.get_by_text("Line 3:").first.wait_for()
        page.get_by_role("heading", name="Not placed: 1").wait_for()
        page.evaluate(axe_base.AXE_SCRIPT)
        options = {"runOnly": console.RULES, "resultTypes": ["violations"]}
        seen = page.evaluate("(options) => axe.run(document, options)", options)
        assert [(one["id"], one["nodes"][0]["html"]) for one in seen["violations"]] == []
        page.get_by_label("Or why it is of no case here").fill("another agency's")
        page.get_by_role("button", name="Dismiss it").click()
        page.get_by_role("heading", name="Not placed: 0").wait_for()
        assert complaints == []
        browser.close()
