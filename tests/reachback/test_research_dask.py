"""Re-search on a cluster of processes, one of which is killed: the same as on one machine."""

from __future__ import annotations

import functools
import os
import signal
import socket
import ssl
import warnings

import pytest

pytest.importorskip("distributed", reason="the cluster needs the extra [archive]")

from spectralid.errors import ParameterError
from spectralid.reachback.research import cluster, runs
from spectralid.reachback.research.archive import Archive
from tests.reachback.again import SOME, Field, many, reopened, stub

FACTS = ("device_id", "seq", "idx", "case_id", "entry", "cosine", "partial", "outcome", "effect", "after")


def dies_once(marker, spectrum, recorded, libraries):
    """The second pass, in whose middle the first worker that comes here is killed."""
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return stub(spectrum, recorded, libraries)
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@pytest.fixture(scope="module")
def client():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = cluster.connect(None, 3)
        yield made
        made.shutdown()


def test_whoever_has_no_certificate_reaches_no_cluster(client):
    scheme, _, place = client.scheduler.address.partition("://")
    host, port = place.split(":")
    assert scheme == "tls"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), 20) as plain, context.wrap_socket(plain) as line:
        try:
            # In TLS 1.3 it is the first word from the other side that says no.
            said = line.recv(1)
        except TimeoutError:
            pytest.fail("nobody said no")
        except OSError:
            said = b""
    assert said == b""
    for address in ("tcp://scheduler:8786", "scheduler:8786", "inproc://1", "ucx://x"):
        with pytest.raises(ParameterError, match="begins with tls"):
            cluster.connect(address, 1)


@pytest.fixture
def field(desk, tmp_path):
    return Field(desk, tmp_path)


def results(field, run_id):
    return [{name: hit[name] for name in FACTS} for hit in field.hits(run_id=run_id)]


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_with_a_worker_killed_gives_what_one_machine_gives(field, client, tmp_path):
    changing = many(field, 17)
    run_id = field.start()
    # A shard that is torn meanwhile is made again by the coordinator.
    archive = Archive(field.desk.db, shard_rows=SOME)
    archive.update()
    archive.path(archive.file_of("raman", 5)).write_bytes(b"torn")
    marker = tmp_path / "killed"
    before = set(client.run(os.getpid).values())
    done = cluster.work(
        field.desk.db, field.desk.keys, client, now=field.desk.now, shard_rows=SOME,
        judge=functools.partial(dies_once, str(marker)),
    )  # fmt: skip
    assert marker.exists()
    assert before - set(client.run(os.getpid).values())
    assert done == 5
    run = runs.get(field.desk.db, run_id)
    assert (run.state, run.searched) == ("done", 17)
    assert reopened(field) == sorted(changing)
    on_cluster = results(field, run_id)
    assert len(on_cluster) == len({(hit["device_id"], hit["seq"]) for hit in on_cluster})
    # The same release anew on one machine, on the same record: what is found is the same to the last bit.
    target = runs.target_of(field.desk.db, run_row(field, run_id))
    found = []
    for start in range(0, 17, SOME):
        part = runs.Part(run_id, "raman", start, min(start + SOME, 17), 0)
        found += runs._found(field.desk.db, archive, part, target)
    alone = {
        (one.ref.device_id, one.ref.seq, one.ref.idx): (one.entry, one.cosine, one.partial) for one in found
    }
    there = {
        (h["device_id"], h["seq"], h["idx"]): (h["entry"], h["cosine"], h["partial"]) for h in on_cluster
    }
    assert there == alone
    for hit in on_cluster:
        ref = runs.ScanRef(hit["device_id"], hit["seq"], hit["idx"])
        scan, spectrum = runs.read_scan(field.desk.db, ref)
        assert stub(spectrum, scan.recorded, target.libraries).outcome == hit["outcome"]
    field.sound()


def run_row(field, run_id):
    with field.desk.db.read() as tx:
        return runs._run(tx, run_id)
