"""The first packets of a process may come by several threads at the same time."""

import subprocess
import sys

from tests.casework.record import opened, scan, with_item

STORY = """
import json, sys, threading
from spectralid.casework import manifest
sys.setswitchinterval(1e-6)
said = [json.loads(line) for line in sys.stdin]
together = threading.Barrier(16)

def check(one):
    together.wait()
    manifest.check(one)

threads = [threading.Thread(target=check, args=(said[n % len(said)],)) for n in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_first_manifests_of_a_process_in_many_threads(tmp_path):
    """Without `manifest.prepare` about one process in ten ends by a null pointer in msgspec."""
    with opened(tmp_path / "record", device_id="field-1") as store:
        with_item(store).capture(scan())
        packets = [store.packet(row[0]) for row in store.read("SELECT packet_id FROM packets ORDER BY seq")]
    lines = b"".join(packet.payload + b"\n" for packet in packets)
    for _ in range(6):
        done = subprocess.run(
            [sys.executable, "-c", STORY], input=lines, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
