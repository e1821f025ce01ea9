"""Differences between machines that a model must not show."""

import itertools
import queue
import time

from fairseq.data.iterators import BackgroundConsumer
from torch import nn

from fairseq_gist.host.compat import stop_loading, use_plain_layer_norms
from fairseq_gist.surgery.units import find_units


class FusedLayerNorm(nn.Module):
    """As apex's: the same parameters under the same names, and another class."""

    def __init__(self, size):
        super().__init__()
        norm = nn.LayerNorm(size, eps=1e-3)
        self.weight, self.bias = norm.weight, norm.bias
        self.normalized_shape, self.eps = norm.normalized_shape, norm.eps


def test_fused_norms_become_units():
    model = nn.Sequential(nn.Linear(2, 2), FusedLayerNorm(2))
    before = dict(model.named_parameters())
    assert list(find_units(model)) == ["0"]
    use_plain_layer_norms(model)
    assert list(find_units(model)) == ["0", "1"]
    assert model[1].eps == 1e-3
    after = dict(model.named_parameters())
    assert list(after) == list(before)
    assert all(after[name] is before[name] for name in before)


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
