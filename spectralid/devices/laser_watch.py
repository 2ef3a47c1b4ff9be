"""What switches the laser off when the scan itself cannot: a thread of its own, and the program's signals.

The thread waits for the laser's time to be over or for an order, and then runs "off" whatever the scan is
doing. A signal only gives that order: an exception thrown into the middle of a running scan could cut short
the very lines that switch the laser off.
"""

from __future__ import annotations

import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

__all__ = ["MAXIMUM_ON", "LaserWatch", "Orders", "SignalWatch", "next_order"]

MAXIMUM_ON: Final = "the laser was on for the longest time allowed"
_DONE: Final = ""

# put() of a SimpleQueue may be called in a signal handler, whatever the interrupted code was doing.
Orders = queue.SimpleQueue[str]


def next_order(orders: Orders, seconds: float) -> str:
    """The next order, or `MAXIMUM_ON` when none comes within `seconds`."""
    try:
        return orders.get(timeout=seconds)
    except queue.Empty:
        return MAXIMUM_ON


class LaserWatch:
    """A thread that ends a period of laser light.

    Parameters
    ----------
    seconds : float
        The longest the light may last.
    off : callable
        Switches the laser off; called in the thread with the reason.
    wait : callable
        Waits for an order, as `next_order` does; for tests.

    Attributes
    ----------
    reason : str
        Why the light was ended, or empty if the scan ended it in order.
    """

    def __init__(
        self,
        seconds: float,
        off: Callable[[str], None],
        *,
        wait: Callable[[Orders, float], str] = next_order,
    ) -> None:
        self.reason = ""
        self._seconds = seconds
        self._off = off
        self._wait = wait
        self._orders: Orders = queue.SimpleQueue()
        # A daemon: a program that ends does not wait for it, and has its own "off" at exit.
        self._thread = threading.Thread(target=self._run, name="spectralid laser watch", daemon=True)

    def start(self) -> None:
        """Begin to count; before the laser goes on."""
        self._thread.start()

    def end(self, reason: str) -> None:
        """From any thread or signal handler: have the laser switched off now."""
        self._orders.put(reason)

    def finish(self, within_s: float) -> None:
        """The scan is over: let the thread end, after an "off" it may be busy with, but wait no longer."""
        self._orders.put(_DONE)
        if self._thread.is_alive():
            self._thread.join(within_s)

    def join(self, within_s: float) -> None:
        """Wait for the thread to end."""
        self._thread.join(within_s)

    def _run(self) -> None:
        reason = self._wait(self._orders, self._seconds)
        if reason != _DONE:
            self.reason = reason
            self._off(reason)


class SignalWatch:
    """Takes the signals that end a program, so that the laser goes off before they do.

    Parameters
    ----------
    hold : callable
        Called with the signal's number. Returns whether it has taken the signal over; else it is passed on to
        whoever had it before.
    """

    def __init__(self, hold: Callable[[int], bool]) -> None:
        self._hold = hold
        self._before: dict[int, Any] = {}

    def install(self) -> None:
        """Take SIGINT, SIGTERM and SIGHUP; does nothing outside the main thread, where Python allows none."""
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        names = ("SIGINT", "SIGTERM", "SIGHUP")
        numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
        self._before = {number: signal.signal(number, self._caught) for number in numbers}

    def remove(self) -> None:
        """Give the signals back; does nothing outside the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number, handler in list(self._before.items()):
            # Somebody who took the signal after us still passes it on to us, and we to whoever was before.
            if signal.getsignal(number) == self._caught:
                # None: a handler that was not installed from Python and cannot be put back from here.
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
                del self._before[number]

    def pass_on(self, number: int) -> None:
        """Let `number` do what it would have done without us; returns if that is nothing."""
        before = self._before.get(number)
        if callable(before):
            before(number, None)
        elif before != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _caught(self, number: int, _: FrameType | None) -> None:
        if not self._hold(number):
            self.pass_on(number)
