"""Check data in the MuST-C layout: what is there, what is missing, how much room it takes."""

import argparse
import shutil
import sys
from pathlib import Path

from fairseq_gist.errors import GistError
from fairseq_gist.preparing.layouts.mustc import MustC
from fairseq_gist.preparing.survey import span_of
from fairseq_gist.preparing.vocabulary import Vocabulary
from fairseq_gist.sound.audio import read_wave

FEATURE_BYTES = 32_000  # a second of speech
SHARED, LARGEST = 76.3e6, 252.9e6  # parameters of s2t_transformer_m, and with every unit split
BYTES = 12  # a parameter with Adam's two moments, in fp32


def main() -> int:
    """Print a table, and all that is wrong at the end."""
    args = arguments()
    languages, splits = args.languages.split(), args.splits.split()
    layout, problems, places = MustC(args.root), [], {}
    print(f"{'':14}{'segments':>10}{'hours':>9}{'talks':>7}  sample rates (first and last talk)")
    for split in splits:
        for language in languages:
            try:
                print(f"{split + ' ' + language:14}{describe(layout, language, split, places)}")
            except GistError as error:
                problems.append(str(error))
    if args.vocabulary:
        try:
            Vocabulary(Path(args.vocabulary)).check(languages)
        except GistError as error:
            problems.append(str(error))
    if args.start and not Path(args.start).is_file():
        problems.append(f"START={args.start}: there is no such file")
    if not problems:
        room(args, sum(places.values()))
    for problem in problems:
        print(f"00_check.sh: {problem}", file=sys.stderr)
    return 1 if problems else 0


def arguments() -> argparse.Namespace:
    """Give what 00_check.sh says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path)
    for name in ("languages", "splits", "systems", "start", "vocabulary"):
        parser.add_argument(f"--{name}", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", type=int, required=True)
    return parser.parse_args()


def describe(layout: MustC, language: str, split: str, places: dict) -> str:
    """Give one line of the table; raises GistError for what is missing or can't be read."""
    segments = layout.segments(language, split)
    talks = list(dict.fromkeys(segment.wav for segment in segments))
    waves = {}
    for name in talks:
        path = layout.wav(language, split, name)
        if not path.is_file():
            raise GistError(f"{layout.listing(language, split)} names {name}: no {path}")
        if name in (talks[0], talks[-1]):
            waves[name] = read_wave(path)
    for segment in segments:
        places[split, segment.wav, span_of(segment)] = segment.duration
    hours = sum(segment.duration for segment in segments) / 3600
    rates = "/".join(str(wave.sample_rate) for wave in waves.values())
    return f"{len(segments):>10,}{hours:>9.1f}{len(talks):>7,}  {rates}"


def room(args: argparse.Namespace, seconds: float) -> None:
    """Say how much room is needed and free."""
    gigabyte = 1e9
    features = seconds * FEATURE_BYTES / gigabyte
    # ASR and ST, unless they are given, and a training for every system
    shared = 0 if args.start else 2
    sizes = [SHARED] * shared + [
        SHARED if name == "shared" else LARGEST for name in args.systems.split()
    ]
    checkpoints = (args.keep + 2) * sum(sizes) * BYTES / gigabyte
    folder = next(path for path in (args.out, *args.out.resolve().parents) if path.exists())
    free = shutil.disk_usage(folder).free / gigabyte
    print(
        f"{seconds / 3600:.1f} hours of different utterances, audio counted once where languages "
        f"cut it alike\nestimate of the room needed: {features:.1f} GB for filterbanks (32 kB a "
        f"second; {2 * features:.1f} GB while they are made) and, for s2t_transformer_m, at most "
        f"{checkpoints:.0f} GB for checkpoints; free at {folder}: {free:.0f} GB"
    )
    if free < 2 * features:
        print(f"00_check.sh: warning: {free:.0f} GB are too little", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
