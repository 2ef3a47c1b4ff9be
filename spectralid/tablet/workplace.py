"""Everything one running tablet is made of, held together: record, instrument, arrivals, sync, settings."""

from __future__ import annotations

import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from spectralid import __version__
from spectralid.casework import inbox, instrument_checks, outbox
from spectralid.errors import ParameterError, SpectralIDError
from spectralid.tablet.arrivals import Arrivals
from spectralid.tablet.check_views import standing_view
from spectralid.tablet.events import Broker
from spectralid.tablet.instrument import InstrumentDesk
from spectralid.tablet.settings import LANGUAGES, Settings, load_settings, save_settings

if TYPE_CHECKING:
    from spectralid.casework.sync import Sync
    from spectralid.devices.record import Measurement
    from spectralid.qa.check import Darkness
    from spectralid.spectrum import Spectrum
    from spectralid.tablet.unit import FieldUnit
    from spectralid.vouching import TrustedKeys

__all__ = ["Workplace"]

_log = logging.getLogger("spectralid.tablet")

# Between two steps of looking through the record, and from its end to the next beginning: each step writes a
# little, and flash wears.
_SCRUB_STEP_S: Final = 20.0
_SCRUB_PAUSE_S: Final = 12 * 3600.0
# How soon a newer library is noticed; a look at one small file.
_LIBRARY_S: Final = 30.0
# When the agency is asked for one, after the start and then each time.
_FIRST_ASKED_S: Final = 120.0
_ASKED_S: Final = 6 * 3600.0
_SUFFIX: Final = re.compile(r"[^A-Za-z0-9.]")


class Workplace:
    """What the screen acts on. Its methods may be called from several threads.

    Parameters
    ----------
    unit : FieldUnit
        Record, library and policy.
    folder : Path
        Folder of the record; settings and the ledger of arrivals are kept beside it.
    watch : Path, optional
        Folder into which another program saves spectra.
    simulators : bool
        Whether simulated instruments may be connected.
    bands : str
        Band table for simulated substances.
    trusted : TrustedKeys, optional
        Keys that count: where there are any, profiles that did not come with spectralid have to be signed.
    """

    def __init__(
        self,
        unit: FieldUnit,
        folder: Path,
        *,
        watch: Path | None = None,
        simulators: bool = False,
        bands: str = "",
        trusted: TrustedKeys | None = None,
    ) -> None:
        self.unit = unit
        self.broker = Broker()
        self.settings = load_settings(folder / "settings.json")
        self._settings_file = folder / "settings.json"
        self.desk = InstrumentDesk(self._publish, simulators=simulators, bands=bands, trusted=trusted)
        self.arrivals = Arrivals(watch, folder / "arrivals.jsonl", self._publish) if watch else None
        self.current: dict[str, Any] = {"seizure_ref": None, "item_ref": None}
        self.last: dict[str, Any] | None = None
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sync: Sync | None = None
        self._apply(self.settings)

    # --- beginning and end -------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin what goes on by itself: preparing the engine, and exchanging with reachback."""
        self._begin("warm-up", self._warm_up)
        self._begin("sync", self._exchange)
        self._begin("scrub", self._look_after)
        self._begin("library", self._renew_library)

    def close(self) -> None:
        """End everything, the laser first; what is recorded is kept."""
        self._stop.set()
        try:
            self.desk.disconnect()
        finally:
            self.broker.close()
            if self.arrivals:
                self.arrivals.close()
            if self._sync:
                self._sync.wake()
            for thread in self._threads:
                thread.join()
            self.unit.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _warm_up(self) -> None:
        try:
            self.unit.warm_up()
        except SpectralIDError as error:
            _log.warning("The engine could not be prepared: %s", error)

    def _exchange(self) -> None:
        """Exchange with reachback for as long as there is an endpoint; nothing waits for it."""
        from spectralid.casework.enrolment import enrolled_endpoint
        from spectralid.casework.sync import Sync

        try:
            endpoint = enrolled_endpoint(self.unit.store)
            if endpoint is None:
                return
            self._sync = Sync(self.unit.store, endpoint, told=self._exchanged)
            self._sync.run(self._stop)
        except SpectralIDError as error:
            _log.warning("Exchange with reachback ended: %s", error)

    def _look_after(self) -> None:
        """Look through the whole record for damage, a little at a time, while nobody scans; then tidy up.

        What is removed has a verified receipt and is older than the retention says.
        """
        from spectralid.casework.retention import RetentionPolicy, sweep
        from spectralid.casework.scrub import scrub

        pause_s = _SCRUB_STEP_S
        while not self._stop.wait(pause_s):
            if self.desk.scanning is not None:
                continue
            try:
                report = scrub(self.unit.store, steps=1)
                if report.finished_utc and not report.problems:
                    sweep(self.unit.store, RetentionPolicy())
            except SpectralIDError as error:
                _log.warning("The record could not be looked through: %s", error)
                pause_s = _SCRUB_PAUSE_S
                continue
            if report.problems:
                self.changed()
            pause_s = _SCRUB_PAUSE_S if report.finished_utc else _SCRUB_STEP_S

    def _renew_library(self) -> None:
        """Ask the agency for a newer library now and then; go over to one that was installed by anybody."""
        next_s = time.monotonic() + _FIRST_ASKED_S
        while not self._stop.wait(_LIBRARY_S):
            try:
                if time.monotonic() >= next_s:
                    next_s = time.monotonic() + _ASKED_S
                    self._ask_for_library()
                if self.unit.renew_library():
                    self.changed()
            except SpectralIDError as error:
                _log.warning("The library stays as it is: %s", error)

    def _ask_for_library(self) -> None:
        from spectralid.tablet import libraries

        folder = self._settings_file.parent
        if not libraries.trusts_a_repository(folder):
            return
        # Whoever ends the program does not wait for a slow line.
        line = libraries.line(
            self.unit.store,
            read_s=5.0,
            monotonic=lambda: math.inf if self._stop.is_set() else time.monotonic(),
        )
        if line is None:
            return
        try:
            done = libraries.ask(self.unit.store, folder, line, site=self.settings.site)
        finally:
            line.close()
        _log.info("Asked for a newer library: %s", done.outcome)

    def _exchanged(self, report: Any) -> None:
        for answer_id in report.answers:
            self._publish("answer", {"answer_id": answer_id})
        self.changed()

    # --- settings and events -----------------------------------------------------------------------------

    def configure(self, wanted: Mapping[str, Any]) -> None:
        """Change settings, and keep them.

        Raises
        ------
        ParameterError
            If there is no such setting, or it is not allowed.
        """
        settings = self.settings.changed(wanted)
        save_settings(self._settings_file, settings)
        self.settings = settings
        self._apply(settings)
        self.changed()

    def _apply(self, settings: Settings) -> None:
        self.unit.officer, self.unit.site = settings.officer, settings.site
        self.unit.language = settings.language

    def changed(self) -> None:
        """Tell every page how things stand."""
        self.broker.publish("state", self.state())

    def _publish(self, event: str, data: Mapping[str, Any]) -> None:
        if event == "changed":
            self.changed()
            return
        if event == "failed" and data["scan_id"]:
            self.last = {**data, "packet_id": None}
        self.broker.publish(event, data)

    def wake(self) -> None:
        """Something was recorded: send it when there is a way."""
        if self._sync:
            self._sync.wake()
        self.changed()

    # --- scanning ----------------------------------------------------------------------------------------

    def scan(self, item_ref: str, *, consent: bool) -> str:
        """Begin a scan of an item; the result is told as an event once it is on record."""
        rescan = self.unit.repeats(item_ref)
        seizure_ref = self.unit.item(item_ref).seizure_ref
        self.current = {"seizure_ref": seizure_ref, "item_ref": item_ref}
        started: dict[str, str] = {}

        def done(spectrum: Spectrum, _: Measurement) -> None:
            result = self.unit.record_scan(item_ref, spectrum, rescan_of=rescan)
            told = {"scan_id": started.get("scan_id", self.desk.scanning), "packet_id": result.packet_id}
            self.last = {**told, "sentence": None, "retake": False}
            self.broker.publish("result", told)
            self.wake()

        started["scan_id"] = self.desk.start_scan(self.settings.officer, done, consent=consent)
        return started["scan_id"]

    def assign(self, name: str, item_ref: str) -> list[str]:
        """Record the spectra of a file that arrived as scans of an item."""
        if self.arrivals is None:
            raise SpectralIDError("No folder is watched; start the tablet with --watch FOLDER.")
        file = self.arrivals.file(name)
        original = (file.name, file.path.read_bytes())
        packets = [
            self.unit.record_scan(item_ref, spectrum, original=original).packet_id
            for spectrum in file.spectra
        ]
        self.arrivals.assigned(name)
        for packet_id in packets:
            self.broker.publish("result", {"scan_id": None, "packet_id": packet_id})
        self.wake()
        return packets

    # --- the instrument's daily check --------------------------------------------------------------------

    def check(self, standard: str, lot: str, *, consent: bool) -> str:
        """Begin to measure a standard; the check is told as an event once it is on record."""
        started: dict[str, str] = {}

        def done(spectrum: Spectrum, measured: Measurement) -> None:
            found = self._checked(spectrum, standard, lot, _darkness(measured))
            told = {"scan_id": started.get("scan_id", self.desk.scanning), "check_id": found}
            self.last = {**told, "packet_id": None, "sentence": None, "retake": False}
            self.broker.publish("checked", told)

        started["scan_id"] = self.desk.start_scan(
            self.settings.officer, done, consent=consent, purpose="check"
        )
        return started["scan_id"]

    def check_arrived(self, name: str, standard: str, lot: str) -> str:
        """Judge the instrument by a file that arrived in the watched folder; the name of the check."""
        if self.arrivals is None:
            raise SpectralIDError("No folder is watched; start the tablet with --watch FOLDER.")
        found = self._checked(_one(name, self.arrivals.file(name).spectra), standard, lot)
        self.arrivals.assigned(name)
        return found

    def check_file(self, name: str, data: bytes, standard: str, lot: str) -> str:
        """Judge the instrument by a file from the officer; the name of the check."""
        from tempfile import TemporaryDirectory

        from spectralid.io import read_all

        with TemporaryDirectory(prefix="spectralid-") as folder:
            # The suffix tells the format; nothing else of a name that came with a request is used.
            path = Path(folder) / f"standard{_SUFFIX.sub('', Path(name).suffix)}"
            path.write_bytes(data)
            return self._checked(_one(name, read_all(path)), standard, lot)

    def _checked(self, spectrum: Spectrum, standard: str, lot: str, dark: Darkness | None = None) -> str:
        check = self.unit.check_instrument(spectrum, standard, lot=lot, dark=dark)
        self.wake()
        return check.id

    def skip_check(self, reason: str) -> None:
        """Do without the check that is due, and say why."""
        self.unit.skip_check(self.desk.facts()["serial"], reason)
        self.wake()

    # --- how things stand --------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """How things stand, JSON-ready; quick, and without the network."""
        unit, health = self.unit, self.unit.store.health()
        library, policy = unit.library, unit.policy
        age = unit.library_age_days
        instrument = self.desk.facts()
        standing = unit.standing(instrument["serial"])
        return {
            "version": __version__,
            "language": self.settings.language,
            "languages": list(LANGUAGES),
            "theme": self.settings.theme,
            "officer": self.settings.officer,
            "site": self.settings.site,
            "device": {
                **instrument,
                "check": standing_view(standing),
                "watching": str(self.arrivals.folder) if self.arrivals else None,
                "simulators": self.desk.simulators,
            },
            "library": {
                "name": library.name,
                "version": library.version,
                "vouched_by": library.vouched_by,
                "age_days": age,
                "compounds": len(library.compounds),
                "nameable": unit.nameable,
                "old": age is not None and age > policy.escalation.library_days,
            },
            "store": {
                "read_only": health.read_only,
                "reason": health.reason,
                "free_mb": health.free_bytes // 2**20,
                "packets": health.counts["packets"],
                "ballast": health.ballast,
                "problems": [str(problem) for problem in health.problems],
            },
            "queue": self.queue(),
            "answers": {"unread": len(inbox.unread(unit.store))},
            "clock": {"state": unit.store.clock_state, "utc": None},
            "policy": {"name": policy.name, "version": policy.version, "note": policy.damaged or ""},
            "current": {**self.current, "scan": self.desk.stage or None, "last": self.last},
        }

    def queue(self) -> dict[str, Any]:
        """Counts of the outbox, and whether reachback was there when it was last tried."""
        counts = outbox.summary(self.unit.store)
        for state, n in instrument_checks.summary(self.unit.store).items():
            counts[state] += n
        sync = self._sync
        return {
            **counts,
            "online": bool(sync and sync.online),
            "last_contact_utc": sync.last_contact_utc if sync else None,
            "endpoint": sync.endpoint.url if sync else None,
            "attention_code": sync.attention[0] if sync and sync.attention else None,
            "failure_code": sync.failure[0] if sync and sync.failure else None,
        }

    def retry(self) -> None:
        """Try now what waits for its time."""
        outbox.retry_now(self.unit.store)
        self.wake()


def _darkness(measured: Measurement) -> Darkness | None:
    """What the detector shows without light, where there are frames enough to tell."""
    from spectralid.qa.check import Darkness

    if measured.dark is None or len(measured.dark.counts) < 2:
        return None
    return Darkness.of(measured.dark, measured.sample, measured.profile.adc_max)


def _one(name: str, spectra: Sequence[Spectrum]) -> Spectrum:
    if len(spectra) != 1:
        raise ParameterError(
            "file", f"{name}: {len(spectra)} spectra", "one with one spectrum, of the standard"
        )
    return spectra[0]
