"""The described experiments say nothing that the commands they call don't know."""

import shlex
from pathlib import Path

import pytest
from fairseq import options

from fairseq_gist.cli.main import COMMANDS, parser_of
from fairseq_gist.experiments import (
    Choices,
    dry_run,
    experiment_of,
    read_document,
    with_profiles,
    with_settings,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
GIVEN = {
    "evidence/measured.toml": ["moments=1000", "units=layers.0.fc1,layer_norm"],
    "evidence/control.toml": [],
    "evidence/eight.toml": [],
    "evidence/groups.toml": [],
    "evidence/order.toml": [],
    "evidence/unequal.toml": [],
    "evidence/relatives.toml": [],
    "people/into-english.toml": ["packages=debs", "whisper=folder"],
    "people/czech.toml": ["packages=debs", "whisper=folder"],
    "quickstart/quickstart.toml": [],
    "table1/table1.toml": [],
    "time_to_loss/time_to_loss.toml": [],
    "table1/mustc.toml": ["data=mustc"],
    "low_resource/cldr.toml": [],
    "low_resource/iwslt.toml": ["corpus=iwslt"],
    "low_resource/seamless.toml": ["corpus=iwslt", "seamless=folder"],
}


def test_every_description_is_looked_at():
    found = {path.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.glob("*/*.toml")}
    in_parts = {"low_resource/gdps.toml", "people/whisper.toml"}  # these say neither data nor model
    assert found == {*GIVEN, *in_parts, "evidence/common.toml", "evidence/fair.toml"}


def sizes():
    """Return every description as it is, and with each of its profiles."""
    for name in GIVEN:
        yield name, []
        yield from (
            (name, [profile]) for profile in read_document(EXAMPLES / name).get("profiles", {})
        )


@pytest.mark.parametrize(("name", "profiles"), list(sizes()))
def test_every_command_is_one(name, profiles, tmp_path):
    document = with_settings(with_profiles(read_document(EXAMPLES / name), profiles), GIVEN[name])
    experiment = experiment_of(document, "example", str(tmp_path / "out"))
    called = set()
    for line in dry_run(experiment, Choices()).splitlines():
        tool, *words = shlex.split(line, comments=True) or [""]
        called.add(tool)
        if tool == "fairseq-gist":
            assert words[0] in COMMANDS
            parser_of(words[0]).parse_args(words)  # ends the test where an option is unknown
        elif tool == "fairseq-train":
            options.parse_args_and_arch(options.get_training_parser(), words)
        elif tool == "fairseq-generate":
            options.parse_args_and_arch(options.get_generation_parser(), words)
    # the quickstart's systems are translated with once their trials have been run
    comes_later = name.startswith(("evidence/", "time_to_loss/", "quickstart/"))
    generates = set() if comes_later else {"fairseq-generate"}
    assert {"fairseq-gist", "fairseq-train", *generates} <= called
