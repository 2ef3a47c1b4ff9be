"""The chemist's bench as plain Python: a case from packets, fits by hand, the first look, the basis."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spectralid.casework.packet import Blob, open_packet
from spectralid.errors import InputError, ParameterError
from spectralid.identify import Identifier
from spectralid.library import Compound, Tier
from spectralid.reachback.bench.material import case_material, picture_type, read_material
from spectralid.reachback.bench.words import looked_for
from spectralid.reachback.bench.workbench import BlindError, Workbench, problem_of
from tests.identify.builders import GRID, library, raman, substance, with_noise
from tests.reachback.desk import Tablet

NAMES = ("caffeine", "lactose", "mannitol", "procaine", "quinine", "sucrose", "talc", "urea")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def curve(*shares):
    whole = sum(share * substance(GRID, n) / substance(GRID, n).sum() for n, share in enumerate(shares))
    return with_noise(whole / whole.max(), 0.01)


def doubles(values):
    return Blob(np.asarray(values, dtype="<f8").tobytes(), "application/octet-stream")


def scan_of(tablet, values, *, axis=GRID, seizure="S-1", **more):
    y, x = doubles(values), doubles(axis)
    entry = {"blob": y.sha256, "x_blob": x.sha256, "dtype": "<f8", "n": len(values), "unit": "counts"}
    body = {
        "instrument": {"technique": "raman", "maker": "Acme", "laser_nm": 785.0},
        "spectra": [entry],
        "result": {
            "decision": "identified",
            "engine": {"version": "0"},
            "library": {"name": "test"},
            "verdict": {"headline": "Caffeine", "alarm": "notice"},
        },
        "escalation": {"why": ["forced"], "officer_note": "white powder"},
    }
    return tablet.make("scan", seizure, "I-1", (y, x), **{**body, **more})


@pytest.fixture(scope="module")
def identifier(tmp_path_factory):
    entries = [
        (
            Compound(slug, slug.title(), synonyms=(f"{slug} hydrate",), cas=""),
            raman(substance(GRID, n)),
            Tier.MEASURED,
        )
        for n, slug in enumerate(NAMES)
    ]
    return Identifier(library(tmp_path_factory.mktemp("workbench"), entries), record=None, families=())


@pytest.fixture(scope="module")
def packets():
    tablet = Tablet("tablet-1")
    photo, page = Blob(PNG, "image/png", "bag.png"), Blob(b"<svg onload=alert(1)>", "image/png", "bag2.png")
    return [
        tablet.seizure(site_ref="north"),
        tablet.item(declared={"text": "vitamins", "cas": "58-08-2"}),
        scan_of(tablet, curve(0.7, 0.3)),
        tablet.make(
            "evidence",
            item="I-1",
            blobs=(photo, page),
            photos=[{"blob": photo.sha256}, {"blob": page.sha256}],
            note="two bags",
        ),
        tablet.strip("fentanyl", "pos"),
        tablet.send(),
    ]


@pytest.fixture(scope="module")
def material(packets):
    return read_material([open_packet(raw, None) for raw in reversed(packets)], case_id="C-1")


@pytest.fixture
def sheet(material, identifier):
    return Workbench.open(material, identifier)[0]


def test_a_case_is_read_from_its_packets(material):
    assert (material.device_id, material.seizure_ref, material.site_ref) == ("tablet-1", "S-1", "north")
    (scan,) = material.scans
    assert (scan.name, scan.problem, scan.why, scan.officer_note) == ("3/0", "", ("forced",), "white powder")
    np.testing.assert_array_equal(scan.spectrum.axis, GRID)
    assert material.items[0]["declared"] == "vitamins"
    assert material.strips[0] | {"seq": 0} == {
        "seq": 0, "item_ref": "I-1", "target": "fentanyl", "result": "pos", "brand": "", "lot": "",
        "expiry": "", "cutoff_ng_ml": None, "dilution_mg_ml": None, "read_s": None,
    }  # fmt: skip
    assert [note["text"] for note in material.notes] == ["two bags"]
    assert material.sends[0]["why"] == ["forced"]


def test_a_picture_is_one_by_its_bytes_and_not_by_its_name(material):
    assert [(one.name, one.media_type) for one in material.photos] == [
        ("bag.png", "image/png"),
        ("bag2.png", ""),
    ]
    assert picture_type(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert picture_type(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    for other in (
        b"",
        b"<svg>",
        b"<!doctype html>",
        b"RIFF",
        b"\0\0\0\0\0\0\0\0WEBP",
        b"GIF88a",
        b"%PDF-1.7",
    ):
        assert picture_type(other) == ""


def test_from_the_record_and_from_packets_it_is_the_same(desk, packets):
    tablet = desk.tablet
    done = [tablet.seizure(), tablet.item(), scan_of(tablet, curve(0.7, 0.3)), tablet.strip()]
    case_id = [desk.ingest(raw).case for raw in done][-1]
    kept, read = case_material(desk.db, case_id), read_material([open_packet(raw, None) for raw in done])
    assert kept.case_id == case_id
    assert kept.site_ref == "north"  # as enrolled
    assert kept.scans[0].spectrum.sha256 == read.scans[0].spectrum.sha256
    assert (kept.strips, kept.items) == (read.strips, read.items)


def test_packets_of_two_seizures_are_no_case():
    tablet = Tablet("tablet-1")
    packets = [open_packet(tablet.seizure(ref), None) for ref in ("S-1", "S-2")]
    with pytest.raises(InputError, match="2 seizures"):
        read_material(packets)
    with pytest.raises(InputError, match="at least one"):
        read_material([])


def test_the_engines_answer_and_sliders_on_it(sheet):
    found = sheet.identification.analysis
    fit = sheet.refit()
    assert {c.compound_slug for c in found.components} == set(fit.shares) == {"caffeine", "lactose"}
    for component in found.components:
        assert fit.shares[component.compound_slug] == pytest.approx(component.share, abs=0.005)
    same = sheet.refit(dict(fit.shares))
    assert same.rise == pytest.approx(0, abs=1e-6)
    away = sheet.refit({"Caffeine": fit.shares["caffeine"] - 0.3, "lactose hydrate": None})
    assert away.rise > 20
    assert away.held_log_odds < 0


def test_a_component_by_name_and_one_excluded(sheet):
    fit = sheet.refit({"caffeine": None})
    more = sheet.add(fit, "LACTOSE")
    assert list(more.shares) == ["caffeine", "lactose"]
    assert more.chi2 < fit.chi2
    assert sheet.rest(fit)[0].slug == "lactose"
    assert "lactose" not in sheet.refit(more.shares | {"lactose": None}, excluded=["lactose"]).shares
    assert "caffeine" not in sheet.refit(excluded=["caffeine"]).shares
    with pytest.raises(ParameterError, match="Caffeine"):
        sheet.refit({"caff": None})
    assert [c.slug for c in sheet.find("uCr")] == ["sucrose"]
    assert sheet.find("  ") == ()


def test_nothing_is_said_to_be_absent(sheet):
    fit = sheet.refit()
    limits = sheet.limits(fit, ["urea", "caffeine"])
    assert list(limits) == ["urea"]
    ((slug, share, z, sentence),) = sheet.looked_for(fit, ["urea"])
    assert (slug, share) == ("urea", limits["urea"])
    assert z < 3
    assert "smallest detectable share" in sentence
    assert looked_for("Urea", 1.0, 0.0).endswith("could not have shown any share of it.")
    # What is only left out of the fit is not undetected.
    ((_, _, z, sentence),) = sheet.looked_for(sheet.refit({"caffeine": None}), ["lactose"])
    assert z > 10
    assert "not detected" not in sentence


def test_evidence_becomes_a_basis(material, identifier):
    bench = Workbench.open(material, identifier)
    evidence = bench[0].evidence(bench[0].refit())
    assert [one.code for one in evidence] == ["bands", "fit", "rest", "axis", "strips"]
    assert "fentanyl positive" in evidence[-1].sentence
    basis = bench.basis(evidence[:2], "Both references fit.")
    assert basis.splitlines()[-1] == "Both references fit."
    assert basis.startswith("[bands] ")
    decision = bench.decision(
        "mixture", ("caffeine", "lactose"), headline="Caffeine and lactose", words="Presumptive.", basis=basis
    )
    assert decision.basis == basis
    for checked, text in ((evidence[:1], " "), ((), "because")):
        with pytest.raises(InputError, match="basis"):
            bench.basis(checked, text)


def test_blind_until_the_first_look_is_written(material, identifier):
    bench = Workbench.open(material, identifier, blind=True)
    sheet = bench[0]
    axis, heights = sheet.corrected()
    assert len(axis) == len(heights)
    assert all(peak.by == () for peak in sheet.peaks())
    for ask in (
        lambda: sheet.identification,
        sheet.refit,
        lambda: sheet.marks("caffeine"),
        lambda: sheet.find("a"),
        lambda: sheet.limits(None, []),
    ):
        with pytest.raises(BlindError):
            ask()
    with pytest.raises(InputError, match="1 to 4,000"):
        bench.look("  ")
    bench.look("A xanthine, diluted.")
    assert not bench.blind
    assert sheet.identification.candidates
    with pytest.raises(InputError, match="shown already"):
        bench.look("No: sugar.")
    said = bench.decision("inconclusive", headline="?", words="", basis="b")
    assert said.first_look == "A xanthine, diluted."


def test_spectra_that_cannot_be_worked_on_say_so(identifier):
    tablet = Tablet("tablet-1")
    axis = np.arange(50.0) + 200
    sent = [
        scan_of(tablet, np.ones(50), axis=axis),
        scan_of(tablet, np.full(50, np.nan), axis=axis),
        scan_of(tablet, np.ones(50), axis=axis[::-1] * 0),
    ]
    bench = Workbench.open(read_material([open_packet(one, None) for one in sent]), identifier)
    flat, nothing, nowhere = bench
    with pytest.raises(InputError):
        flat.refit()
    for sheet in (nothing, nowhere):
        assert problem_of(sheet)
        with pytest.raises(InputError):
            sheet.refit()


def test_numbers_that_are_not_those_of_the_packet_are_said(identifier):
    tablet = Tablet("tablet-1")
    y = doubles(curve(1.0))
    entry = {
        "blob": y.sha256,
        "dtype": "<f8",
        "n": len(GRID),
        "unit": "odd",
        "x0": 150.0,
        "dx": 3.0,
        "sha256": "0" * 64,
    }
    body = {
        "instrument": {"technique": "raman"},
        "spectra": [entry],
        "result": {"decision": "no_match", "engine": {}, "library": {}},
    }
    (scan,) = read_material([open_packet(tablet.make("scan", item="I-1", blobs=(y,), **body), None)]).scans
    assert "not those of the spectrum" in scan.problem
    np.testing.assert_allclose(scan.spectrum.axis, GRID)


def test_marks_that_turn_the_direction_of_writing_are_shown_as_such():
    tablet = Tablet("tablet-1")
    (strip,) = read_material([open_packet(tablet.strip("fentanyl\u202e", "neg"), None)]).strips
    assert strip["target"] == "fentanyl\ufffd"


def test_a_figure_for_a_notebook(sheet):
    figure = sheet.figure(sheet.refit({"caffeine": 0.5, "lactose": None}))
    assert len(figure.axes) == 3
    texts = [text.get_text() for text in figure.axes[1].get_legend().get_texts()]
    assert texts == ["Caffeine 50% (held)", "Lactose 50%"]
    assert json.dumps(sheet._repr_html_())
