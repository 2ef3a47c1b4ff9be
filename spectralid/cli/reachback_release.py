"""``spectralid reachback release``: from approved candidates to a signed library that tablets take."""

from __future__ import annotations

import argparse
import getpass
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from spectralid.cli._exit import Exit
from spectralid.cli._inputs import print_json, progress
from spectralid.cli._reachback import add_server_options, opened
from spectralid.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from securesystemslib.signer import CryptoSigner

    from spectralid.reachback.api.desk import Desk
    from spectralid.reachback.releases.release import Release

__all__ = ["add_parser"]

_KEYS: Final = "keys"
_PASSPHRASE: Final = "passphrase"
_ONLINE: Final = ("snapshot", "timestamp")
_SOON_DAYS: Final = 30.0


def add_parser(subparsers: Any) -> None:
    """Register the command and its sub-commands."""
    parser = subparsers.add_parser(
        "release",
        help="libraries for tablets: candidates, approval, release, signatures",
        description="From cases to a library in the tablets' hands (docs/reachback-library.md). Keys of the "
        "root and of releases are kept away from this machine; 'sign' needs nothing but a key and a file.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Any, words: str, *, server: bool = True, **more: Any) -> Any:
        made = commands.add_parser(name, help=words, **more)
        if server:
            add_server_options(made)
        made.set_defaults(run=run)
        return made.add_argument

    add = command("init", _init, "make the keys and an empty repository")
    add("--keys", type=Path, required=True, metavar="DIR", help="where the offline keys go, such as a stick")
    add("--root-keys", type=int, default=3, metavar="N", help="keys of the root (3)")
    add("--root-threshold", type=int, default=2, metavar="N", help="how many of them sign (2)")
    add("--targets-keys", type=int, default=1, metavar="N", help="keys of releases (1)")
    add("--targets-threshold", type=int, default=1, metavar="N", help="how many of them sign (1)")
    _passphrase_option(add)
    add = command("candidates", _candidates, "what was proposed, and what was said of it")
    add("number", type=int, nargs="?", metavar="N", help="one candidate, with all that is known of it")
    add("--state", choices=("pending", "approved", "rejected", "released"), default="", help="only these")
    add("--json", action="store_true", help="print it as JSON")
    for name, run, words in (
        ("approve", _approve, "say that a candidate may become a reference"),
        ("reject", _reject, "say that a candidate does not become a reference"),
    ):
        add = command(name, run, words)
        add("number", type=int, metavar="N", help="the candidate")
        add("--token-file", type=Path, required=True, metavar="FILE", help="token of the person's account")
        add("--why", required=name == "reject", default="", metavar="TEXT", help="for the record")
    add = command(
        "make",
        _make,
        "build the next library and judge it; it waits for a signature",
        epilog="exit codes: 0 it was built · 21 it answers worse than the one in force and is not released",
    )
    add("--base", type=Path, metavar="LIB", help="library to build on (default: the one in force)")
    add("--held-out", type=Path, metavar="DIR", help="what it is judged by (default: library/held-out)")
    add("--version", default="", metavar="TEXT", help="of the library (default: day and number)")
    add("--min-engine", default="", metavar="VERSION", help="oldest spectralid for it (default: this one)")
    _rollout_options(add)
    add = command("roll-out", _roll_out, "hand a release out to more tablets; it waits for a signature")
    add("number", type=int, metavar="N", help="the release")
    _rollout_options(add)
    add = command("withdraw", _withdraw, "hand a release out no more; it waits for a signature")
    add("number", type=int, metavar="N", help="the release")
    add = command("rotate", _rotate, "change keys; the new root waits for signatures of the root keys")
    add("--online", action="store_true", help="new keys of snapshot and timestamp, made on this machine")
    add("--add", action="append", default=[], metavar="ROLE=FILE.pub", help="a key that counts from now on")
    add("--remove", action="append", default=[], metavar="ROLE=ID", help="a key that counts no more")
    add = command("key", _key, "make one more key, such as for somebody new", server=False)
    add("file", type=Path, metavar="FILE", help="the key, encrypted; the public one gets .pub")
    _passphrase_option(add)
    add = command("sign", _sign, "sign what waits, on any machine", server=False)
    add("staged", type=Path, metavar="FILE", help="what waits: a file in library/repository/staged")
    add("--key", type=Path, required=True, metavar="FILE", help="a root key, or one of releases")
    _passphrase_option(add)
    command("publish", _publish, "put in force what has its signatures, and search the archive again")
    add = command("refresh", _refresh, "vouch anew for being the newest; to be done each day")
    add("--all", action="store_true", help="also what is not due")
    add = command("show", _show, "how long each role vouches, what waits, what was released")
    add("--json", action="store_true", help="print it as JSON")


def _passphrase_option(add: Any) -> None:
    add("--passphrase-file", type=Path, metavar="FILE", help="read it there; '-' for standard input")


def _rollout_options(add: Any) -> None:
    add("--site", action="append", default=[], metavar="NAME", help="tablets of this place; may be repeated")
    add("--percent", type=int, default=0, metavar="N", help="share of all tablets (default: all of them)")


def _rollout(args: argparse.Namespace) -> dict[str, Any]:
    return {"sites": args.site, "percent": args.percent} if args.site or args.percent else {}


def _init(args: argparse.Namespace) -> int:
    from spectralid.library.update import fingerprint
    from spectralid.reachback.releases import release, repository

    passphrase = _passphrase(args, new=True)
    named = {
        "root": [args.keys / f"root-{n + 1}.key" for n in range(args.root_keys)],
        "targets": [args.keys / f"targets-{n + 1}.key" for n in range(args.targets_keys)],
    }
    with opened(args) as desk:
        folder = release.repository_of(release.folder_of(desk.db))
        for path in (path for paths in named.values() for path in paths):
            repository.make_key(path, passphrase)
        signers = {
            role: [repository.read_key(path, passphrase) for path in paths] for role, paths in named.items()
        }
        root = repository.create(
            folder,
            root=signers["root"],
            targets=signers["targets"],
            snapshot=_new_online_key(desk, "snapshot"),
            timestamp=_new_online_key(desk, "timestamp"),
            now=desk.now(),
            root_threshold=args.root_threshold,
            targets_threshold=args.targets_threshold,
        )
    print(f"{folder}: an empty repository. Tablets are given {folder / 'metadata' / '1.root.json'}")
    print(f"and, by another way, its fingerprint: {fingerprint(root)}")
    print(f"Now give each root key in {args.keys} to another person, and keep the keys of releases offline.")
    return Exit.IDENTIFIED


def _candidates(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import candidates

    with opened(args) as desk:
        if args.number is not None:
            found: tuple[Any, ...] = (candidates.get(desk.db, args.number),)
        else:
            found = candidates.listed(desk.db, state=args.state)
    if args.json or args.number is not None:
        plain = [_plain(one) for one in found]
        print_json(plain[0] if args.number is not None else {"candidates": plain})
        return Exit.IDENTIFIED
    for one in found:
        votes = ", ".join(f"{vote.by} {vote.vote}s" for vote in one.votes) or "nobody has looked yet"
        print(f"{one.candidate:>5}  {one.state:9} {one.status:11} {one.slug:30} {one.case_id}  {votes}")
    return Exit.IDENTIFIED


def _plain(one: Any) -> dict[str, Any]:
    from dataclasses import asdict

    left_out = ("spectrum", "compound")
    kept = {name: getattr(one, name) for name in one.__dataclass_fields__ if name not in left_out}
    plain = {
        name: asdict(value) if hasattr(value, "__dataclass_fields__") else value
        for name, value in kept.items()
    }
    plain["checks"] = [asdict(check) for check in one.checks]
    plain["votes"] = [asdict(vote) for vote in one.votes]
    return plain | {"compound": one.compound.to_dict(), "state": one.state}


def _approve(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import approval, candidates

    with opened(args) as desk:
        person = _person(args, desk)
        seen = candidates.get(desk.db, args.number)
        done = approval.approve(
            desk.db, args.number, by=person, sha256=seen.sha256, words=args.why, now=desk.now()
        )
    print(
        f"Candidate {args.number} is {done.state}: {len(done.votes)} of {candidates.NEEDED} persons approve."
    )
    return Exit.IDENTIFIED


def _reject(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import approval

    with opened(args) as desk:
        approval.reject(desk.db, args.number, by=_person(args, desk), why=args.why, now=desk.now())
    print(f"Candidate {args.number} is rejected.")
    return Exit.IDENTIFIED


def _make(args: argparse.Namespace) -> int:
    import spectralid
    from spectralid.reachback.releases import regression, release

    with opened(args) as desk:
        folder = release.folder_of(desk.db)
        held_out = regression.read(args.held_out or release.held_out_folder(folder))
        try:
            done = release.make(
                desk.db,
                folder,
                held_out=held_out,
                by=_console(),
                now=desk.now(),
                base=args.base,
                version=args.version,
                min_engine=args.min_engine or spectralid.__version__,
                rollout=_rollout(args),
                progress=lambda questions: progress(questions, "spectrum"),
            )
        except regression.WorseError as error:
            print(error.regression.table())
            print(f"spectralid: {error}", file=sys.stderr)
            return Exit.GOAL_MISSED
        judged = regression.Regression.from_dict(done.manifest["regression"])
    print(judged.table())
    print(f"Release {done.number}, {done.name} {done.version}: {len(done.new_references)} new references.")
    for one in done.manifest["left_out"]:
        print(f"Left out: candidate {one['candidate']}. {one['why']}")
    _waits(folder)
    return Exit.IDENTIFIED


def _roll_out(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import release

    with opened(args) as desk:
        folder = release.folder_of(desk.db)
        release.roll_out(folder, args.number, _rollout(args), now=desk.now())
    _waits(folder)
    return Exit.IDENTIFIED


def _withdraw(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import release

    with opened(args) as desk:
        folder = release.folder_of(desk.db)
        release.withdraw(folder, args.number, now=desk.now())
    _waits(folder)
    return Exit.IDENTIFIED


def _rotate(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import release, repository

    with opened(args) as desk:
        folder = release.folder_of(desk.db)
        place = release.repository_of(folder)
        add: dict[str, list[Path]] = {}
        remove: dict[str, list[str]] = {}
        for text in args.add:
            role, file = _pair("--add", text)
            add.setdefault(role, []).append(Path(file))
        for text in args.remove:
            role, keyid = _pair("--remove", text)
            remove.setdefault(role, []).append(keyid)
        for role in _ONLINE if args.online else ():
            remove.setdefault(role, []).extend(sorted(repository.keyids(place, role)))
            _new_online_key(desk, role)
            add.setdefault(role, []).append(_online_files(desk, role)[-1].with_suffix(".key.pub"))
        repository.stage_root(place, now=desk.now(), add=add, remove=remove)
    _waits(folder)
    return Exit.IDENTIFIED


def _key(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import repository

    keyid = repository.make_key(args.file, _passphrase(args, new=True))
    print(f"Key {keyid}: {args.file} (encrypted) and {args.file}.pub (public).")
    return Exit.IDENTIFIED


def _sign(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import repository

    signer = repository.read_key(args.key, _passphrase(args))
    count = repository.sign(args.staged, signer)
    print(f"{args.staged}: signed; it has {count} signature{'s' if count != 1 else ''}.")
    return Exit.IDENTIFIED


def _publish(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import release

    with opened(args) as desk:
        done = release.publish(
            desk.db,
            release.folder_of(desk.db),
            **_online(desk, staged=True),
            by=_console(),
            now=desk.now(),
            after=(_search_again(desk),),
        )
    for one in done:
        print(f"Release {one.number}, {one.name} {one.version}, is handed out from now on.")
    if not done:
        print("Published.")
    return Exit.IDENTIFIED


def _search_again(desk: Desk) -> Any:
    """What is called for each release: the archive is searched again against what changed."""
    from spectralid.reachback.research import runs

    def hook(release: Release, library: Path, before: Path) -> None:
        run = runs.start(
            desk.db,
            library,
            release.new_references,
            before=before,
            removed=release.manifest["removed"],
            by=_console(),
            now=desk.now(),
        )
        print(f"Re-search {run} is queued; 'spectralid reachback research run' does it.")

    return hook


def _refresh(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import release, repository

    with opened(args) as desk:
        folder = release.repository_of(release.folder_of(desk.db))
        done = repository.refresh(folder, **_online(desk), now=desk.now(), everything=args.all)
        late = [
            one
            for one in repository.state(folder)
            if one.role not in _ONLINE and one.days_left(desk.now()) < _SOON_DAYS
        ]
    print(f"Signed anew: {', '.join(done) or 'nothing, nothing is due'}.")
    for one in late:
        print(
            f"spectralid: the role {one.role} vouches until {one.expires:%Y-%m-%d} only; sign it anew.",
            file=sys.stderr,
        )
    return Exit.IDENTIFIED


def _show(args: argparse.Namespace) -> int:
    from spectralid.reachback.releases import candidates, release, repository

    with opened(args) as desk:
        folder, now = release.folder_of(desk.db), desk.now()
        roles = repository.state(release.repository_of(folder))
        releases = release.listed(desk.db)
        pending = len(candidates.listed(desk.db, state="pending"))
        approved = len(candidates.listed(desk.db, state="approved"))
    waiting = sorted(path.name for path in (release.repository_of(folder) / "staged").glob("*.json"))
    if args.json:
        print_json(
            {
                "roles": [
                    {
                        "role": one.role,
                        "version": one.version,
                        "expires": one.expires.isoformat(),
                        "days_left": round(one.days_left(now), 2),
                        "keys": one.keys,
                        "threshold": one.threshold,
                    }
                    for one in roles
                ],
                "waiting": waiting,
                "releases": [
                    {
                        "number": one.number,
                        "version": one.version,
                        "made_utc": one.made_utc,
                        "published_utc": one.published_utc,
                    }
                    for one in releases
                ],
                "pending": pending,
                "approved": approved,
            }
        )
        return Exit.IDENTIFIED
    for one in roles:
        left = one.days_left(now)
        until = f"until {one.expires:%Y-%m-%d %H:%M}, {left:.0f} days" if left > 0 else "EXPIRED"
        print(f"{one.role:10} version {one.version}, {one.threshold} of {one.keys} keys, {until}")
    print(f"waiting    {', '.join(waiting) or 'nothing'}")
    for made in releases:
        print(f"release    {made.number}: {made.version}, {made.published_utc[:10] or 'not handed out'}")
    print(f"candidates {pending} pending, {approved} approved")
    return Exit.IDENTIFIED


# --- keys and persons --------------------------------------------------------------------------------------


def _passphrase(args: argparse.Namespace, *, new: bool = False) -> str:
    file = args.passphrase_file
    if file is None:
        if not sys.stdin.isatty():
            raise ParameterError("--passphrase-file", "nothing", "given where nobody can be asked")
        first = getpass.getpass("Passphrase of the keys: ")
        if new and getpass.getpass("Again: ") != first:
            raise ParameterError("passphrase", "(not shown)", "the same both times")
        return first
    text = sys.stdin.read(4096) if str(file) == "-" else file.read_text(encoding="utf-8")
    return text.rstrip("\r\n")


def _online_passphrase(desk: Desk) -> str:
    """Of the keys that this machine signs with by itself; made the first time."""
    from spectralid.files import write_whole
    from spectralid.reachback.releases import release

    path = release.folder_of(desk.db) / _KEYS / _PASSPHRASE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, [secrets.token_urlsafe(32).encode()])
    return path.read_text(encoding="ascii").strip()


def _online_files(desk: Desk, role: str) -> list[Path]:
    from spectralid.reachback.releases import release

    folder = release.folder_of(desk.db) / _KEYS
    return sorted(folder.glob(f"{role}-*.key"), key=lambda path: int(path.stem.rpartition("-")[2]))


def _new_online_key(desk: Desk, role: str) -> CryptoSigner:
    from spectralid.reachback.releases import release, repository

    passphrase = _online_passphrase(desk)
    path = release.folder_of(desk.db) / _KEYS / f"{role}-{len(_online_files(desk, role)) + 1}.key"
    repository.make_key(path, passphrase)
    return repository.read_key(path, passphrase)


def _online(desk: Desk, *, staged: bool = False) -> Mapping[str, CryptoSigner]:
    """The keys of the server that count: those in force, or those of a root that waits."""
    from spectralid.reachback.releases import release, repository

    place = release.repository_of(release.folder_of(desk.db))
    passphrase = _online_passphrase(desk)
    found = {}
    for role in _ONLINE:
        wanted = repository.keyids(place, role, staged=staged)
        signers = (repository.read_key(path, passphrase) for path in reversed(_online_files(desk, role)))
        signer = next((one for one in signers if one.public_key.keyid in wanted), None)
        if signer is None:
            raise repository.KeyRefusedError(f"The key of the role {role} is not on this machine.")
        found[role] = signer
    return found


def _person(args: argparse.Namespace, desk: Desk) -> str:
    """Whose token it is; nobody approves in another's name."""
    from spectralid.reachback.errors import ForbiddenError, SignInError
    from spectralid.reachback.people import sessions
    from spectralid.reachback.people.roles import may

    account = sessions.of_token(desk.db, args.token_file.read_text(encoding="ascii").strip(), now=desk.now())
    if account is None:
        raise SignInError("The token is not one that counts.")
    if not may(account.roles, "candidate.approve"):
        raise ForbiddenError(f"{account.name} has no role that may do this (candidate.approve).")
    return account.name


def _console() -> str:
    """Whoever is at the machine; told apart from the accounts by the colon."""
    try:
        return f"console:{getpass.getuser()}"[:100]
    except (OSError, KeyError):
        return "console:unknown"


def _pair(option: str, text: str) -> tuple[str, str]:
    from spectralid.reachback.releases.repository import ROLES

    role, _, rest = text.partition("=")
    if role not in ROLES or not rest:
        raise ParameterError(option, text, f"ROLE=…, with one of {', '.join(ROLES)}")
    return role, rest


def _waits(folder: Path) -> None:
    from spectralid.reachback.releases import release

    for path in sorted((release.repository_of(folder) / "staged").glob("*.json")):
        print(f"Waits for signatures: {path}")
