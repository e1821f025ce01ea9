"""Recordings translated on the device."""

import numpy as np
import pytest
import soundfile

from tests.e2e.helpers import build, differentiate_at_random

pytestmark = pytest.mark.gpu


def test_a_recording_is_translated_as_on_the_cpu(data, device, tmp_path):
    from fairseq_gist.translating.translator import Translator

    path = tmp_path / "noise.wav"
    soundfile.write(str(path), np.random.default_rng(1).normal(scale=0.1, size=32000), 16000)
    texts = []
    for place in ("cpu", device):
        task, model, _ = build(data)
        differentiate_at_random(model, task.languages)
        translator = Translator(task, model.to(place), 6000, "random")
        found = translator.translate(path, ["de", "nl", "ru"])
        texts.append([one.text for one in found.values()])
    assert texts[0] == texts[1]
    assert any(texts[0])
