"""Writing one language's SeamlessM4T as a folder that transformers loads."""

from __future__ import annotations

import shutil
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any, Dict

from fairseq_gist.errors import CheckpointError, OptionError

__all__ = ["is_seamless", "write_seamless"]

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".msgpack", ".h5", ".index.json")
_MADE = ("config.json",)


def is_seamless(settings: Namespace) -> bool:
    """Return whether the settings of a checkpoint are of a SeamlessM4T model."""
    return bool(getattr(settings, "seamless_config", None))


def write_seamless(
    state: Dict[str, Any], settings: Namespace, folder: str, original: str, checkpoint: str
) -> None:
    """Write configuration and weights, with the other files of the original folder.

    Args:
        state: of one language's model, nothing in it split.
        settings: of the checkpoint's model.
        folder: to be made, whole or not at all; what is there stays if it is no empty folder.
        original: with tokenizer, feature extractor and settings of generation.
        checkpoint: for errors.

    Raises:
        OptionError: when ``folder`` is there already, or ``original`` isn't.
        CheckpointError: when the state doesn't fit the configuration.
    """
    out, source = Path(folder), Path(original)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise OptionError(f"-o {out}: expected a new folder, found one with files, or a file")
    if not (source / "config.json").is_file():
        raise OptionError(
            f"--seamless-path {source}: expected the folder that the model was trained from, with "
            "its tokenizer, found no config.json"
        )
    model = _model(state, settings, checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        model.save_pretrained(temporary)
        for file in sorted(source.iterdir()):
            if file.is_file() and file.name not in _MADE and not file.name.endswith(_WEIGHTS):
                shutil.copyfile(file, temporary / file.name)
        temporary.chmod(0o755)
        if out.is_dir():
            out.rmdir()
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _model(state: Dict[str, Any], settings: Namespace, checkpoint: str) -> Any:
    import torch

    from fairseq_gist.architectures.seamless_m4t.folder import configuration_from
    from fairseq_gist.architectures.seamless_m4t.names import state_for_transformers
    from fairseq_gist.host.packages import require_transformers

    kind = require_transformers().SeamlessM4TForSpeechToText
    with torch.device("meta"):
        model = kind(configuration_from(settings.seamless_config))
    try:
        model.load_state_dict(state_for_transformers(state), strict=True, assign=True)
    except (RuntimeError, KeyError) as error:
        raise CheckpointError(
            f"{checkpoint}: parameters don't fit SeamlessM4T: {' '.join(str(error).split())}"
        ) from None
    model.tie_weights()
    return model
