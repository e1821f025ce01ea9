"""Writing files: whole or not at all, and nothing that is no file."""

import os

import pytest

from fairseq_gist.errors import OptionError
from fairseq_gist.files import check_output, replacing


@pytest.fixture
def device(tmp_path):
    """Something that, like /dev/null, is there and is no file."""
    os.mkfifo(tmp_path / "device")
    return tmp_path / "device"


def test_a_device_is_not_replaced(device):
    with pytest.raises(OptionError, match="device is no ordinary file"):
        check_output(device)
    with pytest.raises(OptionError, match="device is no ordinary file"), replacing(device):
        pass
    assert device.is_fifo()
    assert [path.name for path in device.parent.iterdir()] == ["device"]


def test_what_cannot_become_a_file_is_told_before_the_work(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OptionError, match="-o .*: that is a folder; name a file"):
        check_output(tmp_path)
    with pytest.raises(OptionError, match="-o : that is a folder; name a file"):
        check_output("")
    with pytest.raises(OptionError, match="--table .*file is a file, not a folder"):
        check_output(tmp_path / "file" / "below" / "it", "--table")
    check_output(tmp_path / "file")
    check_output(tmp_path / "new" / "folder" / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OptionError, match="can't write in"):
        check_output(tmp_path / "file")
    tmp_path.chmod(0o700)
