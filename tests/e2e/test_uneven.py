"""Languages of unequal data: one recording, translated into some languages and not into others."""

from collections import Counter

import pytest

from fairseq_gist.cli.main import main as gist
from fairseq_gist.data.multiway import group_by_audio
from fairseq_gist.surgery.plan_buffer import plan_in_state
from tests.e2e.helpers import build

LANGUAGES = ["cs", "pl", "sk", "uk"]


@pytest.fixture(scope="module")
def uneven(tmp_path_factory):
    root = tmp_path_factory.mktemp("uneven")
    options = ["--size=tiny", "--languages=cs,pl,sk,uk", "--sizes=sk=12,uk=5", "--workers=1"]
    assert gist(["corpus", "cldr", str(root), *options]) == 0
    assert gist(["prepare", str(root), "--vocab-size=200", "--workers=1"]) == 0
    return root / "fairseq"


def test_an_utterance_is_encoded_once_with_the_languages_that_it_has(uneven):
    task, _, _ = build(uneven, "--multiway-batches")
    rows = task.reader().read("train", is_train=True, multiway=True)
    assert Counter(map(len, group_by_audio(rows.rows.subsets[0].audio_paths))) == {
        2: 28,
        3: 7,
        4: 5,
    }
    seen, shapes = Counter(), Counter()
    for batch in rows.batch_by_size(rows.epoch_indices(), max_tokens=2000):
        sample = rows.collater([rows[index] for index in batch])
        own = sample["net_input"]
        assert own["src_tokens"].size(0) == len(batch)
        seen.update(own["lang_ids"].tolist())
        shapes.update(Counter(own["utterances"].tolist()).values())
    assert {task.languages[index]: count for index, count in seen.items()} == {
        "cs": 40,
        "pl": 40,
        "sk": 12,
        "uk": 5,
    }
    assert shapes == {2: 28, 3: 7, 4: 5}


def test_a_model_is_split_by_gradients_of_incomplete_utterances(uneven, train, tmp_path):
    run = train(
        tmp_path,
        str(uneven),
        "--multiway-batches",
        "--max-update=8",
        "--differentiate-at=6",
        "--gradient-window=6",
        "--gradient-chunks=4",
        replace_data=True,
    )
    losses = [step.loss for step in run.steps]
    assert losses[-1] < losses[0]
    plan = plan_in_state(run.load()["model"])
    assert list(plan.languages) == LANGUAGES
    assert not plan.is_shared
