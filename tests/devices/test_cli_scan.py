"""``spectralid scan``: the whole way with the simulator, and what keeps a real laser off."""

import io
import json
import signal

import numpy as np
import pytest

from spectralid import LibraryBuilder, Spectrum, read
from spectralid.cli import _instrument as command
from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.samples import find_sample
from spectralid.library import Compound, Tier

AXIS = np.arange(250.0, 2350.0, 2.0)
SUBSTANCES = ("acetaminophen", "polystyrene")


@pytest.fixture
def library(tmp_path):
    builder = LibraryBuilder("test")
    for name in SUBSTANCES:
        # Gaussian bands: neither the simulator's line shape nor its instrument function.
        y = sum(
            band.height * np.exp(-0.5 * ((AXIS - band.position) / (band.fwhm / 2.3548)) ** 2)
            for band in find_sample(name)
        )
        builder.add(
            Spectrum(AXIS, y + 0.1, "raman", name=name),
            Compound(name, name.title()),
            tier=Tier.MEASURED,
            licence="CC0-1.0",
        )
    path = tmp_path / "test.h5"
    builder.write(path)
    return str(path)


@pytest.mark.parametrize("substance", SUBSTANCES)
def test_simulated_scan_all_the_way(library, tmp_path, capsys, substance):
    picture, out = tmp_path / "scan.png", tmp_path / "scan.jdx"
    measuring = ["--simulate", substance, "--averages", "4", "--seed", "3", "--library", library]
    code = main(["scan", *measuring, "--save", str(picture), "--out", str(out), "--json"])
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert told["identification"]["candidates"][0]["compound_slug"] == substance
    assert told["presumptive"] is True
    assert {"simulated", "interlock_unknown", "checksum_verified"} <= set(told["instrument"]["flags"])
    assert code == Exit[told["verdict"]["kind"].upper()]
    assert "sample frames" in printed.err
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert read(out).n_points == 1024


@pytest.mark.parametrize("protocol", ["wasatch-uart", "ocean-legacy", "tcd1304-er"])
def test_every_protocol_is_simulated(library, capsys, protocol):
    measuring = ["--simulate", "polystyrene", "--simulate-protocol", protocol, "--averages", "4"]
    main(["scan", *measuring, "--library", library, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["instrument"]["metadata"]["protocol"] == protocol
    assert "simulated" in told["instrument"]["flags"]
    assert told["identification"]["candidates"][0]["compound_slug"] == "polystyrene"


def test_averaging_until_the_signal_is_good_enough(library, capsys):
    reached = []
    for ratio in ("60", "200"):
        measuring = ["--simulate", "polystyrene", "--integration", "50", "--until-snr", ratio]
        main(["scan", *measuring, "--library", library, "--json"])
        printed = capsys.readouterr()
        facts = json.loads(printed.out)["instrument"]
        assert float(facts["metadata"]["snr_strongest_band"]) >= float(ratio)
        assert "times its noise" in printed.err
        reached.append(facts["averages"])
    assert 2 <= reached[0] < reached[1] < 200


def test_saturated_scan_is_not_identified(library, capsys):
    measuring = ["--simulate", "polystyrene", "--integration", "20000", "--averages", "2"]
    assert main(["scan", *measuring, "--library", library, "--json"]) == Exit.POOR_SIGNAL
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] is None
    assert "saturated" in told["retake"]
    assert {"retake", "saturated"} <= set(told["instrument"]["flags"])


def test_words_for_the_officer_say_that_it_is_simulated(library, capsys):
    main(["scan", "--simulate", "polystyrene", "--averages", "4", "--library", library])
    lines = capsys.readouterr().out.splitlines()
    assert "SIMULATED, no evidence" in lines[0]
    assert "polystyrene" in "\n".join(lines[1:]).lower()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--port", "x"], Exit.USAGE, "--profile"),
        (["--port", "x", "--profile", "tricorder"], Exit.USAGE, "ocean-ventana-785l"),
        (["--port", "x", "--profile", "y", "--simulate-protocol", "obp"], Exit.USAGE, "left out"),
        (["--simulate", "--simulate-protocol", "smoke"], Exit.USAGE, "tcd1304-er"),
        (
            ["--simulate", "--profile", "ocean-ventana-785l", "--simulate-protocol", "tcd1304-er"],
            Exit.USAGE,
            "speaks tcd1304-er",
        ),
        (["--simulate", "--until-snr", "0"], Exit.USAGE, "until_snr"),
        (["--simulate", "--out", "scan.docx"], Exit.USAGE, "--out"),
        (["--simulate", "--averages", "0"], Exit.USAGE, "averages"),
        (["--simulate", "--integration", "1"], Exit.USAGE, "integration time"),
        (["--simulate", "unobtainium"], Exit.USAGE, "unobtainium"),
        (["--port", "x", "--profile", "ocean-ventana-785l"], Exit.DEVICE, "--arm-laser"),
        (["--port", "x", "--profile", "ocean-ventana-785l", "--arm-laser"], Exit.DEVICE, "at a terminal"),
    ],
)
def test_refusals(library, capsys, monkeypatch, arguments, code, said):
    monkeypatch.setattr("sys.stdin", io.StringIO("laser on\n"))
    assert main(["scan", *arguments, "--library", library]) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err.splitlines()[-1]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_missing_library_is_noticed_before_the_laser(capsys):
    assert main(["scan", "--simulate", "--library", "there-is-none.h5"]) == Exit.LIBRARY
    assert "Simulated" not in capsys.readouterr().err


@pytest.mark.parametrize("typed", ["", "yes\n", "no\n"])
def test_laser_needs_the_very_words(library, capsys, monkeypatch, typed):
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    arguments = ["--port", "x", "--profile", "ocean-ventana-785l", "--arm-laser", "--operator", "Kim"]
    assert main(["scan", *arguments, "--library", library]) == Exit.DEVICE
    told = capsys.readouterr().err
    assert "interlock" in told
    assert "never been tried" in told
    assert "you, Kim, confirm" in told
    assert told.rstrip().endswith("nothing was measured.")


def test_request_to_end_the_program_unwinds_it():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught, command.ending_in_order():
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_confirmed_laser_goes_on_to_the_port(library, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal(command.CONFIRMATION + "\n"))
    arguments = ["--port", "/dev/there-is-none", "--profile", "ocean-ventana-785l", "--arm-laser"]
    assert main(["scan", *arguments, "--library", library]) == Exit.DEVICE
    assert "Serial port /dev/there-is-none" in capsys.readouterr().err


def test_laser_that_only_a_person_can_switch(library, capsys, monkeypatch):
    # The simulated board is lit all the time: what is called dark is not, and the spectrum is no good.
    monkeypatch.setattr("sys.stdin", Terminal(f"{command.CONFIRMATION}\n\n\n"))
    with Simulator("--protocol", "tcd1304-er", "--substance", "polystyrene", "--tcp") as simulator:
        measuring = ["--port", simulator.port, "--profile", "tcd1304-er", "--arm-laser", "--averages", "3"]
        assert main(["scan", *measuring, "--library", library]) == Exit.POOR_SIGNAL
    printed = capsys.readouterr()
    asked = printed.err
    assert asked.index("Switch the laser on") < asked.index("sample frames") < asked.index("laser OFF")
    assert "MEASURE AGAIN: light did not come" in printed.out


def test_operator_who_goes_away_ends_the_scan(library, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal(f"{command.CONFIRMATION}\n"))
    with Simulator("--protocol", "tcd1304-er", "--tcp") as simulator:
        measuring = ["--port", simulator.port, "--profile", "tcd1304-er", "--arm-laser", "--averages", "3"]
        assert main(["scan", *measuring, "--library", library]) == Exit.DEVICE
    assert "Standard input has ended" in capsys.readouterr().err
