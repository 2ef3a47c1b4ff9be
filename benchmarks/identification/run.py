"""Identification benchmark: every track as a table with intervals beside the design's goal, and figures.

    python benchmarks/identification/run.py [--tracks A,B,...] [--scale 1.0] [--jobs 2] [--out FOLDER]

Simulated tracks use `generator.py`: computed molecules as substances, its own instruments and noise; nothing
of it is shared with the engine. The library holds one scan of each of three quarters of all substances by one
good unit; every query is of *test* substances (`splits.py`), from another unit, drawn anew, and other grains.
Real tracks use the collections of ``../shared/data`` (`real.py`).

"spectralid" is what the verdict names. "spectralid, explained" is what the joint fit holds where the library
explains the spectrum (odds for it, all components hold, nothing left over), "spectralid, detected" everything
it holds where there are odds for it.
Baselines: `baselines.py`. Intervals are 95 %. The folder gets ``results.json``, from which `report.py` makes
the page and its figures. An η below 1 beyond its interval means leakage or a wrong oracle: the run fails.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import ablation
import numpy as np
import outside
import real
import speed
import tally
import tracks
from baselines import unavailable
from goals import GOALS, reached
from measures import Measure, markdown, table
from tqdm import tqdm
from tracks import Answer, Query

from spectralid import Technique
from spectralid.identify.analysis import METHOD

# Training a family model takes two minutes.
_FAMILIES_FROM = 0.2
ALL = ("A", "B", "D", "E", "E2", "E3", "F", "G", "H", "I", "real", "ablation")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", default=",".join(ALL), help=f"which to run, of {','.join(ALL)}")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the queries")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--no-baselines", action="store_true", help="the engine alone")
    parser.add_argument("--out", type=Path, default=Path("build/identification"), help="folder of results")
    args = parser.parse_args()
    chosen = [t for t in ALL if t in args.tracks.split(",")]
    if not chosen:
        parser.error(f"no such track: {args.tracks}")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        results = run(chosen, Path(folder), args)
    results["environment"]["minutes"] = round((time.perf_counter() - started) / 60, 1)
    args.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(results, ensure_ascii=False, indent=1, allow_nan=False)
    (args.out / "results.json").write_text(text + "\n", encoding="utf-8")
    import report

    report.figures(results, args.out)
    print(f"\nFigures and results.json are in {args.out}; {results['environment']['minutes']} minutes.")
    leaks = results["leaks"]
    for leak in leaks:
        print(f"η below 1 beyond its interval, so something leaks or the oracle is wrong: {leak}")
    return 1 if leaks else 0


def run(chosen: Sequence[str], folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Run the chosen tracks and put everything that was found into one document."""
    results: dict[str, Any] = {
        "environment": environment(args),
        "skipped": {},
        "measures": [],
        "tables": {},
        "curves": {},
        "failures": [],
        "leaks": [],
    }
    if not args.no_baselines:
        results["skipped"].update(unavailable())
    simulated = [t for t in chosen if t in tracks.SIMULATED]
    measures: list[Measure] = []
    answers: list[Answer] = []
    if simulated:
        w = tracks.world(folder)
        maker = tracks.Maker(w, args.scale)
        results["substances"] = {
            "in the library": len(w.inside),
            "test, in the library": len(maker.inside),
            "test, in no library": len(maker.outside),
        }
        print(f"Simulated world: {results['substances']}", flush=True)
        if args.scale >= _FAMILIES_FROM:
            tracks.train(str(w.path))
        else:
            results["skipped"]["family model"] = (
                f"its training takes minutes; from --scale {_FAMILIES_FROM:g} on"
            )
        queries = [q for t in simulated for q in getattr(maker, tracks.SIMULATED[t])()]
        answers = asked(queries, args)
        of_slug = {s.slug: tracks.family(s) for s in [*w.inside, *w.outside]}
        for t in simulated:
            mine = [a for a in answers if a.query.track == t]
            found, tables, curves = tally.TRACKS[t](mine, of_slug)
            show(t, found, tables)
            measures += found
            results["tables"].update(tables)
            results["curves"].update(curves)
        results["failures"] = tally.failures(answers)
        results["leaks"] = tally.leaks(
            measures, len({a.query.pair for a in answers if a.query.track == "E"}) // 2
        )
    if "real" in chosen:
        skipped, queries = real.queries(folder, families=args.scale >= _FAMILIES_FROM)
        results["skipped"].update(skipped)
        found, tables = real.tally(asked(real.thinned(queries, args.scale), args))
        show("real", found, tables)
        measures += found
        results["tables"].update(tables)
    others: dict[str, Callable[[], Any]] = {
        "D": lambda: outside.families(args.out, folder, args.scale),
        "G": lambda: outside.calibration(args.scale, args.jobs),
        "I": lambda: speed.measured(folder, args.scale),
        "ablation": lambda: ablation.measured(folder, args.scale, args.jobs),
    }
    for t in (t for t in chosen if t in others):
        try:
            found, tables, curves = others[t]()
        except outside.UnavailableError as reason:
            results["skipped"][f"track {t}"] = str(reason)
            print(f"\n## {t}\n\nskipped: {reason}")
            continue
        show(t, found, tables)
        measures += found
        results["tables"].update(tables)
        results["curves"].update(curves)
    results["measures"] = [m.to_dict() for m in measures]
    results["goals"] = reached(measures)
    print("\n## Goals\n\n" + markdown(results["goals"]), flush=True)
    return results


def asked(queries: Sequence[Query], args: argparse.Namespace) -> list[Answer]:
    """Answers to queries, in their order."""
    if args.no_baselines:
        from dataclasses import replace

        queries = [replace(q, compare="") for q in queries]
    # Prepared before the processes are forked, so that all share them.
    for library, which, infrared in sorted(
        {(q.library, q.compare, q.infrared) for q in queries if q.compare}
    ):
        tracks.baselines(library, Technique.FTIR_ATR if infrared else Technique.RAMAN, which)
    bar: dict[str, Any] = {"total": len(queries), "unit": "scan", "disable": None}
    if args.jobs == 1:
        return list(tqdm(map(tracks.answer, queries), **bar))
    with ProcessPoolExecutor(args.jobs, mp_context=get_context("fork")) as pool:
        return list(tqdm(pool.map(tracks.answer, queries, chunksize=4), **bar))


def show(track: str, measures: Sequence[Measure], tables: dict[str, list[dict[str, Any]]]) -> None:
    """Print one track."""
    print(f"\n## {track}\n\n{table(measures, GOALS)}", flush=True)
    for name, rows in tables.items():
        print(f"\n{name}\n\n{markdown(rows)}", flush=True)


def environment(args: argparse.Namespace) -> dict[str, Any]:
    """What the figures were made with."""
    import scipy

    commit: Iterable[str] = ()
    try:
        here = Path(__file__).resolve().parent
        told = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        )
        commit = (told.stdout.strip(),)
    except (OSError, subprocess.CalledProcessError):
        pass
    return {
        "engine": METHOD,
        "commit": next(iter(commit), "unknown"),
        "scale": args.scale,
        "processes": args.jobs,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


if __name__ == "__main__":
    raise SystemExit(main())
