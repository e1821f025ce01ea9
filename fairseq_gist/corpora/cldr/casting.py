"""Who says which phrase: in English for all languages, or in every language itself."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from fairseq_gist.corpora.cldr import voices
from fairseq_gist.corpora.cldr.options import Size
from fairseq_gist.corpora.cldr.phrases import Phrase, ordered
from fairseq_gist.corpora.cldr.talks import SpokenTalk

__all__ = ["english_talks", "talks_in"]

Phrases = Mapping[str, Sequence[Phrase]]
"""The phrases of every split."""


def english_talks(phrases: Phrases, size: Size, seed: int) -> List[SpokenTalk]:
    """Every talk of every split in English, in order."""
    held_out = {"dev": size.dev_voice, "tst-COMMON": size.test_voice}
    return _talks(phrases, size.voices, held_out, size, seed, "en", "cldr_{}")


def talks_in(language: str, phrases: Phrases, size: Size, seed: int, most: int) -> List[SpokenTalk]:
    """Every talk of every split in another language, by as many voices as English has.

    Args:
        language: what is spoken.
        phrases: of every split. Two phrases that are one in this language stay apart: one of
            training is left out where dev or test say the same.
        size: of the corpus; how many voices there are is as in English.
        seed: of the corpus.
        most: phrases of training, the first so many.
    """
    own = [voices.voice_of(language, variant) for variant in voices.TRAIN[: len(size.voices)]]
    held_out = {
        "dev": voices.voice_of(language, voices.DEV),
        "tst-COMMON": voices.voice_of(language, voices.TEST),
    }
    heard = {phrase.text(language) for split in held_out for phrase in phrases[split]}
    train = [phrase for phrase in phrases["train"] if phrase.text(language) not in heard]
    said = {**phrases, "train": train[:most]}
    return _talks(said, own, held_out, size, seed, language, f"cldr_{language}_{{}}")


def _talks(
    phrases: Phrases,
    training: Sequence[str],
    held_out: Mapping[str, str],
    size: Size,
    seed: int,
    language: str,
    name: str,
) -> List[SpokenTalk]:
    by_voice: Dict[str, List[Phrase]] = {voice: [] for voice in training}
    for phrase in phrases["train"]:
        for voice in ordered(training, f"{seed}/{phrase.english}")[: size.repeats]:
            by_voice[voice].append(phrase)
    spoken = [("train", voice, said) for voice, said in by_voice.items()]
    spoken += [(split, voice, list(phrases[split])) for split, voice in held_out.items()]
    talks: List[SpokenTalk] = []
    for split, voice, said in spoken:
        for start in range(0, len(said), size.talk):
            part = tuple(said[start : start + size.talk])
            talks.append(SpokenTalk(name.format(len(talks) + 1), split, voice, language, part))
    return talks
