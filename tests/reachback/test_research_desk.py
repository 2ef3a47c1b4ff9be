"""Re-search from the outside: addresses, commands, and what makes an answer another."""

from __future__ import annotations

import json
import shutil

import pytest

from spectralid.cli import main
from spectralid.library import open_library
from spectralid.reachback.releases import release
from spectralid.reachback.releases.tables import library_releases
from spectralid.reachback.research import runs
from spectralid.reachback.research.archive import Archive
from spectralid.reachback.research.judge import HYSTERESIS, Answer, difference
from tests.reachback.again import Field, stub

# --- what counts as another answer -------------------------------------------------------------------------


def named(*slugs, alarm="warning", families=(), **chances):
    kind = "identified" if len(slugs) == 1 else "mixture" if slugs else "no_match"
    return Answer(kind, alarm, tuple(sorted(slugs)), families, chances)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (named("a", a=0.9), named("a", a=0.95), ()),
        (named(), named("a", a=0.95), ("named:a",)),
        (named(a=0.4), named("a", a=0.4 + HYSTERESIS), ("named:a",)),
        # At the edge of being named: nothing worth waking anybody for.
        (named(a=0.86), named("a", a=0.86 + HYSTERESIS - 0.01), ()),
        (named("a", a=0.92), named(a=0.84), ()),
        (named("a", a=0.92), named(a=0.3), ("unnamed:a",)),
        (named("a", a=0.9), named("b", b=0.9), ("named:b", "unnamed:a")),
        (named("a"), named("a", alarm="notice"), ("alarm",)),
        # What is deadly is told however little has moved.
        (named("a", a=0.9), named("a", alarm="danger", a=0.9), ("deadly", "alarm")),
        (named(f=0.85), named("f", alarm="danger", f=0.9), ("deadly",)),
        (named(), named(families=("nitazene",)), ("deadly",)),
        (named(), named(families=("sugar or polyol",)), ()),
        (named(alarm="danger"), named(alarm="unknown"), ("alarm",)),
    ],
)
def test_what_matters(before, after, why):
    found = difference(before, after)
    assert found.why == why
    assert found.matters == bool(why)
    assert found.deadly == ("deadly" in why)


def test_an_answer_of_the_record():
    row = {"decision": "class_only", "alarm": "danger", "substances": '["x"]', "families": '["nitazene"]'}
    assert Answer.of_record(row) == Answer("family", "danger", (), ("nitazene",))
    row |= {"decision": "mixture", "substances": '["b", "a", "a"]'}
    assert Answer.of_record(row).named == ("a", "b")


# --- addresses ---------------------------------------------------------------------------------------------


def released(field, number=1):
    """A release on record, as `release.make` leaves it."""
    db = field.desk.db
    path = release.path_of(release.folder_of(db), number)
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(field.after, path)
    opened, base = open_library(path), open_library(field.before)
    shutil.copy(field.before, db.folder / "library.h5")
    manifest = {"base": {"name": base.name, "version": base.version, "sha256": base.sha256},
                "added": [], "changed": [], "removed": []}  # fmt: skip
    row = {"number": number, "name": opened.name, "version": opened.version, "sha256": opened.sha256,
           "file_sha256": "", "manifest": json.dumps(manifest), "made_by": "lib", "made_utc": "x",
           "audit_n": 1}  # fmt: skip
    with db.begin() as tx:
        tx.execute(library_releases.insert(), row)


@pytest.fixture
def field(desk, tmp_path):
    return Field(desk, tmp_path)


def test_a_run_by_its_addresses(field, client_as):
    case_id = field.scan(("novelamine", 1.0))
    field.answer(case_id)
    released(field)
    librarian, chemist = client_as("librarian"), client_as("chemist")
    assert librarian.get("/v1/research-runs").json() == {"runs": []}
    asked = librarian.post("/v1/research-runs", json={"release": 1})
    assert asked.status_code == 202
    run = asked.json()
    assert (run["state"], run["changed"], run["removed"], run["library_version"]) == ("queued", 2, 0, "2")
    assert run["made_by"] == librarian.account
    assert librarian.post("/v1/research-runs", json={"release": 1}).json() == run
    field.work(judge=stub)
    done = chemist.get(f"/v1/research-runs/{run['run_id']}").json()
    assert (done["state"], done["searched"], done["answers_changed"], done["reopened"]) == ("done", 1, 1, 1)
    assert chemist.get("/v1/research-runs", params={"limit": 1}).json() == {"runs": [done]}
    (found,) = chemist.get(f"/v1/cases/{case_id}/research").json()["found"]
    assert (found["after"]["named"], found["effect"]) == (["novelamine"], "reopened")


def test_what_is_refused(field, client_as):
    case_id = field.scan(("novelamine", 1.0))
    released(field)
    librarian = client_as("librarian")
    assert librarian.post("/v1/research-runs", json={"release": 7}).status_code == 404
    assert librarian.post("/v1/research-runs", json={"release": "1"}).status_code == 422
    unknown = librarian.post("/v1/research-runs", json={"release": 1, "changed": ["none"]})
    assert unknown.status_code == 422
    assert "none" in unknown.json()["detail"]
    assert client_as("chemist").post("/v1/research-runs", json={"release": 1}).status_code == 403
    assert client_as("auditor").get("/v1/research-runs").status_code == 200
    assert client_as("chemist").get("/v1/research-runs/R-none").status_code == 404
    elsewhere = client_as("chemist", sites=["south"])
    assert elsewhere.get(f"/v1/cases/{case_id}/research").status_code == 404


# --- commands ----------------------------------------------------------------------------------------------


@pytest.fixture
def command(field, capsys):
    """Runs a command on the server; returns what it printed."""
    db = field.desk.db
    url = db.engine.url.render_as_string(hide_password=False)

    def run(name, *more):
        code = main(
            ["reachback", "research", name, "--data", str(db.folder), "--database", url, *map(str, more)]
        )
        return code, capsys.readouterr().out

    return run


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_the_commands(field, command):
    for name in ("novelamine", "lactose"):
        case_id = field.scan((name, 1.0), named=() if name == "novelamine" else (name,))
        field.answer(case_id, *(() if name == "novelamine" else (name,)))
    released(field)
    assert command("status") == (0, "Nothing was searched again yet.\n")
    code, out = command("archive")
    assert (code, out.partition(" in ")[0]) == (0, "2 raman, 0 infrared scans")
    archive = Archive(field.desk.db)
    archive.path(archive.file_of("raman", 0)).write_bytes(b"torn")
    assert command("archive", "--verify")[0] == 0
    assert archive.verify() == ()
    code, out = command("archive", "--rebuild", "--json")
    assert json.loads(out)["rows"]["raman"] == 2
    assert command("run", "--release", 1)[0] == 0
    code, out = command("status", "--json")
    (run,) = json.loads(out)
    assert (run["state"], run["searched"], run["reopened"]) == ("done", 2, 1)
    assert "1 cases reopened" in command("status")[1]
    assert command("run")[0] == 0


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_several_processes_of_the_command(field, command):
    for _ in range(3):
        field.answer(field.scan(("lactose", 1.0), named=("lactose",)), "lactose")
    field.start()
    field.desk.db.close()
    assert command("run", "--processes", 2)[0] == 0
    (run,) = runs.listed(field.desk.db)
    assert (run.state, run.searched) == ("done", 3)


def test_commands_that_make_no_sense(command):
    assert command("run", "--processes", 0)[0] == 2
    assert command("run", "--follow", 0)[0] == 2


def test_the_libraries_of_a_run_are_kept(field):
    run_id = field.start()
    field.after.unlink()
    field.before.unlink()
    field.answer(field.scan(("novelamine", 1.0)), "lactose", verdict="identified")
    field.work(judge=stub)
    assert runs.get(field.desk.db, run_id).answers_changed == 1
