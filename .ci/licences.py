"""Audit the licences of all that is installed for spectralid: offline, from the metadata of the packages.

python .ci/licences.py            the audit; exit code 1 with one sentence per fault
python .ci/licences.py --write    the same, and the tables in docs/supply-chain.md
python .ci/licences.py --check    the same, and whether these tables are what the audit finds

What is allowed, and why, stands in licences.toml beside this file. Needs the extras ``test`` and ``release``.
"""

from __future__ import annotations

import argparse
import platform
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import product
from license_expression import ExpressionError, get_spdx_licensing

PERMISSIVE, WEAK, OTHER = range(3)

#: The tables are of one platform; elsewhere other wheels are installed, and the audit alone counts.
TABLES_OF = ("3.11", "Linux", "x86_64")
HERE = (".".join(platform.python_version_tuple()[:2]), platform.system(), platform.machine())


@dataclass(frozen=True)
class Finding:
    """One package or native library and what it may be used under."""

    name: str
    version: str
    asked_by: str
    stated: str
    expression: str | None
    rank: int
    native: bool = False


@cache
def rules() -> dict:
    """licences.toml."""
    with (Path(__file__).parent / "licences.toml").open("rb") as file:
        return tomllib.load(file)


spdx = cache(get_spdx_licensing)


def stated(package: product.Package) -> str:
    """What a package's metadata says of its licence: SPDX expression, else free text, else classifiers."""
    fields = package.distribution.metadata
    text = " ".join((fields.get("License") or "").split())
    classifiers = [
        c.split("::")[-1].strip() for c in fields.get_all("Classifier") or [] if c.startswith("License ::")
    ]
    return fields.get("License-Expression") or (text if text != "UNKNOWN" else "") or "; ".join(classifiers)


def read(name: str, says: str) -> str | None:
    """SPDX expression of a package that states `says`; None if that is not known."""
    known = rules()["read"].get(name)
    if known and says.startswith(known["begins"]):
        return known["expression"]
    says = rules()["says"].get(says, says)
    try:
        unknown = spdx().unknown_license_keys(says) if says else ["nothing"]
    except ExpressionError:
        return None
    return says if set(unknown) <= set(rules()["permissive"]) else None


def rank(expression: str | None) -> int:
    """PERMISSIVE, WEAK or OTHER: joined by AND the strictest licence counts, joined by OR the mildest."""
    if expression is None:
        return OTHER

    def of(node: object) -> int:
        if arguments := getattr(node, "args", ()):
            return (max if node.operator.strip() == "AND" else min)(of(part) for part in arguments)  # type: ignore[attr-defined]
        name = node.render() if hasattr(node, "render") else str(node)  # type: ignore[attr-defined]
        return PERMISSIVE if name in rules()["permissive"] else WEAK if name in rules()["weak"] else OTHER

    return of(spdx().parse(expression))


def native_libraries(package: product.Package) -> list[tuple[str, Path]]:
    """Shared libraries a wheel for Linux brought along: bare name and file."""
    files = [f for f in package.distribution.files or () if f.parts[0].endswith(".libs") and ".so" in f.name]
    return [
        (re.split(r"-[0-9a-f]{6,}(?=[.-])|\.so", f.name)[0], Path(str(f.locate()))) for f in sorted(files)
    ]


def native_licence(library: str) -> str | None:
    """SPDX expression of a native library, by the longest beginning of its name that is known."""
    known = rules()["native"]
    return next((known[p] for p in sorted(known, key=len, reverse=True) if library.startswith(p)), None)


def script_faults(root: Path = product.ROOT) -> list[str]:
    """Signs of third-party code in the pages, which are all our own."""
    found = []
    for path in sorted(p for p in (root / "spectralid").glob("*/static/**/*") if p.is_file()):
        text = path.read_text(encoding="utf-8", errors="replace")
        where = path.relative_to(root)
        if ".min." in path.name or max(map(len, text.splitlines()), default=0) > 5000:
            found.append(f"{where} looks minified: third-party code needs an entry of its own in the audit.")
        if re.search(r"copyright|@licen[sc]e|sourceMappingURL", text, re.IGNORECASE):
            found.append(
                f"{where} carries a notice: third-party code needs an entry of its own in the audit."
            )
        if re.search(
            r"""(?:src|href|from|import|url)\s*[=(]?\s*["'(](?:https?:)?//(?!www\.w3\.org/)""", text
        ):
            found.append(f"{where} loads something from elsewhere.")
    return found


def _asked_by(name: str) -> str:
    if name in product.closure():
        return "core"
    groups = [extra for extra in product.PRODUCT_EXTRAS if name in product.closure((extra,))]
    return ", ".join(groups)


def audit() -> tuple[list[Finding], list[Finding]]:
    """Findings of the product (native libraries too), and of the tools of its makers."""
    ours = product.closure(product.PRODUCT_EXTRAS)
    within: list[Finding] = []
    for package in ours.values():
        says = stated(package)
        expression = read(package.name, says)
        group = _asked_by(package.name)
        within.append(Finding(package.name, package.version, group, says, expression, rank(expression)))
        for library in sorted({name for name, _ in native_libraries(package)}):
            known = native_licence(library)
            within.append(Finding(library, package.name, group, "", known, rank(known), native=True))
    tools = [
        Finding(p.name, p.version, "", stated(p), read(p.name, stated(p)), rank(read(p.name, stated(p))))
        for p in product.closure(product.PRODUCT_EXTRAS + product.MAKERS_EXTRAS).values()
        if p.name not in ours
    ]
    return within, tools


def faults(within: Iterable[Finding], tools: Iterable[Finding]) -> list[str]:
    """What is not allowed, one sentence each."""
    found = []
    for f in within:
        what = f"{f.name} (in the wheel of {f.version})" if f.native else f"{f.name} {f.version}"
        if f.expression is None:
            found.append(
                f"{what}: licence unknown; its metadata says {f.stated[:60]!r}. "
                "Read it, then add it to licences.toml."
            )
        elif f.rank == OTHER:
            found.append(f"{what}: {f.expression} is not allowed in the product.")
        elif f.rank == WEAK and f.name not in rules()["accepted"]:
            found.append(
                f"{what}: {f.expression} is weak copyleft and not accepted by name, with a reason, "
                "in licences.toml."
            )
    found += [
        f"{f.name} {f.version} (a tool): licence unknown; its metadata says {f.stated[:60]!r}."
        for f in tools
        if f.expression is None
    ]
    return found


def tables(within: list[Finding], tools: list[Finding]) -> dict[str, str]:
    """The generated parts of docs/supply-chain.md, by name."""
    packages = [f for f in within if not f.native]
    native = {(f.name, f.expression): [] for f in within if f.native and not f.name.startswith("libRDKit")}
    for f in within:
        if (f.name, f.expression) in native:
            native[f.name, f.expression].append(f.version)
    accepted = rules()["accepted"]
    weak_tools = [f for f in tools if f.rank != PERMISSIVE]
    core = sum(f.asked_by == "core" for f in packages)
    summary = (
        f"{core} packages come with the core, {len(packages)} with every extra a user installs, and "
        f"{len(tools)} more are tools of the makers. Of the {len(packages)}, "
        f"{sum(f.rank == PERMISSIVE for f in packages)} are permissive and "
        f"{sum(f.rank == WEAK for f in packages)} weak copyleft; none is strong copyleft or unknown.\n"
    )
    return {
        "licences-summary": summary,
        "licences": product.table(
            ("package", "version", "licence", "for"),
            ((f.name, f.version, str(f.expression), f.asked_by) for f in packages),
        ),
        "licences-accepted": product.table(
            ("weak copyleft", "licence", "for", "why it is accepted"),
            (
                (
                    f.name + (f" (in {', '.join(native[f.name, f.expression])})" if f.native else ""),
                    str(f.expression),
                    ", ".join(sorted({g.asked_by for g in within if g.name == f.name})),
                    accepted[f.name],
                )
                for f in {f.name: f for f in within if f.rank == WEAK}.values()
            ),
        ),
        "licences-native": product.table(
            ("library", "licence", "in the wheels of"),
            (
                (name, str(expression), ", ".join(wheels))
                for (name, expression), wheels in sorted(native.items())
            ),
        ),
        "licences-tools": product.table(
            ("licence", "tools"),
            ((licence, str(n)) for licence, n in Counter(str(f.expression) for f in tools).most_common()),
        )
        + "\nOf these, not permissive: "
        + "; ".join(f"{f.name} ({f.expression})" for f in weak_tools)
        + ".\n",
    }


def main() -> int:
    """Audit, and write or compare the tables as asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    try:
        if arguments.write or arguments.check:
            product.as_locked(product.closure(product.PRODUCT_EXTRAS + product.MAKERS_EXTRAS))
        within, tools = audit()
    except product.NotAsLockedError as error:
        sys.exit(str(error))
    found = faults(within, tools) + script_faults()
    if not found and (arguments.write or arguments.check):
        before = product.PAGE.read_text(encoding="utf-8")
        after = product.fill(before, tables(within, tools))
        if arguments.write and HERE != TABLES_OF:
            found = [f"The tables are those of Python {' '.join(TABLES_OF)}; this is {' '.join(HERE)}."]
        elif arguments.write:
            product.PAGE.write_text(after, encoding="utf-8")
        elif after != before and HERE == TABLES_OF:
            found = ["docs/supply-chain.md is not what the audit finds. Run: python .ci/licences.py --write"]
    for fault in found:
        print(fault, file=sys.stderr)
    if found:
        return 1
    packages = [f for f in within if not f.native]
    print(
        f"{len(packages)} packages of the product, {len(within) - len(packages)} native libraries, "
        f"{len(tools)} tools: all allowed"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
