"""Alerts: what is new or has grown, each said once, until a person acknowledges it.

====================  ======================================================================================
``first_sighting``    a substance of interest, or a class, that the record did not have
``increase``          a class that is more frequent in the last whole week than in the twelve before the
                      one before it: everywhere, at a place, or by a mode of entry
``unknown_cluster``   seizures that nothing in the library matches and that show the same mixture: perhaps
                      a substance that nobody has seen
``linked_seizures``   a new seizure that may hold the same mixture as an older one, where there are not so
                      many of its kind that one is expected to look like that by chance; a proposal, which
                      becomes a link only when a chemist accepts it
====================  ======================================================================================

Increases of one run are tested together: if nothing has changed anywhere, the chance that a run raises any
is at most `FALSE_ALARMS` (Benjamini and Hochberg; where no hypothesis is true, that is the family-wise rate).
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import sqlalchemy as sa

from spectralid.casework.clock import from_text, to_text
from spectralid.casework.manifest import dumps
from spectralid.reachback.classification import FENTANYL_RELATED, is_dangerous, is_of_interest
from spectralid.reachback.errors import ConflictError, DecisionError, NotFoundError
from spectralid.reachback.intelligence import trends
from spectralid.reachback.intelligence.linkage_archive import Fingerprints, catch_up
from spectralid.reachback.intelligence.tables import alert_cases, alerts
from spectralid.reachback.intelligence.trends import Seizure
from spectralid.reachback.store import audit
from spectralid.reachback.store.tables import case_links, cases

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, RowMapping

    from spectralid.reachback.store.database import Database

__all__ = [
    "FALSE_ALARMS",
    "Alert",
    "Increase",
    "acknowledge",
    "increases",
    "listed",
    "run",
    "see",
    "significant",
    "unknown_clusters",
]

Kind = Literal["first_sighting", "increase", "unknown_cluster", "linked_seizures"]
KINDS: Final = ("first_sighting", "increase", "unknown_cluster", "linked_seizures")

FALSE_ALARMS: Final = 0.02
"""Chance that a weekly run without any change raises an increase: one in fifty weeks."""
WEEKS: Final = 12
"""Weeks that the last one is compared with. The one just before it is left out: a rise that begins there
would otherwise hide itself."""
_LEAST: Final = 3
_QUIET: Final = timedelta(weeks=4)
LEARNING: Final = timedelta(days=28)
"""What comes in the first weeks of a record is not new, only unknown to it."""
_RECENT: Final = timedelta(days=30)
_SAME_SUBSTANCES: Final = 1.0
LINK: Final = 0.7
"""log₁₀ ratio from which a link is proposed by itself."""
LONGEST_NOTE: Final = 2000


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that a person should look at.

    Attributes
    ----------
    alert_id, kind, subject, headline
        What.
    facts : mapping
        What it rests on, plain data.
    case_ids : tuple of str
        The seizures.
    raised_utc : str
        When.
    acknowledged_by, acknowledged_utc, note : str or None
        Who has looked at it.
    """

    alert_id: str
    kind: Kind
    subject: str
    headline: str
    facts: Mapping[str, Any]
    case_ids: tuple[str, ...]
    raised_utc: str
    acknowledged_by: str | None = None
    acknowledged_utc: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    kind: Kind
    subject: str
    headline: str
    facts: Mapping[str, Any]
    case_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Increase:
    """A class that is more frequent than it was.

    Attributes
    ----------
    key, split, where, week
        What, and where: everywhere, at a site or by a mode.
    count, of : int
        Seizures with it in that week, and all of them there.
    before, before_of : int
        The same of the weeks before together.
    dispersion : float
        How much more than by chance counts are taken to vary from week to week; 1 or more.
    p : float
        Chance of as many or more if nothing had changed.
    """

    key: str
    split: str
    where: str
    week: str
    count: int
    of: int
    before: int
    before_of: int
    dispersion: float
    p: float


# --- increases ---------------------------------------------------------------------------------------------


def chance(count: int, of: float, before: int, before_of: float, *, dispersion: float = 1.0) -> float:
    """Chance of `count` or more, given how many there were in both spans together.

    Parameters
    ----------
    count, before : int
        Occurrences now and before.
    of, before_of : float
        Occasions: both spans' seizures.
    dispersion : float
        Variance over mean of the counts, 1 or more; both counts are divided by it, and the binomial tail is
        taken between whole numbers as the incomplete beta function gives it.

    Notes
    -----
    Two Poisson counts given their sum: the first is binomial (Przyborowski and Wilenski, Biometrika 31 (1940)
    313). It needs no estimate of the rate and is exact for small counts; for counts that vary more than
    Poisson's it is approximate, as Farrington's method is.
    """
    from scipy.special import betainc

    now, then = count / dispersion, before / dispersion
    if count < 1 or of <= 0 or before_of <= 0:
        return 1.0
    return float(betainc(now, then + 1.0, of / (of + before_of)))


def _dispersion(counts: Sequence[int], of: Sequence[int]) -> float | None:
    """Variance over mean of the weeks before; ``None`` where they are too few to tell."""
    whole, occasions = sum(counts), sum(of)
    expected = [whole * one / occasions for one in of] if occasions else []
    # A week without a seizure says nothing about how counts vary.
    terms = [(x - m) ** 2 / m for x, m in zip(counts, expected, strict=False) if m > 0]
    return sum(terms) / (len(terms) - 1) if len(terms) > 2 else None


def _steadied(own: Sequence[float | None]) -> list[float]:
    """Dispersions of streams, each halfway to the mean of all: twelve weeks alone tell it badly."""
    known = [one for one in own if one is not None]
    everywhere = sum(known) / len(known) if known else 1.0
    return [max(1.0, everywhere if one is None else (one + everywhere) / 2) for one in own]


def significant(p: Sequence[float], *, level: float = FALSE_ALARMS) -> list[bool]:
    """Which of several tests stand out together (Benjamini, Hochberg, J. R. Stat. Soc. B 57 (1995) 289)."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    last = max((rank for rank, i in enumerate(order, 1) if p[i] <= level * rank / len(p)), default=0)
    kept = set(order[:last])
    return [i in kept for i in range(len(p))]


def increases(
    seizures: Iterable[Seizure], *, now: datetime, level: float = FALSE_ALARMS
) -> tuple[Increase, ...]:
    """Classes that were more frequent in the last whole week than before.

    Parameters
    ----------
    seizures : iterable of Seizure
        Of the last fourteen weeks at least.
    now : datetime
        When; the week it lies in is not over and does not count.
    level : float
        Chance of any false alarm if nothing changed.
    """
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    starts = [monday - timedelta(weeks=k) for k in range(1, WEEKS + 3)]
    names, end = [to_text(start) for start in starts], to_text(monday)
    occasions: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * len(starts))
    found: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * len(starts))
    for one in seizures:
        if not names[-1] <= one.utc < end:
            continue
        week = next(k for k, name in enumerate(names) if one.utc >= name)
        keys = {f.key("class") for f in one.findings if is_of_interest(f.what)}
        for where in (("", ""), ("site", one.site), ("mode", one.mode)):
            occasions[where][week] += 1
            for key in keys:
                found[(*where, key)][week] += 1
    # A stream without a history cannot have grown; its first sighting is an alert of its own.
    streams = [
        (split, at, key, counts, occasions[split, at])
        for (split, at, key), counts in sorted(found.items())
        if sum(1 for one in occasions[split, at][2:] if one) >= WEEKS // 2
    ]
    name = trends.period_of(names[0], "week")
    spreads = _steadied([_dispersion(counts[2:], of[2:]) for *_, counts, of in streams])
    tests = []
    for (split, at, key, counts, of), spread in zip(streams, spreads, strict=True):
        before, before_of = sum(counts[2:]), sum(of[2:])
        p = chance(counts[0], of[0], before, before_of, dispersion=spread)
        tests.append(Increase(key, split, at, name, counts[0], of[0], before, before_of, spread, p))
    standing = significant([one.p for one in tests], level=level)
    return tuple(one for one, stands in zip(tests, standing, strict=True) if stands and one.count >= _LEAST)


# --- the other kinds ---------------------------------------------------------------------------------------


def unknown_clusters(
    archive: Fingerprints, seizures: Iterable[Seizure], *, least: int = 2
) -> tuple[tuple[str, ...], ...]:
    """Seizures that nothing matched and that show the same substances, every two of them.

    Parameters
    ----------
    archive : Fingerprints
        Refreshed.
    seizures : iterable of Seizure
        Which; those whose findings name something are passed over.
    least : int
        Seizures of a cluster.

    Returns
    -------
    tuple of tuple of str
        Cases in the order in which they were opened.
    """
    unknown = [one.case_id for one in seizures if one.no_match and not one.findings]
    entries = [(case_id, entry) for case_id in unknown for entry in archive.entries(case_id) if entry.unknown]
    clusters: list[list[tuple[str, Any]]] = []
    for case_id, entry in entries:
        for cluster in clusters:
            if all(_same(archive, entry, other) for _, other in cluster):
                cluster.append((case_id, entry))
                break
        else:
            clusters.append([(case_id, entry)])
    found = (tuple(dict.fromkeys(case_id for case_id, _ in cluster)) for cluster in clusters)
    return tuple(one for one in found if len(one) >= least)


def _same(archive: Fingerprints, one: Any, other: Any) -> bool:
    if one.case_id == other.case_id or one.fingerprint.technique != other.fingerprint.technique:
        return False
    compared = archive.compare(one, other)
    return compared is not None and compared.substances >= _SAME_SUBSTANCES


def _sightings(seizures: Sequence[Seizure], now: datetime) -> Iterable[_Found]:
    if not seizures:
        return
    learned = from_text(seizures[0].utc) + LEARNING
    of_case = {one.case_id: one for one in seizures}
    for one in trends.first_sightings(seizures, since=max(learned, now - _RECENT)):
        findings = [
            f for f in of_case[one.case_id].findings if f.key(one.level) == one.key
        ]  # fmt: skip
        deadly = is_dangerous(f.what for f in findings)
        analogue = any(f.what.family == FENTANYL_RELATED for f in findings)
        what = "analogue of fentanyl" if analogue and one.level == "substance" else one.level
        status = "confirmed" if one.basis == "laboratory" else "presumptive"
        yield _Found(
            "first_sighting",
            f"{one.level}:{one.key}",
            f"First seen ({status}): {what} {one.label}",
            {**one.to_dict(), "dangerous": deadly},
            (one.case_id,),
        )


def _grown(seizures: Sequence[Seizure], now: datetime, quiet: Collection[str]) -> Iterable[_Found]:
    for one in increases(seizures, now=now):
        stream = f"{one.key}|{one.split}:{one.where}"
        if stream in quiet:
            continue
        where = f" ({one.split} {one.where})" if one.split else ""
        cases_of = tuple(
            s.case_id
            for s in seizures
            if trends.period_of(s.utc, "week") == one.week
            and (not one.split or (s.site if one.split == "site" else s.mode) == one.where)
            and any(f.key("class") == one.key for f in s.findings)
        )
        expected = one.before * one.of / one.before_of
        yield _Found(
            "increase",
            f"{stream}|{one.week}",
            f"More {one.key}{where} in {one.week}: {one.count} of {one.of}, about {expected:.1f} expected",
            {"stream": stream, **{name: getattr(one, name) for name in Increase.__slots__}},
            cases_of,
        )


def _unknown(archive: Fingerprints, seizures: Sequence[Seizure]) -> Iterable[_Found]:
    for cluster in unknown_clusters(archive, seizures):
        yield _Found(
            "unknown_cluster",
            f"unknown:{cluster[0]}",
            f"The same unknown substance or mixture in {len(cluster)} seizures that nothing matches",
            {"seizures": len(cluster)},
            cluster,
        )


def _linked(
    archive: Fingerprints, seizures: Sequence[Seizure], now: datetime, known: Collection[tuple[str, str]]
) -> Iterable[_Found]:
    opened = {one.case_id: one.utc for one in seizures}
    recent = [one.case_id for one in seizures if one.utc >= to_text(now - _RECENT)]
    for case_id in recent:
        found = archive.similar(case_id, limit=100, visible=opened.__contains__)
        if not found or found[0].log10_ratio < LINK:
            continue
        one, alike = found[0], sum(row.log10_substances > 0 for row in found)
        first, second = sorted((one.case_id, one.other_id))
        # Of so many seizures of the same substances, as many as this may have such a ratio by chance.
        common = alike / 10**one.log10_ratio > 1
        # The younger of the two proposes it, once.
        younger = (opened[one.other_id], one.other_id) < (opened[case_id], case_id)
        if common or not younger or (first, second) in known:
            continue
        yield _Found(
            "linked_seizures",
            f"link:{case_id}",
            f"Two seizures may hold the same mixture: {one.words} (likelihood ratio "
            f"{10**one.log10_ratio:.0f} against another mixture of the same substances)",
            {
                "log10_ratio": round(one.log10_ratio, 3),
                "words": one.words,
                "pairs": one.pairs,
                "alike": alike,
            },
            (first, second),
        )


# --- on record ---------------------------------------------------------------------------------------------


def run(
    db: Database, archive: Fingerprints, *, now: datetime, link_from: float | None = LINK
) -> tuple[Alert, ...]:
    """Look for everything that is new, and put it on record.

    Parameters
    ----------
    db : Database
        The server's.
    archive : Fingerprints
        Of the same database; brought up to date here.
    now : datetime
        When. To be run daily; more often does no harm.
    link_from : float, optional
        log₁₀ ratio from which links are proposed; ``None`` for never.

    Returns
    -------
    tuple of Alert
        What is new since the last run.
    """
    catch_up(db)
    archive.refresh(db)
    seizures = trends.collect(db, until=now)
    with db.read() as tx:
        quiet = _quiet(tx, now)
        known = {(row.case_id, row.other_id) for row in tx.execute(sa.select(case_links))}
        raised = {(row.kind, row.subject) for row in tx.execute(sa.select(alerts.c.kind, alerts.c.subject))}
    found = [*_sightings(seizures, now), *_grown(seizures, now, quiet), *_unknown(archive, seizures)]
    if link_from is not None:
        links = _linked(archive, seizures, now, known)
        found += [one for one in links if one.facts["log10_ratio"] >= link_from]
    new = [one for one in found if (one.kind, one.subject) not in raised]
    return tuple(one for group in _batches(new) for one in _raise(db, group, now=now))


def _batches(found: Sequence[_Found]) -> Iterable[Sequence[_Found]]:
    for start in range(0, len(found), 50):
        yield found[start : start + 50]


def _quiet(tx: Connection, now: datetime) -> set[str]:
    """Streams of which an increase was said lately: it goes on, and is no news."""
    chosen = sa.select(alerts.c.facts).where(
        alerts.c.kind == "increase", alerts.c.raised_utc >= to_text(now - _QUIET)
    )
    return {json.loads(facts)["stream"] for facts in tx.execute(chosen).scalars()}


def _raise(db: Database, found: Sequence[_Found], *, now: datetime) -> list[Alert]:
    out = []
    with db.begin() as tx:
        for one in found:
            same = (alerts.c.kind == one.kind, alerts.c.subject == one.subject)
            if tx.execute(sa.select(alerts.c.alert_id).where(*same)).first():
                continue  # another run was quicker
            digest = hashlib.sha256(f"{one.kind}\0{one.subject}".encode()).hexdigest()
            alert_id = f"A-{digest[:16]}"
            facts = dumps(one.facts).decode()
            row = {
                "alert_id": alert_id,
                "kind": one.kind,
                "subject": one.subject,
                "headline": one.headline,
                "facts": facts,
                "raised_utc": to_text(now),
            }
            tx.execute(alerts.insert(), row)
            case_ids = sorted(set(one.case_ids))
            if case_ids:
                tx.execute(alert_cases.insert(), [{"alert_id": alert_id, "case_id": c} for c in case_ids])
            said = {"kind": one.kind, "subject": one.subject, "headline": one.headline, "cases": case_ids}
            audit.append(tx, "server", "alert", alert_id, said, now=now)
            out.append(
                Alert(alert_id, one.kind, one.subject, one.headline, json.loads(facts), tuple(case_ids),
                      to_text(now))
            )  # fmt: skip
    return out


def listed(
    db: Database,
    *,
    open_only: bool = False,
    kind: Kind | None = None,
    sites: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 200,
) -> tuple[Alert, ...]:
    """Alerts, the newest first.

    Parameters
    ----------
    db : Database
        The server's.
    open_only : bool
        Only those that nobody has acknowledged.
    kind : str, optional
        Only those of one kind.
    sites : collection of str, optional
        Only alerts all of whose seizures are of these places: a count of other places is not theirs either.
    since, until : datetime, optional
        When they were raised.
    limit : int
        At most so many.
    """
    chosen = sa.select(alerts).order_by(alerts.c.raised_utc.desc(), alerts.c.alert_id)
    if open_only:
        chosen = chosen.where(alerts.c.acknowledged_utc.is_(None))
    if kind is not None:
        chosen = chosen.where(alerts.c.kind == kind)
    if since is not None:
        chosen = chosen.where(alerts.c.raised_utc >= to_text(since))
    if until is not None:
        chosen = chosen.where(alerts.c.raised_utc < to_text(until))
    if sites is not None:
        of_others = (
            sa.select(alert_cases.c.alert_id)
            .join(cases, cases.c.case_id == alert_cases.c.case_id)
            .where(cases.c.site_ref.not_in(sorted(sites)))
        )
        chosen = chosen.where(alerts.c.alert_id.not_in(of_others))
    with db.read() as tx:
        rows = tx.execute(chosen.limit(limit)).mappings().all()
        return _with_cases(tx, rows)


def _with_cases(tx: Connection, rows: Sequence[RowMapping]) -> tuple[Alert, ...]:
    of_alert: dict[str, list[str]] = defaultdict(list)
    ids = [row["alert_id"] for row in rows]
    found = tx.execute(sa.select(alert_cases).where(alert_cases.c.alert_id.in_(ids)))
    for alert_id, case_id in found:
        of_alert[alert_id].append(case_id)
    return tuple(
        Alert(
            **{**row, "facts": json.loads(row["facts"]), "case_ids": tuple(sorted(of_alert[row["alert_id"]]))}
        )
        for row in rows
    )


def see(db: Database, alert_id: str, *, sites: Collection[str] | None) -> None:
    """Do nothing if an alert may be shown to somebody of these places.

    Raises
    ------
    NotFoundError
        If there is none, or it is of a place that is not theirs: both look the same.
    """
    chosen = (
        sa.select(cases.c.site_ref)
        .join(alert_cases, alert_cases.c.case_id == cases.c.case_id)
        .where(alert_cases.c.alert_id == alert_id)
    )
    with db.read() as tx:
        there = tx.execute(sa.select(alerts.c.alert_id).where(alerts.c.alert_id == alert_id)).first()
        places = set(tx.execute(chosen).scalars())
    if there is None or (sites is not None and not places <= set(sites)):
        raise NotFoundError(f"There is no alert {alert_id[:40]!r}.")


def acknowledge(db: Database, alert_id: str, *, by: str, note: str, now: datetime) -> Alert:
    """Put on record that a person has looked at an alert.

    Parameters
    ----------
    db : Database
        The server's.
    alert_id : str
        Which.
    by : str
        Who.
    note : str
        What came of it, up to 2,000 characters.
    now : datetime
        When.

    Raises
    ------
    NotFoundError
        If there is no such alert.
    ConflictError
        If another person has acknowledged it before; the same person may again, with the same words.
    DecisionError
        If the note is too long.
    """
    if len(note) > LONGEST_NOTE:
        raise DecisionError(f"A note has up to {LONGEST_NOTE:,} characters.")
    with db.begin() as tx:
        row = tx.execute(sa.select(alerts).where(alerts.c.alert_id == alert_id)).mappings().first()
        if row is None:
            raise NotFoundError(f"There is no alert {alert_id[:40]!r}.")
        if row["acknowledged_utc"] is None:
            said = {"acknowledged_by": by, "acknowledged_utc": to_text(now), "note": note}
            tx.execute(alerts.update().where(alerts.c.alert_id == alert_id).values(**said))
            audit.append(tx, by, "acknowledge", alert_id, {"note": note}, now=now)
        elif (row["acknowledged_by"], row["note"]) != (by, note):
            raise ConflictError(f"{row['acknowledged_by']} has acknowledged the alert {alert_id} already.")
        rows = tx.execute(sa.select(alerts).where(alerts.c.alert_id == alert_id)).mappings().all()
        return _with_cases(tx, rows)[0]
