"""How many translations are in another language than they should be.

A model that is asked for one language and answers in another has failed in a way that BLEU shows as
a low score and nothing more. Languages are identified by py3langid (Lui and Baldwin, "langid.py: An
Off-the-shelf Language Identification Tool", ACL 2012), which takes a short text for another
language now and then: how often it does so on the references stands in the signature, and a share
of translations is to be held against that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module, metadata
from typing import Any, Dict, List, Optional, Sequence, Set

import numpy as np

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.metrics.base import AveragedMetric, Measured, Texts
from fairseq_gist.languages.codes import base_code

__all__ = ["METRIC", "WrongLanguage"]

_PACKAGE = "py3langid"


@dataclass(frozen=True)
class WrongLanguageOptions:
    """Which languages a translation may be taken for."""

    among: Optional[str] = field(
        default=None,
        metadata={
            "help": "languages that a translation may be taken for, with commas between, such as "
            "the model's and what was spoken: the fewer, the surer (default: all that are known)"
        },
    )


class WrongLanguage(AveragedMetric):
    """Translations that are identified as another language, in percent; empty ones are."""

    name = "wrong-language"
    summary = f"translations that are in another language, as {_PACKAGE} identifies it"
    title = "wrong language %"
    Options = WrongLanguageOptions
    higher_is_better = False
    digits = 1

    def check(self) -> None:
        """Raise OptionError where the identifier is missing, or doesn't know what was asked for."""
        self._among(_labels(_identifier()))

    def measure(self, texts: Texts) -> Measured:
        """Return whether each translation is in another language, 100 or 0, `[sentences, 1]`.

        Raises:
            OptionError: for a language that nobody can identify.
        """
        identifier = _identifier()
        labels = _labels(identifier)
        among = self._among(labels)
        language = base_code(texts.language) if texts.language else ""
        if language not in among:
            raise OptionError(
                f"{self.name}: '{texts.language}' can't be identified among "
                f"{', '.join(sorted(among))}; leave the metric out, or score other languages"
            )
        wrong = _wrong(identifier, texts.hypotheses, language, among)
        of_references = _wrong(identifier, texts.references, language, among)
        signature = (
            f"{_PACKAGE}:{metadata.version(_PACKAGE)}|among:{self.options.among or 'all'}"
            f"|references:{np.mean(of_references):.1f}"
        )
        return Measured(np.array(wrong, dtype=np.float64)[:, None], signature)

    def _among(self, labels: Set[str]) -> Set[str]:
        if self.options.among is None:
            return labels
        wanted = [base_code(word.strip()) for word in self.options.among.split(",")]
        unknown = [word for word in wanted if word not in labels]
        if unknown:
            raise OptionError(
                f"--{self.name}-among: {_PACKAGE} doesn't know '{unknown[0]}'; it knows "
                f"{', '.join(sorted(labels))}"
            )
        return set(wanted)


METRIC = WrongLanguage


def _identifier() -> Any:
    try:
        return import_module(_PACKAGE)
    except ImportError:
        raise OptionError(
            f"the metric 'wrong-language' needs {_PACKAGE}: pip install 'fairseq-gist[language-id]'"
        ) from None


def _labels(identifier: Any) -> Set[str]:
    return {label for label, _ in identifier.rank("a")}


def _wrong(identifier: Any, texts: Sequence[str], language: str, among: Set[str]) -> List[float]:
    """Return 100 for each text that is identified as another language, else 0."""
    known: Dict[str, float] = {}  # systems say the same short things again and again
    for text in texts:
        if text not in known:
            ranked = (label for label, _ in identifier.rank(text) if label in among)
            known[text] = 100.0 * (not text.strip() or next(ranked) != language)
    return [known[text] for text in texts]
