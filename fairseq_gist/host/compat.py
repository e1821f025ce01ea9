"""Every difference between the supported stacks that the rest should not have to know.

modern: Python >= 3.11, torch >= 2.6, ve-fairseq 0.12.3 or fairseq-fixed 0.12.3.1; classic: Python
3.8 - 3.10, torch 1.12, fairseq 0.12.2.
"""

from __future__ import annotations

import argparse
import atexit
import importlib
import importlib.util
import threading
import time
import traceback
from typing import Any, Sequence

from fairseq_gist.errors import OptionError

__all__ = [
    "allow_own_checkpoints",
    "read_numbers",
    "require_fairseq",
    "require_transformers",
    "stop_loading",
    "stop_loading_at_exit",
    "use_plain_layer_norms",
]


def require_fairseq() -> None:
    """Raise OptionError, with the command that helps, where fairseq can't be imported."""
    if importlib.util.find_spec("fairseq") is None:
        raise OptionError("fairseq is not installed; run: pip install 'fairseq-gist[fairseq]'")
    try:
        import fairseq  # noqa: F401
    except (OSError, ImportError, ValueError) as error:
        hint = ""
        if "torchaudio" in str(error):
            hint = "; the torchaudio here doesn't fit this torch: pip uninstall torchaudio"
        elif isinstance(error, ValueError):
            hint = (
                "; official fairseq needs Python < 3.11; run: pip uninstall -y fairseq && "
                "pip install 'fairseq-gist[fairseq]'"
            )
        raise OptionError(f"fairseq can't be imported: {error}{hint}") from error


def require_transformers() -> Any:
    """Return the package ``transformers``.

    Raises:
        OptionError: with the command that helps, where its SeamlessM4T can't be imported.
    """
    if importlib.util.find_spec("transformers") is None:
        raise OptionError(
            "SeamlessM4T needs transformers, which is not installed; on Python >= 3.11 run: "
            "pip install 'fairseq-gist[seamless]'"
        )
    try:
        transformers = importlib.import_module("transformers")
        getattr(transformers, "SeamlessM4TForSpeechToText")  # noqa: B009, it is imported only now
    except (OSError, ImportError, RuntimeError, AttributeError) as error:
        hint = ""
        if "torchaudio" in _whole_story(error):
            hint = "; the torchaudio here doesn't fit this torch: pip uninstall torchaudio"
        raise OptionError(
            f"SeamlessM4T can't be imported from transformers: {error}{hint}"
        ) from error
    return transformers


def _whole_story(error: Any) -> str:
    """Return the messages of an error and of those that it came from, with the places."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def allow_own_checkpoints() -> None:
    """Let torch >= 2.6 load the checkpoints that fairseq writes: they hold a Namespace."""
    import torch.serialization

    if hasattr(torch.serialization, "add_safe_globals"):
        torch.serialization.add_safe_globals([argparse.Namespace])


def stop_loading_at_exit() -> None:
    """Stop fairseq's threads that load batches ahead before the interpreter ends.

    They are daemons. One that is inside torch when the interpreter ends under it is unwound through
    C++, which aborts: a run that has done everything then ends with "terminate called without an
    active exception" and a failure.
    """
    atexit.unregister(stop_loading)
    atexit.register(stop_loading)


def stop_loading(patience: float = 30.0) -> None:
    """Let threads that load batches ahead end after the batch they are at.

    One whose queue is full does no harm: it sleeps until somebody takes a batch.

    Args:
        patience: seconds to wait for them in all.
    """
    from fairseq.data.iterators import BackgroundConsumer

    loading = [one for one in threading.enumerate() if isinstance(one, BackgroundConsumer)]
    for one in loading:
        one._max_len = 0  # noqa: SLF001
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if not any(one.is_alive() and not one._queue.full() for one in loading):  # noqa: SLF001
            return
        time.sleep(0.01)


def read_numbers(parser: Any, names: Sequence[str]) -> None:
    """Have options that are whole numbers read as such: fairseq 0.12.2 leaves some as text."""
    for action in parser._actions:  # noqa: SLF001
        if action.dest in names:
            action.type = int


def use_plain_layer_norms(model: Any) -> None:
    """Put torch's LayerNorm, with the same parameters, in the place of apex's fused one.

    fairseq takes apex's where it finds it and a GPU, and a model would have other units, and a
    split one other checkpoints, on a machine with apex than on one without.
    """
    from torch import nn

    for parent in list(model.modules()):
        for name, module in list(parent.named_children()):
            if type(module).__name__ == "FusedLayerNorm":
                plain = nn.LayerNorm(module.normalized_shape, eps=module.eps)
                plain.weight, plain.bias = module.weight, module.bias
                setattr(parent, name, plain)
