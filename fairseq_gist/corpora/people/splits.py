"""Training, dev and test: no sentence of one is heard in another, in any language."""

from __future__ import annotations

import hashlib
import math
from typing import Dict, Iterable, List, Mapping, Sequence, Set, Tuple

from fairseq_gist.corpora.people.options import Size
from fairseq_gist.corpora.people.phrases import Dropped, Phrase, Utterance, plain_words
from fairseq_gist.errors import DataError

__all__ = ["SPLITS", "TEST", "apart", "cut", "overlap", "split_groups"]

TRAIN, DEV, TEST = SPLITS = ("train", "dev", "tst-COMMON")

_SHARES = ((TEST, 0.15), (DEV, 0.08))
"""Of a collection's phrases."""

Key = Tuple[str, str]


def split_groups(phrases: Iterable[Phrase]) -> Dict[Key, str]:
    """Return the split of every phrase by its key; a group is in one of them.

    Groups are taken in the order of a hash, collection by collection: test until it has its share
    of the phrases with an English text, then dev, and training what is left.
    """
    groups: Dict[str, Dict[str, List[Phrase]]] = {}
    for phrase in phrases:
        groups.setdefault(phrase.collection, {}).setdefault(phrase.group, []).append(phrase)
    found: Dict[Key, str] = {}
    for collection in sorted(groups):
        own = groups[collection]
        counts = {group: sum("en" in one.texts for one in own[group]) for group in own}
        left = sorted(own, key=lambda group: _hash(collection, group))
        for split, share in _SHARES:
            wanted, taken = share * sum(counts.values()), 0
            while left and taken < wanted:
                group = left.pop(0)
                taken += counts[group]
                found.update((one.key, split) for one in own[group])
        found.update((one.key, TRAIN) for group in left for one in own[group])
    return found


def apart(
    utterances: Sequence[Utterance], splits: Mapping[Key, str]
) -> Tuple[Dict[str, List[Utterance]], List[Dropped]]:
    """Return the utterances of every split, and those that say what test or dev says.

    Args:
        utterances: all of them.
        splits: of their phrases, by key.
    """
    made: Dict[str, List[Utterance]] = {split: [] for split in SPLITS}
    for one in utterances:
        made[splits[one.phrase.key]].append(one)
    dropped: List[Dropped] = []
    for held_out, rule, others in (
        (TEST, "said_in_test", (DEV, TRAIN)),
        (DEV, "said_in_dev", (TRAIN,)),
    ):
        said, recorded = _sentences(made[held_out]), _recordings(made[held_out])
        for split in others:
            heard = [
                one.heard.digest in recorded or not said.isdisjoint(_sentences([one]))
                for one in made[split]
            ]
            dropped += [
                Dropped(rule, one.heard, one.text)
                for one, is_in in zip(made[split], heard)
                if is_in
            ]
            made[split] = [one for one, is_in in zip(made[split], heard) if not is_in]
    return made, dropped


def overlap(made: Mapping[str, Sequence[Utterance]]) -> int:
    """Return how many sentences and recordings are in two splits: 0, or there is a mistake here."""
    common = 0
    for first, second in ((TRAIN, DEV), (TRAIN, TEST), (DEV, TEST)):
        common += len(_sentences(made[first]) & _sentences(made[second]))
        common += len(_recordings(made[first]) & _recordings(made[second]))
    return common


def cut(
    made: Mapping[str, Sequence[Utterance]], size: Size
) -> Tuple[Dict[str, List[Utterance]], List[Dropped]]:
    """Return as much of every split and language as a size takes, and the rest.

    The same phrases are taken in all languages, as far as they are there.

    Raises:
        DataError: where a language has nothing left in a split.
    """
    kept: Dict[str, List[Utterance]] = {}
    dropped: List[Dropped] = []
    for split, utterances in made.items():
        kept[split] = []
        for language in sorted({one.language for each in made.values() for one in each}):
            own = [one for one in utterances if one.language == language]
            most = {DEV: size.dev, TEST: size.test}.get(split, math.ceil(size.share * len(own)))
            first = sorted(own, key=lambda one: _hash(*one.phrase.key))[:most]
            if not first:
                raise DataError(
                    f"nothing is left of '{language}' in {split}; expected packages with more of it"
                )
            chosen = {id(one) for one in first}
            kept[split] += [one for one in own if id(one) in chosen]
            dropped += [
                Dropped("size", one.heard, one.text) for one in own if id(one) not in chosen
            ]
    return kept, dropped


def _sentences(utterances: Iterable[Utterance]) -> Set[str]:
    """Return what is said, in every language that it is written in."""
    texts = {text for one in utterances for text in one.phrase.texts.values()}
    return {plain_words(text) for text in texts} - {""}


def _recordings(utterances: Iterable[Utterance]) -> Set[str]:
    return {one.heard.digest for one in utterances}


def _hash(*names: str) -> bytes:
    return hashlib.sha256("\t".join(names).encode()).digest()
