"""What can go wrong with the record of field work.

::

    RecordError                       (spectralid.errors)
    ├── PacketError                   bytes that are no sound packet or message
    │   ├── SignatureError            signed by nobody known here, or changed since
    │   └── UnknownSchemaError        made by a newer program: keep it aside, do not drop it
    ├── RemovedPacketError            its bytes were removed after a verified receipt
    ├── UnknownReferenceError         a seizure, item or packet that is not on record
    ├── KeyFileError                  the device key is missing or unusable
    └── StoreError                    the store on this device
        ├── StoreFullError            no room: the record was not stored
        ├── StoreReadOnlyError        a write failed, or it was opened for reading: nothing is stored
        ├── StoreBusyError            another program writes here
        ├── StoreVersionError         made by a newer version of spectralid
        └── StoreDamagedError         the file is damaged or is no store
"""

from __future__ import annotations

from spectralid.errors import RecordError

__all__ = [
    "KeyFileError",
    "PacketError",
    "RecordError",
    "RemovedPacketError",
    "SignatureError",
    "StoreBusyError",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StoreReadOnlyError",
    "StoreVersionError",
    "UnknownReferenceError",
    "UnknownSchemaError",
]


class PacketError(RecordError):
    """Bytes that are no sound packet, message or manifest."""


class SignatureError(PacketError):
    """A signature that does not hold, or of a key that is not trusted here."""


class UnknownSchemaError(PacketError):
    """A packet of a newer format: to be kept aside, not dropped."""


class RemovedPacketError(RecordError):
    """A packet whose bytes were removed after a verified receipt."""


class UnknownReferenceError(RecordError):
    """A seizure, an item or a packet that is not on record here."""


class KeyFileError(RecordError):
    """The device key is missing, damaged, or readable by others."""


class StoreError(RecordError):
    """Something about the store on this device."""


class StoreFullError(StoreError):
    """The disk is full; what was to be stored is not stored.

    Attributes
    ----------
    room_was_made : bool
        Whether the reserve was given up just now, so that the same record may fit when tried once more.
    """

    def __init__(self, message: str, *, room_was_made: bool = False) -> None:
        super().__init__(message)
        self.room_was_made = room_was_made


class StoreReadOnlyError(StoreError):
    """Nothing can be stored: a write failed earlier, or the store was opened for reading."""


class StoreBusyError(StoreError):
    """Another program writes to this store."""


class StoreVersionError(StoreError):
    """The store was made by a newer version of spectralid."""


class StoreDamagedError(StoreError):
    """The file of the store is damaged, or is no store."""
