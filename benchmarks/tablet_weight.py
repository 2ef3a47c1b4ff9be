"""Weight of the whole tablet process: cold start, memory and CPU at rest and while identifying.

Starts ``spectralid tablet`` as an officer would, with a simulated instrument (a process of its own, not
counted), opens its page's addresses like a browser, and scans.

    python benchmarks/tablet_weight.py --scans 6

Cold start is from starting the program to the first answer of /api/state, best and worst of several starts;
the files are in the page cache as after any first start. Memory is resident (RSS) and what is the process's
alone or shared in proportion (PSS). "After the last photon" is from the end of the last sample frame to the
event that tells the recorded result.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

SUBSTANCES = ("acetaminophen", "caffeine", "lactose", "acetaminophen:0.5+caffeine:0.5", "urea", "polystyrene")
PROGRAM = (sys.executable, "-c", "from spectralid.cli import main; raise SystemExit(main())")
HEADERS = {"X-Spectralid": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--starts", type=int, default=5, help="cold starts to time (default 5)")
    parser.add_argument("--scans", type=int, default=6, help="scans (default 6)")
    parser.add_argument("--rest-s", type=float, default=20.0, help="seconds at rest (default 20)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        starts = []
        for n in range(args.starts):
            with tablet(Path(folder) / f"start{n}") as (_, seconds, client):
                starts.append(seconds)
                del client
        with tablet(Path(folder) / "scans") as (process, _, client):
            measured = use(process.pid, client, args)
    rows = [("cold start to ready", f"{min(starts):.2f} to {max(starts):.2f} s", "≤ 3 s"), *measured]
    for what, figure, goal in rows:
        print(f"| {what} | {figure} | {goal} |")


@contextlib.contextmanager
def tablet(folder: Path) -> Iterator[tuple[subprocess.Popen[str], float, httpx.Client]]:
    began = time.perf_counter()
    process = subprocess.Popen(
        [*PROGRAM, "tablet", "--data", str(folder), "--simulate", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = process.stdout.readline().strip()
        with httpx.Client(
            base_url=url.partition("/?")[0], headers=HEADERS, follow_redirects=True, timeout=30
        ) as client:
            client.get(url).raise_for_status()
            client.get("/api/state").raise_for_status()
            yield process, time.perf_counter() - began, client
    finally:
        process.terminate()
        process.wait(20)


def use(pid: int, client: httpx.Client, args: argparse.Namespace) -> list[tuple[str, str, str]]:
    time.sleep(5)  # the engine prepares itself after the screen is there
    before, cpu = memory(pid), cpu_s(pid)
    time.sleep(args.rest_s)
    at_rest = (cpu_s(pid) - cpu) / args.rest_s
    seizure = post(client, "/api/seizures", {"place": "bench", "mode": "mail"})["seizure_ref"]
    events = Events(client)
    waits, thinking, highest, longest = [], [], 0.0, 0.0
    for n in range(args.scans):
        post(client, "/api/instrument", {"simulate": SUBSTANCES[n % len(SUBSTANCES)], "seed": n})
        item = post(client, "/api/items", {"seizure_ref": seizure, "label": str(n)})["item_ref"]
        events.reset()
        post(client, "/api/scans", {"item_ref": item, "confirmed": True})
        spent = None
        while not events.done.wait(0.05):
            began = time.perf_counter()
            client.get("/api/queue").raise_for_status()
            longest = max(longest, time.perf_counter() - began)
            highest = max(highest, memory(pid)[0])
            if spent is None and events.photon:
                spent = cpu_s(pid)
        waits.append(events.result - events.photon)
        thinking.append(cpu_s(pid) - (spent or cpu_s(pid)))
    after = memory(pid)
    return [
        ("resident at rest, engine ready", f"{before[0]:.0f} MB (PSS {before[1]:.0f})", "≤ 300 MB"),
        (
            f"resident while and after {args.scans} scans",
            f"at most {highest:.0f}, then {after[0]:.0f} MB",
            "≤ 300 MB",
        ),
        ("CPU at rest", f"{100 * at_rest:.1f} % of one core", ""),
        ("CPU from the last photon to the result", f"{statistics.median(thinking):.2f} s (median)", ""),
        (
            "result after the last photon",
            f"{statistics.median(waits):.2f} s, at most {max(waits):.2f} s",
            "≤ 3 s",
        ),
        ("longest answer of the page meanwhile", f"{1000 * longest:.0f} ms", "≤ 200 ms"),
    ]


def post(client: httpx.Client, path: str, body: dict) -> dict:
    answer = client.post(path, json=body)
    if answer.is_error:
        raise SystemExit(f"{path}: {answer.text}")
    return answer.json()


class Events:
    """What the page is told, in a thread: when the last photon came, and when the result was there."""

    def __init__(self, client: httpx.Client) -> None:
        self.done = threading.Event()
        self.photon = self.result = 0.0
        threading.Thread(target=self._listen, args=(client,), daemon=True).start()

    def reset(self) -> None:
        self.photon = self.result = 0.0
        self.done.clear()

    def _listen(self, client: httpx.Client) -> None:
        event = ""
        with (
            contextlib.suppress(httpx.HTTPError),
            client.stream("GET", "/api/events", timeout=None) as stream,
        ):
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "progress" and json.loads(value)["stage"] == "sample":
                    self.photon = time.perf_counter()
                elif name == "data" and event == "result":
                    self.result = time.perf_counter()
                    self.done.set()
                elif name == "data" and event == "failed":
                    raise SystemExit(value)


def memory(pid: int) -> tuple[float, float]:
    """Resident and proportional memory in MB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = dict(line.split()[:2] for line in text.splitlines()[1:])
    return int(sizes["Rss:"]) / 1024, int(sizes["Pss:"]) / 1024


def cpu_s(pid: int) -> float:
    """CPU time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
