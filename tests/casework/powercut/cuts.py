"""Cut the power at every operation of a recording, many times, and count what each check finds."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .disk import STYLES, Disk, write_image
from .recording import Operation

Check = Callable[[Path, Sequence[Any], random.Random], "list[Finding]"]
"""Opens the folder as it is after a cut, given what had been acknowledged, and says what is wrong."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong after a cut.

    Attributes
    ----------
    kind : str
        ``"lost"``: acknowledged and not there. ``"torn"``: there in part. ``"corrupt"``: the database is
        damaged. ``"unusable"``: it cannot be opened or captured into.
    text : str
    """

    kind: str
    text: str


@dataclass
class Tally:
    """How many cuts there were and how many of them were found to have done harm.

    Attributes
    ----------
    cuts : int
        Power cuts.
    images : int
        Different folders that they left, each one opened and looked at; cuts that leave the same one with the
        same promises made are looked at once.
    harmed : Counter
        Cuts after which something was lost, torn, corrupt or unusable.
    examples : list of str
        Some of them.
    seconds : float
    """

    cuts: int = 0
    images: int = 0
    harmed: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, where: str, findings: Sequence[Finding]) -> None:
        self.cuts += 1
        self.harmed.update({finding.kind for finding in findings})
        if findings and len(self.examples) < 10:
            self.examples.append(f"{where}: " + "; ".join(f"{f.kind}: {f.text}" for f in findings[:3]))

    def merge(self, other: Tally) -> None:
        self.cuts += other.cuts
        self.images += other.images
        self.harmed.update(other.harmed)
        self.examples = (self.examples + other.examples)[:10]
        self.seconds += other.seconds

    @property
    def clean(self) -> bool:
        return not self.harmed


@dataclass(frozen=True)
class Cut:
    """One power cut: where in the recording, how the unsynced operations fared, and what was left."""

    index: int
    style: str
    acknowledged: tuple[Any, ...]
    image: dict[str, bytes]


def cuts(
    operations: Sequence[Operation],
    rng: random.Random,
    per_index: int,
    files: dict[str, bytes] | None = None,
) -> Iterator[Cut]:
    """Power cuts before each operation of a recording and after the last, `per_index` at each.

    Where nothing is unsynced all cuts leave the same image, and there is only one.
    """
    disk = Disk(files)
    acknowledged: list[Any] = []
    for index in range(len(operations) + 1):
        styles = list(STYLES) + rng.choices(STYLES, k=max(0, per_index - len(STYLES)))
        rng.shuffle(styles)
        for style in styles[:per_index] if disk.unsynced else ("everything",):
            yield Cut(index, style, tuple(acknowledged), disk.after_cut(style, rng))
        if index < len(operations):
            operation = operations[index]
            if operation.kind == "mark":
                acknowledged.append(operation.note)
            else:
                disk.do(operation)


def cut_and_check(
    operations: Sequence[Operation],
    check: Check,
    folder: Path,
    *,
    seed: int,
    per_index: int,
    files: dict[str, bytes] | None = None,
) -> Tally:
    """Cut everywhere, write what is left into `folder`, and let `check` look at it."""
    rng = random.Random(seed)
    tally = Tally()
    started = time.perf_counter()
    known: dict[tuple[int, int], list[Finding]] = {}
    for cut in cuts(operations, rng, per_index, files):
        key = (len(cut.acknowledged), hash(tuple(sorted(cut.image.items()))))
        if key not in known:
            write_image(folder, cut.image)
            known[key] = check(folder, cut.acknowledged, rng)
        tally.add(f"seed {seed}, before operation {cut.index}, {cut.style}", known[key])
    tally.images = len(known)
    tally.seconds = time.perf_counter() - started
    return tally
