"""The model of Speech2Text that computes what fairseq's speech-to-text transformer does."""

from __future__ import annotations

import re
from argparse import Namespace
from typing import Any, Dict, List, Mapping, Tuple

from fairseq_gist.architectures.exporting import Export
from fairseq_gist.architectures.fairseq_transformer import ARCHITECTURE
from fairseq_gist.errors import CheckpointError, shortened

__all__ = ["model_for"]

_ACTIVATIONS = ("relu", "gelu", "gelu_accurate", "tanh")
"""Those that both call the same."""

_NAMES: Tuple[Tuple[str, str], ...] = (
    (r"^encoder\.subsample\.", "encoder.conv."),
    (r"^encoder\.transformer_layers\.", "encoder.layers."),
    (r"^decoder\.output_projection\.", "lm_head."),
    (r"^(?=(?:en|de)coder\.)", "model."),
)

_UNHEARD = "encoder.ctc_proj."
"""Trained beside the translation, which it has no part in."""


def model_for(export: Export, symbols: int, bins: int) -> Any:
    """Return the model, in single precision.

    Args:
        export: the model, on its way out.
        symbols: of the vocabulary that it should have.
        bins: of the features that it should read.

    Raises:
        CheckpointError: when Speech2Text can't be such a model, or vocabulary or features are
            another's.
    """
    import torch
    from transformers import Speech2TextForConditionalGeneration

    _check_settings(export)
    state = _renamed(export.state)
    configuration = _configuration(export, state)
    found = configuration.vocab_size, configuration.input_feat_per_channel
    for what, has, data in zip(("symbols", "bins"), found, (symbols, bins)):
        if has != data:
            raise CheckpointError(
                f"{export.checkpoint}: expected the {data} {what} of {export.data}, found {has}: "
                "name the data that it was trained on, with --data"
            )
    with torch.device("meta"):
        model = Speech2TextForConditionalGeneration(configuration)
    expected = {name: one.shape for name, one in model.state_dict().items()}
    _check_names(export, list(expected), list(state))
    for name, shape in expected.items():
        if state[name].shape != shape:
            raise CheckpointError(
                f"{export.checkpoint}: --format huggingface: Speech2Text has '{name}' of shape "
                f"{tuple(shape)}, found {tuple(state[name].shape)}"
            )
    model.load_state_dict({name: one.float() for name, one in state.items()}, assign=True)
    model.tie_weights()
    return model


def _check_settings(export: Export) -> None:
    """Raise CheckpointError for settings that leave no trace among the parameters."""
    settings = export.settings
    for name, allowed, usual in (
        ("encoder_normalize_before", (True,), True),
        ("decoder_normalize_before", (True,), True),
        ("no_token_positional_embeddings", (False,), False),
        ("activation_fn", _ACTIVATIONS, "relu"),
    ):
        found = getattr(settings, name, usual)
        if found not in allowed:
            flag = f"--{name.replace('_', '-')}"
            raise CheckpointError(
                f"{export.checkpoint}: --format huggingface: Speech2Text knows {flag} "
                f"{', '.join(map(str, allowed))} only, found {found}; leave out --format"
            )


def _renamed(state: Mapping[str, Any]) -> Dict[str, Any]:
    renamed: Dict[str, Any] = {}
    for name, tensor in state.items():
        if ARCHITECTURE.is_parameter(name) and not name.startswith(_UNHEARD):
            for ours, theirs in _NAMES:
                name = re.sub(ours, theirs, name)
            renamed[name] = tensor
    return renamed


def _check_names(export: Export, expected: List[str], found: List[str]) -> None:
    for words, names in (
        ("has no place for", [name for name in found if name not in expected]),
        ("needs", [name for name in expected if name not in found]),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise CheckpointError(
                f"{export.checkpoint}: --format huggingface: Speech2Text {words} "
                f"'{shortened(names[0])}'{more}; leave out --format"
            )


def _configuration(export: Export, state: Mapping[str, Any]) -> Any:
    """Return what the parameters' sizes and the settings say.

    Raises:
        CheckpointError: when a parameter is missing whose size is asked for.
    """
    import torch
    from transformers import Speech2TextConfig

    settings = export.settings
    kernels = _numbered(state, "conv.conv_layers")
    try:
        embedding = state["model.decoder.embed_tokens.weight"]
        convolutions = [
            state[f"model.encoder.conv.conv_layers.{number}.weight"] for number in range(kernels)
        ]
        first, channels = convolutions[0], int(getattr(settings, "input_channels", None) or 1)
        projection = state.get("lm_head.weight", embedding)
        return Speech2TextConfig(
            vocab_size=embedding.size(0),
            d_model=embedding.size(1),
            encoder_layers=_numbered(state, "encoder.layers"),
            decoder_layers=_numbered(state, "decoder.layers"),
            encoder_ffn_dim=state["model.encoder.layers.0.fc1.weight"].size(0),
            decoder_ffn_dim=state["model.decoder.layers.0.fc1.weight"].size(0),
            encoder_attention_heads=int(settings.encoder_attention_heads),
            decoder_attention_heads=int(settings.decoder_attention_heads),
            activation_function=str(getattr(settings, "activation_fn", "relu")),
            scale_embedding=not getattr(settings, "no_scale_embedding", False),
            tie_word_embeddings=bool(torch.equal(embedding, projection)),
            num_conv_layers=kernels,
            conv_kernel_sizes=[one.size(2) for one in convolutions],
            conv_channels=first.size(0),
            input_channels=channels,
            input_feat_per_channel=first.size(1) // channels,
            **_training(settings),
        )
    except (KeyError, IndexError, AttributeError) as error:
        raise CheckpointError(
            f"{export.checkpoint}: --format huggingface: no speech-to-text transformer that "
            f"Speech2Text can be: it lacks {error}; leave out --format"
        ) from None


def _training(settings: Namespace) -> Dict[str, Any]:
    """Return settings that matter for longer inputs and further training."""
    usual = {
        "max_source_positions": 6000,
        "max_target_positions": 1024,
        "dropout": 0.1,
        "attention_dropout": 0.1,
        "activation_dropout": 0.1,
    }
    found = {name: getattr(settings, name, None) for name in usual}
    return {name: usual[name] if value is None else value for name, value in found.items()}


def _numbered(state: Mapping[str, Any], layers: str) -> int:
    """Return how many modules lie in a list of them."""
    pattern = re.compile(rf".*\b{re.escape(layers)}\.(\d+)\.")
    return len({match.group(1) for match in map(pattern.match, state) if match})
