"""docs/reachback.md says of roles and addresses what is so."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from spectralid.reachback.people import roles
from tests.reachback.test_api_access import operations

FILE = Path(__file__).parents[2] / "docs" / "reachback.md"
TABLE = re.compile(r"(<!-- roles: .*? -->\n)(.*?)(<!-- /roles -->)", re.S)


@pytest.fixture
def kind():
    return "sqlite"


def test_the_table_of_roles_is_the_one_in_force():
    text = FILE.read_text(encoding="utf-8")
    whole = "".join(f"- *{name}*: {words}\n" for name, words in roles.ROLES.items()) + "\n" + roles.table()
    if "REACHBACK_WRITE_DOCS" in os.environ:
        text = TABLE.sub(lambda found: found[1] + "\n" + whole + "\n" + found[3], text)
        FILE.write_text(text, encoding="utf-8")
    assert TABLE.search(text)[2].strip() == whole.strip()


def test_every_address_named_is_there(server):
    found = {(method, route.path) for method, route in operations(server.app)}
    named = re.findall(r"`(GET|POST|PUT|DELETE) (/[^` ?]*)", FILE.read_text(encoding="utf-8"))
    assert len(named) > 30
    assert set(named) <= found
