"""A chemist at the server from Python, over a real line."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import httpx
import numpy as np
import pyotp
import pytest

import spectralid.reachback as reachback
from spectralid.errors import ParameterError
from spectralid.reachback.client import Client, RefusedError, UnreachableError, connect
from spectralid.reachback.people import accounts
from tests.reachback.desk import Tablet
from tests.reachback.http import QUICK
from tests.reachback.running import running

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with running(tmp_path_factory.mktemp("live")) as (desk, addresses):
        yield desk, addresses


def person(desk, name, *roles):
    """An account, and what its authenticator shows."""
    code = accounts.add(
        desk.db, name, roles=roles, sites=None, by="root", now=desk.now(), settings=QUICK.accounts
    )
    address = accounts.set_up(desk.db, desk.passwords, desk.vault, name, code, PASSWORD, now=desk.now())
    return pyotp.parse_uri(address)


def signed_in(live, name, *roles):
    desk, addresses = live
    code = person(desk, name, *roles).now()
    ca = desk.folder / "tls" / "ca.pem"
    return connect(addresses.desk, account=name, password=PASSWORD, code=code, ca=ca)


def sent(desk, name, **scan):
    from spectralid.reachback.tablets import enrolled, ingest

    tablet = Tablet(name)
    now = datetime.now(UTC)
    enrolled.add(desk.db, name, tablet.key.public, site_ref="north", by="root", now=now)
    raw = tablet.scan(**scan)
    return ingest.ingest(
        desk.db, raw, device=name, idempotency_key=None, now=desk.now, keys=desk.keys
    ).case  # fmt: skip


def test_from_the_queue_to_an_answer(live):
    case_id = sent(live[0], "tablet-a", values=(1.0, 2.5, 3.0))
    with signed_in(live, "ada", "chemist") as ada:
        assert (ada.account, ada.roles) == ("ada", ("chemist",))
        assert case_id in {one.case_id for one in ada.queue()}
        lease = ada.take(case_id)
        assert ada.renew(lease).until_utc > lease.until_utc
        (spectrum,) = ada.spectra(case_id)
        assert np.array_equal(spectrum.axis, [200.0, 201.5, 203.0])
        assert np.array_equal(spectrum.intensity, [1.0, 2.5, 3.0])
        assert ada.draft(lease, {"words": "so far"}) >= 1
        assert ada.interim(lease).state == "INTERIM"
        done = ada.adjudicate(
            lease, verdict="identified", headline="Lactose", words="Presumptive.", basis="Bands.",
            substances=["lactose"], seen=ada.case(case_id).evidence,
        )  # fmt: skip
        assert (done.state, done.reasons) == ("ANSWERED", ())
        assert ada.case(case_id).state == "ANSWERED"
        assert [one["content"]["words"] for one in ada.drafts(case_id)] == ["so far"]


def test_what_is_refused_is_one_sentence_with_its_code(live):
    case_id = sent(live[0], "tablet-b")
    with signed_in(live, "bob", "chemist") as bob:
        lease = bob.take(case_id)
        bob.release(lease)
        with pytest.raises(RefusedError, match="has ended") as stale:
            bob.adjudicate(
                lease, verdict="no_match", headline="Nothing", words="", basis="Bands.", substances=[]
            )
        assert (stale.value.status, stale.value.code) == (409, "stale-lease")
        assert stale.value.draft == bob.drafts(case_id)[0]["draft"]
        again = pickle.loads(pickle.dumps(stale.value))
        assert (str(again), again.draft) == (str(stale.value), stale.value.draft)
        with pytest.raises(RefusedError) as unknown:
            bob.case("C-nothing/../../v1/accounts")
        assert unknown.value.status in (404, 422)
        with pytest.raises(RefusedError, match="no role"):
            bob.review(lease, agrees=True, note="x")


def test_a_second_person_reviews_and_cases_are_linked(live):
    one = sent(live[0], "tablet-c", alarm="danger", families=["fentanyl"])
    other = sent(live[0], "tablet-d")
    with signed_in(live, "cyd", "senior_chemist") as cyd, signed_in(live, "dan", "senior_chemist") as dan:
        done = cyd.adjudicate(
            cyd.take(one), verdict="identified", headline="Lactose", words="", basis="Bands.",
            substances=["lactose"],
        )  # fmt: skip
        assert done.state == "SECOND_REVIEW"
        assert dan.review(dan.take(one), agrees=True, note="bands checked").state == "ANSWERED"
        assert dan.link(one, other, fact="same press")
        assert [link["case_id"] for link in dan.links(one)] == [other]


def test_a_token_signs_in_too_and_a_closed_session_is_over(live):
    desk, addresses = live
    ca = desk.folder / "tls" / "ca.pem"
    with signed_in(live, "eve", "chemist") as eve:
        token = eve.make_token("notebook", days=1)
        cookies = httpx.Cookies(eve._http.cookies)
    with connect(addresses.desk, token=token, ca=ca) as script:
        assert script.account == "eve"
        assert isinstance(script.queue(), tuple)
    with httpx.Client(verify=str_context(ca), cookies=cookies) as line:
        assert line.get(addresses.desk + "/v1/session").status_code == 401


def str_context(ca):
    import ssl

    return ssl.create_default_context(cafile=str(ca))


def test_who_cannot_sign_in_is_told(live):
    desk, addresses = live
    ca = desk.folder / "tls" / "ca.pem"
    with pytest.raises(RefusedError, match="not right"):
        connect(addresses.desk, account="nobody", password="x", code="000000", ca=ca)
    with pytest.raises(RefusedError, match="token"):
        connect(addresses.desk, token="sid_wrong", ca=ca)
    # The server is known by the agency's authority, not by those of this system.
    with pytest.raises(UnreachableError, match="cannot be reached"):
        connect(addresses.desk, token="sid_wrong")
    with pytest.raises(ParameterError, match="password and code"):
        connect(addresses.desk, account="ada", ca=ca)
    with pytest.raises(ParameterError, match="PEM"):
        connect(addresses.desk, token="x", ca=desk.folder / "nothing.pem")
    for url in ("http://reachback.example", "ftp://x", "reachback.example"):
        with pytest.raises(ParameterError, match="https"):
            connect(url, token="x")


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, html="<h1>Sign in to the hotel</h1>"),
        httpx.Response(502, html="<h1>Bad gateway</h1>"),
        httpx.Response(404, json={"no": "problem"}, headers={"Content-Type": "application/problem+json"}),
    ],
)
def test_something_else_that_answers_is_not_taken_for_the_server(reply):
    client = Client("https://server", http=httpx.Client(transport=httpx.MockTransport(lambda _: reply)))
    with pytest.raises(UnreachableError, match="no reachback server"):
        client.queue()


def test_it_is_at_hand():
    assert reachback.connect is connect
