"""Training a part of a model: everything else is frozen."""

from __future__ import annotations

import re
from typing import List, Pattern, Set

from torch import nn

from fairseq_gist.errors import OptionError
from fairseq_gist.surgery.units import FAST_PATH_COPIES

__all__ = ["PARTS", "train_only"]

_NORMS_AND_ATTENTION = (
    r"(?!.*\badapter\b)(?:.+\.)?"
    r"(?:self_attn|encoder_attn|cross_attention|\w*layer_norm|layernorm_embedding)"
)

PARTS = {
    "adapters": r".+\.adapter",
    "lna-d": rf"decoder\.{_NORMS_AND_ATTENTION}",
    "lna-e": rf"encoder\.{_NORMS_AND_ATTENTION}",
    "lna-ed": rf"(?:en|de)coder\.{_NORMS_AND_ATTENTION}",
}
"""Names for parts, with the module paths they mean.

LNA is Li et al., "Multilingual Speech Translation from Efficient Finetuning of Pretrained Models"
(ACL 2021), section 3.2: LayerNorm and attention of the decoder, the encoder or both. Which of the
decoder's two attentions Wang et al. (Interspeech 2022) train isn't said; here it is both.
"""

_COPY = re.compile(r"\.copies(\.\d+)?(?=\.|$)")


def train_only(model: nn.Module, what: str) -> None:
    """Freeze all parameters but those at or below the modules that ``what`` names.

    A module that was split has the path of what it was split from, so its copies are trained or
    frozen together; copies made later are like what they are copied from. What is frozen already
    stays so, and the unused second copies of encoder layers in fairseq 0.12.2 always are.

    Args:
        model: whose parameters are frozen.
        what: one of :data:`PARTS`, or a regular expression that a whole module path matches.

    Raises:
        OptionError: when that leaves nothing to train, or is no regular expression.
    """
    pattern = _pattern(what)
    chosen: Set[int] = set()
    paths: List[str] = []
    for path, module in model.named_modules(remove_duplicate=False):
        of_module = dict(module.named_parameters(recurse=False))
        if hasattr(module, "can_use_fastpath"):
            of_module = {k: v for k, v in of_module.items() if k not in FAST_PATH_COPIES}
        if of_module:
            paths.append(path)
        if _is_at_or_below(pattern, path):
            chosen.update(id(parameter) for parameter in of_module.values())
    if not chosen:
        raise OptionError(_nothing(what, paths))
    for parameter in model.parameters():
        if id(parameter) not in chosen:
            parameter.requires_grad_(False)


def _pattern(what: str) -> Pattern[str]:
    try:
        return re.compile(PARTS.get(what, what))
    except re.error as error:
        raise OptionError(
            f"--train-only: '{what}' is neither one of {', '.join(PARTS)} nor a regular "
            f"expression: {error}"
        ) from None


def _is_at_or_below(pattern: Pattern[str], path: str) -> bool:
    names = _COPY.sub("", path).split(".")
    return any(pattern.fullmatch(".".join(names[:depth])) for depth in range(1, len(names) + 1))


def _nothing(what: str, paths: List[str]) -> str:
    if what == "adapters":
        return "--train-only adapters: the model has none; add --adapter-dim"
    return (
        f"--train-only: '{what}' is neither one of {', '.join(PARTS)} nor the path of a module "
        f"with parameters; these go from '{paths[0]}' to '{paths[-1]}'"
    )
