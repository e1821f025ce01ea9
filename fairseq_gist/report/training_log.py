"""What a training run logged: fairseq's log lines, of ``--log-format simple`` or ``json``."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

__all__ = ["Point", "TrainingLog", "read_log"]

_LINE = re.compile(r"\| INFO \| (?P<logger>[^|]+?) \| (?P<message>.*)$")
_MOMENT = re.compile(r"^update (?P<update>\d+): differentiated")
_SUBSET = re.compile(r"valid on '(?P<subset>[^']*)' subset")
_INNER = re.compile(r"([\w.]+)=\s*([^,\s]+)")
_TRAINING = ("train", "train_inner")


class Point(NamedTuple):
    """What was logged at one moment.

    Attributes:
        update: updates made so far.
        subset: ``train_inner`` for an interval of training, ``train`` for an epoch, or the
            validation subset.
        values: name -> value, such as ``loss_de``.
    """

    update: int
    subset: str
    values: Dict[str, float]


class TrainingLog(NamedTuple):
    """A run's log.

    Attributes:
        label: its name in the report.
        points: in the order of updates; of what a resumed run did again, the last.
        moments: updates after which the model was differentiated.
    """

    label: str
    points: List[Point]
    moments: List[int]

    def series(self, subset: str, name: str) -> List[Tuple[int, float]]:
        """Return (update, value) of one name."""
        return [
            (point.update, point.values[name])
            for point in self.points
            if point.subset == subset and name in point.values
        ]

    def names(self, subset: str, start: str) -> List[str]:
        """Return the names that begin with ``start``, in the order in which they appear."""
        found: Dict[str, None] = {}
        for point in self.points:
            if point.subset == subset:
                found.update(dict.fromkeys(name for name in point.values if name.startswith(start)))
        return list(found)

    @property
    def validation_subsets(self) -> List[str]:
        """The subsets that were validated on, in the order in which they appear."""
        subsets = dict.fromkeys(point.subset for point in self.points)
        return [subset for subset in subsets if subset not in _TRAINING]


def read_log(path: Path, label: str) -> Optional[TrainingLog]:
    """Read a log; None for a file that has nothing of training in it.

    A run that was interrupted and resumed, or logged twice into one file, keeps what it logged
    last about an update.
    """
    points: Dict[Tuple[int, str], Point] = {}
    moments: Dict[int, None] = {}
    for logger, message in _lines(path):
        moment = _MOMENT.match(message)
        if moment:
            moments[int(moment.group("update"))] = None
            continue
        point = _json_point(logger, message) or _simple_point(logger, message)
        if point is not None:
            points[point.update, point.subset] = point
    if not points:
        return None
    ordered = sorted(points.values(), key=lambda point: point.update)
    return TrainingLog(label, ordered, sorted(moments))


def _lines(path: Path) -> Iterator[Tuple[str, str]]:
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = _LINE.search(line.rstrip("\n"))
            if match:
                yield match.group("logger"), match.group("message")


def _simple_point(logger: str, message: str) -> Optional[Point]:
    if not message.startswith("epoch "):
        return None
    if logger == "train_inner":
        pairs = _INNER.findall(message)
    else:
        fields = (field.strip().rpartition(" ") for field in message.split("|")[1:])
        pairs = [(name, value) for name, _, value in fields]
    subset = _SUBSET.search(message)
    return _point(subset.group("subset") if subset else logger, dict(pairs))


def _json_point(logger: str, message: str) -> Optional[Point]:
    if not message.startswith("{"):
        return None
    try:
        content = json.loads(message)
    except ValueError:
        return None
    start = f"{logger}_"  # of an epoch and of validation fairseq puts it before every name
    values = {
        name[len(start) :] if name.startswith(start) else name: str(value)
        for name, value in content.items()
    }
    return _point(logger, values)


def _point(subset: str, fields: Dict[str, str]) -> Optional[Point]:
    values = {}
    for name, text in fields.items():
        try:
            number = float(text)
        except ValueError:
            continue
        if math.isfinite(number):
            values[name] = number
    update = values.pop("num_updates", None)
    return None if update is None else Point(int(update), subset, values)
