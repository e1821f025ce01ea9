"""The data folder that a checkpoint was trained with: what says its vocabulary."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, Mapping, Optional, Union

from fairseq_gist.errors import OptionError

__all__ = ["CONFIG", "data_folder", "refuse_data", "said_of_task"]

CONFIG = "config_st.yaml"
"""The usual name of a data configuration."""


def data_folder(
    path: Path,
    data: Optional[Union[str, Path]],
    config: str,
    content: Mapping[str, Any],
    settings: Any,
    option: str = "data",
) -> Path:
    """Return the folder with vocabulary and configuration of a checkpoint's model.

    Args:
        path: of the checkpoint.
        data: as an option says; None to look where the checkpoint says, and beside it.
        config: name of the configuration in it.
        content: of the checkpoint.
        settings: of its model.
        option: that names the folder, for errors.

    Raises:
        OptionError: when it isn't there.
    """
    if data is not None:
        return Path(data)
    said, above = said_of_task(content, settings, "data"), path.absolute().parents
    places = [above[0]]
    if said:
        # a relative one is from where training was started, which is often above the checkpoint
        places += [Path(str(said)), *(folder / str(said) for folder in above)]
    for place in places:
        if (place / config).is_file():
            return place
    raise OptionError(
        f"{path} was trained on {said or 'data that it does not name'}, and {config}, which says "
        "its vocabulary, is neither there nor beside the checkpoint; name the folder that has it",
        option,
    )


def refuse_data(path: str, data: Optional[Union[str, Path]], config: Optional[str]) -> None:
    """Raise OptionError where data are named for a model that brings its own vocabulary along."""
    for name, value in (("data", data), ("config_yaml", config)):
        if value is not None:
            raise OptionError(
                f"{path} brings its vocabulary and features along; leave it out", name
            )


def said_of_task(content: Mapping[str, Any], settings: Any, name: str) -> Any:
    """Return what a checkpoint says of its task; None where it says nothing."""
    cfg = content.get("cfg")
    task = cfg.get("task") if isinstance(cfg, dict) else None
    told = vars(task) if isinstance(task, Namespace) else task
    found = told.get(name) if isinstance(told, dict) else None
    return found or getattr(settings, name, None)
