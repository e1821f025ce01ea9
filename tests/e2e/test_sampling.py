"""Languages with more and with less data: which rows training sees, and in what batches."""

import logging
import math
from collections import Counter

import pytest

from fairseq_gist.data.multiway import group_by_audio
from fairseq_gist.gradients.statistics import GradientStatistics
from fairseq_gist.tasks.gist_speech_to_text import GistSpeechToTextTask
from tests.e2e.conftest import assert_same_tensors
from tests.e2e.helpers import build

COUNTS = {"de": 40, "es": 20, "fr": 10, "ru": 4}
LANGUAGES = f"--languages={','.join(COUNTS)}"
SUBSETS = ",".join(f"train_{language}" for language in COUNTS)


def copy_manifests(data, folder, keep):
    """Give ``folder`` the rows of ``data`` for which ``keep(language, number)``."""
    folder.mkdir()
    for file in data.glob("spm_*"):
        (folder / file.name).write_bytes(file.read_bytes())
    configuration = (data / "config_st.yaml").read_text(encoding="utf-8")
    (folder / "config_st.yaml").write_text(configuration, encoding="utf-8")
    for manifest in data.glob("*.tsv"):
        header, *rows = manifest.read_text(encoding="utf-8").splitlines()
        numbers = Counter()
        kept = [header]
        for row in rows:
            language = row.split("\t")[-1]
            if keep(manifest.stem, language, numbers[language]):
                kept.append(row)
            numbers[language] += 1
        (folder / manifest.name).write_text("\n".join(kept) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def uneven(data, tmp_path_factory):
    """Four languages with 40, 20, 10 and 4 rows to train on, mixed and one by one."""

    def keep(subset, language, number):
        rows = COUNTS.get(language, 0)
        return number < rows if subset.startswith("train") else rows > 0

    folder = tmp_path_factory.mktemp("uneven") / "data"
    copy_manifests(data, folder, keep)
    return folder


@pytest.fixture
def batches(monkeypatch):
    """Keep what training sees: rows and languages of every batch."""
    seen = []
    original = GistSpeechToTextTask.train_step

    def train_step(self, sample, *args, **kwargs):
        languages = [self.languages[i] for i in sample["net_input"]["lang_ids"].tolist()]
        seen.append((sample["id"].tolist(), languages))
        return original(self, sample, *args, **kwargs)

    monkeypatch.setattr(GistSpeechToTextTask, "train_step", train_step)
    return seen


def fit(train, uneven, folder, *options, subset="train", tokens=6000, workers=0):
    return train(
        folder, str(uneven), LANGUAGES, f"--num-workers={workers}", "--disable-validation",
        *options, replace_data=True,
        recipe_changes={"--train-subset": subset, "--max-tokens": tokens},
    )  # fmt: skip


def epochs_of(batches, lengths):
    """Return the batches of each epoch, told by how many rows an epoch has."""
    epochs = [[]]
    for batch in batches:
        if sum(len(ids) for ids, _ in epochs[-1]) == lengths:
            epochs.append([])
        epochs[-1].append(batch)
    return epochs


def expected(temperature):
    """Return rows of each language in an epoch as long as the data."""
    weights = {language: count ** (1 / temperature) for language, count in COUNTS.items()}
    total = sum(COUNTS.values())
    return {
        language: round(total * weight / sum(weights.values()))
        for language, weight in weights.items()
    }


@pytest.mark.parametrize(
    ("subset", "homogeneous", "temperature"),
    [("train", False, 3), (SUBSETS, False, math.inf), ("train", True, math.inf)],
    ids=["one mixed subset", "a subset for each", "homogeneous"],
)
def test_an_epoch_has_the_sampled_share_of_every_language(
    train, uneven, tmp_path, batches, subset, homogeneous, temperature
):
    options = ["--homogeneous-batches"] if homogeneous else []
    fit(
        train, uneven, tmp_path, f"--sampling-temperature={temperature}", "--max-epoch=2",
        *options, subset=subset,
    )  # fmt: skip
    share = expected(temperature)
    epochs = epochs_of(batches, sum(share.values()))
    assert len(epochs) == 2
    rows_of_epoch = []
    for epoch in epochs:
        assert Counter(one for _, languages in epoch for one in languages) == share
        of = {row: one for ids, languages in epoch for row, one in zip(ids, languages)}
        times = Counter(row for ids, _ in epoch for row in ids)
        rows_of_epoch.append(times)
        for language, count in COUNTS.items():
            seen = [times[row] for row, one in of.items() if one == language]
            assert len(seen) == min(count, share[language])
            assert max(seen) - min(seen) <= 1
        if homogeneous:
            assert all(len(set(languages)) == 1 for _, languages in epoch)
            assert all(len(set(ids)) == len(ids) for ids, _ in epoch)
    assert rows_of_epoch[0] != rows_of_epoch[1]


def test_utterances_keep_the_sampled_share_of_their_translations(train, uneven, tmp_path, batches):
    fit(
        train, uneven, tmp_path, "--sampling-temperature=2", "--max-epoch=2",
        "--multiway-batches", "--max-target-tokens=400",
    )  # fmt: skip
    # the smallest language is seen whole and no row twice; the others by the roots of their rows
    share = {one: round(4 * math.sqrt(count / 4)) for one, count in COUNTS.items()}
    epochs = epochs_of(batches, sum(share.values()))
    assert len(epochs) == 2
    drawn = []
    for epoch in epochs:
        assert Counter(one for _, languages in epoch for one in languages) == share
        rows = [row for ids, _ in epoch for row in ids]
        assert len(set(rows)) == len(rows)
        drawn.append(set(rows))
    assert drawn[0] != drawn[1]


def test_a_batch_of_utterances_keeps_to_its_target_tokens(uneven):
    task, _, _ = build(uneven, LANGUAGES)
    rows = task.reader().read("train", True, multiway=True, max_target_tokens=60, temperature=2.0)
    for epoch in (1, 2):
        iterator = task.get_batch_iterator(rows, max_tokens=4000, epoch=epoch)
        longest = 0
        for batch in iterator.next_epoch_itr():
            utterances = len(batch["net_input"]["src_lengths"])
            assert batch["target"].numel() <= 60 or utterances == 1
            assert len(set(batch["net_input"]["utterances"].tolist())) == utterances
            longest = max(longest, utterances)
        assert longest > 1


def test_a_row_seen_again_is_augmented_anew(uneven):
    task, _, _ = build(uneven, LANGUAGES)
    rows = task.reader().read("train", True, temperature=math.inf)
    rows.set_epoch(1)
    indices = rows.epoch_indices()
    again = int(indices[indices >= len(rows)][0])
    first, second = (rows[code] for [code] in rows.with_epoch([[again % len(rows)], [again]], 1))
    assert first.index == second.index
    assert (first.target == second.target).all()
    assert not (first.source == second.source).all()


@pytest.mark.parametrize("kind", [{}, {"homogeneous": True}, {"multiway": True}])
def test_a_temperature_of_one_changes_no_batch(uneven, kind):
    task, _, _ = build(uneven, LANGUAGES)
    composed = []
    for options in ({}, {"temperature": 1.0}, {"temperature": 2.0}):
        rows = task.reader().read("train", True, **kind, **options)
        iterator = task.get_batch_iterator(rows, max_tokens=4000, epoch=2)
        composed.append(iterator.frozen_batches)
    assert composed[0] == composed[1]
    assert composed[0] != composed[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "tokens"),
    [([], 3000), (["--multiway-batches"], 1000)],
    ids=["rows", "utterances"],
)
def test_resumed_equals_uninterrupted(train, uneven, tmp_path, kind, tokens):
    """Stopped in the second epoch, and again between it and the third; a process loads rows."""

    def run(name, until):
        return fit(
            train, uneven, tmp_path / name, "--sampling-temperature=4", until, *kind,
            tokens=tokens, workers=1,
        )  # fmt: skip

    whole = run("whole", "--max-epoch=3")
    first = run("resumed", f"--max-update={len(whole.steps) // 2}")
    place = first.load()["extra_state"]["train_iterator"]
    assert place["epoch"] == 2
    assert place["iterations_in_epoch"] > 0
    second = run("resumed", "--max-epoch=2")
    assert second.load()["extra_state"]["train_iterator"]["epoch"] == 3
    third = run("resumed", "--max-epoch=3")
    assert third.steps
    assert first.steps + second.steps + third.steps == whole.steps
    assert_same_tensors(third.load()["model"], whole.load()["model"])


def put_alpha(uneven, folder, alpha):
    copy_manifests(uneven, folder, lambda *_: True)
    with (folder / "config_st.yaml").open("a", encoding="utf-8") as file:
        file.write(f"sampling_alpha: {alpha}\n")
    return folder


def test_the_data_configuration_is_honoured_and_the_option_wins(train, uneven, tmp_path, caplog):
    halved = put_alpha(uneven, tmp_path / "data", 0.5)
    options = ["--max-update=3"]
    caplog.set_level(logging.INFO, "fairseq_gist")
    two = fit(train, uneven, tmp_path / "2", "--sampling-temperature=2", *options)
    [summary] = [line for line in caplog.messages if line.startswith("sampling ")]
    assert summary.startswith(
        "sampling 'train' at temperature 2: de 40 rows, 54.1% -> 39.2% of an epoch, 29 rows; "
    )
    alpha = fit(train, halved, tmp_path / "alpha", *options)
    assert alpha.steps == two.steps

    caplog.clear()
    one = fit(train, halved, tmp_path / "1", "--sampling-temperature=1", *options)
    assert (
        "--sampling-temperature 1 takes the place of sampling_alpha 0.5 in config_st.yaml"
        in caplog.messages
    )
    assert one.steps == fit(train, uneven, tmp_path / "0", *options).steps


def test_only_training_is_sampled(train, uneven, tmp_path):
    """Statistics of held-out data, even of uneven data, are of all its rows."""
    (tmp_path / "data").mkdir()
    folder = tmp_path / "data" / "of"
    copy_manifests(uneven, folder, lambda *_: True)
    (folder / "held_out.tsv").write_bytes((folder / "train.tsv").read_bytes())
    tokens = []
    for temperature in (1, math.inf):
        path = tmp_path / f"{temperature}.npz"
        fit(
            train, folder, tmp_path / str(temperature), "--max-update=2", "--differentiate-at=2",
            "--gradients-from=held_out", "--gradient-chunks=4",
            f"--save-gradient-statistics={path}", f"--sampling-temperature={temperature}",
        )  # fmt: skip
        tokens.append(GradientStatistics.load(path).probe_tokens)
    assert (tokens[0] == tokens[1]).all()


def test_a_training_subset_that_is_translated_has_all_its_rows(uneven):
    task, _, _ = build(uneven, LANGUAGES, "--sampling-temperature=inf")
    task.load_dataset("train")
    rows = task.datasets["train"]
    assert sorted(rows.ordered_indices()) == list(range(sum(COUNTS.values())))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sampling-temperature=0.5"], "--sampling-temperature: expected 1 .* found 0.5"),
        (["--sampling-temperature=nan"], "--sampling-temperature: expected 1 .* found nan"),
    ],
)
def test_a_useless_temperature_is_refused(train, uneven, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        fit(train, uneven, tmp_path / "run", *options, "--max-update=1")
    assert not list(tmp_path.glob("**/*.pt"))


def test_an_alpha_above_one_is_refused(train, uneven, tmp_path):
    folder = put_alpha(uneven, tmp_path / "data", 1.5)
    with pytest.raises(SystemExit, match="the YAML's sampling_alpha: .* found 1.5; correct it"):
        fit(train, folder, tmp_path / "run", "--max-update=1")


def test_data_without_languages_is_refused(train, uneven, tmp_path):
    folder = tmp_path / "data"
    copy_manifests(uneven, folder, lambda *_: True)
    for name in ("config_st.yaml", "spm_unigram300_st.txt"):
        text = (folder / name).read_text(encoding="utf-8")
        text = text.replace("prepend_tgt_lang_tag: true", "prepend_tgt_lang_tag: false")
        kept = [line for line in text.splitlines() if not line.startswith("<lang:")]
        (folder / name).write_text("\n".join(kept) + "\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="the data has no languages to sample by"):
        train(
            tmp_path / "run", str(folder), "--max-update=1", "--sampling-temperature=2",
            replace_data=True, drop=["--ignore-prefix-size"],
        )  # fmt: skip


def test_utterances_of_uneven_data_are_whole_where_nothing_is_sampled(uneven):
    task, _, _ = build(uneven, LANGUAGES)
    rows = task.reader().read("train", True, multiway=True)
    audio = [path for subset in rows.rows.subsets for path in subset.audio_paths]
    assert [rows.rows_of(u, 3) for u in range(len(rows))] == group_by_audio(audio)
