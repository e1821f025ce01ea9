"""``fairseq-gist translate``."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path
from typing import Dict, List, Sequence

from fairseq_gist import load
from fairseq_gist.cli.architecture_options import add_architecture_options, given_options
from fairseq_gist.cli.dataclass_options import add_options, options_from
from fairseq_gist.cli.trust import add_trust_option
from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files import replacing
from fairseq_gist.files.outputs import (
    TRANSLATIONS,
    add_force_option,
    check_folder,
    check_output,
)
from fairseq_gist.sound.audio import read_wave
from fairseq_gist.translating.cutting import SHORTEST
from fairseq_gist.translating.formats import FORMATS, FORMATS_IN_WORDS, JSON, TEXT, as_json
from fairseq_gist.translating.options import TranslationOptions
from fairseq_gist.translating.results import Recording

__all__ = ["EXAMPLE", "add_arguments", "run"]

EXAMPLE = """examples:
  fairseq-gist translate checkpoint_best.pt talk.wav --language de
  fairseq-gist translate checkpoint_best.pt talks/*.mp3 --language de,fr --format srt,json -o out
  fairseq-gist translate whisper-base interview.flac --language en --source-language cs

A model is a checkpoint of any kind, or a folder with a Whisper or SeamlessM4T of transformers. The
same in Python:

  from fairseq_gist import load
  model = load("checkpoint_best.pt")
  print(model.translate("talk.wav", "de"))
"""

logger = logging.getLogger(__name__)

_SUFFIXES = {TEXT: "txt"}
"""Format -> ending of its files, where that isn't its name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("checkpoint", metavar="MODEL", help="a checkpoint, or a model's folder")
    parser.add_argument(
        "audio", nargs="+", type=Path, help="recordings: WAV, FLAC, Ogg, MP3, of any rate"
    )
    parser.add_argument(
        "--language",
        action="append",
        required=True,
        metavar="XX",
        help="to translate into; may come several times, or have several with commas between",
    )
    add_options(parser, TranslationOptions)
    parser.add_argument(
        "--format",
        default=TEXT,
        metavar="NAME,NAME",
        help=f"{FORMATS_IN_WORDS}; several with -o (default: {TEXT})",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for a file per recording, language and format (default: print them)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder with the vocabulary and configuration that a checkpoint was trained with "
        "(default: the checkpoint's own, or where it says)",
    )
    parser.add_argument(
        "--config-yaml", metavar="FILE", help="that configuration (default: as the checkpoint says)"
    )
    parser.add_argument("--cpu", action="store_true", help="don't use a GPU")
    add_architecture_options(parser, "what the checkpoint was trained from")
    add_force_option(parser)
    add_trust_option(parser)


def run(args: argparse.Namespace) -> int:
    """Translate recordings, and print or write each as soon as it is done."""
    options = options_from(args, TranslationOptions)
    languages = [one.strip() for given in args.language for one in given.split(",") if one.strip()]
    formats = _formats(args, len(languages))
    _check_outputs(args, languages, formats)
    for path in args.audio:
        read_wave(path)  # before a model is loaded

    model = load(
        args.checkpoint,
        data=args.data,
        config_yaml=args.config_yaml,
        device="cpu" if args.cpu else None,
        trust=args.trust_checkpoint,
        **given_options(args),
    )
    model.wanted(languages, options.source_language)
    failed: List[DataError] = []

    def skip(error: DataError) -> None:
        logger.warning("%s; left out", error)
        failed.append(error)

    done: List[Recording] = []
    for recording in model.stream(args.audio, languages, options, progress=True, skip=skip):
        _tell(recording)
        if args.output is not None:
            _write(recording, args.output, formats)
        elif formats == [JSON]:
            done.append(recording)
        else:
            _print(recording, formats[0], len(args.audio) * len(languages) > 1)
    if args.output is None and formats == [JSON]:
        plain = [one.plain() for one in done]
        print(json.dumps(plain, ensure_ascii=False, indent=2))
    if failed:
        raise DataError(
            f"{len(failed)} of {len(args.audio)} recordings could not be translated, the first: "
            f"{failed[0]}"
        )
    return 0


def _formats(args: argparse.Namespace, languages: int) -> List[str]:
    known = [*FORMATS, JSON]
    formats = list(dict.fromkeys(one for one in args.format.split(",") if one))
    for name in formats or [""]:
        if name not in known:
            raise OptionError(f"--format: expected some of {', '.join(known)}, found '{name}'")
    alone = args.output is not None or formats == [TEXT] or formats == [JSON]
    if not alone and (len(formats) > 1 or languages * len(args.audio) > 1):
        raise OptionError(
            f"--format {args.format}: {languages} languages of {len(args.audio)} recordings are "
            "more than one file; name a folder for them with -o"
        )
    return formats


def _check_outputs(
    args: argparse.Namespace, languages: Sequence[str], formats: Sequence[str]
) -> None:
    if args.output is None:
        return
    check_folder(args.output)
    made: Dict[Path, Path] = {}
    for audio in args.audio:
        for path in _places(audio, args.output, languages, formats):
            if made.setdefault(path, audio) != audio:
                raise OptionError(
                    f"-o {args.output}: {made[path]} and {audio} would both become {path}; "
                    "translate them into folders of their own"
                )
            check_output(path, kind=TRANSLATIONS, inputs=[audio], force=args.force)


def _places(
    audio: Path, folder: Path, languages: Sequence[str], formats: Sequence[str]
) -> List[Path]:
    found = []
    for name in formats:
        ending = _SUFFIXES.get(name, name)
        each = [""] if name == JSON else [f".{language}" for language in languages]
        found += [folder / f"{audio.stem}{language}.{ending}" for language in each]
    return found


def _write(recording: Recording, folder: Path, formats: Sequence[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in formats:
        languages = list(recording.translations)
        texts = (
            [as_json(recording)]
            if name == JSON
            else [FORMATS[name](recording.translations[language]) for language in languages]
        )
        for path, text in zip(_places(recording.path, folder, languages, [name]), texts):
            with replacing(path) as temporary:
                Path(temporary).write_text(text, encoding="utf-8")


def _print(recording: Recording, name: str, several: bool) -> None:
    for language, translation in recording.translations.items():
        if several:
            print(f"# {recording.path} [{language}]")
        sys.stdout.write(FORMATS[name](translation))
    sys.stdout.flush()


def _tell(recording: Recording) -> None:
    segments = len(next(iter(recording.translations.values())).segments)
    if not segments:
        logger.warning(
            "%s: nothing to hear in it: silent, its channels cancel out, or shorter than %g s",
            recording.path,
            SHORTEST,
        )
