"""What a vocabulary makes of the references."""

# ruff: noqa: RUF001 - full-width characters are what this is about

import pytest

pytest.importorskip("sentencepiece")

from sacrebleu.metrics import CHRF

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.ceiling import ceilings
from fairseq_gist.preparing.vocabulary import NORMALIZATIONS, train_vocabulary

CHINESE = ["他说：“今天（星期五）很冷！”", "你好，世界。", "什么？没有；真的。", "一二三四"]
PLAIN = ["他说:“今天(星期五)很冷!”", "你好,世界。", "什么?没有;真的。", "一二三四"]
GERMAN = ["der  Hund sah\u00a0uns", "die Katze"]


@pytest.fixture
def texts():
    return {"zh": CHINESE, "de": GERMAN}


def fit(folder, normalization, texts):
    """The largest vocabulary that there can be is one of all characters."""
    lines = [line for each in texts.values() for line in each]
    for size in range(80, 10, -1):
        try:
            stem = train_vocabulary(lines, folder, size, "char", (), "st", normalization)
        except DataError:
            continue
        return folder / f"{stem}.model"
    raise AssertionError("no size fits")


def test_full_width_punctuation_is_counted_with_its_chrf(tmp_path, texts):
    found = ceilings(fit(tmp_path, "nmt_nfkc", texts), texts)
    assert list(found) == ["zh"]  # white space is nothing that scores look at
    assert (found["zh"].lines, found["zh"].changed, found["zh"].lacking) == (4, 3, 0)
    assert found["zh"].chrf == round(CHRF().corpus_score(PLAIN, [CHINESE]).score, 2) < 90


def test_a_vocabulary_that_keeps_text_has_no_ceiling(tmp_path, texts):
    assert ceilings(fit(tmp_path, "identity", texts), texts) == {}


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_characters_that_are_not_in_it_are_lost(tmp_path, texts, normalization):
    model = fit(tmp_path, normalization, {"de": GERMAN})
    found = ceilings(model, {**texts, "de": [*GERMAN, "der Hund sähe"]})
    assert (found["de"].lines, found["de"].changed, found["de"].lacking) == (3, 1, 1)
    assert found["zh"].changed == found["zh"].lacking == 4
    assert 0 <= found["zh"].chrf < 10
