"""Small awkward models: what surgery and recording meet in the wild, each as small as it gets.

The modules are named as in fairseq, because paths decide what is a unit and where its rows are.
"""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Sequence, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fairseq_gist.nn.grouped import GroupedModule
from fairseq_gist.nn.routing import LanguageBatch, Routing
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.units import module_at

LANGUAGES = ("de", "es", "fr", "nl")
SYMBOLS, WIDTH, PADDING = 13, 8, 1


class Attention(nn.Module):
    """One head of self-attention that scales its queries in place, as fairseq's does."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, WIDTH)
        self.k_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.v_proj = nn.Linear(WIDTH, WIDTH)
        self.out_proj = nn.Linear(WIDTH, WIDTH)
        self.skip_embed_dim_check = False

    def forward(self, x: Tensor) -> Tensor:
        """Attend over time; ``x`` is `[time, batch, width]`."""
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        q *= WIDTH**-0.5
        q, k, v = q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1)
        return self.out_proj(torch.softmax(q @ k.transpose(1, 2), -1).matmul(v).transpose(0, 1))


class Layer(nn.Module):
    """Pre-norm self-attention and feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention()
        self.self_attn_layer_norm = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, 12)
        self.fc2 = nn.Linear(12, WIDTH)
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output, `[time, batch, width]`."""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(torch.relu(self.fc1(self.final_layer_norm(x))))


class Decoder(nn.Module):
    """Embedding, layers, norm and output projection."""

    def __init__(self, layers: int = 2, tied: bool = True) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(SYMBOLS, WIDTH, padding_idx=PADDING)
        self.layers = nn.ModuleList(Layer() for _ in range(layers))
        self.layer_norm = nn.LayerNorm(WIDTH)
        self.output_projection = nn.Linear(WIDTH, SYMBOLS, bias=False)
        if tied:
            self.output_projection.weight = self.embed_tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits, `[batch, time, symbols]`."""
        x = self.embed_tokens(tokens).transpose(0, 1) * math.sqrt(WIDTH)
        for layer in self.layers:
            x = layer(x)
        return self.output_projection(self.layer_norm(x).transpose(0, 1))


class Model(nn.Module):
    """A decoder whose rows know their language."""

    def __init__(self, routing: Routing, **options: Any) -> None:
        super().__init__()
        self.routing = routing
        self.decoder = Decoder(**options)

    def forward(self, tokens: Tensor, ids: Sequence[int]) -> Tensor:
        """Return logits; ``ids`` has the language of each row."""
        batch = LanguageBatch(torch.tensor(ids, dtype=torch.long), self.routing.languages)
        with self.routing.using(batch):
            return self.decoder(tokens)


def seeded(build: Callable[[], nn.Module]) -> Any:
    """Return what ``build`` makes, with the same random parameters every time."""
    torch.manual_seed(7)
    model = build()
    with torch.no_grad():
        for parameter in model.parameters():  # norms start as ones and zeros, which hide mistakes
            parameter.add_(torch.randn(parameter.shape) * 0.3)
    return model.double()


def plain(**options: Any) -> Model:
    """Return the model as it is."""
    return seeded(lambda: Model(Routing(LANGUAGES), **options))


def frozen() -> Model:
    """Return a model in which one unit is frozen altogether, and another's bias."""
    model = plain()
    model.decoder.layers[0].fc1.requires_grad_(False)
    model.decoder.layers[0].self_attn_layer_norm.requires_grad_(False)
    model.decoder.layers[1].fc2.bias.requires_grad_(False)
    return model


def unused() -> Model:
    """Return a model with a layer that no forward runs."""

    def build() -> Model:
        model = Model(Routing(LANGUAGES))
        model.decoder.layers.append(Layer())
        model.decoder.layers[2].forward = lambda x: x
        return model

    return seeded(build)


def reused() -> Model:
    """Return a model in which one layer is run twice, under two names."""

    def build() -> Model:
        model = Model(Routing(LANGUAGES))
        model.decoder.layers[1] = model.decoder.layers[0]
        return model

    return seeded(build)


def reused_leaf() -> Model:
    """Return a model in which two layers have one projection, and one norm."""

    def build() -> Model:
        model = Model(Routing(LANGUAGES))
        first, second = model.decoder.layers
        second.fc1 = first.fc1
        second.final_layer_norm = first.self_attn_layer_norm
        return model

    return seeded(build)


ALL: Dict[str, Callable[[], Model]] = {
    "tied": plain,
    "untied": lambda: plain(tied=False),
    "frozen": frozen,
    "unused": unused,
    "reused": reused,
    "reused leaf": reused_leaf,
}


def batch(ids: Sequence[int], time: int = 5, seed: int = 3) -> Tuple[Tensor, Tensor]:
    """Return tokens and targets `[rows, time]`; rows differ, some end in padding."""
    generator = torch.Generator().manual_seed(seed)
    shape = (len(ids), time)
    tokens = torch.randint(2, SYMBOLS, shape, generator=generator)
    targets = torch.randint(2, SYMBOLS, shape, generator=generator)
    tokens[::2, -1] = PADDING
    return tokens, targets


def loss(model: Model, tokens: Tensor, targets: Tensor, ids: Sequence[int]) -> Tensor:
    """Return the summed cross-entropy."""
    logits = model(tokens, ids)
    return F.cross_entropy(logits.reshape(-1, SYMBOLS), targets.reshape(-1), reduction="sum")


class Sink:
    """Adds up what it is given, by unit, parameter and language."""

    def __init__(self) -> None:
        self.sums: Dict[Tuple[str, str, int], Tensor] = {}

    def add(self, unit: str, part: str, languages: Sequence[int], gradients: Tensor) -> None:
        """Add gradients."""
        for language, gradient in zip(languages, gradients):
            key = (unit, part, language)
            self.sums[key] = self.sums[key] + gradient if key in self.sums else gradient.clone()


def one_copy(model: nn.Module, path: str, language: int) -> nn.Module:
    """Return the module that a language runs through at ``path``."""
    module = module_at(model, path)
    return module.copies[module.group_of[language]] if isinstance(module, GroupedModule) else module


def some_plan(model: Model, units: Sequence[str], seed: int = 0) -> SharingPlan:
    """Return a plan in which the units are split in turn in two, three and all four languages."""
    splits: List[List[List[str]]] = [
        [["de", "nl"], ["es", "fr"]],
        [["de", "nl"], ["es"], ["fr"]],
        [["de"], ["es"], ["fr"], ["nl"]],
        [["de", "es", "fr", "nl"]],
        [["de", "es", "fr"], ["nl"]],
    ]
    named = {unit: splits[(index + seed) % len(splits)] for index, unit in enumerate(units)}
    return SharingPlan(model.routing.languages, named, {"policy": "by hand"})
