"""Similar seizures as a chemist sees them, and links that a chemist accepts.

A proposal is never a link: links carry the news when a laboratory refutes a case, and so only a person makes
them. What a link rests on is computed when it is accepted, and stands in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from spectralid.casework.manifest import dumps
from spectralid.reachback.caseload import cases as core
from spectralid.reachback.errors import NotFoundError
from spectralid.reachback.intelligence.linkage_archive import Fingerprints
from spectralid.reachback.intelligence.trends import Seizure
from spectralid.reachback.store.tables import case_links, cases

if TYPE_CHECKING:
    from spectralid.reachback.store.database import Database

__all__ = ["ALTERNATIVE", "LIMITS", "PROPOSITION", "WHY", "Found", "accept", "nodes", "similar"]

WHY: Final = "fingerprint"

PROPOSITION: Final = "The two hold the same mixture: one batch, or batches weighed alike by one recipe."
ALTERNATIVE: Final = "They hold other mixtures of the same substances."
LIMITS: Final = (
    "Fitted and calibrated on simulated seizures. Of an item in which fewer than two substances were found "
    "nothing is said for the same mixture: a pure substance looks the same from anywhere. Batches of one "
    "exact recipe, as of medicines, cannot be told apart. Marks of a press or package are not in a spectrum. "
    "The more seizures are searched, the more look alike by chance."
)


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes
    ----------
    searched : int
        Cases with a fingerprint, other than this one, that were searched.
    alike : int
        Those that speak for the same substances, among the ones compared.
    rows : tuple of dict
        The most similar.
    """

    searched: int
    alike: int
    rows: tuple[dict[str, Any], ...]


def similar(
    db: Database, archive: Fingerprints, case_id: str, *, sites: Collection[str] | None, limit: int
) -> Found:
    """Seizures that may hold the same mixture as one.

    Parameters
    ----------
    db : Database
        The server's.
    archive : Fingerprints
        Refreshed.
    case_id : str
        Which.
    sites : collection of str or None
        Whose cases may be shown; ``None`` for all.
    limit : int
        At most so many.
    """
    columns = (cases.c.case_id, cases.c.site_ref, cases.c.state, cases.c.opened_utc)
    chosen = sa.select(*columns)
    if sites is not None:
        chosen = chosen.where(cases.c.site_ref.in_(sorted(sites)))
    with db.read() as tx:
        there = {row["case_id"]: row for row in tx.execute(chosen).mappings()}
        made = tx.execute(
            sa.select(case_links.c.case_id, case_links.c.other_id, case_links.c.why).where(
                sa.or_(case_links.c.case_id == case_id, case_links.c.other_id == case_id)
            )
        ).all()
    linked: dict[str, list[str]] = {}
    for one, other, why in made:
        linked.setdefault(other if one == case_id else one, []).append(why)
    found = archive.similar(case_id, limit=100, visible=there.__contains__)
    rows = []
    for each in found[:limit]:
        said = asdict(each)
        for name in ("case_id", "other_id"):
            said.pop(name)
        rows.append(
            {
                **there[each.other_id],
                **said,
                "words": each.words,
                "linked": sorted(linked.get(each.other_id, [])),
            }
        )
    searched = {one.case_id for one in archive.entries() if one.case_id in there} - {case_id}
    return Found(len(searched), sum(one.log10_substances > 0 for one in found), tuple(rows))


def accept(
    db: Database, archive: Fingerprints, one: str, other: str, *, by: str, now: datetime
) -> tuple[bool, str]:
    """Link two cases by their fingerprints, on a person's word.

    Parameters
    ----------
    db : Database
        The server's.
    archive : Fingerprints
        Refreshed.
    one, other : str
        The cases.
    by : str
        The chemist.
    now : datetime
        When.

    Returns
    -------
    tuple of (bool, str)
        Whether the link is new, and the fact it carries.

    Raises
    ------
    NotFoundError
        If there is no case of that name, or the two cannot be compared.
    """
    found = archive.between(one, other)
    with db.begin() as tx:
        for case_id in (one, other):
            core.get(tx, case_id)
        if found is None:
            raise NotFoundError(
                f"The cases {one} and {other} have no fingerprints that can be compared; link them with "
                "the reason in words."
            )
        rests_on = {
            _entry(archive, found.case_id, found.item_ref, found.technique),
            _entry(archive, found.other_id, found.other_item, found.technique),
        }
        fact = dumps(
            {
                "log10_ratio": round(found.log10_ratio, 3),
                "words": found.words,
                "pairs": found.pairs,
                "scans_sha256": sorted(rests_on),
            }
        ).decode()
        return core.link(tx, one, other, why=WHY, fact=fact, by=by, now=now), fact


def _entry(archive: Fingerprints, case_id: str, item_ref: str, technique: str) -> str:
    return next(
        one.fingerprint.sha256
        for one in archive.entries(case_id)
        if one.item_ref == item_ref and one.fingerprint.technique == technique
    )


def nodes(db: Database, seizures: Iterable[Seizure]) -> Mapping[str, Mapping[str, Any]]:
    """What a graph says of each seizure; nothing of persons."""
    with db.read() as tx:
        rows = tx.execute(sa.select(cases.c.case_id, cases.c.state))
        states = {row.case_id: row.state for row in rows}
    return {
        one.case_id: {
            "label": one.case_id[2:8],
            "site": one.site,
            "mode": one.mode,
            "opened_utc": one.utc,
            "state": states[one.case_id],
            "found": sorted({f.what.text() for f in one.findings}),
            "presumptive": one.basis != "laboratory",
        }
        for one in seizures
    }
