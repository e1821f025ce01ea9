"""What a split decoder costs in beam search, and what an exported one does."""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple, Optional

from fairseq.dataclass.configs import FairseqConfig, GenerationConfig
from omegaconf import OmegaConf

from benchmarks import setting
from benchmarks.figures import Figure, compare
from fairseq_gist.surgery.state import export_state

__all__ = ["Contender", "beam_search", "contender", "same_work"]

GROUPS = 4
SENTENCES = 16
FRAMES = 600
_OPTIONS = {"beam": 5, "max_len_b": 25, "lenpen": 0.6, "prefix_size": 1}
_TASK = f"beam search (5) of s2t_transformer_m, {SENTENCES} sentences of {FRAMES} frames"


class Contender(NamedTuple):
    """A model that is ready to generate, and what it is given."""

    setup: setting.Setup
    generator: Any
    sample: setting.Sample

    def hypotheses(self) -> List[List[Dict[str, Any]]]:
        """Translate the batch, as ``fairseq-generate`` does."""
        prefix = self.sample["target"][:, : _OPTIONS["prefix_size"]]
        return self.setup.task.inference_step(
            self.generator, [self.setup.model], self.sample, prefix_tokens=prefix
        )


def beam_search(pairs: int) -> List[Figure]:
    """Compare grouped, mixed and exported generation with stock fairseq's."""
    stock, twin, exported = (setting.build(gist=False) for _ in range(3))
    grouped = setting.build(gist=True)
    setting.split(grouped, GROUPS)
    state = export_state(grouped.model.state_dict(), setting.LANGUAGES[0])
    exported.model.load_state_dict(state, strict=True)

    one, mixed = _batch(grouped, [0]), _batch(grouped, None)
    of_one = f"{_TASK} of one language"
    of_eight = f"{_TASK} of eight languages"
    split = f"decoder in {GROUPS} groups"
    same = "stock fairseq, same audio"
    return [
        _figure(
            "generation_grouped", pairs, grouped, stock, one, f"{of_one}, {split}", same, "<= 1.03"
        ),
        _figure(
            "generation_grouped_mixed", pairs, grouped, stock, mixed, f"{of_eight}, {split}", same
        ),
        _figure(
            "generation_exported",
            pairs,
            exported,
            stock,
            one,
            f"{of_one}, stock model exported from a {split}",
            same,
            "<= 1.03",
        ),
        _figure(
            "generation_stock_twice",
            pairs,
            twin,
            stock,
            one,
            f"{of_one}, stock fairseq",
            "another stock model of equal weights: the noise of these figures",
        ),
    ]


def _batch(setup: setting.Setup, languages: Optional[List[int]]) -> setting.Sample:
    own = len(setting.LANGUAGES) if languages is None else len(languages)
    sample = setting.batch(setup, SENTENCES // own, FRAMES, languages=languages)
    return setting.one_row_each(sample, with_languages=True)


def _figure(
    name: str,
    pairs: int,
    ours: setting.Setup,
    theirs: setting.Setup,
    sample: setting.Sample,
    says_a: str,
    says_b: str,
    target: str = "",
) -> Figure:
    a, b = contender(ours, sample), contender(theirs, sample)
    details = same_work(name, a, b)
    if name == "generation_grouped_mixed":
        details["weights"] = (
            f"each step of beam search reads the weights of {GROUPS} copies of the decoder, where "
            "stock fairseq reads one"
        )
    return compare(
        name,
        a.hypotheses,
        b.hypotheses,
        says_a=says_a,
        says_b=says_b,
        pairs=pairs,
        target=target,
        details=details,
    )


def contender(setup: setting.Setup, sample: setting.Sample) -> Contender:
    """Make a model ready to generate ``sample``."""
    config = OmegaConf.structured(FairseqConfig(generation=GenerationConfig(**_OPTIONS)))
    setup.model.eval()
    setup.model.prepare_for_inference_(config)
    generator = setup.task.build_generator([setup.model], config.generation)
    own = dict(sample["net_input"])
    if not hasattr(setup.model, "routing"):
        own.pop("lang_ids", None)
    return Contender(setup, generator, {**sample, "net_input": own})


def same_work(name: str, a: Contender, b: Contender) -> Dict[str, Any]:
    """Check that both give the same hypotheses, and so take the same number of steps."""
    found = [_tokens(contender.hypotheses()) for contender in (a, b)]
    if found[0] != found[1]:
        raise RuntimeError(f"{name}: the two don't translate alike, their times say nothing")
    lengths = [len(hypothesis) for sentence in found[0] for hypothesis in sentence]
    return {"shortest_hypothesis": min(lengths), "longest_hypothesis": max(lengths)}


def _tokens(sentences: List[List[Dict[str, Any]]]) -> List[List[List[int]]]:
    return [[hypothesis["tokens"].tolist() for hypothesis in sentence] for sentence in sentences]
