"""Figures, and how two ways to do the same are compared fairly on a noisy machine."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Union

from tqdm import tqdm

from fairseq_gist.files import replacing

__all__ = ["Figure", "Time", "compare", "read_figures", "timed", "write_figures"]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        name: what it is called in ``bench.json``.
        value: the median over the pairs, or the number itself.
        unit: what it counts.
        a: what was measured, in words.
        b: what it was measured against; empty where there is nothing to compare.
        pairs: how many pairs of measurements (of single ones where there is no b).
        minimum: smallest of them.
        maximum: largest of them.
        cpu: the same number by CPU time instead of wall time, None where it makes no sense, as on
            a device. Where it is there it decides about the target: what else runs on the machine
            changes it least.
        target: what it was meant to be, such as ``<= 1.05``.
        details: further numbers, by name.
    """

    name: str
    value: float
    unit: str
    a: str
    b: str
    pairs: int
    minimum: float
    maximum: float
    cpu: Optional[float] = None
    target: str = ""
    details: Dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_met(self) -> Optional[bool]:
        """Whether the target is met, None without one."""
        if not self.target:
            return None
        sign, _, limit = self.target.partition(" ")
        value = self.value if self.cpu is None else self.cpu
        return value <= float(limit) if sign == "<=" else value >= float(limit)


class Time(NamedTuple):
    """Seconds, by the clock and of CPU."""

    wall: float
    cpu: float


def _at_once() -> None:
    """Wait for nothing: on a CPU what was called is done."""


def timed(action: Callable[[], Any], wait: Callable[[], None] = _at_once, repeats: int = 1) -> Time:
    """Run ``action`` so many times and return what it took, a device included."""
    wait()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        action()
    wait()
    return Time(time.perf_counter() - wall, time.process_time() - cpu)


def compare(
    name: str,
    a: Callable[[], Any],
    b: Callable[[], Any],
    *,
    says_a: str,
    says_b: str,
    pairs: int,
    faster: bool = False,
    target: str = "",
    details: Optional[Dict[str, Any]] = None,
    wait: Callable[[], None] = _at_once,
    repeats: int = 1,
) -> Figure:
    """Time ``a`` and ``b`` in turn, in this process, and return the median ratio of their times.

    Who goes first changes from pair to pair, so a machine that grows slower favours neither; a
    first pair is thrown away.

    Args:
        name: of the figure.
        a: what is measured.
        b: what it is measured against.
        says_a: a in words.
        says_b: b in words.
        pairs: how many pairs.
        faster: give how many times faster a is than b, instead of a's time over b's.
        target: such as ``<= 1.05``.
        details: further numbers to keep.
        wait: waits until a device has done what it was given; then CPU time says nothing.
        repeats: how often each is run for one measurement.
    """
    a()
    b()
    times_a: List[Time] = []
    times_b: List[Time] = []
    for pair in tqdm(range(pairs), desc=name, unit="pair"):
        if pair % 2:
            times_b.append(timed(b, wait, repeats))
            times_a.append(timed(a, wait, repeats))
        else:
            times_a.append(timed(a, wait, repeats))
            times_b.append(timed(b, wait, repeats))
    over, under = (times_b, times_a) if faster else (times_a, times_b)
    ratios = [x.wall / y.wall for x, y in zip(over, under)]
    return Figure(
        name=name,
        value=statistics.median(ratios),
        unit="times as fast" if faster else "of the time",
        a=says_a,
        b=says_b,
        pairs=pairs,
        minimum=min(ratios),
        maximum=max(ratios),
        cpu=statistics.median(x.cpu / y.cpu for x, y in zip(over, under))
        if wait is _at_once
        else None,
        target=target,
        details={
            "seconds_a": statistics.median(t.wall for t in times_a) / repeats,
            "seconds_b": statistics.median(t.wall for t in times_b) / repeats,
            **(details or {}),
        },
    )


def write_figures(path: Union[str, Path], figures: Sequence[Figure]) -> None:
    """Write ``figures`` as JSON, one object each, whole or not at all."""
    content = []
    for figure in figures:
        entry = dataclasses.asdict(figure)
        entry["min"], entry["max"] = entry.pop("minimum"), entry.pop("maximum")
        content.append(entry)
    with replacing(path) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        Path(temporary).write_text(text + "\n", encoding="utf-8")


def read_figures(path: Union[str, Path]) -> List[Figure]:
    """Read what :func:`write_figures` wrote; nothing where there is no file."""
    if not Path(path).exists():
        return []
    figures = []
    for entry in json.loads(Path(path).read_text(encoding="utf-8")):
        entry["minimum"], entry["maximum"] = entry.pop("min"), entry.pop("max")
        figures.append(Figure(**entry))
    return figures
