"""Opening a log safely, whatever stands under its name.

Only regular files are opened (opening a FIFO or a device has effects of its
own).  What can't be read at any offset (compressed files, UTF-16, standard
input) is first written to an unnamed temporary file, so that everything
behind it deals with one thing: a descriptor, a beginning and an end.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from proctui.errors import AccessDenied, BadArgument, NoSuchFile, NotSupported, ProctuiError
from proctui.text import encodable, sanitize

__all__ = ["OpenLog", "check_path", "file_error", "open_log", "open_regular"]

_MAGIC: Final = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BLOCK: Final = 1 << 20
_PACKED: Final = 1 << 16
_UTF8_BOM: Final = codecs.BOM_UTF8


@dataclass
class OpenLog:
    """An open log: bytes ``begin`` to ``end`` of ``fd`` are lines in UTF-8.

    ``spooled`` is true where ``fd`` is a decoded copy, so that byte offsets
    are those of the decoded text.  ``cut`` says why a part is missing.
    """

    fd: int
    path: str
    begin: int
    end: int
    size: int
    inode: int | None
    mtime: float | None
    spooled: bool = False
    cut: str | None = None
    encoding_errors: int = 0
    warnings: list[str] = field(default_factory=list)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> OpenLog:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_path(path: object) -> str:
    """A path as text; :class:`BadArgument` for what can't be one."""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    if isinstance(path, bytes):
        path = os.fsdecode(path)
    if not isinstance(path, str):
        raise BadArgument(f"log_file must be a path, not {type(path).__name__}")
    if not path:
        raise BadArgument("log_file is empty")
    if "\0" in path:
        raise BadArgument("log_file holds a NUL character")
    if not encodable(path):
        raise BadArgument("log_file holds half a character")
    return path


def file_error(path: str, error: OSError) -> ProctuiError:
    """The right kind of error for a failed open or stat."""
    shown = sanitize(path)
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return NoSuchFile(f"no file {shown}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AccessDenied(
            f"{shown} can't be read: permission denied", "ask its owner, or use sudo"
        )
    return BadArgument(f"{shown} can't be read: {os.strerror(error.errno or 0)}")


def open_regular(path: str) -> tuple[int, os.stat_result]:
    """A read-only descriptor of a regular file and its status."""
    try:
        before = os.stat(path)
        _must_be_regular(path, before)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise file_error(path, error) from error
    try:
        status = os.fstat(fd)
        _must_be_regular(path, status)
    except BaseException:
        os.close(fd)
        raise
    return fd, status


def _must_be_regular(path: str, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a block device",
        stat.S_IFSOCK: "a socket",
    }
    kind = kinds.get(stat.S_IFMT(status.st_mode), "something else")
    raise BadArgument(f"{sanitize(path)} is {kind}, not a regular file", "name a log file")


def open_log(path: object, *, stdin: bool = False) -> OpenLog:
    """Open ``path``; ``"-"`` is standard input only where ``stdin`` allows it."""
    name = check_path(path)
    if name == "-" and stdin:
        log = OpenLog(-1, "-", 0, 0, 0, None, None)
        _spool(log, _stdin_blocks())
        log.size = log.end
        return log
    fd, status = open_regular(name)
    log = OpenLog(
        fd, sanitize(name), 0, status.st_size, status.st_size, status.st_ino, status.st_mtime
    )
    try:
        head = os.pread(fd, 8, 0)
        if head.startswith(_ZSTD):
            raise NotSupported(
                f"{log.path} is compressed with zstd", "decompress it first: zstd -d"
            )
        packed = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
        wide = _wide_encoding(head)
        if packed:
            _spool(log, _unpacked(log, packed))
        elif wide:
            _spool(log, _transcoded(log, wide))
        elif not status.st_size and head:
            _spool(log, _forward_blocks(fd))
        elif head.startswith(_UTF8_BOM):
            log.begin = len(_UTF8_BOM)
        return log
    except OSError as error:
        log.close()
        raise file_error(name, error) from error
    except BaseException:
        log.close()
        raise


def _wide_encoding(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return None


def _spool(log: OpenLog, blocks: Iterator[bytes]) -> None:
    """Replace the descriptor by an unnamed file that holds ``blocks``."""
    import tempfile

    directory = next((place for place in ("/var/tmp",) if os.access(place, os.W_OK)), None)
    with tempfile.TemporaryFile(dir=directory, buffering=0) as spool:
        total = 0
        try:
            for block in blocks:
                rest = memoryview(block)
                while rest:
                    done = spool.write(rest) or 0
                    total += done
                    rest = rest[done:]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise
            log.cut = "no space left for the decoded copy"
        fd = os.dup(spool.fileno())
    log.close()
    log.fd, log.end, log.spooled = fd, total, True
    if os.pread(fd, 3, 0) == _UTF8_BOM:
        log.begin = len(_UTF8_BOM)


def _stdin_blocks() -> Iterator[bytes]:
    while block := os.read(0, _BLOCK):
        yield block


def _forward_blocks(fd: int) -> Iterator[bytes]:
    """A file that tells no size (``/proc``), from its beginning."""
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        while block := os.read(fd, _BLOCK):
            yield block
    except BlockingIOError:
        return


def _decoders(kind: str) -> tuple[Callable[[], Any], tuple[type[Exception], ...]]:
    """What makes a decoder, and what it raises on damage."""
    if kind == "gzip":
        import zlib

        return lambda: zlib.decompressobj(wbits=31), (zlib.error,)
    if kind == "bzip2":
        import bz2

        return bz2.BZ2Decompressor, (OSError, EOFError)
    import lzma

    return lzma.LZMADecompressor, (lzma.LZMAError, EOFError)


def _unpacked(log: OpenLog, kind: str) -> Iterator[bytes]:
    """All members of an archive; of a damaged one what comes before the damage."""
    log.warnings.append(f"{kind}: bytes are counted in the decompressed text")
    os.lseek(log.fd, 0, os.SEEK_SET)
    make, damages = _decoders(kind)
    decoder = make()
    raw = b""
    begun = False
    while True:
        raw = raw or os.read(log.fd, _PACKED)
        if not raw:
            if begun and not decoder.eof:
                _damaged(log, kind)
            return
        if decoder.eof:
            raw = raw.lstrip(b"\0")
            if not raw:
                continue
            decoder, begun = make(), False
        try:
            text = decoder.decompress(raw)
        except damages:
            _damaged(log, kind)
            return
        begun = True
        raw = decoder.unused_data if decoder.eof else b""
        yield text


def _damaged(log: OpenLog, kind: str) -> None:
    log.cut = f"the {kind} stream is damaged or cut off"
    log.warnings.append(f"{log.cut}: only what comes before was read")


def _transcoded(log: OpenLog, encoding: str) -> Iterator[bytes]:
    os.lseek(log.fd, 0, os.SEEK_SET)
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    log.warnings.append(f"{encoding}: bytes are counted in the text as UTF-8")
    while True:
        raw = os.read(log.fd, _BLOCK)
        text = decoder.decode(raw, not raw)
        log.encoding_errors += text.count("\N{REPLACEMENT CHARACTER}")
        yield text.encode("utf-8", "replace")
        if not raw:
            return
