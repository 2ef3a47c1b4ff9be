"""24 simulated hours of the tablet, or of the server under load, watched from outside the process.

python -m benchmarks.soak tablet --save
python -m benchmarks.soak server --save                      # PostgreSQL; --database sqlite
python -m benchmarks.soak page                               # figures and docs/soak.md from what was saved
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"

from benchmarks.soak import processes, results

HERE = Path(__file__).parent


def main() -> int:
    """Carry out the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_subparsers(dest="what", required=True)
    tablet = what.add_parser("tablet", help="one scan a simulated minute")
    server = what.add_parser("server", help="tablets, chemists, pages, a re-search, a laboratory")
    for one in (tablet, server):
        one.add_argument("--hours", type=float, default=24.0, help="simulated (%(default)s)")
        one.add_argument("--seed", type=int, default=1)
        one.add_argument("--save", action="store_true", help="keep the result beside this program")
        one.add_argument("--readings", type=Path, help="file to which each reading is written as it comes")
    server.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    server.add_argument("--tablets", type=int, default=24)
    server.add_argument(
        "--times", type=float, default=4.0, help="the surge of the capacity plan (%(default)s)"
    )
    server.add_argument("--step-min", type=float, default=2.0, help="simulated minutes a step (%(default)s)")
    what.add_parser("page", help="figures and page of what was saved")
    args = parser.parse_args()
    if args.what == "page":
        from benchmarks.soak import page

        page.write()
        return 0
    told = processes.lines_to(args.readings) if args.readings else lambda _: None
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        result = _soak(args, Path(folder), told)
    judged = results.judged(result)
    print(json.dumps(judged, indent=1))
    if args.save:
        results.save(result, HERE / f"{args.what}.json")
    return 0 if judged["is_good"] else 1


def _soak(args: argparse.Namespace, folder: Path, told: Any) -> dict[str, Any]:
    if args.what == "tablet":
        from benchmarks.soak import tablet

        scans = round(args.hours * 60)
        return tablet.soak(folder, scans=scans, hours=args.hours, seed=args.seed, told=told)
    from benchmarks.soak import server

    return server.soak(
        folder, hours=args.hours, seed=args.seed, database=args.database, tablets=args.tablets,
        times=args.times, steps=round(args.hours * 60 / args.step_min), told=told,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
