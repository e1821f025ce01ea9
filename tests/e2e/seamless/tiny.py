"""A tiny SeamlessM4T, saved as the real one is, with a tokenizer trained on the spot."""

import io
import json
from pathlib import Path

import sentencepiece
import torch

TEXTS = (
    "the second of january is a monday",
    "seven o'clock in the morning, and three hundred and five",
    "where is the house of the king of Portugal? Yes, quite so!",
    "eleven twelve twenty quarter past five",
)
LANGUAGES = ("deu", "eng", "spa")
"""Languages with a tag in the tokenizer."""


def configuration(size, **changes):
    from transformers import SeamlessM4TConfig

    settings = {
        "vocab_size": size,
        "hidden_size": 16,
        "max_position_embeddings": 200,
        "max_source_positions": 400,
        "speech_encoder_layers": 2,
        "speech_encoder_attention_heads": 2,
        "speech_encoder_intermediate_size": 24,
        "speech_encoder_layerdrop": 0.0,
        "encoder_layers": 1,
        "encoder_ffn_dim": 24,
        "encoder_attention_heads": 2,
        "decoder_layers": 2,
        "decoder_ffn_dim": 24,
        "decoder_attention_heads": 2,
        "decoder_layerdrop": 0.0,
        "conv_depthwise_kernel_size": 5,
        "adaptor_kernel_size": 4,
        "adaptor_stride": 4,
    }
    return SeamlessM4TConfig(**{**settings, **changes})


def medium_configuration():
    """The published numbers of facebook/hf-seamless-m4t-medium."""
    from transformers import SeamlessM4TConfig

    return SeamlessM4TConfig(
        vocab_size=256206,
        hidden_size=1024,
        max_position_embeddings=4096,
        speech_encoder_layers=12,
        encoder_layers=12,
        decoder_layers=12,
        encoder_ffn_dim=4096,
        decoder_ffn_dim=4096,
    )


def write_tokenizer(folder, keep_model=False):
    """Train a SentencePiece model and save the tokenizer that transformers makes of it."""
    from transformers import SeamlessM4TTokenizer

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=model,
        model_type="bpe",
        vocab_size=80,
        character_coverage=1.0,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        minloglevel=2,
    )
    (folder / "sentencepiece.bpe.model").write_bytes(model.getvalue())
    settings = {
        "tokenizer_class": "SeamlessM4TTokenizer",
        "additional_special_tokens": [f"__{language}__" for language in LANGUAGES],
        "src_lang": "eng",
        "tgt_lang": "eng",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    tokenizer = SeamlessM4TTokenizer.from_pretrained(str(folder), local_files_only=True)
    if not keep_model:
        (folder / "sentencepiece.bpe.model").unlink()
    tokenizer.save_pretrained(folder)
    return tokenizer


def _sharpen(model):
    """Have sentences differ from each other, and end."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3)
        model.shared.weight[model.config.eos_token_id].mul_(4)


def write_folder(folder, seed=0, is_sharp=True, **changes):
    """Save a randomly initialised model with everything that belongs to it.

    Args:
        folder: where.
        seed: of the weights.
        is_sharp: whether weights are larger, so that its sentences aren't all alike.
        changes: to the tiny configuration.
    """
    from transformers import (
        GenerationConfig,
        SeamlessM4TFeatureExtractor,
        SeamlessM4TForSpeechToText,
    )

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(folder)
    torch.manual_seed(seed)
    model = SeamlessM4TForSpeechToText(configuration(len(tokenizer) + 3, **changes))
    if is_sharp:
        _sharpen(model)
    model.generation_config = GenerationConfig(
        bos_token_id=2,
        decoder_start_token_id=3,
        eos_token_id=3,
        pad_token_id=0,
        text_decoder_lang_to_code_id={
            language: tokenizer.convert_tokens_to_ids(f"__{language}__") for language in LANGUAGES
        },
    )
    model.save_pretrained(folder)
    SeamlessM4TFeatureExtractor().save_pretrained(folder)
    return folder
