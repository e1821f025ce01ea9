"""What an architecture is: all that is known of a kind of model beside its computations.

An architecture is one folder of this package whose ``__init__.py`` has an ``ARCHITECTURE``, an
:class:`Architecture`. It knows its modules by their paths; surgery, policies, reports and commands
ask it, and know none themselves. Modules with torch or fairseq in them are named here, and imported
only when a model is built, read or written.
"""

from __future__ import annotations

import functools
import importlib
import re
from dataclasses import dataclass, field, fields
from typing import Any, Dict, Iterable, Mapping, Optional, Pattern, Tuple, Type

from fairseq_gist.sharing.low_rank import whole_of
from fairseq_gist.sharing.shape import Place

__all__ = ["PREFIX", "Architecture", "load"]

PREFIX = "gist_"
"""Begins the names of our models, and of their sizes, in fairseq."""

_IN_LAYER = re.compile(
    r"^(?:(?P<stack>.+?)\.)?(?P<layers>\w*layers)\.(?P<layer>\d+)\.(?P<kind>.+)$"
)

_BUFFERS = (
    "version",
    "_float_tensor",
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "inv_freq",
)

_NOTHING = r"(?!)"


@dataclass(frozen=True)
class Architecture:
    """A kind of model: how its parts are called, and who builds, feeds and writes it.

    Patterns are regular expressions for whole module paths. What isn't said is as in fairseq's
    encoder-decoder models: layers ``encoder.*layers.N`` and ``decoder.layers.N`` with
    ``self_attn``, ``encoder_attn`` and ``fc1``, ``fc2``; time first, rows second in the layers.

    Attributes:
        name: ``gist_`` before it makes the name of the model in fairseq.
        summary: what it is, in half a line.
        model: module that registers the model and its sizes with fairseq.
        is_stock: whether fairseq has this model itself, under ``name``, so that its checkpoints are
            read and a language's model is written as one.
        marks: beginnings of the paths by which a file that doesn't say its architecture is
            recognised.
        kinds: beginnings of kinds of units that fairseq calls otherwise -> fairseq's.
        default_units: what a plan must speak of.
        neuron_units: projections of the blocks that policies on single neurons decide on.
        blocks: last part of the first projection of a feed-forward block -> of the second.
        rows_first: modules in whose input the rows of the batch come first; in that of others,
            second.
        common_input: modules whose input is the same for all rows.
        reads_source: modules whose input is the encoder's output.
        ties: modules that belong to another one's unit where their weights are tied -> that one.
        embedding: of the target vocabulary.
        buffers: last parts of entries of a state dict that are no parameters.
        unused: parameters that the model keeps, and neither trains nor reads.
        attention_and_norms: last parts of the paths of attention and norms.
        bypasses: ``module:function`` that, given a model and the path of a module, switches off the
            shortcuts round it that would read its weight past a call.
        settings: what a task tells a model of the data, with the usual value.
        options: dataclass of the options it adds to the task and to commands that build its model
            without a task, in real types; ``metadata`` as in
            :mod:`fairseq_gist.cli.dataclass_options`.
        inputs: ``module:class`` of an :class:`~fairseq_gist.architectures.inputs.Inputs`, for a
            model whose vocabulary and features don't come from the data folder.
        inputs_option: the one of ``options`` that names where they come from.
        folder_type: ``model_type`` in the ``config.json`` of a folder of transformers that is one.
        exporters: form that one language's model can be written in -> ``module:function`` that does
            it, given an :class:`~fairseq_gist.architectures.exporting.Export`, and returns what it
            is in words; the first is the usual one.
    """

    name: str
    summary: str
    model: str
    is_stock: bool = False
    marks: str = _NOTHING
    kinds: Mapping[str, str] = field(default_factory=dict)
    default_units: str = r"decoder\.(?:layers\.\d+\.(?!adapter\.|language_embedding).+|layer_norm)"
    neuron_units: str = r"encoder\.\w*layers\.\d+\.fc[12]"
    blocks: Mapping[str, str] = field(default_factory=lambda: {"fc1": "fc2"})
    rows_first: str = (
        r"(?:.+\.)?(?:embed_tokens|layernorm_embedding|output_projection|project_(?:in|out)_dim)"
    )
    common_input: str = _NOTHING
    reads_source: str = r".+\.encoder_attn\.[kv]_proj"
    ties: Mapping[str, str] = field(
        default_factory=lambda: {"decoder.output_projection": "decoder.embed_tokens"}
    )
    embedding: str = "decoder.embed_tokens"
    buffers: Tuple[str, ...] = _BUFFERS
    unused: str = _NOTHING
    attention_and_norms: str = r"(?:self_attn|encoder_attn|\w*layer_norm|layernorm_embedding)"
    bypasses: Optional[str] = "fairseq_gist.architectures.routed.bypasses:switch_off"
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Optional[Type[Any]] = None
    inputs: Optional[str] = None
    inputs_option: Optional[str] = None
    folder_type: Optional[str] = None
    exporters: Mapping[str, str] = field(default_factory=dict)

    @property
    def model_name(self) -> str:
        """Name of the model in fairseq."""
        return PREFIX + self.name

    def has_arch(self, arch: str) -> bool:
        """Return whether ``arch``, with or without ``gist_`` before it, is one of its sizes."""
        plain = arch[len(PREFIX) :] if arch.startswith(PREFIX) else arch
        return plain == self.name or plain.startswith(f"{self.name}_")

    # -- names --------------------------------------------------------------------------------

    def place(self, name: str) -> Place:
        """Return where the unit is.

        >>> plain = Architecture("plain", "as fairseq's", "none")
        >>> plain.place("decoder.layers.3.fc2").block
        'decoder.layers.3.feed_forward'
        >>> plain.place("decoder.layer_norm").layer is None
        True
        """
        match = _IN_LAYER.match(name)
        if match is None:
            stack, _, kind = name.partition(".")
            return Place(stack if kind else "", None, name, name, kind or name)
        stack, layers, layer, kind = match.group("stack", "layers", "layer", "kind")
        layer_path = ".".join(filter(None, (stack, layers, layer)))
        block = name.rpartition(".")[0] if "." in kind else name
        if kind in {*self.blocks, *self.blocks.values()}:
            block = f"{layer_path}.feed_forward"  # both lie loose in the layer
        return Place(stack or "", int(layer), layer_path, block, self._canonical(kind))

    def _canonical(self, kind: str) -> str:
        for theirs, ours in self.kinds.items():
            if kind.startswith(theirs):
                return ours + kind[len(theirs) :]
        return kind

    def is_default(self, name: str) -> bool:
        """Return whether a plan must speak of the unit."""
        return _fits(self.default_units, name)

    def is_for_neurons(self, name: str) -> bool:
        """Return whether policies on single neurons decide on the unit's block unless told."""
        return _fits(self.neuron_units, name)

    def feed_forward_blocks(self, names: Iterable[str]) -> Dict[str, str]:
        """Return the feed-forward blocks among ``names``: first projection -> second.

        >>> plain = Architecture("plain", "as fairseq's", "none")
        >>> plain.feed_forward_blocks(["layers.0.fc1", "layers.0.fc2", "other.fc1"])
        {'layers.0.fc1': 'layers.0.fc2'}
        """
        known = dict.fromkeys(names)
        blocks: Dict[str, str] = {}
        for name in known:
            parent, dot, kind = name.rpartition(".")
            second = f"{parent}{dot}{self.blocks.get(kind, '')}"
            if kind in self.blocks and second in known:
                blocks[name] = second
        return blocks

    def batch_dim(self, path: str) -> int:
        """Return where the rows of the batch are in the input of the module at ``path``."""
        return 0 if _fits(self.rows_first, whole_of(path)) else 1

    def has_common_input(self, path: str) -> bool:
        """Return whether all rows of the input of the module at ``path`` are the same."""
        return _fits(self.common_input, whole_of(path))

    def is_source_reader(self, path: str) -> bool:
        """Return whether the input of the module at ``path`` is the encoder's output."""
        return _fits(self.reads_source, whole_of(path))

    def is_unused(self, name: str) -> bool:
        """Return whether the model keeps the parameter ``name`` without training or reading it."""
        return _fits(self.unused, name)

    def is_parameter(self, entry: str) -> bool:
        """Return whether an entry of a state dict is a parameter that counts."""
        return entry.rpartition(".")[2] not in self.buffers and not self.is_unused(entry)

    def is_marked(self, name: str) -> bool:
        """Return whether only this architecture has such a path."""
        return _compiled(self.marks).match(name) is not None

    def parts(self) -> Dict[str, str]:
        """Parts that can be trained alone, by name: a pattern of module paths.

        LNA is Li et al., "Multilingual Speech Translation from Efficient Finetuning of Pretrained
        Models" (ACL 2021), section 3.2: LayerNorm and attention of the decoder, the encoder or
        both. Which of the decoder's two attentions Wang et al. (Interspeech 2022) train isn't
        said; here it is both.
        """
        chosen = rf"(?!.*\badapter\b)(?:.+\.)?{self.attention_and_norms}"
        return {
            "adapters": r".+\.adapter",
            "language-embeddings": r".+\.language_embedding",
            "lna-d": rf"decoder\.{chosen}",
            "lna-e": rf"encoder\.{chosen}",
            "lna-ed": rf"(?:en|de)coder\.{chosen}",
        }

    # -- code with torch and fairseq ----------------------------------------------------------

    @property
    def inputs_flag(self) -> str:
        """The option that names where the model's own inputs come from."""
        return f"--{(self.inputs_option or '').replace('_', '-')}"

    def brings_inputs(self, settings: Any) -> bool:
        """Return whether options name where the model's own inputs come from."""
        return self.inputs_option is not None and bool(getattr(settings, self.inputs_option, None))

    def options_from(self, settings: Any) -> Any:
        """Return its dataclass of options with what ``settings`` has of them, or None."""
        if self.options is None:
            return None
        names = [one.name for one in fields(self.options)]
        return self.options(**{n: getattr(settings, n) for n in names if hasattr(settings, n)})

    def inputs_from(self, settings: Any) -> Any:
        """Return the model's own inputs, as options say.

        Raises:
            OptionError: when there are none such.
        """
        return load(str(self.inputs))(self.options_from(settings))

    def register(self) -> None:
        """Make the model and its sizes known to fairseq."""
        importlib.import_module(self.model)


def load(reference: str) -> Any:
    """Return what ``module:name`` says."""
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)


@functools.lru_cache(maxsize=None)
def _compiled(pattern: str) -> Pattern[str]:
    return re.compile(pattern)


def _fits(pattern: str, name: str) -> bool:
    return _compiled(pattern).fullmatch(name) is not None
