"""Compute reference spectra in the background: resumable, shardable, nothing dropped silently.

``python run.py run --source compounds.csv --work DIR --shard 1/2`` computes,
``python run.py status --source compounds.csv --work DIR`` tells how far it is. See README.md.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import multiprocessing
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

# Before numpy and tblite are loaded: the shards are the parallelism.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np  # noqa: E402
import structures  # noqa: E402
import vibrations  # noqa: E402
from rdkit import Chem  # noqa: E402

RECIPE = "1"
_LARGE = 90  # atoms; beyond this a molecule waits until all others are done
_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Task:
    """One molecule in one form."""

    identifier: str
    inchikey: str
    smiles: str
    form: str
    atoms: int

    @property
    def key(self) -> str:
        """Name of the task in logs, and of its file below the results folder."""
        return f"{self.form}/{self.inchikey}"


@dataclass(frozen=True)
class Skipped:
    """A substance this recipe cannot serve in a form, and why."""

    identifier: str
    inchikey: str
    form: str
    reason: str


NO_SUCH_FORM = "no basic nitrogen to protonate"


def read_source(path: Path, tier: str) -> list[tuple[str, str, str]]:
    """Read identifier, InChIKey and SMILES of every row, `tier` only where the table has tiers."""
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    name = next((column for column in ("slug", "id") if rows and column in rows[0]), "variant_id")
    return [
        (row[name], row["inchikey"], row["smiles"])
        for row in rows
        if not tier or row.get("tier", tier) == tier
    ]


def plan(rows: list[tuple[str, str, str]], forms: list[str], order: str) -> tuple[list[Task], list[Skipped]]:
    """Decide what to compute, in which order; the same input always gives the same plan.

    Parameters
    ----------
    rows : list of (identifier, inchikey, smiles)
        Substances; repeated InChIKeys are computed once.
    forms : list of str
        One form is finished before the next begins.
    order : {"size", "id"}
        Smallest first, or by identifier; very large molecules come last in either.
    """
    tasks: list[Task] = []
    skipped: list[Skipped] = []
    for form in forms:
        found: dict[str, Task] = {}
        for identifier, inchikey, smiles in rows:
            if inchikey and inchikey in found:
                continue
            try:
                if smiles and not inchikey:
                    raise structures.UnsuitableError("no InChIKey")
                choice = structures.chosen(smiles, form)
            except structures.UnsuitableError as problem:
                skipped.append(Skipped(identifier, inchikey, form, str(problem)))
                continue
            if choice is None:
                skipped.append(Skipped(identifier, inchikey, form, NO_SUCH_FORM))
                continue
            atoms = Chem.AddHs(choice[0]).GetNumAtoms()
            found[inchikey] = Task(identifier, inchikey, smiles, form, atoms)

        def place(task: Task) -> tuple[bool, int, str]:
            return task.atoms > _LARGE, task.atoms if order == "size" else 0, task.identifier

        tasks.extend(sorted(found.values(), key=place))
    return tasks, skipped


class Work:
    """The working directory: results, log and failures."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "log.jsonl"
        self.failures = root / "failures.jsonl"

    def result(self, task: Task) -> Path:
        """Where the result of `task` is or will be."""
        return self.root / "results" / task.form / f"{task.inchikey}.npz"

    def results(self) -> Iterator[Path]:
        """All finished results, in a fixed order."""
        yield from sorted(self.root.glob("results/*/*.npz"))

    def failed(self) -> dict[str, dict[str, Any]]:
        """Latest failure per task key, of tasks without a result."""
        latest = {record["key"]: record for record in read_lines(self.failures)}
        return {k: r for k, r in latest.items() if not (self.root / "results" / f"{k}.npz").exists()}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Read the records of a JSON-lines file; a line cut off by a crash is left out."""
    records = []
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return records


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one record; one write in append mode, so that shards cannot interleave."""
    line = json.dumps(record, sort_keys=True) + "\n"
    with path.open("ab", buffering=0) as stream:
        stream.write(line.encode())


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays so that the file is there completely or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def compute(task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arrays and log record of one task."""
    wall, cpu = time.monotonic(), time.process_time()
    species = structures.species(task.smiles, task.form)
    if species is None:
        raise structures.UnsuitableError(NO_SUCH_FORM)
    starts = structures.conformers(species.mol)
    surface = vibrations.Surface(species.numbers, species.charge, species.unpaired, species.solvent)
    outcome = vibrations.compute(
        surface, starts, species.masses, lambda positions: structures.model_hessian(species.mol, positions)
    )
    optimum, derivatives, sticks = outcome.optimum, outcome.derivatives, outcome.sticks
    record = {
        "key": task.key,
        "id": task.identifier,
        "inchikey": task.inchikey,
        "form": task.form,
        "smiles_listed": task.smiles,
        "smiles": species.smiles,
        "charge": species.charge,
        "unpaired": species.unpaired,
        "notes": list(species.notes),
        "recipe": RECIPE,
        "method": vibrations.METHOD,
        "solvent": f"ALPB {species.solvent}" if species.solvent else "gas phase",
        "versions": {name: version(name) for name in ("tblite", "rdkit", "numpy")},
        "atoms": len(species.numbers),
        "energy": optimum.point.energy,
        "gradient_max": optimum.largest_gradient,
        "gradient_norm": float(np.linalg.norm(optimum.point.gradient)),
        "imaginary": outcome.imaginary,
        "lowest_frequency": float(sticks.frequencies[0]),
        "pushes": outcome.pushes,
        "conformer_energies": list(outcome.conformer_energies),
        "evaluations": outcome.evaluations,
        "hessian_asymmetry": derivatives.asymmetry,
        "dipole_mismatch": derivatives.dipole_mismatch,
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "wall_seconds": round(time.monotonic() - wall, 2),
    }
    arrays = {
        "record": np.array(json.dumps(record, sort_keys=True)),
        "numbers": species.numbers.astype(np.int16),
        "masses_u": species.masses,
        "positions_bohr": optimum.positions,
        "gradient": optimum.point.gradient,
        "hessian": derivatives.hessian,
        "dipole_derivatives": derivatives.dipole,
        "polarizability_derivatives": derivatives.polarizability,
        "frequencies_cm": sticks.frequencies,
        "ir_km_mol": sticks.ir,
        "raman_a4_u": sticks.raman,
        "depolarisation": sticks.depolarisation,
    }
    return arrays, record


def _child(task: Task, target: Path, channel: Any, cpu_limit: int) -> None:
    """Body of the process that computes one molecule."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_limit, cpu_limit + 10))
    try:
        arrays, record = compute(task)
        if not all(np.isfinite(arrays[n]).all() for n in ("hessian", "dipole_derivatives", "frequencies_cm")):
            raise vibrations.NotConvergedError("derivatives are not finite")
        write_npz(target, arrays)
        channel.send(record)
    except (structures.UnsuitableError, vibrations.NotConvergedError) as problem:
        channel.send({"reason": str(problem), "kind": type(problem).__name__})
    except Exception as problem:  # a fault in one molecule must not end the run, but must be seen
        channel.send({"reason": repr(problem), "kind": "error", "trace": traceback.format_exc(limit=5)})


def attempt(task: Task, target: Path, cpu_limit: int, wall_limit: float) -> dict[str, Any]:
    """Compute one task in a process of its own.

    A stopped (SIGSTOP) run must not time out on waking, so the wall clock counts polls, not hours.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(task, target, sender, cpu_limit))
    process.start()
    sender.close()
    answer: dict[str, Any] | None = None
    polls = 0
    while polls * _POLL_SECONDS < wall_limit:
        if receiver.poll(_POLL_SECONDS):
            try:
                answer = receiver.recv()
            except EOFError:
                answer = None
            break
        polls += 1
    else:
        process.terminate()
        answer = {"kind": "timeout", "reason": f"no result within {wall_limit:.0f} s of wall clock"}
    process.join(30)
    if process.is_alive():
        process.kill()
        process.join()
    if answer is None:
        cause = f"more than {cpu_limit} s of CPU time"
        if process.exitcode != -signal.SIGXCPU:
            cause = f"process ended with code {process.exitcode}"
        answer = {"kind": "died", "reason": cause}
    return answer


def run(arguments: argparse.Namespace) -> int:
    """Compute all tasks of one shard that have neither a result nor a failure."""
    os.nice(19)
    work = Work(arguments.work)
    work.root.mkdir(parents=True, exist_ok=True)
    index, count = arguments.shard
    for source in arguments.sources:
        tasks, _ = plan(read_source(source, arguments.tier), arguments.forms, arguments.order)
        failed = {} if arguments.retry_failed else work.failed()
        for task in tasks[index - 1 :: count]:
            target = work.result(task)
            if target.exists() or task.key in failed:
                continue
            answer = attempt(task, target, arguments.cpu_limit, arguments.wall_limit)
            if "reason" in answer:
                append_line(
                    work.failures, {"key": task.key, "id": task.identifier, "atoms": task.atoms, **answer}
                )
            else:
                append_line(work.log, answer)
            verdict = answer.get("reason", f"{answer.get('cpu_seconds')} s")
            print(f"{task.key} {task.identifier} ({task.atoms} atoms): {verdict}", flush=True)
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Print what is done, failed, left out and remaining, the rate and the estimated end."""
    work = Work(arguments.work)
    log = list({record["key"]: record for record in read_lines(work.log)}.values())
    failed = work.failed()
    waiting: list[Task] = []
    for source in arguments.sources:
        tasks, skipped = plan(read_source(source, arguments.tier), arguments.forms, arguments.order)
        for form in arguments.forms:
            mine = [task for task in tasks if task.form == form]
            done = [task for task in mine if work.result(task).exists()]
            lost = [task for task in mine if task.key in failed]
            left = [task for task in mine if task.key not in failed and not work.result(task).exists()]
            out = [entry for entry in skipped if entry.form == form]
            print(
                f"{source.name} {form}: {len(done)} done, {len(lost)} failed, {len(left)} remaining, "
                f"{len(out)} not computable"
            )
            waiting.extend(left)
            if arguments.reasons:
                for reason, number in Counter(entry.reason for entry in out).most_common():
                    print(f"    not computable, {number}: {reason}")
                for task in lost:
                    print(f"    failed: {task.key} {task.identifier}: {failed[task.key]['reason']}")
    if len(log) < 10:
        print("too few results for an estimate")
        return 0
    recent = sorted(log, key=lambda record: record["finished"])[-60:]
    begin, end = (datetime.datetime.fromisoformat(recent[i]["finished"]) for i in (0, -1))
    span = max((end - begin).total_seconds(), 1.0)
    used = sum(record["cpu_seconds"] for record in recent[1:])
    # Cost grows as a power of the size, fitted on what is done: the smallest come first, a count would lie.
    usable = [record for record in log if record["atoms"] >= 8]
    exponent, scale = 2.2, float(np.mean([r["cpu_seconds"] / r["atoms"] ** 2.2 for r in log]))
    if len(usable) >= 30 and max(r["atoms"] for r in usable) > 20:
        size = np.log([r["atoms"] for r in usable])
        cost = np.log([max(r["cpu_seconds"], 0.01) for r in usable])
        exponent, offset = np.polyfit(size, cost, 1)
        # The mean of a skewed distribution, not of its logarithm.
        scale = float(np.exp(offset) * np.mean(np.exp(cost - exponent * size - offset)))
    ahead = sum(scale * task.atoms**exponent for task in waiting)
    hours = ahead / max(used / span, 1e-3) / 3600
    print(
        f"recent: {3600 * (len(recent) - 1) / span:.0f} molecules/h, {used / span:.2f} CPU s per s; "
        f"ahead: {ahead / 3600:.1f} CPU h, about {hours:.1f} h at that rate (cost ~ atoms^{exponent:.1f})"
    )
    bad = [record for record in log if record["imaginary"]]
    print(f"imaginary modes remain in {len(bad)} of {len(log)} results")
    return 0


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"shard is {text!r}; give i/n with 1 <= i <= n, such as 1/2")
    return int(match[1]), int(match[2])


def _forms(text: str) -> list[str]:
    forms = text.split(",")
    if not set(forms) <= set(structures.FORMS):
        raise argparse.ArgumentTypeError(f"forms is {text!r}; allowed: {','.join(structures.FORMS)}")
    return forms


def add_shared_arguments(target: argparse.ArgumentParser) -> None:
    """Options that say which tasks there are; the same for running, telling and packing."""
    target.add_argument(
        "--source",
        dest="sources",
        type=Path,
        action="append",
        required=True,
        metavar="CSV",
        help="table with smiles and inchikey; may be given again, tables are done in turn",
    )
    target.add_argument("--work", type=Path, required=True, help="working directory, created if missing")
    target.add_argument("--tier", default="1", help="tier of the table to compute (default 1; '' for all)")
    target.add_argument("--forms", type=_forms, default=list(structures.FORMS), help="neutral,protonated")
    target.add_argument("--order", choices=("size", "id"), default="size")


def parser() -> argparse.ArgumentParser:
    """Command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True)
    shared = argparse.ArgumentParser(add_help=False)
    add_shared_arguments(shared)
    runner = commands.add_parser("run", parents=[shared], help="compute one shard")
    runner.add_argument("--shard", type=_shard, default=(1, 1), help="i/n: every n-th molecule from the i-th")
    runner.add_argument("--cpu-limit", type=int, default=3600, help="CPU seconds per molecule")
    runner.add_argument(
        "--wall-limit", type=float, default=4 * 3600, help="seconds per molecule, not counting stops"
    )
    runner.add_argument("--retry-failed", action="store_true")
    runner.set_defaults(action=run)
    teller = commands.add_parser("status", parents=[shared], help="how far the run is")
    teller.add_argument(
        "--reasons", action="store_true", help="list failures and why rows are not computable"
    )
    teller.set_defaults(action=status)
    return top


def main() -> int:
    """Entry point."""
    arguments = parser().parse_args()
    return arguments.action(arguments)


if __name__ == "__main__":
    sys.exit(main())
