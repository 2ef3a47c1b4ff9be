"""Verified before use: hash, signature, schema, engine, for every kind of file that steers a result."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spectralid import __version__, _bundled
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.identify.confidence_record import load_record
from spectralid.keys import generate_key
from spectralid.library import open_library
from spectralid.library.installed import FILES, Installed, activate, open_installed
from spectralid.library.signing import SignatureError, beside
from spectralid.library.verify import verify_library
from spectralid.tablet.instrument import InstrumentDesk
from spectralid.tablet.unit import FieldUnit
from spectralid.verdict import PolicyKeeper, default_policy
from spectralid.vouching import NotVouchedError, TrustedKeys, engine_problem, sign_file, version_numbers
from tests.library.builders import build_small
from tests.security.kinds import KINDS, Kind

FLIPS = 40
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """``ours`` and ``theirs``, and ``trusted`` with the public key of ours."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ours", "theirs"):
        generate_key(folder / name)
    (folder / "trusted").mkdir()
    shutil.copy(folder / "ours.pub", folder / "trusted")
    return folder


@pytest.fixture
def trusted(keys) -> TrustedKeys:
    return TrustedKeys.of(keys / "trusted")


NOBODY = TrustedKeys()


def refused(kind: Kind, path: Path, trusted: TrustedKeys, why: str) -> None:
    with pytest.raises(kind.error, match=why) as caught:
        kind.take(path, trusted)
    said = str(caught.value)
    assert path.name in said
    assert said.endswith((".", ")"))
    assert "Traceback" not in said


@every_kind
def test_a_good_one_is_taken_with_its_signature_and_without_where_no_key_is_trusted(
    kind, tmp_path, keys, trusted
):
    path = tmp_path / kind.name
    kind.make(path)
    plain = kind.take(path, NOBODY)
    kind.sign(path, keys / "ours")
    assert kind.take(path, trusted) == kind.take(path, NOBODY) == plain


@every_kind
def test_where_a_key_is_trusted_what_is_not_signed_is_refused(kind, tmp_path, trusted):
    path = tmp_path / kind.name
    kind.make(path)
    refused(kind, path, trusted, "it is not signed, and keys are trusted here")


@every_kind
def test_signed_by_a_stranger(kind, tmp_path, keys, trusted):
    path = tmp_path / kind.name
    kind.make(path)
    kind.sign(path, keys / "theirs")
    refused(kind, path, trusted, "which is not trusted here")
    # Who claims to be the trusted key is found out, too.
    signature = beside(path) if beside(path).exists() else path
    id = next(iter(trusted.keys))
    stranger = next(iter(TrustedKeys.of(keys).keys.keys() - {id}))
    signature.write_text(signature.read_text(encoding="utf-8").replace(stranger, id), encoding="utf-8")
    refused(kind, path, trusted, "its signature does not hold")


@every_kind
def test_one_bit_flipped_in_what_is_signed(kind, tmp_path, keys, trusted):
    """Refused, or where the bit is in nothing that is used (HDF5's spare bytes, layout of JSON), the same."""
    path = tmp_path / kind.name
    kind.make(path)
    kind.sign(path, keys / "ours")
    good, said = path.read_bytes(), kind.take(path, trusted)
    wrong = 0
    for bit in np.random.default_rng(7).integers(0, 8 * len(good), FLIPS).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            assert kind.take(path, trusted) == said, bit
        except (kind.error, SignatureError):
            wrong += 1
    assert wrong >= (FLIPS // 4 if kind.name == "library.h5" else FLIPS - 2)


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if not k.name.endswith("toml")], ids=lambda kind: kind.name
)
def test_one_bit_flipped_where_nobody_signed(kind, tmp_path):
    """What has a SHA-256 of its own needs no signature for that."""
    path = tmp_path / kind.name
    kind.make(path)
    good, said = path.read_bytes(), kind.take(path, NOBODY)
    for bit in np.random.default_rng(8).integers(0, 8 * len(good), FLIPS).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            assert kind.take(path, NOBODY) == said, bit
        except kind.error:
            continue


@every_kind
def test_a_later_major_schema_is_refused_in_one_sentence(kind, tmp_path):
    path = tmp_path / kind.name
    kind.make(path, schema=kind.newer)
    refused(kind, path, NOBODY, "newer than|this spectralid reads|must be '|is read here|its schema is")
    with pytest.raises(kind.error) as caught:
        kind.take(path, NOBODY)
    assert "\n" not in str(caught.value)


@every_kind
def test_what_needs_a_newer_program_is_refused_and_what_needs_an_older_one_is_taken(kind, tmp_path):
    path = tmp_path / kind.name
    kind.make(path, needs="99.1")
    refused(kind, path, NOBODY, f"it needs spectralid 99.1, and this is {__version__}; update the program")
    path.unlink()
    kind.make(path, needs="0.0.1")
    kind.take(path, NOBODY)
    path.unlink()
    kind.make(path, needs="soon")
    refused(kind, path, NOBODY, "no version of spectralid")


@every_kind
def test_an_older_schema_is_taken(kind, tmp_path):
    path = tmp_path / kind.name
    kind.make(path, schema=kind.older or "")
    kind.take(path, NOBODY)


@pytest.mark.parametrize(
    ("needs", "engine", "may"),
    [
        ("1", "1", True), ("1.0", "1", True), ("1", "1.0.0", True), ("1.2", "1.10", True),
        ("1.10", "1.2", False), ("1.2.1", "1.2", False), ("2", "10.0.dev1", True), ("0.9", "0.9.dev3", True),
        ("x", "1", False), ("", "1", False), (3, "4", False), ("٣", "4", False), (None, "0", True),
    ],
)  # fmt: skip
def test_versions_are_compared_as_numbers(needs, engine, may):
    assert (engine_problem(needs, engine=engine) == "") is may
    assert version_numbers("1.2.dev3") == (1, 2)


# --- signatures beside files -------------------------------------------------------------------------------


def test_a_signature_is_of_one_kind_and_one_file(tmp_path, keys, trusted):
    policy, profile = (k for k in KINDS if k.name.endswith(".toml"))
    path = tmp_path / "file.toml"
    policy.make(path)
    sign_file("profile", path, keys / "ours")
    refused(policy, path, trusted, "its signature is that of another file")
    other = tmp_path / "other.toml"
    profile.make(other)
    shutil.copy(beside(path), beside(other))
    refused(profile, other, trusted, "its signature is that of another file")
    with pytest.raises(ParameterError, match="one of policy"):
        sign_file("library", path, keys / "ours")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": 2}, "of a form that is not known"),
        ({"algorithm": "none"}, "of a form that is not known"),
        ({"format": "x"}, "of a form that is not known"),
        ({"signature": ""}, "does not hold"),
        ({"signature": "%"}, "cannot be read"),
        ({"sha256": ["a"]}, "does not hold"),
        ({"key_id": None}, "not trusted"),
        ({"key_id": {"a": 1}}, "not trusted"),
        (None, "cannot be read"),
    ],
)
def test_signatures_that_are_none(tmp_path, keys, trusted, change, why):
    kind = next(k for k in KINDS if k.name == "policy.toml")
    path = tmp_path / kind.name
    kind.make(path)
    file = sign_file("policy", path, keys / "ours")
    said = json.loads(file.read_text())
    file.write_text("[" * 50_000 if change is None else json.dumps(said | change))
    refused(kind, path, trusted, why)
    file.write_bytes(b" " * 100_000)
    with pytest.raises(UnreadableFileError, match="too large"):
        kind.take(path, trusted)


def test_a_damaged_key_does_not_end_the_need_for_signatures(keys, tmp_path):
    shutil.copytree(keys / "trusted", tmp_path / "trusted")
    (tmp_path / "trusted" / "ours.pub").write_text("damaged")
    with pytest.raises(UnreadableFileError, match="no Ed25519 public key"):
        TrustedKeys.of(tmp_path / "trusted")


# --- what was in force stays in force ----------------------------------------------------------------------


def test_a_refused_policy_leaves_the_one_in_force(tmp_path, keys, trusted):
    kind = next(k for k in KINDS if k.name == "policy.toml")
    first, store = tmp_path / "first.toml", tmp_path / "store"
    kind.make(first)
    kind.sign(first, keys / "ours")
    keeper = PolicyKeeper(store, trusted=trusted)
    before = keeper.install(first)
    assert before != default_policy()
    held = {p.name: p.read_bytes() for p in store.iterdir()}
    for number, wanted in enumerate(("unsigned", "stranger", "schema", "needs", "flipped")):
        path = tmp_path / f"{number}.toml"
        kind.make(
            path, schema=kind.newer if wanted == "schema" else "", needs="99" if wanted == "needs" else ""
        )
        if wanted != "unsigned":
            kind.sign(path, keys / ("theirs" if wanted == "stranger" else "ours"))
        if wanted == "flipped":
            path.write_bytes(path.read_bytes().replace(b"margin = 0.05", b"margin = 0.04"))
        with pytest.raises(kind.error):
            keeper.install(path)
        assert keeper.current == PolicyKeeper(store, trusted=trusted).current == before
        assert {p.name: p.read_bytes() for p in store.iterdir()} == held


def test_a_policy_put_there_by_hand_is_not_used(tmp_path, keys, trusted):
    """Whoever can write into the folder, and has no key, gets the bundled policy, and it is said."""
    kind = next(k for k in KINDS if k.name == "policy.toml")
    path, store = tmp_path / "ours.toml", tmp_path / "store"
    kind.make(path)
    kind.sign(path, keys / "ours")
    PolicyKeeper(store, trusted=trusted).install(path)
    forged = path.read_bytes().replace(b"margin = 0.05", b"margin = 0.01")
    digest = hashlib.sha256(forged).hexdigest()
    (store / f"policy-{digest}.toml").write_bytes(forged)
    (store / "current").write_text(f"{digest}\n")
    found = PolicyKeeper(store, trusted=trusted).current
    assert found == default_policy()
    assert "it is not signed" in found.damaged
    assert PolicyKeeper(store).current.margin == 0.01  # without trusted keys there is nothing to go by


def test_every_flipped_bit_of_the_policy_in_force_is_noticed(tmp_path):
    kind = next(k for k in KINDS if k.name == "policy.toml")
    path, store = tmp_path / "ours.toml", tmp_path / "store"
    kind.make(path)
    PolicyKeeper(store).install(path)
    kept = next(store.glob("policy-*.toml"))
    good = kept.read_bytes()
    for bit in np.random.default_rng(9).integers(0, 8 * len(good), 200).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        kept.write_bytes(bad)
        found = PolicyKeeper(store).current
        assert found == default_policy()
        assert "not what was installed" in found.damaged


def test_a_refused_profile_leaves_the_instrument_connected(tmp_path, trusted, monkeypatch):
    kind = next(k for k in KINDS if k.name == "profile.toml")
    kind.make(tmp_path / kind.name)
    desk = InstrumentDesk(lambda *_: None, trusted=trusted)
    ended = []
    monkeypatch.setattr(desk, "disconnect", lambda: ended.append(1))
    with pytest.raises(NotVouchedError):
        desk.connect("/dev/null", str(tmp_path / kind.name))
    assert not ended


def test_a_tablet_does_not_begin_with_a_library_nobody_trusted_signed(tmp_path, keys, trusted):
    build_small(tmp_path / "own.h5", raman=1, infrared=0)
    with pytest.raises(SignatureError, match="it is not signed"):
        FieldUnit.open(tmp_path / "tablet", library=tmp_path / "own.h5", trusted=trusted)
    assert not (tmp_path / "tablet").exists()
    KINDS[0].sign(tmp_path / "own.h5", keys / "ours")
    with FieldUnit.open(tmp_path / "tablet", library=tmp_path / "own.h5", trusted=trusted) as unit:
        assert unit.library.vouched_by == f"key {next(iter(trusted.keys))}"
    with FieldUnit.open(tmp_path / "tablet", library=tmp_path / "own.h5") as unit:
        assert unit.library.vouched_by == ""  # allowed, and every packet says so
    with FieldUnit.open(tmp_path / "tablet", trusted=trusted) as unit:
        assert unit.library.vouched_by == "bundled"


def test_a_damaged_installed_library_gives_way_to_the_one_before(tmp_path):
    (tmp_path / FILES).mkdir()
    for number in (1, 2):
        file = tmp_path / FILES / f"{number}.h5"
        sha256 = build_small(file, raman=number, infrared=0)
        fields = dict.fromkeys(("made_utc", "installed_utc", "expires_utc"), "")
        activate(
            tmp_path,
            Installed(
                number=number, name="small", version="3", sha256=sha256, file=file.name,
                file_sha256="", signers=(), **fields,
            ),
        )  # fmt: skip
    assert open_installed(tmp_path).vouched_by == "release 2"
    data = bytearray(file.read_bytes())
    place = open_library(file)._places["/grids/raman/matrix"].offset
    data[place + 9] ^= 4
    file.write_bytes(data)
    assert open_installed(tmp_path).vouched_by == "release 1"


# --- what else steers a result -----------------------------------------------------------------------------


def test_the_confidence_record_has_its_schema_and_its_hash(tmp_path):
    path = tmp_path / "confidence.json"
    good = _bundled.path("libraries", "confidence.json").read_bytes()
    path.write_bytes(good)
    said = load_record(path)
    for bit in np.random.default_rng(10).integers(0, 8 * len(good), 15).tolist():
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bad)
        try:
            assert load_record(path) == said, bit
        except UnreadableFileError:
            continue
    path.write_bytes(good.replace(b"spectralid.confidence/1", b"spectralid.confidence/2"))
    with pytest.raises(UnreadableFileError, match="this spectralid reads"):
        load_record(path)


def test_the_bundled_files_are_those_of_their_manifest():
    """The library and what describes it: any other file of the package is compared by whoever installs it."""
    manifest = json.loads(_bundled.path("libraries", "MANIFEST.json").read_text(encoding="utf-8"))
    file = _bundled.path("libraries", manifest["library"])
    assert hashlib.sha256(file.read_bytes()).hexdigest() == manifest["file_sha256"]
    assert open_library().sha256 == manifest["content_sha256"]
    assert verify_library("spectralid") == ()
