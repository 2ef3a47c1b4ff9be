"""What the readers make of every real file: read, refused with a reason, or failed.

    python benchmarks/readers.py [--details] [COLLECTION …]

"Failed" is an exception outside spectralid's own family and must be zero. A refusal is a sentence; with
``--details`` each is printed, so that a person can judge whether it is right.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from _shared import shared_data

from spectralid import SpectralIDError, read_all
from spectralid.errors import UnsupportedContentError


def outcome(path: Path) -> tuple[str, str]:
    """How reading one file ends, and the sentence or the number of spectra."""
    try:
        spectra = read_all(path)
    except UnsupportedContentError as error:
        return "no vibrational spectrum", str(error.reason)
    except SpectralIDError as error:
        return "not readable", str(getattr(error, "reason", error))
    except Exception as error:
        return "FAILED", f"{type(error).__name__}: {error}"
    return "read", f"{len(spectra)} of {sorted({s.technique.value for s in spectra})}"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collections", nargs="*")
    parser.add_argument("--details", action="store_true", help="print every refusal")
    args = parser.parse_args()
    data = shared_data()
    columns = ("read", "no vibrational spectrum", "not readable", "FAILED")
    print("| collection | files | " + " | ".join(columns) + " | spectra |")
    print("|---|---|" + "---|" * (len(columns) + 1))
    total: Counter[str] = Counter()
    lines: list[str] = []
    for folder in sorted(p for p in data.iterdir() if p.is_dir()):
        if args.collections and folder.name not in args.collections:
            continue
        count: Counter[str] = Counter()
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "SOURCE.txt")
        for path in files:
            kind, words = outcome(path)
            count[kind] += 1
            if kind == "read":
                count["spectra"] += int(words.split()[0])
            else:
                lines.append(f"{kind}: {path.relative_to(data)}: {words}")
        count["files"] = len(files)
        total += count
        cells = " | ".join(str(count[c]) for c in columns)
        print(f"| {folder.name} | {len(files)} | {cells} | {count['spectra']} |", flush=True)
    cells = " | ".join(str(total[c]) for c in columns)
    print(f"| **all** | {total['files']} | {cells} | {total['spectra']} |")
    if args.details:
        print("\n" + "\n".join(lines))
    return 1 if total["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
