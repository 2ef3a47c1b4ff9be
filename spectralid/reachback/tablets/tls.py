"""The agency's authority, the certificates it issues, and how a line's certificate reaches the application.

uvicorn gives an application no certificate of the caller. `PeerCertificate` is its HTTP/1.1 protocol with
one line more: once the handshake is over, the certificate that OpenSSL has verified is put into the state of
the line, which no header or body can reach. What runs behind a proxy that ends TLS has no tablets, therefore:
they have a listener of their own.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from uvicorn.protocols.http.h11_impl import H11Protocol

from spectralid.files import write_whole
from spectralid.reachback.errors import BadPacketError, ReachbackError

__all__ = ["PEER", "Authority", "PeerCertificate", "server_context"]

PEER: Final = "peer_certificate"
"""Under this name the state of a line has the certificate (DER) that TLS has verified."""

_AUTHORITY_YEARS: Final = 10
_SERVER_DAYS: Final = 365
# X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h, which the module ssl has no name for.
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
_GOODBYE_S: Final = 0.5
_RENEW: Final = timedelta(days=60)
# A tablet's clock may be behind by some.
_EARLIER: Final = timedelta(days=1)


class PeerCertificate(H11Protocol):
    """uvicorn's protocol that also puts the verified certificate of the caller into ``scope["state"]``."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a line, after its handshake."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        # Each request has a copy of this state; the application may write into it and no caller can.
        self.app_state = {**self.app_state, PEER: certificate}

    def shutdown(self) -> None:
        """End the line: at once if it is idle, else after what is under way."""
        super().shutdown()
        self._hang_up()

    def _hang_up(self) -> None:
        # TLS waits half a minute for the other end to say goodbye too, and a tablet that sleeps does not.
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_GOODBYE_S, self.transport.abort)
        else:
            self.loop.call_later(_GOODBYE_S, self._hang_up)


class Authority:
    """Who issues the certificates of tablets and of the server.

    Parameters
    ----------
    certificate : x509.Certificate
        Of the authority.
    key : ec.EllipticCurvePrivateKey
        Its key.
    """

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    @classmethod
    def open(cls, folder: Path, *, now: datetime) -> Authority:
        """The authority in a server's folder (``tls/ca.pem`` and ``tls/ca.key``); made if there is none.

        An agency that has one of its own puts a certificate there that it issued for this purpose.

        Raises
        ------
        ReachbackError
            If the files cannot be read or do not belong together.
        """
        place = folder / "tls"
        pem, key = place / "ca.pem", place / "ca.key"
        if not pem.exists() and not key.exists():
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = cls._new(now)
            write_whole(key, [_key_pem(made._key)])
            write_whole(pem, [made.pem], mode=0o644)
            return made
        try:
            certificate = x509.load_pem_x509_certificate(pem.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), password=None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ReachbackError(
                f"{place}: the authority's certificate or key cannot be read ({error})."
            ) from None
        if (
            not isinstance(private, ec.EllipticCurvePrivateKey)
            or private.public_key() != certificate.public_key()
        ):
            raise ReachbackError(f"{place}: ca.key is not the (elliptic-curve) key of ca.pem.")
        return cls(certificate, private)

    @classmethod
    def _new(cls, now: datetime) -> Authority:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("spectralid reachback authority")
        certificate = (
            _builder(
                name, name, key.public_key(), now - _EARLIER, now + timedelta(days=365 * _AUTHORITY_YEARS)
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key)

    def issue_device(
        self, csr_pem: bytes, device_id: str, *, now: datetime, days: int
    ) -> tuple[bytes, bytes, datetime]:
        """A certificate of a tablet.

        Parameters
        ----------
        csr_pem : bytes
            What the tablet asks for; only its key is taken from it.
        device_id : str
            Its name.
        now, days
            From when, and for how long.

        Returns
        -------
        der, pem : bytes
        until : datetime
            When it ends.

        Raises
        ------
        BadPacketError
            If the request is damaged or of another kind of key than P-256.
        """
        try:
            wanted = x509.load_pem_x509_csr(csr_pem)
            valid, public = wanted.is_signature_valid, wanted.public_key()
        except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise BadPacketError(f"The request for a certificate cannot be read ({error}).") from None
        if not valid or not isinstance(public, ec.EllipticCurvePublicKey) or public.curve.name != "secp256r1":
            raise BadPacketError("The request for a certificate is not signed with the P-256 key it is for.")
        until = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        certificate = self._issue(device_id, public, now, until, ExtendedKeyUsageOID.CLIENT_AUTH, names=None)
        der = certificate.public_bytes(serialization.Encoding.DER)
        return der, certificate.public_bytes(serialization.Encoding.PEM), until

    def server_files(self, folder: Path, names: tuple[str, ...], *, now: datetime) -> tuple[Path, Path]:
        """Certificate and key of the server, issued anew when names change or the end is near.

        Parameters
        ----------
        folder : Path
            Of the server's files.
        names : tuple of str
            By which it is reached: names and addresses.
        now : datetime
            When.
        """
        pem, key_file = folder / "tls" / "server.pem", folder / "tls" / "server.key"
        if pem.exists() and key_file.exists():
            kept = x509.load_pem_x509_certificate(pem.read_bytes())
            said = kept.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            fresh = kept.not_valid_after_utc - now > _RENEW and kept.issuer == self.certificate.subject
            if fresh and said == _alternative(names) and self._is_issuer_of(kept):
                return pem, key_file
        key = ec.generate_private_key(ec.SECP256R1())
        until = min(now + timedelta(days=_SERVER_DAYS), self.certificate.not_valid_after_utc)
        made = self._issue(
            names[0], key.public_key(), now, until, ExtendedKeyUsageOID.SERVER_AUTH, names=names
        )
        write_whole(key_file, [_key_pem(key)])
        write_whole(pem, [made.public_bytes(serialization.Encoding.PEM), self.pem], mode=0o644)
        return pem, key_file

    @staticmethod
    def serial_of(der: bytes) -> str:
        """The number of a certificate, as it is written in one."""
        return f"{x509.load_der_x509_certificate(der).serial_number:x}"

    def _is_issuer_of(self, certificate: x509.Certificate) -> bool:
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def _issue(
        self,
        common: str,
        public: ec.EllipticCurvePublicKey,
        now: datetime,
        until: datetime,
        purpose: x509.ObjectIdentifier,
        *,
        names: tuple[str, ...] | None,
    ) -> x509.Certificate:
        builder = (
            _builder(_name(common), self.certificate.subject, public, now - _EARLIER, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if names is not None:
            builder = builder.add_extension(_alternative(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def server_context(certificate: Path, key: Path, authority: Authority | None) -> ssl.SSLContext:
    """TLS of a listener.

    Parameters
    ----------
    certificate, key : Path
        The server's own.
    authority : Authority or None
        Callers need a certificate of it; ``None`` for persons, who are asked for none.

    Raises
    ------
    ReachbackError
        If the files cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A line begun again from a ticket would skip the certificate, which may have ended since.
    context.options |= ssl.OP_NO_TICKET
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ReachbackError(f"{certificate}: the server's certificate cannot be used ({error}).") from None
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.pem.decode())
        context.num_tickets = 0
        # asyncio drops the alert that would tell a tablet why its handshake failed, and it would try for
        # ever. So the end of a certificate is no matter of the handshake here: the application knows it from
        # the record, by the server's clock, and says in words what to do.
        context.verify_flags |= _NO_CHECK_TIME
    return context


def _builder(
    subject: x509.Name, issuer: x509.Name, public: Any, begins: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _alternative(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(found)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
