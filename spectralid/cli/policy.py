"""``spectralid policy``: see, check and compare what an agency decides about verdicts."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.vouching import TrustedKeys

if TYPE_CHECKING:
    from spectralid.verdict import Policy, PolicyKeeper

__all__ = ["add_parser", "add_policy_options", "policy_of"]

_WIDTH: Final = 100
_DEFAULT: Final = "default"


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--policy`` and ``--language``."""
    parser.add_argument(
        "--policy",
        metavar="FILE",
        default=_DEFAULT,
        help="the agency's policy: thresholds, hazards, escalation, wording; see 'spectralid policy' "
        "(default: the one that comes with spectralid)",
    )
    parser.add_argument(
        "--language", metavar="CODE", default="en", help="language of the verdict, like en or es (default en)"
    )


def policy_of(args: argparse.Namespace) -> dict[str, Any]:
    """What ``--policy`` and ``--language`` ask of `spectralid.verdict.decide`, found to be usable.

    Raises
    ------
    PolicyError
        If the policy cannot be used.
    NotVouchedError
        If keys are trusted here and none of them has signed it.
    ParameterError
        If it does not have that language.
    """
    policy = _load(args.policy, trusted=TrustedKeys.here())
    policy.catalog(args.language)
    return {"policy": policy, "language": args.language}


def add_parser(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "policy",
        help="see, check and compare policies: thresholds, hazards, escalation, wording",
        description="What an agency decides about verdicts, in a file it edits (docs/policy.md). 'default' "
        "stands for the policy that comes with spectralid.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    show = commands.add_parser("show", help="what a policy says")
    show.add_argument("policy", metavar="FILE", nargs="?", default=_DEFAULT, help="policy (default: default)")
    _add_data_option(show, "what is in force on this tablet, instead of FILE", needed=False)
    show.add_argument("--json", action="store_true", help="print it as JSON")
    show.set_defaults(run=_show)
    check = commands.add_parser(
        "check",
        help="whether policy files can be used; every mistake with its line",
        epilog="exit codes: 0 all can be used · 3 at least one cannot",
    )
    check.add_argument("files", metavar="FILE", nargs="+", help="policies")
    check.set_defaults(run=_check)
    install = commands.add_parser(
        "install", help="put a policy in force on this tablet, if there is no mistake in it"
    )
    install.add_argument("file", metavar="FILE", help="policy")
    _add_data_option(install, "folder of the tablet's record", needed=True)
    install.set_defaults(run=_install)
    diff = commands.add_parser(
        "diff", help="what two policies say differently", epilog="exit codes: 0 nothing · 20 something"
    )
    diff.add_argument("a", metavar="A", help="a policy")
    diff.add_argument("b", metavar="B", help="another")
    diff.add_argument("--json", action="store_true", help="print the differences as JSON")
    diff.set_defaults(run=_diff)
    template = commands.add_parser("template", help="a policy to copy and edit")
    template.add_argument(
        "--language",
        metavar="CODE",
        help="instead, every text to be translated for a language that spectralid does not bring",
    )
    template.set_defaults(run=_template)


def _add_data_option(parser: argparse.ArgumentParser, purpose: str, *, needed: bool) -> None:
    # The tablet's command takes options of `identify`, which takes those of this one.
    from spectralid.cli._folders import TABLET_FOLDER

    parser.add_argument(
        "--data",
        type=Path,
        nargs="?",
        const=TABLET_FOLDER,
        default=TABLET_FOLDER if needed else None,
        metavar="DIR",
        help=f"{purpose} (DIR by default {TABLET_FOLDER})",
    )


def _keeper(folder: Path) -> PolicyKeeper:
    """What keeps the policy of the tablet whose record is in a folder."""
    from spectralid.verdict import PolicyKeeper

    return PolicyKeeper(folder / "policy", trusted=TrustedKeys.here())


def _load(name: str, trusted: TrustedKeys | None = None) -> Policy:
    from spectralid.verdict import default_policy, load_policy

    return default_policy() if name == _DEFAULT else load_policy(name, trusted=trusted)


def _install(args: argparse.Namespace) -> int:
    keeper = _keeper(args.data)
    before = keeper.current
    policy = keeper.install(args.file)
    if before.damaged:
        print(f"The policy installed before was damaged: {before.damaged}", file=sys.stderr)
    print(f"In force: {policy.title}. Before: {before.title}.")
    return Exit.IDENTIFIED


def _show(args: argparse.Namespace) -> int:
    policy = _keeper(args.data).current if args.data else _load(args.policy)
    if policy.damaged:
        print(f"DAMAGED, so the policy below is in force instead: {policy.damaged}", file=sys.stderr)
    if args.json:
        print_json({**policy.to_dict(), "sha256": policy.sha256})
        return Exit.IDENTIFIED
    print(f"{policy.name} {policy.version}, {policy.sha256}\nlanguages: {', '.join(policy.languages)}\n")
    plain = policy.to_dict()
    for part in ("thresholds", "escalation"):
        print(part)
        for name, value in plain[part].items():
            print(f"  {name:20} {str(value).lower() if isinstance(value, bool) else value}")
    print("\nhazards, most urgent first")
    catalog = policy.catalog(policy.languages[0])
    for name, hazard in policy.hazards.items():
        said = f"{name:20} {hazard.alarm.value:8} {catalog.say(f'precaution.{hazard.precaution}')}"
        print(_wrapped(said, 31))
    print("\nfamilies watched, and what an unnamed member is handled as")
    for family, handled in policy.families.items():
        print(f"  {family:30} {handled}")
    print("\nschedules")
    for schedule, hazards in policy.schedules.items():
        print(f"  {schedule:8} {', '.join(hazards)}")
    print("\nrules")
    for rule in plain["rules"]:
        facts = (f"{k}: {', '.join(v) if isinstance(v, list) else v}" for k, v in rule.items() if k != "name")
        print(_wrapped(f"{rule['name']}: {'; '.join(facts).replace('True', 'yes')}", 4))
    for language, texts in policy.wording.items():
        print(f"\nwording of its own in {language}")
        for key, text in texts.items():
            print(_wrapped(f"{key}: {text}", 4))
    return Exit.IDENTIFIED


def _wrapped(text: str, indent: int) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent=" " * indent)


def _check(args: argparse.Namespace) -> int:
    from spectralid.verdict import PolicyError, load_policy

    code = Exit.IDENTIFIED
    for file in args.files:
        try:
            policy = load_policy(file)
        except PolicyError as error:
            code = Exit.UNREADABLE
            for problem in error.problems:
                place = f"{file}, line {problem.line}" if problem.line else file
                print(f"{place}: {problem.reason}", file=sys.stderr)
        else:
            print(
                f"{file}: can be used. {policy.name} {policy.version}, {policy.sha256[:12]}, "
                f"{len(policy.rules)} rules, languages {', '.join(policy.languages)}."
            )
    return code


def _diff(args: argparse.Namespace) -> int:
    one, other = (dict(_facts(_load(name).to_dict())) for name in (args.a, args.b))
    different = [
        {"key": key, "a": one.get(key), "b": other.get(key)}
        for key in dict.fromkeys([*one, *other])
        if one.get(key) != other.get(key)
    ]
    if args.json:
        print_json({"differences": different})
    else:
        for entry in different:
            print(entry["key"])
            for mark, side in (("-", "a"), ("+", "b")):
                if entry[side] is not None:
                    print(f"  {mark} {entry[side]}")
    return Exit.DIFFERENT if different else Exit.IDENTIFIED


def _facts(value: Any, within: str = "") -> list[tuple[str, Any]]:
    """Every value of a policy by a key that people recognise: hazards by their id, rules by their name."""
    if isinstance(value, Mapping):
        return [fact for key, item in value.items() for fact in _facts(item, f"{within}{key}: ")]
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        called = "id" if "id" in value[0] else "name"
        order = [(f"{within}order", [item[called] for item in value])]
        return order + [
            (f"{within}{item[called]}: {key}", part)
            for item in value
            for key, part in item.items()
            if key != called
        ]
    return [(within.removesuffix(": "), value)]


def _template(args: argparse.Namespace) -> int:
    from spectralid.verdict import policy as policies
    from spectralid.verdict.catalog import Catalog, topics_of

    if args.language is None:
        file = Path(policies.__file__).with_name("policy.toml")
        print(file.read_text(encoding="utf-8"), end="")
        return Exit.IDENTIFIED
    print(f'# Add "{args.language}" to languages, and translate what follows, but not the {{fields}}.')
    print(f"[wording.{args.language}]")
    for key, text in Catalog.load(topics=topics_of("en")).texts.items():
        print(f"{_quoted(key)} = {_quoted(text)}")
    return Exit.IDENTIFIED


def _quoted(text: str) -> str:
    """As a basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
