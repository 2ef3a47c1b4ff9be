"""A reachback server for tests: real TLS, real signatures, and every fault a field network can produce.

It shares no code with the client on purpose. DSSE, the packet's outer form and the certificates are written
here a second time, from their specifications, so that a mistake in the client is not repeated by its judge.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import http.server
import ipaddress
import json
import socket
import ssl
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

RECEIPT = "application/vnd.spectralid.receipt+json"
ANSWER = "application/vnd.spectralid.answer+json"
TIME = "application/vnd.spectralid.time+json"
MISSING = "application/vnd.spectralid.missing+json"
IPV = "application/vnd.spectralid.ipv+json"
IPV_RECEIPT = "application/vnd.spectralid.ipv-receipt+json"
SHOWN = "application/vnd.spectralid.shown+json"


# DSSE, from its protocol text: https://github.com/secure-systems-lab/dsse/blob/master/protocol.md


def pae(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


class ServerKey:
    """An Ed25519 key of the server."""

    def __init__(self) -> None:
        self.private = ed25519.Ed25519PrivateKey.generate()
        self.public = self.private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        self.keyid = hashlib.sha256(self.public).hexdigest()[:16]

    def envelope(self, payload_type: str, body: dict[str, Any] | bytes) -> bytes:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        return json.dumps(
            {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": payload_type,
                "signatures": [
                    {
                        "keyid": self.keyid,
                        "sig": base64.b64encode(self.private.sign(pae(payload_type, payload))).decode(),
                    }
                ],
            }
        ).encode()


def open_envelope(raw: bytes, public: bytes, payload_type: str) -> dict[str, Any]:
    """The payload of a device's message, its signature checked; raises when anything is wrong."""
    document = json.loads(raw)
    payload = base64.b64decode(document["payload"], validate=True)
    assert document["payloadType"] == payload_type, document["payloadType"]
    signature = base64.b64decode(document["signatures"][0]["sig"], validate=True)
    ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, pae(payload_type, payload))
    return json.loads(payload)


# Certificates


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """A certificate authority that lives for one test."""

    def __init__(self, common: str = "Test authority") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name(common)
        now = dt.datetime.now(dt.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=400))
            .not_valid_after(now + dt.timedelta(days=400))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=False,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        common: str,
        *,
        server: bool = False,
        begins_days: float = -300.0,
        expires_days: float = 30.0,
        public_key: Any = None,
    ) -> tuple[bytes, bytes]:
        """Certificate and key, of a server on this machine or of a device."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common))
            .issuer_name(self.name)
            .public_key(public_key or key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + dt.timedelta(days=begins_days))
            .not_valid_after(now + dt.timedelta(days=expires_days))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
            )
        )
        if server:
            builder = builder.add_extension(
                x509.SubjectAlternativeName(
                    [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
                ),
                critical=False,
            )
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM), _pem_key(key)


# The server


@dataclass
class Reply:
    """What is written back, as it goes over the line."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Fault = Callable[["Handler", Callable[[], Reply]], None]
"""Handles one request its own way; the callable commits the request and returns the honest reply."""


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server: Listener

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""

    @property
    def double(self) -> ServerDouble:
        return self.server.double

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        split = urlsplit(self.path)
        area = split.path.split("/")[2] if split.path.count("/") >= 2 else ""
        self.double.log.append((self.command, self.path, dict(self.headers.items())))
        fault = self.double.next_fault(area)
        self.body: bytes | None = None

        def commit() -> Reply:
            if self.body is None:
                self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return self.double.handle(
                self.command, split.path, parse_qs(split.query), self.headers, self.body
            )

        if fault is not None:
            fault(self, commit)
        else:
            self.reply(commit())

    def drain(self) -> None:
        if self.body is None:
            self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def head(self, reply: Reply, length: int | None = None) -> bytes:
        lines = [f"HTTP/1.1 {reply.status} {'OK' if reply.status < 300 else 'Refused'}"]
        lines.append(f"Content-Length: {len(reply.body) if length is None else length}")
        if reply.content_type:
            lines.append(f"Content-Type: {reply.content_type}")
        lines.extend(f"{name}: {value}" for name, value in reply.headers.items())
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def reply(self, reply: Reply) -> None:
        self.connection.sendall(self.head(reply) + reply.body)

    def cut(self) -> None:
        """Close in an orderly way."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)

    def reset(self) -> None:
        """Close with RST: what is under way is lost on both sides."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.server.reset_by_handler.add(id(self.connection))
        socket.socket.close(self.connection)


class Listener(http.server.ThreadingHTTPServer):
    """The listening socket; TLS is shaken hands on in the connection's own thread."""

    daemon_threads = True
    block_on_close = True
    allow_reuse_address = True

    def __init__(self, double: ServerDouble, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self.double = double
        self.context = context
        self.open: set[ssl.SSLSocket] = set()
        self.reset_by_handler: set[int] = set()
        super().__init__(address, Handler)

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        connection, address = self.socket.accept()
        connection.settimeout(20)
        wrapped = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        self.open.add(wrapped)
        return wrapped, address

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.do_handshake()
        super().finish_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.open.discard(request)
        with contextlib.suppress(OSError):
            socket.socket.shutdown(request, socket.SHUT_RDWR)
        request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what is tested, not an error."""

    def drop_all(self) -> None:
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


class ServerDouble:
    """The server of an agency, as far as a tablet can see it.

    `devices` maps a device id to the raw Ed25519 public key that signs its packets.
    """

    def __init__(self, folder: Path, *, authority: Authority, devices: dict[str, bytes]) -> None:
        self.authority = authority
        self.devices = devices
        self.key = ServerKey()
        self.folder = folder
        self.packets: dict[tuple[str, int], tuple[str, bytes, bytes]] = {}
        self.deliveries: list[tuple[str, int]] = []
        self.acknowledged: dict[str, list[bytes]] = defaultdict(list)
        self.checks: dict[str, tuple[bytes, int]] = {}
        self.check_deliveries: list[str] = []
        self.answers: list[bytes] = []
        self.notices: list[bytes] = []
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.audit_n = 0
        self.utc = "2026-11-22T12:00:00Z"
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._news = threading.Condition()
        self.polling = threading.Event()
        self._closing = False
        self.port = 0
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self.use_certificate(authority)

    # life

    def use_certificate(self, authority: Authority, **options: Any) -> None:
        certificate, key = authority.issue("localhost", server=True, **options)
        path = self.folder / "server.pem"
        path.write_bytes(certificate + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.load_verify_locations(cadata=self.authority.pem.decode())
        context.verify_mode = ssl.CERT_REQUIRED
        self._context = context

    def start(self) -> ServerDouble:
        self._closing = False
        self._listener = Listener(self, ("127.0.0.1", self.port), self._context)
        self.port = self._listener.server_address[1]
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        if self._listener is None or self._thread is None:
            return
        with self._news:
            self._closing = True
            self._news.notify_all()
        self._listener.shutdown()
        self._listener.drop_all()
        self._thread.join()
        self._listener.server_close()
        self._listener = self._thread = None

    @contextlib.contextmanager
    def running(self) -> Iterator[ServerDouble]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    # faults

    def script(self, area: str, *faults: Fault) -> None:
        """The next requests to /v1/`area` meet these faults, one each; after them the server is honest."""
        self._faults[area].extend(faults)

    def next_fault(self, area: str) -> Fault | None:
        with self._lock:
            waiting = self._faults[area]
            return waiting.popleft() if waiting else None

    # honest behaviour

    def handle(self, method: str, path: str, query: dict[str, list[str]], headers: Any, body: bytes) -> Reply:
        if (method, path) == ("POST", "/v1/packets"):
            return self._ingest(headers, body)
        if (method, path) == ("POST", "/v1/ipv"):
            return self._check(body)
        if (method, path) == ("GET", "/v1/time"):
            nonce = query.get("nonce", [""])[0]
            message = {"schema": "spectralid.time/1", "server_utc": self.utc, "nonce": nonce}
            return Reply(200, self.key.envelope(TIME, message))
        if (method, path) == ("GET", "/v1/inbox"):
            after, wait = int(query.get("after", ["0"])[0]), float(query.get("wait", ["0"])[0])
            return Reply(200, self._inbox(after, wait))
        if method == "POST" and path.startswith("/v1/answers/") and path.endswith("/shown"):
            self.acknowledged[path.split("/")[3]].append(body)
            return Reply(204, content_type="")
        return Reply(404, b'{"title": "no such place"}', "application/problem+json")

    def receipt(self, device_id: str, seq: int, sha256: str) -> bytes:
        self.audit_n += 1
        return self.key.envelope(
            RECEIPT,
            {
                "schema": "spectralid.receipt/1",
                "packet_sha256": sha256,
                "device_id": device_id,
                "seq": seq,
                "case": f"case-{self.audit_n}",
                "server_utc": self.utc,
                "audit_n": self.audit_n,
                "checkpoint": hashlib.sha256(b"%d" % self.audit_n).hexdigest(),
            },
        )

    def accept(self, raw: bytes) -> bytes:
        """Take in a packet however it came; the same bytes get the same receipt for ever."""
        return self._accept(raw)[1]

    def _accept(self, raw: bytes) -> tuple[bool, bytes]:
        manifest = read_manifest(raw, self.devices)
        place = (manifest["device_id"], manifest["seq"])
        sha256 = hashlib.sha256(raw).hexdigest()
        with self._lock:
            self.deliveries.append(place)
            known = self.packets.get(place)
            if known is not None:
                if known[0] != sha256:
                    raise KeyReusedError
                return False, known[2]
            receipt = self.receipt(*place, sha256)
            self.packets[place] = (sha256, raw, receipt)
            return True, receipt

    def _ingest(self, headers: Any, body: bytes) -> Reply:
        if headers.get("Idempotency-Key") != hashlib.sha256(body).hexdigest():
            return problem(422, "the key is not the SHA-256 of the body")
        try:
            new, receipt = self._accept(body)
        except KeyReusedError:
            return problem(422, "this number was used for another packet")
        return Reply(201 if new else 200, receipt)

    def _check(self, raw: bytes) -> Reply:
        stated = json.loads(base64.b64decode(json.loads(raw)["payload"]))
        said = open_envelope(raw, self.devices[stated["device_id"]], IPV)
        assert said["schema"] == "spectralid.ipv/1"
        name = said["ipv_id"]
        with self._lock:
            self.check_deliveries.append(name)
            new = name not in self.checks
            if new:
                self.audit_n += 1
                self.checks[name] = (raw, self.audit_n)
            elif self.checks[name][0] != raw:
                return problem(422, "this name was used for another check")
        receipt = {
            "schema": "spectralid.ipv-receipt/1",
            "ipv_sha256": hashlib.sha256(raw).hexdigest(),
            "device_id": said["device_id"],
            "ipv_id": name,
            "server_utc": self.utc,
            "audit_n": self.checks[name][1],
        }
        return Reply(201 if new else 200, self.key.envelope(IPV_RECEIPT, receipt))

    def _inbox(self, after: int, wait: float) -> bytes:
        with self._news:
            if wait and not self._waiting(after):
                self.polling.set()
                self._news.wait_for(lambda: self._closing or self._waiting(after), wait)
            messages = [json.loads(raw) for raw in self._waiting(after)]
        return json.dumps({"messages": messages}).encode()

    def _waiting(self, after: int) -> list[bytes]:
        return self.notices + self.answers[after:]

    def answer(self, device_id: str, **facts: Any) -> bytes:
        """Write the next answer for the device and offer it in the inbox."""
        raw = self.make_answer(device_id, len(self.answers) + 1, **facts)
        with self._news:
            self.answers.append(raw)
            self._news.notify_all()
        return raw

    def make_answer(self, device_id: str, n: int, **facts: Any) -> bytes:
        body = {
            "schema": "spectralid.answer/1",
            "answer_id": f"answer-{n}",
            "device_id": device_id,
            "n": n,
            "case": "case-1",
            "seizure_ref": None,
            "item_ref": None,
            "packet_ids": [],
            "kind": "final",
            "utc": self.utc,
            "headline": f"Answer {n}",
            "words": "Treat as fentanyl.",
            "precautions": ["Gloves.", "Do not open."],
            "basis": "Bands at 1000 and 1030 cm-1.",
            "by": "chemist-4",
            "supersedes": None,
            "lab": None,
        }
        return self.key.envelope(ANSWER, body | facts)

    def notice_missing(self, device_id: str, *lost: tuple[int, str]) -> bytes:
        return self.key.envelope(
            MISSING,
            {
                "schema": "spectralid.missing/1",
                "device_id": device_id,
                "server_utc": self.utc,
                "packets": [{"seq": seq, "sha256": sha256} for seq, sha256 in lost],
            },
        )


def read_manifest(raw: bytes, devices: dict[str, bytes]) -> dict[str, Any]:
    """What a packet states, once its device's signature and every blob have been checked."""
    magic, envelope, body = raw.split(b"\n", 2)
    assert magic == b"SIDPKT/1"
    stated = json.loads(base64.b64decode(json.loads(envelope)["payload"]))
    manifest = open_envelope(envelope, devices[stated["device_id"]], "application/vnd.spectralid.packet+json")
    for blob in manifest["blobs"]:
        data, body = body[: blob["size"]], body[blob["size"] :]
        assert hashlib.sha256(data).hexdigest() == blob["sha256"]
    assert not body
    return manifest


class KeyReusedError(Exception):
    """Same device and number, other bytes."""


def problem(status: int, detail: str, **headers: str) -> Reply:
    body = json.dumps({"status": status, "detail": detail}).encode()
    return Reply(
        status, body, "application/problem+json", {k.replace("_", "-"): v for k, v in headers.items()}
    )


# Faults


def answers_with(reply: Reply) -> Fault:
    """Refuse without taking anything in."""

    def fault(handler: Handler, commit: Callable[[], Reply]) -> None:
        handler.drain()
        handler.reply(reply)

    return fault


def closes_after(received: int) -> Fault:
    """A black hole: reads so many bytes of the body, then closes."""

    def fault(handler: Handler, commit: Callable[[], Reply]) -> None:
        handler.rfile.read(min(received, int(handler.headers.get("Content-Length", 0))))
        handler.cut()

    return fault


def resets_mid_body(handler: Handler, commit: Callable[[], Reply]) -> None:
    """RST in the middle of the reply; the request was taken in."""
    reply = commit()
    with contextlib.suppress(OSError):
        handler.connection.sendall(handler.head(reply) + reply.body[: len(reply.body) // 2])
    handler.reset()


def loses_reply(handler: Handler, commit: Callable[[], Reply]) -> None:
    """Taken in and committed, and the line dies before a byte of the reply."""
    commit()
    handler.cut()


def slices_reply(handler: Handler, commit: Callable[[], Reply]) -> None:
    """An honest reply, three bytes at a time."""
    reply = commit()
    raw = handler.head(reply) + reply.body
    for start in range(0, len(raw), 3):
        handler.connection.sendall(raw[start : start + 3])


def cuts_reply_at(size: int, announced: int) -> Fault:
    """Announces a long reply and closes after `size` bytes of it."""

    def fault(handler: Handler, commit: Callable[[], Reply]) -> None:
        commit()
        filler = Reply(201, b"x" * size)
        handler.connection.sendall(handler.head(filler, length=announced) + filler.body)
        handler.cut()

    return fault


def endless_reply(handler: Handler, commit: Callable[[], Reply]) -> None:
    """Sends until the client has had enough."""
    commit()
    with contextlib.suppress(OSError):
        handler.connection.sendall(handler.head(Reply(201), length=1 << 40))
        while True:
            handler.connection.sendall(b"x" * 65536)


def never_replies(release: threading.Event) -> Fault:
    """Takes the request in and says nothing until released."""

    def fault(handler: Handler, commit: Callable[[], Reply]) -> None:
        commit()
        release.wait(20)
        handler.cut()

    return fault


def drips(release: threading.Event, every_s: float) -> Fault:
    """One byte of the reply now and then: no single read ever times out."""

    def fault(handler: Handler, commit: Callable[[], Reply]) -> None:
        reply = commit()
        for byte in handler.head(reply) + reply.body:
            try:
                handler.connection.sendall(bytes([byte]))
            except OSError:
                return
            if release.wait(every_s):
                break
        handler.cut()

    return fault


def captive_portal(handler: Handler, commit: Callable[[], Reply]) -> None:
    """The hotel's sign-in page."""
    handler.drain()
    handler.reply(Reply(200, b"<html><body>Welcome, please sign in</body></html>", "text/html"))


def gives(body: Callable[[Reply], bytes], *, status: int = 201) -> Fault:
    """Takes the request in and replies with something made from the honest reply."""

    def fault(handler: Handler, commit: Callable[[], Reply]) -> None:
        handler.reply(Reply(status, body(commit())))

    return fault
