"""Every role at every address: who is let in is what the table says, and nothing lacks a line in it."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute

from spectralid.reachback.api.access import Requires
from spectralid.reachback.people import roles

HUMAN = roles.ACCOUNT_ROLES


@pytest.fixture
def kind():
    # What is asked here is decided before the database is.
    return "sqlite"


def operations(app):
    for route in walk(app.routes):
        for method in route.methods - {"HEAD", "OPTIONS"}:
            yield method, route


def walk(routes):
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "original_router"):
            yield from walk(route.original_router.routes)


def actions(route):
    def calls(dependant):
        yield dependant.call
        for one in dependant.dependencies:
            yield from calls(one)

    return [one.action for one in calls(route.dependant) if isinstance(one, Requires)]


def filled(path):
    return re.sub(r"\{[a-z_]+\}", "1", path)


def test_the_walk_finds_all_that_is_described(server):
    described = {
        (method.upper(), path) for path, said in server.app.openapi()["paths"].items() for method in said
    }
    found = {(method, route.path) for method, route in operations(server.app)}
    assert described <= found
    assert len(described) > 30


def test_every_operation_declares_one_action(server):
    for method, route in operations(server.app):
        assert len(actions(route)) == 1, (method, route.path, actions(route))
        assert actions(route)[0] in roles.ACTIONS


def test_every_role_at_every_address(server):
    clients = {role: server.client(role) for role in HUMAN}
    clients |= {"device": server.client("device"), roles.ANYONE: server.client()}
    for method, route in operations(server.app):
        (action,) = actions(route)
        allowed = roles.ACTIONS[action]
        for role, client in clients.items():
            reply = client.request(method, filled(route.path), params={"wait": 0})
            where = (role, method, route.path, reply.status_code)
            if role in allowed or roles.ANYONE in allowed:
                # A set-up code or a password is not what this asks about.
                assert reply.status_code not in (401, 403) or action in ("account.setup", "session.open"), (
                    where
                )
            elif role == roles.ANYONE:
                assert reply.status_code == 401, where
            else:
                assert reply.status_code == 403, where
                assert reply.json()["code"] == "forbidden", where
