"""What a session with an instrument may do next: its states, what happens, and where that leads.

::

    DISCONNECTED → OPENING → IDENTIFIED → IDLE → ARMED → WARMUP → ACQUIRING → DARK → IDLE
    any → FAULT                    sticky: only recovering leads out of it
    any → LASER_OFF_UNCONFIRMED    the alarm: only a confirmed "off" leads out of it, into FAULT

Nothing here knows an instrument; the table is the whole truth and the tests go through all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from spectralid.errors import DeviceError

__all__ = ["TRANSITIONS", "Event", "State", "StateError", "StateMachine", "after"]


class State(StrEnum):
    """Where a session stands."""

    DISCONNECTED = "disconnected"
    OPENING = "opening"
    IDENTIFIED = "identified"
    IDLE = "idle"
    ARMED = "armed"
    WARMUP = "warmup"
    ACQUIRING = "acquiring"
    DARK = "dark"
    FAULT = "fault"
    LASER_OFF_UNCONFIRMED = "laser_off_unconfirmed"


class Event(StrEnum):
    """What can happen to a session."""

    OPEN = "open"
    IDENTIFY = "identify"
    READY = "ready"
    ARM = "arm"
    DISARM = "disarm"
    LIGHT = "light"
    ACQUIRE = "acquire"
    DARKEN = "darken"
    FINISH = "finish"
    FAIL = "fail"
    RECOVER = "recover"
    CLOSE = "close"
    OFF_UNCONFIRMED = "off_unconfirmed"
    OFF_CONFIRMED = "off_confirmed"


class StateError(DeviceError):
    """The session is in a state in which that cannot be done."""


_ALARM: Final = State.LASER_OFF_UNCONFIRMED
# Between LIGHT and DARKEN the laser may be on: a session is not closed there, it fails first.
_CLOSABLE: Final = (
    State.DISCONNECTED,
    State.OPENING,
    State.IDENTIFIED,
    State.IDLE,
    State.ARMED,
    State.DARK,
)

TRANSITIONS: Final[Mapping[tuple[State, Event], State]] = MappingProxyType(
    {
        (State.DISCONNECTED, Event.OPEN): State.OPENING,
        (State.OPENING, Event.IDENTIFY): State.IDENTIFIED,
        (State.IDENTIFIED, Event.READY): State.IDLE,
        (State.IDLE, Event.ARM): State.ARMED,
        (State.ARMED, Event.DISARM): State.IDLE,
        (State.ARMED, Event.LIGHT): State.WARMUP,
        (State.WARMUP, Event.ACQUIRE): State.ACQUIRING,
        (State.ACQUIRING, Event.DARKEN): State.DARK,
        (State.DARK, Event.FINISH): State.IDLE,
        (State.FAULT, Event.RECOVER): State.OPENING,
        (State.FAULT, Event.CLOSE): State.FAULT,
        (_ALARM, Event.CLOSE): _ALARM,
        (_ALARM, Event.OFF_CONFIRMED): State.FAULT,
        **{(state, Event.CLOSE): State.DISCONNECTED for state in _CLOSABLE},
        **{(state, Event.FAIL): State.FAULT for state in State if state is not _ALARM},
        (_ALARM, Event.FAIL): _ALARM,
        **{(state, Event.OFF_UNCONFIRMED): _ALARM for state in State},
    }
)


def after(state: State, event: Event) -> State:
    """The state that `event` leads to from `state`.

    Raises
    ------
    StateError
        If it cannot happen there; says what leads out.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        pass
    if state is _ALARM:
        raise StateError(
            "The laser is not confirmed to be off: nothing is done with this instrument before it is. Turn "
            "its key or cut its power, then have it switched off again."
        )
    if state is State.FAULT:
        raise StateError("The instrument failed earlier; recover the session before it is used again.")
    raise StateError(f"{event.value!r} is not possible while the session is {state.value}.")


class StateMachine:
    """The state of one session; any thread may ask and move it.

    Parameters
    ----------
    told : callable
        Told every new state.
    """

    def __init__(self, told: Callable[[State], None] = lambda _: None) -> None:
        self._state = State.DISCONNECTED
        self._told = told
        self._moving = threading.Lock()

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    def fire(self, event: Event) -> State:
        """Let `event` happen and return the state it leads to.

        Raises
        ------
        StateError
            If it cannot happen now; the state stays.
        """
        with self._moving:
            before, self._state = self._state, after(self._state, event)
            now = self._state
        if now is not before:
            self._told(now)
        return now
