"""The questions people ask of such a run, answered from the numbers."""

from __future__ import annotations

from typing import List, NamedTuple, Sequence, Tuple

import numpy as np
from scipy.stats import spearmanr

from fairseq_gist.architectures import recognise
from fairseq_gist.evaluation.results import Results
from fairseq_gist.evaluation.verdict import p_value, verdicts
from fairseq_gist.gradients.jackknife import Estimate
from fairseq_gist.languages.families import families_of
from fairseq_gist.report.mantel import compare_families
from fairseq_gist.report.similarity import Part, Similarity
from fairseq_gist.sharing.description import name_pair, plan_in_words
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["Answer", "answers_of_plan", "answers_of_results", "answers_of_similarity"]


class Answer(NamedTuple):
    """A question and what the numbers say, a paragraph a line."""

    question: str
    text: str


def answers_of_similarity(similarity: Similarity) -> List[Answer]:
    """Answer the paper's questions, those that this many languages and units allow."""
    if not similarity.pairs:
        return [Answer("What do the gradients say?", "Nothing: there is one language alone.")]
    return [
        Answer("Which layers agree least?", _layers(similarity)),
        Answer("Which languages go together?", _pairs(similarity)),
        Answer("Does family explain it?", _families(similarity)),
        Answer("Can conflicts be told from noise?", _conflicts(similarity)),
    ]


def answers_of_plan(label: str, plan: SharingPlan) -> Answer:
    """Say what a plan decided, and how large it makes the model."""
    lines = plan_in_words(plan, recognise(plan.units)).split("\n")
    total, shared = plan.parameters, plan.shared_parameters
    if total and shared:
        lines.append(f"{total:,} parameters, {total / shared:.2f} times the shared model")
    return Answer(
        f"What did it decide ({label})?", "\n".join(f"{_sentence(line)}." for line in lines)
    )


def answers_of_results(results: Results) -> Answer:
    """Say who is ahead of whom."""
    lines = verdicts(results)
    if len(lines) > 8:
        first = next(iter(results.metrics.values()))
        choose, extreme = (max, "highest") if first.higher_is_better else (min, "lowest")
        best = choose(results.entries, key=lambda entry: entry.mean(first.name))
        own = [
            line
            for line, comparison in zip(lines, results.comparisons)
            if best.name in comparison[:2] or comparison.against != results.baseline
        ]
        average = first.format(best.mean(first.name))
        lines = [f"The {extreme} average {first.title} is that of {best.name}, {average}.", *own]
    return Answer("Did it pay?", "\n".join(map(_sentence, lines)))


def _layers(similarity: Similarity) -> str:
    layers = [part for part in similarity.by_layer() if part.layer is not None]
    defined = [part for part in layers if not np.isnan(part.cosine.value)]
    if not defined:
        return "No cosine is defined in any layer: gradients are zero, or nothing but noise."
    ordered = sorted(defined, key=lambda part: float(part.cosine.value))
    low, high = ordered[0], ordered[-1]
    if len(ordered) == 1:
        return f"Only one was recorded: {_layer(low)} has {_number(low.cosine)}."
    gap = similarity.difference(high, low)
    if np.isnan(gap.low):
        sure = "How sure that is can't be told with fewer than three chunks"
    elif gap.is_above_zero:
        sure = f"The difference, {_number(gap)}, is more than chance"
    else:
        sure = f"The difference, {_number(gap)}, could be chance"
    text = (
        f"{_sentence(_layer(low))} agrees least, with a mean cosine of "
        f"{_number(low.cosine)}; {_layer(high)} most, with {_number(high.cosine)}. {sure}."
    )
    return " ".join([text, *_trends(defined)])


def _trends(layers: Sequence[Part]) -> List[str]:
    """Say of each stack whether similarity rises or falls with depth."""
    sentences = []
    for stack in dict.fromkeys(part.stack for part in layers):
        own = [part for part in layers if part.stack == stack]
        if len(own) < 4:
            continue
        found = spearmanr([p.layer for p in own], [float(p.cosine.value) for p in own])
        rho, p = float(found.statistic), float(found.pvalue)
        if p < 0.05:
            change = "rises" if rho > 0 else "falls"
            tail = f"(Spearman's rho {rho:.2f}, p {_p(p)})"
            sentences.append(f"It {change} with depth in the {stack} {tail}.")
        else:
            sentences.append(
                f"Depth in the {stack} has no clear say (Spearman's rho {rho:.2f}, p {_p(p)})."
            )
    return sentences


def _pairs(similarity: Similarity) -> str:
    cosine = similarity.of_pairs()
    order = [place for place in np.argsort(-cosine.value) if not np.isnan(cosine.value[place])]
    if not order:
        return "No cosine between two languages is defined."

    def named(place: int) -> str:
        one, other = similarity.pairs[place]
        return f"{name_pair(one, other)} {_number(_at(cosine, place))}"

    mean = similarity.overall()
    if len(order) == 1:
        return f"There is one pair, {named(order[0])}."
    count = min(3, len(order) // 2)
    return (
        f"Most alike are {', '.join(named(place) for place in order[:count])}; least "
        f"{', '.join(named(place) for place in reversed(order[-count:]))}. The mean over all pairs "
        f"and units is {_number(mean)}."
    )


def _families(similarity: Similarity) -> str:
    languages = similarity.statistics.languages
    family = families_of(languages)
    matrix = similarity.matrix(similarity.of_pairs().value.tolist())
    found = compare_families(matrix, [family.get(language) for language in languages])
    unknown = [language for language in languages if language not in family]
    if found is None:
        return (
            "This can't be tested here: it takes four languages of known families at least, some "
            "pairs of one family and some of different ones"
            + (f" (unknown: {', '.join(unknown)})" if unknown else "")
            + "."
        )
    verdict = "Yes, to some degree" if found.p < 0.05 else "Not that one could tell"
    tried = "all" if found.is_exact else f"{found.permutations:,} random"
    return (
        f"{verdict}: within families the mean cosine is {found.within:.3f}, across them "
        f"{found.across:.3f} (Mantel test on {found.languages} languages, r = "
        f"{found.correlation:.2f}, one-sided p {_p(found.p)} from {tried} permutations)."
        + (f" Left out, family unknown: {', '.join(unknown)}." if unknown else "")
    )


def _conflicts(similarity: Similarity) -> str:
    statistics = similarity.statistics
    if similarity.jackknife.chunks < 3:
        return (
            f"No: it takes three at least, and of chunks there are {similarity.jackknife.chunks}; "
            "record with more (--gradient-chunks)."
        )
    cosine = similarity.of_units_and_pairs()
    below, above = int(cosine.is_below_zero.sum()), int(cosine.is_above_zero.sum())
    tested = int((~np.isnan(cosine.low)).sum())
    signal = float(statistics.is_signal().mean())
    text = (
        f"Of {cosine.value.size:,} cosines (units x language pairs), {above:,} are above zero and "
        f"{below:,} below it by more than their 95 % interval; of the other "
        f"{cosine.value.size - above - below:,} one can't tell. By chance alone about "
        f"{0.025 * tested:.0f} of {tested:,} would seem to lie below. {signal:.0%} of the "
        "gradients (units x languages) can be told from noise."
    )
    if below:
        listed = ", ".join(_worst(similarity, cosine))
        text += f" The clearest conflicts: {listed}."
    return text


def _worst(similarity: Similarity, cosine: Estimate) -> List[str]:
    places: List[Tuple[float, int, int]] = [
        (float(cosine.high[unit, pair]), int(unit), int(pair))
        for unit, pair in zip(*np.nonzero(cosine.is_below_zero))
    ]
    return [
        f"{name_pair(*similarity.pairs[pair])} on {similarity.statistics.units[unit]} "
        f"{_number(_at(cosine, (unit, pair)))}"
        for _, unit, pair in sorted(places)[:3]
    ]


def _at(estimate: Estimate, place: int | Tuple[int, int]) -> Estimate:
    return Estimate(*(np.asarray(values[place]) for values in estimate))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _layer(part: Part) -> str:
    return f"{part.stack} layer {part.layer}".strip()


def _number(estimate: Estimate) -> str:
    if np.isnan(estimate.low):
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _p(p: float) -> str:
    text = p_value(p)
    return text if text[0] == "<" else f"= {text}"
