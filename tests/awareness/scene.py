"""A made-up user's machine with a running job, for the tests of roles and evidence."""

from __future__ import annotations

from typing import Any

from proctui.awareness.classify import Classifier
from proctui.awareness.entry import Entry
from proctui.awareness.session import Controller
from proctui.awareness.truth import Truth
from proctui.model import Certainty, Role, Verdict
from tests.awareness.world import World, session

PTS_1, PTS_2 = 34817, 34818


class Scene:
    """A user's machine with a running job: shell → proctui (self) → keeper → runner → leader."""

    def __init__(self, kind: str = "run", **fields: Any) -> None:
        world = self.world = World()
        world.add(100, 1, name="sshd", sid=100, pgid=100)
        world.add(101, 100, name="bash", sid=101, pgid=101, tty=PTS_1)
        world.add(200, 101, name="proctui", pgid=200)
        world.add(400, 101, name="vim", pgid=400)
        world.add(500, 1, name="cron", sid=500, pgid=500, tty=0)
        self.baseline = world.baseline()
        world.add(300, 200, name="keeper", sid=300, pgid=300, tty=0)
        world.add(301, 300, name="runner", sid=301, pgid=301, tty=0)
        self.leader = world.add(302, 301, name="job", sid=302, pgid=302, tty=0)
        self.own = world.procs[200].identity
        self.session = session(
            world, self.leader.identity, kind=kind, runner=world.procs[301].identity,
            keeper=world.procs[300].identity, pgid=302, sid=302, tty=0,
            controllers=(Controller("front", self.own),), **fields,
        )  # fmt: skip
        self.classifier = self.make()

    def make(self, **options: Any) -> Classifier:
        truth = options.pop("truth", None) or Truth(self.session, self.baseline, {}, "memory")
        options.setdefault("own", self.own)
        options.setdefault("root", None)
        return Classifier(truth, **options)

    def others(self) -> list[Any]:
        from proctui.awareness.chains import controllers_of

        return [(self.session, one) for one in controllers_of(self.session)]

    def see(self, pid: int | None = None, others: list[Any] | None = None) -> Any:
        verdicts = self.classifier.update(
            self.world.sample(), self.others() if others is None else others
        )
        return verdicts if pid is None else verdicts[pid]


def roles(verdicts: Any) -> dict[int, Role]:
    return {pid: verdict.role for pid, verdict in verdicts.items()}


def is_certain(verdict: Verdict) -> bool:
    return verdict.role is Role.SPAWNED and verdict.certainty is Certainty.CERTAIN


def is_likely(verdict: Verdict) -> bool:
    return verdict.role is Role.SPAWNED and verdict.certainty is Certainty.LIKELY


def claim(row: Any, words: str = "seen") -> dict[Any, Entry]:
    return {row.identity.key: Entry(row.identity, (words,), Certainty.CERTAIN)}
