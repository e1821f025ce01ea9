"""What newer libraries say of fairseq is kept from who runs a command."""

import warnings

from fairseq_gist.cli.main import main


def test_what_torch_says_of_fairseq_is_left_out(capsys):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert main(["user-dir"]) == 0
        warnings.warn("`torch.jit.script` is deprecated. Please switch", FutureWarning, 1)
        warnings.warn("something else is deprecated", FutureWarning, 1)
    assert [str(warning.message) for warning in told] == ["something else is deprecated"]
    assert capsys.readouterr().out
