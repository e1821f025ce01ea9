"""Debian packages are read without dpkg, and broken ones are one line."""

import bz2
import contextlib
import gzip
import lzma
import random
import sys

import pytest

pytest.importorskip("zstandard")

import zstandard

from fairseq_gist.corpora.people.deb import Deb
from fairseq_gist.errors import DataError
from tests.unit.corpora.people.packing import ar, tar, write_deb

FILES = {"./usr/a.txt": b"one\n", "./usr/b.bin": bytes(range(256)) * 400}


def everything(path):
    return dict(Deb(path).files(lambda name: not name.endswith("copyright")))


@pytest.mark.parametrize(
    ("pack", "end"),
    [
        (lzma.compress, ".xz"),
        (gzip.compress, ".gz"),
        (bz2.compress, ".bz2"),
        (lambda data: zstandard.ZstdCompressor().compress(data), ".zst"),
        (bytes, ""),
    ],
    ids=["xz", "gz", "bz2", "zst", "tar"],
)
def test_files_of_every_compression(tmp_path, pack, end):
    path = write_deb(tmp_path, "one", FILES, "1:2.3-4", pack=pack, end=end)
    deb = Deb(path)
    control = deb.control()
    assert (control["Package"], control["Version"]) == ("one", "1:2.3-4")
    assert control["Description"] == "one"
    assert "two" not in control  # continues a description
    assert everything(path) == {name[2:]: data for name, data in FILES.items()}
    assert dict(deb.files(lambda name: name == "usr/a.txt")) == {"usr/a.txt": b"one\n"}


def test_what_unpacks_zstandard_may_be_missing(tmp_path, monkeypatch):
    pack = zstandard.ZstdCompressor().compress
    path = write_deb(tmp_path, "one", FILES, pack=pack, end=".zst")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(DataError, match=r"one_9\.9_all\.deb: data\.tar\.zst needs zstandard: pip"):
        everything(path)


@pytest.mark.parametrize(
    ("end", "kept"),
    [(".xz", 0.1), (".xz", 0.999), (".zst", 0.5), (".gz", 0.9), ("", 0.1), ("", 0.5)],
)
def test_a_data_archive_that_is_cut_off(tmp_path, kept, end):
    pack = {
        ".xz": lzma.compress,
        ".gz": gzip.compress,
        ".zst": zstandard.ZstdCompressor().compress,
        "": bytes,
    }[end]
    noise = {f"./usr/{n}": bytes(hash((n, i)) % 256 for i in range(3000)) for n in range(9)}
    whole = pack(tar(noise))
    part = whole[: int(len(whole) * kept)]
    path = tmp_path / "cut.deb"
    path.write_bytes(ar({"debian-binary": b"2.0\n", f"data.tar{end}": part}))
    with pytest.raises(DataError, match=r"cut\.deb: data\.tar\S* is damaged or was cut off"):
        everything(path)


@pytest.mark.parametrize("kept", [9, 70, 400, 0.6, 0.99])
def test_a_package_that_is_cut_off(tmp_path, kept):
    path = write_deb(tmp_path, "one", FILES)
    data = path.read_bytes()
    path.write_bytes(data[: kept if kept > 1 else int(kept * len(data))])
    with pytest.raises(DataError, match=r"one_9\.9_all\.deb: .*cut off") as error:
        everything(path)
    assert "\n" not in str(error.value)


def test_damage_that_only_the_checksum_shows(tmp_path):
    whole = bytearray(lzma.compress(tar(FILES)))
    whole[-20] ^= 1  # the index, behind all data
    path = tmp_path / "one.deb"
    path.write_bytes(ar({"debian-binary": b"2.0\n", "data.tar.xz": bytes(whole)}))
    with pytest.raises(DataError, match="damaged or was cut off"):
        everything(path)


@pytest.mark.parametrize("name", ["../evil", "./usr/../../evil", "/etc/passwd", "usr/.."])
def test_a_path_that_leads_outside(tmp_path, name):
    path = write_deb(tmp_path / "in", "one", {**FILES, name: b"bad"})
    with pytest.raises(DataError, match="leads outside; that is no package to trust"):
        everything(path)
    assert [one.name for one in tmp_path.iterdir()] == ["in"]


def test_links_are_not_followed(tmp_path):
    path = write_deb(tmp_path, "one", FILES, links=[("./usr/link.txt", "/etc/passwd")])
    assert set(everything(path)) == {"usr/a.txt", "usr/b.bin"}


def test_a_file_of_a_length_that_none_has(tmp_path, monkeypatch):
    monkeypatch.setattr("fairseq_gist.corpora.people.deb._LARGEST", 1000)
    path = write_deb(tmp_path, "one", FILES)
    with pytest.raises(DataError, match=r"'usr/b\.bin' in it has 102,400 bytes; expected 1,000"):
        everything(path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "found no ar archive"),
        (b"PK\x03\x04 a zip", "found no ar archive"),
        (b"!<arch>\n" + b"x" * 60, "damaged Debian package"),
        (ar({"debian-binary": b"2.0\n"}), "with data.tar, found debian-binary"),
        (b"!<arch>\n", "with data.tar, found nothing"),
        (ar({"data.tar.lz4": b"?"}), "packed in a way that nothing here unpacks"),
        (ar({"data.tar.xz": b"no xz at all"}), "damaged or was cut off"),
    ],
)
def test_what_is_no_package(tmp_path, data, said):
    path = tmp_path / "one.deb"
    path.write_bytes(data)
    with pytest.raises(DataError, match=said) as error:
        everything(path)
    assert str(path) in str(error.value)


def test_a_package_without_a_description(tmp_path):
    path = tmp_path / "one.deb"
    path.write_bytes(ar({"control.tar.xz": lzma.compress(tar({"./md5sums": b""}))}))
    with pytest.raises(DataError, match="found no description in it"):
        Deb(path).control()
    with pytest.raises(DataError, match="no such file"):
        Deb(tmp_path / "other.deb")


@pytest.mark.parametrize("end", [".xz", ".gz", ".zst"])
def test_a_package_that_is_damaged_anywhere(tmp_path, end):
    """Whatever byte is wrong: what is there is read, or one line says that it can't be."""
    pack = {".xz": lzma.compress, ".gz": gzip.compress}.get(
        end, zstandard.ZstdCompressor(write_checksum=True).compress
    )
    path = write_deb(tmp_path, "one", {"./usr/a.txt": b"one\n" * 50}, pack=pack, end=end)
    whole, chance, said = path.read_bytes(), random.Random(1), []
    for _ in range(60):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(bytes(damaged))
        with noting(said):
            Deb(path).control()
            everything(path)
    assert len(said) >= 20
    assert all(line.startswith(str(path)) for line in said)


@contextlib.contextmanager
def noting(said):
    """Note what a DataError says; any other error is one of the test."""
    try:
        yield
    except DataError as error:
        said.append(str(error))
