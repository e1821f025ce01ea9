"""What differentiating costs a model of the shape of SeamlessM4T-Medium, with random weights.

``python -m benchmarks.seamless ffn2|divided|decoder [STEPS]`` prints ratios to the shared model: of
parameters, of the time of a step and of the peak memory. It isn't among those that
``python -m benchmarks`` runs: the model needs 7 to 9 GB and a few minutes.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from typing import Any, Dict, List

import torch
from fairseq.data import Dictionary

from fairseq_gist.architectures.seamless_m4t.folder import SeamlessFolder
from fairseq_gist.architectures.seamless_m4t.model import GistSeamlessM4T
from fairseq_gist.sharing.division import Division, divided_units
from fairseq_gist.sharing.plan import SharingPlan
from fairseq_gist.surgery.apply import apply_plan
from fairseq_gist.surgery.units import count_parameters, find_units, select_units

__all__ = ["LANGUAGES", "MEDIUM", "plan_for"]

LANGUAGES = ["aeb", "bem", "est", "gle"]
MEDIUM = {
    "vocab_size": 256_206,
    "hidden_size": 1024,
    "max_position_embeddings": 4096,
    "speech_encoder_layers": 12,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_ffn_dim": 4096,
    "decoder_ffn_dim": 4096,
}
"""The published numbers of facebook/hf-seamless-m4t-medium; the rest are transformers' defaults."""

_BLOCK = "encoder.layers.11.ffn2"
_FRAMES, _TOKENS = 100, 12  # a frame of the model is two hundredths of a second


def plan_for(kind: str, model: Any) -> SharingPlan:
    """Return a plan by its name.

    Args:
        kind: ``ffn2``, that block of layer 11 for every language; ``divided``, half of its
            neurons shared, the others in two groups; ``decoder``, all of it in two groups.
        model: shared.
    """
    first, second = f"{_BLOCK}.intermediate_dense", f"{_BLOCK}.output_dense"
    two = [["bem"], ["aeb", "est", "gle"]]
    if kind == "ffn2":
        each = [[language] for language in LANGUAGES]
        return SharingPlan(LANGUAGES, {first: each, second: each})
    if kind == "decoder":
        return SharingPlan(LANGUAGES, dict.fromkeys(select_units(find_units(model)), two))
    neurons = model.get_submodule(first).out_features
    division = Division(second, neurons, tuple(range(0, neurons, 2)))
    shared_first, shared_second, own_first, own_second = divided_units(first, division)
    everyone = [LANGUAGES]
    units = {shared_first: everyone, shared_second: everyone, own_first: two, own_second: two}
    return SharingPlan(LANGUAGES, units, {}, {first: division})


def main() -> None:
    """Measure one plan against the shared model."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.seamless", description=__doc__)
    parser.add_argument("plan", choices=["ffn2", "divided", "decoder"])
    parser.add_argument("steps", nargs="?", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    transformers = SeamlessFolder.transformers()
    config = transformers.SeamlessM4TConfig(**MEDIUM)
    theirs = transformers.SeamlessM4TForSpeechToText(config)
    model = GistSeamlessM4T.around(theirs, Dictionary(), LANGUAGES).train()
    del theirs
    before = _measure(model, args.steps)
    apply_plan(model, plan_for(args.plan, model), model.routing)
    after = _measure(model, args.steps)
    ratios = {f"{name}_ratio": after[name] / before[name] for name in before}
    print(json.dumps({"plan": args.plan, **ratios, "shared": before, "split": after}))


def _measure(model: Any, steps: int) -> Dict[str, float]:
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, foreach=False)
    taken: List[float] = []
    for _ in range(steps + 1):
        start = time.process_time()
        optimizer.zero_grad()
        logits = model(**_batch())[0]
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.zeros(48).long()).backward()
        optimizer.step()
        taken.append(time.process_time() - start)
    return {
        "parameters": count_parameters(model),
        "seconds": min(taken[1:]),  # of the processor: the least disturbed step
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def _batch() -> Dict[str, Any]:
    rows = len(LANGUAGES)
    return {
        "src_tokens": torch.randn(rows, _FRAMES, 160),
        "src_lengths": torch.full((rows,), _FRAMES),
        "prev_output_tokens": torch.randint(4, 1000, (rows, _TOKENS)),
        "lang_ids": torch.arange(rows),
    }


if __name__ == "__main__":
    main()
