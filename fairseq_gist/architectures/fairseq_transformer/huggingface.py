"""Writing one language's model as a Speech2Text folder, which transformers loads alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, Optional

from fairseq_gist.architectures.exporting import CARD_FILE, Export
from fairseq_gist.architectures.fairseq_transformer.huggingface_model import model_for
from fairseq_gist.architectures.fairseq_transformer.huggingface_processor import ProcessorSource
from fairseq_gist.files import replacing_folder
from fairseq_gist.files.outputs import check_new_folder
from fairseq_gist.host.transformers import require_transformers

__all__ = ["write_speech2text"]

_LONGEST = 200  # symbols of a translation: fairseq-generate's --max-len-b


def write_speech2text(export: Export) -> str:
    """Write model, feature extractor, tokenizer and settings of search.

    Returns:
        What it is, in words.

    Raises:
        OptionError: without transformers, for a folder that isn't new, without the data folder.
        DataError: when the data are in a form that the feature extractor or the tokenizer of
            Speech2Text doesn't have.
        CheckpointError: when Speech2Text can't be such a model.
    """
    out = Path(export.output)
    check_new_folder(out)
    require_transformers("--format huggingface", "Speech2TextForConditionalGeneration", "whisper")
    source = ProcessorSource.of(export)
    model = model_for(export, symbols=len(source.symbols), bins=source.bins)
    first = source.first_symbol(export)
    _set_search(model, first)
    with replacing_folder(out) as folder:
        source.processor(folder).save_pretrained(folder)
        model.save_pretrained(folder)
        (folder / CARD_FILE).write_text(export.card, encoding="utf-8")
    return f"as a Speech2Text of transformers, {_begin(source, first)}"


def _set_search(model: Any, first: Optional[int]) -> None:
    """Have ``generate`` search as fairseq-generate does when it isn't told otherwise."""
    from transformers import GenerationConfig

    config = model.config
    settings: Dict[str, Any] = {
        "num_beams": 5,
        "early_stopping": True,
        # a beginning, the symbols and an end
        "max_length": min(_LONGEST + 2, config.max_target_positions),
        "suppress_tokens": [config.pad_token_id],
    }
    if first is None:
        settings["begin_suppress_tokens"] = [config.eos_token_id]  # fairseq's --min-len of 1
    else:
        settings["forced_bos_token_id"] = first
    model.generation_config = GenerationConfig(
        decoder_start_token_id=config.decoder_start_token_id,
        bos_token_id=config.bos_token_id,
        pad_token_id=config.pad_token_id,
        eos_token_id=config.eos_token_id,
        **settings,
    )


def _begin(source: ProcessorSource, first: Optional[int]) -> str:
    if first is not None:
        return f"whose translations begin with {source.symbols[first]}"
    if source.has_tags:
        return (
            "whose translations begin with a tag that has to be given to generate: "
            f"forced_bos_token_id, one of {', '.join(source.tags)}"
        )
    return "without tags of languages"
