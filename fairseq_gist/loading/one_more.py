"""A checkpoint that takes one more language."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from fairseq_gist.data.model_languages import VOCABULARY, signature_of
from fairseq_gist.errors import CheckpointError, OptionError
from fairseq_gist.host.checkpoints import (
    with_model_settings,
    with_task_settings,
    without_optimizer,
)
from fairseq_gist.languages.rows import LANGUAGE_TAG, TARGET
from fairseq_gist.loading.checkpoint_models import (
    architecture_in,
    gist_settings,
    languages_said,
    model_from,
)
from fairseq_gist.loading.data_folders import CONFIG, data_folder, said_of_task
from fairseq_gist.loading.grown_vocabulary import check_grown, new_rows, read_vocabulary
from fairseq_gist.loading.tasks import task_of
from fairseq_gist.sharing.one_more import with_language
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.one_more import add_copies, grow_vocabulary, units_to_own
from fairseq_gist.surgery.plan_buffer import plan_in_state, plan_of, store_plan
from fairseq_gist.surgery.units import count_parameters, find_units, select_units

__all__ = ["Learner", "Places"]


class Places(NamedTuple):
    """Where everything is.

    Attributes:
        checkpoint: of the model.
        data: folder with the vocabulary that has the new language.
        config_yaml: data configuration there.
        before: folder of the model's vocabulary; None for what the checkpoint says.
    """

    checkpoint: str
    data: str
    config_yaml: str
    before: Optional[str] = None


class Learner:
    """A model that is going to know one more language.

    Args:
        content: of its checkpoint.
        places: of that and the data.
        language: that is new.

    Attributes:
        languages: of the model so far.
        task: of the data, with the new language.
        new_symbols: how many the vocabulary gets, the language's tag among them.

    Raises:
        GistError: when the model has the language already, can't tell languages apart, or the data
            aren't for it.
    """

    def __init__(self, content: Dict[str, Any], places: Places, language: str) -> None:
        self._content, self._places, self._language = content, places, language
        self._settings = gist_settings(content, places.checkpoint)
        self._check_architecture()
        config = str(said_of_task(content, self._settings, "config_yaml") or CONFIG)
        path = Path(places.checkpoint)
        folder = data_folder(path, places.before, config, content, self._settings, "data-before")
        self._before = read_vocabulary(folder, config)
        self._after = read_vocabulary(Path(places.data), places.config_yaml)
        self._key = getattr(self._settings, "language_key", None) or TARGET
        self._is_tagged = self._key == TARGET
        self._model = model_from(content, places.checkpoint, self._known())
        self.languages: Tuple[str, ...] = tuple(self._model.routing.languages)
        self._check_language()
        check_grown(self._before, self._after)
        self.new_symbols = len(self._after.symbols) - len(self._before.symbols)
        self.task = self._task()

    def check_relative(self, relative: str) -> None:
        """Raise OptionError for a language that the model lacks."""
        if relative not in self.languages:
            raise OptionError(
                f"{self._places.checkpoint} has no language '{relative}'; it has "
                f"{', '.join(self.languages)}",
                "like",
            )

    def units_to_own(self, pattern: Optional[str]) -> Tuple[str, ...]:
        """Return the units of which the language can have its own copies; see `units_to_own`."""
        return units_to_own(self._model, pattern)

    def grown(self, relative: str, own: Tuple[str, ...] = ()) -> Tuple[Any, Dict[str, Any]]:
        """Return the model with the language, and its checkpoint, without optimizer state.

        Args:
            relative: the language that it begins as.
            own: units of which it gets its own copies.
        """
        state = dict(self._model.state_dict())
        vocabularies = self._before, self._after
        grow_vocabulary(state, new_rows(*vocabularies, self._language, relative, self._key))
        before = plan_of(self._model)
        plan = before or SharingPlan.shared(self.languages, select_units(find_units(self._model)))
        after = with_language(plan, self._language, relative, own)
        if before is not None or own:
            add_copies(state, self._model, (plan, after), self._language, relative)
        content = {**self._without_model(), "model": state}
        model = model_from(content, self._places.checkpoint, self._names(), self.task)
        _note_sizes(model)
        return model, {**content, "model": model.state_dict()}

    def _check_architecture(self) -> None:
        architecture = architecture_in(self._settings, self._places.checkpoint)
        if architecture.inputs is not None:
            raise CheckpointError(
                f"{self._places.checkpoint} is a {architecture.model_name}, whose vocabulary comes "
                "with all languages that it will ever have; train one that isn't differentiated, "
                f"{architecture.inputs_flag} itself or a checkpoint, with data that have "
                f"'{self._language}' among their languages"
            )

    def _known(self) -> List[str]:
        """Return the languages that the model has."""
        plan = plan_in_state(self._content["model"])
        said = list(plan.languages) if plan is not None else languages_said(self._settings)
        known = said or (self._before.tagged if self._is_tagged else [])
        if not known:
            raise CheckpointError(
                f"{self._places.checkpoint} doesn't say which languages it has: no plan, no tags "
                f"{LANGUAGE_TAG.format('xx')} in its vocabulary, no --languages when it was "
                "trained; one can only be added to those that a model tells apart"
            )
        return known

    def _names(self) -> List[str]:
        """Return the languages with the new one, in order."""
        return sorted([*self.languages, self._language])

    def _check_language(self) -> None:
        checkpoint, language, tagged = self._places.checkpoint, self._language, self._after.tagged
        if language in self.languages:
            known = ", ".join(self.languages)
            raise OptionError(f"{checkpoint} has '{language}' already, among {known}", "language")
        if not self._is_tagged:
            return
        if language not in tagged:
            raise OptionError(
                f"the vocabulary of {self._places.data} has no tag "
                f"'{LANGUAGE_TAG.format(language)}', but those of {', '.join(tagged) or 'none'}; "
                "prepare the data with it ('fairseq-gist prepare --vocabulary PREFIX "
                "--grow-vocabulary')",
                "language",
            )
        others = sorted(set(tagged) - set(self._before.tagged) - {language})
        if others:
            raise OptionError(
                f"the vocabulary of {self._places.data} has a tag of '{others[0]}' too, which "
                f"{checkpoint} lacks; languages are added one after the other, each with data that "
                "have its tag and those before it",
                "language",
            )

    def _task(self) -> Any:
        named = {"language_key": self._key, "languages": ",".join(self._names())}
        own = {} if self._is_tagged else named
        return task_of(self._places.data, self._places.config_yaml, **own)

    def _without_model(self) -> Dict[str, Any]:
        """Return the checkpoint with the language, and where its data are, among its settings."""
        settings = Namespace(**vars(self._settings))
        changes = {
            "data": str(Path(self._places.data).resolve()),
            "config_yaml": self._places.config_yaml,
        }
        if languages_said(settings):
            changes["languages"] = ",".join(self._names())
        for name, value in changes.items():
            if getattr(settings, name, None) is not None:
                setattr(settings, name, value)
        if getattr(settings, VOCABULARY, None) is not None:
            setattr(settings, VOCABULARY, signature_of(self.task.target_dictionary.symbols))
        content = with_model_settings(without_optimizer(self._content), settings)
        return with_task_settings(content, **changes)


def _note_sizes(model: Any) -> None:
    """Have the model's plan, if it follows one, say how large its parts are now."""
    plan = plan_of(model)
    if plan is None:
        return
    units = find_units(model)
    sizes = {name: units[name].parameters for name in plan.units}
    shared = count_parameters(model) - plan.size(0, sizes)
    store_plan(model, plan.replaced(sizes=sizes, shared_parameters=shared))
