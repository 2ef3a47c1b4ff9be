"""Signing in: password and second factor, pauses after failures, sessions, tokens, and who may make whom."""

from __future__ import annotations

import pyotp
import pytest
import sqlalchemy as sa

from spectralid.errors import ParameterError
from spectralid.reachback.api.access import COOKIE
from spectralid.reachback.errors import ReachbackError
from spectralid.reachback.people import accounts, roles, sessions
from spectralid.reachback.people.accounts import Passwords
from spectralid.reachback.settings import Accounts, Limits, Settings
from spectralid.reachback.store import audit
from tests.reachback.http import QUICK, Server

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
PASSWORD = "correct horse battery"


def code(reply):
    assert reply.headers["content-type"] == "application/problem+json", reply.text
    return reply.status_code, reply.json()["code"]


class Person:
    """Somebody with an account, a password and an authenticator."""

    def __init__(self, server, name="ada", roles=("chemist",), sites=None):
        self.server, self.name = server, name
        self.setup_code = accounts.add(
            server.desk.db, name, roles=roles, sites=sites, by="root", now=server.desk.time,
            settings=server.here.settings.accounts,
        )  # fmt: skip
        self.browser = server.client()

    def set_up(self, password=PASSWORD):
        body = {"account": self.name, "setup_code": self.setup_code, "password": password}
        reply = self.browser.post("/v1/account/setup", json=body)
        if reply.status_code == 201:
            self.totp = pyotp.parse_uri(reply.json()["otpauth"])
        return reply

    def code(self):
        return self.totp.at(self.server.desk.time)

    def sign_in(self, password=PASSWORD, code=None):
        body = {"account": self.name, "password": password, "code": code or self.code()}
        reply = self.browser.post("/v1/session", json=body)
        if reply.status_code == 201:
            self.browser.headers["X-CSRF-Token"] = reply.json()["csrf"]
        return reply


@pytest.fixture
def kind():
    return "sqlite"


@pytest.fixture
def ada(server):
    person = Person(server)
    assert person.set_up().status_code == 201
    return person


def test_there_is_no_account_before_one_is_made(server):
    assert accounts.listed(server.desk.db) == ()
    body = {"account": "admin", "password": "admin", "code": "000000"}
    assert code(server.client().post("/v1/session", json=body)) == (401, "sign-in")


@BOTH
def test_from_a_set_up_code_to_a_session(ada):
    reply = ada.sign_in()
    assert reply.status_code == 201
    said = reply.json()
    assert (said["account"], said["roles"], said["sites"]) == ("ada", ["chemist"], None)
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert part in cookie
    assert "Domain" not in cookie
    assert ada.browser.get("/v1/session").json() == said
    assert ada.browser.get("/v1/queue").status_code == 200
    assert ada.browser.delete("/v1/session").status_code == 204
    assert ada.browser.get("/v1/session").status_code == 401


def test_the_set_up_code_ends_with_the_first_sign_in_and_after_a_day(server, ada):
    assert ada.set_up().status_code == 201  # the authenticator was not ready: once more
    assert ada.sign_in().status_code == 201
    assert code(ada.set_up()) == (401, "sign-in")
    late = Person(server, "late")
    server.desk.passes(hours=25)
    assert code(late.set_up()) == (401, "sign-in")
    wrong = Person(server, "wrong")
    wrong.setup_code = "0" * 32
    assert code(wrong.set_up()) == (401, "sign-in")


@pytest.mark.parametrize("password", ["short", "x" * 201, "xxada-is-my-namexx"])
def test_a_password_has_to_be_one(server, password):
    person = Person(server)
    assert person.set_up(password).status_code == 422
    assert person.set_up().status_code == 201


@BOTH
def test_a_code_of_the_second_factor_counts_once(server, ada):
    used = ada.code()
    assert ada.sign_in(code=used).status_code == 201
    again = server.client()
    body = {"account": "ada", "password": PASSWORD, "code": used}
    assert code(again.post("/v1/session", json=body)) == (401, "sign-in")
    server.desk.passes(seconds=30)
    # Nor does one from before it, which a telephone that is late would show.
    assert ada.sign_in(code=used).status_code == 401
    assert ada.sign_in().status_code == 201


def test_both_are_needed(ada):
    assert code(ada.sign_in(password="wrong horse battery")) == (401, "sign-in")
    wrong = "000000" if ada.code() != "000000" else "000001"
    assert code(ada.sign_in(code=wrong)) == (401, "sign-in")
    # Whoever fails is not told in what.
    first = ada.sign_in(password="wrong horse battery").json()
    assert first == ada.sign_in(code=wrong).json()


@BOTH
def test_failures_make_an_account_wait_longer_each_time(server, ada):
    for _ in range(5):
        assert ada.sign_in(password="wrong horse battery").status_code == 401
    refused = ada.sign_in()
    assert code(refused) == (429, "too-many")
    assert int(refused.headers["retry-after"]) == 30
    server.desk.passes(seconds=31)
    assert ada.sign_in(password="wrong horse battery").status_code == 401
    assert int(ada.sign_in().headers["retry-after"]) == 60
    for _ in range(20):
        server.desk.passes(minutes=15)
        ada.sign_in(password="wrong horse battery")
    assert int(ada.sign_in().headers["retry-after"]) == 900
    server.desk.passes(minutes=16)
    assert ada.sign_in().status_code == 201
    # It begins anew after a success.
    assert ada.sign_in(password="wrong horse battery").status_code == 401
    server.desk.passes(seconds=31)
    assert ada.sign_in().status_code == 201
    with server.desk.db.read() as tx:
        actions = tx.execute(sa.select(audit.audit.c.action)).scalars().all()
    assert actions.count("sign-in-failed") == 27
    assert actions.count("signed-in") == 2


def test_an_address_may_not_try_for_ever(desk):
    few = Settings(accounts=QUICK.accounts, limits=Limits(sign_in_burst=3, sign_in_per_min=6))
    server = Server(desk, few)
    nobody = server.client()
    replies = [
        nobody.post("/v1/session", json={"account": f"nobody{n}", "password": "x", "code": "000000"})
        for n in range(4)
    ]
    assert [one.status_code for one in replies] == [401, 401, 401, 429]
    assert int(replies[3].headers["retry-after"]) <= 10


def test_a_session_ends_by_itself(server, ada):
    ada.sign_in()
    for _ in range(5):
        server.desk.passes(minutes=110)
        assert ada.browser.get("/v1/session").status_code == 200
    server.desk.passes(minutes=121)
    assert ada.browser.get("/v1/session").status_code == 401
    server.desk.passes(hours=1)
    ada.sign_in()
    for _ in range(7):
        server.desk.passes(minutes=100)
        assert ada.browser.get("/v1/session").status_code == 200
    server.desk.passes(minutes=100)  # twelve hours are over, however busy one was
    assert ada.browser.get("/v1/session").status_code == 401


def test_a_write_from_another_page_is_refused(server, ada):
    """The browser sends the cookie with it; the other page does not know the token."""
    ada.sign_in()
    server.desk.scan()
    assert ada.browser.post("/v1/queue/next").status_code == 200
    token = ada.browser.headers.pop("X-CSRF-Token")
    assert code(ada.browser.post("/v1/queue/next")) == (403, "forbidden")
    assert code(ada.browser.delete("/v1/session")) == (403, "forbidden")
    ada.browser.headers["X-CSRF-Token"] = token + "x"
    assert code(ada.browser.post("/v1/queue/next")) == (403, "forbidden")
    del ada.browser.headers["X-CSRF-Token"]
    assert ada.browser.get("/v1/queue").status_code == 200


@BOTH
def test_tokens_for_scripts(server, ada):
    ada.sign_in()
    made = ada.browser.post("/v1/tokens", json={"label": "nightly", "days": 10}).json()
    script = server.client()
    script.headers["Authorization"] = f"Bearer {made['secret']}"
    assert script.get("/v1/queue").status_code == 200
    assert script.post("/v1/queue/next").status_code == 200  # no browser, no other page
    # A token makes no tokens, and its secret is nowhere in the database.
    assert code(script.post("/v1/tokens", json={"label": "more"})) == (403, "forbidden")
    (listed,) = ada.browser.get("/v1/tokens").json()["tokens"]
    assert listed["label"] == "nightly"
    assert made["secret"] not in str(listed)
    with server.desk.db.read() as tx:
        assert made["secret"] not in str(tx.execute(sa.select(accounts.tokens)).all())
    other = Person(server, "other")
    other.set_up()
    other.sign_in()
    assert code(other.browser.delete(f"/v1/tokens/{listed['token_id']}")) == (404, "not-found")
    assert ada.browser.delete(f"/v1/tokens/{listed['token_id']}").status_code == 204
    assert code(script.get("/v1/queue")) == (401, "sign-in")


def test_a_token_ends(server, ada):
    secret, _ = sessions.make_token(server.desk.db, "ada", "x", days=10, now=server.desk.time)
    ada.sign_in()
    assert sessions.of_token(server.desk.db, secret, now=server.desk.time).name == "ada"
    server.desk.passes(days=10)
    assert sessions.of_token(server.desk.db, secret, now=server.desk.time) is None


@BOTH
def test_a_disabled_account_is_out_at_once(server, ada):
    ada.sign_in()
    token = ada.browser.post("/v1/tokens", json={"label": "x"}).json()["secret"]
    admin = server.client("admin")
    assert admin.post("/v1/accounts/ada/disable", json={"why": "left"}).json()["state"] == "disabled"
    assert ada.browser.get("/v1/queue").status_code == 401
    assert server.client().get("/v1/queue", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    server.desk.passes(minutes=2)
    assert ada.sign_in().status_code == 401
    # Only a reset lets the person in again, with everything new.
    ada.setup_code = admin.post("/v1/accounts/ada/reset").json()["setup_code"]
    assert ada.sign_in().status_code == 401
    assert ada.set_up("another good password").status_code == 201
    assert ada.sign_in().status_code == 401
    assert ada.sign_in("another good password").status_code == 201


@BOTH
def test_an_administrator_makes_accounts_and_never_knows_a_password(server):
    admin = server.client("admin")
    made = admin.post("/v1/accounts", json={"name": "eve", "roles": ["chemist"], "sites": ["north"]})
    assert made.status_code == 201
    assert code(admin.post("/v1/accounts", json={"name": "eve", "roles": ["chemist"], "sites": None})) == (
        409, "conflict",
    )  # fmt: skip
    listed = {one["name"]: one for one in admin.get("/v1/accounts").json()["accounts"]}
    assert (listed["eve"]["state"], listed["eve"]["sites"]) == ("new", ["north"])
    assert "argon2" not in admin.get("/v1/accounts").text
    changed = admin.put("/v1/accounts/eve", json={"roles": ["librarian"], "sites": None})
    assert changed.json()["roles"] == ["librarian"]
    assert code(admin.put("/v1/accounts/nobody", json={"roles": ["librarian"], "sites": None}))[0] == 404
    with server.desk.db.read() as tx:
        facts = tx.execute(
            sa.select(audit.audit.c.actor, audit.audit.c.action).where(audit.audit.c.subject == "account:eve")
        ).all()
    assert [tuple(one) for one in facts] == [("admin-1", "account-added"), ("admin-1", "account-changed")]


def test_nobody_gives_himself_what_he_has_not(server):
    admin = server.client("admin", name="root")
    for reply in (
        admin.put("/v1/accounts/root", json={"roles": ["chemist"], "sites": None}),
        admin.post("/v1/accounts/root/reset"),
        admin.post("/v1/accounts/root/disable", json={"why": "x"}),
    ):
        assert code(reply) == (403, "same-person")
    assert accounts.find(server.desk.db, "root").roles == {"admin"}
    other = server.client("admin", name="second")
    assert other.put("/v1/accounts/root", json={"roles": ["chemist"], "sites": None}).status_code == 200
    assert admin.get("/v1/accounts").status_code == 403


@pytest.mark.parametrize("wanted", [["admin", "chemist"], ["auditor", "librarian"], ["officer"], []])
def test_who_gives_access_has_none_and_who_reads_all_writes_nothing(server, wanted):
    with pytest.raises(ParameterError, match="roles"):
        accounts.add(
            server.desk.db, "eve", roles=wanted, sites=None, by="x", now=server.desk.time, settings=Accounts()
        )


@pytest.mark.parametrize("name", ["", "x", "Ada", "a b", "device:1", "server", "a" * 41, "1a"])
def test_a_name_has_to_be_one(server, name):
    with pytest.raises(ParameterError, match="account"):
        accounts.add(
            server.desk.db, name, roles=["chemist"], sites=None, by="x", now=server.desk.time,
            settings=Accounts(),
        )  # fmt: skip


def test_second_factors_are_not_readable_from_the_database_alone(server, ada, tmp_path):
    with server.desk.db.read() as tx:
        row = accounts.row_of(tx, "ada")
    assert ada.totp.secret.encode() not in row["second_factor"]
    assert server.here.vault.open(row["second_factor"]) == ada.totp.secret
    (tmp_path / "another").mkdir()
    with pytest.raises(ReachbackError, match=r"accounts\.secret"):
        accounts.Vault(tmp_path / "another").open(row["second_factor"])


def test_passwords_are_hashed_with_argon2id_at_the_cost_that_is_set():
    made = Passwords(Accounts(argon2_time=2, argon2_memory_kib=64, argon2_lanes=1)).make("ada", PASSWORD)
    assert made.startswith("$argon2id$v=19$m=64,t=2,p=1$")
    assert Accounts().argon2_memory_kib == 65_536


def test_the_table_keeps_duties_apart():
    read = {action for action in roles.ACTIONS if action.endswith(".read")}
    of = {role: {action for action in roles.ACTIONS if role in roles.ACTIONS[action]} for role in roles.ROLES}
    assert of["auditor"] <= read | {"self.write"}
    evidence = {"case.read", "queue.read", "lab.read", "similar.read", "report.export", "candidate.read"}
    assert not of["admin"] & evidence
    assert not of["officer"]
    assert not of["device"] & (of["chemist"] | of["admin"])
    assert of["chemist"] < of["senior_chemist"]
    assert not roles.may({"chemist"}, "no.such.action")
