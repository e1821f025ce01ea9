"""How fairseq starts the processes of a run, and how they end together.

Three functions of ``fairseq.distributed.utils`` are wrapped when the package is imported by
``--user-dir``, as fairseq sets up its processes before any task; they do what they did for tasks of
others. Processes that fairseq starts itself, one a GPU, import the package later: who started them
ends them together.
"""

from __future__ import annotations

import atexit
import functools
import logging
import multiprocessing
import os
import sys
import threading
from typing import Any, Optional
from urllib.parse import urlsplit

import torch
from fairseq.distributed import utils as distributed_utils
from fairseq.tasks import TASK_REGISTRY

from fairseq_gist.errors import GistError, causes_of, shortened
from fairseq_gist.host.boundary import one_line_errors
from fairseq_gist.host.watch import Watch, lost_line

__all__ = ["end_together"]

logger = logging.getLogger(__name__)

_MARK = "gist_ends_together"
_LAUNCHED = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")
"""What torchrun has in the environment."""
_IN_EXCHANGES = ("gloo", "nccl", "processgroup", "connection", "peer", "socket", "broken pipe")
"""In what torch says where an exchange between processes fails."""
_TO_LEARN = 10.0
"""Seconds in which a process learns which one is gone, where that is why it fails."""
_TO_BE_TOLD = 60.0
"""Seconds after which a process says what it waits for."""

_watch: Optional[Watch] = None
_is_lost = False


def end_together() -> None:
    """Have the processes of a run end when one of them does; a second call does nothing more."""
    if hasattr(distributed_utils, _MARK):
        return
    setattr(distributed_utils, _MARK, True)
    call_main, distributed_main = distributed_utils.call_main, distributed_utils.distributed_main
    distributed_init = distributed_utils.distributed_init

    @functools.wraps(call_main)
    def call(cfg: Any, main: Any, **kwargs: Any) -> Any:
        if _is_ours(cfg):
            _do_as_launched(cfg)
        return call_main(cfg, main, **kwargs)

    @functools.wraps(distributed_init)
    def init(cfg: Any) -> Any:
        if not _is_ours(cfg):
            return distributed_init(cfg)
        options = cfg.distributed_training
        waiting = threading.Timer(_TO_BE_TOLD, _tell_waiting, [options])
        waiting.daemon = True
        waiting.start()
        try:
            rank = distributed_init(cfg)
        except RuntimeError as error:  # of torch
            raise GistError(
                f"process {options.distributed_rank} of {options.distributed_world_size} has no "
                f"way to the others (--distributed-backend {options.distributed_backend}, at "
                f"{options.distributed_init_method}): {shortened(error, 300)}"
            ) from error
        finally:
            waiting.cancel()
        _begin_watch(options)
        return rank

    @functools.wraps(distributed_main)
    def run(i: int, main: Any, cfg: Any, kwargs: Any) -> Any:
        if not _is_ours(cfg):
            return distributed_main(i, main, cfg, kwargs)
        with one_line_errors():
            failed = True
            try:
                result = distributed_main(i, main, cfg, kwargs)
                failed = False
            except Exception as error:
                _explain(error)
                raise
            finally:
                _end_watch(failed=failed)
        return result

    distributed_utils.call_main, distributed_utils.distributed_main = call, run
    distributed_utils.distributed_init = init


def _is_ours(cfg: Any) -> bool:
    task = getattr(cfg, "task", None)
    name = getattr(task, "_name", None) or getattr(task, "task", None)
    return hasattr(TASK_REGISTRY.get(name), "trainer_built")


def _do_as_launched(cfg: Any) -> None:
    """Make what torchrun has started one run where fairseq wouldn't: without a GPU, or one a node.

    fairseq asks who started it only where this machine has several GPUs; else every process trains
    alone, and all of them write the same files.
    """
    options = cfg.distributed_training
    if options.distributed_init_method is not None or any(
        one not in os.environ for one in _LAUNCHED
    ):
        return
    count = int(os.environ["WORLD_SIZE"])
    if count == 1:
        return
    options.distributed_world_size = count
    if cfg.common.cpu or not torch.cuda.is_available():
        options.distributed_init_method = "env://"
        options.distributed_rank = int(os.environ["RANK"])
        options.distributed_no_spawn = True
        if options.distributed_backend == "nccl":
            options.distributed_backend = "gloo"


def _tell_waiting(options: Any) -> None:
    logger.warning(
        f"process {options.distributed_rank} of {options.distributed_world_size} has waited for a "
        f"minute for others to begin, at {options.distributed_init_method}: have all been started, "
        "and does one print an error? torch gives up after half an hour"
    )


def _begin_watch(options: Any) -> None:
    global _watch
    _end_watch()
    if options.distributed_world_size > 1 and torch.distributed.is_initialized():
        atexit.unregister(_end_at_once)
        atexit.register(_end_at_once)
        _watch = Watch.begin(_first_host(options.distributed_init_method))


def _end_watch(*, failed: bool = False) -> None:
    global _watch
    if _watch is not None:
        _watch.end(failed=failed)
    _watch = None


def _first_host(method: Optional[str]) -> str:
    """Return the machine of the first process, as the others are told to find it."""
    told = urlsplit(method or "").hostname or os.environ.get("MASTER_ADDR")
    return told or "localhost"


def _explain(error: BaseException) -> None:
    """Raise GistError where an error comes of another process that is gone."""
    is_own = isinstance(error, GistError)
    if _watch is not None and not is_own and any(map(_is_of_an_exchange, causes_of(error))):
        lost = _watch.lost(_TO_LEARN)
        if lost is not None:
            global _is_lost
            _is_lost = True
            raise GistError(lost_line(lost, _watch.count)) from error


def _end_at_once() -> None:
    """End a process that has said that another one is gone, before torch takes itself apart.

    Its threads may still wait for the other one; then it aborts, and the last line is about that.
    """
    if _is_lost:
        for child in multiprocessing.active_children():
            child.terminate()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


def _is_of_an_exchange(error: BaseException) -> bool:
    told = str(error).lower()
    return isinstance(error, RuntimeError) and any(word in told for word in _IN_EXCHANGES)
