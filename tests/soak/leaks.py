"""Leaks to be planted in a program (`benchmarks.soak.program`), to see that the soak finds them."""

from __future__ import annotations

import threading
from functools import wraps

KEPT: list[object] = []
MEGABYTE = 1024 * 1024


def of_each_scan() -> None:
    """A handle, a thread and two megabytes are kept for each scan that is recorded."""
    from spectralid.tablet.unit import FieldUnit

    record_scan = FieldUnit.record_scan

    @wraps(record_scan)
    def leaking(*arguments, **options):
        KEPT.append(open("/dev/null", "rb"))  # noqa: SIM115 - it is to stay open
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        KEPT.append(bytearray(b"x" * 2 * MEGABYTE))
        return record_scan(*arguments, **options)

    FieldUnit.record_scan = leaking
