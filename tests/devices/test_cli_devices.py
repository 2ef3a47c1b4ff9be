"""``spectralid devices`` and ``spectralid sim``: what they tell, and that probing only asks."""

import json
import signal
import subprocess
import sys

import pytest

from spectralid.cli import main
from spectralid.cli._exit import Exit
from spectralid.devices import bundled_profiles, load_profile
from spectralid.devices.codec import wasatch
from spectralid.devices.codec.obp import Decoder, Frame, Message
from spectralid.devices.probe import PROBES, probe, probes_for
from spectralid.devices.sim.launch import Simulator
from spectralid.devices.sim.models import BENCHES, DEFAULT_MODELS, PROTOCOLS, instrument_class
from spectralid.devices.sim.physics import Detector
from spectralid.devices.sim.virtual import VirtualLine
from spectralid.errors import ParameterError

ASKED = sorted({item.protocol for item in PROBES})


def simulated(protocol, laser=False):
    detector = Detector(BENCHES[DEFAULT_MODELS[protocol]], (), seed=0)
    detector.laser = laser
    return detector, instrument_class(protocol)(detector, "SIM-1")


def test_list(capsys):
    assert main(["devices", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {p["profile"] for p in told["profiles"]} == set(bundled_profiles())
    assert not any(p["tried_on_hardware"] for p in told["profiles"])
    assert [d["protocol"] for d in told["drivers"]][:4] == [
        "obp",
        "wasatch-uart",
        "ocean-legacy",
        "tcd1304-er",
    ]
    assert main(["devices", "list"]) == 0
    said = capsys.readouterr().out
    assert "ocean-ventana-785l" in said
    assert "not tried on hardware" in said


@pytest.mark.parametrize("name", bundled_profiles())
def test_info_of_every_profile(capsys, name):
    profile = load_profile(name)
    assert main(["devices", "info", name]) == 0
    said = capsys.readouterr().out
    assert profile.name in said
    assert "no, on none" in said
    assert profile.safety in said
    assert main(["devices", "info", name, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["protocol"] == profile.protocol
    if profile.protocol in PROTOCOLS:
        assert told["capabilities"]["has_laser"] is (name in ("ocean-ventana-785l", "wasatch-wp-785"))


def test_info_of_an_unknown_profile(capsys):
    assert main(["devices", "info", "tricorder"]) == Exit.USAGE
    assert "ocean-sts" in capsys.readouterr().err


@pytest.mark.parametrize("protocol", ASKED)
def test_probe_finds_the_protocol(protocol):
    _, instrument = simulated(protocol)
    baud = next(item.baud for item in PROBES if item.protocol == protocol)
    answer = probe(VirtualLine(instrument, baud=300, far_baud=baud))
    assert (answer.protocol, answer.baud) == (protocol, baud)
    assert answer.says


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("lit", [False, True])
def test_probe_leaves_every_instrument_as_it_is(protocol, lit):
    detector, instrument = simulated(protocol, laser=lit)
    shining = detector.laser
    before = detector.integration_s
    heard = []

    class Listening:
        """Takes every byte at every rate: the worst that can happen."""

        def receive(self, data):
            heard.append(data)
            instrument.receive(data)
            return []  # nobody answers, so that every question is asked

    assert probe(VirtualLine(Listening(), baud=9600)) is None
    assert len(heard) == len(PROBES)
    assert (detector.laser, detector.integration_s) == (shining, before)


def test_questions_are_questions():
    for item in PROBES:
        for frame in Decoder().feed(item.question):
            if isinstance(frame, Frame):
                assert frame.message == Message.SERIAL_NUMBER
        for frame in wasatch.Decoder().feed(item.question):
            if isinstance(frame, wasatch.Frame):
                assert not frame.opcode & wasatch.SET
        # The older protocol's J switches the lamp line and K the rate.
        if item.protocol != "ocean-legacy":
            assert not set(item.question) & set(b"JKjk")
        else:
            assert item.question == b"v"


def test_profile_narrows_the_questions():
    questions = probes_for(load_profile("ocean-flame-s"))
    assert [(q.protocol, q.baud) for q in questions] == [("ocean-legacy", 9600), ("ocean-legacy", 115_200)]
    with pytest.raises(ParameterError, match="can be asked who it is"):
        probes_for(load_profile("tcd1304-er"))


def test_probe_of_a_port(capsys):
    with Simulator("--tcp", "--serial", "SIM-77") as simulator:
        assert main(["devices", "probe", simulator.port, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["protocol"], told["says"]) == ("obp", "serial number SIM-77")
    assert "ocean-ventana-785l" in told["profiles"]


def test_probe_of_a_port_where_nobody_is(capsys):
    assert main(["devices", "probe", "/dev/there-is-none"]) == Exit.DEVICE
    assert "there is no such serial port" in capsys.readouterr().err
    assert main(["devices", "probe", "loop://", "--profile", "wasatch-wp-785"]) == Exit.DEVICE
    assert "Nobody answers on loop://" in capsys.readouterr().err


def test_sim_serves_until_it_is_stopped():
    command = [sys.executable, "-c", "from spectralid.cli import main; import sys; sys.exit(main())"]
    program = subprocess.Popen(
        [*command, "sim", "--protocol", "wasatch-uart", "--tcp"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = program.stdout.readline().strip()
        assert main(["devices", "probe", port, "--profile", "wasatch-wp-785"]) == 0
    finally:
        program.send_signal(signal.SIGTERM)
        program.communicate()


def test_sim_passes_on_what_is_wrong(capsys):
    assert main(["sim", "--substance", "unobtainium"]) == Exit.USAGE
    assert "unobtainium" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["sim", "--help"])
    assert caught.value.code == 0
    assert "--fault" in capsys.readouterr().out
