"""A process that is to be killed: it captures without end and prints what was acknowledged.

Run as a server, so that a victim costs a fork and not a start of Python: every line on standard input is a
folder and a seed; a child is forked, says ``pid N``, then ``stored <packet id> <seq> <sha256>`` after each
capture that returned. When it is dead the server says ``dead``.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from spectralid.casework.store import CaseStore

from .workload import drafts


def _say(text: str) -> None:
    # One write below PIPE_BUF is atomic: what arrives is a whole line, whenever the kill comes.
    os.write(1, f"{text}\n".encode())


def _work(folder: Path, seed: int) -> None:
    _say(f"pid {os.getpid()}")
    with CaseStore.open(folder, ballast_bytes=4096) as store:
        for draft in drafts(random.Random(seed)):
            stored = store.capture(draft)
            _say(f"stored {stored.packet_id} {stored.seq} {stored.sha256}")


def main() -> None:
    for line in sys.stdin:
        folder, seed = line.split()
        child = os.fork()
        if child == 0:
            _work(Path(folder), int(seed))
            os._exit(1)
        os.waitpid(child, 0)
        _say("dead")


if __name__ == "__main__":
    main()
