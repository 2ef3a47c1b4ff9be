"""The page on the strength of the tests is what its figures say, and every module on it exists."""

from benchmarks import test_strength
from benchmarks.mutation.groups import ROOT, groups


def test_the_page_is_the_one_its_figures_make():
    assert test_strength.PAGE.read_text(encoding="utf-8") == test_strength.page(test_strength.results())


def test_every_module_and_every_test_file_is_there():
    for group in groups():
        for path in (*group.modules, *group.tests, *group.more, *group.branches):
            assert (ROOT / path).is_file(), path
    assert {row["module"] for row in test_strength.results()} == {m for g in groups() for m in g.modules}


def test_an_explanation_is_for_the_mutant_it_names_and_no_other():
    one = {"before": "if a is None:", "after": "if a == None:", "operator": "ReplaceComparisonOperator_Is_Eq"}
    rule = {"operator": "ReplaceComparisonOperator_(Is_Eq)", "line": "None", "reason": "The same."}
    named = {"module": "m.py", "before": one["before"], "after": one["after"], "reason": "The same."}
    assert test_strength._fits(rule, "m.py", one)
    assert test_strength._fits(named, "m.py", one)
    assert not test_strength._fits(named, "n.py", one)
    assert not test_strength._fits(named, "m.py", one | {"after": "if a != None:"})
    assert not test_strength._fits(rule, "m.py", one | {"operator": "ReplaceComparisonOperator_Is_Eq_2"})
    assert not test_strength._fits(rule, "m.py", one | {"before": "if a is b:"})
