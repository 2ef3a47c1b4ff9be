"""The log of everything that was done, for those who check it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from spectralid.reachback.api import problems
from spectralid.reachback.api.access import Actor, requires
from spectralid.reachback.api.bodies import DeskNow, Limit, Model
from spectralid.reachback.store import audit_reading

__all__ = ["router"]

router = APIRouter(tags=["audit"])

_N = Annotated[int, Query(ge=1, le=2**53)]
Reader = Annotated[Actor, Depends(requires("audit.read"))]


class Entry(Model):
    """An entry; its SHA-256 is that of its other fields as compact JSON with sorted names, `facts` a text."""

    n: int
    utc: str
    actor: str
    action: str
    subject: str
    facts: str
    prev: str
    sha256: str


class Entries(Model):
    """Entries in their order; `head` is the number of the newest."""

    head: int
    entries: list[Entry]


class Checkpoint(Model):
    """The newest entry, signed: to be held elsewhere."""

    n: int
    sha256: str
    checkpoint: str


class Proof(Model):
    """An entry, those after it up to a checkpoint, and that checkpoint, signed."""

    entries: list[Entry]
    checkpoint: str
    held_by: str | None


class PublicKeys(Model):
    """The keys that the server signs with, now and before: key id and 32 bytes in hexadecimal digits."""

    keys: dict[str, str]


@router.get("/v1/audit", response_model=Entries, summary="The log")
def read_audit(
    desk: DeskNow,
    _: Reader,
    since: Annotated[int, Query(alias="from", ge=1, le=2**53)] = 1,
    limit: Limit = 200,
) -> Entries:
    """Give entries from a number on."""
    with desk.db.read() as tx:
        head, rows = audit_reading.entries(tx, since, limit)
    return Entries(head=head, entries=[Entry(**row) for row in rows])


@router.get("/v1/audit/checkpoints", response_model=Checkpoint, summary="A signed checkpoint")
def read_checkpoint(desk: DeskNow, _: Reader) -> Checkpoint:
    """Sign the newest entry; whoever holds that sees later whether the log was cut off or written anew."""
    with desk.db.read() as tx:
        head, text = audit_reading.checkpoint(tx, desk.keys, now=desk.now())
    return Checkpoint(n=head.n, sha256=head.sha256, checkpoint=text)


@router.get(
    "/v1/audit/proof",
    response_model=Proof,
    summary="That an entry is in the log",
    responses=problems.declared(404),
)
def read_proof(desk: DeskNow, _: Reader, n: _N) -> Proof:
    """Give the chain from an entry to the next checkpoint, in a tablet's receipt or of this moment."""
    with desk.db.read() as tx:
        rows, checkpoint, held_by = audit_reading.proof(tx, desk.keys, n, now=desk.now())
    return Proof(entries=[Entry(**row) for row in rows], checkpoint=checkpoint, held_by=held_by)


@router.get("/v1/audit/keys", response_model=PublicKeys, summary="The server's public keys")
def read_keys(desk: DeskNow, _: Reader) -> PublicKeys:
    """With which checkpoints, receipts and answers are verified."""
    found: dict[str, Any] = {keyid: key.raw.hex() for keyid, key in desk.keys.trusted.items()}
    return PublicKeys(keys=found)
