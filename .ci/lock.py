"""Lock what CI installs: every file by its hash, in ``requirements/``.

python .ci/lock.py             write the locks again; versions that still serve stay
python .ci/lock.py --upgrade   the same, with the newest versions that fit together
python .ci/lock.py --check     are they in step with setup.cfg and pyproject.toml?

Writing needs ``uv`` (extra ``release``) and a package index; checking needs Python alone. No lock names an
index: hashes say what a file must be, wherever it comes from.
"""

from __future__ import annotations

import argparse
import configparser
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Lock:
    """One file of ``requirements/`` and what it is made of."""

    name: str
    extras: tuple[str, ...]
    build: bool
    options: tuple[str, ...]
    about: str

    @property
    def path(self) -> Path:
        """Where it lies."""
        return ROOT / "requirements" / self.name


LOCKS = (
    Lock(
        "ci.txt",
        ("test", "release"),
        True,
        ("--universal",),
        "All that CI installs: newest versions when last upgraded, every platform, Python 3.11 and later.",
    ),
    Lock(
        "core.txt",
        (),
        False,
        ("--universal", "--constraints", "requirements/ci.txt"),
        "What spectralid without extras needs, in the versions of ci.txt.",
    ),
    Lock(
        "minimum.txt",
        ("test",),
        True,
        ("--resolution", "lowest-direct", "--python-platform", "x86_64-unknown-linux-gnu"),
        "The lowest versions setup.cfg allows, of all that the tests need: Python 3.11 on Linux x86_64.",
    ),
)


def requirements(root: Path, extras: tuple[str, ...], *, build: bool) -> list[str]:
    """Requirement lines of the core, of `extras` and, if asked for, of the build."""
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].splitlines()
    for extra in extras:
        lines += config["options.extras_require"][extra].splitlines()
    if build:
        with (root / "pyproject.toml").open("rb") as file:
            lines += tomllib.load(file)["build-system"]["requires"]
    return sorted({re.sub(r"\s+", "", line).lower() for line in lines if line.strip()})


def header(lock: Lock, root: Path) -> str:
    """Comment at the top of a lock: what it is, how it is made, what was asked for."""
    asked = requirements(root, lock.extras, build=lock.build)
    return "".join(
        f"{line}\n"
        for line in (
            f"# {lock.about}",
            "# Written by: python .ci/lock.py",
            "# Asked for:",
            *(f"#   {line}" for line in asked),
        )
    )


def faults(lock: Lock, root: Path = ROOT) -> list[str]:
    """What is wrong with a lock, one sentence each."""
    path = root / "requirements" / lock.name
    where = f"requirements/{lock.name}"
    if not path.is_file():
        return [f"{where} is missing."]
    text = path.read_text(encoding="utf-8")
    found = []
    asked = set(requirements(root, lock.extras, build=lock.build))
    written = {line.removeprefix("#   ") for line in text.splitlines() if line.startswith("#   ")}
    if missing := sorted(asked - written):
        found.append(
            f"{where} was locked without {', '.join(missing)}, which setup.cfg or pyproject.toml asks for."
        )
    if extra := sorted(written - asked):
        found.append(f"{where} was locked with {', '.join(extra)}, which nothing asks for any more.")
    body = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if any(re.search(r"://|--(?:extra-)?index-url|--find-links", line) for line in body):
        found.append(f"{where} names an index or an address; a lock holds names, versions and hashes only.")
    pinned = re.compile(
        r"[\w.-]+(?:\[[\w,.-]+\])?==\S+(?: ; [^\\]+?)?(?: \\\n\s+--hash=sha256:[0-9a-f]{64})+"
    )
    found += [
        f"{where}: {entry.splitlines()[0]!r} is not a version with hashes."
        for entry in re.split(r"\n(?=\S)", "\n".join(body))
        if not pinned.fullmatch(entry)
    ]
    return found


def write(lock: Lock, *, upgrade: bool) -> None:
    """Compile one lock with uv."""
    build = [
        line for line in requirements(ROOT, (), build=True) if line not in requirements(ROOT, (), build=False)
    ]
    subprocess.run(
        ["uv", "pip", "compile", "--quiet", "--no-header", "--generate-hashes", "--python-version", "3.11"]
        + [*lock.options, *(["--upgrade"] if upgrade else [])]
        + [argument for extra in lock.extras for argument in ("--extra", extra)]
        + ["--output-file", str(lock.path.relative_to(ROOT)), "setup.cfg", *(["-"] if lock.build else [])],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        input="\n".join(build) if lock.build else None,
        text=True,
    )
    lock.path.write_text(header(lock, ROOT) + lock.path.read_text(encoding="utf-8"), encoding="utf-8")


def main() -> int:
    """Write or check, as asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--upgrade", action="store_true")
    arguments = parser.parse_args()
    if not arguments.check:
        for lock in LOCKS:
            write(lock, upgrade=arguments.upgrade)
    found = [fault for lock in LOCKS for fault in faults(lock)]
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        print("Run: python .ci/lock.py (extra [release]), then commit requirements/.", file=sys.stderr)
        return 1
    print(f"{', '.join(lock.name for lock in LOCKS)}: in step with setup.cfg and pyproject.toml")
    return 0


if __name__ == "__main__":
    sys.exit(main())
