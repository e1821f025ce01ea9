"""Whisper's encoder, whose modules know the language of every row."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import torch
from fairseq.models import FairseqEncoder
from torch import Tensor, nn

from fairseq_gist.architectures.pretrained.modules import drops_layer, mask_of
from fairseq_gist.architectures.routed.encoder import RoutedEncoder
from fairseq_gist.architectures.routed.options import adapted
from fairseq_gist.errors import DataError
from fairseq_gist.nn.routing import Routing

__all__ = ["FRAMES_A_SECOND", "GistWhisperEncoder", "Sinusoids"]

FRAMES_A_SECOND = 100
_STRIDE = 2
"""Frames of audio that one of the encoder's stands for."""


class Sinusoids(nn.Module):
    """Positions of Whisper's encoder, which are never trained.

    Args:
        positions: `[positions, channels]`.
    """

    sinusoids: Tensor

    def __init__(self, positions: Tensor) -> None:
        super().__init__()
        self.register_buffer("sinusoids", positions)

    def forward(self, frames: int) -> Tensor:
        """Return the first positions, `[frames, channels]`."""
        return self.sinusoids[:frames]


class GistWhisperEncoder(RoutedEncoder, FairseqEncoder):
    """The modules of transformers' encoder, run one after the other as there.

    They have their rows first, in all of their inputs.

    Args:
        encoder: transformers' ``WhisperEncoder``, whose modules are taken over.
        routing: of the model.
        silence: frames of it behind each utterance; None to hear the whole window, as Whisper does.
        args: options of the model; None for none.
    """

    rows_dim = 0
    layers_name = "layers"
    later = ("layer_norm",)

    def __init__(
        self, encoder: Any, routing: Routing, silence: Optional[int] = None, args: Any = None
    ) -> None:
        super().__init__(None)
        self.config, self.routing, self.silence = encoder.config, routing, silence
        self.conv1, self.conv2 = encoder.conv1, encoder.conv2
        self.embed_positions = Sinusoids(encoder.embed_positions.weight.detach())
        self.layers = encoder.layers
        self.layer_norm = encoder.layer_norm
        for layer in self.layers:
            adapted(layer, self.config.d_model, args)

    def _encode(
        self, src_tokens: Tensor, src_lengths: Tensor, return_all_hiddens: bool
    ) -> Dict[str, List[Tensor]]:
        """Encode features, `[utterances, frames, bins]`, each ending with a frame of silence.

        Returns:
            ``encoder_out``, `[sources, frames, channels]`, and ``encoder_padding_mask``, true where
            there is padding, `[utterances, frames]`, or nothing where the whole window is heard.

        Raises:
            DataError: for features of another width than the model's, or longer than its window.
        """
        self._check(src_tokens)
        lengths, frames = self._heard(src_lengths, src_tokens.size(1))
        heard = _with_silence(src_tokens, src_lengths, self._frames_for(frames))
        x = nn.functional.gelu(self.conv1(heard.transpose(1, 2)))
        x = nn.functional.gelu(self.conv2(x)).transpose(1, 2)[:, :frames]
        x = x + self.embed_positions(frames)
        x = nn.functional.dropout(x, p=self.config.dropout, training=self.training)
        mask = None if lengths is None else mask_of(lengths, frames)
        attended = self._attended(x, mask)
        for layer in self.layers:
            if self.training and drops_layer(self.config.encoder_layerdrop):
                continue
            repeated = self.keep_apart([layer], x)
            if repeated is not x:
                x = repeated
                attended = self._attended(x, None if mask is None else self.of_rows(mask))
            x = layer(x, attended)
        x = self.layer_norm(self.keep_apart([self.layer_norm], x))
        padding = [] if mask is None else [~mask.bool()]
        return {"encoder_out": [x], "encoder_padding_mask": padding}

    def _check(self, features: Tensor) -> None:
        width, longest = self.config.num_mel_bins, self.max_positions() + 1
        if features.dim() != 3 or features.size(2) != width:
            raise DataError(
                f"Whisper: expected features of shape [utterances, frames, {width}], found "
                f"{list(features.shape)}; --whisper-path has the task make them"
            )
        if features.size(1) > longest:
            raise DataError(
                f"Whisper: {features.size(1)} frames of audio; its window has {longest - 1}"
            )

    def _heard(self, lengths: Tensor, longest: int) -> Tuple[Optional[Tensor], int]:
        """Return how many of the encoder's frames each row hears, `[rows]`, and the most.

        Args:
            lengths: of the audio, `[rows]`, with a frame of silence that doesn't count.
            longest: of these.
        """
        window = int(self.config.max_source_positions)
        if self.silence is None:
            return None, window
        wanted = (lengths - 1 + self.silence + _STRIDE - 1) // _STRIDE
        most = min((longest - 1 + self.silence + _STRIDE - 1) // _STRIDE, window)
        return wanted.clamp(1, window), max(most, 1)

    def _frames_for(self, frames: int) -> int:
        """Return how much audio the convolutions need: the last ones hear silence behind them.

        So what becomes of an utterance doesn't depend on those beside it.
        """
        return min(_STRIDE * (frames + 1), self.max_positions())

    def _attended(self, x: Tensor, mask: Optional[Tensor]) -> Any:
        from transformers.masking_utils import create_bidirectional_mask

        if mask is None:
            return None
        return create_bidirectional_mask(config=self.config, inputs_embeds=x, attention_mask=mask)

    def _reorder(self, encoder_out: Any, order: Tensor) -> Dict[str, List[Tensor]]:
        return {
            name: [x.index_select(0, order) for x in encoder_out[name]]
            for name in ("encoder_out", "encoder_padding_mask")
        }

    def max_positions(self) -> int:
        """Return the longest audio in frames of a hundredth of a second."""
        return _STRIDE * int(self.config.max_source_positions)


def _with_silence(features: Tensor, lengths: Tensor, frames: int) -> Tensor:
    """Return the first ``frames`` of features, filled up with each row's last one."""
    rows = torch.arange(features.size(0), device=features.device)
    silence = features[rows, lengths - 1].unsqueeze(1)
    whole = torch.cat([features, silence.expand(-1, max(frames - features.size(1), 0), -1)], dim=1)
    is_sound = mask_of(lengths, whole.size(1)).bool().unsqueeze(2)
    return torch.where(is_sound, whole, silence)[:, :frames]
