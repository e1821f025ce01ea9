"""Writing one language's SeamlessM4T as a folder that transformers loads."""

from __future__ import annotations

from fairseq_gist.architectures.exporting import Export
from fairseq_gist.architectures.pretrained.export import write_pretrained
from fairseq_gist.errors import CheckpointError

__all__ = ["write_seamless"]


def write_seamless(export: Export) -> str:
    """Write the folder; see :func:`write_pretrained`."""
    from fairseq_gist.architectures.seamless_m4t.folder import SeamlessFolder
    from fairseq_gist.architectures.seamless_m4t.names import state_for_transformers

    try:
        state = state_for_transformers(export.state)
    except KeyError as error:
        raise CheckpointError(f"{export.checkpoint}: no SeamlessM4T: it lacks {error}") from None
    return write_pretrained(
        export,
        SeamlessFolder,
        export.options.seamless_path,
        export.settings.seamless_config,
        state,
    )
