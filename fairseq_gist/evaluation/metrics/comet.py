"""COMET, a learned metric (Rei et al., "COMET: A Neural Framework for MT Evaluation", EMNLP 2020).

Its weights are large and have licences of their own: they are read from a local folder, and never
from the network. The package ``unbabel-comet`` isn't needed, see docs/dependencies.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional, Set

import numpy as np

from fairseq_gist.errors import OptionError
from fairseq_gist.evaluation.metrics.base import AveragedMetric, Measured, Texts
from fairseq_gist.languages.codes import base_code

__all__ = ["METRIC", "Comet", "CometOptions"]

logger = logging.getLogger(__name__)

_HEARD_OF = (
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he "
    "hi hr hu hy id is it ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om "
    "or pa pl ps pt ro ru sa sd si sk sl so sq sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh"
)
"""What XLM-R, of which COMET is made, was trained on (Conneau et al., ACL 2020, table 6)."""


@dataclass(frozen=True)
class CometOptions:
    """Where the model is."""

    path: Optional[Path] = field(
        default=None,
        metadata={
            "help": "folder of a COMET that compares with references, such as a copy of "
            "Unbabel/wmt22-comet-da: hparams.yaml and checkpoints/model.ckpt",
            "metavar": "DIR",
        },
    )
    encoder_path: Optional[Path] = field(
        default=None,
        metadata={
            "help": "folder with settings and tokenizer of the XLM-R that it is made of, such as a "
            "copy of xlm-roberta-large",
            "metavar": "DIR",
            "unset": "what hparams.yaml names, from the cache of Hugging Face",
        },
    )
    trust: bool = field(
        default=False,
        metadata={"help": "import and run whatever the checkpoint names; for files of your own"},
    )


class Comet(AveragedMetric):
    """The mean of what COMET gives every translation, given what was said and the reference."""

    name = "comet"
    summary = "COMET, from a local folder; needs what was said (src_text)"
    title = "COMET"
    Options = CometOptions
    digits = 4

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self._estimator: Any = None
        self._told: Set[str] = set()

    def plain_options(self) -> Dict[str, Any]:
        """Return none: which model it was stands in the signature, where it lay says nothing."""
        return {}

    def check(self) -> None:
        """Load the model; raise OptionError where it, or transformers, is missing."""
        if self._estimator is None:
            if self.options.path is None:
                raise OptionError(
                    f"--{self.name}-path: the metric '{self.name}' needs a folder with a COMET, "
                    "which nothing here downloads; name one"
                )
            from fairseq_gist.evaluation.comet_estimator import CometEstimator

            self._estimator = CometEstimator(
                self.options.path, self.options.encoder_path, self.options.trust
            )

    def measure(self, texts: Texts) -> Measured:
        """Return COMET's score of each translation, `[sentences, 1]`.

        Raises:
            OptionError: where the manifest doesn't tell what was said.
        """
        self.check()
        silent = sum(not source.strip() for source in texts.sources)
        if silent:
            raise OptionError(
                f"{self.name}: {silent} of {len(texts.sources)} rows in '{texts.language}' have no "
                "src_text, which it compares with; fill that column of the manifest, or leave the "
                "metric out"
            )
        signature = str(self._estimator.signature)
        if texts.language and base_code(texts.language) not in _known():
            signature += f"|unknown:{texts.language}"
            self._tell(texts.language)
        found = self._estimator.scores(texts.sources, texts.hypotheses, texts.references)
        return Measured(np.asarray(found, dtype=np.float64)[:, None], signature)

    def _tell(self, language: str) -> None:
        if language not in self._told:
            self._told.add(language)
            logger.warning(
                "%s: XLM-R, of which it is made, was not trained on '%s': its scores there say "
                "little, and that stands in their signature",
                self.name,
                language,
            )


METRIC = Comet


def _known() -> Set[str]:
    return {base_code(code) for code in _HEARD_OF.split()}
