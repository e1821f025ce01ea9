"""The languages of a folder of manifests, as fairseq's own scripts leave them."""

import pytest
from fairseq.data import Dictionary
from fairseq.data.audio.data_cfg import S2TDataConfig

from fairseq_gist.data.manifest import ManifestReader, languages_in
from fairseq_gist.errors import DataError

STOCK = "id\taudio\tn_frames\ttgt_text\tspeaker"


@pytest.fixture
def manifests(tmp_path):
    def write(columns, *names):
        for name, values in names:
            row = "\t".join(["0", "fbank80.zip:0:9", "9", "text", "me", *values])
            (tmp_path / f"{name}.tsv").write_text(f"{columns}\n{row}\n", encoding="utf-8")
        return str(tmp_path), ",".join(name for name, _ in names)

    return write


def test_of_covost(manifests):
    data = manifests(STOCK, ("train_st_fr_en", []), ("train_st_zh-CN_en", []))
    assert languages_in(*data, "src") == ["fr", "zh-CN"]
    assert languages_in(*data, "tgt") == ["en"]
    assert languages_in(*data, "pair") == ["fr-en", "zh-CN-en"]


def test_of_mtedx(manifests):
    names = [("train_es-en_st", ["en"]), ("train_es-fr_st", ["fr"]), ("train_fr-en_st", ["en"])]
    data = manifests(f"{STOCK}\ttgt_lang", *names)
    assert languages_in(*data, "src") == ["es", "fr"]
    assert languages_in(*data, "tgt") == ["en", "fr"]
    assert languages_in(*data, "pair") == ["es-en", "es-fr", "fr-en"]


def test_of_mustc(manifests):
    data = manifests(STOCK, ("train_de_st", []), ("train_ru_st", []))
    assert languages_in(*data, "tgt") == ["de", "ru"]
    with pytest.raises(DataError, match="train_de_st.tsv, line 2: .* says the target language"):
        languages_in(*data, "src")


def test_a_byte_order_mark_hides_no_column(tmp_path):
    content = "\ufefftgt_lang\tid\nde\t0\n"
    (tmp_path / "train.tsv").write_text(content, encoding="utf-8")
    assert languages_in(str(tmp_path), "train", "tgt") == ["de"]


@pytest.mark.parametrize(
    ("subset", "key", "languages", "target"),
    [
        ("train_st_fr_en", "src", ["de", "fr"], "en"),
        ("train_st_fr_de", "pair", ["fr-de", "fr-en"], "de"),
        ("train_fr-de_st", "src", ["fr"], "de"),
    ],
)
def test_the_tag_is_that_of_the_target_in_the_name(
    manifests, tmp_path, subset, key, languages, target
):
    data, _ = manifests(STOCK, (subset, []))
    (tmp_path / "config.yaml").write_text(
        "prepend_tgt_lang_tag: true\naudio_root: .\n", encoding="utf-8"
    )
    dictionary = Dictionary()
    for tag in ("de", "en"):
        dictionary.add_symbol(f"<lang:{tag}>")
    config = S2TDataConfig(tmp_path / "config.yaml")
    reader = ManifestReader(data, config, dictionary, languages, None, None, None, 1, key)
    assert reader.read(subset, is_train=False).rows.tgt_langs == [target]
    manifests(STOCK, ("train_fr", []))
    reader = ManifestReader(data, config, dictionary, ["fr"], None, None, None, 1, "src")
    with pytest.raises(
        DataError, match="train_fr.tsv, line 2: .* which is in no column 'tgt_lang'"
    ):
        reader.read("train_fr", is_train=False)
