"""How gradients per language are taken and kept: the same options in training and on their own."""

# OmegaConf needs real types here, not their names: no postponed evaluation of annotations.
from dataclasses import dataclass, field
from typing import Any, List, Optional

__all__ = ["DEVICES", "RecordingOptions", "option", "recording_problems"]

DEVICES = ("cpu", "model")
MINIMUM_SKETCH = 64
"""Below it a cosine would err by more than an eighth."""


def option(default: Any, text: str) -> Any:
    """Return the field of an option whose help, which fairseq prints as it is, says the default."""
    return field(default=default, metadata={"help": f"{text} (default: {default})"})


@dataclass
class RecordingOptions:
    """Into how many chunks gradients are divided, of what they are, and how they are kept."""

    gradient_chunks: int = option(
        8,
        "number of chunks the recorded data is divided into; differences between the chunks of a "
        "language tell its gradient from noise",
    )
    sketch_dim: int = option(
        0,
        "keep this many numbers of every unit's gradient, a random projection, instead of all: "
        "memory no longer depends on the model's size, and a cosine errs by about one over the "
        "root of it, such as 0.016 for 4096; 0 keeps gradients whole",
    )
    statistics_device: str = option(
        "cpu",
        "where recorded gradients are kept: 'cpu', in main memory, or 'model', on the device of "
        "the model, which saves the way there in every update",
    )
    units: Optional[str] = field(
        default=None,
        metadata={
            "metavar": "REGEX",
            "help": "regular expression for the module paths that may be split (default: all "
            "projections and norms of the decoder and its final norm; where neurons are recorded, "
            "as for gdps, the feed-forward blocks of the encoder, of a Conformer's two the second)",
        },
    )


def recording_problems(options: RecordingOptions, least_chunks: int) -> List[str]:
    """Return what is wrong with the options, a line each.

    Args:
        options: as given.
        least_chunks: how many chunks what follows needs.
    """
    found = []
    if options.gradient_chunks < least_chunks:
        found.append(
            f"--gradient-chunks: at least {least_chunks} are needed to tell a gradient from "
            f"noise, found {options.gradient_chunks}"
        )
    if options.sketch_dim != 0 and options.sketch_dim < MINIMUM_SKETCH:
        found.append(
            f"--sketch-dim: at least {MINIMUM_SKETCH} are needed to tell cosines apart, or 0 to "
            f"keep gradients whole, found {options.sketch_dim}"
        )
    if options.statistics_device not in DEVICES:
        found.append(
            f"--statistics-device: expected one of {', '.join(DEVICES)}, found "
            f"'{options.statistics_device}'"
        )
    return found
