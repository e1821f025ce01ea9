"""An exported Whisper in CTranslate2, which faster-whisper translates with."""

import pytest
import torch

from fairseq_gist.cli.main import main as gist
from tests.e2e.whisper.test_training import apart  # noqa: F401

FILES = ["tokenizer.json", "preprocessor_config.json"]


@pytest.mark.filterwarnings("ignore")
def test_hypotheses_of_a_converted_export_are_those_of_transformers(apart, tmp_path, capsys):  # noqa: F811
    ctranslate2 = pytest.importorskip("ctranslate2")
    from ctranslate2.converters.transformers import TransformersConverter
    from transformers import WhisperForConditionalGeneration, WhisperProcessor

    out, converted = tmp_path / "es", tmp_path / "converted"
    assert gist(["export", apart, "--language=es", "-o", str(out)]) == 0
    TransformersConverter(str(out), copy_files=FILES).convert(str(converted))
    model = WhisperForConditionalGeneration.from_pretrained(str(out)).eval()
    processor = WhisperProcessor.from_pretrained(str(out))
    torch.manual_seed(3)
    features = torch.randn(6, 80, 100)
    prompt = processor.tokenizer.convert_tokens_to_ids(
        ["<|startoftranscript|>", "<|es|>", "<|translate|>", "<|notimestamps|>"]
    )
    with torch.no_grad():
        theirs = model.generate(
            features, language="es", task="translate", num_beams=1, do_sample=False,
            max_new_tokens=20,
        ).tolist()  # fmt: skip
    found = ctranslate2.models.Whisper(
        str(converted), device="cpu", compute_type="float32", intra_threads=1
    ).generate(
        ctranslate2.StorageView.from_array(features.numpy()),
        [prompt] * len(features),
        beam_size=1,
        max_length=100,  # of which half is taken
    )
    end, distinct = model.config.eos_token_id, set()
    for own, other in zip(theirs, found):
        said = [token for token in own if token not in (end, *prompt)]
        assert other.sequences_ids[0][: len(said)] == said
        distinct.add(str(said))
    print(f"{len(distinct)} distinct hypotheses")  # noqa: T201
    assert len(distinct) >= 2
