"""What a model brings along that otherwise the data folder says: vocabulary and features."""

from __future__ import annotations

import abc
from typing import Any, Sequence

from fairseq_gist.languages.rows import LANGUAGE_TAG

__all__ = ["Inputs"]


class Inputs(abc.ABC):
    """Vocabulary, subwords and features of one model; the task reads data and writes text by them.

    It is made of the architecture's options alone, and raises OptionError for what can't be.

    Attributes:
        dictionary: fairseq's view of the vocabulary. Each language that can be a target has a
            symbol ``<lang:xx>`` in it.
        pieces: with ``encode``, from a text to symbols with spaces between, and ``decode``.
        prefix_size: symbols that :meth:`prefix` returns: how many neither count in the loss nor are
            searched for.
        unspoken: symbols beside tags that are left out of a translation when it is written.
    """

    dictionary: Any
    pieces: Any
    prefix_size: int = 1
    unspoken: Sequence[str] = ()

    @abc.abstractmethod
    def features(self, path: str, transforms: Any = None) -> Any:
        """Return the features at ``path``, `[frames, width]`.

        Args:
            path: of audio or features, as manifests name it.
            transforms: of fairseq, such as SpecAugment.
        """

    @abc.abstractmethod
    def length(self, path: str) -> int:
        """Return how many frames the audio at ``path`` has."""

    def frames(self, rows: int, width: int) -> int:
        """Return how many frames of a hundredth of a second features `[rows, width]` are."""
        return rows

    def is_heard(self, path: str) -> bool:
        """Whether the audio at ``path`` is long enough for features of one frame.

        Raises:
            DataError: when it can't be read.
        """
        return self.length(path) > 0

    def prefix(self, source: str, target: str) -> Sequence[str]:
        """Return the symbols that begin the translation of one language into another.

        The first is what :func:`~fairseq_gist.nn.tags.check_tags` compares with a row's language.

        Args:
            source: language of the audio; empty where data don't say it.
            target: language of the text.

        Raises:
            DataError: when the model has no such languages.
        """
        return (LANGUAGE_TAG.format(target),)
