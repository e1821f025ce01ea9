"""An experiment of shell commands that take no time."""

from __future__ import annotations

from fairseq_gist.experiments import (
    Choices,
    conduct,
    experiment_of,
    read_document,
    with_profiles,
    with_settings,
)

TOML = """
title = "A toy"
always = ["base"]

[settings]
seeds = [1, 2]
seeded = ["wide"]
widths = ["3", "5"]
updates = 2
rate = 0.5
word = "plain"
languages = ["de", "ro"]
folder = "{out}/{system}-{seed}"
start = "{out}/base-{seed}/model"
train_from = ["{start}"]
scores = "{out}/scores/{system}-{seed}.json"
width = 1

[options]
how = "--updates {updates} --word {word}"

[defaults]
steps = ["train", "score"]
goals = ["score"]

[steps.data]
per = "experiment"
commands = "sh -c 'echo data > {out}/data'"
makes = "{out}/data"

[steps.train]
commands = ["sh -c 'echo $* >> {folder}/model' train {how} --width {width}", "touch {folder}/left"]
needs = ["{out}/data", "{*train_from}"]
makes = "{folder}/model"
removes = "{folder}/lef*"
log = "{folder}/train.log"

[steps.score]
commands = '''
sh -c 'echo "{{\\"size\\": $(wc -c <{folder}/model), \\"width\\": {width}}}" >{scores}'
'''
needs = "{folder}/model"
makes = "{scores}"

[systems.base]
train_from = []

[systems.wide]
width = 7

[systems."wide-{size}"]
each = { size = "widths" }
width = "{size}"

[results]
file = "{scores}"
figures = { size = "size", width = "width" }

[profiles.long.settings]
updates = 9
"""


class Toy:
    """The experiment in a folder, done as often as asked for."""

    def __init__(self, folder, text=TOML):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.file = folder / "toy.toml"
        self.file.write_text(text, encoding="utf-8")
        self.out = folder / "out"
        self.said = []
        self.shown = []

    def experiment(self, *changes, profiles=()):
        document = with_profiles(read_document(self.file), profiles)
        return experiment_of(with_settings(document, changes), "toy", str(self.out))

    def do(self, *changes, **how):
        """Go through it; gives the steps that were done."""
        self.said.clear()
        conduct(self.experiment(*changes), Choices(**how), self.said.append, self.shown.append)
        return [line[3:] for line in self.said if line.startswith("== ")]
