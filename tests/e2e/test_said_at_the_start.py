"""What is known before the first update is told then, and options that do nothing are named."""

import shutil

import pytest

WINDOW = ["--gradient-window=4", "--gradient-chunks=4"]


def test_a_frozen_encoder_is_no_news_at_the_split(train, tmp_path):
    frozen = ["--encoder-freezing-updates=6", r"--units=.*layers\.0\..*"]
    with pytest.raises(SystemExit, match="without gradients until update 6, .* from update 4 on"):
        train(tmp_path, "--max-update=8", "--differentiate-at=8", *WINDOW, *frozen)
    assert not list(tmp_path.glob("*.pt"))
    train(tmp_path, "--max-update=4", "--differentiate-at=10", *WINDOW, *frozen)


def test_options_without_a_split_are_named(train, tmp_path, caplog):
    train(tmp_path, "--max-update=1", "--size-budget=1.5", "--gradient-window=8")
    assert "without --differentiate-at --size-budget, --gradient-window does nothing" in caplog.text


def test_options_that_the_policy_does_not_read_are_named(train, tmp_path, caplog):
    """As ``fairseq-gist plan`` refuses them, which can tell what is given from defaults."""
    unread = ["--linkage=complete", "--size-budget=1.3", "--gdps-groups=2", "--sketch-dim=64"]
    split = ["--max-update=1", "--differentiate-at=8", "--gradient-window=8"]
    train(tmp_path / "a", *split, "--differentiate-by=attention", *unread)
    said = [text for text in caplog.messages if text.endswith("policy 'attention' doesn't read it")]
    flags, _ = said[0].split(" does nothing: ")
    assert len(said) == 1
    assert sorted(flags.split(", ")) == sorted(
        ["--linkage", "--size-budget", "--gdps-groups", "--sketch-dim", "--gradient-window"]
    )
    caplog.clear()
    train(tmp_path / "b", *split, "--gradient-chunks=4", "--linkage=complete", "--sketch-dim=64")
    assert "does nothing" not in caplog.text
    train(tmp_path / "c", *split, "--gradient-chunks=4", "--gdps-groups=2")
    assert "--gdps-groups does nothing: policy 'gradient' doesn't read it" in caplog.text


def test_options_changed_after_the_split_are_named(train, tmp_path, caplog):
    split = ["--differentiate-at=4", *WINDOW]
    train(tmp_path, "--max-update=5", *split, "--size-budget=1.5")
    assert "does nothing" not in caplog.text
    train(tmp_path, "--max-update=6", *split, "--size-budget=1.5")
    assert "does nothing" not in caplog.text
    train(tmp_path, "--max-update=7", *split, "--size-budget=2.0")
    assert "--size-budget 2.0 does nothing: the model was split by 1.5, before" in caplog.text


def test_a_budget_with_room_for_everything_is_told(train, tmp_path, caplog):
    options = ["--max-update=1", "--differentiate-at=8", *WINDOW]
    train(tmp_path / "enough", *options, "--size-budget=9")
    assert "all of them are split and nothing is decided; give less" in caplog.text
    caplog.clear()
    train(tmp_path / "tight", *options, "--size-budget=1.5")
    assert "nothing is decided" not in caplog.text


def with_few_of_romanian(data, folder, count):
    """Copy the data, but for ``count`` rows of Romanian training data."""
    shutil.copytree(data, folder)
    manifest = folder / "train.tsv"
    lines = manifest.read_text(encoding="utf-8").splitlines(keepends=True)
    place = lines[0].rstrip("\n").split("\t").index("tgt_lang")
    own = [line for line in lines if line.rstrip("\n").split("\t")[place] == "ro"]
    assert len(own) > count
    kept = [line for line in lines if line not in own[count:]]
    manifest.write_text("".join(kept), encoding="utf-8")
    return str(folder)


def test_a_language_without_training_data_is_no_news_at_the_split(train, data, tmp_path):
    own = [with_few_of_romanian(data, tmp_path / "data", 0), "--max-update=8"]
    with pytest.raises(SystemExit, match="subset 'train' has no row of ro, and nothing can be"):
        train(tmp_path / "run", *own, "--differentiate-at=6", *WINDOW, replace_data=True)
    assert not list((tmp_path / "run").glob("*.pt"))


def test_a_language_with_too_few_rows_is_no_news_at_the_split(train, data, tmp_path):
    """Its one row is in one batch of an epoch, which four updates don't come by."""
    own = [with_few_of_romanian(data, tmp_path / "data", 1), "--max-update=1"]
    with pytest.raises(SystemExit, match="too few rows of ro: .* updates 3 to 6, whose gradients"):
        train(tmp_path / "run", *own, "--differentiate-at=6", *WINDOW, replace_data=True)
    assert not list((tmp_path / "run").glob("*.pt"))
    window = ["--gradient-window=40", "--gradient-chunks=4"]
    train(tmp_path / "run", *own, "--differentiate-at=41", *window, replace_data=True)


def test_an_utterance_longer_than_a_batch_is_no_news_at_the_split(train, tmp_path):
    options = ["--max-update=8", "--differentiate-at=6", "--gradients-from=multiway"]
    with pytest.raises(SystemExit, match=r"has \d+ frames, and a batch may have 50; raise --max"):
        train(tmp_path, *options, "--gradient-chunks=4", "--max-tokens-valid=50")
    assert not list(tmp_path.glob("*.pt"))
