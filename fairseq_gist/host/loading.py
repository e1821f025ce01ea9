"""fairseq's threads that load batches ahead."""

from __future__ import annotations

import atexit
import threading
import time

__all__ = ["stop_loading", "stop_loading_at_exit"]


def stop_loading_at_exit() -> None:
    """Stop fairseq's threads that load batches ahead before the interpreter ends.

    They are daemons. One that is inside torch when the interpreter ends under it is unwound through
    C++, which aborts: a run that has done everything then ends with "terminate called without an
    active exception" and a failure.
    """
    atexit.unregister(stop_loading)
    atexit.register(stop_loading)


def stop_loading(patience: float = 30.0) -> None:
    """Let threads that load batches ahead end after the batch they are at.

    One whose queue is full does no harm: it sleeps until somebody takes a batch.

    Args:
        patience: seconds to wait for them in all.
    """
    from fairseq.data.iterators import BackgroundConsumer

    loading = [one for one in threading.enumerate() if isinstance(one, BackgroundConsumer)]
    for one in loading:
        one._max_len = 0  # noqa: SLF001
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if not any(one.is_alive() and not one._queue.full() for one in loading):  # noqa: SLF001
            return
        time.sleep(0.01)
