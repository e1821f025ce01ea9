"""Make the files in ``after/`` of the stack that runs this: see README.md.

python -m tests.regression.continued
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Tuple

from tests.regression import make
from tests.regression import make_second as second

HERE = Path(__file__).parent
STACK = "modern" if sys.version_info >= (3, 11) else "classic"
FOLDERS = {"first": HERE / STACK, "second": HERE / "second" / STACK}
OPTIONS = [*second.SPLIT_TWICE, "--dropout=0"]


def kept(which: str) -> Path:
    """Return the file that has what a run came to."""
    return HERE / "after" / f"{which}-{STACK}.pt"


def go_on(which: str, data: Path, save: Path) -> Path:
    """Go on from ``window.pt`` over two differentiations, and return the checkpoint.

    Without dropout: which cells torch 1.12 drops depends on who made the processor.
    """
    save.mkdir(parents=True, exist_ok=True)
    shutil.copy(FOLDERS[which] / "window.pt", save / "checkpoint_last.pt")
    return make.train(data, save, 16, *OPTIONS)


def tensors(path: Path) -> Tuple[Dict[str, Any], Dict[Any, Any]]:
    """Return the model's entries of a checkpoint, and its optimizer's."""
    from fairseq import checkpoint_utils

    from fairseq_gist.tasks.registration import register

    register()  # before which torch refuses the settings in a checkpoint
    content = checkpoint_utils.load_checkpoint_to_cpu(str(path))
    return content["model"], (content.get("last_optimizer_state") or {}).get("state", {})


def main() -> None:
    """Write the files."""
    import torch

    for which in FOLDERS:
        with tempfile.TemporaryDirectory() as scratch:
            data = make.usable(HERE / "data" / "one_to_many", Path(scratch) / "data")
            model, moments = tensors(go_on(which, data, Path(scratch) / "save"))
            torch.save({"model": dict(model), "moments": moments}, str(kept(which)))


if __name__ == "__main__":
    main()
