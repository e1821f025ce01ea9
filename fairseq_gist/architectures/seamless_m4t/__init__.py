"""The speech-to-text model of SeamlessM4T, as transformers has it."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq_gist.architectures.base import Architecture

__all__ = ["ARCHITECTURE", "SeamlessOptions"]


@dataclass
class SeamlessOptions:
    """Which SeamlessM4T."""

    seamless_path: Optional[str] = field(
        default=None,
        metadata={
            "help": "local folder of a SeamlessM4T model (as hf-seamless-m4t-medium), whose "
            "vocabulary and features the data then have; with --arch gist_seamless_m4t its weights "
            "are trained on",
            "metavar": "DIR",
        },
    )


ARCHITECTURE = Architecture(
    name="seamless_m4t",
    summary="SeamlessM4T's speech-to-text model (first version), of transformers",
    model="fairseq_gist.architectures.seamless_m4t.model",
    marks=(
        r"encoder\.layers\.\d+\.(?:ffn[12]\.(?:intermediate|output)_dense|ffn[12]_layer_norm"
        r"|conv_module\.|self_attn\.linear_)"
        r"|encoder\.(?:length_adaptor|intermediate_ffn|feature_projection|inner_layer_norm)\b"
        r"|decoder\.layers\.\d+\.(?:cross_attention|ffn)[._]"
    ),
    kinds={"cross_attention.": "encoder_attn.", "ffn.": ""},
    # of the two blocks of a layer the second, as in Sun & Nakamura (2026)
    neuron_units=r"encoder\.layers\.\d+\.ffn2\.(?:intermediate_dense|output_dense)",
    blocks={"intermediate_dense": "output_dense", "fc1": "fc2"},
    rows_first=r".+",
    common_input=r".+\.self_attn\.linear_pos",
    reads_source=r".+\.cross_attention\.[kv]_proj",
    bypasses=None,
    options=SeamlessOptions,
    inputs="fairseq_gist.architectures.seamless_m4t.inputs:SeamlessInputs",
    inputs_option="seamless_path",
    folder_type="seamless_m4t",
    exporters={"huggingface": "fairseq_gist.architectures.seamless_m4t.export:write_seamless"},
    attention_and_norms=r"(?:self_attn|cross_attention|\w*layer_norm)",
)
