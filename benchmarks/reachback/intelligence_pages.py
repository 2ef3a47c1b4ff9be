"""A simulated record, and what the intelligence room makes of it: figures for docs/reachback-intelligence.md.

::

    python benchmarks/reachback/intelligence_pages.py --output docs/images

Twelve months of seizures come in through the real ingest; fentanyl is cut by two makers, an analogue appears
in the last month, and two mixtures that nothing matches come again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from spectralid.plot import save  # noqa: E402
from spectralid.reachback.intelligence import alerts, graph, links, trends  # noqa: E402
from spectralid.reachback.intelligence.bulletin import bulletin_csv, bulletin_facts, bulletin_pdf  # noqa: E402
from spectralid.reachback.intelligence.linkage_archive import Fingerprints  # noqa: E402
from spectralid.reachback.lab import laboratory  # noqa: E402
from spectralid.reachback.store import migrate  # noqa: E402
from spectralid.reachback.store.database import open_database  # noqa: E402
from tests.reachback.desk import Desk, says  # noqa: E402
from tests.reachback.mixtures import scan  # noqa: E402

MONTH = "2026-10"
START = datetime(2025, 11, 3, 8, tzinfo=UTC)
END = datetime(2026, 11, 1, tzinfo=UTC)
# Substances of `tests.reachback.mixtures` by number: what each kind of seizure holds, and how often it comes.
KINDS = (
    ("cocaine", 0.30, {1: 0.7, 2: 0.3}, 0.6),
    ("methamphetamine", 0.22, {3: 0.9, 4: 0.1}, 0.5),
    ("fentanyl", 0.16, {5: 0.1, 6: 0.5, 2: 0.4}, 0.7),
    ("mdma", 0.08, {7: 0.6, 8: 0.4}, 0.4),
    ("ketamine", 0.05, {9: 1.0}, 0.2),
    ("lactose", 0.19, {2: 1.0}, 0.1),
)
WEEKLY = 7.0


def fill(desk: Desk, rng: np.random.Generator) -> None:
    """Seizures of twelve months."""
    sites = {"north": desk.tablet, "airport": desk.enrol("tablet-a", site="airport")}
    sites["south"] = desk.enrol("tablet-s", site="south")
    desk.time = START
    number = 0
    while desk.time < END - timedelta(hours=20):
        number += 1
        late = desk.time > END - timedelta(days=30)
        what, _, parts, apart = KINDS[int(rng.choice(len(KINDS), p=[k[1] for k in KINDS]))]
        shares = {k: v * float(np.exp(rng.normal(0, apart))) for k, v in parts.items()}
        slugs: tuple[str, ...] = (what, *(("caffeine", "lactose")[: len(parts) - 1]))
        said = {"decision": "identified"}
        if what == "fentanyl" and rng.random() < 0.6:
            # One maker weighs alike.
            shares = {k: v * float(np.exp(rng.normal(0, 0.03))) for k, v in parts.items()}
        if late and rng.random() < 0.12:
            slugs, shares = ("para-fluorofentanyl", "lactose"), {15: 0.15, 2: 0.85}
        elif rng.random() < 0.015 or (late and rng.random() < 0.08):
            slugs, said = (), {"decision": "no_match"}
            shares = {31 if late else 40 + number % 7: 1.0}
        site = str(rng.choice(list(sites), p=[0.5, 0.3, 0.2]))
        mode = str(
            rng.choice(["mail", "land", "air"], p=[0.6, 0.2, 0.2] if site != "south" else [0.1, 0.9, 0.0])
        )
        tablet = sites[site]
        ref = f"S-{number:05d}"
        desk.ingest(tablet.seizure(ref, mode=mode))
        how = {"shift": {"north": 0.0, "airport": 1.2, "south": -1.5}[site]}
        for k in range(int(rng.integers(1, 4))):
            how["fluorescence"], how["grain"] = float(rng.uniform(0, 2)), 0.05
            raw = scan(tablet, ref, shares, 10 * number + k, serial=site, substances=slugs, how=how, **said)
            case_id = desk.ingest(raw).case
        if slugs and rng.random() < 0.5:
            lease = desk.lease(case_id)
            if desk.decide(lease, says(*slugs)).state == "SECOND_REVIEW":
                desk.review(desk.lease(case_id, "ben", senior=True))
            if rng.random() < 0.4:
                laboratory.record(
                    desk.db, desk.keys, case_id, result="confirmed", substances=slugs, laboratory="F",
                    sample_ref=ref, by="lab", now=desk.time,
                )  # fmt: skip
        desk.time += timedelta(hours=float(rng.exponential(168 / WEEKLY)))


def main() -> None:
    """Write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--keep", action="store_true", help="write the PDF and the CSV as well")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        db = open_database(None, folder)
        migrate.upgrade(db)
        desk = Desk(db)
        fill(desk, np.random.default_rng(8))
        archive = Fingerprints()
        for one in alerts.run(db, archive, now=END - timedelta(minutes=1)):
            print(one.kind, one.headline)
        facts = bulletin_facts(db, MONTH, archive=archive)
        seizures = trends.within(trends.collect(db), *trends.month_of(MONTH))
        save(
            graph.graph_figure(graph.build(archive, links.nodes(db, seizures))),
            args.output / "reachback-graph.png",
        )
        pdf = bulletin_pdf(facts)
        db.close()
    import pypdfium2

    document = pypdfium2.PdfDocument(pdf)
    first = document[0].render(scale=1.4).to_pil()
    first.save(args.output / "reachback-bulletin.png", optimize=True)
    document.close()
    if args.keep:
        (args.output / "bulletin.pdf").write_bytes(pdf)
        (args.output / "bulletin.csv").write_bytes(bulletin_csv(facts))


if __name__ == "__main__":
    main()
