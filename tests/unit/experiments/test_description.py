"""Descriptions: what they extend, what the caller changes, what is refused."""

from __future__ import annotations

import pytest

from fairseq_gist.errors import DataError, GistError
from fairseq_gist.experiments import read_document
from tests.unit.experiments.toy import TOML, Toy


def test_a_file_says_only_what_it_changes(toy, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('extends = "toy.toml"\n[settings]\nupdates = 5\n[systems.wide]\nupdates = 6\n')
    document = read_document(own)
    assert document["settings"]["updates"] == 5
    assert document["settings"]["word"] == "plain"
    assert document["systems"]["wide"] == {"width": 7, "updates": 6}
    assert "extends" not in document


def test_a_file_that_extends_itself_is_refused(tmp_path):
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    with pytest.raises(DataError, match="extends itself"):
        read_document(tmp_path / "a.toml")


def test_systems_are_made_for_each_item_of_a_list(toy):
    experiment = toy.experiment("widths=3,4,5")
    names = [system.name for system in experiment.systems]
    assert names == ["base", "wide", "wide-3", "wide-4", "wide-5"]


def test_a_setting_keeps_its_kind(toy):
    scope = toy.experiment("updates=7", "rate=0.25", "languages=a, b c", "seeds=4").scope
    assert scope.text("{updates} {rate} {languages} {seeds}") == "7 0.25 a,b,c 4"
    assert toy.experiment("options.how=--x 'a b'").scope.words("{how}") == ["--x", "a b"]
    assert toy.experiment(profiles=["long"]).scope.text("{updates}") == "9"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("updates", "--set: expected NAME=VALUE, found 'updates'"),
        ("update=3", "--set: expected one of seeds, seeded, .*options.how, found 'update'"),
        ("options.what=3", "found 'options.what'"),
        ("updates=many", "updates: expected a whole number, found 'many'"),
        ("rate=x", "rate: expected a number, found 'x'"),
        ("seeds=1,x", "seeds: expected a whole number, found 'x'"),
        ("seeds=1 2 1", "seeds: expected each once, found 1, 2, 1"),
        ("seeds=", r"seeds: expected numbers from 0 on, found \[\]"),
        ("seeds=-1", r"seeds: expected numbers from 0 on, found \[-1\]"),
        ("seeded=best", "seeded: expected some of base, wide, wide-3, wide-5, found 'best'"),
        ("widths=a/b", "'wide-a/b' can't be the name of a system"),
        ("widths=3,3", "systems: expected each name once, found 'wide-3' again"),
    ],
)
def test_changes_that_cannot_work_are_refused(toy, change, message):
    with pytest.raises(GistError, match=message):
        toy.experiment(change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tittle = 1\n", "found 'tittle'"),
        (
            "[systems.more]\nwidht = 3\n",
            "systems.more: expected one of the settings, found 'widht'",
        ),
        (
            "[systems.more]\noptions.who = ''\n",
            "systems.more: expected one of the options, found 'who'",
        ),
        ("[systems.more]\nsteps = ['tune']\n", "systems.more.steps: expected some of data, train"),
        (
            "[systems.more]\nlike = 'other'\n",
            "systems.more.like: expected one of none, found 'other'",
        ),
        (
            "[systems.more]\neach = {x = 'xs'}\n",
            "systems.more.each: expected the name of a setting",
        ),
        (
            "[steps.more]\ncommand = 'x'\n",
            "steps.more: expected some of commands, .* found 'command'",
        ),
        (
            "[steps.more]\nmakes = 3\n",
            "steps.more.makes: expected text, or a list of texts, found 3",
        ),
        ("[steps.more]\nper = 'week'\n", "steps.more.per: expected run, seed or experiment"),
        ("[steps.more]\nshows = '('\n", "steps.more.shows: no regular expression"),
        ("[[tables]]\nname = 'x'\n", r"tables\[0\]: has no 'title'"),
        ("[[tables]]\nname = 3\n", r"tables\[0\].name: expected text, found 3"),
        ("[comparisons]\nbaseline = 'x'\n", "comparisons.baseline: expected some of base"),
        ("[comparisons]\npairs = ['x']\n", "comparisons.pairs: expected two systems, found 'x'"),
        ("[at_least]\nupdates = 3\n", "updates: expected a number from 3 on, found 2"),
        ("[at_least]\nlanguages = 3\n", "languages: expected 3 or more, found de, ro"),
        (
            "[required]\ncorpus = 'where the speech is'\n",
            "give --set corpus=...: where the speech is",
        ),
    ],
)
def test_descriptions_with_mistakes_are_refused(tmp_path, text, message):
    head, _, tail = text.partition("\n")
    is_top = not head.startswith("[")
    whole = f"{head}\n{TOML}" if is_top else f"{TOML}\n{head}\n{tail}"
    with pytest.raises(DataError, match=message):
        Toy(tmp_path, whole).experiment()


def test_profiles_that_there_are_not(toy):
    with pytest.raises(GistError, match="--profile: expected one of long, found 'short'"):
        toy.experiment(profiles=["short"])


def test_files_that_are_no_experiment(tmp_path):
    with pytest.raises(DataError, match="expected an experiment as TOML, found none"):
        read_document(tmp_path / "nothing.toml")
    (tmp_path / "x.toml").write_text("a = = b")
    with pytest.raises(DataError, match="expected an experiment as TOML, found none"):
        read_document(tmp_path / "x.toml")
