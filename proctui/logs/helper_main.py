"""The helper process: pattern work and halves of an analysis, asked for over a pipe.

Run as a file by ``python -I -S``; a frame is four bytes of length and a
marshalled value, requests on descriptor 0, answers on 1.  It leaves when its
input ends, and the kernel ends it where a pattern uses up its CPU time.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
from typing import Any

if __package__ in (None, ""):
    sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))]  # noqa: PTH100, PTH120
    sys.path += sys.argv[1:]

from proctui.errors import BadArgument
from proctui.logs.blocks import grep_part, guard
from proctui.logs.matcher import Matcher


def _read(size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            return None
        data = more if not data else data + more
    return data


def _write(value: Any) -> None:
    body = marshal.dumps(value)
    rest = memoryview(len(body).to_bytes(4, "big") + body)
    while rest:
        rest = rest[os.write(1, rest) :]


def _requests() -> Any:
    while True:
        head = _read(4)
        body = _read(int.from_bytes(head, "big")) if head is not None else None
        if body is None:
            return
        yield marshal.loads(body)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    matchers: dict[tuple[str, bool], Matcher] = {}

    def matcher_of(wanted: tuple[str, bool] | None) -> Matcher | None:
        if wanted is None:
            return None
        if wanted not in matchers:
            if len(matchers) > 64:
                matchers.clear()
            switch = guard(True)
            switch(True)
            matchers[wanted] = Matcher(*wanted)
            switch(False)
        matchers[wanted].clipped_lines = 0
        return matchers[wanted]

    for request in _requests():
        try:
            _answer(request, matcher_of)
        except BadArgument as error:
            _write(("bad", request.get("id"), error.message))
        except OSError as error:
            _write(("failed", request.get("id"), os.strerror(error.errno or 0)))


def _answer(request: dict[str, Any], matcher_of: Any) -> None:
    kind = request["op"]
    if kind in ("match", "find"):
        from proctui.logs import batches

        work = batches.match_lines if kind == "match" else batches.find_lines
        for answer in work(request, matcher_of):
            _write(answer)
        return
    matcher = matcher_of(request["pattern"])
    switch = guard(matcher is not None and matcher.dangerous, request["cpu"])
    if kind == "lines":
        assert matcher is not None
        switch(True)
        found = matcher.lines(request["data"])
        switch(False)
        _write(("lines", found))
        return
    if kind == "grep":
        assert matcher is not None
        answers = grep_part(
            request["fd"], request["begin"], request["end"], matcher, request["invert"], switch
        )
    else:
        from proctui.logs.layout import Layout
        from proctui.logs.parts import scan_part

        answers = scan_part(
            request["fd"],
            request["begin"],
            request["end"],
            Layout(**request["layout"]) if request["layout"] is not None else None,
            seen_header=request["seen_header"],
            matcher=matcher,
            invert=request["invert"],
            details=request["details"],
            switch=switch,
        )
    for one in answers:
        _write(one)


if __name__ == "__main__":
    main()
