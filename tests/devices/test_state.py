"""The session's state machine: every state with every event, and what no sequence of events can do."""

import itertools
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid.devices.state import Event, State, StateError, StateMachine, after

ALARM = State.LASER_OFF_UNCONFIRMED
# A scan from end to end, as facts of the design; nothing else leads forward.
FORWARD = {
    Event.OPEN: (State.DISCONNECTED, State.OPENING),
    Event.IDENTIFY: (State.OPENING, State.IDENTIFIED),
    Event.READY: (State.IDENTIFIED, State.IDLE),
    Event.ARM: (State.IDLE, State.ARMED),
    Event.DISARM: (State.ARMED, State.IDLE),
    Event.LIGHT: (State.ARMED, State.WARMUP),
    Event.ACQUIRE: (State.WARMUP, State.ACQUIRING),
    Event.DARKEN: (State.ACQUIRING, State.DARK),
    Event.FINISH: (State.DARK, State.IDLE),
    Event.RECOVER: (State.FAULT, State.OPENING),
    Event.OFF_CONFIRMED: (ALARM, State.FAULT),
}
LIT = {State.WARMUP, State.ACQUIRING}


def expected(state, event):
    """Where `event` leads from `state`, or ``None`` if it cannot happen."""
    if event is Event.OFF_UNCONFIRMED:
        return ALARM
    if event is Event.FAIL:
        return ALARM if state is ALARM else State.FAULT
    if event is Event.CLOSE:
        if state in LIT:
            return None
        return state if state in (State.FAULT, ALARM) else State.DISCONNECTED
    source, target = FORWARD[event]
    return target if state is source else None


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_every_state_with_every_event(state, event):
    target = expected(state, event)
    if target is None:
        with pytest.raises(StateError):
            after(state, event)
    else:
        assert after(state, event) is target


def walk(events):
    machine = StateMachine()
    for event in events:
        before = machine.state
        try:
            machine.fire(event)
        except StateError:
            assert machine.state is before
        yield before, event, machine.state


@given(st.lists(st.sampled_from(Event), max_size=60))
def test_no_sequence_of_events_breaks_the_rules(events):
    for before, event, now in walk(events):
        if now is before:
            continue
        if before is ALARM:
            assert (event, now) == (Event.OFF_CONFIRMED, State.FAULT)
        if before is State.FAULT:
            assert now in (ALARM, State.OPENING)
        if now in LIT and before not in LIT:
            assert before is State.ARMED
        if now is State.ARMED:
            assert event is Event.ARM


def test_states_out_of_reach_say_what_leads_out():
    with pytest.raises(StateError, match="not confirmed to be off"):
        after(ALARM, Event.ARM)
    with pytest.raises(StateError, match="recover"):
        after(State.FAULT, Event.ARM)
    with pytest.raises(StateError, match="'arm' is not possible while the session is opening"):
        after(State.OPENING, Event.ARM)


def test_changes_are_told_once():
    told = []
    machine = StateMachine(told.append)
    machine.fire(Event.OPEN)
    machine.fire(Event.FAIL)
    machine.fire(Event.FAIL)
    assert told == [State.OPENING, State.FAULT]


def test_of_many_threads_one_gets_the_transition():
    machine = StateMachine()
    start = threading.Barrier(8)
    won = []

    def race():
        start.wait()
        try:
            machine.fire(Event.OPEN)
        except StateError:
            return
        won.append(1)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [1]
