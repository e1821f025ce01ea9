"""What a subset's name says."""

import pytest

from fairseq_gist.languages.names import Named, named_languages


def target(one):
    return Named(one=one, is_target=True)


@pytest.mark.parametrize(
    ("subset", "named"),
    [
        # fairseq's MuST-C script, joint and not
        ("train_de_st", [target("de")]),
        ("tst-COMMON_pt_st", [target("pt")]),
        ("tst-HE_ro_st", [target("ro")]),
        ("train_de_asr", []),
        ("train_st", []),
        ("train_asr", []),
        # its mTEDx script
        ("train_es-en_st", [Named("es", "en")]),
        ("valid_el-en_st", [Named("el", "en")]),
        ("test_fr-es_st", [Named("fr", "es")]),
        ("train_de-de_asr", [Named("de", "de")]),
        ("train_es-en_asr", [Named("es")]),
        # its CoVoST script
        ("train_st_fr_en", [Named("fr", "en")]),
        ("dev_st_en_zh-CN", [Named("en", "zh-CN")]),
        ("test_st_sv-SE_en", [Named("sv-SE", "en")]),
        ("train_asr_zh-CN", [Named("zh-CN", "zh-CN")]),
        # ours
        ("train_de", [Named(one="de")]),
        ("tst-COMMON_cmn_Hant", [Named(one="cmn_Hant")]),
        ("dev_pt-BR", [Named(one="pt-BR")]),
        # others
        ("my_train_aeb", [Named(one="aeb")]),
        ("my_dev_de", [Named(one="de")]),
        ("train_zh_CN", [Named(one="zh_CN")]),
        ("train_zho_Hant_TW-deu_Latn", [Named("zho_Hant_TW", "deu_Latn")]),
        ("train_pt-BR_st", [target("pt-BR")]),
        ("train_st_st", [target("st")]),
        ("train_de-informal", [Named(one="de-informal")]),
        ("train_pt-br", [Named(one="pt-br"), Named("pt", "br")]),
        ("train_fr_en", [Named(one="en"), Named("fr", "en")]),
        ("train_pt_br", [Named(one="br"), Named(one="pt_br"), Named("pt", "br")]),
        ("train", []),
        ("tst-COMMON", []),
        ("train_clean", []),
        ("train-clean-100", []),
        ("_de", []),
        ("", []),
        ("_", []),
    ],
)
def test_what_a_name_says(subset, named):
    assert list(named_languages(subset)) == named
