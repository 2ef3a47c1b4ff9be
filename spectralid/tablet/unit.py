"""The flow of field work as one object: seizure, item, scan, evidence, answer. What the screen is made of.

Everything that happens is a packet: recorded and queued for reachback in one transaction before this object
returns it. No threads of its own; one may be used by several.

Examples
--------
>>> from spectralid.tablet import FieldUnit
>>> def screen(folder, spectrum):
...     with FieldUnit.open(folder, officer="K-17") as unit:
...         seizure = unit.open_seizure(place="Lane 4", mode="land")
...         item = unit.add_item(seizure, label="bag 1", declared={"text": "lactose"})
...         return unit.record_scan(item, spectrum).verdict.text()
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar

from spectralid import __version__
from spectralid.casework import instrument_checks
from spectralid.casework.clock import from_text, to_text
from spectralid.casework.compose import (
    concluded,
    finite,
    instrument_facts,
    spectrum_blobs,
    spectrum_entry,
    spectrum_of,
)
from spectralid.casework.errors import StoreFullError
from spectralid.casework.ids import next_id
from spectralid.casework.packet import Blob, Packet
from spectralid.casework.store import CaseStore, Draft, Stored
from spectralid.errors import InputError, ParameterError, SpectralIDError
from spectralid.qa.history import moment_of
from spectralid.tablet.checks import CHECKS, CheckBook, Standing
from spectralid.tablet.curves import curve
from spectralid.tablet.item import ItemView, Result, assessed
from spectralid.tablet.libraries import LIBRARIES
from spectralid.vouching import TrustedKeys

if TYPE_CHECKING:
    import os

    from spectralid.casework.inbox import Answer
    from spectralid.casework.sync import SyncReport
    from spectralid.devices import ArmToken, Progress, ScanPlan, Session
    from spectralid.identify import Identification, Identifier, InstrumentModel
    from spectralid.library import ReferenceLibrary
    from spectralid.qa.check import Darkness
    from spectralid.qa.limits import Limits
    from spectralid.qa.performance import PerformanceCheck
    from spectralid.spectrum import Spectrum
    from spectralid.verdict import Policy, PolicyKeeper, Verdict
    from spectralid.verdict.catalog import Catalog
    from spectralid.verdict.strips import StripTest

__all__ = ["CONTAINERS", "MODES", "FieldUnit", "ScanResult"]

MODES: Final = ("mail", "express", "land", "air", "sea", "other")
CONTAINERS: Final = ("none", "pe", "glass", "other")
EVIDENCE: Final = "evidence"
SCAN: Final = "scan"

_LONGEST_NOTE: Final = 2000
_LONGEST_NAME: Final = 100
_LARGEST_PHOTO: Final = 4 * 1024 * 1024
_PHOTO_TYPES: Final = {"image/jpeg": b"\xff\xd8\xff", "image/png": b"\x89PNG\r\n\x1a\n"}
# Results kept at hand, so that what is said of an item with several scans need not be computed again.
_KEPT: Final = 64
# A scan of the same item sooner than this after the last may be a repeat nobody meant.
REPEAT_S: Final = 120.0
# Checks whose files a power cut can have cost.
_LATEST_CHECKS: Final = 3
_NO_CHECKS: Final = "a folder for the checks of this tablet"

_log = logging.getLogger("spectralid.tablet")


_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ScanResult:
    """One recorded scan.

    Attributes
    ----------
    packet_id : str
        Under which it is recorded.
    stored : Stored
        Place in the chain, time and state of the clock.
    spectrum : Spectrum
        As measured.
    identification : Identification
        What was found.
    verdict : Verdict
        What is told.
    """

    packet_id: str
    stored: Stored
    spectrum: Spectrum
    identification: Identification
    verdict: Verdict


@dataclass(slots=True)
class _Kept:
    """Results by packet id, the latest used last, a bounded number of them."""

    results: OrderedDict[str, Result] = field(default_factory=OrderedDict)

    def put(self, packet_id: str, result: Result) -> None:
        self.results[packet_id] = result
        self.results.move_to_end(packet_id)
        while len(self.results) > _KEPT:
            self.results.popitem(last=False)


def _with_one_library(
    method: Callable[Concatenate[FieldUnit, _Given], _Result],
) -> Callable[Concatenate[FieldUnit, _Given], _Result]:
    """Keep a newer library out until this is over."""

    @wraps(method)
    def whole(unit: FieldUnit, /, *arguments: _Given.args, **options: _Given.kwargs) -> _Result:
        with unit._scanning:
            return method(unit, *arguments, **options)

    return whole


class FieldUnit:
    """One tablet: its record, its library, its policy, and who holds it.

    Parameters
    ----------
    store : CaseStore
        The record.
    library : ReferenceLibrary
        The reference library; closed with the unit.
    keeper : PolicyKeeper
        Gives the policy in force, asked at each verdict.
    officer, site : str
        Pseudonyms that go on record.
    language : str
        Language of what the officer reads.
    instruments : iterable of InstrumentModel
        What is known of the instruments used (``spectralid characterise``).
    engine : Identifier, optional
        Prepared for the library already.
    today : callable
        The date, for expiry dates.
    installed : Path, optional
        Folder of installed libraries (`spectralid.library.installed`), where a newer one may appear.
    checks : CheckBook, optional
        Performance checks of the instruments; without, nobody knows of any.
    """

    def __init__(
        self,
        store: CaseStore,
        library: ReferenceLibrary,
        *,
        keeper: PolicyKeeper,
        officer: str = "",
        site: str = "",
        language: str = "en",
        instruments: Iterable[InstrumentModel] = (),
        engine: Identifier | None = None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
        installed: Path | None = None,
        checks: CheckBook | None = None,
    ) -> None:
        self.store = store
        self.library = library
        self.officer = officer
        self.site = site
        self.language = language
        self.checks = checks
        self.keeper = keeper
        self._instruments = tuple(instruments)
        self._today = today
        self._kept = _Kept()
        self._engine = engine
        # One spectrum at a time: the engine keeps prepared references, and two cores are few.
        self._thinking = threading.Lock()
        self._installed = installed
        self._passed = ""
        # A scan is identified, told and recorded with one library.
        self._scanning = threading.RLock()
        if checks is not None:
            self._restore_checks(checks)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        *,
        library: str | os.PathLike[str] | None = None,
        officer: str = "",
        site: str = "",
        language: str = "en",
        instruments: Iterable[InstrumentModel] = (),
        trusted: TrustedKeys | None = None,
    ) -> Self:
        """Open the record in a folder, made the first time, with a library and the policy in force.

        Parameters
        ----------
        folder : path
            Folder of the record.
        library : path, optional
            Reference library; by default the one installed in the folder, or else the bundled one.
        officer, site, language, instruments
            See the class.
        trusted : TrustedKeys, optional
            Keys that count: where there are any, policy and `library` have to be signed by one of them.

        Raises
        ------
        RecordError
            If the record is damaged, of a newer version, or in use by another program.
        LibraryError
            If the library cannot be used.
        """
        from spectralid.library import open_library
        from spectralid.library.installed import open_installed
        from spectralid.library.signing import vouch_library
        from spectralid.verdict import PolicyKeeper

        place = Path(folder) / LIBRARIES
        if library is not None:
            books = vouch_library(open_library(library), trusted or TrustedKeys())
        else:
            books = open_installed(place) or open_library()
        try:
            store = CaseStore.open(Path(folder))
        except BaseException:
            books.close()
            raise
        return cls(
            store,
            books,
            keeper=PolicyKeeper(Path(folder) / "policy", trusted=trusted),
            officer=officer,
            site=site,
            language=language,
            instruments=instruments,
            installed=place if library is None else None,
            checks=CheckBook(Path(folder) / CHECKS),
        )

    def close(self) -> None:
        """Close record and library."""
        self.store.close()
        self.library.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def nameable(self) -> int:
        """How many substances the library can name: those with a measured or published spectrum."""
        from spectralid.library import Tier

        named = (Tier.MEASURED, Tier.LITERATURE)
        infos = (info for technique in self.library.techniques for info in self.library.rows(technique))
        return len({info.compound_slug for info in infos if info.tier in named})

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self.keeper.current

    def warm_up(self) -> None:
        """Prepare the engine now rather than at the first scan."""
        with self._thinking:
            engine = self._identifier()
        self._prepare(engine)

    def renew_library(self) -> bool:
        """Go over to a library that was installed meanwhile, once it is prepared and no scan is under way.

        Returns
        -------
        bool
            Whether there was another one.
        """
        from spectralid.identify import Identifier
        from spectralid.library.installed import installed, open_installed

        known = installed(self._installed) if self._installed is not None else None
        if self._installed is None or known is None or known.sha256 in (self.library.sha256, self._passed):
            return False
        books = open_installed(self._installed)
        if books is None or books.sha256 == self.library.sha256:
            # It does not open, and the one before it is in use; said once, not asked again and again.
            self._passed = known.sha256
            return False
        engine = Identifier(books, instruments=self._instruments)
        self._prepare(engine)
        with self._scanning, self._thinking:
            # Whoever still looks something up in the former one can.
            self.library, self._engine, self._kept = books, engine, _Kept()
            self.__dict__.pop("nameable", None)
        return True

    def _prepare(self, engine: Identifier) -> None:
        from spectralid.spectrum import Spectrum, Technique

        for technique in (Technique.RAMAN, Technique.FTIR_ATR):
            try:
                with self._thinking:
                    # A straight line: nothing is found in it, but all that is needed for finding gets loaded.
                    engine.identify(Spectrum.from_points((400, 1400, 2400), (0, 1, 0), technique=technique))
            except InputError:
                continue  # the library does not hold that technique

    # --- what happens, in the order in which it does -----------------------------------------------------

    def open_seizure(self, *, place: str = "", mode: str = "other", note: str = "") -> str:
        """Begin a seizure.

        Parameters
        ----------
        place : str
            Where.
        mode : {"mail", "express", "land", "air", "sea", "other"}
            How the goods came in.
        note : str
            Anything else.

        Returns
        -------
        str
            Its reference.
        """
        if mode not in MODES:
            raise ParameterError("mode", mode, "one of " + ", ".join(MODES))
        reference = self._reference()
        body = {"place": _text("place", place), "mode": mode, "note": _text("note", note)}
        self._record(Draft("seizure", reference, None, body))
        return reference

    def add_item(
        self,
        seizure_ref: str,
        *,
        label: str = "",
        container: str = "none",
        declared: Mapping[str, str] | None = None,
    ) -> str:
        """Add an item to a seizure.

        Parameters
        ----------
        seizure_ref : str
            The seizure.
        label : str
            What it is called, like the number on its bag.
        container : {"none", "pe", "glass", "other"}
            What it is measured through.
        declared : mapping, optional
            What the goods are said to be: any of ``text``, ``cas``, ``tariff``.

        Returns
        -------
        str
            Its reference.
        """
        if container not in CONTAINERS:
            raise ParameterError("container", container, "one of " + ", ".join(CONTAINERS))
        if seizure_ref not in {s.seizure_ref for s in self.store.seizures()}:
            raise ParameterError("seizure", seizure_ref, "one that was opened on this tablet")
        reference = f"{seizure_ref}-{len(self.store.items(seizure_ref)) + 1:02d}"
        body = {
            "label": _text("label", label),
            "container": container,
            "declared": _declared(declared) if declared else None,
        }
        self._record(Draft("item", seizure_ref, reference, body))
        return reference

    def scan(
        self,
        item_ref: str,
        session: Session,
        plan: ScanPlan,
        *,
        token: ArmToken | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        **options: Any,
    ) -> ScanResult:
        """Measure with an instrument, then `record_scan`.

        Parameters
        ----------
        item_ref : str
            The item under the probe.
        session : Session
            The open instrument.
        plan, token, progress, **options
            See `spectralid.devices.Session.scan`.

        Raises
        ------
        DeviceError
            If the instrument fails; nothing is recorded.
        """
        spectrum = session.scan(plan, token=token, progress=progress, **options)
        return self.record_scan(item_ref, spectrum)

    @_with_one_library
    def record_scan(
        self,
        item_ref: str,
        spectrum: Spectrum,
        *,
        original: tuple[str, bytes] | None = None,
        rescan_of: str | None = None,
    ) -> ScanResult:
        """Identify a spectrum of an item, and record it with the result before returning.

        Parameters
        ----------
        item_ref : str
            The item.
        spectrum : Spectrum
            As measured.
        original : (str, bytes), optional
            Name and content of the vendor's file it was read from; kept as it is.
        rescan_of : str, optional
            Packet of the scan this one repeats.

        Returns
        -------
        ScanResult

        Raises
        ------
        RecordError
            If it could not be recorded; it is not shown as a result then.
        InputError
            If the spectrum cannot be compared with the library; it is recorded all the same.
        """
        from spectralid.verdict.item import suggest_other_technique

        item = self._item(item_ref)
        container = str(item.opened.get("container", "none"))
        context = {"container": container} if container != "none" else {}
        if item.declared:
            context["declared"] = "; ".join(
                str(v) for v in item.declared.values() if isinstance(v, str) and v
            )
        blobs = spectrum_blobs(spectrum)
        standing = self.standing(spectrum.acquisition.serial)
        body: dict[str, Any] = {
            "instrument": instrument_facts(spectrum),
            "ipv": standing.manifest(),
            "instrument_check": standing.state,
            "spectra": [spectrum_entry(spectrum, blobs)],
            "context": context,
            "rescan_of": rescan_of,
        }
        if original:
            name, data = original
            file = Blob(data, "application/octet-stream", Path(name).name)
            blobs = (*blobs, file)
            body["original"] = {
                "blob": file.sha256,
                "media_type": file.media_type,
                "name_sanitised": file.name[:_LONGEST_NAME],
            }
        try:
            result = self._conclude(spectrum, context)
        except InputError as error:
            # What was measured is kept for somebody with another library, and said to be without a result.
            body["result"] = {
                "decision": "inconclusive",
                "refused": str(error),
                "engine": {"version": __version__},
                "library": {
                    "name": self.library.name,
                    "version": self.library.version,
                    "sha256": self.library.sha256,
                },
            }
            body["escalation"] = {"why": ["uncertain"], "urgency": "unknown"}
            self._record(Draft(SCAN, item.seizure_ref, item_ref, body, blobs))
            raise
        identification, verdict = result
        body["result"] = concluded(
            identification,
            verdict,
            self.library,
            engine=__version__,
            thresholds=self.policy.to_dict()["thresholds"],
            rests_on=self._identifier().rests_on(identification.technique),
        )
        body["result"]["library"]["age_days"] = self.library_age_days
        body["other_technique"] = suggest_other_technique(identification, spectrum)
        body["caution_shown"] = list(verdict.cautions)
        if verdict.escalate:
            body["escalation"] = {"why": list(verdict.escalation), "urgency": verdict.alarm.value}
        # With what the item then comes to: declared goods and strips may be on record already.
        whole = self._assessed(item, more=[result]).assessment
        body["assessment"] = whole.to_dict() if whole else None
        stored = self._record(Draft(SCAN, item.seizure_ref, item_ref, body, blobs))
        self._kept.put(stored.packet_id, result)
        return ScanResult(stored.packet_id, stored, spectrum, identification, verdict)

    def add_strip(
        self, item_ref: str, test: StripTest, *, photo: tuple[str, bytes] | None = None
    ) -> ItemView:
        """Record an immunoassay strip test of an item, with what it is worth beside its scans.

        Parameters
        ----------
        item_ref : str
            The item.
        test : StripTest
            Strip, dilution and reading.
        photo : (str, bytes), optional
            Media type and content of a picture of it.
        """
        from dataclasses import replace

        from spectralid.verdict.strips import weigh

        blobs: tuple[Blob, ...] = ()
        if photo:
            blobs = (_photo(*photo),)
            test = replace(test, photo_sha256=blobs[0].sha256)
        results = self._results(self._item(item_ref))
        worth = weigh(test, results, self.library, on=self._today(), catalog=self.catalog())
        return self._evidence(item_ref, {"strips": [{**test.to_dict(), "evidence": worth.to_dict()}]}, blobs)

    def declare(self, item_ref: str, *, text: str = "", cas: str = "", tariff: str = "") -> ItemView:
        """Record what the goods are declared as, and whether that agrees with what was found."""
        said = _declared({"text": text, "cas": cas, "tariff": tariff})
        return self._evidence(item_ref, {"declared": said})

    def add_note(self, item_ref: str, text: str) -> ItemView:
        """Record a note on an item."""
        if not text.strip():
            raise ParameterError("note", text, "at least one word")
        return self._evidence(item_ref, {"note": _text("note", text)})

    def add_photo(self, item_ref: str, media_type: str, data: bytes) -> ItemView:
        """Record a photo of an item.

        Parameters
        ----------
        item_ref : str
            The item.
        media_type : {"image/jpeg", "image/png"}
            What it is.
        data : bytes
            The file, at most 4 MiB.
        """
        blob = _photo(media_type, data)
        entry = {"blob": blob.sha256, "media_type": blob.media_type, "name": blob.name}
        return self._evidence(item_ref, {"photos": [entry]}, (blob,))

    def send(self, item_ref: str, note: str = "") -> ItemView:
        """Ask reachback about an item, whatever the verdict; it travels when there is a way."""
        item = self.item(item_ref)
        alarm = item.assessment.alarm.value if item.assessment else "unknown"
        body = {
            "escalation": {"why": ["forced"], "urgency": alarm, "officer_note": _text("note", note)},
            "packet_ids": [p.packet_id for p in (*item.scans, *item.evidence)],
        }
        self._record(Draft("send", item.seizure_ref, item_ref, body))
        return item

    def exchange(self) -> SyncReport:
        """Hand over what is queued, and take what has come, once and now.

        The screen's own exchange runs by itself (`spectralid.casework.sync.Sync.run`); this is for a program
        that decides when.

        Raises
        ------
        EnrolmentError
            If the tablet is enrolled with no server.
        """
        from spectralid.casework.enrolment import EnrolmentError, enrolled_endpoint
        from spectralid.casework.sync import Sync

        endpoint = enrolled_endpoint(self.store)
        if endpoint is None:
            raise EnrolmentError("This tablet is enrolled with no server; what it recorded stays queued.")
        try:
            return Sync(self.store, endpoint).once()
        finally:
            endpoint.close()

    def answers(self) -> tuple[Answer, ...]:
        """What reachback answered, in the order in which it came."""
        from spectralid.casework import inbox

        return inbox.all(self.store)

    def shown(self, answer_id: str) -> None:
        """Record that the officer has seen an answer; the server is told at the next exchange."""
        from spectralid.casework import inbox

        inbox.shown(self.store, answer_id)

    def hand_over(self, seizure_ref: str, *, action: str, to: str, note: str = "") -> None:
        """Record that a seizure changed hands, was sealed or was destroyed."""
        body = {"action": _text("action", action), "to": _text("to", to), "note": _text("note", note)}
        self._record(Draft("custody", seizure_ref, None, body))

    # --- what is on record -------------------------------------------------------------------------------

    def item(self, item_ref: str) -> ItemView:
        """All that is on record of an item, with what it comes to.

        Raises
        ------
        ParameterError
            If there is no such item.
        """
        return self._assessed(self._item(item_ref))

    def opened(self, item_ref: str) -> Mapping[str, Any]:
        """What was stated when an item was added: label, container, declared goods."""
        return self._item(item_ref).opened

    def result(self, packet_id: str) -> Result:
        """What a recorded scan is, computed again from its spectrum if it is not at hand.

        Raises
        ------
        RecordError
            If it is not on record or damaged.
        """
        return self._result(self.store.packet(packet_id))

    def repeats(self, item_ref: str) -> str | None:
        """The latest scan of an item if it is so recent that another may be a repeat nobody meant.

        A scan too poor to tell anything is meant to be repeated.
        """
        recent = self.store.similar_recent(item_ref, (), REPEAT_S)
        if not recent:
            return None
        verdict = self.store.packet(recent[0].packet_id).manifest["result"].get("verdict") or {}
        return None if verdict.get("kind") == "poor_signal" else recent[0].packet_id

    # --- within ------------------------------------------------------------------------------------------

    def _identifier(self) -> Identifier:
        if self._engine is None:
            from spectralid.identify import Identifier

            self._engine = Identifier(self.library, instruments=self._instruments)
        return self._engine

    def _conclude(self, spectrum: Spectrum, context: Mapping[str, str]) -> Result:
        from spectralid.verdict import Circumstances, decide

        with self._thinking:
            identification = self._identifier().identify(spectrum, context=context)
        circumstances = Circumstances(
            instrument_check=self.standing(spectrum.acquisition.serial).state,
            library_age_days=self.library_age_days,
            clock_state=self.store.clock_state,
        )
        verdict = decide(
            identification,
            self.library,
            policy=self.policy,
            language=self.language,
            circumstances=circumstances,
        )
        return Result(identification, verdict)

    def standing(self, serial: str) -> Standing:
        """How a unit stands: whether its last performance check passed, and holds today.

        Parameters
        ----------
        serial : str
            Serial number of the unit; empty where it states none.
        """
        from dataclasses import replace

        if self.checks is None:
            return Standing("unknown")
        standing = self.checks.standing(serial, self.store.time.now())
        skip = instrument_checks.latest(self.store, serial, "skipped") if standing.due else None
        if skip is None or (standing.check and moment_of(standing.check) > from_text(skip.made_utc)):
            return standing
        reason = str(instrument_checks.said(self.store, skip.ipv_id).get("reason", ""))
        return replace(standing, state="skipped", reason=reason)

    def check_instrument(
        self,
        spectrum: Spectrum,
        standard: str,
        *,
        lot: str = "",
        limits: Limits | None = None,
        dark: Darkness | None = None,
    ) -> PerformanceCheck:
        """Judge a unit by its spectrum of a standard, and put that on record.

        Parameters
        ----------
        spectrum : Spectrum
            The standard as the unit gives it.
        standard : str
            What was measured.
        lot : str
            Of the reference material.
        limits : Limits, optional
            The agency's; the built-in ones by default.
        dark : Darkness, optional
            What its detector shows without light.

        Returns
        -------
        PerformanceCheck
            It decides what later results of the unit are worth, stands in the custody log, and travels to
            reachback when there is a way.

        Raises
        ------
        RecordError
            If it could not be recorded.
        CheckError, ParameterError
            As `spectralid.qa.check.check_performance`.
        """
        from spectralid.qa.check import check_performance

        if self.checks is None:
            raise ParameterError("checks", None, _NO_CHECKS)
        technique, serial = spectrum.technique, spectrum.acquisition.serial
        check = check_performance(
            spectrum,
            standard,
            limits=limits,
            accepted=self.checks.accepted(serial, standard, technique),
            dark=dark,
            accepted_dark=self.checks.accepted_dark(serial, standard, technique),
            lot=_text("lot", lot),
            time=self.store.time.now().isoformat(),
        )
        body = {
            "ipv_id": check.id,
            "time": to_text(moment_of(check)),
            "outcome": "passed" if check.passed else "failed",
            "limits_version": check.limits_version,
            "instrument": {"serial": serial or "unknown", "model": check.instrument},
            "simulated": "simulated" in spectrum.acquisition.flags,
            "technique": technique.value,
            "record": check.to_dict(),
            "spectrum": curve(spectrum),
        }
        facts = {
            "check": check.id,
            "passed": check.passed,
            "failed": list(check.rules),
            "serial": serial,
            "standard": check.standard,
            "lot": check.lot,
            "limits_version": check.limits_version,
        }
        self._enter_check(body, "instrument checked", facts, serial)
        self.checks.keep(check, spectrum, dark)
        return check

    def skip_check(self, serial: str, reason: str) -> None:
        """Do knowingly without the check that is due: on record, and every result says so until one passes.

        Parameters
        ----------
        serial : str
            Of the unit.
        reason : str
            Why, in the officer's words.

        Raises
        ------
        ParameterError
            If no reason is given, or no check is due.
        RecordError
            If it could not be recorded.
        """
        if self.checks is None:
            raise ParameterError("checks", None, _NO_CHECKS)
        if not reason.strip():
            raise ParameterError("reason", reason, "at least one word")
        standing = self.standing(serial)
        if not standing.due:
            raise ParameterError("check", standing.state, "one that is due, to be skipped")
        now, said = self.store.time.now(), _text("reason", reason)
        body = {
            "ipv_id": next_id(now, None),
            "time": to_text(now),
            "outcome": "skipped",
            "reason": said,
            "limits_version": "none",
            "instrument": {"serial": serial or "unknown"},
        }
        self._enter_check(body, "instrument check skipped", {"serial": serial, "reason": said}, serial)

    def _enter_check(self, body: Mapping[str, Any], kind: str, facts: Mapping[str, Any], serial: str) -> None:
        who = {"officer_ref": self.officer or "unnamed", "site_ref": self.site}
        whole = finite(
            {**body, **who, "passed": body["outcome"] == "passed", "clock_state": self.store.clock_state}
        )
        told = {**facts, "officer": self.officer}
        try:
            instrument_checks.enter(self.store, whole, kind=kind, facts=told, serial=serial)
        except StoreFullError as error:
            if not error.room_was_made:
                raise
            instrument_checks.enter(self.store, whole, kind=kind, facts=told, serial=serial)

    def _restore_checks(self, book: CheckBook) -> None:
        """What was put on record just before the power went may lack its file."""
        from spectralid.qa.performance import PerformanceCheck

        for row in instrument_checks.states(self.store, limit=_LATEST_CHECKS):
            if row.outcome == "skipped":
                continue
            try:
                record = instrument_checks.said(self.store, row.ipv_id)["record"]
                book.restore(PerformanceCheck.from_dict(record))
            except (SpectralIDError, OSError) as error:
                _log.warning("The file of the check %s is not there: %s", row.ipv_id[:12], error)

    @property
    def library_age_days(self) -> int | None:
        """Days since the library was made; ``None`` where it does not say."""
        try:
            made = datetime.fromisoformat(str(self.library.manifest.get("created", ""))).date()
        except ValueError:
            return None
        return max(0, (self._today() - made).days)

    def catalog(self) -> Catalog:
        """The sentences of the language chosen, with the policy's own wording."""
        return self.policy.catalog(self.language, topics=("verdict", "evidence"))

    def _reference(self) -> str:
        """A reference no other tablet gives: the device, the day, and a number."""
        day = self._today().strftime("%Y%m%d")
        start = f"{self.store.device_id[:8]}-{day}-"
        taken = [s.seizure_ref for s in self.store.seizures() if s.seizure_ref.startswith(start)]
        return f"{start}{len(taken) + 1:03d}"

    def _record(self, draft: Draft) -> Stored:
        from dataclasses import replace

        # Who never said who they are is on record as that; a hazard is not left unrecorded for it.
        who = {"officer_ref": self.officer or "unnamed", "site_ref": self.site, "ui_locale": self.language}
        whole = replace(draft, body=finite({**who, **draft.body}))
        try:
            return self.store.capture(whole)
        except StoreFullError as error:
            if not error.room_was_made:
                raise
            # The reserve was given up for this; the officer sees in the state that the disk is full.
            return self.store.capture(whole)

    def _item(self, item_ref: str) -> ItemView:
        packets = self.store.of_item(item_ref)
        opened = next((p for p in packets if p.kind == "item"), None)
        if opened is None:
            raise ParameterError("item", item_ref, "one that was added on this tablet")
        return ItemView(
            item_ref=item_ref,
            seizure_ref=str(opened.manifest["seizure_ref"]),
            opened=opened.manifest,
            scans=tuple(p for p in packets if p.kind == SCAN),
            evidence=tuple(p for p in packets if p.kind == EVIDENCE),
        )

    def _evidence(self, item_ref: str, body: Mapping[str, Any], blobs: Sequence[Blob] = ()) -> ItemView:
        """Record evidence together with what the item then comes to."""
        from dataclasses import replace

        item = self._item(item_ref)
        # What is being added counts in what it comes to, though it is not recorded yet.
        view = self._assessed(item, adding=body)
        said = dict(body)
        if said.get("declared") and view.assessment:
            said["declared"] = {**said["declared"], "check": view.assessment.to_dict().get("declared")}
        if view.assessment:
            said["assessment"] = view.assessment.to_dict()
        stored = self._record(Draft(EVIDENCE, item.seizure_ref, item_ref, said, tuple(blobs)))
        return replace(view, evidence=(*item.evidence, self.store.packet(stored.packet_id)))

    def _assessed(
        self, item: ItemView, adding: Mapping[str, Any] | None = None, more: Sequence[Result] = ()
    ) -> ItemView:
        return assessed(
            item,
            [*self._results(item), *more],
            self.library,
            self.policy,
            self.catalog(),
            on=self._today(),
            adding=adding or {},
        )

    def _results(self, item: ItemView) -> list[Result]:
        """Results of the scans that could be compared, oldest first."""
        return [self._result(p) for p in item.scans if p.manifest["result"].get("verdict")]

    def _result(self, packet: Packet) -> Result:
        if packet.packet_id not in self._kept.results:
            context = {k: str(v) for k, v in packet.manifest.get("context", {}).items()}
            self._kept.put(packet.packet_id, self._conclude(spectrum_of(packet), context))
        return self._kept.results[packet.packet_id]


def _text(name: str, value: str) -> str:
    text = str(value).strip()
    if len(text) > _LONGEST_NOTE:
        raise ParameterError(name, f"{text[:20]}…", f"at most {_LONGEST_NOTE} characters long")
    return text


def _declared(said: Mapping[str, str]) -> dict[str, str]:
    known = {name: _text(name, said.get(name) or "") for name in ("text", "cas", "tariff")}
    if not any(known.values()):
        raise ParameterError("declared goods", dict(said), "a name, a CAS number or a tariff code")
    return known


def _photo(media_type: str, data: bytes) -> Blob:
    magic = _PHOTO_TYPES.get(media_type)
    if magic is None or not data.startswith(magic):
        raise ParameterError("photo", media_type, "a JPEG or PNG picture")
    if len(data) > _LARGEST_PHOTO:
        raise ParameterError("photo", f"{len(data) / 1e6:.1f} MB", "at most 4 MiB; take it smaller")
    suffix = media_type.rpartition("/")[2]
    return Blob(data, media_type, f"{hashlib.sha256(data).hexdigest()[:12]}.{suffix}")
