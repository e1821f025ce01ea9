"""Writing one language's model as a stock fairseq checkpoint."""

from __future__ import annotations

import argparse
from argparse import Namespace
from pathlib import Path
from typing import Any, Dict, Set

from fairseq_gist.architectures import of_settings
from fairseq_gist.architectures.base import PREFIX
from fairseq_gist.architectures.exporting import Export
from fairseq_gist.errors import CheckpointError
from fairseq_gist.files import replacing
from fairseq_gist.files.outputs import CARD, CHECKPOINT, check_output
from fairseq_gist.host.checkpoints import without_optimizer, write_checkpoint

__all__ = ["write_stock"]


def write_stock(export: Export) -> str:
    """Write the checkpoint, which fairseq loads without this plugin.

    Returns:
        What it is, in words.

    Raises:
        CheckpointError: when the original doesn't say its settings as fairseq does today.
        OptionError: when the file can't be written.
    """
    card = _card_beside(Path(export.output))
    check_output(card, kind=CARD, inputs=[export.checkpoint], force=export.force)
    check_output(export.output, kind=CHECKPOINT, inputs=[export.checkpoint], force=export.force)
    cfg = dict(export.content.get("cfg") or {})
    if not cfg:
        raise CheckpointError(
            f"{export.checkpoint} has no 'cfg'; it was written by a fairseq older than 0.10.2"
        )
    exported = without_optimizer(export.content)
    exported.update(model=export.state, args=None, cfg=_stock_settings(cfg, export))
    write_checkpoint(exported, export.output)
    with replacing(card) as temporary:
        temporary.write_text(export.card, encoding="utf-8")
    return f"as {exported['cfg']['model']['arch']}"


def _card_beside(output: Path) -> Path:
    """Return where the card of a checkpoint lies: beside it, ``.md`` instead of ``.pt``."""
    name = output.name[: -len(".pt")] if output.name.endswith(".pt") else output.name
    return output.with_name(f"{name}.md")


def _stock_settings(cfg: Dict[str, Any], export: Export) -> Dict[str, Any]:
    """Return the checkpoint's settings as stock fairseq would have them.

    As plain dictionaries: torch >= 2.6 refuses fairseq's own checkpoints for the Namespace in them,
    unless it is told otherwise, which without this plugin nobody does.
    """
    architecture = of_settings(export.settings)
    if architecture is None:
        raise CheckpointError(f"{export.checkpoint}: stock fairseq has no such model")
    added = {*export.added, *_added_by_model(architecture.name), "user_dir"}
    settings = {key: value for key, value in vars(export.settings).items() if key not in added}
    arch = _plain(export.settings.arch)
    cfg["model"] = {
        **settings,
        "arch": arch,
        "_name": architecture.name,
        "task": "speech_to_text",
    }
    # a legacy task's settings are all there are
    cfg["task"] = {**settings, "task": "speech_to_text", "_name": "speech_to_text"}
    criterion = _as_dict(cfg.get("criterion"))
    if criterion.get("_name"):
        cfg["criterion"] = {**criterion, "_name": _plain(criterion["_name"])}
    tags = int(criterion.get("ignore_prefix_size") or 0)
    if tags:
        # S2TTransformerModel.from_pretrained looks for what is given in front of a translation in
        # the first place, that of fairseq 0.12.2 in the second
        cfg["generation"] = {**_as_dict(cfg.get("generation")), "prefix_size": tags}
        cfg["prefix_size"] = tags
    cfg["common"] = {**_as_dict(cfg.get("common")), "user_dir": None}
    return cfg


def _added_by_model(name: str) -> Set[str]:
    """Return the options that our model has and the stock one of that name hasn't."""
    from fairseq.models import MODEL_REGISTRY

    ours, theirs = (_options_of(MODEL_REGISTRY[one]) for one in (PREFIX + name, name))
    return ours - theirs


def _options_of(model: Any) -> Set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    model.add_args(parser)
    return set(vars(parser.parse_args([])))


def _as_dict(settings: Any) -> Dict[str, Any]:
    return dict(vars(settings) if isinstance(settings, Namespace) else settings or {})


def _plain(name: str) -> str:
    return name[len(PREFIX) :] if name.startswith(PREFIX) else name
