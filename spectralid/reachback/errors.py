"""What can go wrong on the server. Each error knows the status and the code that a client is told.

::

    ReachbackError                    (a RecordError)
    ├── UnavailableError         503  the database cannot be reached, or is busy: try again
    ├── StorageFullError         507  no room: nothing was stored
    ├── SchemaTooNewError             the database was made by a newer version
    ├── DamagedError                  bytes on the disk are not those that were stored
    ├── NotFoundError            404  a case, an answer or a device that is not on record
    ├── IngestRefusedError            a packet that is not taken in
    │   ├── TooLargeError        413
    │   ├── UnknownFormatError   415  made by a newer program: kept aside
    │   ├── BadPacketError       422  damaged, or no packet, or not signed by whom it names
    │   ├── KeyReusedError       422  its number or key was used for another packet: both are kept
    │   └── DeviceRefusedError   403  not enrolled, or revoked
    ├── ConflictError            409  what is asked for does not fit the state of the case
    │   ├── TransitionError           the state machine has no such step from here
    │   ├── LeaseTakenError           somebody else has the case
    │   ├── StaleLeaseError           the lease has ended: what was written is kept as a draft
    │   └── CaseChangedError          scans came in that the chemist had not seen
    ├── SignInError              401  nobody, or not who they say
    ├── ForbiddenError           403  somebody who may not do this
    ├── SeparationError          403  the same person may not do both
    ├── TooManyError             429  more than is let in at a time
    └── DecisionError            422  a decision without what it needs
"""

from __future__ import annotations

import math
from typing import ClassVar

from spectralid.errors import RecordError

__all__ = [
    "BadPacketError",
    "CaseChangedError",
    "ConflictError",
    "DamagedError",
    "DecisionError",
    "DeviceRefusedError",
    "ForbiddenError",
    "IngestRefusedError",
    "KeyReusedError",
    "LeaseTakenError",
    "NotFoundError",
    "ReachbackError",
    "SchemaTooNewError",
    "SeparationError",
    "SignInError",
    "StaleLeaseError",
    "StorageFullError",
    "TooLargeError",
    "TooManyError",
    "TransitionError",
    "UnavailableError",
    "UnknownFormatError",
]


class ReachbackError(RecordError):
    """Something the server cannot or will not do."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "failed"


class UnavailableError(ReachbackError):
    """The database cannot be reached or is busy; the same request may work later."""

    status = 503
    code = "busy"


class StorageFullError(ReachbackError):
    """The disk of the server is full; nothing of the request was stored."""

    status = 507
    code = "storage-full"


class SchemaTooNewError(ReachbackError):
    """The database was made by a newer version of spectralid."""

    code = "schema-too-new"


class DamagedError(ReachbackError):
    """What is on the disk is not what was stored; its device has been, or will be, asked for it again."""

    code = "damaged"


class NotFoundError(ReachbackError):
    """Not on record here."""

    status = 404
    code = "not-found"


class IngestRefusedError(ReachbackError):
    """A packet that is not taken in."""

    status = 422
    code = "refused"


class TooLargeError(IngestRefusedError):
    """More bytes than a packet may have."""

    status = 413
    code = "too-large"


class UnknownFormatError(IngestRefusedError):
    """A packet of a newer format; it was put aside and is not lost."""

    status = 415
    code = "unknown-schema"


class BadPacketError(IngestRefusedError):
    """Damaged, no packet, or not signed by the device it names."""

    code = "bad-packet"


class KeyReusedError(IngestRefusedError):
    """Its number, name or idempotency key belongs to other bytes; both are kept."""

    code = "key-reused"


class DeviceRefusedError(IngestRefusedError):
    """The device is not enrolled or was revoked."""

    status = 403
    code = "device-refused"


class ConflictError(ReachbackError):
    """What is asked for does not fit the state of the case."""

    status = 409
    code = "conflict"


class TransitionError(ConflictError):
    """There is no such step from the state the case is in."""

    code = "no-such-step"


class LeaseTakenError(ConflictError):
    """Somebody else works on the case."""

    code = "lease-taken"


class StaleLeaseError(ConflictError):
    """The lease under which something was written has ended.

    Attributes
    ----------
    draft : int or None
        Under which number what was written is kept.
    """

    code = "stale-lease"

    def __init__(self, message: str, *, draft: int | None = None) -> None:
        super().__init__(message)
        self.draft = draft


class CaseChangedError(ConflictError):
    """Scans came in that whoever decides had not seen.

    Attributes
    ----------
    draft : int or None
        Under which number what was written is kept.
    """

    code = "case-changed"

    def __init__(self, message: str, *, draft: int | None = None) -> None:
        super().__init__(message)
        self.draft = draft


class SignInError(ReachbackError):
    """Nobody has said who they are, or not in a way that holds."""

    status = 401
    code = "sign-in"


class ForbiddenError(ReachbackError):
    """Whoever asks may not do this."""

    status = 403
    code = "forbidden"


class TooManyError(ReachbackError):
    """More than is let in at a time.

    Attributes
    ----------
    retry_after_s : int
        After how long it is worth trying again.
    """

    status = 429
    code = "too-many"

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = max(1, math.ceil(retry_after_s))


class SeparationError(ReachbackError):
    """One person may not do both: decide and review."""

    status = 403
    code = "same-person"


class DecisionError(ReachbackError):
    """A decision that lacks what it needs, such as its basis."""

    status = 422
    code = "decision"
