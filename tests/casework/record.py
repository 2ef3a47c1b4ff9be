"""What the tests of the record share: a clock that does as told, a store, and what to put into it."""

from __future__ import annotations

import itertools
import struct
from datetime import UTC, datetime, timedelta

from spectralid.casework.facts import Draft
from spectralid.casework.packet import Blob
from spectralid.casework.store import CaseStore

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
BALLAST = 256 * 1024

_counter = itertools.count(1)


class Clock:
    """A clock whose wall, monotonic time and boot are set by hand."""

    def __init__(self, wall=START, *, boot_id="boot-1", monotonic_ns=10**9):
        self.wall = wall
        self.boot_id = boot_id
        self.mono = monotonic_ns

    def wall_utc(self):
        return self.wall

    def monotonic_ns(self):
        return self.mono

    def passes(self, **time):
        span = timedelta(**time)
        self.wall += span
        self.mono += span // timedelta(microseconds=1) * 1000

    def restarts(self, wall):
        self.wall, self.mono = wall, 10**9
        self.boot_id = f"boot-{next(_counter)}-again"


def opened(folder, **options):
    options.setdefault("ballast_bytes", BALLAST)
    options.setdefault("clock", Clock())
    return CaseStore.open(folder, **options)


def numbers(*values):
    return Blob(struct.pack(f"<{len(values)}d", *values), "application/octet-stream")


def spectrum(y, **more):
    return {
        "blob": y.sha256,
        "dtype": "<f8",
        "n": len(y.data) // 8,
        "unit": "counts",
        "x0": 200.0,
        "dx": 1.5,
        **more,
    }


def scan_body(y, **more):
    return {
        "instrument": {"technique": "raman", "laser_nm": 785.0},
        "spectra": [spectrum(y)],
        "result": {"decision": "no_match", "engine": {"version": "0"}, "library": {"name": "test"}},
        **more,
    }


def seizure(ref="S-1", **more):
    return Draft("seizure", ref, None, {"officer_ref": "K-17", **more})


def item(ref="I-1", seizure_ref="S-1", **more):
    return Draft("item", seizure_ref, ref, {"label": "bag", **more})


def scan(*values, ref="I-1", seizure_ref="S-1", extra=(), **more):
    y = numbers(*(values or (1.0, float(next(_counter)), 3.0)))
    return Draft("scan", seizure_ref, ref, scan_body(y, **more), (y, *extra))


def with_item(store):
    store.capture(seizure())
    store.capture(item())
    return store
