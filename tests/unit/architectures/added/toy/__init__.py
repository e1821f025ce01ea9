"""An architecture that somebody adds: this folder is all of it.

Its parts are called as nowhere else, and it brings along a vocabulary, features of its own, and
targets that begin with two symbols.
"""

from dataclasses import dataclass, field
from typing import Optional

from fairseq_gist.architectures.base import Architecture

FOLDER = "fairseq_gist.architectures.toy"


@dataclass
class ToyOptions:
    toy_path: Optional[str] = field(
        default=None, metadata={"help": "folder of a toy, with its vocabulary", "metavar": "DIR"}
    )


ARCHITECTURE = Architecture(
    name="toy",
    summary="a model of two layers, for the test that one more is one folder",
    model=f"{FOLDER}.model",
    marks=r"encoder\.slabs\.|decoder\.slab_layers\.",
    kinds={"look.": "encoder_attn.", "mix.wide": "fc1", "mix.narrow": "fc2"},
    default_units=r"decoder\.slab_layers\.\d+\..+",
    neuron_units=r"encoder\.slab_layers\.\d+\.mix\.(?:wide|narrow)",
    blocks={"wide": "narrow"},
    rows_first=r".+",
    reads_source=r"decoder\.slab_layers\.\d+\.look\.[kv]_proj",
    ties={"decoder.head": "decoder.words"},
    embedding="decoder.words",
    bypasses=None,
    options=ToyOptions,
    inputs=f"{FOLDER}.inputs:ToyInputs",
    inputs_option="toy_path",
    exporters={"toy": f"{FOLDER}.export:write_toy"},
)
