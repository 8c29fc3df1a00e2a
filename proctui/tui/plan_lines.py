"""A kill plan and its report in lines: who, by identity, in which role, and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.cells import cell_len

from proctui.model import Certainty, Role
from proctui.tui.cells import GLYPHS, STYLES, Run, fit

if TYPE_CHECKING:
    from proctui.killing.plan import Plan, PlanEntry
    from proctui.killing.report import Report

__all__ = ["NO_SESSION", "plan_lines", "plan_title", "report_text"]

Runs = tuple[Run, ...]

NO_SESSION = (
    "Without a job nothing is known to be yours. Start one with: proctui run -- CMD,\n"
    "or name a running one with: proctui watch PID"
)


def plan_title(plan: Plan) -> str:
    """What the dialogue is about, in a few words."""
    count = len(plan.targets)
    if not count:
        return "Refused: nothing would be signalled"
    noun = "process" if count == 1 else "processes"
    title = f"Kill {count} {noun}?"
    if plan.refused:
        title += f"   {len(plan.refused)} refused"
    return title


def plan_lines(plan: Plan, width: int) -> list[Runs]:
    """Every target and every refusal with its reason; likely ones are marked."""
    out: list[Runs] = []
    if plan.targets:
        out.append((("would be signalled", "title"),))
        for entry in plan.targets:
            out += _entry(entry, width, target=True)
    if plan.refused:
        if out:
            out.append(())
        out.append((("refused", "title"),))
        for entry in plan.refused:
            out += _entry(entry, width, target=False)
    if plan.stopped and not plan.refused:
        out += _wrapped(plan.stopped, 2, width, "bad")
    return out


def _look(entry: PlanEntry) -> str:
    if entry.role is Role.SPAWNED:
        return "likely" if entry.certainty is Certainty.LIKELY else "spawned"
    return entry.role.value


def _entry(entry: PlanEntry, width: int, *, target: bool) -> list[Runs]:
    look = _look(entry)
    who = str(entry.identity)
    role = entry.role.value
    if entry.certainty is Certainty.LIKELY:
        role += ", only likely"
    room = max(8, width - len(who) - len(role) - 8)
    first: Runs = (
        (f"  {GLYPHS[look][0]} ", STYLES[look]),
        (who + "  ", "figure"),
        (fit(entry.name, min(room, cell_len(entry.name))) + "  ", "strong"),
        (role, "warn" if entry.certainty is Certainty.LIKELY else STYLES[look]),
    )
    if target:
        why = [*entry.evidence[:1], *(f"unchecked: {one}" for one in entry.unchecked[:1])]
        return [first, *_many(why, width, "dim")]
    more = [one for one in entry.evidence if one not in entry.reason]
    return [first, *_wrapped(entry.reason, 6, width, "bad"), *_many(more[:2], width, "dim")]


def _many(texts: Iterable[str], width: int, style: str) -> list[Runs]:
    return [line for text in texts for line in _wrapped(text, 6, width, style)]


def _wrapped(text: str, indent: int, width: int, style: str) -> list[Runs]:
    parts = textwrap.wrap(text, max(20, width - indent)) or [""]
    return [((" " * indent, ""), (part, style)) for part in parts]


def report_text(report: Report) -> tuple[str, str]:
    """The toast: what came of it and where the audit line stands; and its severity."""
    counts: dict[str, int] = {}
    for result in report.results:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    words = {"exited": "ended", "gone": "gone already", "survivor": "still alive"}
    text = ", ".join(f"{count} {words.get(name, name)}" for name, count in counts.items())
    refused = len(report.plan.refused)
    if refused:
        text += f", {refused} refused" if text else f"{refused} refused"
    lines = [text or "nothing was signalled"]
    lines += [
        f"{one.name} {one.identity}: {one.outcome}" + (f", {one.reason}" if one.reason else "")
        for one in report.results
        if one.outcome not in ("exited", "gone")
    ][:4]
    lines.append(f"audit: {report.audit}" if report.audit else "no audit line")
    ended = all(one.outcome in ("exited", "gone", "zombie") for one in report.results)
    return "\n".join(lines), "information" if ended else "warning"
