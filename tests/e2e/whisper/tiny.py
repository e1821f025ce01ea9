"""A tiny Whisper, saved as the real ones are, with a tokenizer trained on the spot."""

import json
from pathlib import Path

import torch

TEXTS = (
    "the second of january is a monday",
    "seven o'clock in the morning, and three hundred and five",
    "where is the house of the king of Portugal? Yes, quite so!",
    "elf zwölf zwanzig, Viertel nach fünf",
)
LANGUAGES = ("de", "en", "es", "ru")
"""Languages with a tag in the tokenizer."""

SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{language}|>" for language in ("en", "de", "es", "ru")),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
SECONDS = 1
"""Length of the window."""


def write_tokenizer(folder, special=SPECIAL):
    """Train a tokenizer of bytes and save it with all files that Whisper's has."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import WhisperTokenizer

    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS, vocab_size=300, min_frequency=1, show_progress=False)
    trained.save_model(str(folder))
    timestamps = [f"<|{0.02 * step:.2f}|>" for step in range(50 * SECONDS + 1)]
    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    merges = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    tokenizer = WhisperTokenizer(vocabulary, [tuple(one.split(" ")) for one in merges])
    tokenizer.add_special_tokens({"additional_special_tokens": list(special)})
    tokenizer.add_tokens(timestamps)
    tokenizer.pad_token = "<|endoftext|>"
    tokenizer.save_pretrained(folder)
    return tokenizer


def configuration(tokenizer, **changes):
    from transformers import WhisperConfig

    end, start = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|startoftranscript|>"])
    settings = {
        "vocab_size": len(tokenizer),
        "num_mel_bins": 80,
        "d_model": 16,
        "max_source_positions": 50 * SECONDS,
        "max_target_positions": 100,
        "encoder_layers": 2,
        "encoder_attention_heads": 2,
        "encoder_ffn_dim": 24,
        "decoder_layers": 2,
        "decoder_attention_heads": 2,
        "decoder_ffn_dim": 24,
        "pad_token_id": end,
        "bos_token_id": end,
        "eos_token_id": end,
        "decoder_start_token_id": start,
        "suppress_tokens": None,
        "begin_suppress_tokens": None,
    }
    return WhisperConfig(**{**settings, **changes})


def generation(tokenizer):
    """Return settings of generation with all that Whisper's own have."""
    from transformers import GenerationConfig

    ids = tokenizer.convert_tokens_to_ids
    end, first_timestamp = ids(["<|endoftext|>", "<|0.00|>"])
    return GenerationConfig(
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        decoder_start_token_id=ids("<|startoftranscript|>"),
        no_timestamps_token_id=ids("<|notimestamps|>"),
        prev_sot_token_id=ids("<|startofprev|>"),
        is_multilingual=True,
        return_timestamps=False,
        lang_to_id={f"<|{language}|>": ids(f"<|{language}|>") for language in LANGUAGES},
        task_to_id={task: ids(f"<|{task}|>") for task in ("translate", "transcribe")},
        # timestamps, which random weights may say, have transformers listen again from there
        suppress_tokens=[5, 9, *map(ids, SPECIAL[1:]), *range(first_timestamp, len(tokenizer))],
        begin_suppress_tokens=[ids("Ġ"), end],
        max_length=100,
    )


def _sharpen(model, end):
    """Have sentences differ from each other, and end."""
    decoder = model.model.decoder
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "encoder.embed_positions" not in name:
                parameter.mul_(4)
        decoder.embed_positions.weight.mul_(3)
        # the end is like a symbol that is often said; transformers begins with zeros
        decoder.embed_tokens.weight[end] = 1.2 * decoder.embed_tokens.weight[77]


def write_folder(folder, seed=0, is_sharp=True, **changes):
    """Save a randomly initialised model with everything that belongs to it.

    Args:
        folder: where.
        seed: of the weights.
        is_sharp: whether weights are larger, so that its sentences aren't all alike.
        changes: to the tiny configuration.
    """
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = write_tokenizer(folder)
    torch.manual_seed(seed)
    model = WhisperForConditionalGeneration(configuration(tokenizer, **changes))
    if is_sharp:
        _sharpen(model, model.config.eos_token_id)
    model.generation_config = generation(tokenizer)
    model.save_pretrained(folder)
    WhisperFeatureExtractor(chunk_length=SECONDS).save_pretrained(folder)
    return folder
