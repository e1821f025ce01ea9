"""How large checkpoints of split models are, and how long they take to load."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any, Dict, List

from fairseq import utils
from tqdm import tqdm

from benchmarks import setting
from benchmarks.figures import Figure, Time, timed
from fairseq_gist.host.checkpoints import read_checkpoint, write_checkpoint
from fairseq_gist.surgery.units import count_parameters

__all__ = ["save", "sizes"]

GROUPS = (1, 2, 4, 8)
_BYTES = 4  # of a parameter in fp32


def sizes(pairs: int) -> List[Figure]:
    """Measure files of s2t_transformer_m, its decoder in up to eight groups, and loading them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = [_saved(folder / f"{groups}.pt", groups) for groups in GROUPS]
        ratios, by_cpu = _load_in_turn(folder, models, pairs)
    parts = [model["bytes"] / (_BYTES * model["parameters"]) for model in models]
    return [
        Figure(
            name="checkpoint_bytes",
            value=max(parts),
            unit="of the size of the parameters",
            a="largest of the checkpoints, without optimizer, of s2t_transformer_m with the "
            f"decoder in {', '.join(map(str, GROUPS))} groups",
            b="4 bytes a parameter",
            pairs=len(parts),
            minimum=min(parts),
            maximum=max(parts),
            target="<= 1.02",
            details={"models": models},
        ),
        Figure(
            name="checkpoint_load",
            value=statistics.median(ratios),
            unit="of the time",
            a=f"seconds a parameter to read a checkpoint with the decoder in {GROUPS[-1]} groups "
            "into a model that was just built",
            b="the same, decoder shared",
            pairs=pairs,
            minimum=min(ratios),
            maximum=max(ratios),
            cpu=statistics.median(by_cpu),
            details={"models": models},
        ),
    ]


def save(model: Any, path: Path) -> int:
    """Write a checkpoint of ``model`` as fairseq does, without optimizer; return its bytes."""
    content = {"model": model.state_dict(), "last_optimizer_state": None}
    write_checkpoint(utils.move_to_cpu(content), str(path))
    return path.stat().st_size


def _saved(path: Path, groups: int) -> Dict[str, Any]:
    gist = setting.build(gist=True)
    if groups > 1:
        setting.split(gist, groups)
    parameters = count_parameters(gist.model)
    return {"groups": groups, "parameters": parameters, "bytes": save(gist.model, path)}


def _load_in_turn(folder: Path, models: List[Dict[str, Any]], pairs: int) -> List[List[float]]:
    """Load all in turn, note the median seconds of each, and return last over first, a parameter.

    By wall time and by CPU time.
    """
    times: List[List[Time]] = [[] for _ in models]
    for model in models:  # a first round is thrown away
        _load_time(folder, model["groups"])
    for pair in tqdm(range(pairs), desc="checkpoint_load", unit="pair"):
        turns = list(zip(models, times))
        for model, own in reversed(turns) if pair % 2 else turns:
            own.append(_load_time(folder, model["groups"]))
    for model, own in zip(models, times):
        model["seconds"] = statistics.median(wall for wall, _ in own)
    more = models[-1]["parameters"] / models[0]["parameters"]
    return [
        [split[clock] / shared[clock] / more for split, shared in zip(times[-1], times[0])]
        for clock in (0, 1)
    ]


def _load_time(folder: Path, groups: int) -> Time:
    """Return what loading takes; building the model doesn't count."""
    model, path = setting.build(gist=True).model, str(folder / f"{groups}.pt")
    return timed(lambda: model.load_state_dict(read_checkpoint(path)["model"], strict=True))
