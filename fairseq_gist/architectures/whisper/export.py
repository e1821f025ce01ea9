"""Writing one language's Whisper as a folder that transformers loads."""

from __future__ import annotations

from fairseq_gist.architectures.exporting import Export
from fairseq_gist.architectures.pretrained.export import write_pretrained

__all__ = ["write_whisper"]


def write_whisper(export: Export) -> str:
    """Write the folder; see :func:`write_pretrained`."""
    from fairseq_gist.architectures.whisper.folder import WhisperFolder
    from fairseq_gist.architectures.whisper.names import state_for_transformers

    return write_pretrained(
        export,
        WhisperFolder,
        export.options.whisper_path,
        export.settings.whisper_config,
        state_for_transformers(export.state),
    )
