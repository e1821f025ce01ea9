"""What goes on the page, in order: its opening, and for every run its words and figures."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

from fairseq_gist.errors import DataError
from fairseq_gist.evaluation import Compared, Results, Run, check_comparable, collect, pairs_of
from fairseq_gist.evaluation.layouts import signatures
from fairseq_gist.report.figure import Figure, Missing
from fairseq_gist.report.figures import figures_for
from fairseq_gist.report.figures.base import (
    PLAN,
    RESULTS,
    SIMILARITY,
    TRAINING,
    PlanSeen,
    ResultsSeen,
    SimilaritySeen,
    TrainingSeen,
)
from fairseq_gist.report.figures.languages import language_order
from fairseq_gist.report.opening import Opening, opening_of
from fairseq_gist.report.similarity import Similarity
from fairseq_gist.report.sources import Content
from fairseq_gist.report.words import (
    Answer,
    answers_of_plan,
    answers_of_results,
    answers_of_similarity,
)
from fairseq_gist.sharing.plan import SharingPlan

__all__ = ["Chapter", "chapters_of", "page_of"]

RESAMPLES, RESAMPLE_SEED = 1_000, 12_345
"""Of the bootstrap; what ``fairseq-gist score`` takes too."""

_MANY = 3
"""From so many on plans and logs are folded."""


class Chapter(NamedTuple):
    """A part of the page.

    Attributes:
        title: its heading.
        answers: the questions that its numbers answer.
        figures: in order.
        missing: what it lacks, and why.
    """

    title: str
    answers: List[Answer]
    figures: List[Figure]
    missing: List[Missing]


def page_of(
    contents: Sequence[Content], units: Sequence[str] = ()
) -> Tuple[Opening, List[Chapter]]:
    """Return the opening, and similarity, plans and training of every run, and all results.

    Args:
        contents: of the runs.
        units: regular expressions; for each one more heat map of languages, of the units it
            matches.

    Raises:
        OptionError: when one of ``units`` is no regular expression.
    """
    chapters: List[Chapter] = []
    names = _statistics_by_name(contents)
    for content in contents:
        prefix = f"{content.name}: " if len(contents) > 1 else ""
        if _speaks_of("statistics", content, contents):
            chapters += _similarity(content, prefix, units, names)
        if _speaks_of("plans", content, contents):
            chapters.append(_plans(content, prefix))
        if _speaks_of("logs", content, contents):
            chapters.append(_training(content, prefix))
    tables = list(_tables(contents))
    opening = opening_of(contents, [results for _, results, _ in tables])
    return opening, _told_once([*chapters, *_results(tables)])


def _told_once(chapters: Sequence[Chapter]) -> List[Chapter]:
    """Leave out that a run lacks what the page shows of another: it wasn't to be had of both."""
    shown = [figure.title for chapter in chapters for figure in chapter.figures]
    return [
        chapter._replace(
            missing=[
                lacking
                for lacking in chapter.missing
                if not any(title.startswith(lacking.title) for title in shown)
            ]
        )
        for chapter in chapters
    ]


def chapters_of(contents: Sequence[Content], units: Sequence[str] = ()) -> List[Chapter]:
    """Return the page without its opening; arguments and errors are those of :func:`page_of`."""
    return page_of(contents, units)[1]


def _statistics_by_name(contents: Sequence[Content]) -> Dict[str, List[str]]:
    """Return where statistics of each signature were found, in the order of the page."""
    names: Dict[str, List[str]] = {}
    for content in contents:
        for label, statistics in content.statistics.items():
            name = f"{content.name}: {label}" if len(contents) > 1 else label
            names.setdefault(statistics.signature, []).append(name)
    return names


def _speaks_of(kind: str, content: Content, contents: Sequence[Content]) -> bool:
    """Whether a run has a chapter on something: it has it, or is the one to say that none has."""
    nobody_has = not any(getattr(one, kind) for one in contents)
    return bool(getattr(content, kind)) or (nobody_has and content is contents[0])


def _similarity(
    content: Content, prefix: str, units: Sequence[str], names: Dict[str, List[str]]
) -> List[Chapter]:
    """Return a chapter for each of a run's statistics, of equal ones one.

    Args:
        content: of the run.
        prefix: of the titles.
        units: see :func:`page_of`.
        names: where statistics were found, by signature; those that have a chapter are taken out.
    """
    title = f"{prefix}Similarity of gradients"
    if not content.statistics:
        why = (
            "no gradient statistics were found; fairseq-gist record and --save-gradient-statistics "
            "write them"
        )
        return [Chapter(title, [], [], [Missing("Similarity by layer, kind and language", why)])]
    chapters = []
    is_one = len({found.signature for found in content.statistics.values()}) == 1
    for label, statistics in content.statistics.items():
        found = names.pop(statistics.signature, None)
        if found is None:
            continue
        similarity = Similarity(label, statistics)
        answers = answers_of_similarity(similarity)
        if len(found) > 1:
            answers.append(Answer("Where are these gradients?", f"In {', '.join(found)}: equal."))
        made = figures_for(SIMILARITY, SimilaritySeen(similarity, units))
        chapters.append(_chapter(title if is_one else f"{title}, {label}", answers, made))
    return chapters


def _plans(content: Content, prefix: str) -> Chapter:
    title = f"{prefix}What was decided"
    if not content.plans:
        why = "no sharing plan was found, and no checkpoint that has one"
        return Chapter(title, [], [], [Missing("Who shares what", why)])
    order = _order(content)
    are_folded = len(content.plans) >= _MANY
    made: List[Union[Figure, Missing]] = []
    answers = []
    for label, plan in _distinct(content.plans).items():
        answers.append(answers_of_plan(label, plan))
        for of, statistics in content.statistics.items():
            if statistics.languages != plan.languages:
                why = f"the gradients in {of} are those of {', '.join(statistics.languages)}"
                made.append(Missing(f"What {label}, of other languages, comes from", why))
        made += figures_for(PLAN, PlanSeen(label, plan, order, are_folded))
    return _chapter(title, answers if len(answers) < _MANY else [], made)


def _distinct(plans: Dict[str, SharingPlan]) -> Dict[str, SharingPlan]:
    """Give plans that are equal one label, which names all the files they were found in."""
    labels: Dict[SharingPlan, List[str]] = {}
    for label, plan in plans.items():
        labels.setdefault(plan, []).append(label)
    return {", ".join(names): plans[names[-1]] for names in labels.values()}


def _order(content: Content) -> List[str] | None:
    """Return the languages in the order of their similarity, where that is known."""
    for statistics in reversed(list(content.statistics.values())):
        similarity = Similarity("", statistics)
        if similarity.pairs:
            matrix = similarity.matrix(similarity.of_pairs().value.tolist())
            return [statistics.languages[place] for place in language_order(matrix)]
    return None


def _training(content: Content, prefix: str) -> Chapter:
    title = f"{prefix}Training"
    if not content.logs:
        why = "no training log was found; keep fairseq-train's output in a file *.log"
        return Chapter(title, [], [], [Missing("Similarity and losses over training", why)])
    made = figures_for(TRAINING, TrainingSeen(content.logs))
    if len(content.logs) >= _MANY:
        made = [
            item._replace(is_folded=True) if isinstance(item, Figure) else item for item in made
        ]
    return _chapter(title, [], made)


class _Scored(NamedTuple):
    """Systems that are compared: the title of their chapter, results, where these come from."""

    title: str
    results: Results
    source: str


def _tables(contents: Sequence[Content]) -> Iterator[_Scored]:
    runs, compared = _named_apart(contents)
    groups = _comparable(runs)
    for number, group in enumerate(groups, start=1):
        for seeds, part in _fair(group):
            results = _resampled(part, compared)
            first = part[0]
            title = "Results" if len(groups) == 1 else f"Results, {first.subset} ({number})"
            source = f"{first.sentence_count:,} sentences of {first.subset}; {signatures(results)}"
            yield _Scored(title + seeds, results, source)


def _results(tables: Sequence[_Scored]) -> List[Chapter]:
    if not tables:
        why = "no scores were found; fairseq-gist score -o scores.json writes them"
        return [Chapter("Results", [], [], [Missing("Scores by language and system", why)])]
    chapters = []
    for title, results, source in tables:
        made: List[Union[Figure, Missing]] = []
        for metric in results.metrics:
            made += figures_for(RESULTS, ResultsSeen(results, metric, source))
        chapters.append(_chapter(title, [answers_of_results(results)], made))
    return chapters


def _named_apart(contents: Sequence[Content]) -> Tuple[List[Run], List[Compared]]:
    """Return scores and comparisons, systems of one name in two runs told apart by the runs'."""
    seen: Dict[str, List[str]] = {}
    for content in contents:
        for name in {run.name for run in content.scores}:
            seen.setdefault(name, []).append(content.name)

    def named(content: Content, name: str) -> str:
        return f"{content.name}: {name}" if len(seen.get(name, [])) > 1 else name

    runs, compared = [], []
    for content in contents:
        runs += [run._replace(name=named(content, run.name)) for run in content.scores]
        for own in content.compared:
            pairs = [(named(content, one), named(content, other)) for one, other in own.pairs]
            compared.append(Compared(named(content, own.baseline), pairs))
    return runs, compared


def _comparable(runs: Sequence[Run]) -> List[List[Run]]:
    """Return the runs in groups that were scored on the same references by the same metrics."""
    groups: List[List[Run]] = []
    for run in runs:
        for group in groups:
            try:
                check_comparable([*group, run])
            except DataError:
                continue
            group.append(run)
            break
        else:
            groups.append([run])
    return groups


def _fair(runs: Sequence[Run]) -> List[Tuple[str, List[Run]]]:
    """Return runs that may be compared, with what to call them: as many seeds of every system.

    One seed beside the mean of several would compare the seeds, not the systems.
    """
    systems: Dict[str, List[Run]] = {}
    for run in runs:
        systems.setdefault(run.name, []).append(run)
    most = max(map(len, systems.values()))
    if all(len(own) == most for own in systems.values()):
        return [("", list(runs))]
    found = [(": the first seed of every system", [own[0] for own in systems.values()])]
    complete = [own for own in systems.values() if len(own) == most]
    if len(complete) > 1:
        found.append((f": the systems with {most} seeds", [run for own in complete for run in own]))
    return found


def _resampled(runs: Sequence[Run], compared: Sequence[Compared]) -> Results:
    """Compare the systems as the files of scores say; where none does, with the first."""
    names = list(dict.fromkeys(run.name for run in runs))
    baseline = next((own.baseline for own in compared if own.baseline in names), names[0])
    against = [pair for own in compared for pair in own.pairs if set(pair) <= set(names)]
    pairs = pairs_of(names, baseline, against)
    runs = sorted(runs, key=lambda run: run.name != baseline)  # the others keep their order
    return collect(runs, baseline, pairs, RESAMPLES, RESAMPLE_SEED, with_intervals=True)


def _chapter(title: str, answers: List[Answer], made: Sequence[Union[Figure, Missing]]) -> Chapter:
    figures = [item for item in made if isinstance(item, Figure)]
    missing = [item for item in made if isinstance(item, Missing)]
    return Chapter(title, answers, figures, missing)
