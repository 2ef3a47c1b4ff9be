"""For tests: an agency that releases libraries, a tablet that takes them, and what may be between them."""

from __future__ import annotations

import functools
import shutil
import threading
from datetime import UTC, datetime, timedelta
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from securesystemslib.signer import CryptoSigner

from spectralid import LibraryBuilder, Spectrum
from spectralid.library import Compound, Tier, open_library, update
from spectralid.library.update_sources import FolderSource, HttpSource
from spectralid.reachback.releases import repository
from spectralid.reachback.releases.repository import Target

START = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def build(path, number, name="agency", substances=("alpha", "beta")):
    """A small library whose content depends on its number."""
    builder = LibraryBuilder(name, version=str(number), created="2026-11-22")
    axis = np.linspace(200.0, 2400.0, 400)
    for place, slug in enumerate(substances):
        bands = np.exp(-(((axis - 500.0 - 300 * place - number) / 9) ** 2))
        builder.add(
            Spectrum(axis, bands, technique="raman"), Compound(slug, slug.title()), tier=Tier.MEASURED
        )
    builder.write(path)
    return path


class Agency:
    """Keys, a repository, and a clock moved by hand."""

    def __init__(self, folder, **thresholds):
        self.folder = Path(folder)
        self.time = START
        self.root_keys = [CryptoSigner.generate_ed25519() for _ in range(3)]
        self.targets_keys = [CryptoSigner.generate_ed25519() for _ in range(thresholds.get("targets", 1))]
        self.snapshot, self.timestamp = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
        self.root = repository.create(
            self.folder, root=self.root_keys, targets=self.targets_keys, snapshot=self.snapshot,
            timestamp=self.timestamp, now=self.time, targets_threshold=thresholds.get("targets", 1),
        )  # fmt: skip

    def passes(self, **span):
        self.time += timedelta(**span)

    def publish(self):
        return repository.publish(self.folder, **self.online())

    def online(self):
        return {"snapshot": self.snapshot, "timestamp": self.timestamp, "now": self.time}

    def refresh(self, **options):
        return repository.refresh(self.folder, **self.online(), **options)

    def custom(self, number, file, **said):
        library = open_library(file)
        named = {"name": library.name, "version": library.version, "sha256": library.sha256}
        return {
            "schema": update.RELEASE,
            "number": number,
            "library": named,
            "min_engine": "0.1",
            "made_utc": self.time.isoformat(),
            **said,
        }

    def release(self, number, file=None, *, sign=True, **said):
        file = file or build(self.folder.parent / f"lib-{number}.h5", number)
        target = Target(f"library-{number}.h5", file, self.custom(number, file, **said))
        staged = repository.stage_targets(self.folder, [target], now=self.time)
        if sign:
            for key in self.targets_keys:
                repository.sign(staged, key)
            self.publish()
        return staged

    def rotate(self, *roles):
        """New keys for roles, signed by two of the root keys."""
        add, remove = {}, {}
        for role in roles:
            fresh = CryptoSigner.generate_ed25519()
            file = self.folder.parent / f"{fresh.public_key.keyid}.pub"
            file.write_bytes(public_pem(fresh))
            add[role] = [file]
            old = self.targets_keys if role == "targets" else [getattr(self, role)]
            remove[role] = [key.public_key.keyid for key in old]
            if role == "targets":
                self.targets_keys = [fresh]
            else:
                setattr(self, role, fresh)
        staged = repository.stage_root(self.folder, add=add, remove=remove, now=self.time)
        for key in self.root_keys[:2]:
            repository.sign(staged, key)
        self.publish()

    def file(self, name):
        return self.folder / "metadata" / name

    def copy(self, to):
        """The repository as it is now, for later."""
        shutil.copytree(self.folder, to, dirs_exist_ok=True)
        return to


def public_pem(signer):
    from cryptography.hazmat.primitives import serialization as s

    public = s.load_pem_private_key(signer.private_bytes, None).public_key()
    return public.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)


class Device:
    """A tablet's folder of libraries, its clock, and the latest time it knows to be past."""

    def __init__(self, folder, agency, source):
        self.folder = Path(folder)
        self.agency = agency
        self.source = source
        self.ratchet = None
        self.clock = lambda: agency.time
        update.trust(self.folder, agency.root, confirmed=update.fingerprint(agency.root))

    def update(self, **options):
        given = {"clock": self.clock, "latest": self.ratchet, **options}
        return update.update(self.folder, options.pop("source", self.source), **given)


class Server:
    """Hands out a folder by plain HTTP on this machine; ``lies`` are given instead of files."""

    def __init__(self, folder):
        self.lies = {}
        self.asked = []
        server = self

        class Handler(SimpleHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                server.asked.append(self.path)
                lie = server.lies.get(self.path)
                if lie is None:
                    super().do_GET()
                else:
                    lie(self)
                    self.close_connection = True

            def log_message(self, *arguments):
                pass

        handler = functools.partial(Handler, directory=str(folder))
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def source_of(kind, folder, request):
    """The repository by line or from a stick."""
    if kind == "usb":
        return FolderSource(Path(folder))
    server = Server(folder)
    source = HttpSource(server.url)
    request.addfinalizer(server.close)
    request.addfinalizer(source.close)
    return source
