"""Trust: which server this tablet talks to, and whose signatures count.

A tablet makes a *request* (its signing key and a request for a certificate, signed by the tablet). The agency
answers with an *enrolment*: address, authority, certificate, and the server's public keys, signed by one of
those keys. The first one is confirmed by a person who compares its fingerprint; a later one is taken without
that if a key trusted already has signed it. Both are files, because the tablet that cannot reach the server
is the one that has to be enrolled.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from spectralid.casework import dsse
from spectralid.casework.clock import to_text
from spectralid.casework.endpoint import Endpoint
from spectralid.casework.errors import PacketError, RecordError, SignatureError
from spectralid.casework.keys import PublicKey
from spectralid.casework.manifest import dumps, loads, prepare
from spectralid.casework.messages import Trust, parse_utc
from spectralid.errors import MissingDependencyError
from spectralid.files import write_whole

if TYPE_CHECKING:
    from spectralid.casework.store import CaseStore

try:
    import msgspec
except ImportError:
    raise MissingDependencyError("msgspec", extra="tablet", purpose="to read an enrolment") from None

__all__ = [
    "ENROLMENT_TYPE",
    "REQUEST_TYPE",
    "Enrolment",
    "EnrolmentError",
    "enrol",
    "enrolled",
    "enrolled_endpoint",
    "fingerprint",
    "request",
    "trust_of",
]

ENROLMENT_TYPE: Final = "application/vnd.spectralid.enrolment+json"
REQUEST_TYPE: Final = "application/vnd.spectralid.enrolment-request+json"
MAX_FILE: Final = dsse.MAX_ENVELOPE

_TLS_KEY: Final = "tls.key"
_TLS_CERTIFICATE: Final = "tls.pem"
_SHORTEST_FINGERPRINT: Final = 32


class EnrolmentError(RecordError):
    """An enrolment that cannot be taken, or is missing."""


_Pem = Annotated[str, msgspec.Meta(max_length=64 * 1024, pattern=r"^-----BEGIN CERTIFICATE-----\s")]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    schema: Literal["spectralid.enrolment/1"]
    device_id: str
    issued_utc: str
    url: Annotated[str, msgspec.Meta(max_length=500)]
    ca_pem: _Pem
    server_keys: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=16)]
    certificate_pem: _Pem | None = None


prepare(_File)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The server of this tablet.

    Attributes
    ----------
    device_id : str
        As the server knows this tablet.
    url : str
        Of the server, ``https://host[:port][/path]`` without a slash at its end.
    ca_pem : str
        The authority that the server's certificate must come from, and no other.
    certificate, key : str
        Files of the tablet's own certificate and of its key.
    server_keys : tuple of PublicKey
        Whose signatures count.
    issued_utc : str
        When it was made; an older one never replaces a newer one by itself.
    """

    device_id: str
    url: str
    ca_pem: str
    certificate: str
    key: str
    server_keys: tuple[PublicKey, ...]
    issued_utc: str

    def trust(self) -> Trust:
        """Whose messages count."""
        return Trust(self.device_id, {key.keyid: key for key in self.server_keys})


def fingerprint(raw: bytes) -> str:
    """What a person compares before an enrolment is trusted: SHA-256 of the file in groups of four.

    Parameters
    ----------
    raw : bytes
        The file.
    """
    digits = hashlib.sha256(raw).hexdigest()
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def enrolled(store: CaseStore) -> Enrolment | None:
    """The enrolment in force, if there is one."""
    found = store.read("SELECT raw FROM trust WHERE id = 1")
    if not found:
        return None
    kept = json.loads(found[0][0])
    return Enrolment(
        device_id=store.device_id,
        url=kept["url"],
        ca_pem=kept["ca_pem"],
        certificate=str(store.folder / kept["certificate"]),
        key=str(store.folder / kept["key"]),
        server_keys=tuple(PublicKey(bytes.fromhex(one)) for one in kept["server_keys"]),
        issued_utc=kept["issued_utc"],
    )


def trust_of(store: CaseStore) -> Trust:
    """Whose messages count here.

    Raises
    ------
    EnrolmentError
        If this tablet is not enrolled.
    """
    found = enrolled(store)
    if found is None:
        raise EnrolmentError(
            "This tablet is not enrolled with a server, so no message can be trusted; enrol it with: "
            "spectralid packets enrol FILE"
        )
    return found.trust()


def trust_ever(store: CaseStore) -> Trust:
    """The server's keys of today and those that were replaced: a receipt outlives the key that signed it."""
    found = store.read("SELECT raw FROM trust WHERE id = 1")
    kept = json.loads(found[0][0]) if found else {"server_keys": [], "former_keys": []}
    keys = [PublicKey(bytes.fromhex(one)) for one in kept["server_keys"] + kept["former_keys"]]
    return Trust(store.device_id, {key.keyid: key for key in keys})


def enrolled_endpoint(store: CaseStore) -> Endpoint | None:
    """The line to the server, if this tablet is enrolled with one; it dials when first used."""
    found = enrolled(store)
    return None if found is None else Endpoint(found, found.trust())


def enrol(
    store: CaseStore,
    raw: bytes,
    *,
    confirmed: str = "",
    certificate: str | os.PathLike[str] | None = None,
    key: str | os.PathLike[str] | None = None,
) -> Enrolment:
    """Take an enrolment: on record, in force from now on, and packets that were held up are tried again.

    Parameters
    ----------
    store : CaseStore
        Of the tablet.
    raw : bytes
        The file.
    confirmed : str
        The file's fingerprint, or at least its first 32 digits, as a person has it from the agency; not
        needed when a key trusted already has signed the file and it is newer than the one in force.
    certificate, key : path, optional
        The tablet's certificate and its key, where the agency handed them out as files of their own. By
        default the certificate comes with the enrolment and the key is the one that `request` made.

    Returns
    -------
    Enrolment

    Raises
    ------
    EnrolmentError
        If it is not trusted, is for another tablet, is older, or something it needs is missing.
    PacketError
        If it is damaged.
    """
    file, keys, signer = _read(raw)
    if file.device_id != store.device_id:
        raise EnrolmentError(
            f"The enrolment is for the device {file.device_id[:40]!r}; this one is {store.device_id!r}."
        )
    before = enrolled(store)
    _check_trust(raw, file, signer, before, confirmed)
    if certificate is None and file.certificate_pem is None:
        raise EnrolmentError("The enrolment brings no certificate; name the file it is in.")
    own_key = Path(key) if key is not None else store.folder / _TLS_KEY
    if not own_key.is_file():
        raise EnrolmentError(
            f"{own_key}: the key of the tablet's certificate is not there; make a request first with: "
            "spectralid packets request FILE"
        )
    own = Path(certificate) if certificate is not None else store.folder / _TLS_CERTIFICATE
    pem = own.read_bytes() if certificate is not None else (file.certificate_pem or "").encode()
    _check_pair(pem, own_key)
    if certificate is None:
        # Before the row that names it: a certificate nobody refers to does no harm.
        write_whole(own, [pem])
    former = trust_ever(store).keys.values() if before else ()
    kept: dict[str, Any] = {
        "url": file.url.rstrip("/"),
        "ca_pem": file.ca_pem,
        "certificate": _relative(store.folder, own),
        "key": _relative(store.folder, own_key),
        "server_keys": [one.raw.hex() for one in keys],
        "former_keys": [one.raw.hex() for one in former if one not in keys],
        "issued_utc": file.issued_utc,
    }
    with store.transaction() as tx:
        tx.execute(
            "INSERT OR REPLACE INTO trust (id, raw, enrolled_utc) VALUES (1, ?, ?)",
            (json.dumps(kept), to_text(store.time.now())),
        )
        tx.execute("DELETE FROM sync_state WHERE key IN ('link', 'attention')")
        # What the last server refused is offered to this one.
        tx.execute("UPDATE outbox SET state = 'queued', next_try_utc = NULL WHERE state = 'attention'")
        store.custody.append(
            tx,
            "enrolled",
            {
                "url": kept["url"],
                "file": hashlib.sha256(raw).hexdigest(),
                "server_keys": [one.keyid for one in keys],
                "by": "fingerprint" if confirmed else f"key {signer}",
            },
        )
    found = enrolled(store)
    assert found is not None
    return found


def _read(raw: bytes) -> tuple[_File, tuple[PublicKey, ...], str]:
    """The file, the server's keys in it, and which of them signed it."""
    if len(raw) > MAX_FILE:
        raise PacketError(f"The enrolment has {len(raw)} bytes; at most {MAX_FILE} are allowed.")
    try:
        file = msgspec.convert(
            loads(dsse.verify(raw, None, payload_types={ENROLMENT_TYPE}).payload, max_bytes=MAX_FILE), _File
        )
    except msgspec.ValidationError as error:
        raise PacketError(f"The enrolment is not well formed: {error}.") from None
    parse_utc(file.issued_utc)
    address = urlsplit(file.url)
    if address.scheme != "https" or not address.hostname or address.username or address.query:
        raise PacketError(
            f"The enrolment's address {file.url[:80]!r} is not of the form https://host[:port]."
        )
    try:
        keys = tuple(PublicKey(base64.b64decode(one, validate=True)) for one in file.server_keys)
    except binascii.Error:
        raise PacketError("A key of the server in the enrolment is not base64.") from None
    # Signed by one of the keys it brings, so that a key mistyped by the agency is found at once.
    signed = dsse.verify(raw, {key.keyid: key for key in keys}, payload_types={ENROLMENT_TYPE})
    return file, keys, signed.keyid


def _check_trust(raw: bytes, file: _File, signer: str, before: Enrolment | None, confirmed: str) -> None:
    if confirmed:
        digits = "".join(confirmed.split()).lower()
        if len(digits) < _SHORTEST_FINGERPRINT or not hashlib.sha256(raw).hexdigest().startswith(digits):
            raise EnrolmentError(
                f"The fingerprint given is not that of this file, which is {fingerprint(raw)}; do not use it "
                f"unless the agency confirms all of it (at least {_SHORTEST_FINGERPRINT} digits are needed)."
            )
        return
    if before is None:
        raise EnrolmentError(
            "Nobody trusted here has signed this enrolment. Compare its fingerprint with the agency's and "
            f"give it: {fingerprint(raw)}"
        )
    try:
        dsse.verify(raw, before.trust().keys, payload_types={ENROLMENT_TYPE})
    except SignatureError:
        raise EnrolmentError(
            f"This enrolment is signed with the key {signer}, which is not trusted yet. Compare its "
            f"fingerprint with the agency's and give it: {fingerprint(raw)}"
        ) from None
    if parse_utc(file.issued_utc) < parse_utc(before.issued_utc):
        raise EnrolmentError(
            f"This enrolment was made on {file.issued_utc} and the one in force on {before.issued_utc}; it "
            "is not taken back without the fingerprint."
        )


def _check_pair(pem: bytes, key: Path) -> None:
    """See that the certificate was made for the key, before either is relied on."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    try:
        certificate = x509.load_pem_x509_certificate(pem)
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise EnrolmentError(f"The tablet's certificate or its key {key} cannot be read ({error}).") from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if certificate.public_key().public_bytes(*form) != private.public_key().public_bytes(*form):
        raise EnrolmentError(f"The certificate was not made for the key {key}; make a new request.")


def request(store: CaseStore) -> bytes:
    """What the agency needs to enrol this tablet: its signing key, and a request for a certificate.

    The key of the certificate is made in the store's folder the first time, readable by its owner only.

    Returns
    -------
    bytes
        A DSSE envelope signed with the device's key.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    path = store.folder / _TLS_KEY
    if path.exists():
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
        assert isinstance(private, ec.EllipticCurvePrivateKey)
    else:
        private = ec.generate_private_key(ec.SECP256R1())
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        write_whole(path, [pem])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, store.device_id[:64])])
    wanted = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, hashes.SHA256())
    body = {
        "schema": "spectralid.enrolment-request/1",
        "device_id": store.device_id,
        "public_key": base64.b64encode(store.key.public.raw).decode(),
        "csr_pem": wanted.public_bytes(serialization.Encoding.PEM).decode(),
        "utc": to_text(store.time.now()),
    }
    return dsse.sign(dumps(body), REQUEST_TYPE, store.key)


def _relative(folder: Path, path: Path) -> str:
    """Within the store's folder as a relative name, so that the folder can be moved."""
    with contextlib.suppress(ValueError):
        return str(path.resolve().relative_to(folder.resolve()))
    return str(path.resolve())
