"""Two stacks of one layer each, on the routed encoder and decoder of the others."""

import torch
from fairseq.models import (
    FairseqEncoder,
    FairseqEncoderDecoderModel,
    FairseqIncrementalDecoder,
    register_model,
    register_model_architecture,
)
from fairseq_gist.architectures.toy import ARCHITECTURE
from torch import nn

from fairseq_gist.architectures.model_arguments import add_model_args
from fairseq_gist.architectures.routed.decoder import RoutedDecoder
from fairseq_gist.architectures.routed.encoder import RoutedEncoder
from fairseq_gist.architectures.routed.model import RoutedModel
from fairseq_gist.architectures.routed.options import adapted, recomputed
from fairseq_gist.nn.routing import Routing
from fairseq_gist.nn.source_once import read_source_once

WIDTH = 8


class Mix(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH)

    def forward(self, x):
        return x + self.narrow(torch.relu(self.wide(x)))


class Slab(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = Mix()

    def forward(self, x):
        return self.mix(x)


class Look(nn.Module):
    def __init__(self, routing):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        for projection in (self.k_proj, self.v_proj):
            read_source_once(projection, routing, batch_dim=0)

    def forward(self, x, encoded, padding):
        scores = self.q_proj(x) @ self.k_proj(encoded).transpose(1, 2)
        scores = scores.masked_fill(padding.unsqueeze(1), float("-inf"))
        return x + torch.softmax(scores, -1) @ self.v_proj(encoded)


class LookingSlab(nn.Module):
    def __init__(self, routing):
        super().__init__()
        self.look, self.mix = Look(routing), Mix()

    def forward(self, x, encoded, padding):
        return self.mix(self.look(x, encoded, padding))


class ToyEncoder(RoutedEncoder, FairseqEncoder):
    rows_dim = 0
    layers_name = "slab_layers"
    later = ()

    def __init__(self, routing, args):
        super().__init__(None)
        self.routing = routing
        self.ears = nn.Linear(4, WIDTH)
        self.slab_layers = nn.ModuleList([adapted(Slab(), WIDTH, args) for _ in range(2)])

    def _encode(self, src_tokens, src_lengths, return_all_hiddens):
        padding = torch.arange(src_tokens.size(1)) >= src_lengths.unsqueeze(1)
        x = self.ears(src_tokens)
        for layer in self.slab_layers:
            x = layer(self.keep_apart([layer], x))
        return {"encoder_out": [x], "encoder_padding_mask": [padding]}

    def _reorder(self, encoder_out, order):
        names = ("encoder_out", "encoder_padding_mask")
        return {name: [x.index_select(0, order) for x in encoder_out[name]] for name in names}

    def max_positions(self):
        return 1000


class ToyDecoder(RoutedDecoder, FairseqIncrementalDecoder):
    def __init__(self, dictionary, routing, language_key, args):
        super().__init__(dictionary)
        self.know(routing, dictionary, language_key)
        self.words = nn.Embedding(len(dictionary), WIDTH, dictionary.pad())
        layers = [adapted(LookingSlab(routing), WIDTH, args) for _ in range(2)]
        self.slab_layers = nn.ModuleList([recomputed(one, routing, args) for one in layers])
        self.head = nn.Linear(WIDTH, len(dictionary), bias=False)
        self.head.weight = self.words.weight

    def forward(self, prev_output_tokens, encoder_out=None, incremental_state=None, **kwargs):
        batch = self.batch_of(encoder_out, prev_output_tokens, incremental_state)
        if incremental_state is not None:
            prev_output_tokens = prev_output_tokens[:, -1:]
        with self.routing.using(batch):
            x = self.words(prev_output_tokens)
            padding = self.with_mask_of_rows(encoder_out)["encoder_padding_mask"][0]
            for layer in self.slab_layers:
                x = layer(x, encoder_out["encoder_out"][0], padding)
            return self.head(x), {"attn": [None]}

    def max_positions(self):
        return 1000


@register_model("gist_toy")
class Toy(RoutedModel, FairseqEncoderDecoderModel):
    architecture = ARCHITECTURE

    @staticmethod
    def add_args(parser):
        add_model_args(parser)

    @classmethod
    def build_model(cls, args, task):
        routing = Routing(task.languages)
        key = getattr(task, "language_key", "tgt")
        decoder = ToyDecoder(task.target_dictionary, routing, key, args)
        return cls(ToyEncoder(routing, args), decoder)

    def get_normalized_probs(self, net_output, log_probs, sample=None):
        return self.get_normalized_probs_scriptable(net_output, log_probs, sample)


@register_model_architecture("gist_toy", "gist_toy")
def complete(args):
    pass
