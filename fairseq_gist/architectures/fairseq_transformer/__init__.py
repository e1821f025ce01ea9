"""fairseq's speech-to-text transformer."""

from fairseq_gist.architectures.base import Architecture

__all__ = ["ARCHITECTURE"]

ARCHITECTURE = Architecture(
    name="s2t_transformer",
    summary="fairseq's speech-to-text transformer and its sizes",
    model="fairseq_gist.architectures.fairseq_transformer.model",
    is_stock=True,
    marks=r"encoder\.transformer_layers\.",
    rows_first=(
        r"(?:.+\.)?(?:embed_tokens|layernorm_embedding|output_projection|project_(?:in|out)_dim"
        # convolutions have time last
        r"|subsample\.conv_layers\.\d+)"
    ),
    # second copies that fairseq 0.12.2 keeps for a fast path
    unused=r"encoder\.transformer_layers\.\d+\.(?:in_proj|out_proj|fc1|fc2)_(?:weight|bias)",
    exporters={
        "fairseq": "fairseq_gist.architectures.routed.export:write_stock",
        "huggingface": (
            "fairseq_gist.architectures.fairseq_transformer.huggingface:write_speech2text"
        ),
    },
    settings={"input_feat_per_channel": 80, "input_channels": 1},
)
