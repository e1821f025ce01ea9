"""What a step costs in processes that sum their gradients, against stock fairseq in as many."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import torch
from fairseq.distributed import LegacyDistributedDataParallel

from benchmarks import setting
from benchmarks.figures import Figure, compare, read_figures, write_figures

__all__ = ["steps"]

COUNTS = (1, 2, 4)
GROUPS = 4
_PAIRS = 7
_ARCH = "s2t_transformer_s"


def steps(pairs: int) -> List[Figure]:
    """Compare a split decoder with stock fairseq, each in one, two and four processes.

    Every process has eight rows of its own and one thread. Gradients go over gloo, as
    ``--ddp-backend legacy_ddp`` sends them.
    """
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for count in COUNTS:
            path = Path(folder) / f"{count}.json"
            arguments = (count, min(pairs, _PAIRS), str(path))
            torch.multiprocessing.spawn(_process, arguments, nprocs=count)
            figures += read_figures(path)
    return figures


def _process(rank: int, count: int, pairs: int, path: str) -> None:
    """Measure as one of the processes; the first writes what it saw."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{path}.met", world_size=count, rank=rank)
    if rank:
        os.environ["TQDM_DISABLE"] = "1"
    group = torch.distributed.group.WORLD
    stock, gist = (setting.build(gist=own, arch=_ARCH) for own in (False, True))
    setting.split(gist, GROUPS)
    rows = setting.batch(gist, 1)
    ours, theirs = (setting.one_row_each(rows, with_languages) for with_languages in (True, False))
    sending: Dict[str, List[float]] = {"a": [], "b": []}
    figure = compare(
        f"processes_{count}",
        _step(gist, group, ours, sending["a"]),
        _step(stock, group, theirs, sending["b"]),
        says_a=f"forward, backward and sum of gradients (gloo) of {_ARCH}, decoder in {GROUPS} "
        f"groups, {count} x 8 rows of eight languages",
        says_b="stock fairseq, same rows, in as many processes",
        pairs=pairs,
        details={"processes": count},
    )
    # the first of each warms up
    figure.details.update(
        (f"seconds_sending_{which}", statistics.median(times[1:]))
        for which, times in sending.items()
    )
    if rank == 0:
        write_figures(path, [figure])
    torch.distributed.destroy_process_group()


def _step(
    setup: setting.Setup, group: Any, sample: setting.Sample, sending: List[float]
) -> Callable[[], None]:
    """Return a training step that notes the seconds which summing gradients took."""
    wrapped = LegacyDistributedDataParallel(setup.model, group)

    def step() -> None:
        setup.criterion(setup.model, sample)[0].backward()
        start = time.perf_counter()
        wrapped.all_reduce_grads()
        sending.append(time.perf_counter() - start)
        for parameter in setup.model.parameters():
            parameter.grad = None

    return step
