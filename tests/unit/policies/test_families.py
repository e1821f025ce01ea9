"""Sharing among families, or among groups that are given."""

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.policies import decide
from fairseq_gist.policies.situation import Situation
from tests.unit.made_up import LANGUAGES, SHARED, shape_of_sizes

UNITS = {"decoder.layers.0.fc1": 100, "decoder.layers.0.fc2": 200}


def groups_of(languages=LANGUAGES, **options):
    situation = Situation(shape_of_sizes(list(languages), UNITS, SHARED))
    plan = decide("families", situation, **options)
    (groups,) = set(plan.units.values())
    return [list(group) for group in groups], plan


def test_every_unit_is_split_among_families():
    groups, plan = groups_of()
    assert groups == [["de", "nl"], ["es", "fr", "it"]]
    assert plan.parameters == SHARED + 300


def test_a_language_of_no_known_family_is_alone():
    assert groups_of(["de", "nl", "qaa", "qab"])[0] == [["de", "nl"], ["qaa"], ["qab"]]


def test_groups_that_are_given_and_languages_that_are_not_named():
    groups, plan = groups_of(language_groups="it+de,fr+nl")
    assert groups == [["de", "it"], ["es"], ["fr", "nl"]]
    assert plan.provenance["language_groups"] == "it+de,fr+nl"


@pytest.mark.parametrize(("languages", "given", "message"), [
    (LANGUAGES, "de+nl,,es", "expected groups such as de"),
    (LANGUAGES, "de+nl,nl+es", "--language-groups: 'nl' is in two groups"),
    (LANGUAGES, "de+pl", "--language-groups: expected some of de, es, fr, it, nl, found 'pl'"),
    (("es", "fr", "it"), None, "all of es, fr, it are in one group"),
])  # fmt: skip
def test_groups_that_cannot_be(languages, given, message):
    with pytest.raises(OptionError, match=message.replace("+", r"\+")):
        groups_of(languages, language_groups=given)
