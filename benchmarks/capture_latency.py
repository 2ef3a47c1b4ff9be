"""How long recording takes: from what is known of a scan to a signed packet, committed and on the disk.

Captures one after the other into a store on the disk that ``--folder`` is on (a memory file system would
measure nothing), with axis, intensity and standard deviation of a spectrum as float64; then the same with a
photo. What a sync of that disk costs alone stands beside it, as do opening, reading back with both checks,
and verifying both chains.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from spectralid.casework import Blob, CaseStore, Draft

BINARY = "application/octet-stream"


def scan(number: int, points: int, photo: int) -> Draft:
    """A scan of random numbers, with the fields that a real one has."""
    arrays = [Blob(os.urandom(8 * points), BINARY) for _ in range(3)]
    photos = [Blob(os.urandom(photo), "image/jpeg", "bag.jpg")] if photo else []
    names = dict(zip(("x_blob", "blob", "sd_blob"), (a.sha256 for a in arrays), strict=True))
    candidates = [
        {"substance_id": f"substance-{n}", "score": 0.9 - n / 100, "calibrated_p": None, "rank": n}
        for n in range(10)
    ]
    body = {
        "officer_ref": "K-17",
        "instrument": {"technique": "raman", "laser_nm": 785.0, "integration_ms": 500.0, "averages": 5},
        "ipv": "none",
        "spectra": [{**names, "dtype": "<f8", "n": points, "unit": "counts", "name": f"scan {number}"}],
        "result": {"decision": "mixture", "engine": {"version": "0"}, "library": {"name": "l"},
                   "candidates": candidates,
                   "verdict": {"headline": "words " * 20, "reasons": ["a sentence of its length " * 4] * 9}},
        "photos": [{"blob": p.sha256} for p in photos],
        "escalation": {"why": ["uncertain"]},
    }  # fmt: skip
    return Draft("scan", "S-1", "I-1", body, (*arrays, *photos))


def timed(count: int, call: Callable[[int], object]) -> list[float]:
    """Milliseconds of each of `count` calls."""
    out = []
    for number in range(count):
        start = time.perf_counter()
        call(number)
        out.append(1e3 * (time.perf_counter() - start))
    return out


def sync_alone(folder: Path, size: int) -> Callable[[int], object]:
    """Appending `size` bytes to a file and syncing it."""
    handle = os.open(folder / "alone", os.O_WRONLY | os.O_CREAT, 0o600)
    data = os.urandom(size)

    def call(_: int) -> None:
        os.write(handle, data)
        os.fsync(handle)

    return call


def line(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    print(f"{name:<44} {statistics.median(times):>8.2f} {p99:>8.2f} {ordered[-1]:>8.2f} {len(times):>6}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1000, help="captures of scans (default %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="a folder on the disk to measure")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as scratch:
        folder = Path(scratch)
        print(f"{'':<44} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'n':>6}")
        line("write 60 kB and sync, without a store", timed(args.count, sync_alone(folder, 60_000)))
        start = time.perf_counter()
        store = CaseStore.open(folder / "record")
        made = 1e3 * (time.perf_counter() - start)
        store.capture(Draft("seizure", "S-1", None, {"officer_ref": "K-17"}))
        store.capture(Draft("item", "S-1", "I-1", {"label": "bag"}))
        for name, points, photo, count in (
            ("scan of 1,024 points", 1024, 0, args.count),
            ("scan of 2,048 points", 2048, 0, args.count),
            ("scan of 1,024 points, 2 MB photo", 1024, 2_000_000, max(1, args.count // 20)),
        ):
            drafts = [scan(n, points, photo) for n in range(count)]
            line(f"capture: {name}", timed(count, lambda n, drafts=drafts: store.capture(drafts[n])))
        packets = [row.packet_id for row in store.history(limit=10**9)]
        newest = packets[: args.count]
        line(
            "read a packet, hash and signature checked", timed(len(newest), lambda n: store.packet(newest[n]))
        )
        line("history, 50 rows", timed(200, lambda _: store.history()))
        store.close()
        line("open", timed(20, lambda _: CaseStore.open(folder / "record").close()))
        with CaseStore.open(folder / "record") as store:
            start = time.perf_counter()
            problems = store.verify() + store.custody.verify()
            checked = time.perf_counter() - start
            size = sum(path.stat().st_size for path in store.folder.glob("casework.db*"))
        print(f"first opening (key, database, ballast): {made:.0f} ms")
        rate = len(packets) / checked
        print(
            f"both chains verified: {len(packets)} packets in {checked:.2f} s ({rate:,.0f} a second), "
            f"{len(problems)} problems; {size / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
