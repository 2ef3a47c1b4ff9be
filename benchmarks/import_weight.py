"""CPU time and memory that ``import spectralid`` and first uses cost, each in a fresh process.

    python benchmarks/import_weight.py [--runs 9]

Bars: ``import spectralid`` ≤ 200 ms CPU and 50 MB over a bare interpreter.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

USES = {
    "bare interpreter": "pass",
    "import spectralid": "import spectralid",
    "… and the Spectrum type": "import spectralid; spectralid.Spectrum",
    "… and reading a text file": (
        "import io, spectralid; "
        "rows = b''.join(b'%d %d\\n' % (2 * x, x * x % 7) for x in range(99, 300)); "
        "spectralid.read(io.BytesIO(rows), technique='raman')"
    ),
    "… and opening the bundled library": "import spectralid; spectralid.open_library()",
    "import numpy alone": "import numpy",
}
PROGRAM = """
import json, resource, time
before = time.process_time()
{statement}
cpu = time.process_time() - before
print(json.dumps([cpu * 1000, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    print("| use | CPU ms (median) | min … max | resident MB |\n|---|---|---|---|")
    for use, statement in USES.items():
        measured = [
            json.loads(
                subprocess.run(
                    [sys.executable, "-c", PROGRAM.format(statement=statement)],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for _ in range(runs + 1)
        ][1:]
        cpu = [m[0] for m in measured]
        memory = statistics.median(m[1] for m in measured)
        print(f"| {use} | {statistics.median(cpu):.1f} | {min(cpu):.1f} … {max(cpu):.1f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
