"""Reading and writing files: whole or not at all, and nothing that is no file."""

import os

import pytest

from fairseq_gist.errors import DataError, OptionError
from fairseq_gist.files import (
    iter_lines,
    read_json,
    read_lines,
    read_object,
    read_table,
    read_text,
    replacing,
    unused_name,
)


@pytest.fixture
def device(tmp_path):
    """Something that, like /dev/null, is there and is no file."""
    os.mkfifo(tmp_path / "device")
    return tmp_path / "device"


def test_a_device_is_not_replaced(device):
    with pytest.raises(OptionError, match="device is no ordinary file"), replacing(device):
        pass
    assert device.is_fifo()
    assert [path.name for path in device.parent.iterdir()] == ["device"]


def test_lines_end_at_line_feeds_alone(tmp_path):
    (tmp_path / "text").write_bytes("a\u2028b\r\n\n c \nd".encode())
    assert read_lines(tmp_path / "text") == ["a\u2028b", "", " c ", "d"]
    assert read_text(tmp_path / "text") == "a\u2028b\r\n\n c \nd"
    (tmp_path / "text").write_bytes(b"good\ngr\xfc\xdfe\n")
    with pytest.raises(DataError, match=r"text, line 2: not UTF-8 \(.* at byte 3 of the line\)"):
        read_lines(tmp_path / "text")
    with pytest.raises(DataError, match="no: no such file"):
        read_lines(tmp_path / "no")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "no JSON"),
        (b'{"a": ', "no JSON"),
        (b"[1]", "JSON that is"),
    ],
)
def test_what_is_no_object_is_told_in_one_line(tmp_path, content, found):
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(DataError, match=rf"record.json: expected a record, found {found}"):
        read_object(tmp_path / "record.json", "a record")


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbf" + "eins\n\ufeffzwei\n".encode())
    assert read_lines(path) == list(iter_lines(path)) == ["eins", "\ufeffzwei"]
    assert read_text(path) == "eins\n\ufeffzwei\n"
    path.write_bytes(b"\xef\xbb\xbfid\taudio\n0\ta\n")
    assert read_table(path) == [{"id": "0", "audio": "a"}]
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_object(path, "a record") == read_json(path, "a record") == {"a": 1}
    path.write_bytes(b"\xef\xbb\xbf")
    assert (read_text(path), read_lines(path), read_table(path)) == ("", [], [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_told_by_its_mark(tmp_path, encoding):
    mark = "" if encoding == "utf-16" else "\ufeff"
    (tmp_path / "text").write_bytes((mark + "eins\nzwei\n").encode(encoding))
    for read in (read_text, read_lines, read_table, lambda path: read_json(path, "a record")):
        with pytest.raises(DataError, match="text, line 1: not UTF-8 but.*UTF-16; convert it"):
            read(tmp_path / "text")


def test_a_table_is_read_as_fairseq_writes_it(tmp_path):
    (tmp_path / "t.tsv").write_text('id\ttext\n1\tsay "no"\n\n2\n3\t\'a\u2028b\textra\n', "utf-8")
    assert read_table(tmp_path / "t.tsv") == [
        {"id": "1", "text": 'say "no"'},
        {"id": "2"},
        {"id": "3", "text": "'a\u2028b"},
    ]
    (tmp_path / "t.tsv").write_text("", encoding="utf-8")
    assert read_table(tmp_path / "t.tsv") == []


def test_a_new_file_has_the_rights_of_any_other(tmp_path, monkeypatch):
    """A thread that makes a file meanwhile has its umask: it is the whole process's."""
    (tmp_path / "usual").touch()

    def never(_):
        raise AssertionError("the umask of the process is changed")

    monkeypatch.setattr(os, "umask", never)
    with replacing(tmp_path / "ours") as temporary:
        temporary.write_text("x", encoding="utf-8")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ours", "usual"]


def test_a_numbered_name_is_no_name_that_something_has():
    taken = {"talk", "talk-2", "talk-4"}
    assert [unused_name("talk", taken) for _ in range(3)] == ["talk-3", "talk-5", "talk-6"]
    assert unused_name("other", taken, number=7) == "other-7"
    assert {"talk-3", "other-7"} < taken
