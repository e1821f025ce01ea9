"""Gradient-informed sharing for multilingual speech translation, as a fairseq plugin.

>>> from fairseq_gist import load  # doctest: +SKIP
>>> model = load("checkpoint_best.pt")  # doctest: +SKIP
>>> print(model.translate("talk.wav", "de"))  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union, cast

if TYPE_CHECKING:
    from fairseq_gist.translating.translator import Translator

__all__ = ["__version__", "load"]

__version__ = "0.1.0"


def load(path: Union[str, Path], **options: Any) -> Translator:
    """Load a model to translate recordings with.

    Args:
        path: of a checkpoint, or of a folder with a Whisper or SeamlessM4T of transformers.
        options: of :func:`fairseq_gist.translating.opening.load`, such as ``data`` and ``device``.

    Returns:
        What translates recordings with it.

    Raises:
        CheckpointError: when it is none that can be read, or its vocabulary isn't there.
        OptionError: for an option of another kind of model.
    """
    from fairseq_gist.host.quiet import quiet_fairseq

    with quiet_fairseq():
        # by its name: parts of this package that need neither torch nor fairseq import it as well
        opening = importlib.import_module("fairseq_gist.translating.opening")
    return cast("Translator", opening.load(path, **options))
