"""Threads that load batches ahead."""

import itertools
import queue
import time

from fairseq.data.iterators import BackgroundConsumer

from fairseq_gist.host.loading import stop_loading


def loading(source, size):
    thread = BackgroundConsumer(queue.Queue(size), source, None, None)
    thread.daemon = True
    thread.start()
    return thread


def test_threads_that_load_ahead_stop_after_their_batch():
    def slowly():
        for batch in itertools.count():
            time.sleep(0.01)
            yield batch

    thread = loading(slowly(), 1_000_000)
    stop_loading()
    assert not thread.is_alive()
    assert thread.count <= 3


def test_a_thread_whose_queue_is_full_is_not_waited_for():
    thread = loading(itertools.count(), 2)
    while not thread._queue.full():
        time.sleep(0.001)
    start = time.monotonic()
    stop_loading(patience=60.0)
    assert time.monotonic() - start < 30
    thread._queue.get()
    thread._queue.get()
    thread.join(10)
    assert not thread.is_alive()
