"""fairseq's transformer by another name."""

from dataclasses import replace

from fairseq_gist.architectures.fairseq_transformer import ARCHITECTURE as STOCK

ARCHITECTURE = replace(
    STOCK,
    name="extra_transformer",
    summary="the same with another name",
    model="gist_extras.model",
    marks=r"encoder\.extra_layers\.",
    is_stock=False,
)
