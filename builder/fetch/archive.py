"""Unpacks a tar or zip that nobody vouches for: plain files within one folder, and nothing else."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from builder.errors import DatasetError

Emit = Callable[[str, Mapping[str, Any]], None]

MOST_MEMBERS = 2_000_000
MOST_BYTES = 2 * 10**12
MOST_RATIO = 200
"""Unpacked to packed bytes; pictures and text do not get near it."""
LEAST_LIMIT = 64 << 20
"""Bytes that may be unpacked whatever the ratio."""
LONGEST_NAME = 1000
LARGEST_HEADER = 1 << 20
_BLOCK = 1 << 20
_BROKEN = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile, UnicodeError,
    ValueError, NotImplementedError, RuntimeError, OverflowError, KeyError,
)  # fmt: skip


def extract(archive: Path, folder: Path, emit: Emit) -> None:
    """Writes the files of ``archive`` into the empty ``folder``, with mode 0644.

    What it is is seen from its bytes, not from its name: zip, or tar, plain or packed with gzip, bzip2 or xz. Links
    become copies of the file within that they lead to. DatasetError, with ``folder`` left empty, for anything that
    leads out of it, is no plain file, is there twice, unpacks to far more than it should, or is broken.
    """
    try:
        unpacking = _Unpacking(folder, archive.stat().st_size)
        with archive.open("rb") as stream:
            is_zip = zipfile.is_zipfile(stream)
            stream.seek(0)
            if is_zip:
                _zip(stream, unpacking)
            else:
                _tar(stream, unpacking)
        unpacking.finish()
        emit("message", {"text": f"unpacked {unpacking.files:,} files, {unpacking.bytes / 1e6:,.1f} MB"})
    except (*_BROKEN, OSError) as error:
        _empty(folder)
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's; that of bad bzip2 data has no number
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise DatasetError(f"the archive is broken: {reason}", help=_HELP, code="archive") from error
    except BaseException:
        _empty(folder)
        raise


_HELP = "it must be a tar (plain, gz, bz2, xz) or zip of plain files"


def _refused(reason: str) -> DatasetError:
    return DatasetError(f"the archive is refused: {reason}", help=_HELP, code="archive")


def _empty(folder: Path) -> None:
    for item in folder.iterdir():
        shutil.rmtree(item) if item.is_dir() and not item.is_symlink() else item.unlink()


class _Unpacking:
    """What was written so far, and the limits on it."""

    def __init__(self, folder: Path, packed: int) -> None:
        self.folder = folder
        self.limit = min(MOST_BYTES, max(LEAST_LIMIT, MOST_RATIO * packed))
        self.members = self.files = self.bytes = 0
        self._links: list[tuple[str, PurePosixPath]] = []

    def count(self) -> None:
        self.members += 1
        if self.members > MOST_MEMBERS:
            raise _refused(f"more than {MOST_MEMBERS:,} members")

    def path(self, name: str) -> PurePosixPath:
        """``name`` as a path within the folder."""
        path = PurePosixPath(name)
        shown = ascii(name[:100])
        if not name or "\\" in name or ":" in name or any(ord(sign) < 32 for sign in name):
            raise _refused(f"a member is called {shown}")
        if path.is_absolute() or ".." in path.parts:
            raise _refused(f"{shown} leads out of it")
        if len(name) > LONGEST_NAME or any(len(part.encode()) > 255 for part in path.parts):
            raise _refused(f"a member has a name of {len(name)} characters")
        return path

    def write(self, name: str, source: IO[bytes], declared: int) -> None:
        path = self.folder / self.path(name)
        self._make_room(path, name)
        written = 0
        try:
            with path.open("xb") as stream:
                while block := source.read(_BLOCK):
                    written += len(block)
                    self.bytes += len(block)
                    if written > declared:
                        raise _refused(f"{name[:100]!a} is larger than it says")
                    if self.bytes > self.limit:
                        raise _refused(f"it unpacks to more than {self.limit:,} bytes")
                    stream.write(block)
        except FileExistsError:
            raise _refused(f"{name[:100]!a} is there twice") from None
        if written != declared:
            raise _refused(f"{name[:100]!a} is cut off")
        path.chmod(0o644)
        self.files += 1

    def _make_room(self, path: Path, name: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise _refused(f"{name[:100]!a} lies in a file") from None

    def link(self, name: str, target: str, *, relative: bool) -> None:
        """Remembers a link; ``target`` is relative to the member's own folder, or to the whole."""
        self.path(name)
        base = PurePosixPath(name).parent if relative else PurePosixPath()
        parts: list[str] = []
        for part in (*base.parts, *PurePosixPath(target).parts):
            if part == "..":
                if not parts:
                    raise _refused(f"{name[:100]!a} is a link that leads out of it")
                parts.pop()
            elif part != ".":
                parts.append(part)
        if PurePosixPath(target).is_absolute() or not parts:
            raise _refused(f"{name[:100]!a} is a link that leads out of it")
        self._links.append((name, PurePosixPath(*parts)))

    def finish(self) -> None:
        """Writes the links as copies of what they lead to."""
        for name, target in self._links:
            source = self.folder / target
            if not source.is_file():
                raise _refused(f"{name[:100]!a} is a link to {str(target)[:100]!a}, which is no file in it")
            with source.open("rb") as stream:
                self.write(name, stream, source.stat().st_size)


def _zip(stream: IO[bytes], unpacking: _Unpacking) -> None:
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        end = -1
        for entry in sorted(entries, key=lambda item: item.header_offset):
            if entry.header_offset < max(0, end):
                raise _refused("members lie on top of each other")
            end = entry.header_offset + entry.compress_size
        if sum(entry.file_size for entry in entries) > unpacking.limit:
            raise _refused(f"it unpacks to more than {unpacking.limit:,} bytes")
        for entry in entries:
            unpacking.count()
            kind = entry.external_attr >> 28
            if entry.flag_bits & 0x1:
                raise _refused(f"{entry.filename[:100]!a} is encrypted")
            if entry.is_dir():
                unpacking.path(entry.filename.rstrip("/") or entry.filename)
            elif kind == 0o12:
                with archive.open(entry) as link:
                    unpacking.link(entry.filename, link.read(4096).decode(), relative=True)
            elif kind in (0, 0o10):
                with archive.open(entry) as source:
                    unpacking.write(entry.filename, source, entry.file_size)
            else:
                raise _refused(f"{entry.filename[:100]!a} is no plain file")


class _Member(tarfile.TarInfo):
    """Refuses headers that tarfile would take into memory as large as they say they are."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        plain = self.type in tarfile.SUPPORTED_TYPES and self.type not in _HEADERS
        if not plain and self.size > LARGEST_HEADER:
            raise tarfile.ReadError("a header of more than a megabyte")
        return super()._proc_member(archive)  # type: ignore[misc, no-any-return]


_HEADERS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME,
            tarfile.GNUTYPE_LONGLINK)  # fmt: skip


def _tar(stream: IO[bytes], unpacking: _Unpacking) -> None:
    with tarfile.open(fileobj=_unpacked(stream), mode="r|", tarinfo=_Member) as archive:
        for member in archive:
            unpacking.count()
            if member.isdir():
                unpacking.path(member.name)
            elif member.issym() or member.islnk():
                unpacking.link(member.name, member.linkname, relative=member.issym())
            elif member.isreg() and not member.sparse:
                source = archive.extractfile(member)
                assert source is not None, "a plain file has bytes"
                if unpacking.bytes + member.size > unpacking.limit:
                    raise _refused(f"it unpacks to more than {unpacking.limit:,} bytes")
                unpacking.write(member.name, source, member.size)
            else:
                raise _refused(f"{member.name[:100]!a} is no plain file")
    if not unpacking.members:
        raise _refused("there is nothing in it")


def _unpacked(stream: IO[bytes]) -> Any:
    """``stream``, unpacked if it is packed."""
    head = stream.read(6)
    stream.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=stream)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(stream)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(stream)
    return stream
