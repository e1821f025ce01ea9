"""Models that can't be written in the form that is asked for."""

import pytest

from fairseq_gist.cli.main import main
from tests.regression.test_files import OURS


@pytest.mark.parametrize(
    ("checkpoint", "told"),
    [
        ("conformer.pt", "--format huggingface: a gist_s2t_conformer can be exported as fairseq"),
        ("adapters.pt", "the checkpoint has adapters, which a stock model can't have"),
    ],
)
def test_what_no_folder_can_be_made_of_is_told(tmp_path, capsys, checkpoint, told):
    out = tmp_path / "out"
    command = ["export", str(OURS / checkpoint), "--language=de", "--format=huggingface"]
    assert main([*command, "-o", str(out)]) == 1
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
