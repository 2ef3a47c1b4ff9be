"""The instrument beside the tablet: connecting, one scan at a time in a thread of its own, the laser off."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from spectralid.errors import DeviceError, ParameterError, SpectralIDError

if TYPE_CHECKING:
    from spectralid.devices import ArmToken, Profile, Progress, Session
    from spectralid.devices.record import Measurement
    from spectralid.spectrum import FloatArray, Spectrum
    from spectralid.vouching import TrustedKeys

    Done = Callable[[Spectrum, Measurement], None]

__all__ = ["InstrumentDesk", "simulator_arguments"]

# Enough for a library search (docs/identification.md), and patience where the sample is dark.
_ENOUGH_SNR: Final = 150.0
_MOST_FRAMES: Final = 120
# A consent older than this has to be given again.
_CONSENT_S: Final = 120.0
_SIMULATED_PROFILE: Final = "ocean-ventana-785l"
_LIVE_POINTS: Final = 512
_DISCONNECTED: Final = "disconnected"

_STAGES: Final = {
    "WARNING": "warning",
    "WARM_UP": "warm_up",
    "EXPOSURE": "exposure",
    "SAMPLE": "sample",
    "DARK": "dark",
}
# Spectra that are no measurement, and what to do.
_RETAKE: Final = {
    "saturated": "Points are saturated: the sample is too bright. Move the probe away a little, then "
    "scan again.",
    "light_unsteady": "The light did not come with every frame. Check interlock, shutter and "
    "probe, then scan again.",
}
# What a simulated scene may be told, and how the simulator calls it.
_SCENE: Final = {
    "container": "--container",
    "fluorescence": "--fluorescence",
    "seed": "--seed",
    "bleaching": "--bleaching",
}


class InstrumentDesk:
    """At most one connected instrument, and at most one scan.

    Parameters
    ----------
    publish : callable
        Told events: name and data, from any thread.
    simulators : bool
        Whether simulated instruments may be connected.
    bands : str
        Band table for simulated substances beside the bundled ones; empty for none.
    trusted : TrustedKeys, optional
        Keys that count: where there are any, profiles that did not come with spectralid have to be signed.
    """

    def __init__(
        self,
        publish: Callable[[str, Mapping[str, Any]], None],
        *,
        simulators: bool = False,
        bands: str = "",
        trusted: TrustedKeys | None = None,
    ) -> None:
        self._publish = publish
        self._trusted = trusted
        self._bands = bands
        self.simulators = simulators
        self._lock = threading.Lock()
        self._stack = ExitStack()
        self._session: Session | None = None
        self._profile: Profile | None = None
        self._simulated = ""
        self._scan_id: str | None = None
        self._purpose = "scan"
        self._stage: dict[str, Any] = {}
        self._axis: list[float] = []
        self._thread: threading.Thread | None = None

    # --- connecting --------------------------------------------------------------------------------------

    def connect(self, port: str, profile_name: str) -> None:
        """Open the instrument on a serial port; the laser is off before anything else.

        Raises
        ------
        DeviceError, FileError
            If it cannot be opened, or there is no such profile.
        """
        from spectralid.devices import load_profile

        self._open(port, load_profile(profile_name, trusted=self._trusted), "")

    def connect_simulated(self, scene: Mapping[str, Any]) -> None:
        """Start a simulated instrument with a scene under its probe and connect to it.

        Parameters
        ----------
        scene : mapping
            See `simulator_arguments`.

        Raises
        ------
        ParameterError
            If simulated instruments are not allowed here, or the scene makes no sense.
        DeviceError
            If it does not start.
        """
        from spectralid.devices import load_profile
        from spectralid.devices.sim.launch import Simulator

        if not self.simulators:
            raise ParameterError(
                "instrument", "simulated", "a real one: this tablet was started without --simulate"
            )
        arguments = simulator_arguments(scene, bands=self._bands)
        self.disconnect()
        with ExitStack() as stack:
            simulator = stack.enter_context(Simulator(*arguments))
            self._open(simulator.port, load_profile(_SIMULATED_PROFILE), str(scene.get("simulate")), stack)

    def _open(self, port: str, profile: Profile, simulated: str, stack: ExitStack | None = None) -> None:
        from spectralid.devices import Session, open_device

        self.disconnect()
        with stack or ExitStack() as opened:
            session = opened.enter_context(
                Session(partial(open_device, port, profile), alarm=self._alarm, told=self._told)
            )
            with self._lock:
                self._session, self._profile, self._simulated = session, profile, simulated
                self._stack = opened.pop_all()
        self._changed()

    def disconnect(self) -> None:
        """Cancel a scan, switch the laser off, close the line."""
        with self._lock:
            session, stack = self._session, self._stack
            self._session, self._profile, self._simulated = None, None, ""
            self._stack = ExitStack()
        if session is not None:
            session.cancel()
        self._join()
        try:
            stack.close()
        finally:
            self._changed()

    def off(self) -> None:
        """Switch the laser off, in whatever state, and have that confirmed.

        Raises
        ------
        LaserOffUnconfirmedError
            If it is not confirmed.
        """
        with self._lock:
            session = self._session
        if session is not None:
            session.cancel()
            session.off()

    # --- scanning ----------------------------------------------------------------------------------------

    @property
    def scanning(self) -> str | None:
        """Id of the scan that runs."""
        return self._scan_id

    def start_scan(self, operator: str, done: Done, *, consent: bool, purpose: str = "scan") -> str:
        """Begin a scan in a thread of its own.

        Parameters
        ----------
        operator : str
            Who answers for the laser.
        done : callable
            Takes the spectrum and the frames it was made of, in that thread: identifies and records it. What
            it raises is told as failure.
        consent : bool
            Whether the operator has confirmed that nobody can come to harm.
        purpose : {"scan", "check"}
            What it is for, as the page is told.

        Returns
        -------
        str
            Id of the scan.

        Raises
        ------
        DeviceError
            If no instrument is connected, or a scan is running.
        LaserRefusedError
            Without consent.
        """
        from spectralid.devices import LaserRefusedError, arm

        with self._lock:
            session, simulated = self._session, self._simulated
            if session is None:
                raise DeviceError("No instrument is connected; connect one first.")
            if self._scan_id is not None:
                raise DeviceError("A scan is running; wait for it or cancel it.")
            if not consent and session.has_laser and not simulated:
                raise LaserRefusedError("The laser was not confirmed; nothing was measured.")
            self._scan_id = uuid.uuid4().hex
            self._purpose = purpose
            self._stage = self._at("warning", 0, 0)
        token = arm(operator or "officer", valid_s=_CONSENT_S)
        self._thread = threading.Thread(
            target=self._run, args=(session, token, operator, simulated, done), name="scan", daemon=True
        )
        self._thread.start()
        self._changed()
        return self._scan_id

    def cancel(self) -> None:
        """Call the scan off; the laser goes off."""
        with self._lock:
            session = self._session
        if session is not None:
            session.cancel()

    def _run(
        self,
        session: Session,
        token: ArmToken,
        operator: str,
        simulated: str,
        done: Done,
    ) -> None:
        from spectralid.devices import ScanCancelledError, ScanPlan

        scan_id = self._scan_id
        try:
            self._axis = _axis(session, self._profile)
            plan = ScanPlan(
                averages=_MOST_FRAMES,
                until_snr=_ENOUGH_SNR,
                dark=session.has_laser or not simulated,
                warning_s=0.0 if simulated else None,
                operator=operator or "officer",
                name=f"simulated {simulated}" if simulated else "",
            )
            measured = session.measure(
                plan, token=token, acknowledge_unknown_interlock=True, progress=self._progress
            )
            spectrum = measured.spectrum(axis_calibration=None, intensity_calibration=None)
            if simulated:
                # No simulated spectrum may ever pass for evidence.
                facts = spectrum.acquisition.with_flags("simulated")
                spectrum = spectrum.replace(acquisition=facts)
            if "retake" in spectrum.acquisition.flags:
                code = "saturated" if "saturated" in spectrum.acquisition.flags else "light_unsteady"
                self._failed(scan_id, _RETAKE[code], code=code)
                return
            self._tell_stage("identifying" if self._purpose == "scan" else "judging", 0, 0)
            done(spectrum, measured)
        except ScanCancelledError as error:
            self._failed(scan_id, str(error), code="cancelled")
        except SpectralIDError as error:
            self._failed(scan_id, str(error))
        except Exception as error:  # A defect of ours must not leave the officer waiting for ever.
            what = f"{type(error).__name__}: {error}"
            self._failed(scan_id, f"Internal error ({what}); scan again, and report it.")
        finally:
            self._scan_id = None
            self._stage = {}
            self._changed()

    def _progress(self, progress: Progress) -> None:
        self._tell_stage(_STAGES[progress.stage.name], progress.done, progress.total, progress.snr)
        if progress.mean is not None:
            self._publish("live", {"scan_id": self._scan_id, **_curve(self._axis, progress.mean)})

    def _tell_stage(self, stage: str, done: int, total: int, snr: float | None = None) -> None:
        self._stage = self._at(stage, done, total, snr)
        self._publish("progress", self._stage)

    def _at(self, stage: str, done: int, total: int, snr: float | None = None) -> dict[str, Any]:
        at = {"scan_id": self._scan_id, "purpose": self._purpose}
        return {**at, "stage": stage, "done": done, "total": total, "snr": snr}

    def _failed(self, scan_id: str | None, sentence: str, *, code: str = "") -> None:
        told: dict[str, Any] = {"scan_id": scan_id, "purpose": self._purpose, "sentence": sentence}
        told |= {"code": code, "retake": code in _RETAKE}
        self._publish("failed", told)

    def _join(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _told(self, _: object) -> None:
        self._changed()

    def _alarm(self, sentence: str) -> None:
        self._failed(self._scan_id, sentence, code="laser_off_unconfirmed")

    def _changed(self) -> None:
        self._publish("changed", {})

    # --- for the screen ----------------------------------------------------------------------------------

    @property
    def stage(self) -> dict[str, Any]:
        """How far the scan is; empty if none runs."""
        return dict(self._stage)

    def facts(self) -> dict[str, Any]:
        """What there is to know of the instrument, JSON-ready."""
        with self._lock:
            session, profile, simulated = self._session, self._profile, self._simulated
        if session is None or profile is None:
            return {
                "connected": False,
                "kind": "",
                "name": "",
                "serial": "",
                "state": _DISCONNECTED,
                "fault": "",
                "simulated": False,
                "laser": False,
                "safety": "",
            }
        return {
            "connected": True,
            "kind": "simulated" if simulated else "serial",
            "name": profile.name,
            "serial": session.identity.serial,
            "state": session.state.value,
            "fault": session.fault,
            "simulated": bool(simulated),
            "laser": session.has_laser,
            "safety": profile.safety,
        }


def simulator_arguments(scene: Mapping[str, Any], *, bands: str = "") -> tuple[str, ...]:
    """Arguments of the simulator for a scene.

    Parameters
    ----------
    scene : mapping
        ``simulate``: substances joined by ``+``, each with its share behind a colon, as in
        ``lactose:0.93+fentanyl:0.07``; any of ``container``, ``fluorescence``, ``bleaching``, ``seed``.
    bands : str
        Band table for substances beside the bundled ones.

    Raises
    ------
    ParameterError
        If a part of it is unknown or malformed.
    """
    substances = [part.strip() for part in str(scene.get("simulate") or "").split("+")]
    if not all(substances):
        raise ParameterError("simulate", scene.get("simulate"), "names of substances joined by +")
    arguments = ["--protocol", "obp"]
    for substance in substances:
        arguments += ["--substance", substance]
    if bands:
        arguments += ["--bands", bands]
    for name, value in scene.items():
        if name in _SCENE and value not in (None, "", "none"):
            arguments += [_SCENE[name], str(value)]
        elif name not in _SCENE and name != "simulate":
            raise ParameterError("scene", name, "one of simulate, " + ", ".join(_SCENE))
    return tuple(arguments)


def _axis(session: Session, profile: Profile | None) -> list[float]:
    """Raman shift of each pixel, or its number where nobody knows the laser."""
    from spectralid.calibration.shift import raman_shift

    identity = session.identity
    laser_nm = identity.laser_nm or (profile.laser_nm if profile else None)
    if not laser_nm:
        return [float(i) for i in range(identity.wavelengths_nm.size)]
    return [round(float(x), 1) for x in raman_shift(identity.wavelengths_nm, laser_nm)]


def _curve(axis: Sequence[float], counts: FloatArray) -> dict[str, list[float]]:
    """What comes in, thinned for the screen."""
    step = max(1, len(axis) // _LIVE_POINTS)
    return {"x": list(axis[::step]), "y": [round(float(y), 1) for y in counts[::step]]}
