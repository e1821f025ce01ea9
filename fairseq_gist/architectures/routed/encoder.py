"""What every encoder here does beside what the stock one does."""

from __future__ import annotations

from typing import Any, ClassVar, Dict, List, Optional, Tuple

from torch import Tensor, nn

from fairseq_gist.architectures.routed.options import adapted
from fairseq_gist.errors import CheckpointError
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.rows import reordered
from fairseq_gist.nn.sources import SourceRows, partitions_in
from fairseq_gist.surgery.adapters import agree_on_adapters

__all__ = ["RoutedEncoder", "RoutedStockEncoder"]


class RoutedEncoder(nn.Module):
    """Goes before an encoder: passes the languages on and encodes an utterance once.

    The encoder calls :meth:`keep_apart` before whatever may tell languages apart and runs after
    :meth:`_repeat_audio`; its output has ``encoder_out`` and ``encoder_padding_mask``.

    Attributes:
        rows_dim: where the rows are in its activations.
        layers_name: attribute with the layers.
        later: attributes that run after the layers.
    """

    routing: Routing
    rows_dim: ClassVar[int] = 1
    layers_name: ClassVar[str]
    later: ClassVar[Tuple[str, ...]] = ("layer_norm", "ctc_proj")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._rows: Optional[SourceRows] = None

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor,
        return_all_hiddens: bool = False,
        lang_ids: Optional[Tensor] = None,
        utterances: Optional[Tensor] = None,
    ) -> Dict[str, List[Tensor]]:
        """Encode audio.

        Args:
            src_tokens: features, `[utterances, frames, features]`.
            src_lengths: frames of each, `[utterances]`.
            return_all_hiddens: whether to return every layer's output.
            lang_ids: language of each row, `[rows]`.
            utterances: utterance of each row, `[rows]`; None where every row has its own.

        Returns:
            fairseq's encoder output with ``lang_ids`` in it. Where rows share the encoding of
            their utterance, it has one entry for each that differs, and ``source_of`` says which
            is each row's, `[rows]`.
        """
        batch = None
        if utterances is not None and lang_ids is not None:
            count = src_tokens.size(0)
            self._rows = SourceRows(utterances, lang_ids, count, self.routing.languages)
        elif lang_ids is not None and self.routing.in_encoder:
            batch = self.routing.languages_of(lang_ids)
        try:
            with self.routing.using(batch):
                src_tokens, src_lengths = self._repeat_audio(src_tokens, src_lengths)
                out = self._encode(src_tokens, src_lengths, return_all_hiddens)
            out["source_of"] = self._finish_rows(out)
        finally:
            self._rows = None
        out["lang_ids"] = [] if lang_ids is None else [lang_ids]
        return out

    def _encode(
        self, src_tokens: Tensor, src_lengths: Tensor, return_all_hiddens: bool
    ) -> Dict[str, List[Tensor]]:
        """Encode audio, each row of activations for all that share it; masks are of utterances."""
        out: Dict[str, List[Tensor]] = super().forward(src_tokens, src_lengths, return_all_hiddens)
        return out

    def _repeat_audio(self, src_tokens: Tensor, src_lengths: Tensor) -> Tuple[Tensor, Tensor]:
        """Give languages audio of their own where what comes before the layers tells them apart."""
        if self._rows is None or not self.routing.in_encoder:
            return src_tokens, src_lengths
        later = (self.layers_name, *self.later)
        before = [module for name, module in self.named_children() if name not in later]
        repeats = self._rows.keep_apart(partitions_in(before, self.routing))
        self.routing.current = self._rows.languages()
        if repeats is None:
            return src_tokens, src_lengths
        self._rows.restart()
        return src_tokens.index_select(0, repeats), src_lengths.index_select(0, repeats)

    def keep_apart(self, modules: List[Any], x: Tensor) -> Tensor:
        """Return the activation ``x`` with the rows that ``modules`` need; itself if it has."""
        if self._rows is None or not self.routing.in_encoder:
            return x
        repeats = self._rows.keep_apart(partitions_in(modules, self.routing))
        self.routing.current = self._rows.languages()
        return x if repeats is None else x.index_select(self.rows_dim, repeats)

    def of_rows(self, padding_mask: Tensor) -> Tensor:
        """Return a mask of utterances, `[utterances, ...]`, as one of the rows there are now."""
        if self._rows is None or not self.routing.in_encoder:
            return padding_mask
        return padding_mask.index_select(0, self._rows.utterance_of)

    def _finish_rows(self, out: Dict[str, List[Tensor]]) -> List[Tensor]:
        if self._rows is None:
            return []
        if self.routing.in_encoder:
            out["encoder_padding_mask"] = [
                self.of_rows(mask) for mask in out["encoder_padding_mask"]
            ]
        source_of = self._rows.source_of
        return [] if source_of is None else [source_of]

    def load_state_dict(self, state_dict: Dict[str, Tensor], *args: Any, **kwargs: Any) -> Any:
        """Load a pretrained encoder, which may lack adapters.

        Raises:
            CheckpointError: when it is split among languages, or has other adapters.
        """
        split = next((key for key in state_dict if ".copies." in key), None)
        if split is not None:
            raise CheckpointError(
                f"--load-pretrained-encoder-from: '{split.split('.copies.')[0]}' of the encoder "
                "there is split among languages, and a pretrained encoder is shared; go on from "
                "the whole model, with --finetune-from-model"
            )
        agree_on_adapters(self, state_dict)
        return super().load_state_dict(state_dict, *args, **kwargs)

    def _reorder(self, encoder_out: Any, order: Tensor) -> Dict[str, List[Tensor]]:
        """Return the output for other rows, in this order."""
        out: Dict[str, List[Tensor]] = super().reorder_encoder_out(encoder_out, order)
        return out

    def reorder_encoder_out(self, encoder_out: Any, new_order: Tensor) -> Any:
        """Reorder the rows, their languages with them; afterwards each has its own encoding."""
        source_of = encoder_out.get("source_of")
        order = source_of[0].index_select(0, new_order) if source_of else new_order
        out = self._reorder(encoder_out, order)
        out["lang_ids"] = [reordered(ids, new_order) for ids in encoder_out["lang_ids"]]
        out["source_of"] = []
        return out


class RoutedStockEncoder(RoutedEncoder):
    """Goes before an encoder of fairseq's.

    That one runs its layers one after the other, each with the activations
    `[frames, sources, channels]` and their padding mask for its first arguments.
    """

    def __init__(self, args: Any) -> None:
        super().__init__(args)
        layers = getattr(self, self.layers_name)
        for layer in layers:
            adapted(layer, args.encoder_embed_dim, args)
            layer.register_forward_pre_hook(self._before_layer)
        layers[-1].register_forward_hook(self._after_layers)

    def _before_layer(self, layer: Any, inputs: Any) -> Any:
        x, padding_mask, *others = inputs
        if self._rows is None:
            return None
        x = self.keep_apart([layer], x)
        return x, None if padding_mask is None else self.of_rows(padding_mask), *others

    def _after_layers(self, layer: Any, inputs: Any, output: Tensor) -> Any:
        norm = getattr(self, "layer_norm", None)
        if self._rows is None or norm is None:
            return None
        return self.keep_apart([norm], output)
