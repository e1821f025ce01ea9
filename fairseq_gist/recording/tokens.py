"""How many target tokens each language has in a batch: what its gradient is divided by."""

from __future__ import annotations

from typing import Any, Mapping

import torch
from torch import Tensor

from fairseq_gist.errors import RoutingError
from fairseq_gist.nn.routing import Routing

__all__ = ["tokens_per_language"]


def tokens_per_language(
    sample: Mapping[str, Any], task: Any, criterion: Any, routing: Routing
) -> Tensor:
    """Return the tokens that count in the loss, `[languages]`.

    Padding doesn't count, nor does the prefix that the criterion ignores (the language tag).

    Raises:
        RoutingError: when the batch doesn't say its languages.
    """
    ids = sample["net_input"].get("lang_ids")
    if ids is None:
        raise RoutingError(
            "gradients per language can't be recorded: the batch came without lang_ids; use data "
            "whose vocabulary has language tags, or --languages"
        )
    ignored = int(getattr(criterion, "ignore_prefix_size", 0))
    counted = sample["target"][:, ignored:].ne(task.target_dictionary.pad()).sum(1)
    result = torch.zeros(len(routing.languages), dtype=torch.float64, device=ids.device)
    return result.index_add_(0, ids, counted.to(torch.float64))
