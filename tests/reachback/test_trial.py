"""A server to try things out with: a tablet's scan goes to a chemist, and answer and result come back."""

import numpy as np
import pytest

from spectralid import Spectrum
from spectralid.casework.enrolment import EnrolmentError
from spectralid.errors import ParameterError
from spectralid.reachback import TrialServer, connect
from spectralid.reachback.client import RefusedError, UnreachableError
from spectralid.reachback.errors import ConflictError
from spectralid.tablet import FieldUnit


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with TrialServer(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture
def tablet(tmp_path):
    with FieldUnit.open(tmp_path / "tablet", officer="K-17") as unit:
        yield unit


def powder():
    axis = np.arange(300.0, 2300.0, 3.0)
    bands = sum(np.exp(-(((axis - x) / 8) ** 2)) for x in (420, 777, 1010, 1444, 1919))
    return Spectrum(
        axis, 100 + 50 * bands + np.random.default_rng(2).normal(0, 0.5, axis.size), technique="raman"
    )


def test_a_scan_is_answered_and_confirmed(server, tablet):
    server.enrol(tablet.store)
    item = tablet.add_item(tablet.open_seizure(place="Lane 4"), label="bag 1")
    tablet.record_scan(item, powder())
    tablet.send(item, note="please look")
    sent = tablet.exchange()
    assert len(sent.delivered) == 4
    assert sent.online
    with server.sign_in("ada", "chemist") as ada, server.sign_in("lee", "lab_analyst") as lee:
        lease = ada.next()
        case = ada.case(lease.case_id)
        (seen,) = ada.spectra(lease.case_id)
        assert seen == powder()
        said = {
            "verdict": "inconclusive",
            "headline": "Not known",
            "words": "Presumptive.",
            "basis": "No match.",
        }
        assert ada.adjudicate(lease, **said, seen=case.evidence).state == "ANSWERED"
        assert tablet.exchange().answers
        (answer,) = tablet.answers()
        assert (answer.headline, answer.shown) == ("Not known", False)
        tablet.shown(answer.answer_id)
        assert tablet.exchange().acknowledged == (answer.answer_id,)
        assert ada.case(lease.case_id).state == "DELIVERED"
        assert tablet.answers()[0].shown
        found = {"laboratory": "regional", "sample": "R-1", "result": "inconclusive", "methods": ["GC-MS"]}
        with pytest.raises(RefusedError) as caught:
            ada.report_result(lease.case_id, **found)
        assert caught.value.status == 403
        lee.report_result(lease.case_id, **found, stage="regional", substances={"lactose": 0.2})
        tablet.exchange()
        assert tablet.answers()[-1].lab == "inconclusive"


def test_a_tablet_enrolled_nowhere_keeps_what_it_has(tablet):
    tablet.open_seizure()
    with pytest.raises(EnrolmentError, match="stays queued"):
        tablet.exchange()
    assert tablet.answers() == ()


def test_persons_are_who_they_say(server):
    with server.sign_in("may", "chemist", "librarian") as may:
        assert set(may.roles) == {"chemist", "librarian"}
    with pytest.raises(ConflictError, match="may"):
        server.sign_in("may", "auditor")
    with pytest.raises(ParameterError, match="wizard"):
        server.sign_in("rob", "wizard")
    with pytest.raises(RefusedError):
        connect(server.url, account="may", password="a long guess", code="000000", ca=server.ca)


def test_it_ends_and_says_so(tmp_path):
    server = TrialServer(tmp_path / "server")
    assert "serving" in repr(server)
    server.close()
    server.close()
    assert "ended" in repr(server)
    with pytest.raises(UnreachableError):
        connect(server.url, token="none", ca=server.ca)
