"""Drivers by protocol: the built-in ones, and the documented example installed as another package is."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spectralid.cli import main
from spectralid.devices import ScanPlan, Session, arm, load_profile, open_device, protocols
from spectralid.devices.laser import LaserRefusedError
from spectralid.devices.registry import BUILT_IN, opener
from spectralid.errors import DeviceError, FileError, ParameterError, ProtocolError
from tests.devices.lines import MemoryLine

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


class Acme:
    """The far end of the example's line."""

    def __init__(self):
        self.laser = True
        self.interlock = True
        self.integration = 100.0
        self.damage = False
        self._noise = np.random.default_rng(7)

    def __call__(self, data):
        return "".join(f"{self._answer(line)}\n" for line in data.decode().split("\n") if line).encode()

    def _answer(self, line):
        command, _, value = line.partition(" ")
        if command == "LAS":
            self.laser = value == "1"
            return "OK"
        if command == "IT":
            self.integration = float(value)
            return "OK"
        if command == "SPEC?":
            level = 200 + 30 * self.integration * np.exp(-(((np.arange(256) - 90) / 4) ** 2)) * self.laser
            counts = self._noise.poisson(level)
            return " ".join(map(str, [(counts.sum() + self.damage) % 65536, *counts]))
        return {
            "ID?": "ACME-17",
            "WL?": "800.0 0.5",
            "IT?": f"{self.integration:g}",
            "LAS?": str(int(self.laser)),
            "LOCK?": str(int(self.interlock)),
        }.get(command, "NO")


def install(folder, entry, name="acme-raman-driver"):
    """What pip leaves behind of a package with a driver."""
    info = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[spectralid.drivers]\n{entry}\n")


@pytest.fixture
def installed(tmp_path, monkeypatch):
    shutil.copy(EXAMPLES / "acme_raman.py", tmp_path)
    install(tmp_path, "acme = acme_raman:open_acme")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield load_profile(str(EXAMPLES / "acme-raman.toml"))
    sys.modules.pop("acme_raman", None)


def opened(profile, acme):

    return Session(lambda: open_device(MemoryLine(acme), profile))


@pytest.mark.parametrize("protocol", BUILT_IN)
def test_built_in_drivers_load(protocol):
    assert callable(opener(protocol))


def test_unknown_protocol():
    with pytest.raises(ParameterError, match="tcd1304-er"):
        opener("smoke")


def test_nothing_is_imported_before_it_is_needed():

    program = (
        "import sys, spectralid.devices as d; d.protocols(); d.bundled_profiles()\n"
        "print([m for m in sys.modules if m.startswith('spectralid.devices.ocean') or '.sim' in m])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_profile_of_an_unknown_protocol_is_refused_until_its_driver_is_installed():
    with pytest.raises(FileError, match="'acme'"):
        load_profile(str(EXAMPLES / "acme-raman.toml"))


def test_example_driver_scans(installed):
    acme = Acme()
    with opened(installed, acme) as session:
        spectrum = session.scan(
            ScanPlan(integration_ms=200.0, averages=8, warning_s=0, warm_up_s=0), token=arm("Kim")
        )
    assert not acme.laser
    facts = spectrum.acquisition
    assert (facts.serial, facts.metadata["protocol"], facts.metadata["interlock"]) == (
        "ACME-17",
        "acme",
        "closed",
    )
    assert facts.flags == {"checksum_verified", "integration_unverified", "uncalibrated_axis"}
    strongest = spectrum.axis[np.argmax(spectrum.intensity)]
    assert strongest == pytest.approx(1e7 / 785 - 1e7 / (800 + 0.5 * 90), abs=15)


def test_example_driver_heeds_interlock_and_sum(installed):
    acme = Acme()
    plan = ScanPlan(integration_ms=50.0, averages=2, warning_s=0, warm_up_s=0)
    with opened(installed, acme) as session:
        acme.interlock = False
        with pytest.raises(LaserRefusedError, match="open"):
            session.scan(plan, token=arm("Kim"))
        acme.interlock, acme.damage = True, True
        with pytest.raises(ProtocolError, match="damaged"):
            session.scan(plan, token=arm("Kim"))
    assert not acme.laser


def test_example_is_listed(installed, capsys):
    assert protocols() == (*BUILT_IN, "acme")
    main(["devices", "list"])
    assert "another package" in capsys.readouterr().out
    assert main(["devices", "info", str(EXAMPLES / "acme-raman.toml")]) == 0
    assert "known once it is open" in capsys.readouterr().out


def test_built_in_driver_cannot_be_replaced(tmp_path, monkeypatch):
    install(tmp_path, "obp = os:getcwd")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert opener("obp").__module__ == "spectralid.devices.ocean"
    assert protocols() == tuple(BUILT_IN)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("broken = no_such_module:open", "does not load: ModuleNotFoundError"),
        ("broken = os:no_such_name", "does not load: AttributeError"),
        ("broken = os:name", "is no function"),
    ],
)
def test_broken_driver_of_another_package_is_one_sentence(tmp_path, monkeypatch, entry, said):
    install(tmp_path, entry)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DeviceError, match=said):
        opener("broken")
