"""Writing one language's SeamlessM4T as a folder that transformers loads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from fairseq_gist.architectures.exporting import Export
from fairseq_gist.errors import CheckpointError, OptionError
from fairseq_gist.files import replacing_folder
from fairseq_gist.files.outputs import check_folder

__all__ = ["write_seamless"]

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".msgpack", ".h5", ".index.json")
_MADE = ("config.json",)


def write_seamless(export: Export) -> str:
    """Write configuration and weights, with the other files of the original folder.

    Returns:
        What it is, in words.

    Raises:
        OptionError: when the folder is there already, or the original isn't or isn't known.
        CheckpointError: when the state doesn't fit the configuration.
    """
    if not export.options.seamless_path:
        raise OptionError(
            f"{export.checkpoint} doesn't say from which folder its model was trained: name it, "
            "with --seamless-path, for its tokenizer and feature extractor"
        )
    out, source = Path(export.output), Path(export.options.seamless_path)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OptionError(f"-o {out}: expected a new folder, found one with files, or a file")
    check_folder(out)
    if not (source / "config.json").is_file():
        raise OptionError(
            f"--seamless-path {source}: expected the folder that the model was trained from, with "
            "its tokenizer, found no config.json"
        )
    model = _model(export)
    with replacing_folder(out) as folder:
        model.save_pretrained(folder)
        for file in sorted(source.iterdir()):
            if file.is_file() and file.name not in _MADE and not file.name.endswith(_WEIGHTS):
                shutil.copyfile(file, folder / file.name)
    return "for transformers"


def _model(export: Export) -> Any:
    import torch

    from fairseq_gist.architectures.seamless_m4t.folder import (
        configuration_from,
        seamless_transformers,
    )
    from fairseq_gist.architectures.seamless_m4t.names import state_for_transformers

    kind = seamless_transformers().SeamlessM4TForSpeechToText
    with torch.device("meta"):
        model = kind(configuration_from(export.settings.seamless_config))
    try:
        model.load_state_dict(state_for_transformers(export.state), strict=True, assign=True)
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{export.checkpoint}: parameters don't fit SeamlessM4T: {' '.join(str(error).split())}"
        ) from None
    model.tie_weights()
    return model
