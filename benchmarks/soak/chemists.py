"""Persons at the server, through its API: chemists who take and answer, and whoever else has an account."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from dataclasses import dataclass

import pyotp

from benchmarks.soak.clock import SharedClock
from benchmarks.soak.processes import Server
from spectralid.reachback.client import Client, Lease, connect
from spectralid.reachback.errors import ReachbackError
from spectralid.reachback.people import accounts
from spectralid.reachback.settings import Accounts

PASSWORD = "correct horse battery staple"
STAYS_H = 4.0
"""Hours after which somebody signs in anew."""
_QUICK = Accounts()


@dataclass(frozen=True)
class Person:
    """Somebody with an account."""

    name: str
    codes: pyotp.TOTP


def account(server: Server, clock: SharedClock, name: str, *roles: str) -> Person:
    """A new account, set up as its owner would."""
    desk, now = server.desk, clock.wall_utc()
    code = accounts.add(desk.db, name, roles=roles, sites=None, by="root", now=now, settings=_QUICK)
    address = accounts.set_up(desk.db, desk.passwords, desk.vault, name, code, PASSWORD, now=now)
    return Person(name, pyotp.parse_uri(address))


class Chemists:
    """They share the queue, one after the other.

    Parameters
    ----------
    server : Server
        Where they work.
    clock : SharedClock
        What time it is.
    people : list of Person
        Two at least: what is dangerous needs two.
    seed : int
        Of what they do.
    """

    def __init__(self, server: Server, clock: SharedClock, people: list[Person], seed: int) -> None:
        self.server, self.clock, self.people = server, clock, people
        self.done: Counter[str] = Counter()
        self.answered: list[str] = []
        self._random = random.Random(seed)
        self._lines: dict[str, tuple[Client, float]] = {}

    def close(self) -> None:
        """Everybody hangs up."""
        for client, _ in self._lines.values():
            self._hang_up(client)
        self._lines.clear()

    def line(self, person: Person) -> Client:
        """Somebody's line: signed in, and again when the shift is over."""
        now_s = self.clock.wall_utc().timestamp()
        client, since_s = self._lines.get(person.name, (None, 0.0))
        if client is not None and now_s - since_s < STAYS_H * 3600:
            return client
        if client is not None:
            self._hang_up(client)
        code = person.codes.at(self.clock.wall_utc())
        client = connect(
            self.server.url, account=person.name, password=PASSWORD, code=code, ca=self.server.ca
        )
        self._lines[person.name] = client, now_s
        self.done["signed in"] += 1
        return client

    def work(self, most: int) -> int:
        """Take and decide cases, at most so many; returns how many."""
        for number in range(most):
            client = self.line(self.people[number % len(self.people)])
            try:
                lease = client.next()
            except ReachbackError as error:
                # A session that was idle too long: they sign in again next time.
                self.done[f"refused: {getattr(error, 'code', type(error).__name__)}"] += 1
                self.close()
                return number
            if lease is None:
                return number
            self._decide(client, lease)
        return most

    def _decide(self, client: Client, lease: Lease) -> None:
        draw = self._random
        try:
            file = client.case(lease.case_id)
            if lease.purpose == "review":
                self._count("reviews", client.review(lease, agrees=True, note="Bands checked.").state)
                return
            if draw.random() < 0.1:
                client.renew(lease)
                client.draft(lease, {"words": "so far"})
                client.interim(lease)
                self.done["interim answers"] += 1
                file = client.case(lease.case_id)
            scans = [one for one in file.packets if one["kind"] == "scan"]
            if scans and draw.random() < 0.3:
                client.packet(lease.case_id, draw.choice(scans)["seq"])
            done = client.adjudicate(
                lease, verdict="identified", headline="Lactose", words="Presumptive.", basis="Bands.",
                substances=["lactose"], seen=file.evidence,
            )  # fmt: skip
            self._count("decisions", done.state)
            if done.state == "ANSWERED":
                self.answered.append(lease.case_id)
        except ReachbackError as error:
            self.done[f"refused: {getattr(error, 'code', type(error).__name__)}"] += 1
            with contextlib.suppress(ReachbackError):
                client.release(lease)

    @staticmethod
    def _hang_up(client: Client) -> None:
        with contextlib.suppress(ReachbackError):
            client.close()

    def _count(self, what: str, state: str) -> None:
        self.done[what] += 1
        self.done[f"{what}: {state}"] += 1
