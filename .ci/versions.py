"""Run the tests with the lowest versions setup.cfg allows, or with the newest there are.

python .ci/versions.py minimum              requirements/minimum.txt, by hash, on the oldest Python allowed
python .ci/versions.py newest               newest releases, on the newest Python of setup.cfg that is here
python .ci/versions.py newest --pre         pre-releases of the core's dependencies too
python .ci/versions.py minimum --only io    these rooms of tests/ alone
python .ci/versions.py report               the last results into docs/supply-chain.md

What git has is tested, in ``build/versions/``. Results are written after each room; a run that was broken off
goes on with the next one. Another commit runs again what is asked for, other requirements all. Left out
by default: screens in a browser, planted faults, fuzzing, soak, benchmarks, notebooks, the site and the
computing of references (``--all`` takes them in): they ask for hours, or test the makers' tools. Needs the
extra ``release``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import product

ROOT = product.ROOT
#: Rooms of tests/ that this job leaves out unless told otherwise: they test the makers' tools or take hours.
LEFT_OUT = {"benchmarks", "docs", "faults", "fuzz", "notebooks", "recipe", "soak"}
#: Files that drive a browser.
BROWSER = ("tests/tablet/test_screens.py", "tests/tablet/test_shift.py", "tests/reachback/console")


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """A command that must succeed; its output as text."""
    return subprocess.run([str(c) for c in command], check=True, text=True, **options)  # type: ignore[call-overload]


def python_for(kind: str) -> str:
    """The oldest Python allowed, or the newest one setup.cfg names that is installed here."""
    named = re.findall(r"Python :: (3\.\d+)", product.setup()["metadata"]["classifiers"])
    named.sort(key=lambda v: int(v.split(".")[1]), reverse=kind == "newest")
    for version in named:
        found = subprocess.run(
            ["uv", "python", "find", "--no-python-downloads", "--no-project", "--system", version],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode == 0:
            return found.stdout.strip()
        if kind == "minimum":
            break
    raise SystemExit(f"No Python {named[0]} is installed here.")


def environment(kind: str, folder: Path, *, pre: bool, interpreter: str | None) -> None:
    """An environment with these versions and this commit's source installed."""
    python = folder / "venv" / "bin" / "python"
    run(
        "uv",
        "venv",
        "--quiet",
        "--no-project",
        "--clear",
        "--python",
        interpreter or python_for(kind),
        folder / "venv",
    )
    # As pip does: else a dependency's warning when it is compiled would fail a test.
    install = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    if kind == "minimum":
        run(
            *install,
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-r",
            ROOT / "requirements" / "minimum.txt",
        )
        run(*install, "--no-deps", "--no-build-isolation", "--editable", folder / "checkout")
    else:
        core = [
            re.split(r"[^\w.-]", line)[0]
            for line in product.setup()["options"]["install_requires"].splitlines()
            if line
        ]
        run(
            *install,
            *(f"{name}>=0.dev0" for name in core if pre),
            "--editable",
            f"{folder / 'checkout'}[test]",
        )


def rooms(checkout: Path, only: list[str], *, everything: bool) -> list[str]:
    """Folders of tests/ to run, and the tests that lie in none."""
    folders = sorted(
        p.name for p in (checkout / "tests").iterdir() if p.is_dir() and any(p.rglob("test_*.py"))
    )
    return only or ["", *(f for f in folders if everything or f not in LEFT_OUT)]


def test(python: Path, checkout: Path, room: str, *, everything: bool, workers: str) -> dict[str, object]:
    """Run one room; what came of it."""
    what = (
        [f"tests/{room}"]
        if room
        else sorted(str(p.relative_to(checkout)) for p in (checkout / "tests").glob("test_*.py"))
    )
    skip = [] if everything else [f"--ignore={path}" for path in BROWSER]
    begun = time.monotonic()
    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-n", workers, "-p", "no:cacheprovider", *skip, *what],
        cwd=checkout,
        env={"SPECTRALID_SHARED": str(ROOT.parent / "shared"), **os.environ},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    return {
        "room": room or "tests/*.py",
        "exit": done.returncode,
        "summary": re.sub(r" in .*|=", "", lines[-1]).strip() if lines else done.stderr[-300:],
        "failed": [line for line in lines if line.startswith(("FAILED", "ERROR"))],
        "seconds": round(time.monotonic() - begun),
    }


def _cell(result: dict) -> str:
    return f"{result['summary']} ({result['commit'][:7]})"


def report() -> str:
    """Table of the last results of each kind, and the versions of the core's dependencies in each."""
    files = sorted(ROOT.glob("build/versions/*/results.json"))
    found = {path.parent.name: json.loads(path.read_text()) for path in files}
    versions = {kind: dict(v.split("==") for v in r["versions"] if "==" in v) for kind, r in found.items()}
    core = sorted(r.name for r in product.asked(()))
    rooms = sorted({room for r in found.values() for room in r["rooms"]})
    rows = [("Python", *(r["python"].split()[1] for r in found.values()))]
    rows += [(name, *(v.get(name, "") for v in versions.values())) for name in core]
    rows += [
        (
            f"`tests/{room}`",
            *(_cell(r["rooms"][room]) if room in r["rooms"] else "not run" for r in found.values()),
        )
        for room in rooms
    ]
    return product.table(("", *found), rows)


def main() -> int:
    """Make the environment, run the rooms not yet run, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=("minimum", "newest", "report"))
    parser.add_argument(
        "--pre", action="store_true", help="newest: pre-releases of the core's dependencies too"
    )
    parser.add_argument("--python", help="this one instead of the oldest or newest found")
    parser.add_argument("--only", nargs="+", default=[], metavar="ROOM", help="folders of tests/")
    parser.add_argument("--all", action="store_true", help="leave nothing out")
    parser.add_argument(
        "--again", action="store_true", help="a new environment, and every room from the beginning"
    )
    parser.add_argument("--workers", default="auto", help="processes of pytest-xdist (0: none)")
    arguments = parser.parse_args()
    if arguments.kind == "report":
        page = product.PAGE.read_text(encoding="utf-8")
        product.PAGE.write_text(product.fill(page, {"versions": report()}), encoding="utf-8")
        return 0

    folder = ROOT / "build" / "versions" / (arguments.kind + ("-pre" if arguments.pre else ""))
    python, results = folder / "venv" / "bin" / "python", folder / "results.json"
    commit = run("git", "rev-parse", "HEAD", cwd=ROOT, capture_output=True).stdout.strip()
    asked = hashlib.sha256(
        (ROOT / "setup.cfg").read_bytes() + (ROOT / "requirements/minimum.txt").read_bytes()
    ).hexdigest()
    state = json.loads(results.read_text()) if results.is_file() else {}
    if arguments.again or state.get("asked") != asked:
        shutil.rmtree(folder, ignore_errors=True)
        state = {"asked": asked, "rooms": {}}
    if state.get("commit") != commit:
        shutil.rmtree(folder / "checkout", ignore_errors=True)
        (folder / "checkout").mkdir(parents=True)
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder / "checkout"], input=archive, check=True)
        if "commit" not in state:
            environment(arguments.kind, folder, pre=arguments.pre, interpreter=arguments.python)
        state["commit"] = commit
    freeze = run(
        "uv", "pip", "freeze", "--exclude-editable", "--python", python, capture_output=True
    ).stdout.split("\n")
    state["python"] = run(python, "-V", capture_output=True).stdout.strip()
    state["versions"] = [line for line in freeze if line]
    results.write_text(json.dumps(state, indent=1))
    print(
        f"{arguments.kind}: {state['python']}, {len(state['versions'])} packages, commit {commit[:7]}",
        flush=True,
    )
    for room in rooms(folder / "checkout", arguments.only, everything=arguments.all):
        if state["rooms"].get(room, {}).get("commit") != commit:
            result = test(
                python, folder / "checkout", room, everything=arguments.all, workers=arguments.workers
            )
            state["rooms"][room] = {**result, "commit": commit}
            results.write_text(json.dumps(state, indent=1))
        result = state["rooms"][room]
        print(f"{result['room']:12} {result['summary']} ({result['seconds']} s)", flush=True)
        for line in result["failed"]:
            print(f"    {line}", flush=True)
    return int(any(result["exit"] not in (0, 5) for result in state["rooms"].values()))


if __name__ == "__main__":
    sys.exit(main())
