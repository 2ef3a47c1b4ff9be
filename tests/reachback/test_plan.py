"""The capacity plan: the desk against queueing theory, its rules one by one, and the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import exp, factorial, inf
from pathlib import Path

import numpy as np
import pytest

from spectralid.cli._main import main
from spectralid.errors import ParameterError, UnreadableFileError
from spectralid.reachback.capacity.desk import Kind, Log, Work, run
from spectralid.reachback.capacity.files import (
    plan_figure,
    plan_text,
    read_arrivals,
    read_chemists,
    roster_csv,
)
from spectralid.reachback.capacity.plan import (
    HOURS,
    Demand,
    Handling,
    Interim,
    Roster,
    SizeMix,
    simulate,
    smallest_roster,
)

ONE = SizeMix.parse("1:1")
BURSTS = SizeMix.parse("1:0.7,2-9:0.25,10-40:0.05")
N_CASES = 40_000


# --- against theory ---


def _work(arrive: np.ndarray, look: np.ndarray, **more: np.ndarray) -> Work:
    none = np.zeros_like(arrive)
    given = {
        "due": arrive + 60,
        "urgent": none > 0,
        "look_expected": look,
        "review": none,
        "review_expected": none,
    }
    return Work(arrive=arrive, look=look, **{**given, **more})


def _poisson(per_hour: float, service: Callable[[np.random.Generator, int], np.ndarray]) -> Work:
    rng = np.random.default_rng(5)
    arrive = np.cumsum(rng.exponential(60 / per_hour, N_CASES))
    return _work(arrive, service(rng, N_CASES))


def _always(n: int) -> list[tuple[float, int, float]]:
    return [(0.0, seat, inf) for seat in range(n)]


def _desk(work: Work, chemists: int, horizon: float | None = None, **more: object) -> Log:
    settings = {"n_seats": chemists, "shift_min": 480.0, "horizon": horizon or float(work.arrive[-1])}
    return run(work, iter(_always(chemists)), **{**settings, **more})  # type: ignore[arg-type]


def _waits(log: Log, work: Work) -> np.ndarray:
    taken = np.isfinite(log.taken)
    assert taken.mean() > 0.999
    return (log.taken - work.arrive)[taken]


def _erlang_c(c: int, load: float) -> float:
    """Chance of having to wait in M/M/c (Erlang 1917), by its textbook sum."""
    tail = load**c / factorial(c) * c / (c - load)
    return tail / (sum(load**k / factorial(k) for k in range(c)) + tail)


@pytest.mark.parametrize(("c", "per_hour"), [(1, 3.0), (4, 15.0), (8, 30.0)])
def test_exponential_work_waits_as_erlang_says(c: int, per_hour: float) -> None:
    work = _poisson(per_hour, lambda rng, n: rng.exponential(10, n))
    waits = _waits(_desk(work, c), work)
    # what was drawn, not what it was drawn from: most of the difference to theory would be theirs
    mean = work.look.mean()
    load = work.look.sum() / work.arrive[-1]
    waiting = _erlang_c(c, load)
    assert (waits > 0).mean() == pytest.approx(waiting, rel=0.06)
    for t in (2.0, 5.0, 10.0):
        theory = waiting * exp(-(c - load) / mean * t)
        assert (waits > t).mean() == pytest.approx(theory, rel=0.06 + 0.03 * t)


@pytest.mark.parametrize("cv", [0.0, 0.5, 2.0])
def test_one_chemist_waits_as_pollaczek_and_khinchine_say(cv: float) -> None:
    mean, per_hour = 10.0, 3.6
    shape = lambda rng, n: np.full(n, mean) if cv == 0 else rng.gamma(cv**-2, mean * cv**2, n)  # noqa: E731
    work = _poisson(per_hour, shape)
    busy = per_hour * mean / 60
    theory = busy / (1 - busy) * mean * (1 + cv**2) / 2
    assert _waits(_desk(work, 1), work).mean() == pytest.approx(theory, rel=0.08 if cv < 1 else 0.15)


def test_little_s_law_holds() -> None:
    work = _poisson(19.0, lambda rng, n: rng.exponential(10, n))
    log = _desk(work, 4)
    horizon = work.arrive[-1]
    stay = np.minimum(log.answered, horizon) - work.arrive
    assert log.mean_open == pytest.approx(stay.sum() / horizon, rel=1e-9)
    # and the mean number at work is the load
    assert (log.end - log.start).sum() / horizon == pytest.approx(19 * 10 / 60, rel=0.03)


def test_with_chemists_enough_nobody_waits_and_the_hour_is_the_work_s_own() -> None:
    demand = Demand.of_scans(70_000, ONE)
    plan = simulate(demand, Handling(first_min=20, further_min=0, cv=1), Roster.constant(20), weeks=6)
    assert plan.whole.scans_in_time.value == pytest.approx(1 - exp(-3), abs=0.005)
    assert plan.whole.scans_in_time.low < 1 - exp(-3) < plan.whole.scans_in_time.high
    assert plan.whole.taken_min == (0, 0, 0, 0)


def test_arrivals_that_change_slowly_wait_as_at_each_rate_by_itself() -> None:
    """Work is short beside the halves of the week, so that each is an M/M/c of its own."""
    rates = np.where(np.arange(HOURS) < 84, 10.0, 40.0)
    handling = Handling(first_min=3, further_min=0, cv=1)
    demand = Demand(seizures_per_hour=rates, sizes=ONE)
    plan = simulate(demand, handling, Roster.constant(3), weeks=16, target_min=6)
    for hours, rate in ((slice(0, 84), 10.0), (slice(84, HOURS), 40.0)):
        load, c, out, t = rate * 3 / 60, 3, 1 / 3, 6.0
        # chance of staying longer than t in M/M/c
        waiting, gone = _erlang_c(c, load), c - load - 1
        late = exp(-out * t) * (1 + waiting * (1 - exp(-out * t * gone)) / gone) if gone else None
        if late is None:
            late = exp(-out * t) * (1 + waiting * out * t)
        assert 1 - plan.by_hour[hours].mean() == pytest.approx(late, rel=0.07)


# --- the rules of the desk ---


def _few(
    *cases: tuple[float, float, float], urgent: tuple[int, ...] = (), review: tuple[float, ...] = ()
) -> Work:
    arrive, look, due = (np.array(column, float) for column in zip(*cases, strict=True))
    flags = np.isin(np.arange(len(cases)), urgent)
    reviews = np.array(review or np.zeros(len(cases)), float)
    return _work(arrive, look, due=due, urgent=flags, review=reviews, review_expected=reviews)


def test_the_earliest_deadline_is_first_and_urgent_cases_within_five_minutes_of_it() -> None:
    work = _few((0, 10, 60), (1, 10, 69), (2, 10, 61), (3, 10, 64), (4, 10, 66), urgent=(3, 1))
    log = _desk(work, 1, 1000)
    assert log.case.tolist() == [0, 3, 2, 1, 4]


def test_who_looked_does_not_review() -> None:
    work = _few((0, 10, 60), (0, 50, 60), review=(5, 0))
    log = _desk(work, 2, 1000)
    looks, reviews = (log.seat[log.kind == kind] for kind in (Kind.LOOK, Kind.REVIEW))
    assert reviews.tolist() != looks[:1].tolist()
    assert log.answered.tolist() == [55, 50]


def test_a_lone_chemist_s_case_is_reviewed_by_the_next_shift() -> None:
    log = _desk(_few((0, 10, 60), review=(5,)), 1, 2000)
    assert np.isinf(log.answered).all()
    after = run(
        _few((0, 10, 60), (485, 10, 545), review=(5, 0)),
        iter(_always(1)),
        n_seats=1,
        shift_min=480,
        horizon=2000,
    )
    assert after.kind.tolist() == [Kind.LOOK, Kind.REVIEW, Kind.LOOK]


def test_an_interim_answer_is_sent_in_the_midst_of_long_work_and_costs_its_minutes() -> None:
    log = _desk(_few((0, 90, 60)), 1, 1000, interim=Interim(2, 5))
    # 90 minutes were expected: it is sent at once, and the work comes after
    assert (log.first_reply.tolist(), log.answered.tolist()) == ([2], [92])
    work = _work(np.zeros(1), np.array([90.0]), look_expected=np.array([20.0]))
    log = _desk(work, 1, 1000, interim=Interim(2, 5))
    assert (log.first_reply.tolist(), log.answered.tolist()) == ([57], [92])


def test_a_case_with_an_interim_answer_goes_behind_those_whose_hour_runs() -> None:
    log = _desk(_few((0, 70, 60), (1, 10, 61), (2, 10, 200)), 1, 1000, interim=Interim(2, 5))
    assert log.case.tolist() == [0, 1, 2, 0]
    assert log.kind.tolist() == [Kind.INTERIM, Kind.LOOK, Kind.LOOK, Kind.LOOK]


def test_a_lone_chemist_gives_an_interim_answer_where_two_must_look() -> None:
    log = _desk(_few((0, 10, 60), review=(5,)), 1, 400, interim=Interim(2, 5))
    assert log.first_reply.tolist() == [12]
    assert np.isinf(log.answered).all()


def test_on_a_desk_of_every_rule_nobody_does_two_things_and_nothing_waits_for_an_idle_chemist() -> None:
    rng = np.random.default_rng(2)
    n = 3000
    arrive = np.sort(rng.uniform(0, 20_000, n))
    look = rng.exponential(12, n)
    work = _work(
        arrive,
        look,
        look_expected=np.full(n, 12.0),
        urgent=rng.random(n) < 0.2,
        review=np.where(rng.random(n) < 0.3, rng.exponential(5, n), 0.0),
        review_expected=np.full(n, 5.0),
    )
    roster = Roster(chemists=(3,) * 84 + (2,) * 84, break_min=30)
    weeks = [(a + w * 10_080, seat, b + w * 10_080) for w in range(3) for a, seat, b in roster.week()]
    log = run(work, iter(weeks), n_seats=3, shift_min=480, horizon=25_000, interim=Interim(2, 5))
    done = np.isfinite(log.answered)
    assert done.all()
    for seat in range(3):
        mine = log.seat == seat
        assert np.all(log.start[mine][1:] >= log.end[mine][:-1])
        for start in log.start[mine]:
            assert any(a <= start < b for a, s, b in weeks if s == seat)
    person = [(seat, int(end // 480)) for seat, end in zip(log.seat, log.end, strict=True)]
    at_review = [(seat, int(start // 480)) for seat, start in zip(log.seat, log.start, strict=True)]
    looked = {case: person[i] for i, case in enumerate(log.case) if log.kind[i] == Kind.LOOK}
    reviews = [i for i, kind in enumerate(log.kind) if kind == Kind.REVIEW]
    assert len(reviews) == (work.review > 0).sum()
    assert all(looked[log.case[i]] != at_review[i] for i in reviews)
    # every case that waited for its first look: all chemists on duty were at work all that time
    for i in np.flatnonzero(log.taken > arrive + 1e-9)[:300]:
        middle = (arrive[i] + log.taken[i]) / 2
        on = {s for a, s, b in weeks if a <= middle < b}
        at_work = set(log.seat[(log.start <= middle) & (middle < log.end)].tolist())
        assert on <= at_work


def test_a_break_takes_its_minutes_and_spreads_over_the_seats() -> None:
    roster = Roster.constant(4, break_min=30)
    spells = roster.week()
    worked = sum(end - start for start, _, end in spells)
    assert worked == 4 * 168 * 60 - 4 * 21 * 30
    ends = {seat: next(end for _, s, end in spells if s == seat) for seat in range(4)}
    assert len(set(ends.values())) == 4


# --- plans ---


def test_one_seizure_as_one_case_is_late_far_less_than_scan_by_scan() -> None:
    """The design's own figures, 19.5 % and 0.8 %, with the assumptions docs/capacity-plan.md names."""
    demand = Demand.of_scans(70_000, BURSTS)
    times = {"first_min": 11.0, "further_min": 0.5}
    scans = simulate(demand, Handling(**times, by_seizure=False), Roster.constant(4), weeks=16)
    seizures = simulate(demand, Handling(**times), Roster.constant(4), weeks=16)
    assert 1 - scans.whole.scans_in_time.value == pytest.approx(0.195, abs=0.05)
    assert 1 - seizures.whole.scans_in_time.value == pytest.approx(0.008, abs=0.006)


def test_a_surge_is_counted_apart_and_helped_by_its_own_roster() -> None:
    demand = Demand.of_scans(70_000, BURSTS, surge=3, surge_weeks=2)
    handling = Handling(first_min=20, further_min=0.5)
    plan = simulate(demand, handling, Roster.constant(3))
    helped = simulate(demand, handling, Roster.constant(3), surge_roster=Roster.constant(10))
    assert plan.surge is not None
    assert helped.surge is not None
    assert (plan.surge.weeks, plan.ordinary.weeks) == (2, 50)
    assert plan.surge.cases / 2 == pytest.approx(3 * plan.ordinary.cases / 50, rel=0.05)
    assert plan.surge.scans_in_time.value < plan.ordinary.scans_in_time.value - 0.05
    assert helped.surge.scans_in_time.value > plan.surge.scans_in_time.value + 0.05
    assert helped.whole.cases == plan.whole.cases


def test_an_overloaded_desk_is_late_and_says_that_answers_never_come() -> None:
    demand = Demand.of_scans(70_000, ONE)
    plan = simulate(demand, Handling(first_min=20, further_min=0), Roster.constant(1), weeks=6)
    assert plan.whole.scans_in_time.value < 0.2
    assert plan.whole.utilisation == pytest.approx(1, abs=0.01)
    assert plan.to_dict()["whole"]["answer_min"]["p99"] is None


def test_the_interval_covers_what_many_other_seeds_give() -> None:
    demand, handling = Demand.of_scans(20_000, BURSTS), Handling(first_min=15, further_min=1)
    plans = [
        simulate(demand, handling, Roster.constant(2), weeks=6, seed=s).whole.scans_in_time for s in range(20)
    ]
    truth = np.mean([share.value for share in plans])
    covered = sum(share.low <= truth <= share.high for share in plans)
    assert covered >= 16
    assert max(share.high - share.low for share in plans) < 0.3


def test_the_same_seed_gives_the_same_plan() -> None:
    demand, handling = Demand.of_scans(70_000, BURSTS), Handling(first_min=15, further_min=1)
    a, b, c = (
        json.dumps(simulate(demand, handling, Roster.constant(3), weeks=3, seed=s).to_dict(), allow_nan=False)
        for s in (1, 1, 2)
    )
    assert a == b != c


def test_the_smallest_roster_follows_the_arrivals_reaches_the_goal_and_has_nobody_to_spare() -> None:
    shape = np.where(np.arange(HOURS) % 24 < 12, 1.0, 8.0)
    demand = Demand.of_scans(20_000, ONE, shape=shape)
    handling = Handling(first_min=30, further_min=0)
    found = smallest_roster(demand, handling, 0.9, block_h=12, weeks=6)
    assert found.roster is not None
    days = np.array(found.roster.chemists).reshape(7, 24)
    assert days[:, 12:].mean() > 2 * days[:, :12].mean()
    assert found.plan.whole.scans_in_time.value > 0.88
    assert simulate(demand, handling, found.roster, weeks=6).whole.scans_in_time.low >= 0.9
    for hour in range(0, HOURS, 12):
        fewer = list(found.roster.chemists)
        fewer[hour : hour + 12] = [max(0, fewer[hour] - 1)] * 12
        if fewer[hour] < found.roster.chemists[hour]:
            short = simulate(demand, handling, Roster(chemists=tuple(fewer)), weeks=6)
            assert short.whole.scans_in_time.low < 0.9


def test_a_goal_that_no_roster_reaches_is_said_to_be_so() -> None:
    handling = Handling(first_min=55, further_min=0, cv=0.5)
    found = smallest_roster(Demand.of_scans(5000, ONE), handling, 0.99, block_h=168, weeks=4)
    assert found.roster is None
    assert found.plan.whole.taken_min[-1] == 0


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda: SizeMix.parse("1:0.7,2-9"), "sizes must be like"),
        (lambda: SizeMix.parse("1:0.7,2-9:0.7"), "sum to 1"),
        (lambda: SizeMix.parse("9-2:1"), "sizes must be like"),
        (lambda: Demand.of_scans(-1, ONE), "scans_a_year must be above 0"),
        (lambda: Demand.of_scans(100, ONE, escalated=0), "escalated must be above 0"),
        (lambda: Demand.of_scans(100, ONE, surge=0.5, surge_weeks=1), "surge must be a factor"),
        (lambda: Demand(seizures_per_hour=np.full(HOURS, np.nan), sizes=ONE), "seizures_per_hour must be"),
        (lambda: Handling(first_min=0, further_min=1), "first_min must be"),
        (lambda: Handling(first_min=1, further_min=1, review_share=0.1), "review_min must be"),
        (lambda: Handling(first_min=1, further_min=1, interim=Interim(5, 2)), "interim must be"),
        (lambda: Roster.constant(0), "chemists must be at least one"),
        (lambda: Roster.constant(1, shift_h=5), "shift_h must be"),
        (lambda: Roster.constant(1, break_min=480), "break_min must be"),
        (lambda: _plan(weeks=1), "weeks must be"),
        (lambda: _plan(surge=2, surge_weeks=1), "weeks must be a multiple of 52"),
        (lambda: _plan(scans=0.0001), "enough for some cases"),
    ],
)
def test_what_makes_no_plan_is_refused_in_a_sentence(what: Callable[[], object], said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        what()


def _plan(scans: float = 5000, weeks: int = 3, **demand: float) -> object:
    made = Demand.of_scans(scans, ONE, **demand)  # type: ignore[arg-type]
    return simulate(made, Handling(first_min=10, further_min=0), Roster.constant(1), weeks=weeks)


# --- files and the command ---


def _table(folder: Path, column: str, values: list[object]) -> Path:
    file = folder / f"{column}.csv"
    lines = [f"{hour},{value}" for hour, value in enumerate(values)]
    file.write_text("\n".join([f"hour_of_week,{column}", *lines, ""]), encoding="utf-8")
    return file


def test_tables_are_read_in_any_order_and_a_roster_reads_back(tmp_path: Path) -> None:
    values = [h / 10 for h in range(HOURS)]
    file = _table(tmp_path, "seizures_per_hour", list(values))
    head, *lines = file.read_text().splitlines()
    file.write_text("\r\n".join(["\ufeff" + head, *reversed(lines), ""]), encoding="utf-8")
    assert read_arrivals(file).tolist() == values
    roster = Roster(chemists=tuple(h % 5 for h in range(HOURS)))
    (tmp_path / "r.csv").write_text(roster_csv(roster))
    assert read_chemists(tmp_path / "r.csv") == roster.chemists


@pytest.mark.parametrize(
    ("line", "becomes", "said"),
    [
        (0, "hour,seizures_per_hour", "line 1: the first line must be hour_of_week,seizures_per_hour"),
        (7, "200,1", "line 8: hour_of_week must be 0 to 167; got '200'"),
        (7, "3,1", "line 8: hour 3 stands there twice"),
        (7, "6,-1", "line 8: seizures_per_hour must be a number of 0 or more; got '-1'"),
        (7, "6,nan", "line 8: seizures_per_hour must be"),
        (7, "6", "line 8: seizures_per_hour must be"),
        (7, "", "1 of the 168 hours of the week are missing, first 6"),
    ],
)
def test_a_bad_table_is_refused_with_its_line(tmp_path: Path, line: int, becomes: str, said: str) -> None:
    file = _table(tmp_path, "seizures_per_hour", [1] * HOURS)
    lines = file.read_text().splitlines()
    lines[line] = becomes
    file.write_text("\n".join(lines))
    with pytest.raises(UnreadableFileError) as refused:
        read_arrivals(file)
    assert said in str(refused.value)


def test_what_is_no_text_or_no_whole_number_is_refused(tmp_path: Path) -> None:
    file = _table(tmp_path, "chemists", [1.5] * HOURS)
    with pytest.raises(UnreadableFileError, match="line 2: chemists must be a whole number"):
        read_chemists(file)
    for content, said in ((b"\xff\xfe\x00", "UTF-8"), (b"", "first line"), (b"x" * 1_000_001, "too large")):
        file.write_bytes(content)
        with pytest.raises(UnreadableFileError, match=said):
            read_chemists(file)
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        read_chemists(tmp_path / "absent.csv")


_SMALL = ["reachback", "plan", "--scans-per-year", "10000", "--weeks", "4"]


def test_the_command_prints_json_draws_and_answers_whether_the_goal_is_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = tmp_path / "plan.png"
    assert main([*_SMALL, "--roster", "2", "--goal", "0.9", "--json", "--plot", str(figure)]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["roster"]["chemist_hours_a_week"] == 336
    assert 0.9 < plan["whole"]["scans_in_time"]["value"] <= 1
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert main([*_SMALL, "--roster", "1", "--first-min", "40", "--goal", "0.99"]) == 21
    shown = capsys.readouterr().out
    assert "168 chemist-hours a week" in shown
    assert main([*_SMALL, "--plot", str(figure)]) == 2
    assert "does not exist yet" in capsys.readouterr().err


def test_the_command_finds_a_roster_that_can_be_given_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, day = tmp_path / "roster.csv", [2.0 if h % 24 >= 12 else 0.2 for h in range(HOURS)]
    arrivals = _table(tmp_path, "seizures_per_hour", list(day))
    options = ["--arrivals", str(arrivals), "--sizes", "1:1", "--first-min", "20", "--weeks", "4"]
    asked = ["reachback", "plan", *options, "--find", "--block", "12", "--goal", "0.9"]
    code = main([*asked, "--save-roster", str(file)])
    shown = capsys.readouterr().out
    assert code in (0, 21)
    assert "smallest roster found, ordinary weeks" in shown
    roster = read_chemists(file)
    assert f"{sum(roster)} chemist-hours a week" in shown
    assert max(roster) > min(roster)
    assert main(["reachback", "plan", *options, "--roster", str(file), "--goal", "0.9"]) == 0


def test_the_command_says_that_no_roster_will_do_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*_SMALL, "--sizes", "1:1", "--first-min", "70", "--find", "--block", "168"]) == 21
    assert "the work itself takes too long" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--roster", "nowhere.csv"], (3, "cannot be read")),
        (["--sizes", "lots"], (2, "sizes must be")),
        (["--save-roster", "x.csv"], (2, "together with --find")),
        (["--surge", "3"], (2, "multiple of 52")),
    ],
)
def test_the_command_refuses_in_a_sentence(
    options: list[str], said: tuple[int, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*_SMALL, *options]) == said[0]
    assert said[1] in capsys.readouterr().err


def test_the_table_and_the_figure_show_a_surge_and_answers_that_never_come() -> None:
    demand = Demand.of_scans(9000, ONE, surge=3, surge_weeks=1)
    roster = Roster(chemists=(0,) * 84 + (1,) * 84)
    plan = simulate(demand, Handling(first_min=60, further_min=0), roster, surge_roster=Roster.constant(2))
    shown = plan_text(plan)
    assert "surge weeks 3×" in shown
    assert "never" in shown
    assert "0 to 1 chemists" in shown
    people, chance, waiting = plan_figure(plan).axes
    assert people.lines[1].get_label() == "chemists in a surge week"
    assert chance.lines[0].get_ydata()[:HOURS] == pytest.approx(plan.by_hour * 100)
    assert waiting.lines[0].get_ydata()[-1] < 100
