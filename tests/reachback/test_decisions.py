import pytest

from spectralid.reachback.bench import decisions
from spectralid.reachback.bench.decisions import Decision
from spectralid.reachback.errors import DecisionError, StaleLeaseError, TransitionError
from spectralid.reachback.tablets import answers
from tests.reachback.desk import says


@pytest.mark.parametrize(
    "wrong",
    [
        {"basis": ""}, {"basis": "  "}, {"basis": "x" * 4001}, {"headline": ""}, {"headline": "x" * 301},
        {"words": "x" * 4001}, {"precautions": ("x",) * 31}, {"precautions": ("x" * 501,)},
        {"substances": ()}, {"substances": ("x",) * 51}, {"substances": ("",)}, {"verdict": "safe"},
        {"first_look": "x" * 4001},
    ],
)  # fmt: skip
def test_a_decision_has_what_it_needs(wrong):
    sound = {"verdict": "identified", "headline": "h", "words": "w", "basis": "b", "substances": ("lactose",)}
    Decision(**sound)
    with pytest.raises(DecisionError):
        Decision(**{**sound, **wrong})


def test_what_agrees_and_does_no_harm_is_answered(desk):
    case_id = desk.scan()
    outcome = desk.decide(desk.lease(case_id))
    assert (outcome.state, outcome.reasons) == ("ANSWERED", ())
    (answer,) = answers.of_case(desk.db, case_id)
    said = answer.content()
    assert (answer.kind, said["headline"], said["basis"], said["by"]) == (
        "final", "Lactose", "Bands at 850 cm-1.", "ada",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scan", "decision", "reasons"),
    [
        ({"alarm": "danger"}, says(), {"high-hazard"}),
        ({"families": ("nitazene",)}, says(), {"high-hazard"}),
        ({"strips": [{"target": "Fentanyl", "result": "pos"}]}, says(), {"high-hazard"}),
        ({"strips": [{"target": "Fentanyl", "result": "neg"}]}, says(), set()),
        ({}, says(high_hazard=True), {"high-hazard"}),
        ({}, says("mannitol"), {"contradicts-field"}),
        ({}, says("lactose", "mannitol"), {"contradicts-field"}),
        ({}, says("carfentanil"), {"contradicts-field", "high-hazard"}),
        ({}, Decision("no_match", "Nothing", "Nothing fits.", "No band in common."), {"contradicts-field"}),
        ({"substances": ("lactose", "polyethylene-hdpe-ldpe")}, says("lactose"), set()),
        ({}, says("lactose", "polyethylene-hdpe-ldpe"), set()),
        ({"substances": ("lactose", "polyethylene-hdpe-ldpe")}, says("mannitol"), {"contradicts-field"}),
        ({"substances": ("polyethylene-hdpe-ldpe",)}, says("lactose"), {"contradicts-field"}),
        ({"decision": "no_match", "substances": ()}, says("mannitol"), set()),
        ({"decision": "no_match", "substances": ()}, says("fluorofentanyl"), {"high-hazard"}),
    ],
)
def test_who_else_has_to_look(desk, scan, decision, reasons):
    outcome = desk.decide(desk.lease(desk.scan(**scan)), decision)
    assert set(outcome.reasons) == reasons
    assert outcome.state == ("SECOND_REVIEW" if reasons else "ANSWERED")
    assert (outcome.answer_id is None) == bool(reasons)


def test_a_second_person_lets_it_out(desk):
    case_id = desk.scan(alarm="danger")
    desk.decide(desk.lease(case_id), says(words="as decided"))
    assert answers.of_case(desk.db, case_id) == ()
    lease = desk.lease(case_id, "bea", senior=True)
    outcome = desk.review(lease)
    assert outcome.state == "ANSWERED"
    assert desk.review(lease) == outcome
    (answer,) = answers.of_case(desk.db, case_id)
    assert (answer.content()["words"], answer.content()["by"]) == ("as decided", "ada + bea")
    assert [one["kind"] for one in decisions.of_case(desk.db, case_id)] == ["decision", "review"]


def test_a_second_person_sends_it_back_and_somebody_looks_again(desk):
    case_id = desk.scan()
    desk.decide(desk.lease(case_id), says(high_hazard=True))
    with pytest.raises(DecisionError):
        desk.review(desk.lease(case_id, "bea", senior=True), agrees=False, note=" ")
    assert desk.review(desk.lease(case_id, "bea", senior=True), agrees=False, note="no").state == "QUEUED"
    outcome = desk.decide(desk.lease(case_id, "cai"))
    assert outcome.reasons == ("sent-back",)
    assert desk.review(desk.lease(case_id, "bea", senior=True)).state == "ANSWERED"


def test_only_a_decision_is_reviewed(desk):
    case_id = desk.scan()
    with pytest.raises(TransitionError):
        desk.review(desk.lease(case_id))
    assert desk.case(case_id)["state"] == "LEASED"


def test_a_failure_in_the_middle_leaves_nothing_half_done(desk, monkeypatch):
    case_id = desk.scan()
    lease = desk.lease(case_id)

    def fails(*_args, **_options):
        raise StaleLeaseError("broke off")

    with monkeypatch.context() as patch:
        patch.setattr(decisions, "_write", fails)
        with pytest.raises(StaleLeaseError):
            desk.decide(lease)
    assert desk.case(case_id)["state"] == "LEASED"
    assert answers.of_case(desk.db, case_id) == ()
    assert desk.decide(lease).state == "ANSWERED"
