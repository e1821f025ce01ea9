"""Gradient-informed sharing for multilingual speech translation, as a fairseq plugin.

>>> from fairseq_gist import load  # doctest: +SKIP
>>> model = load("checkpoint_best.pt")  # doctest: +SKIP
>>> print(model.translate("talk.wav", "de"))  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(path: Any, **options: Any) -> Any:
    """Load a model to translate recordings with.

    Args:
        path: of a checkpoint, or of a folder with a Whisper or SeamlessM4T of transformers.
        options: of :func:`fairseq_gist.translating.opening.load`, such as ``data`` and ``device``.

    Returns:
        A :class:`~fairseq_gist.translating.translator.Translator`.
    """
    from fairseq_gist.host.quiet import quiet_fairseq

    with quiet_fairseq():
        # by its name: parts of this package that need neither torch nor fairseq import it as well
        opening = importlib.import_module("fairseq_gist.translating.opening")
    return opening.load(path, **options)
