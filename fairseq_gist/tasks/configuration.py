"""The options of the task: one documented dataclass, from which help and Hydra come."""

# OmegaConf needs real types here, not their names: no postponed evaluation of annotations.
from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import FairseqDataclass
from omegaconf import II

from fairseq_gist.architectures import all_architectures
from fairseq_gist.combining.rules import all_rules
from fairseq_gist.languages.rows import KEYS_IN_WORDS
from fairseq_gist.recording.options import option
from fairseq_gist.training.options import DifferentiationOptions

__all__ = ["GistSpeechToTextConfig"]


_OF_ARCHITECTURES = [
    architecture.options
    for architecture in all_architectures().values()
    if architecture.options is not None
]


@dataclass
class GistSpeechToTextConfig(
    DifferentiationOptions,
    *_OF_ARCHITECTURES,  # type: ignore[misc]
    FairseqDataclass,
):
    """The stock task's options, how batches are made, and differentiation."""

    data: Optional[str] = field(default=None, metadata={"help": "folder of the manifests"})
    config_yaml: str = option("config.yaml", "data configuration, in the manifests' folder")
    max_source_positions: int = option(6000, "longest audio, in frames")
    max_target_positions: int = option(1024, "longest target, in tokens")
    homogeneous_batches: bool = field(
        default=False, metadata={"help": "make every batch of rows of one language only"}
    )
    multiway_batches: bool = field(
        default=False,
        metadata={
            "help": "train on utterances with all their translations together, each encoded once "
            "and decoded into every language it has; --batch-size counts utterances, --max-tokens "
            "the frames of each once"
        },
    )
    max_target_tokens: Optional[int] = field(
        default=None,
        metadata={
            "help": "target tokens in a batch of --multiway-batches, padding included (default: as "
            "many as --max-tokens)"
        },
    )
    sampling_temperature: Optional[float] = field(
        default=None,
        metadata={
            "help": "sample training rows so that a language with n of them has a share "
            "proportional to n^(1/T): 1 is the data as they are, more is more even, inf gives "
            "every language the same share (default: one over sampling_alpha of the data "
            "configuration)"
        },
    )
    language_key: Optional[str] = field(
        default=None,
        metadata={
            "help": f"what the language of a row is: {KEYS_IN_WORDS} (default: what the "
            "checkpoint's model has, or else tgt)"
        },
    )
    languages: Optional[str] = field(
        default=None,
        metadata={
            "help": "the model's languages with commas between (default: what the checkpoint's "
            "model has; or else those with a tag in the vocabulary, or with --language-key src and "
            "pair those of the training subset)"
        },
    )
    train_only: Optional[str] = field(
        default=None,
        metadata={
            "help": "train a part of the model and freeze the rest (default: train all): "
            "'adapters'; 'language-embeddings'; 'copies', what groups of languages own, once they "
            "own something; 'language:xx', what the language xx owns by itself, so that nothing of "
            "any other changes; 'lna-d', 'lna-e' or 'lna-ed', LayerNorm and attention of decoder, "
            "encoder or both; or a regular expression for the module paths to be trained"
        },
    )
    gradient_surgery: Optional[str] = field(
        default=None,
        metadata={
            "help": "in every batch, put the gradients of its languages together by a rule instead "
            "of adding them up (default: none): "
            + "; ".join(f"'{name}', {rule.summary}" for name, rule in all_rules().items())
        },
    )
    source_language: Optional[str] = field(
        default=None,
        metadata={
            "help": "language that fairseq-interactive translates from (--language-key src, pair)"
        },
    )
    target_language: Optional[str] = field(
        default=None, metadata={"help": "language that fairseq-interactive translates into"}
    )
    seed: int = II("common.seed")
    train_subset: str = II("dataset.train_subset")
