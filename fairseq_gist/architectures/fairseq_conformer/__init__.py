"""fairseq's speech-to-text Conformer."""

from fairseq_gist.architectures.base import Architecture

__all__ = ["ARCHITECTURE"]

ARCHITECTURE = Architecture(
    name="s2t_conformer",
    summary="fairseq's speech-to-text Conformer",
    model="fairseq_gist.architectures.fairseq_conformer.model",
    is_stock=True,
    marks=r"encoder\.conformer_layers\.",
    # of the two blocks of a layer the second, as in Sun & Nakamura (2026)
    neuron_units=r"encoder\.conformer_layers\.\d+\.ffn2\.w_[12]",
    blocks={"w_1": "w_2", "fc1": "fc2"},
    rows_first=(
        r"(?:.+\.)?(?:embed_tokens|layernorm_embedding|output_projection|project_(?:in|out)_dim"
        # attention that isn't fairseq's own swaps time and rows back
        r"|self_attn\.linear_(?:q|k|v|out|pos)"
        # convolutions have time last
        r"|conv_module\.\w+|subsample\.conv_layers\.\d+)"
    ),
    # relative positions: stock attention gives them one row, repeated where languages differ here
    common_input=r".+\.self_attn\.linear_pos",
    exporters={"fairseq": "fairseq_gist.architectures.routed.export:write_stock"},
    settings={"input_feat_per_channel": 80, "input_channels": 1},
)
