"""Figures as Markdown tables: one with every number, one to be read."""

from __future__ import annotations

from typing import Dict, List, Sequence

from benchmarks.figures import Figure

__all__ = ["HEADLINES", "as_readable_table", "as_table", "in_words"]

HEADLINES = (
    "encode_once_m",
    "record_vs_per_language",
    "recording_step",
    "recording_step_sketch",
    "grouped_mixed",
    "grouped_single",
    "generation_grouped",
    "generation_grouped_mixed",
    "generation_exported",
    "generation_stock_twice",
    "policy_128x1000",
)
"""The figures that a reader in a hurry gets, in their order."""

_WORDS: Dict[str, str] = {
    "recording_step": "Recording gradients while training",
    "recording_step_sketch": "Recording sketches of gradients",
    "sketch_error": "What sketches lose",
    "encode_once_m": "Training on utterances with all their translations",
    "record_vs_per_language": "Measuring gradients on held-out data",
    "grouped_mixed": "Training a split decoder, mixed batches",
    "grouped_single": "Training a split decoder, one language a batch",
    "generation_grouped": "Translating, split decoder, one language a batch",
    "generation_grouped_mixed": "Translating, split decoder, mixed batches",
    "generation_exported": "Translating with an exported model",
    "generation_stock_twice": "Translating with stock fairseq, twice",
    "checkpoint_bytes": "Size of checkpoints",
    "checkpoint_load": "Loading a checkpoint, by parameter",
    "policy_128x1000": "Deciding for 128 languages, 1,000 units",
    "filterbank_core_seconds": "Filterbanks",
    "filterbank_scaling": "Filterbanks in two processes",
    "filterbank_memory": "Memory for the filterbanks of a long talk",
}

_PREFIXES: Dict[str, str] = {
    "grouped_step_": "Training, mixed batches, groups: ",
    "low_rank_": "Training, mixed batches, low-rank differences, groups: ",
    "processes_": "Training, split decoder, mixed batches, processes: ",
    "policy_": "Deciding, languages x units: ",
}


def as_table(figures: Sequence[Figure]) -> str:
    """Return ``figures`` as a Markdown table."""
    lines = [
        "| name | value | spread | CPU time | target | what was measured, against what |",
        "|---|---|---|---|---|---|",
    ]
    for figure in figures:
        lines.append(
            f"| `{figure.name}` | {_number(figure.value)} {figure.unit} | {_spread(figure)}, "
            f"{figure.pairs} {_counted(figure)} | {_cpu(figure)} | {_target(figure)} | "
            f"{_measured(figure)} |"
        )
    return "\n".join(lines)


def as_readable_table(figures: Sequence[Figure]) -> str:
    """Return ``figures`` as a Markdown table with names in words and what wasn't reached."""
    lines = [
        "| | result | smallest - largest | by CPU time | target | what was measured |",
        "|---|---|---|---|---|---|",
    ]
    for figure in figures:
        lines.append(
            f"| {in_words(figure.name)} | {_number(figure.value)} {figure.unit} | "
            f"{_spread(figure)} | {_cpu(figure)} | {_target(figure)} | {_measured(figure)} |"
        )
    return "\n".join(lines)


def in_words(name: str) -> str:
    """Return what a figure is called for readers."""
    if name in _WORDS:
        return _WORDS[name]
    for prefix, words in _PREFIXES.items():
        if name.startswith(prefix):
            return words + name[len(prefix) :]
    return name.replace("_", " ").capitalize()


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def _cpu(figure: Figure) -> str:
    return "" if figure.cpu is None else _number(figure.cpu)


def _spread(figure: Figure) -> str:
    return f"{_number(figure.minimum)} - {_number(figure.maximum)}"


def _counted(figure: Figure) -> str:
    return "pairs" if figure.b else "times"


def _target(figure: Figure) -> str:
    met = {None: "", True: ", met", False: ", **not met**"}
    return figure.target + met[figure.is_met]


def _measured(figure: Figure) -> str:
    parts: List[str] = [figure.a]
    if figure.b:
        parts.append(f"against {figure.b}")
    return ", ".join(parts).replace("|", "\\|").replace("\n", " ")
