"""While nobody scans the tablet looks through its record, and lets go of what reachback has had for long."""

import threading

import pytest

from spectralid.casework import retention, scrub
from spectralid.casework.store import CaseStore
from spectralid.tablet import workplace
from spectralid.tablet.workplace import Workplace


class Unit:
    """What looking after needs of a unit."""

    officer = site = ""
    language = "en"

    def __init__(self, store):
        self.store = store

    def close(self):
        self.store.close()


@pytest.fixture
def place(tmp_path, monkeypatch):
    store = CaseStore.open(tmp_path, ballast_bytes=1 << 16)
    place = Workplace(Unit(store), tmp_path)
    monkeypatch.setattr(place, "state", dict)
    monkeypatch.setattr(workplace, "_SCRUB_STEP_S", 0.0)
    yield place
    place.close()


def looked_after(place, until):
    """Run the thread until `until` is set."""
    thread = threading.Thread(target=place._look_after)
    thread.start()
    assert until.wait(20)
    place._stop.set()
    thread.join()


def test_the_whole_record_is_looked_through_and_then_tidied(place, monkeypatch):
    order, swept = [], threading.Event()
    real = scrub.scrub

    def step(store, *, steps):
        report = real(store, steps=steps)
        order.append(("scrub", report.finished_utc is not None))
        return report

    def sweep(store, policy):
        order.append(("sweep", policy.keep_days))
        swept.set()

    monkeypatch.setattr(scrub, "scrub", step)
    monkeypatch.setattr(retention, "sweep", sweep)
    looked_after(place, swept)
    assert order[-1][0] == "sweep"
    assert order[-1][1] >= 30
    assert [o for o in order[:-1] if o[1]] == [("scrub", True)]


def test_nothing_is_let_go_while_the_record_is_damaged(place, monkeypatch):
    problem = scrub.ScrubReport("2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", ("damage",), ())
    told = threading.Event()
    monkeypatch.setattr(scrub, "scrub", lambda store, *, steps: problem)
    monkeypatch.setattr(retention, "sweep", lambda *a: pytest.fail("swept"))
    monkeypatch.setattr(place, "changed", told.set)
    looked_after(place, told)


def test_nothing_is_looked_through_during_a_scan(place, monkeypatch):
    monkeypatch.setattr(scrub, "scrub", lambda *a, **k: pytest.fail("looked"))
    place.desk._scan_id = "running"
    waited = []
    real = place._stop.wait

    def wait(seconds):
        waited.append(seconds)
        if len(waited) == 5:
            place._stop.set()
        return real(0)

    monkeypatch.setattr(place._stop, "wait", wait)
    place._look_after()
    assert len(waited) == 5
