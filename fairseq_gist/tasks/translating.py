"""Speech-to-text as far as it translates: the model's languages, and the one that is asked for."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from fairseq_gist.data.inference import (
    audio_dataset,
    for_models,
    languages_by_prefix,
    prefix_of,
    prompt,
    put_language,
)
from fairseq_gist.data.manifest import languages_in
from fairseq_gist.data.model_languages import ModelLanguages
from fairseq_gist.host.boundary import one_line_errors
from fairseq_gist.nn.routing import LanguageBatch
from fairseq_gist.nn.tags import check_tags
from fairseq_gist.tasks.model_inputs import ModelInputsTask

__all__ = ["TranslatingTask"]


class TranslatingTask(ModelInputsTask):
    """The task that knows its model's languages, and has it translate into one of them.

    Attributes:
        model_languages: which languages the model has.
    """

    def __init__(self, args: Any, tgt_dict: Any, inputs: Any = None) -> None:
        super().__init__(args, tgt_dict, inputs)
        self.model_languages = ModelLanguages(
            getattr(args, "language_key", None),
            getattr(args, "languages", None),
            tgt_dict.symbols,
            lambda key: languages_in(args.data, args.train_subset, key),
            has_tags_of_others=inputs is not None,
            data=str(args.data),
        )

    @property
    def language_key(self) -> str:
        """What the language of a row is: ``tgt``, ``src`` or ``pair``."""
        return self.model_languages.key

    @property
    def languages(self) -> List[str]:
        """The model's languages, in alphabetical order."""
        return self.model_languages.names

    def build_generator(self, *args: Any, **kwargs: Any) -> Any:
        """Build fairseq's generator, which learns the languages of a batch from its prefix."""
        return languages_by_prefix(super().build_generator(*args, **kwargs), self._tags())

    def _tags(self) -> List[Optional[int]]:
        tags = self.model_languages.tags()
        return [None if tag is None else self.tgt_dict.index(tag) for tag in tags]

    def inference_step(
        self,
        generator: Any,
        models: List[Any],
        sample: Dict[str, Any],
        prefix_tokens: Any = None,
        constraints: Any = None,
    ) -> Any:
        """Translate a batch; rows without a language get the one that was asked for."""
        with one_line_errors():
            if self.languages and "lang_ids" not in sample["net_input"]:
                prefix_tokens = self._put_asked_language(sample, prefix_tokens)
            ids = sample["net_input"].get("lang_ids")
            if ids is not None and prefix_tokens is not None and prefix_tokens.size(1) > 0:
                check_tags(LanguageBatch(ids, self.languages), prefix_tokens[:, 0], self._tags())
        sample = for_models(sample, models)
        return super().inference_step(generator, models, sample, prefix_tokens, constraints)

    def _put_asked_language(self, sample: Dict[str, Any], prefix_tokens: Any) -> Any:
        language = self._asked_language()
        put_language(sample, self.languages.index(language))
        if prefix_tokens is not None or not self.data_cfg.prepend_tgt_lang_tag:
            return prefix_tokens
        target = self.model_languages.target_of(language, self.args.target_language)
        symbols = prompt(self.inputs, self.args.source_language or "", target)
        return prefix_of(sample, [self.tgt_dict.index(symbol) for symbol in symbols])

    def _asked_language(self) -> str:
        return self.model_languages.asked_for(self.args.source_language, self.args.target_language)

    def build_dataset_for_inference(self, src_tokens: Any, src_lengths: Any, **kwargs: Any) -> Any:
        """Return a dataset of audio files for ``fairseq-interactive``."""
        with one_line_errors():
            if self.languages:
                self._asked_language()
        longest = self.args.max_source_positions
        return audio_dataset(self.data_cfg, src_tokens, src_lengths, longest, self.inputs)
