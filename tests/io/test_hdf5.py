"""HDF5: the exact round trip of both layouts, CHADA, NeXus of others, and files that would lead elsewhere."""

from __future__ import annotations

import base64
import contextlib
import io
import zlib
from collections.abc import Callable, Sequence

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spectralid.errors import InputError, UnreadableFileError, UnsupportedContentError
from spectralid.io import ReadOptions, Source, hdf5, nexus
from spectralid.io._registry import Format
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum, Technique
from tests.io.strategies import assert_same, spectra

RAMAN = Spectrum(
    axis=[100.0, 200.5, 300.25],
    intensity=[1.0, np.nan, 3.0],
    technique=Technique.RAMAN,
    unit=IntensityUnit.COUNTS,
    acquisition=Acquisition(
        instrument="WP-785", serial="7", laser_nm=785.0, power_mw=50.0, integration_ms=250.0,
        resolution_cm1=8.0, time="2026-04-06T12:11:30", operator="somebody",
    ),
    name="aspirin",
)  # fmt: skip


def write(format: Format, items: Sequence[Spectrum]) -> bytes:
    assert format.write is not None
    return format.write(items)


def read(data: bytes, **options: float) -> list[Spectrum]:
    return hdf5.FORMAT.read(Source("name.h5", data), ReadOptions(**options))  # type: ignore[arg-type]


def made(fill: Callable[[h5py.File], object]) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        fill(file)
    return buffer.getvalue()


def changed(data: bytes, change: Callable[[h5py.File], object]) -> bytes:
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "a") as file:
        change(file)
    return buffer.getvalue()


# --- round trips


@pytest.mark.parametrize("format", [hdf5.FORMAT, nexus.FORMAT], ids=lambda f: f.name)
@settings(max_examples=30, deadline=None)
@given(st.lists(spectra(), min_size=1, max_size=3))
def test_round_trip_keeps_identity_facts_and_history(format: Format, items: list[Spectrum]) -> None:
    for found, wanted in zip(read(write(format, items)), items, strict=True):
        assert_same(found, wanted)


def test_more_than_ten_spectra_keep_their_order() -> None:
    items = [RAMAN.replace(name=str(i)) for i in range(12)]
    for format in (hdf5.FORMAT, nexus.FORMAT):
        assert [s.name for s in read(write(format, items))] == [s.name for s in items]


def test_writing_twice_gives_the_same_bytes() -> None:
    for format in (hdf5.FORMAT, nexus.FORMAT):
        assert write(format, [RAMAN]) == write(format, [RAMAN])


def test_our_layout_is_plain_arrays() -> None:
    with h5py.File(io.BytesIO(write(hdf5.FORMAT, [RAMAN])), "r") as file:
        np.testing.assert_array_equal(file["spectra/0/axis"], RAMAN.axis)
        np.testing.assert_array_equal(file["spectra/0/intensity"], RAMAN.intensity)
        assert file["spectra/0"].attrs["name"] == "aspirin"


def test_nexus_follows_nxraman() -> None:
    with h5py.File(io.BytesIO(write(nexus.FORMAT, [RAMAN])), "r") as file:
        entry = file[file.attrs["default"]]
        assert entry.attrs["NX_class"] == "NXentry"
        assert entry["definition"].asstr()[()] == "NXraman"
        assert entry["experiment_type"].asstr()[()] == "Raman spectroscopy"
        beam = entry["instrument/beam_incident"]
        assert beam.attrs["NX_class"] == "NXbeam"
        assert (beam["wavelength"][()], beam["wavelength"].attrs["units"]) == (785.0, "nm")
        assert (beam["average_power"][()], beam["average_power"].attrs["units"]) == (50.0, "mW")
        assert entry["instrument/detector_spectrum/count_time"][()] == 0.25
        data = entry[entry.attrs["default"]]
        assert data.attrs["NX_class"] == "NXdata"
        np.testing.assert_array_equal(data[data.attrs["signal"]], RAMAN.intensity)
        np.testing.assert_array_equal(data[data.attrs["axes"]], RAMAN.axis)
        assert data[data.attrs["axes"]].attrs["units"] == "1/cm"


def test_infrared_goes_into_the_general_optical_definition() -> None:
    infrared = RAMAN.replace(technique=Technique.FTIR_TRANSMISSION)
    with h5py.File(io.BytesIO(write(nexus.FORMAT, [infrared])), "r") as file:
        assert file["entry/definition"].asstr()[()] == "NXoptical_spectroscopy"
        assert file["entry/experiment_type"].asstr()[()] == "transmission spectroscopy"


# --- files of others


def foreign_nexus(file: h5py.File, units: str = "1/cm", rows: int = 1) -> None:
    entry = file.create_group("entry")
    entry.attrs.update({"NX_class": "NXentry", "default": "data"})
    entry["definition"] = "NXraman"
    entry["title"] = "calcite"
    entry["instrument/beam_incident/wavelength"] = 532.0
    data = entry.create_group("data")
    data.attrs.update({"NX_class": "NXdata", "signal": "y_values", "axes": ["x_values_raman"]})
    data["x_values_raman"] = np.linspace(600, 560, 9)
    data["x_values_raman"].attrs["units"] = units
    data["y_values"] = np.arange(9.0 * rows).reshape((rows, 9)) if rows > 1 else np.arange(9)
    data["y_values"].attrs["units"] = "counts"


def test_nexus_of_others() -> None:
    (spectrum,) = read(made(foreign_nexus))
    np.testing.assert_array_equal(spectrum.axis, np.linspace(560, 600, 9))
    np.testing.assert_array_equal(spectrum.intensity, np.arange(9)[::-1])
    assert (spectrum.technique, spectrum.unit) == (Technique.RAMAN, IntensityUnit.COUNTS)
    assert (spectrum.name, spectrum.acquisition.laser_nm) == ("calcite", 532.0)


def test_nexus_of_others_in_wavelengths() -> None:
    (spectrum,) = read(made(lambda f: foreign_nexus(f, units="nm")))
    np.testing.assert_allclose(spectrum.axis, 1e7 / 532 - 1e7 / np.linspace(560, 600, 9))


def test_nexus_of_others_with_several_measurements() -> None:
    found = read(made(lambda f: foreign_nexus(f, rows=3)))
    assert [s.name for s in found] == ["calcite (1)", "calcite (2)", "calcite (3)"]
    assert found[2].intensity[-1] == 18.0


def test_nexus_can_be_asked_for_by_name() -> None:
    source = Source("a.nxs", write(nexus.FORMAT, [RAMAN]))
    assert nexus.FORMAT.read(source, ReadOptions()) == [RAMAN]


def test_nexus_without_data_is_refused() -> None:
    with pytest.raises(UnsupportedContentError, match="NeXus"):
        read(made(lambda f: f.create_group("entry").attrs.update({"NX_class": "NXentry"})))


def chada(file: h5py.File, label: str = "Raman shift [1/cm]", shape: tuple[int, ...] = (2, 6)) -> None:
    file["raw"] = (100 + 10 * np.arange(float(np.prod(shape)))).reshape(shape)
    file["raw"].attrs["DIMENSION_LABELS"] = np.array([label, "raw counts [1]"], dtype=h5py.string_dtype())
    file["raw"].attrs["laser wavelength"] = "['514.5']"
    file["raw"].attrs["no. of accumulations"] = "3"


def test_chada() -> None:
    (spectrum,) = read(made(chada))
    np.testing.assert_array_equal(spectrum.axis, 100 + 10 * np.arange(6))
    np.testing.assert_array_equal(spectrum.intensity, 160 + 10 * np.arange(6))
    assert (spectrum.technique, spectrum.unit) == (Technique.RAMAN, IntensityUnit.COUNTS)
    assert (spectrum.acquisition.laser_nm, spectrum.acquisition.averages) == (514.5, 3)


def test_chada_of_another_shape_is_refused() -> None:
    with pytest.raises(UnreadableFileError, match="axis and an ordinate"):
        read(made(lambda f: chada(f, shape=(3, 4))))


def test_hdf5_of_something_else_is_refused() -> None:
    with pytest.raises(UnsupportedContentError, match="no layout"):
        read(made(lambda f: f.create_dataset("compounds", data=[1, 2, 3])))


def test_a_newer_layout_says_so() -> None:
    data = changed(write(hdf5.FORMAT, [RAMAN]), lambda f: f.attrs.update({"version": 99}))
    with pytest.raises(UnreadableFileError, match="layout 99"):
        read(data)


# --- damage and traps


def _replace(path: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]
        if value is not None:
            file[path] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_replace("spectra/0/intensity", [1.0, 2.0, 9.0]), "identity"),
        (_replace("spectra/0/axis", [1.0, 2.0]), "differ in length"),
        (_replace("spectra/0/axis", None), "missing"),
        (_replace("spectra/0/intensity", "words"), "missing"),
        (_replace("spectra/0/facts", "{not json"), "damaged"),
        (_replace("spectra/0/facts", "[1]"), "damaged"),
        (_replace("spectra/0", None), "no spectrum"),
        (_replace("spectra", None), "no spectrum"),
        (_replace("spectra/0/axis", h5py.SoftLink("/spectra/0/intensity")), "link"),
        (_replace("spectra/0/axis", h5py.ExternalLink("/etc/hosts", "/")), "link"),
    ],
)
def test_a_changed_file_of_ours_is_refused(change: Callable[[h5py.File], object], words: str) -> None:
    with pytest.raises(UnreadableFileError, match=words):
        read(changed(write(hdf5.FORMAT, [RAMAN]), change))


def _huge(file: h5py.File) -> None:
    del file["spectra/0/axis"]
    # Nothing is stored, yet 8 TB are promised.
    file.create_dataset("spectra/0/axis", shape=(2**40,), dtype="f8", chunks=(1024,))


def _huge_chunk(file: h5py.File) -> None:
    del file["spectra/0/axis"]
    file.create_dataset("spectra/0/axis", shape=(3,), maxshape=(None,), dtype="f8", chunks=(2**26,))


def _external(file: h5py.File) -> None:
    del file["spectra/0/axis"]
    file.create_dataset("spectra/0/axis", shape=(3,), dtype="f8", external=[("/etc/passwd", 0, 24)])


def _virtual(file: h5py.File) -> None:
    del file["spectra/0/axis"]
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(3,))
    file.create_virtual_dataset("spectra/0/axis", layout)


def _foreign_filter(file: h5py.File) -> None:
    del file["spectra/0/axis"]
    file.create_dataset("spectra/0/axis", data=np.arange(3.0), chunks=(3,), compression="lzf")


@pytest.mark.parametrize(
    ("trap", "words"),
    [
        (_huge, "more than"),
        (_huge_chunk, "chunks"),
        (_external, "another file"),
        (_virtual, "another file"),
        (_foreign_filter, "filter"),
    ],
)
def test_arrays_that_are_traps_are_not_read(trap: Callable[[h5py.File], object], words: str) -> None:
    with pytest.raises(UnreadableFileError, match=words):
        read(changed(write(hdf5.FORMAT, [RAMAN]), trap))


def test_gzip_is_read() -> None:
    def compress(file: h5py.File) -> None:
        del file["spectra/0/axis"]
        file.create_dataset("spectra/0/axis", data=RAMAN.axis, compression="gzip", shuffle=True)

    assert read(changed(write(hdf5.FORMAT, [RAMAN]), compress)) == [RAMAN]


@pytest.mark.parametrize("keep", [8, 100, 1000, -100])
def test_a_truncated_file_is_refused(keep: int) -> None:
    with pytest.raises(UnreadableFileError, match="h5py cannot read"):
        read(write(hdf5.FORMAT, [RAMAN])[:keep])


def test_sniffing_by_content() -> None:
    data = write(nexus.FORMAT, [RAMAN])
    assert hdf5.FORMAT.sniff(Source("x", data)) == 1
    assert hdf5.FORMAT.sniff(Source("x.h5", b"400,1\n")) == 0
    assert nexus.FORMAT.sniff(Source("x.nxs", data)) == 0


GOOD = write(hdf5.FORMAT, [RAMAN])


# The same examples every time: HDF5 is C code, and a crash found by chance would tell nobody anything.
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(8, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_flipped_bytes_never_bring_out_anything_but_an_input_error(flips: list[tuple[int, int]]) -> None:
    data = bytearray(GOOD)
    for at, value in flips:
        data[at] = value
    try:
        found = read(bytes(data))
    except InputError:
        return
    assert found


# Found by mutation: HDF5 follows its structures round and round for ever.
ENDLESS = (
    "c-rlm%TE(g6o=1DDOA*05)y%+X^b(5kAkAsCxh~+ieS_QJ3B!hRVYeJqPtn*&ZWyPU9x03OaF}i2`=4XXXd-"
    "@%m^r=k%ar(e4KmkW4LqXT<+mxesuhJdr!M~N~NSl(h}Ad%3q4w%3pv6T!&vw)o%E{F4{YoKi==fv#~L+_f|}5omw(rO0*86@?#@"
    "UJ<edODE(?i`^}Xqs~<w~nBV8Rh9n~Kn`Y&{w!mJL-;3XkE*-x*ew*=|QTZ|%?e}VKzE~<&iYp~-"
    "yJCm)Yi^J0KA)N%^)j%EyG$aQuk+Z8N&Sv?lRCHJ`*n;AW5^Ndtnc#F%*)v&yIfY|x(&l0nQrWPDzg7x8u`@Ld?ynRrYDV1f(!Ta"
    "G&K`sIP<6WReRYk36CeOjrJgdT4L?9D{G}n{VCOJS1d0U=PS*Aj`}?Yv$M<L{V1H!F`=cUrKP2%rKP2%rKP3yr!wj{aU*o`H)8dI"
    "gmn2o?^IVv*6G=%88oM;TqcYv707gK#m@(NKf?79ujUcdv&=?4_ItNP_9xR5(CU@YuGHr^sbg!qIE&Y{H`%xEwEwEE?VjE~s<aM="
    ";&p9RpDy%9`>A@PsxR6LcF`+wXZ><!)+<tGRiDWByu-"
    "Sx9vlDO_gjx`4dt7JKc9ua&7ZGaTqxN~dz+^vGEdT<$9_Lo{+;JZhUQ6bdp-"
    "nTuweuZ7UQhgdC`#>W@bx<j>^zhLZatI!i=65rkTn#Kkd-Jt=11z`~~MhqLIf`elmB6AN7lDoZ5X}mCthhhvPf;^1M-"
    "x)OenEcIcn$3+Tx9`F}I!kH3f9`KW&&KK^{v9*Dg^EiElAEiJA8t#8B8KRZ(}4Le~M?1dS42A+lIU?1#<7vW_%00-"
    "d}coh!8Yw$X}0dw#syajK=JMb>N2Zx~*(19|74dp&Iln2;QMzNucVM7_mhBAQ-C65i|AvTmp*ias0Lz%>e@&p^o6gHG;>}kuW-"
    "*EoPJ;aRNLyY_dX_kK)YTl<>{rl8fspwxFe|4W~3Eih!BTx7@R17AwpaWefukk|%x=`NWhYob1Ea8U^bfGNchYob1l<-"
    "3bx=>c|LkGH0-UiG-3l^XQtI&ltDDM~#Em(jKtU?#opsX?;TCe~eScNXEK`ApHTCe~eScNXEL8&kvTCh;DegM&+EZY"
)


def test_a_file_that_keeps_hdf5_busy_for_ever_is_refused():
    data = zlib.decompress(base64.b85decode(ENDLESS))
    with pytest.raises(UnreadableFileError, match=r"processor time|damaged"):
        read(data)


# Found by mutation: HDF5 2.0.0 reads beyond its memory (a segmentation fault).
DEADLY = (
    "c-rln%TE(g6o=1DDb!ai35jUXG{zWw0*YFn3<6qT)SwG?c7i;rP?Xk0ceB);OP5``bjfm-{u%ufT(ZN?%y-"
    "+lBQIakg!|ikoclO;xO3)Q?$Hm0@jD0h9@#5_G8yTRti-jB3g>iN^_QRp-^0(gYPZ6^UfR3ypB(peYGNW7y`GR-"
    "r;(1B5u@Fx!o=v~fYaD2O269rxY<f=<y|Zu3%|LpB`Ga_v#i|T71;~2v-theYvR|$Z##Z-"
    "Dqp7canEPx%9V1hyj;O{Yi>Nh=6`bCCzHkTAOowo%cb;uUBF&Qn|HL8)VY=1ul-"
    "~gOZG@lbC)NlpUo_~)vB6z*s{Wz+18$CwEYj#$j7esJGnbnd}zfITzp)h$>}J=**~<exJzzDcs%KBwMP-uk!YV;ep9J6pHjVc#p*"
    "(Nt`-"
    "}o<_!(ZEXDVubkM|vk&%&+k&%&+k&%&+k<qWpYTm@H*u~#U)C*G58~(gmT_N3MVB2=ooS|}=vg%YIvxyZy{nz`^s*e;4<5QyQS$3"
    "-)yLMQ#{mC7P==4c!SDHQ!nb_JW&XRTQRrYO-_U-"
    "E0{;`dt%4l~eS=Uze=~ACQPSqP#ebJqF%Rz~IAS`DN1VzdLHAefMH(6KJW0T+e@77~GrCpCrh5j7+yF!1}@_fZzZ2C#>+)sz*Cms"
    "56-_BNd@;vF7pY(?3L-Yk(R@C4y&q<sY-MJAwJ2JdahSyV~pBE`xKQC-MlWTw4v46ID|6j#lbRMKyc}(Redz1K4zsQ%PTl-"
    "b{EPr};e8)kax0;cf%=6wR<MaIyJ=r+_uO|AF?;(Fm?;lLgKc(A)iT7t@WMpJyWc07~ZAAaGGXt}*2lm1~n1jdR33w9r!_)9AJP!"
    "xq5WD~{!eMv`UWQj-9$tml;B|Nd-h{W{2y`NPP)4z#+{T77h7DyL8_EPWlsni^?qWkJU_-fw4dp&Iln2;Q9%4gzgbig98%hzo=vd"
    "7g&R@BQ*ok|HRXBqS?SJ~U?^B)Oed<l699|u_yH9n*?o*xG6aER6BWDiupbzB*{m_Fxl$Z2F5Bg9R>4zTlp)Ao4J?KNJ&<{Q6Ls_"
    "ODdeDdRDq;>gumn9=hdyjTdCh$2z!LOe9r~~VWrg|BfhFj{I`m-!N|pK0fhFj{I`m-!N{#u@fu)-B9VS{Wjs"
)


def test_a_file_that_kills_hdf5_leaves_this_process_alone():
    # What lies beyond its memory decides whether it is killed, or refuses.
    with contextlib.suppress(UnreadableFileError):
        read(zlib.decompress(base64.b85decode(DEADLY)))
    assert read(write(hdf5.FORMAT, [RAMAN])) == [RAMAN.replace(source="")]
