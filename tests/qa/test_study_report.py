"""The report of a study: what it says, in HTML and PDF, the same each time; and the command."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

import spectralid
from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.errors import ParameterError
from spectralid.io import write
from spectralid.qa.document import Document, Heading, Paragraph, table
from spectralid.qa.manifest import read_manifest
from spectralid.qa.study import Study, run_study
from spectralid.qa.study_report import study_document, study_facts
from tests.reachback.bench import SUBSTANCES, build, spectrum

A, B = SUBSTANCES[:2]
pytest.importorskip("reportlab", reason="reports need the extra [tablet]")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library, a series of shares of A in B, and its manifest."""
    folder = tmp_path_factory.mktemp("report")
    build(folder / "mine.h5", [(slug, 7) for slug in SUBSTANCES[:5]])
    pure_a, pure_b = spectrum(A, seed=11, noise=0.0), spectrum(B, seed=12, noise=0.0)
    rows = ["file,truth,target,level,unit,group,container"]
    for level in (0.0, 0.02, 0.1, 0.3, 0.6):
        for number in range(2):
            noisy = spectrum(B, seed=int(1000 * level) + number, noise=0.01)
            mixed = level * pure_a.intensity + (1 - level) * pure_b.intensity
            mixed = (
                mixed + noisy.intensity - spectrum(B, seed=int(1000 * level) + number, noise=0.0).intensity
            )
            name = f"{level:g}-{number}.jdx"
            write(type(noisy)(noisy.axis, mixed, technique="raman", unit="counts"), folder / name)
            truth = f"{A};{B}" if level else B
            rows.append(f"{name},{truth},{A},{level},U{number},{level:g},{'bag' if number else 'vial'}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "with_gap.csv").write_text(
        "\n".join([*rows, f"<script>.jdx,{A},,,,,"]) + "\n", encoding="utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    with spectralid.open_library(place / "mine.h5") as library:
        return run_study(read_manifest(place / "with_gap.csv"), library, processes=1)


def test_the_report_holds_the_figures_of_the_study(study: Study, tmp_path: Path) -> None:
    document = study_document(study, title="Handheld & bag <1>", other=study)
    document.save(tmp_path / "study.html")
    page = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert "<title>Handheld &amp; bag &lt;1&gt;</title>" in page
    headings = (
        "Purpose and scope",
        "Accuracy",
        "Selectivity",
        "Limit of detection",
        "Precision",
        "Robustness",
        "Uncertainty",
        "Comparison of methods",
        "Outside of this study",
    )
    for heading in headings:
        assert f"<h2>{heading}</h2>" in page
    assert study.library_sha256 in page
    assert study.manifest.sha256 in page
    facts = study_facts(study)
    complete = facts["rates"]["complete"]  # type: ignore[index]
    assert f"({complete['hits']}/{complete['of']})" in page
    assert "&lt;script&gt;.jdx" in page
    assert "<script" not in page
    # Nothing is fetched from anywhere.
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)


@pytest.mark.parametrize("ending", ["html", "pdf"])
def test_the_same_study_gives_the_same_bytes(study: Study, tmp_path: Path, ending: str) -> None:
    for name in ("one", "two"):
        study_document(study, other=study).save(tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()


def test_the_pdf_says_what_the_page_says(study: Study, tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    study_document(study).save(tmp_path / "study.pdf")
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "study.pdf").pages)
    assert "Limit of detection" in text
    assert "Clopper and Pearson" in text
    assert study.manifest.sha256 in re.sub(r"\s", "", text)


def test_the_facts_are_strict_json(study: Study) -> None:
    text = json.dumps(study_facts(study), allow_nan=False)
    facts = json.loads(text)
    assert facts["samples"] == 11
    assert facts["not_read"][0]["file"] == "<script>.jdx"
    (limits,) = facts["detection_limits"]
    assert [level["share"] for level in limits["levels"]] == [0.0, 0.02, 0.1, 0.3, 0.6]


def test_a_document_is_of_a_kind_that_is_known(tmp_path: Path) -> None:
    document = Document("t", (Heading("h"), Paragraph("p"), table(("a", "b"), [(1, 2)])))
    with pytest.raises(ParameterError):
        document.save(tmp_path / "report.docx")
    with pytest.raises(ParameterError):
        table(("a", "b"), [(1,)])
    assert not list(tmp_path.iterdir())


def test_the_command_reports_and_answers_scripts(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["qa", "validate", "--library", str(place / "mine.h5"), "--jobs", "1"]
    report = tmp_path / "study.html"
    assert main([*common, str(place / "manifest.csv"), "--report", str(report)]) == Exit.IDENTIFIED
    assert "complete" in capsys.readouterr().out
    assert report.exists()
    assert main([*common, str(place / "manifest.csv"), "--goal", "0.95"]) == Exit.GOAL_MISSED
    capsys.readouterr()
    assert main([*common, str(place / "with_gap.csv"), "--json"]) == Exit.UNREADABLE
    assert json.load(io.StringIO(capsys.readouterr().out))["samples"] == 11
    assert main([*common, str(place / "manifest.csv"), "--report", "study.txt"]) == Exit.USAGE
    assert main([*common, str(place / "nowhere.csv")]) == Exit.UNREADABLE
