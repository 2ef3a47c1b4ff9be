"""The server does what its description says: for every operation, with data as described and with other data.

``REACHBACK_EXAMPLES=200 python -m pytest tests/reachback/test_api_described.py`` looks for longer.
"""

from __future__ import annotations

import os
import warnings

import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings

from spectralid.reachback.people import roles
from spectralid.reachback.tablets import enrolled
from tests.reachback.test_api_access import actions, walk

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    schemathesis = pytest.importorskip("schemathesis", reason="the description is tested with schemathesis")
    requests = pytest.importorskip("requests")
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as openapi_checks

schemathesis.serializer.alias("application/vnd.spectralid.packet", "application/octet-stream")

EXAMPLES = int(os.environ.get("REACHBACK_EXAMPLES", "4"))
ALWAYS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
]
POSITIVE = schemathesis.GenerationMode.POSITIVE
NEGATIVE = schemathesis.GenerationMode.NEGATIVE


@pytest.fixture
def kind():
    return os.environ.get("REACHBACK_DATABASE", "sqlite")


def described(server):
    return server.app.openapi()["paths"]


def test_it_is_openapi_3_1_and_says_of_each_operation_what_it_is_and_answers(server):
    whole = server.app.openapi()
    assert whole["openapi"].startswith("3.1")
    names = []
    for path, methods in described(server).items():
        for method, said in methods.items():
            where = f"{method} {path}"
            names.append(said["operationId"])
            assert said["summary"], where
            assert said["description"], where
            assert said["tags"], where
            assert "401" in said["responses"], where
            assert any(code.startswith("2") for code in said["responses"]), where
            for code, reply in said["responses"].items():
                if code >= "400":
                    assert list(reply["content"]) == ["application/problem+json"], where
    assert len(names) == len(set(names))
    assert set(whole["components"]["schemas"]) >= {"Problem", "WrongField"}


def test_every_body_is_closed_and_bounded(server):
    """A field that is not expected is refused, a text ends somewhere, a number has a range."""
    whole = server.app.openapi()
    schemas = whole["components"]["schemas"]
    sent = set()
    for methods in described(server).values():
        for said in methods.values():
            for content in said.get("requestBody", {}).get("content", {}).values():
                reference = content["schema"].get("$ref", "")
                if reference:
                    sent.add(reference.rsplit("/", 1)[1])
    assert sent
    for name in sent:
        assert schemas[name].get("additionalProperties") is False, name
        for field, said in schemas[name].get("properties", {}).items():
            for one in said.get("anyOf", [said]):
                if one.get("type") == "string" and "enum" not in one and "const" not in one:
                    assert "maxLength" in one or "pattern" in one or "format" in one, (name, field)
                if one.get("type") == "array":
                    assert "maxItems" in one, (name, field)
                if one.get("type") in ("integer", "number"):
                    assert {"maximum", "exclusiveMaximum"} & set(one), (name, field)


class World:
    """A server with something in it, and for each action a client that may do it."""

    def __init__(self, server):
        self.server = server
        desk = server.desk
        self.case_id = desk.answered()
        self.open_id = desk.scan("S-2")
        server.account("chemist", name="subject")
        self.clients = {}
        self.asked = 0
        self.actions = {
            (method, route.path): actions(route)[0]
            for route in walk(server.app.routes)
            if isinstance(route, APIRoute)
            for method in route.methods
        }
        self.known = {"case_id": self.open_id, "seq": 1, "idx": 0, "name": "subject"}

    def client(self, method, path):
        action = self.actions[method.upper(), path]
        if action not in self.clients:
            role = min(roles.ACTIONS[action])
            who = () if role == roles.ANYONE else (role,)
            self.clients[action] = (
                self.server.client(*who, raises=False) if role != "device" else self.tablet()
            )
        return self.clients[action]

    def tablet(self):
        return self.server.tablet("tablet-1", raises=False)

    def ask(self, case):
        return self.send(self.client(case.method, case.operation.path), case)

    def send(self, client, case):
        prepared = requests.Request(**case.as_transport_kwargs(base_url="https://server")).prepare()
        # The wait of the inbox is what another test is about.
        url = prepared.url.replace("wait=", "wait=0&x=") if "/v1/inbox" in prepared.url else prepared.url
        return client.request(case.method, url, content=prepared.body, headers=dict(prepared.headers))

    def look(self, operation, mode):
        @settings(
            max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
            derandomize="REACHBACK_RANDOM" not in os.environ, suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case):
            self.asked += 1
            known = {name: self.known[name] for name in case.path_parameters or {} if name in self.known}
            if mode == POSITIVE and known and self.asked % 2:
                case.path_parameters = {**case.path_parameters, **known}
            reply = self.ask(case)
            try:
                more = [openapi_checks.negative_data_rejection] if mode == NEGATIVE else []
                case.validate_response(reply, checks=ALWAYS + more)
            except (Exception, BaseExceptionGroup) as error:
                sent = reply.request.content[:300]
                raise AssertionError(
                    f"{case.method} {reply.request.url} {sent!r}: {reply.status_code} {reply.text[:300]}: "
                    f"{error}"
                ) from None

        one()

    def mend(self):
        """What one operation does must not keep the others from doing anything."""
        desk = self.server.desk
        enrolled.add(desk.db, "tablet-1", desk.tablet.key.public, site_ref="north", by="admin", now=desk.time)


def test_it_does_what_it_says(server):
    world = World(server)
    schema = schemathesis.openapi.from_dict(server.app.openapi())
    wrong = []
    for result in schema.get_all_operations():
        operation = result.ok()
        for mode in (POSITIVE, NEGATIVE):
            if mode == NEGATIVE and not (operation.body or list(operation.iter_parameters())):
                continue

            try:
                world.look(operation, mode)
            except AssertionError as error:
                wrong.append(f"{operation.label} ({mode.value}): {str(error)[:1500]}")
            except Exception as error:
                if "Unsatisfiable" not in type(error).__name__:
                    raise
            world.mend()
    assert not wrong, "\n\n".join(wrong)
    assert world.asked > len(world.actions)


def test_a_case_of_another_place_is_nowhere(server):
    """For every address of a case: whoever is of another place is told that there is none."""
    world = World(server)
    schema = schemathesis.openapi.from_dict(server.app.openapi())
    strangers = {
        role: server.client(role, sites=["south"], raises=False)
        for role in roles.ACCOUNT_ROLES
        if role not in roles.ALONE
    }
    seen = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if "{case_id}" not in operation.path:
            continue
        action = world.actions[operation.method.upper(), operation.path]
        role = min(roles.ACTIONS[action] - roles.ALONE)

        @settings(
            max_examples=2, deadline=None, database=None, phases=[Phase.generate], derandomize=True,
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(case=operation.as_strategy(generation_mode=POSITIVE))
        def ask(case):
            case.path_parameters = {**case.path_parameters, "case_id": world.case_id}
            reply = world.send(strangers[role], case)  # noqa: B023
            where = f"{role} {operation.label}: {reply.status_code} {reply.text[:300]}"  # noqa: B023
            assert reply.status_code in (404, 422), where
            if reply.status_code == 404:
                assert reply.json()["code"] == "not-found", where
                seen.add(operation.label)  # noqa: B023

        ask()
    assert len(seen) > 15
