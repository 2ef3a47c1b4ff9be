"""HDF5 files of every layout that is read, small, as seeds."""

from __future__ import annotations

import tempfile
from io import BytesIO
from pathlib import Path

import h5py
import numpy as np

from spectralid import Spectrum, write


def seeds() -> list[bytes]:
    """Files of our own, NeXus of our own, NeXus and CHADA as others write them, with HDF5's filters."""
    axis = np.arange(200.0, 264.0, 2.0)
    scan = Spectrum(axis, np.cos(axis), technique="raman", name="one", sd=np.ones(axis.size))
    out = []
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.h5", "a.nxs"):
            write([scan, scan.replace(name="two")], Path(folder, name))
            out.append(Path(folder, name).read_bytes())
    return [
        *out,
        *(_foreign(**how) for how in ({}, {"compression": "gzip"}, {"libver": "latest", "fletcher32": True})),
    ]


def _foreign(libver: str = "earliest", **how: object) -> bytes:
    buffer = BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        entry = file.create_group("entry")
        entry.attrs["NX_class"] = "NXentry"
        entry["definition"] = "NXraman"
        data = entry.create_group("data")
        data.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": "shift"})
        data.create_dataset("counts", data=np.arange(64.0), chunks=(16,), **how)
        data["shift"] = np.arange(200.0, 328.0, 2.0)
        data["shift"].attrs["units"] = "1/cm"
        data["again"] = h5py.SoftLink("/entry/data/counts")
    return buffer.getvalue()
