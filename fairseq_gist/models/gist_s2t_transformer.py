"""fairseq's speech-to-text transformer, whose modules know the language of every row."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import torch
from fairseq import checkpoint_utils
from fairseq.models import register_model, register_model_architecture
from fairseq.models.speech_to_text import s2t_transformer as stock
from fairseq.modules.checkpoint_activations import checkpoint_wrapper
from torch import Tensor

from fairseq_gist.boundary import one_line_errors
from fairseq_gist.compat import use_plain_layer_norms
from fairseq_gist.errors import CheckpointError, OptionError
from fairseq_gist.languages import TARGET, language_tags, languages_of_vocabulary
from fairseq_gist.nn.adapters import attach_adapter
from fairseq_gist.nn.checkpointing import checkpoint_routed
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.shared import read_source_once
from fairseq_gist.nn.sources import SourceRows, partitions_in
from fairseq_gist.nn.tags import check_tags
from fairseq_gist.surgery.adapters import agree_on_adapters
from fairseq_gist.surgery.state import reconcile

__all__ = ["GistS2TDecoder", "GistS2TEncoder", "GistS2TTransformer"]


class GistS2TEncoder(stock.S2TTransformerEncoder):
    """The stock encoder, which passes the languages on and encodes an utterance once."""

    routing: Routing

    def __init__(self, args: Any) -> None:
        super().__init__(args)
        self._rows: Optional[SourceRows] = None
        for layer in self.transformer_layers:
            if _adapter_dim(args):
                attach_adapter(layer, args.encoder_embed_dim, _adapter_dim(args))
            layer.register_forward_pre_hook(self._before_layer)
        self.transformer_layers[-1].register_forward_hook(self._after_layers)

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
                out = super().forward(src_tokens, src_lengths, return_all_hiddens)
            out["source_of"] = self._finish_rows(out)
        finally:
            self._rows = None
        out["lang_ids"] = [] if lang_ids is None else [lang_ids]
        return out

    def _before_layer(self, layer: Any, inputs: Any) -> Any:
        x, padding_mask, *others = inputs
        if self._rows is None:
            return None
        x = self._keep_apart([layer], x)
        return x, None if padding_mask is None else self._of_rows(padding_mask), *others

    def _after_layers(self, layer: Any, inputs: Any, output: Tensor) -> Any:
        if self._rows is None or self.layer_norm is None:
            return None
        return self._keep_apart([self.layer_norm], output)

    def _keep_apart(self, modules: List[Any], x: Tensor) -> Tensor:
        """Return ``x`` with the rows that ``modules`` need, `[frames, sources, channels]`."""
        if self._rows is None or not self.routing.in_encoder:
            return x
        repeats = self._rows.keep_apart(partitions_in(modules, self.routing))
        self.routing.current = self._rows.languages()
        return x if repeats is None else x.index_select(1, repeats)

    def _of_rows(self, padding_mask: Tensor) -> Tensor:
        if self._rows is None or not self.routing.in_encoder:
            return padding_mask
        return padding_mask.index_select(0, self._rows.utterance_of)

    def _finish_rows(self, out: Dict[str, List[Tensor]]) -> List[Tensor]:
        if self._rows is None:
            return []
        if self.routing.in_encoder:
            out["encoder_padding_mask"] = [
                self._of_rows(mask) for mask in out["encoder_padding_mask"]
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

    def reorder_encoder_out(self, encoder_out: Any, new_order: Tensor) -> Any:
        """Reorder the rows, their languages with them; afterwards each has its own encoding."""
        source_of = encoder_out.get("source_of")
        order = source_of[0].index_select(0, new_order) if source_of else new_order
        out = super().reorder_encoder_out(encoder_out, order)
        out["lang_ids"] = [ids.index_select(0, new_order) for ids in encoder_out["lang_ids"]]
        out["source_of"] = []
        return out


class GistS2TDecoder(stock.TransformerDecoderScriptable):
    """The stock decoder, which routes rows to the copies of their languages."""

    def __init__(
        self,
        args: Any,
        dictionary: Any,
        embed_tokens: Any,
        routing: Routing,
        language_key: str = TARGET,
    ) -> None:
        self.routing = routing
        tags = language_tags(routing.languages, dictionary.symbols, language_key)
        self.tags = [None if tag is None else dictionary.index(tag) for tag in tags]
        super().__init__(args, dictionary, embed_tokens)
        for module in self.layers.modules():
            if hasattr(module, "skip_embed_dim_check"):
                # always the way a split layer has to go: the other rounds differently on torch 1.12
                module.skip_embed_dim_check = True
            if getattr(module, "encoder_attn", None) is not None:
                read_source_once(module.encoder_attn.k_proj, routing)
                read_source_once(module.encoder_attn.v_proj, routing)

    def build_decoder_layer(self, args: Any, no_encoder_attn: bool = False) -> Any:
        """Build one layer, its adapter, and activation checkpointing that knows the languages."""
        wanted, offload = args.checkpoint_activations, args.offload_activations
        args.checkpoint_activations = False
        try:
            layer = super().build_decoder_layer(args, no_encoder_attn)
        finally:
            args.checkpoint_activations = wanted
        if _adapter_dim(args):
            attach_adapter(layer, args.decoder_embed_dim, _adapter_dim(args))
        if not wanted:
            return layer
        return checkpoint_routed(
            layer, self.routing, lambda module: checkpoint_wrapper(module, offload_to_cpu=offload)
        )

    def forward(
        self,
        prev_output_tokens: Tensor,
        encoder_out: Any = None,
        incremental_state: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Decode; the rows' languages are those of ``encoder_out["lang_ids"]``.

        Raises:
            RoutingError: when a row's language isn't the one its language tag names.
        """
        ids = (encoder_out or {}).get("lang_ids")
        batch = None
        if ids:
            source_of = encoder_out.get("source_of")
            batch = self.routing.languages_of(ids[0], source_of[0] if source_of else None)
        # in beam search, hypotheses of probability 0 may have any token in the tag's place
        if batch is not None and incremental_state is None and prev_output_tokens.size(1) > 1:
            check_tags(batch, prev_output_tokens[:, 1], self.tags)
        with self.routing.using(batch):
            out = super().forward(
                prev_output_tokens,
                encoder_out=self._with_mask_of_rows(encoder_out) if ids else encoder_out,
                incremental_state=incremental_state,
                **kwargs,
            )
        if ids and isinstance(out[1], dict) and "encoder_out" in out[1]:
            out[1]["encoder_out"] = encoder_out  # whose mask is that of sources again
        return out

    @staticmethod
    def _with_mask_of_rows(encoder_out: Any) -> Any:
        """Attention masks the keys and values of rows, which it projects from those of sources."""
        masks, source_of = encoder_out["encoder_padding_mask"], encoder_out.get("source_of")
        if not masks or not source_of:
            return encoder_out
        return {**encoder_out, "encoder_padding_mask": [masks[0].index_select(0, source_of[0])]}


@register_model("gist_s2t_transformer")
class GistS2TTransformer(stock.S2TTransformerModel):
    """fairseq's speech-to-text transformer, which a sharing plan can rewrite."""

    def __init__(self, encoder: GistS2TEncoder, decoder: GistS2TDecoder) -> None:
        super().__init__(encoder, decoder)
        self.routing = encoder.routing = decoder.routing
        use_plain_layer_norms(self)

    @staticmethod
    def add_args(parser: Any) -> None:
        """Add the stock model's options, adapters and activation checkpointing."""
        stock.S2TTransformerModel.add_args(parser)
        parser.add_argument(
            "--adapter-dim",
            type=int,
            default=0,
            metavar="N",
            help="put an adapter with N channels in between behind every encoder and decoder "
            "layer, one for each language (default: 0, none)",
        )
        parser.add_argument(
            "--checkpoint-activations",
            action="store_true",
            help="recompute each decoder layer in the backward pass instead of keeping it",
        )
        parser.add_argument(
            "--offload-activations",
            action="store_true",
            help="recompute each decoder layer, its input kept in CPU memory",
        )

    @classmethod
    def build_encoder(cls, args: Any) -> GistS2TEncoder:
        """Build the encoder, from ``--load-pretrained-encoder-from`` where that is given."""
        encoder = GistS2TEncoder(args)
        pretrained = getattr(args, "load_pretrained_encoder_from", None)
        if pretrained:
            if not Path(pretrained).is_file():
                raise OptionError(f"--load-pretrained-encoder-from: there is no file {pretrained}")
            encoder = checkpoint_utils.load_pretrained_component_from_model(
                component=encoder, checkpoint=pretrained
            )
        return encoder

    @classmethod
    def build_decoder(cls, args: Any, task: Any, embed_tokens: Any) -> GistS2TDecoder:
        """Build the decoder; languages are the task's, or those with a tag in the vocabulary."""
        dictionary = task.target_dictionary
        languages = getattr(task, "languages", None) or languages_of_vocabulary(dictionary.symbols)
        key = getattr(task, "language_key", TARGET)
        return GistS2TDecoder(args, dictionary, embed_tokens, Routing(languages), key)

    def forward(
        self,
        src_tokens: Tensor,
        src_lengths: Tensor,
        prev_output_tokens: Tensor,
        lang_ids: Optional[Tensor] = None,
        utterances: Optional[Tensor] = None,
    ) -> Any:
        """Encode and decode a batch; see the encoder for ``lang_ids`` and ``utterances``."""
        encoder_out = self.encoder(
            src_tokens, src_lengths, lang_ids=lang_ids, utterances=utterances
        )
        return self.decoder(prev_output_tokens, encoder_out=encoder_out)

    def get_ctc_output(self, net_output: Any, sample: Any) -> Any:
        """Return the stock model's, with one entry for each row of the batch."""
        out = net_output[1]["encoder_out"]
        if out.get("source_of"):
            every = torch.arange(out["source_of"][0].size(0), device=out["source_of"][0].device)
            out = self.encoder.reorder_encoder_out(out, every)
        return super().get_ctc_output((net_output[0], {"encoder_out": out}), sample)

    def upgrade_state_dict_named(self, state_dict: Dict[str, Tensor], name: str) -> None:
        """Become, before a state dict is loaded, the model that its sharing plan describes."""
        with one_line_errors():
            agree_on_adapters(self, state_dict)
            reconcile(self, state_dict, self.routing)
        super().upgrade_state_dict_named(state_dict, name)


def _adapter_dim(args: Any) -> int:
    """Return the size of adapters; models of before there were any don't say."""
    size = getattr(args, "adapter_dim", None) or 0
    if size < 0:
        raise OptionError(f"--adapter-dim: expected 0 or more channels, found {size}")
    return size


def _register(size: str, complete: Callable[[Any], None]) -> None:
    register_model_architecture("gist_s2t_transformer", f"gist_s2t_transformer{size}")(complete)


_register("", stock.base_architecture)
_register("_xs", stock.s2t_transformer_xs)
_register("_s", stock.s2t_transformer_s)
_register("_sp", stock.s2t_transformer_sp)
_register("_m", stock.s2t_transformer_m)
_register("_mp", stock.s2t_transformer_mp)
_register("_l", stock.s2t_transformer_l)
