"""What reads bytes from outside: for each, what it may raise, sound inputs to begin from, and its words.

Seeds are made by the builders of the tests; where the real collections are, files of theirs are added. A
reader of signed things is given bytes as if the signature held: what is behind it must stand damage too.
"""

from __future__ import annotations

import gzip
import importlib
import json
import struct
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from spectralid import _bundled
from spectralid.errors import SpectralIDError
from tests.real_data import FOLDER

LARGEST_SEED = 8 * 1024


@dataclass(frozen=True)
class Target:
    """A reader of bytes from outside.

    Attributes
    ----------
    name : str
        How it is called.
    run : callable
        Reads bytes; raises nothing but errors of the family.
    made : callable
        Gives sound inputs.
    real : tuple of str
        Patterns of files in the real collections.
    tokens : tuple of bytes
        Words of the format.
    weight : float
        Share of the inputs, against the others.
    """

    name: str
    run: Callable[[bytes], object]
    made: Callable[[], Sequence[bytes]]
    real: tuple[str, ...] = ()
    tokens: tuple[bytes, ...] = ()
    weight: float = field(default=1.0)

    def seeds(self, most: int = 60) -> list[bytes]:
        """Sound inputs; with files of the real collections where these are."""
        files = sorted({p for pattern in self.real for p in FOLDER.rglob(pattern) if p.is_file()})
        small = [p for p in files if p.stat().st_size <= LARGEST_SEED]
        few = small or sorted(files, key=lambda path: path.stat().st_size)[:2]
        return [*self.made(), *(p.read_bytes() for p in few[:: max(1, len(few) // most)])]

    def try_one(self, data: bytes) -> bool:
        """Whether the bytes were taken; whatever is not an error of the family comes through."""
        try:
            self.run(data)
        except SpectralIDError:
            return False
        return True


def _format(name: str) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        from spectralid.io._registry import ReadOptions, Source
        from spectralid.spectrum import InvalidSpectrumError, Technique

        known = importlib.import_module(f"spectralid.io.{name}").FORMAT
        head = Source("file", data[: 64 * 1024])
        assert 0 <= known.sniff(head) <= 1
        spectra = []
        for options in (ReadOptions(), ReadOptions(Technique.RAMAN, 785.0)):
            try:
                spectra += known.read(Source("file", data), options)
            except InvalidSpectrumError:
                continue  # read_all makes it a FileError
        assert all(len(s.axis) == len(s.intensity) for s in spectra)
        return spectra

    return run


def _any_file(data: bytes) -> object:
    from spectralid.io import read_all

    return read_all(BytesIO(data), technique="raman", laser_nm=785.0, name="file")


def _by_path(function: str, suffix: str) -> Callable[[bytes], object]:
    module, name = function.split(":")

    def run(data: bytes) -> object:
        reader = getattr(importlib.import_module(module), name)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, f"input{suffix}")
            path.write_bytes(data)
            return reader(path if name != "load_profile" else str(path))

    return run


def _builder(module: str, make: Callable[..., Sequence[bytes]]) -> Callable[[], Sequence[bytes]]:
    return lambda: make(importlib.import_module(f"tests.{module}"))


def _written(suffix: str) -> Callable[[], Sequence[bytes]]:
    def made() -> Sequence[bytes]:
        import numpy as np

        from spectralid import Spectrum, write

        axis = np.arange(400.0, 464.0, 2.0)
        plain = Spectrum(axis, np.sin(axis) + 2, technique="raman", name="µ scan")
        missing = plain.replace(intensity=np.where(axis > 450, np.nan, 1.0), sd=np.ones(axis.size))
        with tempfile.TemporaryDirectory() as folder:
            out = []
            for n, spectrum in enumerate((plain, missing)):
                path = Path(folder, f"{n}{suffix}")
                write(spectrum, path)
                out.append(path.read_bytes())
            return out

    return made


def _bundled_files(kind: str, pattern: str) -> Callable[[], Sequence[bytes]]:
    return lambda: [p.read_bytes()[:LARGEST_SEED] for p in sorted(_bundled.path(kind).glob(pattern))]


def _lines(path: Path, number: int) -> bytes:
    return b"".join(path.read_bytes().splitlines(keepends=True)[:number])


def _module_files(module: str, pattern: str) -> Callable[[], Sequence[bytes]]:
    def made() -> Sequence[bytes]:
        folder = Path(importlib.import_module(module).__file__ or "").parent
        return [p.read_bytes() for p in sorted(folder.glob(pattern))]

    return made


# ---- the record --------------------------------------------------------------------------------------------


def _packets() -> Sequence[bytes]:
    from tests.casework import record

    with tempfile.TemporaryDirectory() as folder, record.opened(Path(folder)) as store:
        record.with_item(store).capture(record.scan())
        return [bytes(raw) for (raw,) in store.read("SELECT raw FROM packets ORDER BY seq")]


def _packet(data: bytes) -> object:
    from spectralid.casework.packet import open_packet

    return open_packet(data, None)


def _manifests() -> Sequence[bytes]:
    from spectralid.casework.manifest import dumps
    from spectralid.casework.packet import open_packet

    return [dumps(open_packet(raw, None).manifest) for raw in _packets()]


def _manifest(data: bytes) -> object:
    from spectralid.casework.manifest import check, loads

    check(loads(data))
    return None


def _messages() -> Sequence[bytes]:
    module = importlib.import_module("tests.casework.test_messages")
    return [json.dumps(body).encode() for body in (module.RECEIPT_BODY, module.ANSWER_BODY)]


def _message(data: bytes) -> object:
    """Behind a signature that holds."""
    from spectralid.casework import messages
    from tests.casework.test_messages import KEY, TRUST

    out = []
    for kind in ("receipt", "answer", "time", "missing", "ipv-receipt"):
        raw = KEY.envelope(f"application/vnd.spectralid.{kind}+json", data)
        try:
            out.append(messages.parse(raw, TRUST))
        except SpectralIDError:
            continue
    return out


def _envelope(data: bytes) -> object:
    from spectralid.casework import messages
    from tests.casework.test_messages import TRUST

    return messages.parse(data, TRUST)


def _envelopes() -> Sequence[bytes]:
    from tests.casework.test_messages import KEY

    return [KEY.envelope("application/vnd.spectralid.receipt+json", body) for body in _messages()]


def _policy(data: bytes) -> object:
    from spectralid.verdict.policy_file import read_policy

    return read_policy(data, "policy.toml")


def _calibration(data: bytes) -> object:
    """Behind its checksum."""
    from spectralid.calibration import AxisCalibration

    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return AxisCalibration.from_dict(content) if isinstance(content, dict) else None


def _laboratory(data: bytes) -> object:
    from spectralid.reachback.lab.results_csv import read

    return read(data)


# ---- instruments -------------------------------------------------------------------------------------------


def _stream(function: str) -> Callable[[bytes], object]:
    """A decoder that is fed in pieces; their lengths come from the bytes themselves."""

    def run(data: bytes) -> object:
        decoders = getattr(importlib.import_module("tests.fuzz.decoders"), function)()
        out: list[object] = []
        for decoder in decoders:
            at = 0
            while at < len(data):
                size = 1 + data[at] % 64
                found = decoder.feed(data[at : at + size])
                assert getattr(decoder, "wanted", 1) >= 1
                out += found if isinstance(found, list) else [found]
                at += size
            out.append(decoder.flush())
        return out

    return run


def _version(data: bytes) -> object:
    from spectralid.devices.codec.ocean_legacy import read_version

    return read_version(data)


def _tcd1304(data: bytes) -> object:
    from spectralid.devices.codec.tcd1304 import decode

    return decode(data)


def _eeprom(data: bytes) -> object:
    from spectralid.devices.codec.wasatch_eeprom import parse_eeprom

    return parse_eeprom({n: data[64 * n : 64 * n + 64] for n in range(8)})


def _page(data: bytes) -> object:
    from spectralid.devices.opus_rs import parse_page

    return parse_page(data.decode("utf-8", "replace"))


def _image(data: bytes) -> object:
    from spectralid.devices.codec.wasatch import decode_image

    return [decode_image(data, order) for order in ("big", "little")]


def _zip() -> Sequence[bytes]:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/one.jdx", "##TITLE=x\n" * 30)
        archive.writestr("two.txt", "1 2\n3 4\n")
    return [buffer.getvalue()]


def _unpack(data: bytes) -> object:
    from spectralid.library.unpack import UnpackLimits, unpack

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zip")
        path.write_bytes(data)
        target = Path(folder, "out")
        found = unpack(path, target, limits=UnpackLimits(total_bytes=2**20))
        assert not [p for p in Path(folder).iterdir() if p not in (path, target)]
        return found


_LABORATORY_LINES = (
    "Lab,S-1,R-1,CONFIRMED,GC-MS + FTIR,Fentanyl|lactose,4.2|,0.3|,C-1,77",
    '"two\nlines",S-4,R-4,refuted,GC-MS,fentanyl,12,1,,',
)

_LABELS = ["TITLE", "END", "NPOINTS", "FIRSTX", "LASTX", "DELTAX", "XFACTOR", "YFACTOR", "XYDATA", "BLOCKS"]
_FORMS = ["(X++(Y..Y))", "(XY..XY)", "LINK", "NTUPLES", "1/CM", "NANOMETERS", "$$", "@", "%", "s9", "?"]
_JCAMP = tuple(word.encode() for word in (*(f"##{label}=" for label in _LABELS), *_FORMS))
_TOML = (b"=", b"[", b"]", b"[[", b'"', b"'''", b"\n", b"true", b"1979-05-27T07:32:00Z", b"{", b"}", b",")
_JSON = (b"{", b"}", b"[", b"]", b'"', b":", b",", b"null", b"true", b"1e400", b"\\u0000", b"\\ud800", b"-")

TARGETS: tuple[Target, ...] = (
    Target(
        "jcamp-dx",
        _format("jcamp"),
        _builder("io.test_jcamp_fuzz", lambda m: [t.encode("latin-1", "replace") for t in m.FILES]),
        ("*.jdx", "*.JDX", "*.dx", "*.DX", "*.JCM"),
        _JCAMP,
        2.0,
    ),
    Target(
        "text",
        _format("text"),
        _written(".csv"),
        ("*.txt", "*.csv", "*.prn", "*.dat", "*.json"),
        (
            b",",
            b";",
            b"\t",
            b"\n",
            b"\r\n",
            b"#",
            b"cm-1",
            b"nm",
            b"Wavelength",
            b"Raman",
            b"\xff\xfe",
            b"\xb5",
        ),
    ),
    Target(
        "spc",
        _format("spc"),
        _builder("io.test_spc", lambda m: list(m.variants().values())),
        ("*.spc", "*.SPC"),
        (b"\x4b", b"\x4c", b"\x4d"),
    ),
    Target(
        "spa",
        _format("spa"),
        _builder("io.test_spa", lambda m: [m.simple()]),
        ("*.spa", "*.SPA"),
        (b"Spectral",),
    ),
    Target(
        "opus",
        _format("opus"),
        _builder("io.test_opus", lambda m: [m.GOOD]),
        ("*.0",),
        (b"END", b"DPF", b"NPT", b"FXV", b"LXV"),
        0.3,
    ),
    Target(
        "wdf",
        _format("wdf"),
        _builder("io.test_wdf", lambda m: [m.wdf(m.np.array([4.0, 3.0, 2.0, 1.0]))]),
        ("*.wdf",),
        (b"WDF1", b"DATA", b"XLST", b"YLST", b"WMAP"),
        0.3,
    ),
    Target(
        "perkinelmer",
        _format("perkinelmer"),
        _builder("io.test_perkinelmer", lambda m: [m.made()]),
        ("*.sp",),
        (b"PEPE",),
    ),
    Target(
        "foreign",
        _format("foreign"),
        _builder(
            "io.test_foreign", lambda m: [v if isinstance(v, bytes) else v[0] for v in m.KNOWN.values()]
        ),
        (),
        (b"PK\x03\x04", b"\x1f\x8b", b"<?xml"),
    ),
    Target(
        "any file", _any_file, _written(".jdx"), ("*.txt", "*.spc", "*.jdx", "*.spa", "*.xlsx"), _JCAMP[:4]
    ),
    Target("packet", _packet, _packets, (), (b'"blobs"', b'"sha256"', b'"bytes"', *_JSON)),
    Target("packet manifest", _manifest, _manifests, (), _JSON, 2.0),
    Target("server message", _message, _messages, (), _JSON, 0.5),
    Target("envelope", _envelope, _envelopes, (), (b'"payload"', b'"signatures"', b"==", *_JSON), 0.5),
    Target("policy", _policy, _module_files("spectralid.verdict", "policy.toml"), (), _TOML, 0.3),
    Target(
        "device profile",
        _by_path("spectralid.devices.profile:load_profile", ".toml"),
        _bundled_files("devices", "*.toml"),
        (),
        _TOML,
        0.5,
    ),
    Target(
        "calibration record",
        _calibration,
        _builder("calibration.test_axis", lambda m: [json.dumps(m.instrument(1.0).to_dict()).encode()]),
        (),
        _JSON,
    ),
    Target(
        "band table",
        _by_path("spectralid.library.bands:read_bands", ".csv"),
        lambda: [
            _lines(_bundled.path("libraries", "bands", f"{name}_bands.csv"), 40)
            for name in ("wasatch", "collection")
        ],
        (),
        (b",", b"\n", b'"'),
    ),
    Target(
        "compound table",
        _by_path("spectralid.library.compounds:read_compounds", ".csv"),
        lambda: [_lines(_bundled.path("libraries", "compounds.csv"), 20)],
        (),
        (b",", b"\n", b'"'),
    ),
    Target(
        "R data",
        _by_path("spectralid.library.rds:read_rds", ".rds"),
        _builder(
            "library.test_rds", lambda m: [pack(m.r_data.rds(m.LIBRARY)) for pack in (bytes, gzip.compress)]
        ),
        ("*.rds",),
        (struct.pack(">i", 254), b"X\n"),
        0.5,
    ),
    Target("zip archive", _unpack, _zip, ("*.zip",), (b"PK\x01\x02", b"PK\x05\x06", b"../", b"/etc/"), 0.5),
    Target(
        "study manifest",
        _by_path("spectralid.qa.manifest:read_manifest", ".csv"),
        lambda: [
            b"file,truth,target,level,device,group_of_samples\na.jdx,caffeine;lactose,caffeine,0.07,A,1\nb.jdx,none,,,,\n"
        ],
        (),
        (b",", b";", b"\n", b'"'),
    ),
    Target(
        "laboratory results",
        _laboratory,
        _builder(
            "reachback.test_laboratory_csv", lambda m: [m.table(line).encode() for line in _LABORATORY_LINES]
        ),
        (),
        (b",", b";", b"\n", b'"', b"\t"),
    ),
    Target(
        "OBP",
        _stream("obp"),
        _builder("devices.test_obp_codec", lambda m: [m.GET_SPECTRUM, m.SET_INTEGRATION]),
        (),
        (b"\xc1\xc0", b"\xc5\xc4\xc3\xc2", bytes(16)),
        2.0,
    ),
    Target(
        "Wasatch UART",
        _stream("wasatch"),
        _builder("devices.test_wasatch_codec", lambda m: [bytes.fromhex(g) for g in m.GOLDEN]),
        (),
        (b"<", b">"),
    ),
    Target(
        "Ocean legacy",
        _stream("ocean_legacy"),
        _builder(
            "devices.test_ocean_legacy_codec",
            lambda m: [
                m.COMPRESSED_BYTES,
                b"\x06\x01\x02",
                m.flame(m.words(*m.PLAIN_PIXELS), m.PLAIN_CHECKSUM, 10),
            ],
        ),
        (),
        (b"\x02", b"\x06", b"\x15", b"\xff\xff", b"\xff\xfd", b"\x80"),
        2.0,
    ),
    Target("Ocean legacy version", _version, lambda: [b"\x06\x03\xe8", b"v\x061000\r\n"], (), (), 0.3),
    Target("TCD1304", _tcd1304, _builder("devices.test_tcd1304", lambda m: [m.GOOD])),
    Target(
        "Wasatch EEPROM",
        _eeprom,
        _builder(
            "devices.test_wasatch_eeprom",
            lambda m: [b"".join(bytes(p) for _, p in sorted(m.pages().items()))],
        ),
    ),
    Target("Wasatch image", _image, lambda: [bytes(range(256)) * 8], (), (), 0.3),
    Target(
        "OPUS-RS page",
        _page,
        _builder("devices.test_opus_rs", lambda m: [m.PLAIN.encode(), m.REFUSED.encode()]),
        (),
        (b"<td", b"</td>", b"id=", b"<![", b"<!--", b"&#"),
    ),
)
