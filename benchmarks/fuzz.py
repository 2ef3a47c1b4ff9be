"""Every reader of outside bytes on millions of damaged inputs: totals, executions a second, slowest, memory.

    python -m benchmarks.fuzz --runs 1000000 --save          # all readers, our own mutations
    python -m benchmarks.fuzz --runs 1000000 --engine atheris --only jcamp
    python -m benchmarks.fuzz --hdf5 100000 --save           # HDF5 files, each opened in a process of its own

Readers, seeds and words are those of the tests (`tests/fuzz/targets.py`), with real files where these are.
Atheris (Apache-2.0, extra ``fuzz``) is guided by coverage. An input that brings out anything but an error
of the family, takes more than 2 s, or more than 512 MiB is kept in ``build/fuzz`` and ends its reader's run.
``--save`` keeps the figures in ``benchmarks/fuzz.json``, one row for each reader and engine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from types import FrameType

from spectralid import sandbox
from tests.fuzz.mutation import MAXIMUM, Mutator
from tests.fuzz.targets import TARGETS, Target

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "build" / "fuzz"
FIGURES = ROOT / "benchmarks" / "fuzz.json"
LONGEST_S = 2.0
MOST_MIB = 512


@dataclass(frozen=True)
class Row:
    """What became of one reader.

    Attributes
    ----------
    target, engine : str
        Which, and how inputs were made.
    runs : int
        Inputs.
    taken : int or None
        Inputs that were read without complaint; atheris does not say.
    seconds, longest_s : float
        Of all, and of the slowest: processor time, for HDF5 by the clock.
    memory_mib : float
        Most memory of the process.
    found : str
        File with the input that must not be, empty if there is none.
    """

    target: str
    engine: str
    runs: int
    taken: int | None
    seconds: float
    longest_s: float
    memory_mib: float
    found: str = ""


class TooLongError(Exception):
    """An input took too much processor time."""


def _stop(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TooLongError(f"more than {LONGEST_S} s")


def _keep(name: str, data: bytes) -> str:
    place = KEPT / name.replace(" ", "-") / hashlib.sha256(data).hexdigest()[:16]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return str(place.relative_to(ROOT))


def _memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(target: Target, data: bytes, clock: Callable[[], float]) -> tuple[bool, float]:
    """Whether it was taken, and how long that lasted; whatever lasts too long is stopped."""
    before = clock()
    signal.setitimer(signal.ITIMER_PROF, LONGEST_S)
    try:
        return target.try_one(data), clock() - before
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def mutated(target: Target, runs: int, seed: int, *, clock: Callable[[], float] = time.process_time) -> Row:
    """Our own mutations, in this process; by the clock where another one does the work."""
    seeds = target.seeds()
    mutator = Mutator(seeds, target.tokens, zlib.crc32(target.name.encode()) + seed)
    signal.signal(signal.SIGPROF, _stop)
    begun, longest, taken, done, found = clock(), 0.0, 0, 0, ""
    while done < runs:
        done += 1
        data = mutator.next()
        try:
            was_taken, lasted = _timed(target, data, clock)
            taken += was_taken
            # Beside other work a moment of the machine counts as the reader's: the slowest are timed again.
            if lasted > longest:
                longest = max(longest, min(lasted, *(_timed(target, data, clock)[1] for _ in range(2))))
        except Exception as error:
            found = _keep(target.name, data)
            print(f"{target.name}: {type(error).__name__}: {error} ({found})", file=sys.stderr)
        if found or _memory_mib() > MOST_MIB:
            found = found or _keep(target.name, data)
            break
    spent = clock() - begun
    return Row(
        target.name,
        "mutation",
        done,
        taken,
        round(spent, 1),
        round(longest, 3),
        round(_memory_mib(), 1),
        found,
    )


def guided(target: Target, runs: int, seed: int) -> Row:
    """Atheris, which ends its process: in one of its own, whose words are read."""
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(target.seeds()):
            Path(folder, f"{number:04d}").write_bytes(data[:MAXIMUM])
        words = Path(folder, "words.dict")
        words.write_text(
            "".join('"' + "".join(f"\\x{b:02X}" for b in token) + '"\n' for token in target.tokens if token),
            encoding="ascii",
        )
        kept = KEPT / target.name.replace(" ", "-")
        kept.mkdir(parents=True, exist_ok=True)
        begun = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.fuzz", "--guided", target.name, folder, f"-runs={runs}",
             f"-seed={seed + 1}", f"-timeout={LONGEST_S:.0f}", f"-rss_limit_mb={MOST_MIB}",
             f"-max_len={MAXIMUM}", f"-dict={words}", f"-artifact_prefix={kept}/", "-print_final_stats=1"],
            cwd=ROOT, stderr=subprocess.PIPE, text=True, errors="replace", check=False,
        )  # fmt: skip
        spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun
    said = dict(
        line[6:].split(":", 1)
        for line in done.stderr.splitlines()
        if line.startswith("stat::") and ":" in line[6:]
    )
    if done.returncode:
        print(done.stderr[-4000:], file=sys.stderr)
    return Row(
        target.name,
        "atheris",
        int(said.get("number_of_executed_units", 0)),
        None,
        round(spent, 1),
        float(said.get("slowest_unit_time_sec", 0)),
        float(said.get("peak_rss_mb", 0)),
        str(kept.relative_to(ROOT)) if done.returncode else "",
    )


def _guided_here(name: str, arguments: list[str]) -> None:
    import atheris

    with atheris.instrument_imports(include=["spectralid"]):
        import spectralid.io  # noqa: F401
    (target,) = (t for t in TARGETS if t.name == name)
    target.made()

    def one(data: bytes) -> None:
        target.try_one(data)

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def _hdf5() -> Target:
    """HDF5 files of every layout, read as a user reads them: by a process of their own."""
    from spectralid.io import read_all
    from tests.fuzz.hdf5_files import seeds

    return Target(
        "hdf5",
        lambda data: read_all(BytesIO(data), name="file.h5", format="hdf5"),
        seeds,
        (),
        (b"TREE", b"HEAP", b"SNOD", b"OHDR", b"GCOL", b"\x89HDF\r\n\x1a\n"),
    )


def _each(arguments: argparse.Namespace) -> Iterator[Row]:
    if arguments.hdf5:
        assert sandbox.available()
        yield mutated(_hdf5(), arguments.hdf5, arguments.seed, clock=time.perf_counter)
        return
    for target in TARGETS:
        if arguments.only not in target.name:
            continue
        if arguments.engine == "atheris":
            yield guided(target, arguments.runs, arguments.seed)
            continue
        # Memory is that of the reader alone: each in a process of its own.
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.fuzz", "--here", target.name, "--runs", str(arguments.runs),
             "--seed", str(arguments.seed)],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        yield Row(**json.loads(done.stdout.splitlines()[-1]))


def _save(row: Row) -> None:
    held = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {"rows": []}
    rows = {(r["target"], r["engine"]): r for r in held["rows"]}
    rows[row.target, row.engine] = asdict(row) | {"date": time.strftime("%Y-%m-%d")}
    said = {"command": "python -m benchmarks.fuzz", "python": platform.python_version()}
    FIGURES.write_text(json.dumps({**said, "rows": list(rows.values())}, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Run, print the table, say whether anything was found."""
    if sys.argv[1:2] == ["--guided"]:
        _guided_here(sys.argv[2], sys.argv[3:])
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--only", default="")
    parser.add_argument("--engine", choices=("mutation", "atheris"), default="mutation")
    parser.add_argument("--hdf5", type=int, default=0, metavar="FILES")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save", action="store_true")
    parser.add_argument("--here", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        (target,) = (t for t in TARGETS if t.name == arguments.here)
        print(json.dumps(asdict(mutated(target, arguments.runs, arguments.seed))))
        return 0
    print("| reader | engine | inputs | taken | inputs/s | slowest s | memory MiB | found |")
    print("|---|---|--:|--:|--:|--:|--:|---|")
    bad = False
    for row in _each(arguments):
        share = "" if row.taken is None else f"{row.taken / max(1, row.runs):.0%}"
        rate = row.runs / max(row.seconds, 1e-3)
        print(
            f"| {row.target} | {row.engine} | {row.runs:,} | {share} | {rate:,.0f} | "
            f"{row.longest_s:.2f} | {row.memory_mib:.0f} | {row.found or 'nothing'} |",
            flush=True,
        )
        bad = bad or bool(row.found)
        if arguments.save:
            _save(row)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
