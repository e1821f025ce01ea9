"""A model that translates recordings."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from fairseq.utils import apply_to_sample
from tqdm import tqdm

from fairseq_gist.data.inference import audio_dataset
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.host.boundary import as_errors
from fairseq_gist.host.quiet import quiet_fairseq
from fairseq_gist.sound.audio import SAMPLE_RATE, Wave, read_samples, read_wave
from fairseq_gist.translating.asking import target_names, wanted_language
from fairseq_gist.translating.cutting import FRAMES_A_SECOND, Segment, cut, loudness
from fairseq_gist.translating.options import TranslationOptions
from fairseq_gist.translating.results import Recording, TranslatedSegment, Translation
from fairseq_gist.translating.search import Searcher, Wanted

__all__ = ["Translator"]

Audio = Union[str, "PathLike[str]"]
_USUAL_SEGMENT = 20.0
"""Seconds: about the longest of what models are trained on."""
_GROUP = 600.0
"""Seconds of recordings whose segments are sorted by length and translated together."""
_MOST_ROWS = 64
"""Translations that are searched for at once."""


@dataclass
class _Piece:
    """A segment of one of the recordings, and its translations, `[languages]`."""

    recording: int
    segment: Segment
    texts: Sequence[str] = ()


class Translator:
    """What :func:`fairseq_gist.load` returns.

    Args:
        task: of fairseq, which knows vocabulary and features.
        model: with the modules of one of the architectures.
        longest: frames of a hundredth of a second that the model takes at most.
        name: of the model, for errors.

    Attributes:
        languages: what the model can be asked for, in alphabetical order; none where it has one and
            doesn't say which.
    """

    def __init__(self, task: Any, model: Any, longest: int, name: str) -> None:
        self.name = name
        self._task, self._model, self._longest = task, model.eval(), longest
        self._device = next(model.parameters()).device
        self.languages: List[str] = target_names(task)

    def translate(
        self,
        audio: Union[Audio, Sequence[Audio]],
        language: Union[str, Sequence[str]],
        **options: Any,
    ) -> Any:
        """Translate a recording, or several.

        Args:
            audio: path of a file that libsndfile reads (WAV, FLAC, Ogg, MP3 and others), of any
                rate and number of channels; or several of them.
            language: to translate into, or several, for which the encoder is run once.
            options: of :class:`~fairseq_gist.translating.options.TranslationOptions`.

        Returns:
            A :class:`~fairseq_gist.translating.results.Translation`, whose ``text`` is all of it
            and whose ``segments`` have times. For several languages, by language; for several
            recordings a list of these.

        Raises:
            OptionError: for a language that the model hasn't, and options that can't be.
            DataError: for a file that can't be read.
        """
        one, paths = isinstance(audio, (str, PathLike)), audio
        given = [paths] if isinstance(paths, (str, PathLike)) else list(paths)
        languages = [language] if isinstance(language, str) else list(language or ())
        settings = _options(options)
        found: List[Any] = [
            dict(each.translations) for each in self.stream(given, languages, settings)
        ]
        if isinstance(language, str):
            found = [each[language] for each in found]
        return found[0] if one else found

    def wanted(
        self, languages: Sequence[str], source_language: Optional[str] = None
    ) -> List[Wanted]:
        """Return the languages as the model knows them.

        Raises:
            OptionError: for one that it doesn't.
        """
        names = list(dict.fromkeys(languages))
        if not names:
            raise OptionError("expected a language to translate into, found none", "language")
        if not self._task.languages and len(names) > 1:
            raise OptionError(
                f"{self.name} has one language and no tags: expected one, found {', '.join(names)}",
                "language",
            )
        return [wanted_language(self._task, name, source_language, self.name) for name in names]

    def stream(
        self,
        audio: Sequence[Audio],
        languages: Sequence[str],
        options: Optional[TranslationOptions] = None,
        *,
        progress: bool = False,
        skip: Optional[Callable[[DataError], None]] = None,
    ) -> Iterator[Recording]:
        """Translate recordings, and give each as soon as those about it are done.

        Args:
            audio: paths.
            languages: to translate into.
            options: default those of their class.
            progress: whether to show how far it is, and for how long it will go on.
            skip: is called with what is wrong with a recording, which is left out then; None to
                raise it.

        Raises:
            OptionError: as :meth:`translate`, before anything is read.
            DataError: likewise.
        """
        settings = options or TranslationOptions()
        with quiet_fairseq(), as_errors():
            wanted = self.wanted(languages, settings.source_language)
            longest = self._longest_segment(settings)
            searcher = Searcher(self._task, self._model, settings.beam, settings.length_penalty)
        waves = list(filter(None, (_try(skip, read_wave, Path(path)) for path in audio)))
        whole = round(sum(wave.seconds for wave in waves))
        with tqdm(
            total=whole, desc="translating", unit="s", disable=None if progress else True
        ) as bar, tempfile.TemporaryDirectory(prefix="gist-") as folder:
            for group in _groups(waves):
                cuts = [
                    (wave, _try(skip, _segments, wave, longest, settings.longest_pause))
                    for wave in group
                ]
                there = [(wave, segments) for wave, segments in cuts if segments is not None]
                pieces = [
                    _Piece(number, segment)
                    for number, (_, segments) in enumerate(there)
                    for segment in segments
                ]
                before = bar.n
                for batch in _batches(pieces, settings.batch_seconds, len(wanted)):
                    with quiet_fairseq(), as_errors():
                        samples = [(there[one.recording][0], one.segment) for one in batch]
                        texts = self._translate(searcher, samples, wanted, Path(folder))
                    for piece, found in zip(batch, texts):
                        piece.texts = found
                    bar.update(round(sum(piece.segment.seconds for piece in batch)))
                bar.update(min(before + round(sum(w.seconds for w in group)), whole) - bar.n)
                for number, (wave, _) in enumerate(there):
                    own = [piece for piece in pieces if piece.recording == number]
                    yield _recording(wave, own, wanted)

    def _longest_segment(self, options: TranslationOptions) -> float:
        limit = self._longest / FRAMES_A_SECOND
        if options.longest_segment is None:
            return min(_USUAL_SEGMENT, limit)
        if options.longest_segment > limit:
            raise OptionError(
                f"{self.name} takes {limit:g} seconds at most, found {options.longest_segment:g}",
                "longest_segment",
            )
        return options.longest_segment

    def _translate(
        self,
        searcher: Searcher,
        samples: Sequence[Tuple[Wave, Segment]],
        wanted: Sequence[Wanted],
        folder: Path,
    ) -> List[List[str]]:
        """Return the texts of some segments, `[segments]` of `[languages]`."""
        import soundfile

        paths, frames = [], []
        for number, (wave, segment) in enumerate(samples):
            # features are made of files, whatever model they are for; floats are kept as they are
            path = str(folder / f"{number}.wav")
            sound = read_samples(wave.path, segment.start, segment.seconds)
            soundfile.write(path, sound, SAMPLE_RATE, subtype="FLOAT")
            paths.append(path)
            frames.append(len(sound) * FRAMES_A_SECOND // SAMPLE_RATE)
        task = self._task
        dataset = audio_dataset(task.data_cfg, paths, frames, self._longest, task.inputs)
        sample = dataset.collater([dataset[number] for number in range(len(paths))])
        sample = apply_to_sample(lambda tensor: tensor.to(self._device), sample)
        found = searcher.translate(sample, wanted)
        texts: List[List[str]] = [[] for _ in paths]
        for number, row in zip(sample["id"].tolist(), found):
            texts[number] = row
        return texts


def _options(given: Dict[str, Any]) -> TranslationOptions:
    known = [one.name for one in fields(TranslationOptions)]
    for name in given:
        if name not in known:
            raise OptionError(f"'{name}' is none of the options {', '.join(known)}")
    return TranslationOptions(**given)


def _try(skip: Any, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except DataError as error:
        if skip is None:
            raise
        skip(error)
        return None


def _segments(wave: Wave, longest: float, longest_pause: Optional[float]) -> List[Segment]:
    return cut(loudness(wave.path), wave.seconds, longest, longest_pause)


def _groups(waves: Sequence[Wave]) -> Iterator[List[Wave]]:
    group: List[Wave] = []
    for wave in waves:
        if group and sum(one.seconds for one in [*group, wave]) > _GROUP:
            yield group
            group = []
        group.append(wave)
    if group:
        yield group


def _batches(pieces: Sequence[_Piece], seconds: float, languages: int) -> Iterator[List[_Piece]]:
    """Give pieces of about one length together, the longest first: a lack of memory shows early."""
    batch: List[_Piece] = []
    for piece in sorted(pieces, key=lambda one: -one.segment.seconds):
        longest = batch[0].segment.seconds if batch else 0.0
        if batch and (
            (len(batch) + 1) * longest > seconds or (len(batch) + 1) * languages > _MOST_ROWS
        ):
            yield batch
            batch = []
        batch.append(piece)
    if batch:
        yield batch


def _recording(wave: Wave, pieces: Sequence[_Piece], wanted: Sequence[Wanted]) -> Recording:
    translations = {
        one.name: Translation(
            one.name,
            [
                TranslatedSegment(piece.segment.start, piece.segment.end, piece.texts[place])
                for piece in pieces
            ],
        )
        for place, one in enumerate(wanted)
    }
    return Recording(wave.path, wave.seconds, translations)
