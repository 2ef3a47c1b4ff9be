"""docs/reachback-console.md: its example works, and its keys are those of the page."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from spectralid.reachback.bench import decisions
from tests.reachback.console import world

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docs" / "reachback-console.md"


def test_the_example_takes_a_case_from_the_queue_to_a_decision(server, agency):
    from spectralid.reachback.client import Client

    name, token = server.account("chemist")
    case_id = world.case(server.desk)
    http = server.client()
    http.headers["Authorization"] = f"Bearer {token}"
    client = Client("http://127.0.0.1", http=http)
    (example,) = re.findall(r"<!-- example -->\n```python\n(.*?)```", FILE.read_text("utf-8"), re.S)
    names = {"client": client, "library": agency}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(example, str(FILE), "exec"), names)
    assert names["held"].rise > 5
    assert names["outcome"].state == "SECOND_REVIEW"  # the tablet said caffeine alone
    (decided,) = decisions.of_case(server.desk.db, case_id)
    assert decided["by"] == name
    assert decided["said"]["first_look"].startswith("Two crystalline solids")
    assert decided["said"]["basis"].startswith("[bands] ")


def test_every_key_of_the_page_is_told():
    source = (ROOT / "spectralid" / "reachback" / "static" / "js" / "screens" / "case.js").read_text("utf-8")
    block = source[source.index("  setKeys([") : source.index("  await (scans().length")]
    keys = {
        key
        for found in re.findall(r'^\s+\[("[^"]+"|\[[^\]]*\])|, \["([^"]+)", t\(', block, re.M)
        for key in found
    }
    told = FILE.read_text("utf-8")
    for key in {k.strip('"') for k in keys if k and not k.startswith("[")} - {"Escape", "?", "Enter"}:
        assert f"`{key}`" in told, key
