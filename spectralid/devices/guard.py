"""How a session calls a driver: one call at a time, each with an end, and "off" whenever it is wanted.

"Off" from another thread first puts the bare command on the line, then ends the call that is running, then
takes its turn, switches off once more and reads it back. Only that last step counts.
"""

from __future__ import annotations

import atexit
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from spectralid.devices.driver import Driver, RawFrame
from spectralid.devices.laser import LaserOffUnconfirmedError, switch_off
from spectralid.devices.laser_watch import LaserWatch, Orders, next_order
from spectralid.devices.transport import wire_seconds
from spectralid.errors import DeviceError, TransportError

__all__ = ["DeviceGuard", "LaserEndedError", "ScanCancelledError", "Timer", "allowed_s"]

_log = logging.getLogger("spectralid.devices")

Timer = Callable[[float, Callable[[], None]], threading.Timer]
T = TypeVar("T")

# A driver has its own deadlines; these catch one that does not keep them. The wire carries at most this many
# bytes per pixel.
_BYTES_PER_PIXEL: Final = 4
_MARGIN_S: Final = 5.0
_MARGIN_SHARE: Final = 0.2
# How long "off" waits for a call that was told to end before it gives the alarm.
_LOCK_S: Final = 10.0


class ScanCancelledError(DeviceError):
    """The scan was called off; the laser is off."""


class LaserEndedError(DeviceError):
    """The laser was switched off before the scan was over."""


def allowed_s(integration_ms: float, pixels: int, baud: int) -> float:
    """Seconds within which a frame must have come, whatever the driver says.

    Parameters
    ----------
    integration_ms : float
        Integration time of the frame.
    pixels : int
        Its pixels.
    baud : int
        Bits per second of the line, 0 where it has no such limit.
    """
    wire_s = wire_seconds(pixels * _BYTES_PER_PIXEL, baud)
    # A detector that runs freely throws one frame away, and another may have to be waited for.
    needed_s = 3 * integration_ms / 1000 + wire_s
    return needed_s + max(_MARGIN_S, _MARGIN_SHARE * needed_s)


class DeviceGuard:
    """Calls one driver for one session.

    Parameters
    ----------
    driver : Driver
        The instrument.
    unconfirmed : callable
        Told the alarm, at once and in whatever thread.
    ended : callable
        Told why the light was ended by somebody other than the scan, once it is confirmed to be off.
    pass_on : callable
        Lets a signal that was held back do what it would have done, once the laser is off.
    watch_wait : callable
        How the thread that ends the light waits, see `spectralid.devices.laser_watch.next_order`.
    timer : callable
        Makes the timer that ends a call of a driver that keeps no deadline.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        unconfirmed: Callable[[LaserOffUnconfirmedError], None],
        ended: Callable[[str], None],
        pass_on: Callable[[int], None],
        watch_wait: Callable[[Orders, float], str] = next_order,
        timer: Timer = threading.Timer,
    ) -> None:
        self.driver = driver
        self._unconfirmed = unconfirmed
        self._ended = ended
        self._pass_on = pass_on
        self._watch_wait = watch_wait
        self._timer = timer
        self._turn = threading.Lock()
        self._aborting = threading.Lock()
        self._switching_off = False
        self._cancelled = False
        self._watch: LaserWatch | None = None
        self._lit_by: threading.Thread | None = None
        self._signal: int | None = None

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call the driver when it is free, unless what is going on has been ended meanwhile.

        Raises
        ------
        LaserEndedError, ScanCancelledError
            If it has.
        DeviceError
            What the call raises.
        """
        with self._turn:
            self.check()
            try:
                return function(*arguments)
            except TransportError as error:
                if error.kind == "aborted":
                    self.check()
                raise

    def acquire(self, integration_ms: float) -> RawFrame:
        """Take one frame, within `allowed_s`.

        Raises
        ------
        TransportError
            ``timeout`` if it does not come; else as for `call`.
        """
        profile = self.driver.profile
        within_s = allowed_s(integration_ms, profile.pixels, profile.baud)
        over = late = False

        def end() -> None:
            nonlocal late
            with self._aborting:
                if not over:
                    late = True
                    self.driver.abort()

        timer = self._timer(within_s, end)
        timer.daemon = True
        timer.start()
        try:
            return self.call(self.driver.acquire)
        except TransportError as error:
            if error.kind == "aborted" and late:
                raise TransportError(
                    f"{profile.name} gave no frame within {within_s:.1f} s; check it and measure again.",
                    kind="timeout",
                ) from error
            raise
        finally:
            timer.cancel()
            with self._aborting:
                over = True
                if late:
                    self.driver.resume()

    def check(self) -> None:
        """Raise if somebody, or the clock, has ended what is going on.

        Raises
        ------
        LaserEndedError, ScanCancelledError
            If so.
        """
        self._check(self._watch)

    def _check(self, watch: LaserWatch | None) -> None:
        if self._cancelled:
            raise ScanCancelledError("The scan was cancelled.")
        if watch is not None and watch.reason:
            raise LaserEndedError(f"The laser was switched off: {watch.reason}. Measure again.")

    @contextmanager
    def light(self, maximum_s: float) -> Iterator[None]:
        """A period in which the laser may be on; it is off after `maximum_s` and on every way out.

        Raises
        ------
        LaserOffUnconfirmedError
            If the laser cannot be confirmed to be off afterwards.
        LaserEndedError, ScanCancelledError
            If somebody else, or the clock, ended the light.
        """
        # Before the watch: a signal that finds one asks whose it is.
        self._lit_by = threading.current_thread()
        watch = self._watch = LaserWatch(maximum_s, self._off_by_watch, wait=self._watch_wait)
        atexit.register(self._off_at_exit)
        try:
            watch.start()
            yield
        finally:
            try:
                # An "off" the thread is busy with comes first: the two must not get in each other's way.
                watch.finish(_LOCK_S)
            finally:
                try:
                    # Also when switching on failed: a lost acknowledgement may have left the laser on.
                    self.off()
                finally:
                    self._lit_by = None
            atexit.unregister(self._off_at_exit)
            self._watch = None
            if self._signal is not None:
                number, self._signal = self._signal, None
                self._pass_on(number)
            self._check(watch)

    def off(self) -> None:
        """Laser off, read back.

        Raises
        ------
        LaserOffUnconfirmedError
            If that fails, also when a running call does not end.
        """
        if not self._turn.acquire(timeout=_LOCK_S):
            error = LaserOffUnconfirmedError("a call of the driver does not end")
            self._unconfirmed(error)
            raise error
        try:
            with self._aborting:
                # From here on nobody may abort: it would only hold up what they want too.
                self._switching_off = True
                _try(self.driver.resume)
            switch_off(self.driver)
        except LaserOffUnconfirmedError as error:
            self._unconfirmed(error)
            raise
        finally:
            self._switching_off = False
            self._turn.release()

    def urgent_off(self, reason: str) -> None:
        """Laser off straight away and read back, whatever another thread is waiting for.

        Raises
        ------
        LaserOffUnconfirmedError
            As for `off`.
        """
        if self._watch is not None and not self._watch.reason:
            self._watch.reason = reason
        _try(self.driver.send_off)
        with self._aborting:
            if not self._switching_off:
                _try(self.driver.abort)
        self.off()

    def cancel(self) -> None:
        """End what is going on, from any thread; the laser, if it is on, first."""
        self._cancelled = True
        if self._watch is not None:
            self._watch.end("the scan was cancelled")
            return
        with self._aborting:
            if not self._switching_off:
                self.driver.abort()

    def renew(self) -> None:
        """A new scan begins: what ended an earlier one no longer counts."""
        self._cancelled = False
        self._signal = None
        self.driver.resume()

    def hold_signal(self, number: int) -> bool:
        """Take a signal over while the laser may be on; whether it was."""
        watch = self._watch
        if watch is None:
            return False
        watch.end(f"the program was told to end ({signal.Signals(number).name})")
        if self._lit_by is threading.current_thread():
            self._signal = number  # passed on when the laser is off
            return True
        # The scan runs in another thread; this one only waits for "off" before it ends.
        watch.join(_LOCK_S)
        return False

    def _off_by_watch(self, reason: str) -> None:
        try:
            self.urgent_off(reason)
        except LaserOffUnconfirmedError:
            return  # the alarm has been given; the scan raises when it comes back
        self._ended(reason)

    def _off_at_exit(self) -> None:
        try:
            self.urgent_off("the program ends")
        except LaserOffUnconfirmedError:
            return  # the alarm has been given; at exit nobody catches anything


def _try(step: Callable[[], None]) -> None:
    """What only prepares the confirmed "off" must not stand in its way, whatever a driver does wrong."""
    try:
        step()
    except Exception as error:
        _log.info("A step before switching the laser off failed: %s", error)
