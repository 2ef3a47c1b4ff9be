"""The mutants of a module: those of cosmic-ray, and statements left out; in an order drawn once.

Each module has a session file of cosmic-ray (``build/mutation/``), named after the module and the hash of its
text: a run that was stopped goes on where it was, and a changed module begins anew. The order is a seeded
shuffle, so that whatever part of it was run is a random sample.
"""

from __future__ import annotations

import ast
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import cosmic_ray.plugins
from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_code
from cosmic_ray.work_db import WorkDB

from benchmarks.mutation.groups import ROOT

SEED = 20261122
SESSIONS = ROOT / "build" / "mutation"


class LeaveOut:
    """An operator of our own: a call for its effect, an assignment to a part, ``raise``, left out."""

    @classmethod
    def arguments(cls) -> tuple[()]:
        return ()

    def mutation_positions(self, node: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
        if node.type == "simple_stmt" and _has_an_effect(node.children[0]):
            yield node.children[0].start_pos, node.children[0].end_pos

    def mutate(self, node: Any, _: int) -> Any:
        import parso

        first = node.children[0]
        # As many lines as before, so that everything below stays where it was.
        lines = first.end_pos[0] - first.start_pos[0]
        text = "pass" if not lines else "(" + "\n" * lines + ")"
        (statement, *_) = parso.parse(text + "\n").children[0].children
        statement.get_first_leaf().prefix = first.get_first_leaf().prefix
        statement.parent = node
        node.children[0] = statement
        return node


def _has_an_effect(node: Any) -> bool:
    if node.type == "expr_stmt":
        return node.children[0].type in ("atom_expr", "power") and node.children[1].type in (
            "operator",
            "annassign",
        )
    if node.type in ("atom_expr", "power"):
        return node.children[-1].type == "trailer" and node.children[-1].children[0].value == "("
    return node.type in ("raise_stmt", "del_stmt", "await") or (
        node.type == "keyword" and node.value == "raise"
    )


class _Ours(dict[str, type]):
    """What cosmic-ray calls a provider of operators."""


cosmic_ray.plugins.OPERATOR_PROVIDERS["ours"] = _Ours(LeaveOut=LeaveOut)


@dataclass(frozen=True)
class Mutant:
    """One changed module.

    Attributes
    ----------
    job : str
        Its key in the session.
    module : str
        Path of the module.
    operator : str
        What was done, as cosmic-ray calls it.
    where : str
        The function, qualified; empty outside of any.
    line : int
        First changed line.
    before, after : str
        The changed lines.
    text : str
        The module as it is now.
    reach : range
        Lines of the statement it is in: a test that runs none of them cannot tell.
    inside : bool
        Whether it is inside a function: whoever calls the function meets it.
    """

    job: str
    module: str
    operator: str
    where: str
    line: int
    before: str
    after: str
    text: str
    reach: range
    inside: bool


class Session:
    """The mutants of one module and what became of them.

    Parameters
    ----------
    module : str
        Path from the repository's root.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.source = (ROOT / module).read_text(encoding="utf-8")
        self.sha256 = hashlib.sha256(self.source.encode()).hexdigest()
        SESSIONS.mkdir(parents=True, exist_ok=True)
        name = module.removeprefix("spectralid/").removesuffix(".py").replace("/", ".")
        self.db = WorkDB(SESSIONS / f"{name}-{self.sha256[:12]}.sqlite", WorkDB.Mode.create)
        if not self.db.num_work_items:
            init([Path(ROOT / module)], self.db, {})
        self._tree = ast.parse(self.source)
        self._unread = _never_run(self._tree)

    def items(self) -> list[Any]:
        """All mutations that change what is run, in the drawn order."""
        rows = [
            (row.job_id, row.mutations[0])
            for row in self.db.work_items
            if not any(_within(row.mutations[0].start_pos, node) for node in self._unread)
        ]
        rows.sort(key=lambda row: (row[1].operator_name, row[1].occurrence))
        random.Random(f"{SEED} {self.module}").shuffle(rows)
        return rows

    def mutant(self, job: str, mutation: Any) -> Mutant | None:
        """The mutant of a mutation; None if it is no program, or the same."""
        operator = cosmic_ray.plugins.get_operator(mutation.operator_name)()
        try:
            text = mutate_code(self.source, operator, mutation.occurrence)
            tree = ast.parse(text)
        except (SyntaxError, AttributeError):
            return None  # cosmic-ray has no replacement for `except (module.Error, …)`
        if ast.dump(tree) == ast.dump(self._tree):
            return None
        line, before, after = _changed(self.source, text)
        where, reach, inside = _place(self._tree, mutation.start_pos)
        name = mutation.operator_name.partition("/")[2]
        return Mutant(job, self.module, name, where, line, before, after, text, reach, inside)


def _never_run(tree: ast.AST) -> list[ast.AST]:
    """Annotations, which nobody evaluates, and what only a type checker reads."""
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        notes = (getattr(node, name, None) for name in ("annotation", "returns"))
        found += [note for note in notes if note is not None]
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            found.append(node)
    return found


def _within(position: tuple[int, int], node: Any) -> bool:
    return (node.lineno, node.col_offset) <= tuple(position) < (node.end_lineno, node.end_col_offset)


def _changed(before: str, after: str) -> tuple[int, str, str]:
    old, new = before.splitlines(), after.splitlines()
    changes = [c for c in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if c[0] != "equal"]
    first, last = changes[0], changes[-1]
    lines = (old[first[1] : last[2]], new[first[3] : last[4]])
    return first[1] + 1, *("\n".join(line.strip() for line in part if line.strip()) for part in lines)


def _place(tree: ast.AST, position: tuple[int, int]) -> tuple[str, range, bool]:
    """The function around a position, the lines of its statement, and whether it is in a function's body."""
    names: list[str] = []
    inside = False
    reach = range(0)
    node: Any = tree
    while True:
        within = [
            child
            for child in _statements(node)
            # A decorator stands before the line a definition begins with.
            if min([child.lineno, *(d.lineno for d in getattr(child, "decorator_list", []))]) <= position[0]
            and _before_end(position, child)
        ]
        if not within:
            return ".".join(names), reach, inside
        node = within[-1]
        body = [child.lineno for child in _statements(node)]
        reach = range(node.lineno, max(node.lineno, min(body) - 1 if body else node.end_lineno) + 1)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if not any(_within(position, child) for child in node.body):
                return ".".join([*names, node.name]), reach, inside
            names.append(node.name)
            inside = inside or not isinstance(node, ast.ClassDef)


def _before_end(position: tuple[int, int], node: Any) -> bool:
    return tuple(position) < (node.end_lineno, node.end_col_offset)


def _statements(node: Any) -> list[Any]:
    kinds = ast.stmt | ast.ExceptHandler | ast.match_case
    found = [child for child in ast.iter_child_nodes(node) if isinstance(child, kinds)]
    for child in found:
        if isinstance(child, ast.match_case):
            child.lineno, child.col_offset = child.pattern.lineno, child.pattern.col_offset
            child.end_lineno, child.end_col_offset = child.body[-1].end_lineno, child.body[-1].end_col_offset
    return found
