"""What prepared data depend on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from fairseq_gist.errors import OptionError
from fairseq_gist.preparing.alignment import TOLERANCE
from fairseq_gist.preparing.configuration import SPECAUGMENT
from fairseq_gist.preparing.layouts import all_layouts
from fairseq_gist.preparing.talk_features import FILTERBANKS, ZIPS
from fairseq_gist.preparing.tsv import ASR
from fairseq_gist.preparing.vocabulary import NORMALIZATIONS, VOCABULARY_TYPES, vocabulary_stem

__all__ = ["UNSAID", "Options"]

_LAYOUT = "mustc"


@dataclass(frozen=True)
class Options:
    """What the prepared data depend on: the options of ``fairseq-gist prepare``."""

    layout: str = field(
        default=_LAYOUT,
        metadata={
            "help": "how the release is laid out: "
            + "; ".join(f"'{name}', {layout.summary}" for name, layout in all_layouts().items()),
            "choices": tuple(all_layouts()),
        },
    )
    languages: Tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "target languages, or with --target those that are spoken",
            "metavar": "XX,XX",
            "unset": "all there are",
        },
    )
    source: str = field(default="en", metadata={"help": "source language", "metavar": "XX"})
    target: Optional[str] = field(
        default=None,
        metadata={
            "help": "many languages are spoken and all translated into this one, such as en; "
            "--source doesn't count then",
            "metavar": "XX",
        },
    )
    target_tag: bool = field(
        default=False,
        metadata={"help": "with --target: put its tag before every translation (default: none)"},
    )
    splits: Tuple[str, ...] = field(
        default=(),
        metadata={"help": "parts of the data to prepare", "unset": "those of the layout"},
    )
    vocab_size: int = field(
        default=10000, metadata={"help": "symbols of the vocabulary of all languages"}
    )
    vocab_type: str = field(
        default="unigram",
        metadata={
            "help": "how SentencePiece makes every vocabulary that is trained: 'unigram', the "
            "pieces that make the text likeliest, as fairseq's recipes do; 'bpe', by joining the "
            "most frequent pairs; 'char', single characters",
            "choices": VOCABULARY_TYPES,
        },
    )
    vocab_normalization: str = field(
        default=NORMALIZATIONS[0],
        metadata={
            "help": "what every vocabulary does to text first: 'nmt_nfkc', as in fairseq's "
            "recipes, makes plain characters of full-width ones, ligatures and others; 'identity' "
            "keeps it as it is",
            "choices": NORMALIZATIONS,
        },
    )
    min_frames: int = field(
        default=5,
        metadata={"help": "shorter utterances (10 ms a frame) are left out of every split"},
    )
    max_frames: int = field(
        default=3000,
        metadata={
            "help": "longer utterances are left out of training, never of other splits",
        },
    )
    skip_bad: bool = field(
        default=False,
        metadata={
            "help": "leave out segments that are faulty, count them and list them in faulty.txt, "
            "instead of ending with an error"
        },
    )
    keep: str = field(
        default=FILTERBANKS,
        metadata={
            "help": "what is kept of the utterances' audio: 'filterbanks'; or 'sound', at 16 kHz "
            "without loss, for models that have features of their own, such as Whisper",
            "choices": tuple(ZIPS),
        },
    )
    specaugment: str = field(
        default="ld",
        metadata={
            "help": "what SpecAugment masks of an utterance in training: 'ld', two bands of up to "
            "27 of the 80 frequencies and two stretches of up to a second; 'lb', one of each; "
            "'none', nothing",
            "choices": tuple(SPECAUGMENT),
        },
    )
    multiway_from: Tuple[str, ...] = field(
        default=(),
        metadata={
            "help": "splits whose utterances with all languages make multiway.tsv",
            "metavar": "SPLIT,SPLIT",
            "unset": "the second of the splits, the first where it is alone",
        },
    )
    tolerance: float = field(
        default=TOLERANCE,
        metadata={
            "flag": "multiway-tolerance",
            "help": "how far offset and duration of one utterance may differ between languages",
            "metavar": "SECONDS",
        },
    )
    vocabulary: Optional[str] = field(
        default=None,
        metadata={
            "help": "take PREFIX.model (SentencePiece) and PREFIX.txt (fairseq dictionary) instead "
            "of training a joint vocabulary; --vocab-size is not used then, but for "
            "what --grow-vocabulary adds",
            "metavar": "PREFIX",
        },
    )
    grow_vocabulary: bool = field(
        default=False,
        metadata={
            "help": "with --vocabulary: add to it the tags of languages that it lacks and, for "
            "characters that it lacks, those pieces of a vocabulary of --vocab-size that have "
            "some; all other text is cut as before, so that a model can be taken along"
        },
    )
    asr: bool = field(
        default=False,
        metadata={
            "help": "write speech recognition data of the source language too, to pre-train an "
            "encoder on: SPLIT_asr.tsv, config_asr.yaml"
        },
    )
    asr_vocab_size: int = field(
        default=5000, metadata={"help": "symbols of the vocabulary of --asr"}
    )

    def validate(self) -> None:
        """Raise :class:`OptionError` with all that is wrong."""
        problems = [
            f"--{flag}: expected one of {', '.join(known)}"
            for flag, value, known in (
                ("layout", self.layout, all_layouts()),
                ("vocab-type", self.vocab_type, VOCABULARY_TYPES),
                ("vocab-normalization", self.vocab_normalization, NORMALIZATIONS),
                ("keep", self.keep, tuple(ZIPS)),
                ("specaugment", self.specaugment, SPECAUGMENT),
            )
            if value not in known
        ]
        if self.vocab_size < 1:
            problems.append(f"--vocab-size: expected 1 or more, found {self.vocab_size}")
        if self.max_frames < self.min_frames:
            problems.append(
                f"--max-frames: expected {self.min_frames} or more, found {self.max_frames}"
            )
        if self.splits and "train" not in self.splits:
            problems.append("--splits: train is needed for the vocabulary")
        if self.grow_vocabulary and not self.vocabulary:
            problems.append("--grow-vocabulary: only with --vocabulary, which says the one to grow")
        if self.target_tag and not self.target:
            problems.append("--target-tag: only with --target; other data always have tags")
        problems += self._recognition_problems()
        problems += self._multiway_problems()
        if problems:
            raise OptionError("; ".join(problems))

    def _recognition_problems(self) -> List[str]:
        problems = []
        if self.asr_vocab_size < 1:
            problems.append(f"--asr-vocab-size: expected 1 or more, found {self.asr_vocab_size}")
        recognition = vocabulary_stem(self.vocab_type, self.asr_vocab_size, ASR)
        if self.asr and self.vocabulary and Path(self.vocabulary).name == recognition:
            problems.append(
                f"--vocabulary: '{recognition}' is the name that --asr gives its own vocabulary, "
                "which would take its place; rename the files or change --asr-vocab-size"
            )
        return problems

    def _multiway_problems(self) -> List[str]:
        problems = []
        if not 0 <= self.tolerance < float("inf"):
            problems.append(
                f"--multiway-tolerance: expected 0 or more seconds, found {self.tolerance}"
            )
        return problems + [
            f"--multiway-from: {split!r} is not one of the splits {', '.join(self.splits)}"
            for split in self.multiway_from
            if self.splits and split not in self.splits
        ]

    def plain(self) -> Dict[str, Any]:
        """Return the options as the record has them, without those that mean nothing."""
        plain: Dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if self.vocabulary:  # wherever it is: its content is among the inputs
            plain["vocabulary"] = Path(self.vocabulary).name
        del plain["source" if self.target else "target"]
        for name, unsaid in UNSAID.items():
            if plain[name] == unsaid:
                del plain[name]
        return plain


UNSAID: Dict[str, Any] = {
    one.name: one.default
    for one in fields(Options)
    if one.name
    in ("grow_vocabulary", "keep", "layout", "skip_bad", "target_tag", "vocab_normalization")
}
"""Options that a record only has where they are something else: they came later than others."""
