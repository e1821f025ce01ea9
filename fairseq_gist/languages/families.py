"""Families of languages: which of them are related, as far as codes tell."""

from __future__ import annotations

import functools
from typing import Dict, List, Mapping, Sequence

from fairseq_gist.languages.codes import base_code, readings

__all__ = ["FAMILIES", "families_of"]

FAMILIES: Mapping[str, str] = {
    "Germanic": "af als bar da de en fo fy gsw is ksh lb li nb nds nl nn no sco stq sv yi",
    "Romance": "an ast ca co es ext fr frp fur gl ht it la lad lij lld lmo mwl nap oc pms pt rm ro "
    "rup sc scn vec wa",
    "Slavic": "be bg bs cs csb cu dsb hr hsb mk pl ru rue sh sk sl sr szl uk",
    "Baltic": "ltg lt lv sgs",
    "Celtic": "br cy ga gd gv kw",
    "Hellenic": "el grc pnt",
    "Albanian": "sq",
    "Armenian": "hy hyw",
    "Indo-Aryan": "as awa bho bn bpy dv gom gu hi kok ks mai mr ne or pa pi pnb rom sa sd si "
    "syl ur",
    "Iranian": "bal ckb fa glk ku kmr mzn os prs ps tg zza",
    "Uralic": "et fi hu kom krl kv liv mhr mdf mrj myv se sma smj smn sms udm vep vro",
    "Turkic": "alt az ba chv crh cv gag kaa kk krc ky nog sah tk tr tt tyv ug uz",
    "Mongolic": "bua mn xal",
    "Semitic": "aeb acm afb ajp am apc ar arb arc ars ary arz ayl he mt syr ti tig",
    "Cushitic": "aa om sid so",
    "Chadic": "ha",
    "Berber": "ber kab rif shi tmh zgh",
    "Bantu": "bem cgg ewo kg ki kj kmb ln lg lua mgh nd ng nr nso ny rn rw sn ss st sw swc tn ts "
    "tum umb ve xh yao zu",
    "Atlantic-Congo": "ak ee ff fon gaa ig kbp mos tw wo yo",
    "Mande": "bm dyu men",
    "Nilo-Saharan": "din dje kr luo mas nus",
    "Dravidian": "brh kn ml ta tcy te",
    "Sinitic": "cdo cjy cmn gan hak hsn lzh nan wuu yue zh",
    "Tibeto-Burman": "bo dz kac lus mni my new",
    "Austroasiatic": "km kha mnw sat vi",
    "Kra-Dai": "lo shn th za",
    "Austronesian": "ace ban bcl bik bjn bug ceb ch fil fj haw hil id ilo jv mg mi min ms pag pam "
    "sm su tet tl to ty war",
    "Japonic": "ja ryu",
    "Koreanic": "ko",
    "Kartvelian": "ka lzz xmf",
    "Northeast Caucasian": "av ce dar inh lbe lez",
    "Northwest Caucasian": "ab ady kbd",
    "Basque": "eu",
    "Quechuan": "qu quy quz",
    "Tupian": "gn",
    "Aymaran": "ay",
    "Mayan": "quc yua",
    "Uto-Aztecan": "nah",
}
"""Branch -> ISO 639 codes of its languages; for Indo-European the branches, else the family.

Grouping as in Glottolog (Hammarström et al.), as far as it is undisputed, with the customary names.
"""


@functools.lru_cache(maxsize=None)
def _families() -> Mapping[str, str]:
    """Return the family of each language by its shortest code."""
    return {base_code(code): name for name, codes in FAMILIES.items() for code in codes.split()}


def families_of(languages: Sequence[str]) -> Dict[str, str]:
    """Return the family of each language whose code is known.

    ``pt-BR`` and ``pt_BR`` are ``pt``. Of language pairs (``de-en``, ``fr-en``) what differs
    counts: the source where all have one target, the target where all have one source.

    >>> families_of(["de-en", "nl-en", "xx-en"])
    {'de-en': 'Germanic', 'nl-en': 'Germanic'}
    >>> families_of(["eng_Latn-deu_Latn", "eng_Latn-ron_Latn"])["eng_Latn-ron_Latn"]
    'Romance'
    """
    known, families = _families(), {}
    for language, code in zip(languages, _codes_that_differ(languages)):
        if base_code(code) in known:
            families[language] = known[base_code(code)]
    return families


def _codes_that_differ(languages: Sequence[str]) -> List[str]:
    """Return what to go by of every language: of pairs of one source the target, else the source.

    A language alone is no pair, though ``zh-tw`` could be one, unless all others are.
    """
    pairs = [[each for each in readings(language) if len(each) == 2] for language in languages]
    if not all(pairs):
        alone = [readings(language)[0] for language in languages]
        return [reading[0] for reading in alone]
    one_source = len({own[0][0] for own in pairs}) == 1 and len(languages) > 1
    return [own[0][1 if one_source else 0] for own in pairs]
