"""``spectralid reachback lab`` and ``export``."""

import csv
import json

import pytest

from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.reachback.lab import laboratory
from tests.reachback.desk import Desk


@pytest.fixture
def kind():
    return "sqlite"


@pytest.fixture
def run(db, capsys):
    desk = Desk(db)

    def command(*words):
        code = main(["reachback", *map(str, words), "--data", str(db.folder)])
        out = capsys.readouterr()
        return code, out.out, out.err

    command.desk = desk
    return command


def test_a_file_of_results_is_taken_in(run, tmp_path):
    case_id = run.desk.answered()
    file = tmp_path / "results.csv"
    file.write_text(
        "laboratory,sample_ref,result,methods,case_id,LIMS\n"
        f"Lab,S-1,confirmed,GC-MS,{case_id},1\nLab,S-2,maybe,GC-MS,,\nLab,S-3,confirmed,GC-MS,,\n"
    )
    code, out, err = run("lab", "import", file, "--dry-run")
    assert (code, "2 lines would be taken" in out) == (Exit.UNREADABLE, True)
    assert laboratory.listed(run.desk.db) == ()
    code, out, err = run("lab", "import", file)
    assert code == Exit.UNREADABLE
    assert "line 3: not taken" in err
    assert "columns that are not read: lims" in err
    assert "2 lines taken (1 applied, 1 unmatched), 1 not taken" in out
    code, out, _ = run("lab", "import", file, "--json")
    assert [one["taken"]["status"] for one in json.loads(out)["lines"]] == [200, 200]
    code, out, _ = run("lab", "list", "--what", "unmatched")
    assert (code, out.count("\n"), "no-case-named" in out) == (Exit.IDENTIFIED, 1, True)
    target = tmp_path / "out.csv"
    assert run("lab", "list", "--csv", target)[0] == Exit.IDENTIFIED
    with target.open(newline="") as source:
        assert {row["by"].partition(":")[0] for row in csv.DictReader(source)} == {"console"}
    assert run("lab", "list", "--csv", target)[0] == Exit.USAGE


def test_what_is_no_file_of_results_is_said_in_a_sentence(run, tmp_path):
    file = tmp_path / "results.csv"
    file.write_bytes(b"\x89PNG")
    code, _, err = run("lab", "import", file)
    assert code != Exit.IDENTIFIED
    assert "Traceback" not in err
    assert run("lab", "import", tmp_path / "none.csv")[0] == Exit.USAGE


def test_figures_and_what_is_overdue(run, tmp_path):
    desk = run.desk
    case_id = desk.answered()
    laboratory.send(
        desk.db, desk.keys, case_id, laboratory="F", sample_ref="1", by="x", now=desk.time,
        sent_utc="2026-01-02T00:00:00Z",
    )  # fmt: skip
    code, out, _ = run("lab", "overdue")
    assert (code, "no-result" in out, case_id in out) == (Exit.IDENTIFIED, True, True)
    laboratory.record(
        desk.db, desk.keys, case_id, result="confirmed", laboratory="F", sample_ref="1", by="x", now=desk.time
    )
    time = ("--since", "2026-11-01T00:00:00Z", "--until", "2026-12-01T00:00:00Z")
    assert "server to first answer" in run("lab", "ages", *time)[1]
    assert json.loads(run("lab", "ages", "--json", *time)[1])["cases"] == 1
    out = run("lab", "scoreboard", *time)[1]
    assert "device tablet-1" in out
    assert "not for what was scanned" in out
    figure, table = tmp_path / "board.svg", tmp_path / "board.csv"
    assert run("lab", "scoreboard", *time, "--figure", figure, "--csv", table)[0] == Exit.IDENTIFIED
    assert b"<svg" in figure.read_bytes()
    assert table.read_text().startswith("by,key")
    assert run("lab", "scoreboard", "--since", "yesterday")[0] == Exit.USAGE


@pytest.mark.parametrize("name", ["a.json", "a.pdf", "a.csv", "a.jdx", "a.nxs"])
def test_a_seizure_as_a_document(run, tmp_path, name):
    case_id = run.desk.answered(officer_ref="K-17")
    file = tmp_path / name
    code, out, _ = run("export", case_id, "-o", file)
    assert (code, "without persons" in out) == (Exit.IDENTIFIED, True)
    assert b"K-17" not in file.read_bytes()
    assert run("export", case_id, "-o", file)[0] == Exit.USAGE
    assert run("export", case_id, "-o", tmp_path / "a.docx")[0] == Exit.USAGE
    if name == "a.json":
        assert run("export", case_id, "-o", file, "--niem", "--force")[0] == Exit.IDENTIFIED
        assert json.loads(file.read_bytes())["rows"] == []
        assert run("export", case_id, "-o", file, "--persons", "--force")[0] == Exit.IDENTIFIED
        assert b"K-17" in file.read_bytes()
