"""Branch coverage: of the modules on which evidence and safety hang, and of the whole package.

    python -m benchmarks.branch_coverage               # those modules, by their own tests; fails below 100 %
    python -m benchmarks.branch_coverage --all --save  # everything, by the whole suite; coverage.json

Which modules, and which tests are theirs, stands in ``benchmarks/mutation/modules.toml``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from benchmarks.mutation.groups import ONLY, ROOT, groups

FIGURES = ROOT / "benchmarks" / "coverage.json"
_COUNTS = ("num_statements", "missing_lines", "num_branches", "missing_branches")


def main() -> int:
    """Run the tests and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", action="store_true", help="the whole package, by the whole suite")
    parser.add_argument("--only", help="one group of those modules")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/coverage.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "coverage"
        return _whole(data, save=args.save) if args.all else _modules(data, args.only, save=args.save)


def _modules(data: Path, only: str | None, *, save: bool) -> int:
    chosen = [group for group in groups() if only in (None, group.name)]
    modules = [module for group in chosen for module in group.modules]
    # Nothing but these files is looked at, so that it costs little.
    settings = data.with_name("settings.rc")
    settings.write_text(
        f"[run]\nbranch = true\ndata_file = {data}\ninclude =\n  " + "\n  ".join(modules) + "\n"
    )
    tests = list(dict.fromkeys(test for group in chosen for test in group.branches))
    command = ["-m", "coverage", "run", f"--rcfile={settings}", "-m", "pytest", "-q", "--no-header"]
    code = subprocess.run(
        [sys.executable, *command, "-p", "no:cacheprovider", *ONLY, *tests], cwd=ROOT
    ).returncode
    report = ["-m", "coverage", "report", f"--rcfile={settings}", "--show-missing", "--fail-under=100"]
    code = code or subprocess.run([sys.executable, *report], cwd=ROOT).returncode
    if save:
        written = data.with_suffix(".json")
        report = ["-m", "coverage", "json", "-q", f"--rcfile={settings}", "-o", str(written)]
        subprocess.run([sys.executable, *report], cwd=ROOT, check=True)
        files = json.loads(written.read_text())["files"]
        _keep(
            {
                "modules": {
                    module: {name: files[module]["summary"][name] for name in _COUNTS} for module in modules
                }
            }
        )
    return code


def _keep(part: dict[str, Any]) -> None:
    """Write a part of the figures; the other stays as it is."""
    before = json.loads(FIGURES.read_text()) if FIGURES.is_file() else {}
    if "modules" in part:
        part = {"modules": {**before.get("modules", {}), **part["modules"]}}
    FIGURES.write_text(json.dumps({**before, **part}, indent=1) + "\n")


def _whole(data: Path, *, save: bool) -> int:
    """With processes that tests start; `setup.cfg` says how."""
    surroundings = {**os.environ, "COVERAGE_FILE": str(data)}
    tests = ["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "--cov", "--cov-report="]
    code = subprocess.run([sys.executable, *tests], cwd=ROOT, env=surroundings).returncode
    written = data.with_suffix(".json")
    report = ["-m", "coverage", "json", "-q", "-o", str(written)]
    subprocess.run([sys.executable, *report], cwd=ROOT, env=surroundings, check=True)
    found = json.loads(written.read_text())
    rooms: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for file, row in found["files"].items():
        parts = Path(file).parts[1:-1]
        for name in _COUNTS:
            rooms[parts[0] if parts else "(top)"][name] += row["summary"][name]
            rooms["all"][name] += row["summary"][name]
    for name, counts in sorted(rooms.items()):
        print(f"{name:14} {share(counts):6.1%}")
    if save:
        _keep({"rooms": dict(sorted(rooms.items()))})
    return code


def share(row: dict[str, int]) -> float:
    """Of statements and branches, those that a test has run."""
    count = row["num_statements"] + row["num_branches"]
    return 1 - (row["missing_lines"] + row["missing_branches"]) / max(count, 1)


if __name__ == "__main__":
    sys.exit(main())
