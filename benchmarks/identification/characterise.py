"""Characterises the simulated instruments, as a user does theirs: models for the joint fit.

    python benchmarks/identification/characterise.py

Scans of 40 development substances (`splits.py`), each by a unit drawn anew, against the libraries of the two
simulated worlds; writes ``simulated-raman.json`` and ``simulated-infrared.json`` beside itself. Everything
else that is simulated here is measured with these models.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import labelled
import numpy as np
from splits import part
from tqdm import tqdm

from spectralid import open_library
from spectralid.identify import Identifier, write_instrument_model

SCANS = 40
SEED = 77


def main() -> None:
    """Characterise both and write the models."""
    with tempfile.TemporaryDirectory() as folder:
        for kind, world in labelled.worlds(Path(folder)).items():
            rng = np.random.default_rng(SEED)
            pool = [s for s in world.inside if part(s.slug) == "development"]
            known = [
                (labelled.bright(world.technique, pool[i], rng), pool[i].slug)
                for i in rng.choice(len(pool), SCANS, replace=False)
            ]
            with open_library(world.path) as library, tqdm(desc=kind, unit="step") as bar:

                def step(_: int, gained: float, bar: tqdm = bar) -> None:
                    bar.set_postfix(nats=f"{gained:.2f}")
                    bar.update()

                model, estimate = Identifier(library).characterise(
                    known, labelled.SIMULATED_CLASS, progress=step
                )
            write_instrument_model(model, labelled.model_file(kind))
            print(f"{kind}: {model.mismatch}, {estimate.log_evidence_per_pair:+.0f} nats per spectrum")


if __name__ == "__main__":
    main()
