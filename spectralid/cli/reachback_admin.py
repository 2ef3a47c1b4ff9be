"""``spectralid reachback admin``: accounts, tablets, and the log, on the server's own machine."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json
from spectralid.cli._reachback import add_server_options, console, opened
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from spectralid.reachback.api.desk import Desk

__all__ = ["add_parser"]

_LARGEST: Final = 1024 * 1024


def add_parser(subparsers: Any) -> None:
    """Register the command and its sub-commands."""
    parser = subparsers.add_parser(
        "admin",
        help="accounts, tablets and the log of a server, on its own machine",
        description="Make the first account, enrol and revoke tablets, check the log. Works beside the "
        "running server.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    groups = {
        name: commands.add_parser(name, help=words).add_subparsers(
            title="commands", metavar="COMMAND", required=True
        )
        for name, words in (("account", "the persons who use it"), ("device", "the tablets"))
    }

    def command(name: str, run: Any, words: str, **more: Any) -> argparse.ArgumentParser:
        group, _, rest = name.rpartition(" ")
        made: argparse.ArgumentParser = groups.get(group, commands).add_parser(rest, help=words, **more)
        add_server_options(made)
        made.set_defaults(run=partial(_with_extra, run))
        return made

    first = command("init", _init, "set up the server and its first administrator")
    first.add_argument("account", metavar="NAME", help="name of the account")
    first.add_argument(
        "--password-file", type=Path, metavar="FILE", help="read it there; '-' for standard input"
    )
    add = command("account add", _account_add, "make an account; prints its set-up code")
    add.add_argument("account", metavar="NAME", help="name of the account")
    add.add_argument("--role", action="append", required=True, metavar="ROLE", help="may be repeated")
    add.add_argument("--site", action="append", metavar="SITE", help="may be repeated (default: every site)")
    change = command("account change", _account_change, "give an account other roles or sites")
    change.add_argument("account", metavar="NAME", help="name of the account")
    change.add_argument("--role", action="append", required=True, metavar="ROLE", help="may be repeated")
    change.add_argument(
        "--site", action="append", metavar="SITE", help="may be repeated (default: every site)"
    )
    reset = command("account reset", _account_reset, "begin anew with an account; prints its set-up code")
    reset.add_argument("account", metavar="NAME", help="name of the account")
    disable = command("account disable", _account_disable, "let a person in no more")
    disable.add_argument("account", metavar="NAME", help="name of the account")
    disable.add_argument("--why", required=True, metavar="TEXT", help="for the record")
    setup = command("account setup", _account_setup, "choose a password with a set-up code, at this machine")
    setup.add_argument("account", metavar="NAME", help="name of the account")
    setup.add_argument("code", metavar="CODE", help="the set-up code")
    setup.add_argument(
        "--password-file", type=Path, metavar="FILE", help="read it there; '-' for standard input"
    )
    listed = command("account list", _account_list, "every account")
    listed.add_argument("--json", action="store_true", help="print it as JSON")

    enrol = command("device enrol", _device_enrol, "enrol a tablet by its request")
    enrol.add_argument("request", type=Path, metavar="FILE", help="from 'spectralid packets request'")
    enrol.add_argument(
        "--fingerprint", required=True, metavar="HEX", help="of the request, as the tablet showed it"
    )
    enrol.add_argument("--site", required=True, metavar="SITE", help="where the tablet belongs")
    enrol.add_argument(
        "--url", default="", metavar="URL", help="where it reaches the server (default: settings)"
    )
    enrol.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the enrolment, for the tablet"
    )
    revoke = command("device revoke", _device_revoke, "let a tablet in no more")
    revoke.add_argument("device", metavar="DEVICE", help="its name")
    revoke.add_argument("--why", required=True, metavar="TEXT", help="for the record")
    revoke.add_argument(
        "--stolen", action="store_true", help="believe nothing any more that it signs, not even from a stick"
    )
    devices = command("device list", _device_list, "every tablet")
    devices.add_argument("--json", action="store_true", help="print it as JSON")

    point = command("checkpoint", _checkpoint, "the newest entry of the log, signed, to be held elsewhere")
    point.add_argument("--out", type=Path, metavar="FILE", help="write it there (default: print it)")
    verify = command(
        "verify",
        _verify,
        "whether the log is as it was written",
        epilog="exit codes: 0 it is whole · 3 it is not",
    )
    verify.add_argument(
        "checkpoints", type=Path, metavar="FILE", nargs="*", help="checkpoints held elsewhere"
    )
    command("restored", _restored, "after a restore from a backup: ask the tablets for what may be lost")


def _with_extra(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    # Says in a sentence what to install, where the packages of the server are not there.
    from spectralid.reachback.store import tables  # noqa: F401

    return run(args)


def _init(args: argparse.Namespace) -> int:
    from spectralid.reachback.people import accounts
    from spectralid.reachback.tablets.tls import Authority

    with opened(args) as desk:
        Authority.open(desk.folder, now=desk.now())
        password = _password(args.password_file)
        known = {one.name for one in accounts.listed(desk.db)}
        if args.account not in known:
            desk.passwords.make(args.account, password)
        code = accounts.add(
            desk.db,
            args.account,
            roles=["admin"],
            sites=[],
            by=console(),
            now=desk.now(),
            settings=desk.settings.accounts,
        )
        _set_up(desk, args.account, code, password)
    return Exit.IDENTIFIED


def _account_add(args: argparse.Namespace) -> int:
    from spectralid.reachback.people import accounts

    with opened(args) as desk:
        code = accounts.add(
            desk.db,
            args.account,
            roles=args.role,
            sites=args.site,
            by=console(),
            now=desk.now(),
            settings=desk.settings.accounts,
        )
        _tell_code(desk, args.account, code)
    return Exit.IDENTIFIED


def _account_change(args: argparse.Namespace) -> int:
    from spectralid.reachback.people import accounts

    with opened(args) as desk:
        done = accounts.change(
            desk.db, args.account, roles=args.role, sites=args.site, by=console(), now=desk.now()
        )
    print(f"{done.name}: {', '.join(sorted(done.roles))}")
    return Exit.IDENTIFIED


def _account_reset(args: argparse.Namespace) -> int:
    from spectralid.reachback.people import accounts

    with opened(args) as desk:
        code = accounts.reset(
            desk.db, args.account, by=console(), now=desk.now(), settings=desk.settings.accounts
        )
        _tell_code(desk, args.account, code)
    return Exit.IDENTIFIED


def _account_disable(args: argparse.Namespace) -> int:
    from spectralid.reachback.people import accounts

    with opened(args) as desk:
        accounts.disable(desk.db, args.account, why=args.why, by=console(), now=desk.now())
    print(f"{args.account} is let in no more.")
    return Exit.IDENTIFIED


def _account_setup(args: argparse.Namespace) -> int:
    with opened(args) as desk:
        _set_up(desk, args.account, args.code, _password(args.password_file))
    return Exit.IDENTIFIED


def _account_list(args: argparse.Namespace) -> int:
    from spectralid.reachback.people import accounts

    with opened(args) as desk:
        found = accounts.listed(desk.db)
    rows = [
        {**asdict(one), "roles": sorted(one.roles), "sites": None if one.sites is None else sorted(one.sites)}
        for one in found
    ]
    if args.json:
        print_json({"accounts": rows})
        return Exit.IDENTIFIED
    for row in rows:
        sites = "every site" if row["sites"] is None else ", ".join(row["sites"]) or "no site"
        print(f"{row['name']:20} {row['state']:8} {', '.join(row['roles'])} · {sites}")
    return Exit.IDENTIFIED


def _set_up(desk: Desk, account: str, code: str, password: str) -> None:
    from spectralid.reachback.people import accounts

    address = accounts.set_up(desk.db, desk.passwords, desk.vault, account, code, password, now=desk.now())
    print(address)
    print(
        f"{account}: give this address to an authenticator (it is not shown again), then sign in once; until "
        f"then the set-up code counts: {code}",
        file=sys.stderr,
    )


def _tell_code(desk: Desk, account: str, code: str) -> None:
    print(code)
    hours = desk.settings.accounts.setup_hours
    print(
        f"{account}: this set-up code is for the person alone and counts for {hours:g} hours; the password "
        "is chosen with it.",
        file=sys.stderr,
    )


def _password(file: Path | None) -> str:
    if file is None:
        if not sys.stdin.isatty():
            raise ParameterError("--password-file", "nothing", "given where nobody can be asked")
        first = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != first:
            raise ParameterError("password", "(not shown)", "the same both times")
        return first
    text = sys.stdin.read(_LARGEST) if str(file) == "-" else file.read_text(encoding="utf-8")
    return text.rstrip("\r\n")


def _device_enrol(args: argparse.Namespace) -> int:
    from spectralid.reachback.tablets import enrolment
    from spectralid.reachback.tablets.tls import Authority

    with args.request.open("rb") as file:
        request = file.read(_LARGEST)
    with opened(args) as desk:
        now = desk.now()
        done = enrolment.issue(
            desk.db,
            desk.keys,
            Authority.open(desk.folder, now=now),
            request,
            confirmed=args.fingerprint,
            site_ref=args.site,
            url=args.url or desk.settings.device_url(),
            by=console(),
            now=now,
            days=desk.settings.devices.certificate_days,
        )
    args.out.write_bytes(done.envelope)
    print(
        f"{args.out}: for {done.device_id}, until {done.until_utc[:10]}, with this fingerprint: "
        f"{done.fingerprint}"
    )
    return Exit.IDENTIFIED


def _device_revoke(args: argparse.Namespace) -> int:
    from spectralid.reachback.tablets import enrolment

    with opened(args) as desk:
        enrolment.revoke(desk.db, args.device, why=args.why, by=console(), now=desk.now(), stolen=args.stolen)
    print(f"{args.device} is let in no more.")
    return Exit.IDENTIFIED


def _device_list(args: argparse.Namespace) -> int:
    from spectralid.reachback.tablets import enrolled

    with opened(args) as desk:
        found = enrolled.listed(desk.db)
    if args.json:
        print_json({"devices": [asdict(one) for one in found]})
        return Exit.IDENTIFIED
    for one in found:
        state = "active" if one.active else f"revoked ({one.revoked_why})"
        print(f"{one.device_id:24} {one.site_ref:16} {state} · last heard of {one.seen_utc or 'never'}")
    return Exit.IDENTIFIED


def _checkpoint(args: argparse.Namespace) -> int:
    from spectralid.reachback.store import audit_reading

    with opened(args) as desk, desk.db.read() as tx:
        head, text = audit_reading.checkpoint(tx, desk.keys, now=desk.now())
    if args.out is None:
        print(text)
    else:
        args.out.write_text(text + os.linesep, encoding="ascii", newline="")
        print(f"{args.out}: entry {head.n}.")
    return Exit.IDENTIFIED


def _verify(args: argparse.Namespace) -> int:
    from spectralid.reachback.store import audit

    with opened(args) as desk:
        held = [
            audit.read_checkpoint(path.read_text(encoding="ascii").strip(), desk.keys.trusted)
            for path in args.checkpoints
        ]
        problems = audit.verify(desk.db, held, trusted=desk.keys.trusted)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return Exit.UNREADABLE
    print("The log is whole.")
    return Exit.IDENTIFIED


def _restored(args: argparse.Namespace) -> int:
    from spectralid.reachback.tablets import answers

    with opened(args) as desk:
        asked = answers.announce_restore(desk.db, desk.keys, by=console(), now=desk.now())
    print(f"Tablets asked for what may be lost, each when it next connects: {asked}.")
    return Exit.IDENTIFIED
