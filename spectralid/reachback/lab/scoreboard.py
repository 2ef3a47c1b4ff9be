"""Presumptive against laboratory: how often the field, and the chemists, said what the laboratory then found.

One item is one comparison, with the laboratory's word that counts for it (`laboratory.standing`). What the
field said is the newest scan of the item; what the chemist said is the newest decision before the
laboratory's result, on cases of one item only (a decision on several items names no item). Only substances
that a laboratory is expected to report count (`classification.is_of_interest`): lactose that nobody looked
for is neither right nor wrong.

**Verification bias.** Laboratories see what was sent to them, and that is what somebody was worried about.
*Confirmed among verified* is therefore no property of the method. Each line has three rates: among all that
was verified; among the samples drawn for quality assurance, which are drawn at random from the results that
nothing else escalates (unbiased for those, and few); and weighted: each verified item stands for the items of
its stratum, by whether something was claimed and whether it was escalated (unbiased as far as the choice
within a stratum does not depend on the truth). What part of the items is in strata of which nothing was
verified is stated, since no weight brings that back.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.clock import to_text
from spectralid.proportion import clopper_pearson
from spectralid.reachback import classification, csv_out
from spectralid.reachback.lab import laboratory
from spectralid.reachback.lab.reports import Result
from spectralid.reachback.lab.tables import lab_samples
from spectralid.reachback.store.tables import adjudications, cases, scans

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = [
    "BY",
    "CAVEAT",
    "OUTCOMES",
    "Claim",
    "Line",
    "Rate",
    "Scoreboard",
    "compare",
    "figure",
    "scoreboard",
]

Sayer = Literal["field", "chemist"]

BY: Final = ("all", "device", "site", "technique", "library", "engine", "substance", "family")
"""What lines are made for."""

OUTCOMES: Final = (
    "agree", "same_family", "incomplete", "excess", "wrong_substance", "false_positive", "false_negative",
    "true_negative",
)  # fmt: skip
"""What a comparison comes to. ``same_family``: another member, or the family alone, was said. ``incomplete``:
right, and something more was found. ``excess``: right, and something more was said."""

CAVEAT: Final = (
    "Rates among verified samples hold for what was sent to a laboratory, not for what was scanned. "
    "The rates of quality-assurance samples are unbiased for results that nothing else escalates; weighted "
    "rates are so as far as the choice within a stratum does not depend on the truth."
)

_NAMED: Final = frozenset({"identified", "mixture"})
_FALSE_POSITIVE: Final = frozenset({"false_positive", "wrong_substance", "excess"})
_FALSE_NEGATIVE: Final = frozenset({"false_negative", "wrong_substance", "incomplete"})
_AT_ONCE: Final = 400
# Most scans of a year say one of a few things.
_KEPT: Final = 10_000

Family = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody said of an item, as far as a laboratory would report it.

    Attributes
    ----------
    substances : frozenset of str
        Named, by slug.
    families : frozenset of tuple
        Alarmed for without a name, as class paths.
    """

    substances: frozenset[str] = frozenset()
    families: frozenset[Family] = frozenset()

    @property
    def positive(self) -> bool:
        """Whether it claims anything."""
        return bool(self.substances or self.families)

    def all_families(self) -> frozenset[Family]:
        """Those alarmed for, and those of what is named."""
        return self.families | {_family(one) for one in self.substances}

    @classmethod
    def of(cls, slugs: Iterable[str], families: Iterable[str] = ()) -> Claim:
        """A claim from what was named, without what is of no interest."""
        named = classification.interesting(slugs)
        alarmed = classification.classify_families(families)
        return cls(named, frozenset(one.family for one in alarmed if classification.is_of_interest(one)))


@lru_cache(maxsize=_KEPT)
def _family(slug: str) -> Family:
    return classification.classify(slug).family


def compare(said: Claim, result: Result) -> tuple[str, Claim] | None:
    """What a claim comes to against a laboratory's result, and what the laboratory found.

    Returns
    -------
    tuple of (str, Claim) or None
        ``None`` if they cannot be set against each other: inconclusive, or refuted without saying what was
        found where nothing was claimed.
    """
    if result.result == "inconclusive":
        return None
    if result.substances:
        found = Claim.of(one.slug for one in result.substances)
    elif result.result == "confirmed":
        found = said
    elif said.positive:
        found = Claim()
    else:
        return None
    return _outcome(said, found), found


def _outcome(said: Claim, found: Claim) -> str:
    if not said.positive:
        return "false_negative" if found.positive else "true_negative"
    if not found.positive:
        return "false_positive"
    right = said.substances & found.substances
    shared = said.all_families() & found.all_families()
    if not right and not shared:
        return "wrong_substance"
    if any(_family(one) not in said.all_families() for one in found.substances - said.substances):
        return "incomplete"
    if any(_family(one) not in shared for one in said.substances - found.substances):
        return "excess"
    return "agree" if said == found or (right and said.substances == found.substances) else "same_family"


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its exact 95 % interval.

    Attributes
    ----------
    hits, of : int
        How often, of how many. For weighted rates `of` is the effective number of samples, rounded down.
    share, low, high : float
        0 … 1.
    """

    hits: int
    of: int
    share: float
    low: float
    high: float


def _rate(hits: int, of: int) -> Rate | None:
    if of < 1:
        return None
    low, high = clopper_pearson(hits, of)
    return Rate(hits, of, hits / of, low, high)


def _weighted_rate(pairs: Sequence[tuple[bool, float]]) -> Rate | None:
    """A rate of weighted samples, its interval by the effective number of them (Korn and Graubard 1998)."""
    total = sum(weight for _, weight in pairs)
    if not total:
        return None
    share = sum(weight for hit, weight in pairs if hit) / total
    effective = max(1, int(total**2 / sum(weight**2 for _, weight in pairs) + 1e-9))
    hits = round(share * effective)
    low, high = clopper_pearson(hits, effective)
    return Rate(hits, effective, share, min(low, share), max(high, share))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the scoreboard.

    Attributes
    ----------
    by, key, sayer
        Of what, and who said it.
    items : int
        Items in the time, verified or not (for substances and families: those of which it was said).
    verified, inconclusive : int
        Items with a laboratory's word that can be compared, and with one that is inconclusive.
    outcomes : mapping of str to int
        Of the verified, as in `OUTCOMES`; of substances and families ``both``, ``said_only``, ``found_only``.
    confirmed : Rate or None
        Confirmed among verified, of what was said.
    false_positive : Rate or None
        Of what the laboratory found empty of anything of interest, how much was said to hold something.
    false_negative : Rate or None
        Of what the laboratory found something in, how often something of it was not said.
    qa_confirmed, qa_false_positive, qa_false_negative : Rate or None
        The same among samples drawn for quality assurance.
    weighted_confirmed, weighted_false_positive, weighted_false_negative : Rate or None
        The same, weighted to all items.
    unseen : float or None
        Share of the items that are in strata of which nothing was verified.
    """

    by: str
    key: str
    sayer: Sayer
    items: int
    verified: int
    inconclusive: int
    outcomes: Mapping[str, int]
    confirmed: Rate | None
    false_positive: Rate | None
    false_negative: Rate | None
    qa_confirmed: Rate | None = None
    qa_false_positive: Rate | None = None
    qa_false_negative: Rate | None = None
    weighted_confirmed: Rate | None = None
    weighted_false_positive: Rate | None = None
    weighted_false_negative: Rate | None = None
    unseen: float | None = None


@dataclass(frozen=True, slots=True)
class Scoreboard:
    """Presumptive against laboratory, for the scans received in a time.

    Attributes
    ----------
    since_utc, until_utc : str
        The time.
    sampling : mapping of str to int
        Verified items by why they were sent: ``escalated``, ``routine``, ``qa_sample``.
    lines : tuple of Line
        By `BY`, then key, then who said it.
    caveat : str
        To be read with any of it.
    """

    since_utc: str
    until_utc: str
    sampling: Mapping[str, int]
    lines: tuple[Line, ...]
    caveat: str = CAVEAT

    def find(self, by: str, key: str, sayer: Sayer = "field") -> Line | None:
        """One line."""
        return next((x for x in self.lines if (x.by, x.key, x.sayer) == (by, key, sayer)), None)

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        return asdict(self)

    def to_csv(self) -> bytes:
        """A table, one line each; rates in columns of their own."""
        plain = ("by", "key", "sayer", "items", "verified", "inconclusive")
        rates = [name for name in Line.__dataclass_fields__ if name.endswith(("confirmed", "tive"))]
        kinds = (*OUTCOMES, "both", "said_only", "found_only")
        columns = [*plain, *kinds, *(f"{n}_{p}" for n in rates for p in Rate.__dataclass_fields__), "unseen"]
        rows = []
        for one in self.lines:
            cells: list[Any] = [getattr(one, name) for name in plain]
            cells += [one.outcomes.get(kind, "") for kind in kinds]
            for name in rates:
                rate = getattr(one, name)
                cells += [None if rate is None else getattr(rate, p) for p in Rate.__dataclass_fields__]
            rows.append([*cells, one.unseen])
        return csv_out.written(columns, rows)


# --- from the record ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Item:
    """What is known of one item."""

    case_id: str
    facts: Mapping[str, str]
    said: dict[Sayer, Claim]
    by_technique: dict[str, Claim]
    reason: str
    result: Result | None = None


def scoreboard(
    db: Database,
    *,
    since: datetime,
    until: datetime,
    sites: Collection[str] | None = None,
) -> Scoreboard:
    """Set what was said of the items scanned in a time against what laboratories found.

    Parameters
    ----------
    db : Database
        The server's.
    since, until : datetime
        When the scans were received; the end is not in it.
    sites : collection of str, optional
        Only cases of these.
    """
    with db.read() as tx:
        items = _items(tx, since, until, sites)
        _verify(tx, items)
        _decisions(tx, items)
    board = _Board()
    for item in items.values():
        board.add(item)
    sampled = Counter(one.reason for one in items.values() if _conclusive(one))
    return Scoreboard(to_text(since), to_text(until), dict(sorted(sampled.items())), tuple(board.lines()))


def _conclusive(item: _Item) -> bool:
    return item.result is not None and item.result.result != "inconclusive"


def _items(
    tx: Connection, since: datetime, until: datetime, sites: Collection[str] | None
) -> dict[tuple[str, str], _Item]:
    columns = scans.c
    chosen = (
        sa.select(
            columns.case_id, columns.item_ref, columns.device_id, columns.technique, columns.decision,
            columns.families, columns.substances, columns.library_name, columns.library_version,
            columns.engine_version, columns.why, cases.c.site_ref,
        )
        .join_from(scans, cases, cases.c.case_id == columns.case_id)
        .where(columns.received_utc >= to_text(since), columns.received_utc < to_text(until))
        .order_by(columns.device_id, columns.seq)
    )  # fmt: skip
    if sites is not None:
        chosen = chosen.where(cases.c.site_ref.in_(sorted(sites)))
    found: dict[tuple[str, str], _Item] = {}
    whys: dict[tuple[str, str], list[str]] = {}
    for row in tx.execute(chosen).mappings():
        key = (row["case_id"], row["item_ref"])
        claim = _field_claim(row["decision"], row["substances"], row["families"])
        item = found.get(key)
        if item is None:
            item = found[key] = _Item(row["case_id"], {}, {}, {}, "")
        # The newest scan counts: the officer scanned again because the one before did not do.
        item.said["field"] = claim
        item.by_technique[row["technique"]] = claim
        item.facts = {
            "device": row["device_id"],
            "site": row["site_ref"],
            "library": f"{row['library_name']} {row['library_version']}".strip(),
            "engine": row["engine_version"],
        }
        whys.setdefault(key, []).append(row["why"])
    for key, item in found.items():
        item.reason = laboratory.sampling_of(whys[key])
    return found


@lru_cache(maxsize=_KEPT)
def _field_claim(decision: str, substances: str, families: str) -> Claim:
    named = json.loads(substances) if decision in _NAMED else []
    return Claim.of(named, json.loads(families))


def _verify(tx: Connection, items: Mapping[tuple[str, str], _Item]) -> None:
    """Add the laboratory's word that counts, and why the sample was sent."""
    ids = sorted({one.case_id for one in items.values()})
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        sent = {
            (row.laboratory, row.sample_ref): row.sampling
            for row in tx.execute(sa.select(lab_samples).where(lab_samples.c.case_id.in_(some)))
        }
        of_case: dict[str, list[Result]] = {}
        for result in laboratory.of_cases(tx, some):
            of_case.setdefault(str(result.case_id), []).append(result)
        for case_id, results in of_case.items():
            for item_ref, result in laboratory.standing(results, waiting=True).items():
                item = items.get((case_id, item_ref or ""))
                if item is not None:
                    item.result = result
                    registered = sent.get((result.laboratory, result.sample_ref), "")
                    item.reason = result.sampling or registered or item.reason


def _decisions(tx: Connection, items: Mapping[tuple[str, str], _Item]) -> None:
    """Add what the chemist said, where the case is of one item."""
    alone = Counter(one.case_id for one in items.values())
    of_case = {one.case_id: one for one in items.values() if alone[one.case_id] == 1}
    ids = sorted(of_case)
    columns = adjudications.c
    for start in range(0, len(ids), _AT_ONCE):
        chosen = sa.select(columns.case_id, columns.utc, columns.content).where(
            columns.case_id.in_(ids[start : start + _AT_ONCE]), columns.kind == "decision"
        )
        for row in tx.execute(chosen.order_by(columns.audit_n)):
            item = of_case[row.case_id]
            if item.result is None or row.utc <= item.result.received_utc:
                said = json.loads(row.content)["said"]
                item.said["chemist"] = Claim.of(said["substances"])


# --- counting ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """What is counted for one line."""

    strata: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    inconclusive: int = 0
    seen: list[tuple[str, bool, bool, str]] = field(default_factory=list)

    def add(self, said: Claim, reason: str, result: Result | None) -> None:
        self.strata[said.positive, reason == "escalated"] += 1
        if result is None:
            return
        if result.result == "inconclusive":
            self.inconclusive += 1
        elif (compared := compare(said, result)) is not None:
            outcome, found = compared
            self.seen.append((outcome, said.positive, found.positive, reason))

    def line(self, by: str, key: str, sayer: Sayer) -> Line:
        verified = Counter((said, reason == "escalated") for _, said, _, reason in self.seen)
        total = self.strata.total()
        unseen = sum(n for stratum, n in self.strata.items() if not verified[stratum])
        among = [_rate(*_counted(pairs)) for pairs in self._pairs(None)]
        drawn = [_rate(*_counted(pairs)) for pairs in self._pairs("qa_sample")]
        weighted = [
            _weighted_rate([(hit, self.strata[at] / verified[at]) for hit, at in pairs])
            for pairs in self._pairs(None)
        ]
        outcomes = {kind: n for kind in OUTCOMES if (n := sum(one[0] == kind for one in self.seen))}
        return Line(
            by, key, sayer, total, len(self.seen), self.inconclusive, outcomes,
            among[0], among[1], among[2], drawn[0], drawn[1], drawn[2], weighted[0], weighted[1], weighted[2],
            unseen / total if total else None,
        )  # fmt: skip

    def _pairs(self, reason: str | None) -> Iterator[list[tuple[bool, tuple[bool, bool]]]]:
        """Of confirmed, false positive and false negative: hit or not, and the stratum."""
        rows = [(*one[:3], one[3] == "escalated") for one in self.seen if reason in (None, one[3])]
        yield [(kind not in _FALSE_POSITIVE, (said, why)) for kind, said, _, why in rows if said]
        yield [(kind == "false_positive", (said, why)) for kind, said, found, why in rows if not found]
        yield [(kind in _FALSE_NEGATIVE, (said, why)) for kind, said, found, why in rows if found]


def _counted(pairs: Sequence[tuple[bool, Any]]) -> tuple[int, int]:
    return sum(hit for hit, _ in pairs), len(pairs)


@dataclass(slots=True)
class _Of:
    """What is counted for one substance or family."""

    said: int = 0
    both: int = 0
    said_only: int = 0
    found_only: int = 0
    inconclusive: int = 0

    def line(self, by: str, key: str, sayer: Sayer) -> Line:
        kinds = {"both": self.both, "said_only": self.said_only, "found_only": self.found_only}
        return Line(
            by, key, sayer, self.said, sum(kinds.values()), self.inconclusive, kinds,
            _rate(self.both, self.both + self.said_only), None,
            _rate(self.found_only, self.both + self.found_only),
        )  # fmt: skip


class _Board:
    """All lines in the making."""

    def __init__(self) -> None:
        self.tallies: dict[tuple[str, str, Sayer], _Tally] = {}
        self.of: dict[tuple[str, str, Sayer], _Of] = {}

    def add(self, item: _Item) -> None:
        for sayer, said in item.said.items():
            for by, key in (("all", "all"), *item.facts.items()):
                self._tally(by, key, sayer).add(said, item.reason, item.result)
            self._named(said, sayer, item.result)
        for technique, said in item.by_technique.items():
            self._tally("technique", technique, "field").add(said, item.reason, item.result)

    def _tally(self, by: str, key: str, sayer: Sayer) -> _Tally:
        return self.tallies.setdefault((by, key, sayer), _Tally())

    def _named(self, said: Claim, sayer: Sayer, result: Result | None) -> None:
        compared = None if result is None else compare(said, result)
        found = compared[1] if compared else None
        whole: tuple[tuple[str, Claim | None, Any], ...] = (
            ("substance", found, lambda one: one.substances),
            ("family", found, lambda one: {" / ".join(path) for path in one.all_families()}),
        )
        for by, truth, keys in whole:
            mine, theirs = keys(said), keys(truth) if truth is not None else frozenset()
            for key in mine | theirs:
                of = self.of.setdefault((by, key, sayer), _Of())
                of.said += key in mine
                if truth is None:
                    of.inconclusive += result is not None
                elif key in mine:
                    of.both += key in theirs
                    of.said_only += key not in theirs
                else:
                    of.found_only += 1

    def lines(self) -> list[Line]:
        made = [tally.line(*key) for key, tally in self.tallies.items()]
        made += [of.line(*key) for key, of in self.of.items()]
        return sorted(made, key=lambda one: (BY.index(one.by), one.key, one.sayer != "field"))


# --- to look at --------------------------------------------------------------------------------------------

_MOST_DRAWN: Final = 30


def figure(board: Scoreboard, by: str = "device", sayer: Sayer = "field") -> Figure:
    """Confirmed among verified with its interval, line by line; weighted rates beside them where they differ.

    Parameters
    ----------
    board : Scoreboard
        What to draw.
    by : str
        One of `BY`.
    sayer : {"field", "chemist"}
        Whose word.
    """
    from matplotlib.figure import Figure

    chosen = [one for one in board.lines if one.by in ("all", by) and one.sayer == sayer and one.confirmed]
    chosen = sorted(chosen, key=lambda one: (one.by == "all", one.verified))[-_MOST_DRAWN:]
    drawn = Figure(figsize=(7.0, 1.6 + 0.32 * max(1, len(chosen))), layout="constrained")
    axes = drawn.subplots()
    looks = (("confirmed", "#0b3d91", "o", "among verified", 0.12),
             ("weighted_confirmed", "#b35900", "D", "weighted to all items", -0.12))  # fmt: skip
    for name, colour, mark, label, shift in looks:
        points = [(at, rate) for at, one in enumerate(chosen) if (rate := getattr(one, name)) is not None]
        if points:
            below = [rate.share - rate.low for _, rate in points]
            above = [rate.high - rate.share for _, rate in points]
            axes.errorbar(
                [rate.share for _, rate in points], [at + shift for at, _ in points],
                xerr=[below, above],
                fmt=mark, color=colour, capsize=3, markersize=5, label=label,
            )  # fmt: skip
    axes.set_yticks(
        range(len(chosen)), [f"{one.key}  (n = {one.confirmed.of})" for one in chosen if one.confirmed]
    )
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel(f"share of what the {sayer} said that the laboratory bore out (95 % interval)")
    axes.set_title("Only what was sent to a laboratory is verified", fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    if chosen:
        axes.legend(loc="lower left", fontsize=8)
    return drawn
