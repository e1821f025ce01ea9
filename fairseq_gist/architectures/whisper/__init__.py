"""Whisper, as transformers has it."""

from dataclasses import dataclass, field
from typing import Optional

from fairseq_gist.architectures.base import Architecture

__all__ = ["ARCHITECTURE", "PROMPTS", "SHORT", "SILENCE", "WINDOWS", "WhisperOptions"]

WINDOWS = SHORT, FULL = ("short", "full")
"""How much the encoder hears: the batch's audio, or all of its window of 30 seconds."""

PROMPTS = AUTO, TARGET_ALONE = ("auto", "target")
"""What a translation begins with."""

SILENCE = 8.0
"""Seconds behind an utterance, where the window is short and nothing else is said.

With less, Whisper as it is repeats itself (``docs/whisper.md``).
"""


@dataclass
class WhisperOptions:
    """Which Whisper, and how it is used."""

    whisper_path: Optional[str] = field(
        default=None,
        metadata={
            "help": "local folder of a multilingual Whisper model (as whisper-base), whose "
            "vocabulary and features the data then have; with --arch gist_whisper its weights are "
            "trained on",
            "metavar": "DIR",
        },
    )
    whisper_window: Optional[str] = field(
        default=None,
        metadata={
            "help": "what Whisper's encoder hears: 'short', the audio of the batch and "
            "--whisper-silence behind it; 'full', 30 seconds, as it was trained, the rest of them "
            "silence (default: as the checkpoint's model, or short)",
        },
    )
    whisper_silence: Optional[float] = field(
        default=None,
        metadata={
            "help": "seconds of silence behind every utterance with --whisper-window short "
            f"(default: as the checkpoint's model, or {SILENCE})",
        },
    )
    whisper_prompt: Optional[str] = field(
        default=None,
        metadata={
            "help": "how Whisper is asked for a translation: 'auto', into English by the language "
            "that is spoken and the task 'translate', into others by theirs and the task "
            "'transcribe'; 'target', always the latter (default: auto)",
        },
    )


ARCHITECTURE = Architecture(
    name="whisper",
    summary="Whisper, of transformers",
    model="fairseq_gist.architectures.whisper.model",
    marks=r"encoder\.(?:layers\.\d+\.(?:fc[12]|self_attn\.(?:[kqv]|out)_proj)|conv[12])(?:\.|$)",
    rows_first=r".+",
    buffers=(*Architecture.buffers, "sinusoids"),
    bypasses=None,
    options=WhisperOptions,
    inputs="fairseq_gist.architectures.whisper.inputs:WhisperInputs",
    inputs_option="whisper_path",
    folder_type="whisper",
    exporters={"huggingface": "fairseq_gist.architectures.whisper.export:write_whisper"},
)
