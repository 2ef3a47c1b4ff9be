"""Files of a laboratory's information system."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.reachback import csv_out
from spectralid.reachback.lab import laboratory, results_csv
from spectralid.reachback.lab.reports import LabReportError

HEADER = (
    "Laboratory,Sample Ref,Report-Ref,Result,Methods,Substances,Shares_percent,Uncertainties_percent,"
    "Case_ID,LIMS id"
)


def imported(desk, data, **options):
    data = data.encode() if isinstance(data, str) else data
    return results_csv.import_csv(desk.db, desk.keys, data, by="lab-ann", now=desk.time, **options)


def table(*lines):
    return "\r\n".join([HEADER, *lines]) + "\r\n"


def test_good_lines_are_taken_and_each_bad_one_is_reported_with_its_line(desk):
    case_id = desk.answered()
    data = table(
        f"Lab,S-1,R-1,CONFIRMED,GC-MS + FTIR,Fentanyl|lactose,4.2|,0.3|,{case_id},77",
        "Lab,S-2,R-2,maybe,GC-MS,,,,,",
        '"Lab",S-3,R-3,refuted,tea leaves,,,,,',
        ",,,,,,,,,",
        '"two\nlines",S-4,R-4,confirmed,GC-MS,,,,,',
        "Lab,S-5,R-5,confirmed,GC-MS,fentanyl,1|2,,,",
        "Lab,S-6,R-6,confirmed,GC-MS,fentanyl,120,,,",
        "Lab,,R-6,confirmed,GC-MS,fentanyl,12,,,",
        "Lab,S-7,R-7,confirmed,GC-MS,,,,C-none,",
        "Lab,S-8,R-8,confirmed,GC-MS,,,,,,too,many",
    )
    done = imported(desk, data)
    assert done.ignored == ("lims_id",)
    assert [(one.line, one.taken.what) for one in done.lines] == [(2, "applied"), (10 + 1, "unmatched")]
    assert [one.line for one in done.bad] == [3, 4, 6, 8, 9, 10, 12]
    assert "result" in done.bad[0].why
    assert "method" in done.bad[1].why
    assert (done.count("applied"), done.count("unmatched"), done.count("known")) == (1, 1, 0)
    (result,) = laboratory.of_case(desk.db, case_id)
    assert result.methods == ("GC-MS", "FTIR")
    assert [(s.slug, s.share, s.uncertainty) for s in result.substances] == [
        ("fentanyl", 0.042, 0.003),
        ("lactose", None, None),
    ]
    again = imported(desk, data)
    assert (again.count("known"), len(again.bad)) == (2, 7)
    assert len(laboratory.listed(desk.db)) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_dialects_of_one_file_give_the_same_reports(encoding, mark):
    rows = [
        ["laboratory", "sample_ref", "result", "methods", "substances", "shares_percent", "note"],
        [
            "Köln",
            "Σ-1",
            "refuted",
            "LC-MS/MS",
            "caffeine|p-Fluorofentanyl",
            "12,5|0.3",
            "naïve, “quoted”; x\ty",
        ],
    ]
    target = io.StringIO(newline="")
    csv.writer(target, delimiter=mark).writerows(rows)
    ((line, report),), bad, ignored = results_csv.read(target.getvalue().encode(encoding))
    assert (line, bad, ignored) == (2, [], ())
    assert (report.laboratory, report.sample_ref, report.note) == ("Köln", "Σ-1", rows[1][-1])
    assert [one.share for one in report.substances] == [0.125, 0.003]
    assert report.substances[0].slug == "caffeine"
    assert report.substances[1].name == "p-Fluorofentanyl"


def test_a_line_may_end_early():
    good, bad, _ = results_csv.read(b"sample_ref,laboratory,methods,result,note\nS,L,MS,refuted\nS,L\n")
    assert [(line, report.result, report.note) for line, report in good] == [(2, "refuted", "")]
    assert [one.line for one in bad] == [3]


def test_a_dry_run_writes_nothing(desk):
    case_id = desk.answered()
    done = imported(desk, table(f"Lab,S-1,R-1,refuted,GC-MS,,,,{case_id},"), dry=True)
    assert (done.dry, done.count("applied")) == (True, 1)
    assert laboratory.listed(desk.db) == ()
    assert desk.case(case_id)["state"] == "ANSWERED"


def test_a_report_that_is_there_with_other_contents_is_a_bad_line(desk):
    case_id = desk.answered()
    imported(desk, table(f"Lab,S-1,R-1,confirmed,GC-MS,,,,{case_id},"))
    done = imported(desk, table(f"Lab,S-1,R-1,refuted,GC-MS,,,,{case_id},"))
    assert [one.line for one in done.bad] == [2]
    assert desk.case(case_id)["state"] == "LAB_CONFIRMED"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"laboratory,result\r\nx,y\r\n",
        b"\xff\xfe\xfa",
        b"\x89PNG\r\n\x1a\n\xff",
        b"laboratory,laboratory,sample_ref,result,methods\r\n",
    ],
)
def test_what_is_no_such_file_is_refused_whole(data):
    with pytest.raises(LabReportError):
        results_csv.read(data)


def test_a_file_that_is_too_long_is_refused(monkeypatch):
    monkeypatch.setattr(results_csv, "_MOST_LINES", 2)
    with pytest.raises(LabReportError, match="more than 2 lines"):
        results_csv.read(table(*["Lab,S-1,,confirmed,GC-MS,,,,,"] * 3).encode())


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_no_bytes_bring_anything_but_reports_and_sentences(data):
    for beginning in (b"", table().encode()):
        try:
            good, bad, _ = results_csv.read(beginning + data)
        except LabReportError:
            continue
        assert all(one.why for one in bad)
        assert all(line > 0 for line, _ in good)


@given(st.text(max_size=30))
def test_no_cell_that_goes_out_is_a_formula(text):
    (_, row) = list(csv.reader(io.StringIO(csv_out.written(["a", "b"], [[text, 1.5]]).decode(), newline="")))
    assert row[1] == "1.5"
    assert not row[0].lstrip(" \u00a0").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert row[0].removeprefix("'") == text or row[0] == text


def test_results_go_out_with_what_became_of_them(desk):
    case_id = desk.answered()
    imported(desk, table(f"=1+1,S-1,R-1,confirmed,GC-MS,lactose,,,{case_id},"))
    rows = list(csv.DictReader(io.StringIO(results_csv.listing(laboratory.listed(desk.db)).decode())))
    assert rows[0]["laboratory"] == "'=1+1"
    assert (rows[0]["what"], rows[0]["swgdrug"], rows[0]["substances"]) == ("applied", "A B", "Lactose")
