"""``NamedTuple`` of :mod:`typing`, for modules that a command loads before it can answer.

``typing`` takes nearly as long to import as the interpreter to start, and a
stack shall be on screen about as soon as py-spy has it.  A checker is shown
the real one::

    TYPE_CHECKING = False
    if TYPE_CHECKING:
        from typing import NamedTuple
    else:
        from proctui.records import NamedTuple
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["NamedTuple"]


class _Meta(type):
    """Makes a tuple class of the annotations in a class body; defaults and methods are kept."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, body)
        fields = body.pop("__annotations__", {})
        defaults = [body.pop(field) for field in fields if field in body]
        make: Any = namedtuple
        made = make(name, fields, defaults=defaults, module=body.pop("__module__"))
        made.__annotations__ = fields
        for key, value in body.items():
            setattr(made, key, value)
        return made


class NamedTuple(metaclass=_Meta):
    """``class Point(NamedTuple): x: int; y: int = 0``."""
