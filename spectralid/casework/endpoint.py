"""The line to the agency's server: HTTPS with certificates on both sides, and what every reply means.

Nothing here raises for a network that does not work, because that is the usual state of a tablet in the
field.
Each call ends as one of a few outcomes: what was asked for, `Retry` (try again, perhaps not before some time)
or `Attention` (a person has to do something). A reply counts only by the server's signature on what it
contains, never by its status code alone: a hotel's sign-in page also says 200.
"""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from spectralid import __version__
from spectralid.casework import messages
from spectralid.casework.errors import PacketError
from spectralid.casework.manifest import loads
from spectralid.errors import MissingDependencyError

if TYPE_CHECKING:
    import socket
    import ssl

    import httpx

    from spectralid.casework.enrolment import Enrolment

__all__ = [
    "Attention",
    "Deadlines",
    "Delivered",
    "Done",
    "Endpoint",
    "Inbox",
    "Reported",
    "Retry",
    "Server",
    "ServerTime",
]

PACKET_TYPE: Final = "application/vnd.spectralid.packet"
LONGEST_POLL_S: Final = 30.0

_RECEIPT_LIMIT: Final = 64 * 1024
_INBOX_LIMIT: Final = 4 * 1024 * 1024
_PROBLEM_LIMIT: Final = 64 * 1024
_LONGEST_RETRY_AFTER_S: Final = 3600.0

# Numbers of X.509 verification (openssl/x509_vfy.h) that need words of their own.
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_WRONG_HOST: Final = frozenset({62, 64})


@dataclass(frozen=True)
class Deadlines:
    """How long each phase of a request may take, in seconds.

    `total_s` bounds a whole request, because a line that yields one byte every ten seconds never exceeds the
    others; a packet gets, on top of it, the time its bytes need at `slowest_bytes_s`.
    """

    connect_s: float = 10.0
    read_s: float = 20.0
    write_s: float = 20.0
    total_s: float = 60.0
    slowest_bytes_s: float = 2_000.0


@dataclass(frozen=True)
class Delivered:
    """The server has the packet: it signed a receipt for exactly these bytes."""

    receipt: messages.Receipt
    replayed: bool


@dataclass(frozen=True)
class Reported:
    """The server has the record of a check: it signed a receipt for exactly these bytes."""

    receipt: messages.CheckReceipt
    replayed: bool


@dataclass(frozen=True)
class ServerTime:
    """The server's time, signed and made for this request."""

    message: messages.TimeMessage


@dataclass(frozen=True)
class Inbox:
    """Envelopes from the inbox, as bytes; each is still to be verified by itself."""

    envelopes: tuple[bytes, ...]


@dataclass(frozen=True)
class Done:
    """The server confirmed."""


@dataclass(frozen=True)
class Retry:
    """It did not work and may work later.

    `scope` says what is not worth trying meanwhile: the ``"link"`` as a whole, or just this, a ``"packet"``.
    `after_s` is the server's own wish (Retry-After), if it had one.
    """

    code: str
    reason: str
    scope: Literal["link", "packet"]
    after_s: float | None = None


@dataclass(frozen=True)
class Attention:
    """It will not work until a person does something.

    `scope` ``"packet"``: the server refuses this packet for good; ``"device"``: it refuses this tablet.
    """

    code: str
    reason: str
    scope: Literal["packet", "device"]


class Server(Protocol):
    """What `spectralid.casework.sync` needs of a line to the server."""

    @property
    def url(self) -> str:
        """Address of the server."""

    def deliver(self, raw: bytes, *, sha256: str, seq: int) -> Delivered | Retry | Attention:
        """Hand over one packet."""

    def report(self, raw: bytes, *, sha256: str, ipv_id: str) -> Reported | Retry | Attention:
        """Hand over the record of a check."""

    def inbox(
        self, after: int, *, wait_s: float, interrupted: Callable[[], bool]
    ) -> Inbox | Retry | Attention:
        """Ask for answers after the `after`-th, waiting for one up to `wait_s`."""

    def acknowledge(self, answer_id: str, envelope: bytes) -> Done | Retry | Attention:
        """Say that an answer was shown to the officer."""

    def time(self) -> ServerTime | Retry | Attention:
        """Ask for the signed time."""

    def interrupt(self, *, everything: bool = False) -> None:
        """Cut a waiting `inbox` short, from another thread; or whatever is under way, to end."""

    def close(self) -> None:
        """Hang up."""


class Endpoint:
    """The server named in an enrolment, over HTTPS.

    Parameters
    ----------
    enrolment : Enrolment
        Address, authority, own certificate and the server's keys.
    trust : messages.Trust
        Whose signatures count, and for which device.
    deadlines : Deadlines, optional
        Limits of time.
    nonce : callable, optional
        Gives a fresh random string for each time request.

    Notes
    -----
    One thread makes the requests; `interrupt` and `close` may be called from any.
    """

    def __init__(
        self,
        enrolment: Enrolment,
        trust: messages.Trust,
        *,
        deadlines: Deadlines | None = None,
        nonce: Callable[[], str] | None = None,
    ) -> None:
        if importlib.util.find_spec("httpx") is None:
            raise MissingDependencyError("httpx", extra="tablet", purpose="to reach the server")
        self._enrolment = enrolment
        self._trust = trust
        self._deadlines = deadlines or Deadlines()
        self._nonce = nonce or _random_nonce
        self._line = _Line()
        self._client: httpx.Client | None = None

    # what can be asked

    def deliver(self, raw: bytes, *, sha256: str, seq: int) -> Delivered | Retry | Attention:
        """Hand over one packet.

        Parameters
        ----------
        raw : bytes
            The packet, exactly as it was signed.
        sha256 : str
            Its SHA-256, which is also its idempotency key.
        seq : int
            Its number in the device's chain.

        Returns
        -------
        Delivered or Retry or Attention
            Delivered only with a verified receipt for exactly this packet.
        """
        reply = self._request(
            "POST",
            "/v1/packets",
            limit=_RECEIPT_LIMIT,
            content=raw,
            headers={"Content-Type": PACKET_TYPE, "Idempotency-Key": sha256},
        )
        if not isinstance(reply, _Reply):
            return reply
        if reply.status in (200, 201):
            return self._receipt(reply, sha256, seq)
        return _refused_packet(reply)

    def report(self, raw: bytes, *, sha256: str, ipv_id: str) -> Reported | Retry | Attention:
        """Hand over the record of a check.

        Parameters
        ----------
        raw : bytes
            The envelope, exactly as it was signed.
        sha256, ipv_id : str
            Its SHA-256, and the name of the check.

        Returns
        -------
        Reported or Retry or Attention
            Reported only with a verified receipt for exactly this record.
        """
        reply = self._request(
            "POST",
            "/v1/ipv",
            limit=_RECEIPT_LIMIT,
            content=raw,
            headers={"Content-Type": "application/json"},
        )
        if not isinstance(reply, _Reply):
            return reply
        if reply.status not in (200, 201):
            return _refused_packet(reply)
        if not reply.is_json:
            return _stranger(reply)
        try:
            receipt = messages.parse_check_receipt(reply.body, self._trust)
        except PacketError as error:
            return Retry("receipt-not-trusted", f"The receipt was not taken: {error}", "link")
        if (receipt.ipv_sha256, receipt.ipv_id) != (sha256, ipv_id):
            return Retry(
                "receipt-of-other", "The receipt is for another check; this one is not confirmed.", "packet"
            )
        return Reported(receipt, replayed=reply.status == 200)

    def inbox(
        self, after: int, *, wait_s: float, interrupted: Callable[[], bool]
    ) -> Inbox | Retry | Attention:
        """Ask for answers after the `after`-th.

        Parameters
        ----------
        after : int
            The last number of an answer that is here without a gap before it.
        wait_s : float
            How long the server may wait for something to say, 0 … 30 s.
        interrupted : callable
            Asked once the wait can be interrupted; true ends it at once.
        """
        wait_s = min(max(wait_s, 0.0), LONGEST_POLL_S)
        with self._line.interruptible():
            if interrupted():
                return _INTERRUPTED
            reply = self._request(
                "GET", f"/v1/inbox?after={after}&wait={wait_s:g}", limit=_INBOX_LIMIT, patience_s=wait_s
            )
        if not isinstance(reply, _Reply):
            return reply
        if reply.status == 204:
            return Inbox(())
        if reply.status != 200:
            return _not_served(reply)
        if not reply.is_json:
            return _stranger(reply)
        try:
            document = loads(reply.body, max_bytes=_INBOX_LIMIT)
            found = document["messages"]
            if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
                raise TypeError
        except (PacketError, KeyError, TypeError):
            return Retry("bad-inbox", "The server's inbox reply cannot be read; it is asked again.", "link")
        return Inbox(tuple(json.dumps(one).encode() for one in found))

    def acknowledge(self, answer_id: str, envelope: bytes) -> Done | Retry | Attention:
        """Say that an answer was shown; the server may hear it more than once."""
        reply = self._request(
            "POST",
            f"/v1/answers/{_quoted(answer_id)}/shown",
            limit=_PROBLEM_LIMIT,
            content=envelope,
            headers={"Content-Type": "application/json"},
        )
        if not isinstance(reply, _Reply):
            return reply
        if reply.status == 204 or (reply.status in (200, 201) and reply.is_json):
            return Done()
        if reply.status in (200, 201):
            return _stranger(reply)
        return _refused_packet(reply)

    def time(self) -> ServerTime | Retry | Attention:
        """Ask for the signed time; a recorded reply from earlier is not accepted."""
        nonce = self._nonce()
        reply = self._request("GET", f"/v1/time?nonce={nonce}", limit=_RECEIPT_LIMIT)
        if not isinstance(reply, _Reply):
            return reply
        if reply.status != 200:
            return _not_served(reply)
        if not reply.is_json:
            return _stranger(reply)
        try:
            message = messages.parse_time(reply.body, self._trust)
        except PacketError as error:
            return Retry("time-not-signed", f"The server's time was not taken: {error}", "packet")
        if message.nonce != nonce:
            return Retry("time-replayed", "The server's time is not the answer to this request.", "packet")
        return ServerTime(message)

    @property
    def url(self) -> str:
        """Address of the server."""
        return self._enrolment.url

    def interrupt(self, *, everything: bool = False) -> None:
        """Cut a waiting `inbox` short; anything else under way goes on, unless `everything` is to end."""
        self._line.interrupt(everything=everything)

    def close(self) -> None:
        """Hang up; a later request dials again."""
        self._line.cut()
        self._line.ended = False
        client, self._client = self._client, None
        if client is not None:
            client.close()

    # how it is asked

    def _receipt(self, reply: _Reply, sha256: str, seq: int) -> Delivered | Retry:
        if not reply.is_json:
            return _stranger(reply)
        try:
            receipt = messages.parse_receipt(reply.body, self._trust)
        except PacketError as error:
            return Retry("receipt-not-trusted", f"The receipt was not taken: {error}", "link")
        if (receipt.packet_sha256, receipt.seq) != (sha256, seq):
            return Retry(
                "receipt-of-other",
                f"The receipt is for another packet (number {receipt.seq}); this one is not confirmed.",
                "packet",
            )
        return Delivered(receipt, replayed=reply.status == 200)

    def _request(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
        patience_s: float = 0.0,
    ) -> _Reply | Retry | Attention:
        import httpx

        if self._line.ended:
            return _INTERRUPTED
        client = self._client
        if client is None:
            try:
                client = self._client = self._dial()
            except (OSError, ValueError) as error:
                return Attention(
                    "re-enrol",
                    f"The certificate or key of this tablet cannot be used ({error}); enrol the "
                    "tablet again. Packets are kept and can be handed over by USB stick.",
                    "device",
                )
        limits = self._deadlines
        timeout = httpx.Timeout(
            connect=limits.connect_s,
            read=limits.read_s + patience_s,
            write=limits.write_s,
            pool=limits.connect_s,
        )
        total_s = limits.total_s + patience_s + len(content) / limits.slowest_bytes_s
        with self._line.at_most(total_s):
            try:
                with client.stream(
                    method,
                    self._enrolment.url + path,
                    content=content or None,
                    headers=headers,
                    timeout=timeout,
                    extensions={"trace": self._line.trace},
                ) as response:
                    return _read(response, limit)
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                if self._line.was_interrupted or self._line.ended:
                    return _INTERRUPTED
                if self._line.was_too_long:
                    return Retry(
                        "too-slow", f"The server's reply took longer than {total_s:.0f} s in all.", "link"
                    )
                return _failure(error)

    def _dial(self) -> httpx.Client:
        import ssl

        import httpx

        enrolment = self._enrolment
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # The agency's own authority and no other: a certificate from a public one proves nothing here.
        context.load_verify_locations(cadata=enrolment.ca_pem)
        # A key that asks for a password would make OpenSSL ask on a terminal nobody looks at.
        context.load_cert_chain(enrolment.certificate, enrolment.key, password=_no_password)
        return httpx.Client(
            verify=context,
            http1=True,
            http2=False,
            trust_env=False,
            follow_redirects=False,
            headers={
                "User-Agent": f"spectralid/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60.0),
        )


_INTERRUPTED: Final = Retry("interrupted", "The wait for answers was cut short by something to send.", "link")


class _Line:
    """The socket in use, so that another thread can end a read that blocks on it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._may_interrupt = False
        self.was_interrupted = False
        self.was_too_long = False
        self.ended = False

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
            if not (self.was_interrupted or self.was_too_long or self.ended):
                return
            if event == "connection.connect_tcp.complete":
                # Closed, not shut down: Python's TLS makes a socket of a line that is shut down, and nobody
                # closes it.
                info["return_value"].close()
            else:
                self.cut()

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        with self._lock:
            self._may_interrupt, self.was_interrupted = True, False
        try:
            yield
        finally:
            with self._lock:
                self._may_interrupt = False
            # was_interrupted is left for the reply that is being read; the next request starts afresh.

    @contextmanager
    def at_most(self, seconds: float) -> Iterator[None]:
        self.was_too_long = False
        if not self._may_interrupt:
            self.was_interrupted = False
        timer = threading.Timer(seconds, self._too_long)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def interrupt(self, *, everything: bool) -> None:
        with self._lock:
            self.ended = self.ended or everything
            if not (self._may_interrupt or everything):
                return
            self.was_interrupted = True
        self.cut()

    def _too_long(self) -> None:
        self.was_too_long = True
        self.cut()

    def cut(self) -> None:
        import socket

        with self._lock:
            line = self._socket
        if line is not None:
            # The plain shutdown: that of ssl.SSLSocket would pull the TLS object from under the reader.
            with suppress(OSError):  # already closed
                socket.socket.shutdown(line, socket.SHUT_RDWR)


@dataclass(frozen=True)
class _Reply:
    status: int
    content_type: str
    body: bytes
    retry_after_s: float | None

    @property
    def is_json(self) -> bool:
        kind = self.content_type.partition(";")[0].strip().lower()
        return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))

    def detail(self) -> str:
        """What the server says in words, kept short and printable: it is shown on a screen."""
        if not self.is_json:
            return ""
        try:
            document = loads(self.body, max_bytes=_PROBLEM_LIMIT)
        except PacketError:
            return ""
        words = document.get("detail")
        if not isinstance(words, str):
            return ""
        return "".join(c if c.isprintable() else " " for c in words[:200]).strip()


def _read(response: httpx.Response, limit: int) -> _Reply | Retry:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return Retry("encoded-reply", "The reply is compressed, which was not asked for.", "link")
    chunks: list[bytes] = []
    size = 0
    for chunk in response.iter_raw():
        size += len(chunk)
        if size > limit:
            return Retry("reply-too-long", f"The reply is longer than the {limit} bytes allowed.", "link")
        chunks.append(chunk)
    return _Reply(
        response.status_code,
        response.headers.get("Content-Type", ""),
        b"".join(chunks),
        _retry_after(response.headers),
    )


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds; a date counts from the reply's own Date, the tablet's clock may be wrong."""
    given = headers.get("Retry-After")
    if given is None:
        return None
    if given.strip().isdecimal():
        seconds = float(given)
    else:
        from email.utils import parsedate_to_datetime

        try:
            seconds = (
                parsedate_to_datetime(given) - parsedate_to_datetime(headers.get("Date", ""))
            ).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER_S)


def _refused_packet(reply: _Reply) -> Retry | Attention:
    said = f" The server says: {detail}" if (detail := reply.detail()) else ""
    match reply.status:
        case 409:
            return Retry(
                "in-flight",
                "The server is still busy with an earlier attempt to send this packet.",
                "packet",
                reply.retry_after_s,
            )
        case 413:
            return Attention(
                "too-large",
                f"The server takes no packet of this size; hand it over by USB stick.{said}",
                "packet",
            )
        case 415:
            return Attention(
                "unknown-schema",
                f"The server does not know this version of the packet format; it has set the packet aside "
                f"and needs an update.{said}",
                "packet",
            )
        case 422:
            return Attention(
                "refused",
                f"The server refuses this packet: its number was used for another one, or its signature does "
                f"not hold. It is kept; the administrator has to look.{said}",
                "packet",
            )
        case _:
            return _not_served(reply)


def _not_served(reply: _Reply) -> Retry | Attention:
    match reply.status:
        case 401 | 403:
            return Attention(
                "re-enrol",
                "The server does not accept this tablet; its enrolment was withdrawn or has ended. Enrol the "
                "tablet again. Packets are kept and can be handed over by USB stick.",
                "device",
            )
        case 429:
            return Retry("too-many", "The server asks to slow down.", "link", reply.retry_after_s)
        case 503 | 507:
            return Retry("busy", "The server cannot take packets at the moment.", "link", reply.retry_after_s)
        case status if 300 <= status < 400 or (not reply.is_json and status < 500):
            return _stranger(reply)
        case status if status >= 500:
            # One packet may trip over a fault of the server; the others must not wait for it.
            return Retry("server-error", f"The server failed ({status}).", "packet", reply.retry_after_s)
        case status:
            said = f": {detail}" if (detail := reply.detail()) else ""
            return Retry("unexpected", f"The server replied {status}{said}.", "packet", reply.retry_after_s)


def _stranger(reply: _Reply) -> Retry:
    return Retry(
        "not-the-server",
        f"Something between the tablet and the server answered in its place ({reply.status}, "
        f"{reply.content_type.partition(';')[0] or 'no content type'}), such as a network's sign-in page.",
        "link",
    )


def _failure(error: Exception) -> Retry | Attention:
    """The outcome of a request that broke off."""
    import httpx

    tls = _tls_error(error)
    if tls is not None:
        return _tls_failure(tls)
    for kind, code, words in (
        (httpx.ConnectTimeout, "offline", "The server did not answer the call."),
        (httpx.TimeoutException, "timeout", "The server fell silent."),
        (httpx.ConnectError, "offline", "The server cannot be reached; the tablet may be offline."),
        (httpx.UnsupportedProtocol, "address", "The server's address in the enrolment is not https."),
        (httpx.InvalidURL, "address", "The server's address in the enrolment cannot be used."),
    ):
        if isinstance(error, kind):
            return Retry(code, words, "link")
    return Retry("cut", "The line broke off before the reply was complete.", "link")


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    import ssl

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _tls_failure(error: ssl.SSLError) -> Retry | Attention:
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code == _NOT_YET_VALID:
            return Retry(
                "clock",
                "The server's certificate is not valid yet by the tablet's clock; check the clock.",
                "link",
            )
        if error.verify_code == _EXPIRED:
            return Retry(
                "server-certificate",
                "The server's certificate has expired by the tablet's clock; check the clock, or tell the "
                "administrator.",
                "link",
            )
        if error.verify_code in _WRONG_HOST:
            return Retry("not-the-server", "The server's certificate is made out to another name.", "link")
        return Retry(
            "not-the-server",
            "The server that answered has no certificate of the agency's authority; the network may be "
            "intercepting the line.",
            "link",
        )
    # Alerts 42 … 49 and 116 (RFC 8446, 6.2): the server does not accept the certificate of this tablet.
    reason = (error.reason or "").upper()
    if "ALERT" in reason and any(word in reason for word in ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")):
        return Attention(
            "re-enrol",
            "The server does not accept the certificate of this tablet; it has expired or was revoked. Enrol "
            "the tablet again. Packets are kept and can be handed over by USB stick.",
            "device",
        )
    return Retry("tls", "The encrypted line to the server could not be set up.", "link")


def _no_password() -> str:
    raise ValueError("the key is protected by a password")


def _random_nonce() -> str:
    import secrets

    return secrets.token_hex(16)


def _quoted(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
