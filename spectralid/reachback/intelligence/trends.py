"""What was seized, when, where and how it came: counts and shares with their intervals, and first sightings.

The unit is the case: a seizure counts once for a substance, however many bags it has. What the laboratory
found is *confirmed*; what a chemist decided or, where none has, the field result said is *presumptive*, and
the two are counted apart. A share is of all seizures with a scan in the same cell (period, place, mode), so
that more scanning alone is no trend. Its interval is exact (Clopper and Pearson). Cells too small to say
anything are marked and shown all the same.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.clock import from_text, to_text
from spectralid.errors import ParameterError
from spectralid.proportion import clopper_pearson
from spectralid.reachback.classification import (
    Classification,
    classify,
    classify_families,
    is_of_interest,
)
from spectralid.reachback.intelligence.tables import case_digests
from spectralid.reachback.lab import laboratory
from spectralid.reachback.lab.tables import lab_steps
from spectralid.reachback.store.tables import adjudications, cases, rounds, scans

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from spectralid.reachback.store.database import Database

__all__ = [
    "Cell",
    "Finding",
    "Seizure",
    "Sighting",
    "collect",
    "counts",
    "first_sightings",
    "month_of",
    "period_of",
    "within",
]

Basis = Literal["laboratory", "chemist", "field"]
Level = Literal["substance", "class", "group"]
Split = Literal["", "site", "mode"]
Period = Literal["week", "month"]

LEVELS: Final = ("substance", "class", "group")
SPLITS: Final = ("", "site", "mode")
PERIODS: Final = ("week", "month")

_AT_ONCE: Final = 500
FEW_OF: Final = 20
FEW: Final = 5
"""Cells of fewer seizures than `FEW_OF`, or with fewer than `FEW` of what is counted, are small."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A substance, or a family whose member is not known, in a seizure.

    Attributes
    ----------
    what : Classification
        Its class.
    basis : {"laboratory", "chemist", "field"}
        Who says so.
    """

    what: Classification
    basis: Basis

    @property
    def confirmed(self) -> bool:
        """Whether a laboratory found it."""
        return self.basis == "laboratory"

    def key(self, level: Level) -> str:
        """What it counts as; empty for a family at the level of substances."""
        match level:
            case "substance":
                return self.what.slug
            case "class":
                return " / ".join(self.what.family)
            case "group":
                return self.what.path[0]

    def label(self, level: Level) -> str:
        """What that is called."""
        return self.what.path[-1] if level == "substance" else self.key(level)


@dataclass(frozen=True, slots=True)
class Seizure:
    """A case as it is counted.

    Attributes
    ----------
    case_id, utc, site, mode
        Which, when it was opened (by the server), where, and how it came (``not stated`` if nobody said).
    basis : {"laboratory", "chemist", "field"}
        Who had the last word.
    no_match : bool
        Whether it holds something that nothing in the library matches, as far as is known.
    findings : tuple of Finding
        What it holds.
    """

    case_id: str
    utc: str
    site: str
    mode: str
    basis: Basis
    no_match: bool
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """How often something was found in a period, at a place or by a mode.

    Attributes
    ----------
    period, key, label, where
        What is counted; `where` is empty for everywhere.
    confirmed, presumptive : int
        Seizures in which a laboratory found it, and others.
    of : int
        Seizures with a scan in that period there.
    share, low, high : float or None
        Of both among those, with the exact 95 % interval; ``None`` where there was no seizure.
    small : bool
        Whether these are too few to say anything.
    """

    period: str
    key: str
    label: str
    where: str
    confirmed: int
    presumptive: int
    of: int
    share: float | None
    low: float | None
    high: float | None
    small: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sighting:
    """The first time that something was seen.

    Attributes
    ----------
    level, key, label, path
        What.
    case_id, utc, site, mode
        In which seizure.
    basis : {"laboratory", "chemist", "field"}
        Who says so; presumptive unless it is the laboratory.
    """

    level: Level
    key: str
    label: str
    path: str
    case_id: str
    utc: str
    site: str
    mode: str
    basis: Basis

    def to_dict(self) -> dict[str, Any]:
        """Plain form."""
        return {**asdict(self), "presumptive": self.basis != "laboratory"}


# --- periods -----------------------------------------------------------------------------------------------


def month_of(month: str) -> tuple[datetime, datetime]:
    """Beginning and end of a month given as ``2026-10``, in UTC.

    Raises
    ------
    ParameterError
        If it is none.
    """
    try:
        start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise ParameterError("month", month, "a year and a month, such as 2026-10") from None
    if len(month) != 7 or start.year < 2000:
        raise ParameterError("month", month, "a year and a month, such as 2026-10")
    return start, (start + timedelta(days=32)).replace(day=1)


def period_of(utc: str, period: Period) -> str:
    """The month (``2026-10``) or the ISO week (``2026-W41``) of a time."""
    if period == "month":
        return utc[:7]
    year, week, _ = from_text(utc).isocalendar()
    return f"{year:04d}-W{week:02d}"


def within(seizures: Iterable[Seizure], start: datetime, end: datetime) -> tuple[Seizure, ...]:
    """Those opened from a time on, and before another."""
    low, high = to_text(start), to_text(end)
    return tuple(one for one in seizures if low <= one.utc < high)


# --- reading the record ------------------------------------------------------------------------------------


def collect(
    db: Database, *, until: datetime | None = None, sites: Collection[str] | None = None
) -> tuple[Seizure, ...]:
    """Every seizure with a scan, in the order in which they were opened.

    Parameters
    ----------
    db : Database
        The server's; `linkage_archive.catch_up` has read how seizures came into the country.
    until : datetime, optional
        Only those opened before.
    sites : collection of str, optional
        Only those of these places.

    Notes
    -----
    What a laboratory found counts instead of what the field or a chemist said of the same seizure, also where
    it found nothing of it.
    """
    chosen = (
        sa.select(cases.c.case_id, cases.c.opened_utc, cases.c.site_ref, case_digests.c.mode)
        .outerjoin(case_digests, case_digests.c.case_id == cases.c.case_id)
        .where(cases.c.scans > 0)
        .order_by(cases.c.opened_utc, cases.c.case_id)
    )
    if until is not None:
        chosen = chosen.where(cases.c.opened_utc < to_text(until))
    if sites is not None:
        chosen = chosen.where(cases.c.site_ref.in_(sorted(sites)))
    with db.read() as tx:
        rows = tx.execute(chosen).all()
        field = _field(tx)
        decided = _decided(tx)
        found = _found(tx)
    known = _classes()
    out = []
    for case_id, utc, site, mode in rows:
        said = field.get(case_id, _Field((), (), no_match=False))
        findings: Iterable[Finding]
        if case_id in found:
            basis: Basis = "laboratory"
            findings = (Finding(known(slug), "laboratory") for slug in found[case_id])
            no_match = False
        elif case_id in decided:
            basis = "chemist"
            verdict, slugs = decided[case_id]
            findings = (Finding(known(slug), "chemist") for slug in slugs)
            no_match = verdict == "no_match"
            if verdict == "class_only" and not slugs:
                findings = _of_families(said.families, "chemist", ())
        else:
            basis = "field"
            named = tuple(Finding(known(slug), "field") for slug in said.substances)
            findings = (*named, *_of_families(said.families, "field", named))
            no_match = said.no_match
        unique = {(one.what.path, one.what.slug): one for one in findings}
        out.append(Seizure(case_id, utc, site, mode or "not stated", basis, no_match, tuple(unique.values())))
    return tuple(out)


@dataclass(frozen=True, slots=True)
class _Field:
    substances: tuple[str, ...]
    families: tuple[str, ...]
    no_match: bool


def _classes() -> Callable[[str], Classification]:
    seen: dict[str, Classification] = {}

    def known(slug: str) -> Classification:
        if slug not in seen:
            seen[slug] = classify(slug)
        return seen[slug]

    return known


def _of_families(families: Iterable[str], basis: Basis, named: Iterable[Finding]) -> tuple[Finding, ...]:
    covered = {one.what.family for one in named}
    return tuple(
        Finding(one, basis) for one in classify_families(families) if one.family not in covered
    )  # fmt: skip


def _field(tx: Connection) -> dict[str, _Field]:
    out: dict[str, _Field] = {}
    columns = (scans.c.case_id, scans.c.substances, scans.c.families, scans.c.decision)
    for case_id, substances, families, decision in tx.execute(sa.select(*columns)):
        before = out.get(case_id, _Field((), (), no_match=False))
        out[case_id] = _Field(
            tuple(dict.fromkeys((*before.substances, *json.loads(substances)))),
            tuple(dict.fromkeys((*before.families, *json.loads(families)))),
            before.no_match or decision == "no_match",
        )
    return out


def _decided(tx: Connection) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Verdict and substances of the newest decision of each case that has gone out."""
    chosen = (
        sa.select(adjudications.c.case_id, adjudications.c.content)
        .join(
            rounds,
            (rounds.c.case_id == adjudications.c.case_id) & (rounds.c.round == adjudications.c.round),
        )
        .where(adjudications.c.kind == "decision", rounds.c.answered_utc.is_not(None))
        .order_by(adjudications.c.audit_n)
    )
    out = {}
    for case_id, content in tx.execute(chosen):
        said = json.loads(content)["said"]
        out[case_id] = (str(said["verdict"]), tuple(said["substances"]))
    return out


def _found(tx: Connection) -> dict[str, tuple[str, ...]]:
    """What laboratories found in each case of which a report was applied and says something."""
    applied = sa.select(lab_steps.c.case_id).where(lab_steps.c.what == "applied").distinct()
    case_ids = sorted(case_id for case_id in tx.execute(applied).scalars() if case_id)
    by_case: dict[str, list[laboratory.Result]] = defaultdict(list)
    for start in range(0, len(case_ids), _AT_ONCE):
        for result in laboratory.of_cases(tx, case_ids[start : start + _AT_ONCE]):
            by_case[result.case_id or ""].append(result)
    out = {}
    for case_id, results in by_case.items():
        counting = [one for one in laboratory.standing(results).values() if one.result != "inconclusive"]
        if counting:
            slugs = (one.slug or one.name for result in counting for one in result.substances)
            out[case_id] = tuple(dict.fromkeys(slugs))
    return out


# --- counting ----------------------------------------------------------------------------------------------


def counts(
    seizures: Sequence[Seizure],
    *,
    level: Level = "class",
    period: Period = "month",
    split: Split = "",
    only_of_interest: bool = True,
) -> tuple[Cell, ...]:
    """How often each thing was found, by period and, if asked for, by place or mode.

    Parameters
    ----------
    seizures : sequence of Seizure
        Which, from `collect`.
    level : {"substance", "class", "group"}
        What is counted.
    period : {"month", "week"}
        Over what.
    split : {"", "site", "mode"}
        Where: everywhere, at each place, or by each mode of entry.
    only_of_interest : bool
        Whether cutting agents, foods, solvents and the like are left out.

    Returns
    -------
    tuple of Cell
        By period, place and then the most frequent first. What was found at all has a cell in every period
        and place in which anything was seized, so that a zero is a zero and not a gap.
    """
    of: Counter[tuple[str, str]] = Counter()
    confirmed: Counter[tuple[str, str, str]] = Counter()
    presumptive: Counter[tuple[str, str, str]] = Counter()
    labels: dict[str, str] = {}
    for one in seizures:
        cell = (period_of(one.utc, period), _where(one, split))
        of[cell] += 1
        by_key: dict[str, bool] = {}
        for finding in one.findings:
            key = finding.key(level)
            if not key or (only_of_interest and not is_of_interest(finding.what)):
                continue
            labels.setdefault(key, finding.label(level))
            by_key[key] = by_key.get(key, False) or finding.confirmed
        for key, is_confirmed in by_key.items():
            (confirmed if is_confirmed else presumptive)[(*cell, key)] += 1
    cells = []
    for when, where in sorted(of):
        there = [
            _cell(when, key, labels[key], where, confirmed[when, where, key], presumptive[when, where, key],
                  of[when, where])
            for key in labels
        ]  # fmt: skip
        cells += sorted(there, key=lambda c: (-(c.confirmed + c.presumptive), c.key))
    return tuple(cells)


def _where(one: Seizure, split: Split) -> str:
    return one.site if split == "site" else one.mode if split == "mode" else ""


def _cell(period: str, key: str, label: str, where: str, confirmed: int, presumptive: int, of: int) -> Cell:
    n = confirmed + presumptive
    low, high = clopper_pearson(n, of)
    small = of < FEW_OF or n < FEW
    return Cell(period, key, label, where, confirmed, presumptive, of, n / of, low, high, small)


def first_sightings(
    seizures: Sequence[Seizure],
    *,
    since: datetime | None = None,
    levels: Sequence[Level] = ("substance", "class"),
    only_of_interest: bool = True,
) -> tuple[Sighting, ...]:
    """When each thing was first seen, in the order in which that happened.

    Parameters
    ----------
    seizures : sequence of Seizure
        All of the record, from `collect`: what is not in it counts as not seen.
    since : datetime, optional
        Only what was first seen from then on.
    levels : sequence of str
        Substances, classes, groups.
    only_of_interest : bool
        As for `counts`.
    """
    seen: dict[tuple[str, str], Sighting] = {}
    for one in sorted(seizures, key=lambda s: (s.utc, s.case_id)):
        for finding in one.findings:
            if only_of_interest and not is_of_interest(finding.what):
                continue
            for level in levels:
                key = finding.key(level)
                if key and (level, key) not in seen:
                    seen[level, key] = Sighting(
                        level, key, finding.label(level), finding.what.text(), one.case_id, one.utc, one.site,
                        one.mode, finding.basis,
                    )  # fmt: skip
    earliest = "" if since is None else to_text(since)
    return tuple(one for one in seen.values() if one.utc >= earliest)
