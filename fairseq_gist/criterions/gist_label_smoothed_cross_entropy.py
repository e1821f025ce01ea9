"""fairseq's label-smoothed cross entropy, which also says how each language does."""

from __future__ import annotations

import math
from typing import Any, Dict, List, Optional, Tuple

import torch
from fairseq.criterions import register_criterion
from fairseq.criterions.label_smoothed_cross_entropy import (
    LabelSmoothedCrossEntropyCriterion,
    LabelSmoothedCrossEntropyCriterionConfig,
    label_smoothed_nll_loss,
)
from fairseq.logging import metrics
from torch import Tensor

__all__ = ["GistLabelSmoothedCrossEntropy"]

_LOSS, _CORRECT, _TOKENS = "gist_loss_", "gist_correct_", "gist_tokens_"


@register_criterion(
    "gist_label_smoothed_cross_entropy", dataclass=LabelSmoothedCrossEntropyCriterionConfig
)
class GistLabelSmoothedCrossEntropy(LabelSmoothedCrossEntropyCriterion):
    """The stock loss, to the last bit, with loss (base 2) and accuracy (%) for every language.

    Both are over the target tokens that count: no padding, no ignored prefix.
    """

    # no __init__: fairseq builds a criterion by the names of its parameters

    @property
    def languages(self) -> List[str]:
        """The task's languages."""
        return list(getattr(self.task, "languages", []))

    def forward(
        self, model: Any, sample: Dict[str, Any], reduce: bool = True
    ) -> Tuple[Tensor, Any, Dict[str, Any]]:
        """Return loss, sample size and logging output; see fairseq's criterion."""
        self._per_language: Dict[str, Tensor] = {}
        loss, sample_size, logging_output = super().forward(model, sample, reduce)
        # every language's entry is always there: over several processes, fairseq sums the
        # entries of the first batch
        logging_output.update(self._per_language)
        return loss, sample_size, logging_output

    def compute_loss(
        self, model: Any, net_output: Any, sample: Dict[str, Any], reduce: bool = True
    ) -> Tuple[Tensor, Tensor]:
        """Return the stock loss, and note each language's share of it."""
        lprobs, target = self.get_lprobs_and_target(model, net_output, sample)
        ids = sample["net_input"].get("lang_ids")
        if ids is not None and self.languages:
            with torch.no_grad():
                self._note(lprobs, target, ids)
        loss, nll_loss = label_smoothed_nll_loss(
            lprobs, target, self.eps, ignore_index=self.padding_idx, reduce=reduce
        )
        return loss, nll_loss

    def _note(self, lprobs: Tensor, target: Tensor, ids: Tensor) -> None:
        rows = ids.size(0)
        loss, _ = label_smoothed_nll_loss(
            lprobs, target, self.eps, ignore_index=self.padding_idx, reduce=False
        )
        counted = target.ne(self.padding_idx)
        correct = lprobs.argmax(-1).eq(target) & counted
        for prefix, values in ((_LOSS, loss), (_CORRECT, correct), (_TOKENS, counted)):
            of_row = values.reshape(rows, -1).sum(1).to(torch.float64)
            sums = of_row.new_zeros(len(self.languages)).index_add_(0, ids, of_row)
            for language, total in zip(self.languages, sums):
                self._per_language[prefix + language] = total

    @classmethod
    def reduce_metrics(cls, logging_outputs: List[Dict[str, Any]]) -> None:
        """Log the stock metrics, then ``loss_XX`` and ``accuracy_XX`` for each language.

        ``loss_average`` is the plain mean of the former over the languages seen so far, with digits
        enough to tell trainings apart that differ in little.
        """
        super().reduce_metrics(logging_outputs)
        names = [key[len(_TOKENS) :] for key in logging_outputs[0] if key.startswith(_TOKENS)]
        for language in names:
            tokens, loss, correct = (
                float(sum(log.get(prefix + language, 0) for log in logging_outputs))
                for prefix in (_TOKENS, _LOSS, _CORRECT)
            )
            if tokens > 0:
                metrics.log_scalar(f"loss_{language}", loss / tokens / math.log(2), tokens, round=3)
                metrics.log_scalar(f"accuracy_{language}", 100 * correct / tokens, tokens, round=2)
        if names:
            metrics.log_derived("loss_average", lambda meters: _mean_loss(meters, names))


def _mean_loss(meters: Any, languages: List[str]) -> Optional[float]:
    named = [meters[f"loss_{one}"] for one in languages if f"loss_{one}" in meters]
    losses = [float(meter.avg) for meter in named if meter.avg is not None]
    return round(sum(losses) / len(losses), 5) if losses else None
