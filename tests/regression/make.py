"""Make the files of this folder, with the release that is installed: see README.md.

    python make.py data FOLDER             # once: the two small data sets
    python make.py files FOLDER STACK      # on each stack: FOLDER/STACK/

Everything goes through the commands that a user types.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

LANGUAGES = ("de", "es", "ru")
WIDTH = 8
SENTENCES = {"train": 16, "dev": 8, "multiway": 8}

MODEL = [
    "--encoder-embed-dim=16",
    "--decoder-embed-dim=16",
    "--encoder-ffn-embed-dim=32",
    "--decoder-ffn-embed-dim=32",
    "--encoder-attention-heads=2",
    "--decoder-attention-heads=2",
    "--encoder-layers=2",
    "--decoder-layers=2",
    "--dropout=0.1",
]
TRANSFORMER = ["--arch=gist_s2t_transformer_xs", "--conv-channels=16", *MODEL]
CONFORMER = ["--arch=gist_s2t_conformer", "--depthwise-conv-kernel-size=7", *MODEL]
CONFORMER += ["--conv-channels=16"]
RECIPE = [
    "--config-yaml=config_st.yaml",
    "--task=gist_speech_to_text",
    "--criterion=gist_label_smoothed_cross_entropy",
    "--train-subset=train",
    "--valid-subset=dev",
    "--max-tokens=400",
    "--label-smoothing=0.1",
    "--optimizer=adam",
    "--lr=2e-3",
    "--lr-scheduler=inverse_sqrt",
    "--warmup-updates=4",
    "--seed=1",
    "--cpu",
    "--num-workers=0",
    "--log-format=simple",
    "--log-interval=1",
    "--no-epoch-checkpoints",
]
ONE_TO_MANY = ["--ignore-prefix-size=1"]
INTO_ENGLISH = ["--language-key=src", "--ignore-prefix-size=0"]
DIFFERENTIATE = [
    "--differentiate-at=10,14",
    "--size-budget=1.3,1.8",
    "--gradient-window=8",
    "--gradient-chunks=4",
]
GDPS = ["--differentiate-at=10", "--differentiate-by=gdps", "--gradient-window=8"]
GDPS += ["--gradient-chunks=4", "--gdps-groups=each", "--gdps-shared=0.5"]
GENERATE = ["--config-yaml=config_st.yaml", "--task=gist_speech_to_text", "--max-tokens=400"]
GENERATE += ["--beam=3", "--prefix-size=1", "--max-len-a=0", "--max-len-b=8", "--cpu"]
GENERATE += ["--num-workers=0"]


def write_data(folder: Path) -> None:
    """Write one data set from English into three languages, and one from three into English."""
    draw = random.Random(1)
    words = [f"{first}{last}" for first in "bdgkmnprst" for last in ("a", "o", "u")]
    for name in ("one_to_many", "into_english"):
        _write_set(folder / name, name == "into_english", words, draw)


def _write_set(folder: Path, into_english: bool, words: list, draw: random.Random) -> None:
    folder.mkdir(parents=True)
    tags = [] if into_english else [f"<lang:{language}>" for language in LANGUAGES]
    symbols = [*words, *tags]
    (folder / "words.txt").write_text("".join(f"{s} 1\n" for s in symbols), encoding="utf-8")
    settings = [
        "audio_root: AUDIO_ROOT",
        "input_channels: 1",
        f"input_feat_per_channel: {WIDTH}",
        f"prepend_tgt_lang_tag: {'false' if into_english else 'true'}",
        "vocab_filename: words.txt",
    ]
    (folder / "config_st.yaml").write_text("\n".join([*settings, ""]), encoding="utf-8")
    noise = np.random.default_rng(1)
    places = {}
    columns = ["id", "audio", "n_frames", "tgt_text", "speaker", "src_text", "src_lang", "tgt_lang"]
    with zipfile.ZipFile(folder / "features.zip", "w", zipfile.ZIP_STORED) as archive:
        rows = {}
        for split, count in SENTENCES.items():
            if split == "multiway":
                rows[split] = rows["dev"]
                continue
            rows[split] = []
            for sentence in range(count):
                text = [draw.choice(words) for _ in range(draw.randint(3, 6))]
                for language in LANGUAGES:
                    audio = f"{split}_{sentence}_{language if into_english else 'en'}.npy"
                    if audio not in places:
                        frames = int(noise.integers(24, 48))
                        features = noise.standard_normal((frames, WIDTH)).astype(np.float32)
                        buffer = io.BytesIO()
                        np.save(buffer, features)
                        archive.writestr(zipfile.ZipInfo(audio), buffer.getvalue())
                        places[audio] = frames
                    shift = 0 if into_english else LANGUAGES.index(language)
                    target = [words[(words.index(word) + shift) % len(words)] for word in text]
                    source = language if into_english else "en"
                    known = [f"{split}_{sentence}_{language}", audio, str(places[audio])]
                    known += [" ".join(target), "spk.1", " ".join(text), source]
                    rows[split].append([*known, "en" if into_english else language])
    starts = {}
    with zipfile.ZipFile(folder / "features.zip") as archive:
        for info in archive.infolist():
            starts[info.filename] = (info.header_offset + 30 + len(info.filename), info.file_size)
    for split, found in rows.items():
        lines = ["\t".join(columns)]
        for row in found:
            start, size = starts[row[1]]
            lines.append("\t".join([row[0], f"features.zip:{start}:{size}", *row[2:]]))
        (folder / f"{split}.tsv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def usable(data: Path, folder: Path) -> Path:
    """Return a copy of a data set that knows where it is."""
    shutil.copytree(data, folder)
    config = folder / "config_st.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("AUDIO_ROOT", str(folder)), "utf-8"
    )
    return folder


process = subprocess.run
"""What runs a command; tests put another one there, which is sooner done."""


def run(*command: object) -> str:
    """Run a command; its output is returned."""
    done = process([str(c) for c in command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def fairseq(tool: str, *arguments: object) -> str:
    """Run a command of fairseq with the plugin."""
    program = f"from fairseq_cli.{tool} import cli_main; cli_main()"
    command = [sys.executable, "-W", "ignore", "-c", program, *arguments]
    return run(*command, f"--user-dir={plugin()}")


def plugin() -> Path:
    """Return the folder of the package that is installed."""
    import fairseq_gist

    return Path(fairseq_gist.__file__).parent


def gist(*arguments: object) -> str:
    """Run ``fairseq-gist``."""
    return run(sys.executable, "-W", "ignore", "-m", "fairseq_gist.cli.main", *arguments)


def write_files(root: Path, stack: str) -> None:
    """Write the checkpoints, statistics, plans and scores of one stack."""
    out = root / stack
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        many = usable(root / "data" / "one_to_many", Path(scratch) / "many")
        english = usable(root / "data" / "into_english", Path(scratch) / "english")
        _train(many, english, out, Path(scratch))
        _measure(many, english, out, Path(scratch))
        _plan(out)
        _translate(many, out, Path(scratch))
        _look(out, many, english)


def train(data: Path, save: Path, updates: int, *options: str) -> Path:
    """Train, and return the last checkpoint."""
    fairseq("train", data, *RECIPE, *options, f"--max-update={updates}", f"--save-dir={save}")
    return save / "checkpoint_last.pt"


def _train(many: Path, english: Path, out: Path, scratch: Path) -> None:
    save = scratch / "one"
    options = [*TRANSFORMER, *ONE_TO_MANY, *DIFFERENTIATE]
    statistics = f"--save-gradient-statistics={scratch / 'training.npz'}"
    shutil.copy(train(many, save, 7, *options, statistics), out / "window.pt")
    shutil.copy(train(many, save, 16, *options, statistics), out / "differentiated.pt")
    shutil.copy(scratch / "training-10.npz", out / "training.npz")
    shutil.copy(train(many, save, 18, *options, statistics), out / "later.pt")
    plain = [*TRANSFORMER, *ONE_TO_MANY]
    shutil.copy(train(many, scratch / "shared", 3, *plain), out / "shared.pt")
    adapters = train(many, scratch / "adapters", 3, *plain, "--adapter-dim=4")
    shutil.copy(adapters, out / "adapters.pt")
    spoken = [*CONFORMER, *INTO_ENGLISH]
    shutil.copy(train(english, scratch / "shared_c", 9, *spoken), out / "conformer_shared.pt")
    divided = train(english, scratch / "conformer", 12, *spoken, *GDPS)
    shutil.copy(divided, out / "conformer.pt")


def _measure(many: Path, english: Path, out: Path, scratch: Path) -> None:
    common = ["--gradient-chunks=4", "--max-tokens=400", "--cpu"]
    gist("record", out / "shared.pt", many, *common, "-o", out / "whole.npz")
    gist("record", out / "shared.pt", many, *common, "--sketch-dim=64", "-o", out / "sketch.npz")
    keys = ["--language-key=src", "--neurons"]
    gist("record", out / "conformer_shared.pt", english, *common, *keys, "-o", out / "neurons.npz")
    gist("average", out / "differentiated.pt", out / "later.pt", "-o", out / "average.pt")
    gist("export", out / "differentiated.pt", "--language=de", "-o", out / "german.pt")


def _plan(out: Path) -> None:
    plans = out / "plans"
    plans.mkdir()
    whole = ["--statistics", out / "whole.npz"]
    model = ["--checkpoint", out / "shared.pt", "--languages=de,es,ru"]
    gist("plan", "gradient", *whole, "--size-budget=1.5", "-o", plans / "gradient.json")
    gist("plan", "bipartition", *whole, "-o", plans / "bipartition.json")
    gist("plan", "random", *model, "--size-budget=1.5", "-o", plans / "random.json")
    gist("plan", "attention", *model, "-o", plans / "attention.json")
    gist("plan", "encoder-only", *model, "-o", plans / "encoder-only.json")
    own = ["--statistics", out / "neurons.npz", "--groups=each", "--shared=0.5"]
    gist("plan", "gdps", *own, "-o", plans / "gdps.json")
    gist("plan", "gdps-random", *own, "-o", plans / "chance.json")
    again = ["--checkpoint", out / "differentiated.pt", "--size-budget=2.5"]
    gist("plan", "random", *again, "-o", plans / "further.json")


def _translate(many: Path, out: Path, scratch: Path) -> None:
    results = scratch / "results"
    arguments = [*GENERATE, "--gen-subset=dev", f"--results-path={results}"]
    fairseq("generate", many, *arguments, f"--path={out / 'differentiated.pt'}")
    shutil.copy(results / "generate-dev.txt", out / "generate-dev.txt")
    system = f"differentiated={results}"
    gist("score", system, "--data", many, "--subset=dev", "--output", out / "scores.json")


def _look(out: Path, many: Path, english: Path) -> None:
    """Write what reading each file gives: signatures, cosines, logits."""
    arrays = {}
    for path in sorted(out.glob("*.npz")):
        from fairseq_gist.statistics import GradientStatistics

        found = GradientStatistics.load(path)
        arrays[f"{path.stem}.cosines"] = found.cosines()
        arrays[f"{path.stem}.plain"] = found.cosines(debiased=False)
        arrays[f"{path.stem}.self"] = found.self_similarity()
        arrays[f"{path.stem}.signal"] = found.is_signal()
    for path in sorted(out.glob("*.pt")):
        data = english if path.stem.startswith("conformer") else many
        arrays[f"{path.stem}.logits"] = logits(path, data)
    np.savez_compressed(out / "expected.npz", **arrays)
    from fairseq_gist.plan import SharingPlan
    from fairseq_gist.statistics import GradientStatistics

    known = {
        "plans": {p.name: SharingPlan.load(p).signature for p in sorted(out.glob("plans/*.json"))},
        "statistics": {
            p.name: GradientStatistics.load(p).signature
            for p in sorted(out.glob("*.npz"))
            if p.name != "expected.npz"
        },
    }
    (out / "expected.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def logits(checkpoint: Path, data: Path) -> np.ndarray:
    """Return the logits of a model for the rows of dev, `[rows, tokens, symbols]`, dropout off."""
    program = Path(__file__).with_name("logits.py")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", program, plugin(), checkpoint, data]
        run(*command, f"{folder}/logits.npy")
        return np.load(f"{folder}/logits.npy")


def main() -> None:
    """Make the data, or the files of one stack."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("data", "files"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("stack", nargs="?")
    args = parser.parse_args()
    if args.what == "data":
        write_data(args.folder / "data")
    else:
        write_files(args.folder, args.stack)


if __name__ == "__main__":
    main()
