"""The policy a device decides by: installed whole or not at all, checked whenever it is read."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from spectralid.errors import FileError
from spectralid.files import write_whole
from spectralid.verdict.policy import Policy, default_policy
from spectralid.verdict.policy_file import read_policy
from spectralid.vouching import TrustedKeys, signature_of

__all__ = ["PolicyKeeper"]

_CURRENT: Final = "current"
# It holds no secret; whoever wants to know what is in force may read it.
_MODE: Final = 0o644
_RECORD: Final = re.compile(r"[0-9a-f]{64}")


class PolicyKeeper:
    """Keeps the installed policy in a folder.

    The policy is in ``policy-<SHA-256 of the file>.toml``, and ``current`` holds the SHA-256 of the one in
    force. It is replaced in one step, after the policy itself is safely on the disk: a power cut leaves the
    old or the new policy, never a part of one. The signature it came with is kept beside it.

    Parameters
    ----------
    folder : path-like
        Where it is kept; made when something is installed.
    trusted : TrustedKeys, optional
        Keys that count: where there are any, only a policy that one of them has signed is installed, or used.
    """

    def __init__(self, folder: str | Path, *, trusted: TrustedKeys | None = None) -> None:
        self._folder = Path(folder)
        self._trusted = trusted or TrustedKeys()
        self._seen, self._policy = self._read()

    @property
    def current(self) -> Policy:
        """The policy in force, read again when another process has installed one.

        Where nothing is installed, the one that comes with spectralid; where what is installed is damaged,
        that one, too, and its `Policy.damaged` says why: every verdict then tells it.
        """
        if self._sight() != self._seen:
            self._seen, self._policy = self._read()
        return self._policy

    def install(self, path: str | Path) -> Policy:
        """Put a policy file in force.

        Parameters
        ----------
        path : path-like
            The file.

        Returns
        -------
        Policy
            What is in force now.

        Raises
        ------
        PolicyError
            If anything in the file is wrong; the policy in force stays.
        NotVouchedError
            If keys are trusted and none of them has signed it; the policy in force stays.
        FileError
            If it cannot be kept; the policy in force stays.
        """
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FileError(f"it cannot be read ({error.strerror}).", file=str(path)) from None
        signature = signature_of(path)
        self._trusted.vouch("policy", data, signature, file=str(path))
        policy = read_policy(data, str(path))
        digest = hashlib.sha256(data).hexdigest()
        kept = {_name(digest), f"{_name(digest)}.sig.json"}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if signature is not None:
                write_whole(self._folder / f"{_name(digest)}.sig.json", [signature], mode=_MODE)
            write_whole(self._folder / _name(digest), [data], mode=_MODE)
            write_whole(self._folder / _CURRENT, [f"{digest}\n".encode()], mode=_MODE)
        except OSError as error:
            raise FileError(
                f"the policy cannot be kept ({error.strerror}); the one in force stays.",
                file=str(self._folder),
            ) from None
        self._seen, self._policy = self._sight(), policy
        for old in self._folder.glob("policy-*.toml*"):
            if old.name not in kept:
                old.unlink(missing_ok=True)
        return policy

    def _sight(self) -> tuple[int, ...] | None:
        """What changes when another policy is put in force."""
        try:
            seen = (self._folder / _CURRENT).stat()
        except OSError:
            return None
        return (seen.st_mtime_ns, seen.st_ino, seen.st_size)

    def _read(self) -> tuple[tuple[int, ...] | None, Policy]:
        while True:
            seen, policy = self._sight(), self._load()
            # What vanished while it was read has a successor.
            if not policy.damaged or self._sight() == seen:
                return seen, policy

    def _load(self) -> Policy:
        record = self._folder / _CURRENT
        try:
            digest = record.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return default_policy()
        except (OSError, UnicodeDecodeError) as error:
            return _instead(f"{record}: it cannot be read ({error}).")
        if not _RECORD.fullmatch(digest):
            return _instead(f"{record}: it does not hold a SHA-256.")
        kept = self._folder / _name(digest)
        try:
            data = kept.read_bytes()
        except OSError as error:
            return _instead(f"{kept}: it cannot be read ({error.strerror}).")
        if hashlib.sha256(data).hexdigest() != digest:
            return _instead(f"{kept}: its content is not what was installed.")
        try:
            self._trusted.vouch("policy", data, signature_of(kept), file=str(kept))
            return read_policy(data, str(kept))
        except FileError as error:
            # Installed by another version of spectralid, which understood it; or before keys were trusted.
            return _instead(str(error))


def _name(digest: str) -> str:
    return f"policy-{digest}.toml"


def _instead(why: str) -> Policy:
    """The policy that comes with spectralid, in place of one that cannot be used: there is never none."""
    return replace(default_policy(), damaged=why)
