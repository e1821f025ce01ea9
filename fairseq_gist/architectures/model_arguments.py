"""The options that every model here has beside those of the stock one."""

from __future__ import annotations

from typing import Any

__all__ = ["add_model_args"]


def add_model_args(parser: Any) -> None:
    """Add the options of adapters, language embeddings and activation checkpointing."""
    parser.add_argument(
        "--adapter-dim",
        type=int,
        default=0,
        metavar="N",
        help="put an adapter with N channels in between behind every encoder and decoder "
        "layer, one for each language (default: 0, none)",
    )
    parser.add_argument(
        "--language-embedding",
        metavar="STACKS",
        help="add a learned vector for each language to what the first layer reads: of the "
        "'encoder', the 'decoder' or 'encoder,decoder' (default: none)",
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
