"""Whisper under the task: against transformers alone, and what its windows cost.

``python -m benchmarks.whisper alone FOLDER DATA`` prints how far logits differ and which hypotheses
do, the whole window heard. ``python -m benchmarks.whisper windows FOLDER DATA`` translates a subset
with each window and prints BLEU, chrF, the share of translations that are those of the whole
window, and seconds of processor time a row; ``--path`` does it with a checkpoint. Neither is among
those that ``python -m benchmarks`` runs: they need real weights, speech and its translations.
"""

from __future__ import annotations

import argparse
import json
import time
from argparse import Namespace
from typing import Any, Dict, Iterator, List, Tuple

import torch
from fairseq import checkpoint_utils, options, utils
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.tasks import setup_task

from fairseq_gist.tasks.registration import register

__all__ = ["WINDOWS", "Translator"]

WINDOWS: Tuple[Tuple[str, float], ...] = (
    ("full", 0.0),
    ("short", 0.0),
    ("short", 1.0),
    ("short", 3.0),
    ("short", 8.0),
)
"""Window and seconds of silence behind an utterance."""

_PROMPT = 3


class Translator:
    """A Whisper with one window, and the rows of a subset.

    Args:
        args: of the command.
        window: ``full`` or ``short``.
        silence: seconds behind an utterance.
    """

    def __init__(self, args: Namespace, window: str, silence: float) -> None:
        given = [
            args.data,
            "--task=gist_speech_to_text",
            f"--config-yaml={args.config_yaml}",
            f"--language-key={args.language_key}",
            f"--whisper-path={args.folder}",
            f"--whisper-window={window}",
            f"--whisper-silence={silence}",
            f"--path={args.path or 'none'}",
            f"--gen-subset={args.subset}",
            f"--prefix-size={_PROMPT}",
            f"--beam={args.beam}",
            "--max-len-a=0",
            f"--max-len-b={args.max_len_b}",
            f"--max-tokens={args.max_tokens}",
            *(["--unnormalized"] if args.unnormalized else []),
        ]
        parser = options.get_generation_parser()
        cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, given))
        self.cfg, self.task = cfg, setup_task(cfg.task)
        if args.path:
            self.model = checkpoint_utils.load_model_ensemble([args.path], task=self.task)[0][0]
        else:
            from fairseq_gist.architectures.whisper.model import GistWhisper

            self.model = GistWhisper.build_model(Namespace(arch="gist_whisper"), self.task)
        self.is_on_gpu = torch.cuda.is_available()
        self.model = (self.model.cuda() if self.is_on_gpu else self.model).eval()
        self.task.load_dataset(args.subset)
        self.generator = self.task.build_generator([self.model], cfg.generation)

    def batches(self) -> Iterator[Any]:
        """Give the rows of the subset, in batches."""
        dataset = self.task.dataset(self.cfg.dataset.gen_subset)
        for batch in self.task.get_batch_iterator(
            dataset=dataset,
            max_tokens=self.cfg.dataset.max_tokens,
            max_positions=utils.resolve_max_positions(
                self.task.max_positions(), self.model.max_positions()
            ),
            ignore_invalid_inputs=True,
        ).next_epoch_itr(shuffle=False):
            yield utils.move_to_cuda(batch) if self.is_on_gpu else batch

    def hypotheses(self, batch: Any) -> List[List[int]]:
        """Return the best translation of every row in tokens, without what it begins with."""
        prefix = batch["target"][:, :_PROMPT]
        with torch.no_grad():
            found = self.task.inference_step(
                self.generator, [self.model], batch, prefix_tokens=prefix
            )
        return [row[0]["tokens"][_PROMPT:].tolist() for row in found]

    def text(self, tokens: Any) -> str:
        """Return what tokens say."""
        dictionary = self.task.target_dictionary
        left_out = self.generator.symbols_to_strip_from_output
        kept = [int(token) for token in tokens if int(token) not in left_out]
        said = dictionary.string(torch.tensor([t for t in kept if t != dictionary.pad()]))
        return str(self.task.inputs.pieces.decode(said))


def compare_alone(args: Namespace) -> Dict[str, Any]:
    """Compare logits and hypotheses with those of transformers alone, batch by batch."""
    from transformers import WhisperForConditionalGeneration
    from transformers.utils import logging

    logging.set_verbosity_error()
    ours = Translator(args, "full", 0.0)
    theirs = WhisperForConditionalGeneration.from_pretrained(args.folder).eval()
    theirs = theirs.to(next(ours.model.parameters()).device)
    languages = [f"<lang:{name[2:-2]}>" for name in theirs.generation_config.lang_to_id]
    names = {ours.task.target_dictionary.index(tag): tag[6:-1] for tag in languages}
    rows, equal, worst, largest, differing = 0, 0, 0.0, 0.0, []
    for batch in ours.batches():
        features = _windows_of(batch["net_input"], ours.model.encoder.max_positions())
        tokens = batch["net_input"]["prev_output_tokens"].clone()
        tokens[:, 0] = theirs.config.decoder_start_token_id
        with torch.no_grad():
            expected = theirs(features, decoder_input_ids=tokens).logits
            found = ours.model(**batch["net_input"])[0]
        worst = max(worst, (expected - found).abs().max().item())
        largest = max(largest, expected.abs().max().item())
        own = ours.hypotheses(batch)
        for row, hypothesis in enumerate(own):
            task = ours.task.target_dictionary[int(tokens[row, 2])][2:-2]
            settings = {"length_penalty": 0.0, "early_stopping": True} if args.beam > 1 else {}
            best = theirs.generate(
                features[row : row + 1],
                language=names[int(tokens[row, 1])],
                task=task,
                num_beams=args.beam,
                do_sample=False,
                max_new_tokens=args.max_len_b - _PROMPT + 1,
                **settings,
            )[0].tolist()
            end = theirs.generation_config.eos_token_id
            # at the limit fairseq ends a text, and transformers breaks it off one symbol later
            said = [token for token in best if token != end][: args.max_len_b - _PROMPT]
            rows, same = rows + 1, said == [token for token in hypothesis if token != end]
            equal += same
            if not same:
                differing.append([ours.text(hypothesis), ours.text(best)])
    return {
        "rows": rows,
        "same_hypotheses": equal,
        "logits_differ_by": worst,
        "largest_logit": largest,
        "differing": differing,
    }


def _windows_of(net_input: Any, frames: int) -> Any:
    """Return features as transformers' extractor makes them, `[rows, bins, frames]`."""
    rows = []
    for own, length in zip(net_input["src_tokens"], net_input["src_lengths"].tolist()):
        silence = own[length - 1].expand(frames, -1)
        rows.append(torch.cat([own[:length], silence])[:frames])
    return torch.stack(rows).transpose(1, 2)


def compare_windows(args: Namespace) -> List[Dict[str, Any]]:
    """Translate with each window; the first is what the others are compared with."""
    from sacrebleu.metrics import BLEU, CHRF

    results: List[Dict[str, Any]] = []
    whole: Dict[int, str] = {}
    for window, silence in WINDOWS:
        translator = Translator(args, window, silence)
        found: Dict[int, str] = {}
        references: Dict[int, str] = {}
        start = time.process_time()
        for batch in translator.batches():
            texts = map(translator.text, translator.hypotheses(batch))
            found.update(zip(batch["id"].tolist(), texts))
            for index, target in zip(batch["id"].tolist(), batch["target"]):
                references[index] = translator.text(target)
        seconds = (time.process_time() - start) / len(found)
        whole = whole or found
        said = [found[index] for index in sorted(found)]
        wanted = [[references[index] for index in sorted(found)]]
        results.append(
            {
                "window": window,
                "silence": silence,
                "rows": len(found),
                "bleu": BLEU().corpus_score(said, wanted).score,
                "chrf": CHRF().corpus_score(said, wanted).score,
                "as_whole": sum(found[one] == whole[one] for one in found) / len(found),
                "longer": sum(len(found[one]) > 1.5 * len(whole[one]) + 10 for one in found),
                "cpu_seconds_a_row": seconds,
            }
        )
        print(json.dumps(results[-1]), flush=True)
    return results


def main() -> None:
    """Compare with transformers, or the windows with each other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whisper", description=__doc__)
    parser.add_argument("what", choices=["alone", "windows"])
    parser.add_argument("folder", help="of a Whisper, as for --whisper-path")
    parser.add_argument("data", help="folder of manifests that name audio")
    parser.add_argument("--path", help="checkpoint (default: the folder's weights)")
    parser.add_argument("--config-yaml", default="config_st.yaml")
    parser.add_argument("--language-key", default="src")
    parser.add_argument("--subset", default="dev")
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--max-len-b", type=int, default=100)
    parser.add_argument("--max-tokens", type=int, default=6000)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    args.unnormalized = args.what == "alone"
    torch.set_num_threads(args.threads)
    register()
    if args.what == "alone":
        print(json.dumps(compare_alone(args), ensure_ascii=False))
    else:
        compare_windows(args)


if __name__ == "__main__":
    main()
