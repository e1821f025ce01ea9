"""Whisper, whose modules know the language of every row."""

from __future__ import annotations

import json
from typing import Any, Dict, List, Optional, Sequence

from fairseq.models import register_model, register_model_architecture
from torch import Tensor

from fairseq_gist.architectures.pretrained.model import PretrainedModel, given
from fairseq_gist.architectures.whisper import ARCHITECTURE, SHORT, SILENCE, WINDOWS
from fairseq_gist.architectures.whisper.decoder import SUPPRESSED, GistWhisperDecoder
from fairseq_gist.architectures.whisper.encoder import FRAMES_A_SECOND, GistWhisperEncoder
from fairseq_gist.architectures.whisper.folder import WhisperFolder
from fairseq_gist.errors import OptionError
from fairseq_gist.languages.rows import TARGET
from fairseq_gist.nn.routing import Routing

__all__ = ["GistWhisper"]

_ALWAYS, _FIRST = "suppress_tokens", "begin_suppress_tokens"


@register_model("gist_whisper")
class GistWhisper(PretrainedModel):
    """transformers' ``WhisperForConditionalGeneration``, which a sharing plan can rewrite."""

    architecture = ARCHITECTURE
    encoder_class = GistWhisperEncoder
    folder_class = WhisperFolder
    setting = "whisper_config"

    @classmethod
    def note(cls, args: Any, task: Any, model: Any) -> None:
        """Have the settings say the window, and what search leaves out.

        Raises:
            OptionError: for a window that can't be.
        """
        args.whisper_window = given("whisper_window", args, task) or SHORT
        silence = given("whisper_silence", args, task)
        args.whisper_silence = SILENCE if silence is None else silence
        if args.whisper_window not in WINDOWS:
            raise OptionError(
                f"--whisper-window: expected {' or '.join(WINDOWS)}, found '{args.whisper_window}'"
            )
        if not 0 <= args.whisper_silence < float("inf"):
            raise OptionError(
                f"--whisper-silence: expected 0 or more seconds, found {args.whisper_silence}"
            )
        if getattr(args, "whisper_search", None) is None:
            settings = model.generation_config
            found = {name: getattr(settings, name, None) or [] for name in (_ALWAYS, _FIRST)}
            args.whisper_search = json.dumps(found)

    @classmethod
    def around(
        cls,
        model: Any,
        dictionary: Any,
        languages: Sequence[str],
        language_key: str = TARGET,
        args: Any = None,
    ) -> GistWhisper:
        """Return a model with the modules of a ``WhisperForConditionalGeneration``."""
        routing = Routing(languages)
        encoder = GistWhisperEncoder(model.model.encoder, routing, _silence(args), args)
        search: Dict[str, List[int]] = json.loads(getattr(args, "whisper_search", None) or "{}")
        decoder = GistWhisperDecoder(
            model.model.decoder,
            model.proj_out,
            dictionary,
            routing,
            language_key,
            search.get(_ALWAYS, ()),
            search.get(_FIRST, ()),
            args,
        )
        return cls(encoder, decoder)

    def get_normalized_probs(self, net_output: Any, log_probs: bool, sample: Any = None) -> Tensor:
        """Return (log) probabilities, `[rows, tokens, symbols]`; none for what search leaves out.

        As in transformers the others keep theirs.
        """
        probabilities = super().get_normalized_probs(net_output, log_probs, sample)
        suppressed = (net_output[1] or {}).get(SUPPRESSED)
        if suppressed is not None:
            probabilities[..., suppressed] = float("-inf") if log_probs else 0.0
        return probabilities


def _silence(args: Any) -> Optional[int]:
    """Return the frames of silence behind an utterance; None for the whole window."""
    if getattr(args, "whisper_window", SHORT) != SHORT:
        return None
    return round(FRAMES_A_SECOND * float(getattr(args, "whisper_silence", SILENCE)))


@register_model_architecture("gist_whisper", "gist_whisper")
def _complete(args: Any) -> None:
    """Complete nothing: there are no options."""
