"""Taking the gradients of single languages from a backward pass, and changing their sum."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import Parameter

from fairseq_gist.combining.rules import Rule
from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.surgery.units import Unit, module_at

__all__ = ["GradientCombiner"]


class GradientCombiner:
    """Puts the gradients of a batch's languages together by a rule.

    Inner products are over all units at once; parameters that belong to none keep their plain
    gradient. Languages that own different copies of a unit have nothing in common there.

    Args:
        model: whose gradients they are.
        units: by name; every module of them hands on its gradients.
        languages: how many the model has.
        rule: how they are put together.
        seed: of the run.
    """

    def __init__(
        self, model: nn.Module, units: Mapping[str, Unit], languages: int, rule: Rule, seed: int
    ) -> None:
        self.rule, self.seed, self.languages = rule, seed, languages
        self._modules = {name: module_at(model, unit.paths[0]) for name, unit in units.items()}
        self._taken: Dict[Tuple[str, str], Dict[int, Tensor]] = {}

    def add(self, unit: str, part: str, languages: Sequence[int], gradients: Tensor) -> None:
        """Take gradients; see :class:`~fairseq_gist.nn.routing.GradientSink`."""
        taken = self._taken.setdefault((unit, part), {})
        for language, gradient in zip(languages, gradients.detach()):
            if language in taken:
                taken[language] += gradient
            else:
                taken[language] = gradient.clone()

    def clear(self) -> None:
        """Forget what was taken."""
        self._taken.clear()

    def combine(self, update_num: int) -> Optional[float]:
        """Change the model's gradients into what the rule makes of those that were taken.

        Args:
            update_num: updates made so far: the same update draws the same in every run.

        Returns:
            The share of pairs of languages whose gradients point against each other; None where
            there are fewer than two, or a number isn't finite.
        """
        gram = self._gram()
        present = np.flatnonzero(np.diagonal(gram))
        if len(present) < 2 or not np.isfinite(gram).all():
            self.clear()
            return None
        own = gram[np.ix_(present, present)]
        draw = np.random.default_rng([self.seed, update_num])
        more = np.zeros(self.languages)
        more[present] = self.rule.weights(own, present, draw) - 1.0
        if more.any():
            self._add_to_gradients(more)
        self.clear()
        pairs = np.triu_indices(len(present), k=1)
        return float((own[pairs] < 0).mean())

    def _gram(self) -> NDArray[np.float64]:
        gram = np.zeros((self.languages, self.languages))
        for (unit, _), taken in self._taken.items():
            languages = sorted(taken)
            flat = torch.stack([taken[language].flatten() for language in languages]).float()
            products = (flat @ flat.t()).double().cpu().numpy()
            groups = np.array([self._group(unit, language) for language in languages])
            gram[np.ix_(languages, languages)] += products * (groups[:, None] == groups)
        return gram

    def _add_to_gradients(self, weights: NDArray[np.float64]) -> None:
        for (unit, part), taken in self._taken.items():
            of_group: Dict[int, List[int]] = {}
            for language in taken:
                of_group.setdefault(self._group(unit, language), []).append(language)
            for group, languages in of_group.items():
                gradient = self._parameter(unit, part, group).grad
                assert gradient is not None
                for language in languages:
                    gradient.add_(taken[language].to(gradient.dtype), alpha=weights[language])

    def _group(self, unit: str, language: int) -> int:
        module = self._modules[unit]
        return module.group_of[language] if isinstance(module, GroupedModule) else 0

    def _parameter(self, unit: str, part: str, group: int) -> Parameter:
        module = self._modules[unit]
        leaf = module.copies[group] if isinstance(module, GroupedModule) else module
        parameter: Parameter = getattr(leaf, part)
        return parameter
