"""What recording and surgery have to know of a kind of module."""

from __future__ import annotations

from typing import ClassVar, Mapping, Optional, Type

from torch import Tensor, nn
from torch.nn import Parameter

from fairseq_gist.errors import SurgeryError
from fairseq_gist.nn.destination import Destination
from fairseq_gist.sharing.low_rank import Projection

__all__ = ["Leaf"]


class Leaf:
    """A class of modules with parameters of their own and none below.

    A kind has to say how it is recorded. It can be split by what is here; it can be divided where
    it says how many neurons its modules make or read.

    Attributes:
        module: the class.
        grouped: the :class:`~fairseq_gist.nn.grouped.GroupedModule` that takes the place of a
            module which is split; None for the common one.
        weight: name of the parameter that every module of the class has; modules that share it are
            one unit, and where it is None there is nothing to split.
    """

    module: ClassVar[Type[nn.Module]]
    weight: ClassVar[str] = "weight"
    grouped: ClassVar[Optional[Type[nn.Module]]] = None

    @property
    def name(self) -> str:
        """What the kind is called."""
        return self.module.__name__

    def is_plain(self, module: nn.Module) -> bool:
        """Whether :meth:`forward` knows the gradients of a module with its options."""
        return True

    def forward(
        self, module: nn.Module, x: Tensor, to: Destination, source_of: Optional[Tensor] = None
    ) -> Tensor:
        """Run ``module`` on ``x`` so that its backward hands each language's gradient on.

        Args:
            module: of this kind.
            x: its input, its rows along ``to.batch_dim``.
            to: where the gradients go.
            source_of: where the input has one row a source and the output is to have one a row,
                each row's source, `[rows]`; a kind that never reads the encoder's output may take
                no notice.
        """
        raise NotImplementedError

    def runs_at_once(self, module: nn.Module) -> bool:
        """Whether :meth:`forward_all` can run modules with the options of ``module``."""
        return False

    def forward_all(self, module: nn.Module, parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        """Run several modules of this kind, each on its rows, in as few calls as can be.

        Args:
            module: one of them; all have its options.
            parameters: of all of them, by name, `[modules, ...]`.
            x: the rows of each, `[modules, n, features]`.

        Returns:
            The output of each, `[modules, n, features]`.
        """
        raise NotImplementedError

    def projection(self, module: nn.Module) -> Optional[Projection]:
        """Return the widths of ``module`` if low-rank differences to its ``weight`` can be had.

        They can where its output is a sum that ``weight`` times the input is a part of.
        """
        return None

    def neurons_made(self, module: nn.Module) -> Optional[int]:
        """Return how many neurons ``module`` makes; None: it can't be divided.

        They lie along the first dimension of those of its parameters that have them.
        """
        return None

    def neurons_read(self, module: nn.Module) -> Optional[int]:
        """Return how many neurons ``module`` reads; None: it can't be divided.

        They lie along the second dimension of those of its parameters that have them.
        """
        return None

    def part(self, module: nn.Module, parameters: Mapping[str, Parameter]) -> nn.Module:
        """Return a module like ``module`` that has ``parameters`` instead: some of its neurons.

        Parameters that ``module`` has and that aren't given are left out: the module for the other
        neurons has them.
        """
        raise SurgeryError(f"a {self.name} can't be divided")
