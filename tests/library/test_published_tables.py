"""Published band tables: what is committed passes the check, and the check refuses thin tables of drugs."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = Path(__file__).resolve().parents[2] / "libraries"
TABLES = LIBRARIES / "bands" / "literature"
HEAD = (TABLES / "part_a.csv").read_text(encoding="utf-8").splitlines()[0]


def checked(*tables):
    return subprocess.run(
        [sys.executable, str(TABLES / "check.py"), "--compounds", str(LIBRARIES / "compounds.csv"), *tables],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def written(path, slug, technique, strengths):
    """A table of one substance, its bands 50 cm⁻¹ apart."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, HEAD.split(","), restval="")
        writer.writeheader()
        for i, strength in enumerate(strengths):
            writer.writerow(
                {
                    "slug": slug, "technique": technique, "position_cm1": 700 + 50 * i, "strength": strength,
                    "source": "a paper", "url": "https://example.org/", "retrieved": "pages",
                }
            )  # fmt: skip
    return str(path)


def test_the_committed_tables_pass_the_check():
    done = checked(str(TABLES / "part_a.csv"), str(TABLES / "part_b.csv"))
    # Four substances of tables that are not built are in no list of compounds.
    unknown = [line for line in done.stderr.splitlines() if "the compounds have no id" not in line]
    assert unknown == []
    assert "632 bands" in done.stdout


@pytest.mark.parametrize(
    ("slug", "technique", "strengths", "fault"),
    [
        # Six principal peaks, as handbooks of drugs list them.
        ("cocaine", "ftir", ["s"] * 6, "6 bands; of a drug at least 10 are needed"),
        ("fentanyl", "raman", ["s"] * 7, "7 bands; of a drug at least 8 are needed"),
        ("fentanyl", "raman", ["s"] * 7 + [""], "of a drug every band needs its strength"),
        ("methamphetamine", "ftir_atr", [""] * 12, "of a drug every band needs its strength"),
    ],
)
def test_a_thin_table_of_a_drug_is_refused(tmp_path, slug, technique, strengths, fault):
    done = checked(written(tmp_path / "drug.csv", slug, technique, strengths))
    assert done.returncode == 1
    assert fault in done.stderr


@pytest.mark.parametrize(
    ("slug", "technique", "strengths"),
    [
        ("cocaine", "ftir", ["vs", "s", "0.4", "m", "w"] * 2),
        ("fentanyl", "raman", ["m"] * 8),
        # A mineral has few bands, and no alarm rests on it.
        ("quartz", "raman", [""] * 4),
    ],
)
def test_a_sufficient_table_passes(tmp_path, slug, technique, strengths):
    done = checked(written(tmp_path / "table.csv", slug, technique, strengths))
    assert (done.returncode, done.stderr) == (0, "")
