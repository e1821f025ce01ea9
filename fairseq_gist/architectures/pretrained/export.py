"""Writing one language's model as a folder that transformers loads."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Mapping, Optional, Type

from fairseq_gist.architectures.exporting import CARD_FILE, Export
from fairseq_gist.architectures.pretrained.folder import PretrainedFolder
from fairseq_gist.errors import CheckpointError, OptionError
from fairseq_gist.files import replacing_folder
from fairseq_gist.files.outputs import check_new_folder

__all__ = ["write_pretrained"]

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".msgpack", ".h5", ".index.json")
_MADE = ("config.json", CARD_FILE)


def write_pretrained(
    export: Export,
    kind: Type[PretrainedFolder],
    source: Optional[str],
    configuration: str,
    state: Mapping[str, Any],
) -> str:
    """Write configuration and weights, with the other files of the original folder.

    Args:
        export: the model, on its way out.
        kind: of folder.
        source: the folder that the model was trained from.
        configuration: of the model, in JSON.
        state: with the names of transformers.

    Returns:
        What it is, in words.

    Raises:
        OptionError: when the folder is there already, or the original isn't or isn't known.
        CheckpointError: when the state doesn't fit the configuration.
    """
    if not source:
        raise OptionError(
            f"{export.checkpoint} doesn't say from which folder its model was trained: name it, "
            f"with {kind.option}, for its tokenizer and feature extractor"
        )
    out, original = Path(export.output), Path(source)
    check_new_folder(out)
    if not (original / "config.json").is_file():
        raise OptionError(
            f"{kind.option} {original}: expected the folder that the model was trained from, with "
            "its tokenizer, found no config.json"
        )
    model = _model(export, kind, configuration, state)
    with replacing_folder(out) as folder:
        model.save_pretrained(folder)
        for file in sorted(original.iterdir()):
            if file.is_file() and file.name not in _MADE and not file.name.endswith(_WEIGHTS):
                shutil.copyfile(file, folder / file.name)
        (folder / CARD_FILE).write_text(export.card, encoding="utf-8")
    return "for transformers"


def _model(
    export: Export, kind: Type[PretrainedFolder], configuration: str, state: Mapping[str, Any]
) -> Any:
    import torch

    with torch.device("meta"):
        model = kind.model_from(configuration)
    try:
        model.load_state_dict(state, strict=True, assign=True)
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{export.checkpoint}: parameters don't fit {kind.name}: {' '.join(str(error).split())}"
        ) from None
    model.tie_weights()
    return model
