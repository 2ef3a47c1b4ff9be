"""NeXus files of Raman and optical spectroscopy (application definitions NXraman, NXoptical_spectroscopy).

Definitions: https://fairmat-nfdi.github.io/nexus_definitions/classes/contributed_definitions/NXraman.html
and the parent NXoptical_spectroscopy beside it. What a spectrum does not know (the scattering configuration,
the detector's kind) is left out rather than invented, even where the definition asks for it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from spectralid.errors import UnreadableFileError, UnsupportedContentError
from spectralid.io._assemble import is_infrared, make_axis, make_spectrum
from spectralid.io._hdf5_apart import read_apart
from spectralid.io._hdf5_own import read_facts, write_facts
from spectralid.io._hdf5_safe import SafeGroup, open_hdf5
from spectralid.io._registry import Format, ReadOptions, Source
from spectralid.io._text_header import AxisKind, Header, technique_in, unit_in
from spectralid.spectrum import Acquisition, IntensityUnit, Spectrum, Technique

if TYPE_CHECKING:
    import h5py

__all__ = ["FORMAT", "is_nexus", "read_nexus"]

_VERSION: Final = "2024.02"
_URL: Final = "https://fairmat-nfdi.github.io/nexus_definitions/classes/contributed_definitions/"
_EXPERIMENTS: Final = {
    Technique.RAMAN: "Raman spectroscopy",
    Technique.FTIR_TRANSMISSION: "transmission spectroscopy",
    Technique.FTIR_ATR: "reflection spectroscopy",
}


def _group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def _field(group: h5py.Group, name: str, value: object, units: str = "") -> None:
    if value in ("", None):
        return
    dataset = group.create_dataset(name, data=value)
    if units:
        dataset.attrs["units"] = units


def _plain(text: str) -> str:
    # HDF5 strings end at a zero character and must be valid UTF-8.
    return text.replace("\0", "").encode("utf-8", "backslashreplace").decode()


def _write_entry(file: h5py.File, name: str, spectrum: Spectrum) -> None:
    facts = spectrum.acquisition
    raman = spectrum.technique is Technique.RAMAN
    entry = _group(file, name, "NXentry")
    entry.attrs["default"] = "data"
    definition = "NXraman" if raman else "NXoptical_spectroscopy"
    _field(entry, "definition", definition)
    entry["definition"].attrs["version"] = _VERSION
    entry["definition"].attrs["URL"] = f"{_URL}{definition}.html"
    _field(entry, "title", _plain(spectrum.name))
    _field(entry, "start_time", _plain(facts.time))
    _field(entry, "experiment_type", _EXPERIMENTS.get(spectrum.technique, "other"))
    if raman:
        _field(entry, "raman_experiment_type", "other")
    if facts.operator:
        _field(_group(entry, "user", "NXuser"), "name", _plain(facts.operator))
    _field(_group(entry, "sample", "NXsample"), "name", _plain(spectrum.name) or "unknown")

    instrument = _group(entry, "instrument", "NXinstrument")
    device = _group(instrument, "device_information", "NXfabrication")
    _field(device, "model", _plain(facts.instrument))
    _field(device, "serial_number", _plain(facts.serial))
    if facts.laser_nm is not None:
        beam = _group(instrument, "beam_incident", "NXbeam")
        _field(beam, "parameter_reliability", "nominal")
        _field(beam, "wavelength", facts.laser_nm, "nm")
        _field(beam, "average_power", facts.power_mw, "mW")
        source = _group(instrument, "source_laser", "NXsource")
        _field(source, "type", "Laser")
        _field(source, "associated_beam", f"/{name}/instrument/beam_incident")
    detector = _group(instrument, "detector_spectrum", "NXdetector")
    _field(detector, "detector_channel_type", "multichannel" if raman else "single-channel")
    if facts.integration_ms is not None:
        _field(detector, "count_time", facts.integration_ms / 1000, "s")
    if facts.resolution_cm1 is not None:
        resolution = _group(instrument, "wavelength_resolution", "NXresolution")
        _field(resolution, "physical_quantity", "wavenumber")
        _field(resolution, "resolution", facts.resolution_cm1, "1/cm")

    data = _group(entry, "data", "NXdata")
    data.attrs["signal"] = "intensity"
    data.attrs["axes"] = "shift" if raman else "wavenumber"
    data.create_dataset("intensity", data=spectrum.intensity).attrs["long_name"] = spectrum.unit.value
    axis = data.create_dataset(data.attrs["axes"], data=spectrum.axis)
    axis.attrs["units"] = "1/cm"
    axis.attrs["long_name"] = "Raman shift (1/cm)" if raman else "wavenumber (1/cm)"
    if spectrum.sd is not None:
        data.create_dataset("intensity_errors", data=spectrum.sd)
    write_facts(_group(entry, "spectralid", "NXcollection"), spectrum)


def _write(spectra: Sequence[Spectrum]) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["NX_class"] = "NXroot"
        file.attrs["default"] = "entry"
        for i, spectrum in enumerate(spectra):
            _write_entry(file, "entry" if i == 0 else f"entry_{i + 1}", spectrum)
    return buffer.getvalue()


def _entries(root: SafeGroup) -> list[SafeGroup]:
    found = [(n, g) for n, g in root.groups() if g.attribute("NX_class") in ("NXentry", "NXsubentry")]
    return [group for _, group in sorted(found, key=lambda m: (len(m[0]), m[0]))]


def is_nexus(root: SafeGroup) -> bool:
    """Whether a file has an entry as NeXus has them."""
    return bool(_entries(root))


def _data_group(entry: SafeGroup) -> SafeGroup | None:
    default = entry.attribute("default")
    named = entry.group(default) if default else None
    if named is not None and named.attribute("NX_class") == "NXdata":
        return named
    return next((g for _, g in entry.groups() if g.attribute("NX_class") == "NXdata"), None)


def _axis_kind(units: str, label: str) -> AxisKind | None:
    low = units.lower().replace(" ", "").replace("^", "")
    if low in ("1/cm", "cm-1", "cm⁻¹", "invcm", "cm(-1)"):
        return AxisKind.SHIFT if "raman" in label.lower() or "shift" in label.lower() else AxisKind.WAVENUMBER
    return {"nm": AxisKind.NANOMETRE, "um": AxisKind.MICROMETRE, "µm": AxisKind.MICROMETRE}.get(low)


def _technique(entry: SafeGroup) -> Technique | None:
    if entry.text("definition") == "NXraman":
        return Technique.RAMAN
    return technique_in(entry.text("experiment_type") + " " + entry.text("title"))


def _acquisition(entry: SafeGroup) -> Acquisition:
    instrument = entry.group("instrument")
    beam = instrument.group("beam_incident") if instrument else None
    laser = power = None
    if beam is not None:
        laser = beam.number("wavelength") or beam.number("incident_wavelength")
        scale = {"w": 1000.0, "mw": 1.0}.get(beam.attribute("units", of="average_power").lower())
        watts = beam.number("average_power")
        power = watts * scale if watts is not None and scale else None
    device = instrument.group("device_information") if instrument else None
    return Acquisition(
        instrument=" ".join(filter(None, (device.text("vendor"), device.text("model")))) if device else "",
        serial=device.text("serial_number") if device else "",
        laser_nm=laser if laser and 100 < laser < 2000 else None,
        power_mw=power,
        time=entry.text("start_time"),
    )


def _foreign_entry(entry: SafeGroup, data: SafeGroup, source: Source, options: ReadOptions) -> list[Spectrum]:
    signal = data.attribute("signal") or "data"
    axes = data.attribute("axes").split()
    values = data.array(signal)
    axis = data.array(axes[-1]) if axes else None
    if values is None or axis is None or values.ndim not in (1, 2) or values.shape[-1] != axis.size:
        raise UnreadableFileError(
            f"its signal {signal!r} has no axis of its length.", file=source.name, where=data.path
        )
    label = f"{axes[-1]} {data.attribute('long_name', of=axes[-1])}"
    kind = _axis_kind(data.attribute("units", of=axes[-1]), label)
    unit = unit_in(f"{data.attribute('units', of=signal)} {data.attribute('long_name', of=signal)}")
    technique = _technique(entry)
    header = Header(_acquisition(entry), entry.text("title"), None, unit, technique)
    infrared = is_infrared(unit, technique, header, options)
    converted = make_axis(axis.ravel(), kind, header, infrared, source, options)
    name = header.name or Path(source.name).stem
    rows = values.reshape(-1, axis.size)
    return [
        make_spectrum(
            converted,
            row,
            name=name if len(rows) == 1 else f"{name} ({i})",
            header=header,
            source=source,
            unit=unit or IntensityUnit.ARBITRARY,
        )
        for i, row in enumerate(rows, 1)
    ]


def read_nexus(root: SafeGroup, source: Source, options: ReadOptions) -> list[Spectrum]:
    """Spectra of every entry of a NeXus file that has an NXdata group.

    Raises
    ------
    UnsupportedContentError
        If no entry has data.
    UnreadableFileError
        If an entry is damaged.
    """
    spectra: list[Spectrum] = []
    for entry in _entries(root):
        data = _data_group(entry)
        if data is None:
            continue
        own = entry.group("spectralid")
        if own is not None and own.text("facts"):
            names = (data.attribute("axes"), "intensity", "intensity_errors")
            spectra.append(read_facts(own, data, names, source))
        else:
            spectra += _foreign_entry(entry, data, source, options)
    if not spectra:
        raise UnsupportedContentError("none of its NeXus entries holds data.", file=source.name)
    return spectra


def _sniff(head: Source) -> float:
    # The reader of HDF5 takes every HDF5 file and knows this layout too; this entry is for writing.
    del head
    return 0.0


def _read(source: Source, options: ReadOptions) -> list[Spectrum]:
    return read_apart(read_here, source, options)


def read_here(source: Source, options: ReadOptions) -> list[Spectrum]:
    """Spectra of a NeXus file, read in this process."""
    with open_hdf5(source) as root:
        return read_nexus(root, source, options)


FORMAT: Final = Format(
    name="nexus",
    title="NeXus NXraman",
    extensions=(".nxs",),
    sniff=_sniff,
    read=_read,
    write=_write,
)
