"""Debian packages, read without dpkg: an ar archive of a description and a tar of files.

Files are read one after the other and handed over in memory; nothing is written anywhere.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, Callable, Dict, Iterator, List, Tuple, cast

from fairseq_gist.errors import DataError

__all__ = ["Deb", "read_text"]

_MAGIC = b"!<arch>\n"
_HEADER = 60
_CHUNK = 1 << 20
_LARGEST = 1 << 26
"""Bytes that a file may have: a few KB of compressed zeros can claim any length."""

_DAMAGED = (lzma.LZMAError, zlib.error, tarfile.TarError, EOFError, OSError, ValueError)
"""What reading a damaged archive raises."""


class Deb:
    """One ``.deb`` file.

    Raises:
        DataError: here, and whenever it is read, where it is none, damaged or cut off.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: Dict[str, Tuple[int, int]] = {}
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise DataError(f"{path}: expected a Debian package, found no ar archive")
            size = path.stat().st_size
            while file.tell() < size:
                name, length = self._header(file.read(_HEADER))
                start = file.tell()
                if start + length > size:
                    raise DataError(
                        f"{path}: '{name}' ends {start + length - size:,} bytes beyond the file; "
                        "was its download cut off? Get it again"
                    )
                self._members[name] = (start, length)
                file.seek(start + length + length % 2)

    def control(self) -> Dict[str, str]:
        """Return the fields of its description: ``Package``, ``Version`` and others."""
        for name, data in self._files("control", lambda name: name == "control"):
            lines = _text(data, f"{self.path}, {name}").splitlines()
            pairs = [line.partition(":") for line in lines if line[:1].strip()]
            return {key: value.strip() for key, _, value in pairs}
        raise DataError(f"{self.path}: expected a Debian package, found no description in it")

    def files(self, wanted: Callable[[str], bool]) -> Iterator[Tuple[str, bytes]]:
        """Go through the files that are wanted, in the order in which they are packed.

        Args:
            wanted: says of a path, without a slash or dot before it, whether it is.

        Raises:
            DataError: where the package is damaged, or the path of any member leads outside of
                the folder that it would be unpacked into.
        """
        return self._files("data", wanted)

    def _header(self, header: bytes) -> Tuple[str, int]:
        length = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not length.isdigit():
            raise DataError(f"{self.path}: a damaged Debian package, or one that was cut off")
        return header[:16].decode("ascii", "replace").strip().rstrip("/"), int(length)

    def _files(self, part: str, wanted: Callable[[str], bool]) -> Iterator[Tuple[str, bytes]]:
        names = [name for name in self._members if name.split(".tar")[0] == part]
        if not names:
            found = ", ".join(self._members) or "nothing"
            raise DataError(
                f"{self.path}: expected a Debian package with {part}.tar, found {found}"
            )
        start, length = self._members[names[0]]
        with self.path.open("rb") as file, io.BufferedReader(_Part(file, start, length)) as part_of:
            stream = self._decompressed(part_of, names[0])
            try:
                yield from self._unpacked(stream, wanted)
                while stream.read(_CHUNK):  # to the end, where the checksums are
                    pass
            except _DAMAGED as error:
                raise DataError(
                    f"{self.path}: {names[0]} is damaged or was cut off ({error}); get it again"
                ) from error

    def _decompressed(self, stream: BinaryIO, name: str) -> IO[bytes]:
        how = name.split(".tar")[1]
        if how == "":
            return stream
        if how == ".xz":
            return lzma.LZMAFile(stream)
        if how == ".gz":
            return cast(IO[bytes], gzip.GzipFile(fileobj=stream))
        if how == ".bz2":
            return bz2.BZ2File(stream)
        if how == ".zst":
            return _zstandard(stream, f"{self.path}: {name}")
        raise DataError(f"{self.path}: {name} is packed in a way that nothing here unpacks")

    def _unpacked(
        self, stream: IO[bytes], wanted: Callable[[str], bool]
    ) -> Iterator[Tuple[str, bytes]]:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                parts = PurePosixPath(member.name).parts
                if ".." in parts or member.name.startswith("/"):
                    raise DataError(
                        f"{self.path}: '{member.name[:200]}' in it leads outside; that is no "
                        "package to trust"
                    )
                name = "/".join(parts)
                if not member.isfile() or not wanted(name):
                    continue
                if member.size > _LARGEST:
                    raise DataError(
                        f"{self.path}: '{name}' in it has {member.size:,} bytes; expected "
                        f"{_LARGEST:,} or fewer"
                    )
                content = archive.extractfile(member)
                data = content.read() if content else b""
                if len(data) != member.size:
                    raise EOFError(f"'{name}' has {len(data)} of {member.size} bytes")
                yield name, data


class _Part(io.RawIOBase):
    """Some bytes of a file, as a file of their own."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        file.seek(start)
        self._file, self._left = file, length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)


def _zstandard(stream: BinaryIO, where: str) -> IO[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise DataError(
            f'{where} needs zstandard: pip install "fairseq-gist[corpora]" brings it'
        ) from error
    return cast(IO[bytes], io.BufferedReader(_ZstandardFile(zstandard, stream)))


class _ZstandardFile(io.RawIOBase):
    """What zstandard unpacks; its errors are as those of the standard library's."""

    def __init__(self, zstandard: Any, stream: BinaryIO) -> None:
        self._error = zstandard.ZstdError
        self._reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._reader.read(len(buffer))
        except self._error as error:
            raise EOFError(str(error)) from error
        buffer[: len(data)] = data
        return len(data)


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8 ({error.reason} at byte {error.start + 1})") from error


def read_text(data: bytes, where: str) -> List[str]:
    """Return the lines of a text file of a package, without a byte order mark.

    Raises:
        DataError: where it isn't UTF-8.
    """
    return _text(data, where).split("\n")
