"""Which lines of a chunk of bytes a pattern matches, as fast as Python allows.

Three engines, the first that fits is taken: plain words by ``bytes.find``
(lowered if case counts for nothing), RE2 where it is installed and gives the
same answer, else ``re``.  All three answer as ``re`` would on each line
alone, decoded with U+FFFD for bad bytes.  Only ``re`` can explode; it looks
at the first 16 KB of a line, so whoever uses it says so (:attr:`LINE_CAP`).
"""

from __future__ import annotations

import functools
import re
import warnings
from itertools import accumulate
from typing import Any, Final

from proctui.logs.regex import check, line_safe, literals

__all__ = ["LINE_CAP", "Lines", "Matcher", "clipped_words"]

LINE_CAP: Final = 16384
"""Characters of a line that ``re`` looks at."""
MAX_SPANS: Final = 1000

_WORTH_MEMMEM: Final = 1 << 17
"""Bytes from which on loading ctypes pays."""
_OFTEN: Final = 1 << 13
"""A word that stands in a line of every so many bytes is found sooner by ``bytes.find``."""

Lines = list[tuple[int, int]]

_FOLDS = {"k": (b"\xe2\x84\xaa",), "s": (b"\xc5\xbf",), "i": (b"\xc4\xb0", b"\xc4\xb1")}
"""UTF-8 of the characters beyond ASCII that ``re`` takes for an ASCII letter."""


def load_re2() -> Any:
    """The RE2 module, ``None`` where it is not installed; loaded only when it is of use."""
    try:
        import re2
    except ImportError:
        return None
    return re2


class Matcher:
    """A pattern, compiled once.

    ``engine`` is ``literal``, ``re2`` or ``re``; ``dangerous`` tells whether
    it may backtrack without end, so that it must run where it can be ended.
    Raises :class:`BadArgument` for a bad pattern.
    """

    def __init__(self, regex: str, ignore_case: bool = False, *, use_re2: bool = True) -> None:
        self.regex = regex
        self.ignore_case = ignore_case
        self.engine = "re"
        self.clipped_lines = 0
        self._line_re = check(regex, ignore_case)
        self._chunk_str: re.Pattern[str] | None = None
        self._chunk_bytes: Any = None
        self._spans_re2: Any = None
        self._re2_plain = False
        words = literals(regex, ignore_case)
        self._words: list[bytes] = []
        self._often: dict[bytes, bool] = {}
        self._fold = False
        self._odd: tuple[bytes, ...] = ()
        if words is not None:
            self.engine = "literal"
            self._fold = words[1]
            self._words = [
                (word.lower() if self._fold else word).encode() for word in dict.fromkeys(words[0])
            ]
            if self._fold:
                letters = {char for word in words[0] for char in word.lower()}
                self._odd = tuple(odd for char in letters for odd in _FOLDS.get(char, ()))
        self._compile_chunk(use_re2)

    def _compile_chunk(self, use_re2: bool) -> None:
        safe = line_safe(self.regex, self.ignore_case)
        if safe is None:
            return
        flags = re.MULTILINE | (re.IGNORECASE if safe.ignore_case else 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                self._chunk_str = re.compile(f"(?:{safe.any_text})[^\\n]*", flags)
            except re.error:
                return
            if not safe.ascii_text.isascii():
                ascii_too = False
            else:
                try:
                    self._chunk_bytes = re.compile(f"(?:{safe.ascii_text})[^\\n]*".encode(), flags)
                    ascii_too = True
                except re.error:
                    ascii_too = False
        if self.engine == "literal" or not use_re2 or not (ascii_too or safe.plain):
            return
        re2 = load_re2()
        if re2 is None:
            return
        options = re2.Options()
        options.log_errors = False
        options.case_sensitive = not safe.ignore_case
        try:
            compiled = re2.compile(f"(?m)(?:{safe.ascii_text})[^\\n]*", options)
            self._spans_re2 = re2.compile(f"(?m){safe.ascii_text}", options)
        except re2.error:
            return
        self.engine = "re2"
        self._chunk_bytes = compiled
        self._re2_plain = safe.plain

    @property
    def reach(self) -> int | None:
        """Bytes by which pieces of one line must overlap; ``None`` if it must be seen whole.

        A letter may take four bytes where its other case takes one.
        """
        if self.engine != "literal":
            return None
        return 4 * max((len(word) for word in self._words), default=0) + 16

    @property
    def dangerous(self) -> bool:
        return self.engine == "re"

    def lines(self, chunk: bytes) -> Lines:
        """Where the matching lines of ``chunk`` stand, in order: (start, end without newline)."""
        if not chunk:
            return []
        if self.engine == "literal":
            if not self._odd or chunk.isascii() or not any(odd in chunk for odd in self._odd):
                hay = chunk.lower() if self._fold else chunk
                return _find_words(hay, self._words, self._often)
            return self._decoded_lines(chunk)
        if self.engine == "re2":
            if chunk.isascii() or (self._re2_plain and _is_utf8(chunk)):
                return _line_bounds(chunk, self._chunk_bytes)
            return self._decoded_lines(chunk)
        if _may_hold_long_line(chunk):
            return self._each_line(chunk)
        if self._chunk_bytes is not None and chunk.isascii():
            return _line_bounds(chunk, self._chunk_bytes)
        return self._decoded_lines(chunk)

    def _decoded_lines(self, chunk: bytes) -> Lines:
        if self._chunk_str is None:
            return self._each_line(chunk)
        text = chunk.decode("utf-8", "replace")
        number = at = 0
        wanted: list[int] = []
        for match in self._chunk_str.finditer(text):
            begin = match.start()
            if begin == len(text) and text.endswith("\n"):
                break
            number += text.count("\n", at, begin)
            at = begin
            if not wanted or wanted[-1] != number:
                wanted.append(number)
        return _bounds_of(chunk, wanted)

    def _each_line(self, chunk: bytes) -> Lines:
        search = self._line_re.search
        wanted = []
        texts = chunk.decode("utf-8", "replace").split("\n")
        if texts and not texts[-1]:
            texts.pop()
        for number, text in enumerate(texts):
            if len(text) > LINE_CAP and self.engine == "re":
                self.clipped_lines += 1
                text = text[:LINE_CAP]
            if search(text):
                wanted.append(number)
        return _bounds_of(chunk, wanted)

    def spans(self, text: str) -> list[list[int]]:
        """Character offsets of the matches in one line, empty ones left out."""
        if self.engine == "re2" and (text.isascii() or self._re2_plain):
            found = self._spans_re2.finditer(text)
        else:
            found = self._line_re.finditer(text[:LINE_CAP] if self.engine == "re" else text)
        out: list[list[int]] = []
        for match in found:
            begin, end = match.span()
            if end > begin:
                out.append([begin, end])
                if len(out) == MAX_SPANS:
                    break
        return out


def clipped_words(lines: int) -> str:
    """That so many lines were not searched to their ends."""
    return f"the pattern saw only the beginning of {lines} very long line{'s' * (lines != 1)}"


def _find_words(hay: bytes, words: list[bytes], often: dict[bytes, bool]) -> Lines:
    """Each word on its own; ``often`` keeps from chunk to chunk which of them are in many lines."""
    hits: dict[int, int] = {}
    search = _memmem() if len(hay) >= _WORTH_MEMMEM else None
    for word in words:
        if search is None or often.get(word):
            lines = _find_each(hay, word, hits)
        else:
            lines = _find_word(search, hay, word, hits)
        often[word] = lines * _OFTEN > len(hay)
    if len(words) > 1:
        return [(hits[end], end) for end in sorted(hits)]
    return [(start, end) for end, start in hits.items()]


def _find_each(hay: bytes, word: bytes, hits: dict[int, int]) -> int:
    """Note the ends and starts of lines that hold ``word``; how many they are."""
    find, rfind = hay.find, hay.rfind
    lines = 0
    at = find(word)
    while at >= 0:
        lines += 1
        end = find(b"\n", at)
        if end < 0:
            end = len(hay)
        hits[end] = rfind(b"\n", 0, at) + 1
        at = find(word, end)
    return lines


def _find_word(search: Any, hay: bytes, word: bytes, hits: dict[int, int]) -> int:
    """The same with memmem(3): twice as fast where there is none, dearer for each hit.

    ``hay`` stays alive here.
    """
    import ctypes

    base = ctypes.cast(ctypes.c_char_p(hay), ctypes.c_void_p).value or 0
    size, width, find = len(hay), len(word), hay.find
    lines = 0
    at = search(base, size, word, width)
    while at:
        lines += 1
        start = hay.rfind(b"\n", 0, at - base) + 1
        end = find(b"\n", at - base)
        if end < 0:
            hits[size] = start
            return lines
        hits[end] = start
        at = search(base + end, size - end, word, width)
    return lines


@functools.cache
def _memmem() -> Any:
    """The C library's memmem, ``None`` where there is none."""
    try:
        import ctypes

        search = ctypes.PyDLL(None).memmem
    except (ImportError, OSError, AttributeError):
        return None
    search.restype = ctypes.c_void_p
    search.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    return search


def _line_bounds(chunk: bytes, pattern: Any) -> Lines:
    """``pattern`` takes the rest of its line, so each match is one line's."""
    found: Lines = []
    last = -1
    size = len(chunk)
    for match in pattern.finditer(chunk):
        begin, end = match.span()
        if begin == size and chunk.endswith(b"\n"):
            break
        start = chunk.rfind(b"\n", max(last, 0), begin) + 1 or max(last, 0)
        if end == last or (found and start == found[-1][0]):
            continue
        found.append((start, end))
        last = end
    return found


def _bounds_of(chunk: bytes, wanted: list[int]) -> Lines:
    if not wanted:
        return []
    ends = list(accumulate(len(line) + 1 for line in chunk.split(b"\n")))
    return [(ends[number - 1] if number else 0, ends[number] - 1) for number in wanted]


def _is_utf8(chunk: bytes) -> bool:
    try:
        chunk.decode()
    except UnicodeDecodeError:
        return False
    return True


def _may_hold_long_line(chunk: bytes) -> bool:
    """Whether a line might be longer than :data:`LINE_CAP`: windows of half of it without newline."""
    window = LINE_CAP // 2
    return any(
        chunk.find(b"\n", at, at + window) < 0 for at in range(0, len(chunk) - window, window)
    )
