"""Descriptions: what they extend, what the caller changes, what is refused."""

from __future__ import annotations

import copy

import pytest

from fairseq_gist.errors import DataError, GistError
from fairseq_gist.experiments import (
    Choices,
    dry_run,
    experiment_of,
    read_document,
    with_profiles,
    with_settings,
)
from fairseq_gist.experiments.kinds import check_kinds
from tests.unit.experiments.toy import TOML, Toy


def test_a_file_says_only_what_it_changes(toy, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        'extends = "toy.toml"\n[settings]\nupdates = 5\n[systems.wide]\nupdates = 6\n',
        encoding="utf-8",
    )
    document = read_document(own)
    assert document["settings"]["updates"] == 5
    assert document["settings"]["word"] == "plain"
    assert document["systems"]["wide"] == {"width": 7, "updates": 6}
    assert "extends" not in document


def test_folders_are_where_the_file_is_that_names_them(tmp_path):
    base = tmp_path / "it's {a} base" / "toy.toml"
    base.parent.mkdir()
    folders = 'folders = { scripts = "../scripts", here = "." }\n'
    base.write_text(folders + TOML, encoding="utf-8")
    own = tmp_path / "own" / "own.toml"
    own.parent.mkdir()
    own.write_text(
        f'extends = "../{base.parent.name}/toy.toml"\n'
        '[profiles.moved.folders]\nscripts = "scripts"\n'
        '[steps.train]\ncommands = "sh {scripts}/train.sh {here}"\n',
        encoding="utf-8",
    )
    expected = {(): tmp_path / "scripts", ("moved",): own.parent / "scripts"}
    for profiles, scripts in expected.items():
        experiment = experiment_of(with_profiles(read_document(own), profiles), "own")
        (command,) = experiment.steps["train"].commands
        words = experiment.scope.words(command)
        assert words == ["sh", f"{scripts}/train.sh", str(base.parent)]


def test_a_file_that_extends_itself_is_refused(tmp_path):
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n', encoding="utf-8")
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n', encoding="utf-8")
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
            "[kinds.k]\nlike = 'other'\n[systems.more]\nlike = 'k'\n",
            "kinds.k.like: expected one of k, found 'other'",
        ),
        (
            "[kinds.k]\nlike = 'l'\n[kinds.l]\nlike = 'k'\n[systems.more]\nlike = 'k'\n",
            "kinds.l.like: expected another kind, found 'k', which needs it",
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
        (
            "[systems.done]\nwidth = 3\n",
            "systems: 'done' can't be the name of a system: every experiment has a folder",
        ),
        ("[systems.Logs]\nwidth = 3\n", "systems: 'Logs' can't be the name of a system"),
        ("[steps.more]\nper = 'week'\n", "steps.more.per: expected run, seed or experiment"),
        ("[steps.more]\nshows = '('\n", "steps.more.shows: no regular expression"),
        ("[[tables]]\nname = 'x'\n", r"tables\[0\]: has no 'title'"),
        ("[[tables]]\nname = 3\n", r"tables\[0\].name: expected text, found 3"),
        ("[comparisons]\nbaseline = 'x'\n", "comparisons.baseline: expected some of base"),
        ("[comparisons]\npairs = ['x']\n", "comparisons.pairs: expected two systems, found 'x'"),
        ("[at_least]\nupdates = 3\n", "updates: expected a number from 3 on, found 2"),
        ("[at_least]\nlanguages = 3\n", "settings.languages: expected 3 or more, found de, ro"),
        (
            "[at_least]\nlanguages = 1\n[profiles.none.settings]\nlanguages = []",
            "^toy: settings.languages: expected 1 or more, found none$",
        ),
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
    profiles = ["none"] if "profiles.none" in text else []
    with pytest.raises(DataError, match=message):
        Toy(tmp_path, whole).experiment(profiles=profiles)


def test_a_kind_may_be_like_another(toy):
    more = """
        [kinds.wide]
        width = 7
        options.how = "wide"
        [kinds.wider]
        like = "wide"
        width = 9
        [systems.more]
        like = "wider"
        updates = 2
    """
    toy.file.write_text(TOML + more, encoding="utf-8")
    (own,) = [one for one in toy.experiment().systems if one.name == "more"]
    assert (own.values["width"], own.options["how"], own.values["updates"]) == (9, "wide", 2)


WRONG = (7, -1.5, True, "x y", [], [7], ["x"], [[]], [{}], {}, {"x": 7}, {"x": []}, {"x": {}})


def test_a_value_of_another_kind_is_one_line_wherever_it_stands(toy):
    """Whatever is put in the place of any value, it works or is refused by name."""
    more = """
        [environment]
        A = "b"
        [at_least]
        updates = 1
        [kinds.k]
        width = 3
        [systems.more]
        like = "k"
        options.how = "x"
        [steps.more]
        each = {w = "widths"}
        per = "seed"
        commands = "true"
        makes = "{out}/more-{seed}-{w}"
        [required]
        word = "what"
        [comparisons]
        baseline = "base"
        pairs = [["wide-*", "base"]]
        [[twins]]
        file = "{folder}/plan.json"
        key = "signature"
        before = "train"
        [[closing]]
        command = "echo {files}"
        each = {w = "widths"}
        [costs]
        said = "much"
    """
    toy.file.write_text(TOML + more, encoding="utf-8")
    document = read_document(toy.file)
    refused = []
    for place in _places(document):
        for wrong in WRONG:
            changed = copy.deepcopy(document)
            _put(changed, place, wrong)
            try:
                check_kinds(changed, "x.toml")
                whole = with_settings(with_profiles(changed, ["long"]), [])
                dry_run(experiment_of(whole, "x", str(toy.out)), Choices())
            except GistError as error:
                refused.append(str(error))
    assert len(refused) > 500
    assert not [message for message in refused if "\n" in message]


def _places(value, before=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*before, key)
        if isinstance(item, (dict, list)):
            yield from _places(item, (*before, key))


def _put(document, place, value):
    for key in place[:-1]:
        document = document[key]
    document[place[-1]] = value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = 7", r"x.toml: steps: expected a table, found 7"),
        ("[settings]\nx = true", r"x.toml: settings.x: expected text, a number or a list of these"),
        ("[settings]\nx = {}", r"x.toml: settings.x: expected text, a number or a list of these"),
        ("[options]\nx = 3", r"x.toml: options.x: expected text, found 3"),
        ("[folders]\nx = 3", r"x.toml: folders.x: expected text, found 3"),
        ("[environment]\n'A=B' = 'x'", r"x.toml: environment: expected names without '='"),
        ('[environment]\nA = "\\u0000"', r"environment: expected names .* values without NUL"),
        ("[at_least]\nx = nan", r"x.toml: at_least.x: expected a number, found nan"),
        (
            "[systems.a]\nsteps = 'train'",
            r"systems.a.steps: expected a list of texts, found 'train'",
        ),
        ("[tables]\nname = 'x'", r"x.toml: tables: expected tables, each under \[\[tables\]\]"),
        ("[profiles.long]\nout = 3", r"x.toml: profiles.long.out: expected text, found 3"),
        ("out = [" + "'y'," * 99 + "]", r"x.toml: out: expected text, found .{60}\.\.\.$"),
    ],
)
def test_values_of_another_kind_are_named_with_their_file(tmp_path, text, message):
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_document(tmp_path / "x.toml")


def test_a_description_without_seeds_is_told_so(tmp_path):
    (tmp_path / "x.toml").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="x: settings: has no 'seeds', a list of numbers"):
        experiment_of(read_document(tmp_path / "x.toml"), "x")


def test_profiles_that_there_are_not(toy):
    with pytest.raises(GistError, match="--profile: expected one of long, found 'short'"):
        toy.experiment(profiles=["short"])


def test_files_that_are_no_experiment(tmp_path):
    with pytest.raises(DataError, match="expected an experiment as TOML, found none"):
        read_document(tmp_path / "nothing.toml")
    (tmp_path / "x.toml").write_text("a = = b", encoding="utf-8")
    with pytest.raises(DataError, match="expected an experiment as TOML, found none"):
        read_document(tmp_path / "x.toml")
