"""Classes of substances: an analogue is never "other"."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralid import _bundled
from spectralid.identify.families import FAMILIES, family_of
from spectralid.reachback import classification
from spectralid.reachback.classification import FENTANYL_RELATED, classify, classify_families, of_scan

TABLE = tuple(classification.compounds().by_slug.values())


def words(found):
    return [word for part in found.path for word in part.casefold().replace(",", " ").split()]


def test_every_compound_has_a_class_and_none_is_other():
    assert len(TABLE) > 1700
    for compound in TABLE:
        found = classify(compound.slug)
        assert found.path[-1] == compound.name
        assert len(found.path) > 1
        assert "other" not in words(found)[: -len(compound.name.split())]
        if family_of(compound) == "fentanyl-related" or compound.fentanyl_related in ("yes", "parent"):
            assert found.family == FENTANYL_RELATED, compound.slug
        if family_of(compound):
            assert found.path[0] != "unclassified", compound.slug


def test_every_category_of_the_library_has_words_of_its_own():
    with _bundled.path("libraries", "categories.csv").open(encoding="utf-8", newline="") as file:
        categories = [row["category"] for row in csv.DictReader(file)]
    assert len(categories) > 50
    assert set(categories) == set(classification._PATHS)


@pytest.mark.parametrize("family", [*FAMILIES, "fentanyl", "a family of a later version"])
def test_a_family_without_a_member_says_that_the_structure_is_not_determined(family):
    (found,) = classify_families([family])
    assert found.path[-1] == classification.UNDETERMINED
    assert "other" not in found.family
    (scan,) = of_scan({"families": [family], "components": [], "verdict": {"families": [family]}})
    assert scan == found


names = st.text(st.characters(codec="utf-8"), max_size=30)


@given(
    slug=names,
    component=st.fixed_dictionaries(
        {},
        optional={
            "name": names,
            "category": names | st.sampled_from(["other", "opioid/other", "opioid/fentanyl-analogue"]),
            "fentanyl_related": st.sampled_from(["yes", "parent", "no", ""]),
        },
    ),
    families=st.lists(st.sampled_from(FAMILIES) | names, max_size=3),
)  # fmt: skip
def test_what_has_a_family_or_a_fentanyl_label_is_never_other(slug, component, families):
    found = classify(slug, component=component, families=families)
    assert all(part for part in found.path)
    known = classification.compounds().by_slug.get(slug)
    if component.get("fentanyl_related") in ("yes", "parent") and known is None:
        assert found.family == FENTANYL_RELATED
    if known is None and any(families):
        assert found.path[0] != "unclassified"
    assert "other" not in found.path[:-1] or "other" in families


def test_an_unknown_analogue_is_filed_by_what_is_known_of_it():
    assert classify("para-unheard-of-fentanyl").family == FENTANYL_RELATED
    assert classify("n-desethyl-unheard-nitazene").family == ("opioid", "nitazene")
    labelled = classify(
        "x-17", component={"name": "X-17", "fentanyl_related": "yes", "category": "opioid/other"}
    )
    assert (labelled.path, labelled.basis) == ((*FENTANYL_RELATED, "X-17"), "packet")
    alarmed = classify("x-17", families=["sugar or polyol", "fentanyl-related"])
    assert alarmed.path == (*FENTANYL_RELATED, "x-17 (structure not determined)")
    assert classify("x-17").path == ("unclassified", "not in the compound table", "x-17")


def test_a_scan_lists_its_substances_and_the_families_that_none_of_them_is_of():
    result = {
        "components": [{"slug": "fentanyl"}, {"slug": "lactose"}, {"slug": 7}],
        "families": ["fentanyl-related", "nitazene"],
        "verdict": {"named": ["fentanyl", "carfentanil"], "families": ["nitazene"]},
    }
    found = [one.text() for one in of_scan(result)]
    assert found == [
        "opioid / fentanyl-related / Fentanyl",
        "cutting agent / sugar or polyol / Lactose",
        classify("carfentanil").text(),
        "opioid / nitazene / structure not determined",
    ]
    assert of_scan({}) == ()
    assert of_scan({"components": "x", "families": 3, "verdict": []}) == ()


def test_danger_and_interest():
    assert classification.is_dangerous([classify("fentanyl")])
    assert classification.is_dangerous(classify_families(["nitazene"]))
    assert not classification.is_dangerous([classify("lactose"), classify("morphine")])
    assert classification.is_of_interest(classify("cocaine"))
    assert not classification.is_of_interest(classify("lactose"))
