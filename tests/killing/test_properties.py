"""Over random process tables, changes and requests: who is handed to the signalling call."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proctui.awareness.view import View
from proctui.errors import Changed, NoSuchProcess, ProctuiError
from proctui.killing import audit, crew, execute, lethal, signals, states
from proctui.killing.plan import Plan, Scope, make_plan
from proctui.model import Certainty, Identity, Proc, Role, Verdict
from tests.killing.scene import proc, view_of

PIDS = list(range(2, 14))
ENDING = (signal.SIGTERM, signal.SIGKILL)


@dataclass
class World:
    """A made-up machine: the guard looks at it, and its signals end in ``sent``."""

    procs: dict[int, Proc]
    verdicts: dict[int, Verdict]
    deaf: frozenset[int] = frozenset()
    changes: list[tuple[str, int, Any]] = field(default_factory=list)
    sent: list[tuple[Identity, int]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    dead: set[Any] = field(default_factory=set)
    likely_ok: frozenset[Any] = frozenset()
    shown: View | None = None

    def look(self) -> View:
        self.shown = view_of(dict(self.procs), dict(self.verdicts))
        return self.shown

    def mutate(self) -> None:
        """One change that happens while nobody looks."""
        if not self.changes:
            return
        kind, pid, value = self.changes.pop(0)
        if pid not in self.procs:
            return
        row = self.procs[pid]
        if kind == "reuse":
            fresh = row.identity._replace(inode=(row.identity.inode or 0) + 500_000)
            self.procs[pid] = row._replace(identity=fresh)
            self.verdicts[pid] = value
        elif kind == "role":
            self.verdicts[pid] = value
        elif kind == "group":
            self.procs[pid] = row._replace(pgid=value)
        elif kind == "birth":
            child, verdict = value
            if child not in self.procs:
                self.procs[child] = proc(child, pid, pgid=row.pgid)
                self.verdicts[child] = verdict
        elif kind == "die":
            del self.procs[pid]
            self.verdicts.pop(pid, None)

    def send(self, pin: Any, signum: int) -> None:
        signals.check_signal(signum)
        who = pin.identity
        seen = self.shown
        assert seen is not None
        row = seen.proc(who.pid)
        verdict = seen.verdict(who.pid)
        if row is None or not row.identity.same(who):
            self.wrong.append(f"{who} was not in the last look")
        elif verdict.role is not Role.SPAWNED:
            self.wrong.append(f"{who} is {verdict.role}")
        elif verdict.certainty is Certainty.LIKELY and who.key not in self.likely_ok:
            self.wrong.append(f"{who} is only likely")
        if pin.dead():
            raise ProcessLookupError
        self.sent.append((who, signum))
        if signum == signal.SIGKILL or (signum == signal.SIGTERM and who.pid not in self.deaf):
            self.procs.pop(who.pid, None)
            self.verdicts.pop(who.pid, None)
            self.dead.add(who.key)


class FakePin:
    def __init__(self, world: World, identity: Identity) -> None:
        self.world = world
        self.identity = identity
        self.fd = 1

    def dead(self) -> bool:
        row = self.world.procs.get(self.identity.pid)
        return row is None or not row.identity.same(self.identity)

    def reaped(self) -> bool:
        return True

    def close(self) -> None: ...


class FakeFreezer:
    def __init__(self, world: World) -> None:
        self.world = world

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def ready(self) -> bool:
        return True

    def stop(self, pins: Iterable[FakePin]) -> Iterator[tuple[FakePin, OSError | None]]:
        for pin in list(pins):
            try:
                self.world.send(pin, signal.SIGSTOP)
            except ProcessLookupError as error:
                yield pin, error

    def settle(self, killed: Iterable[FakePin]) -> None: ...


class FakeRecord:
    path = Path("/dev/null")

    def finish(self, results: list[dict[str, Any]]) -> bool:
        return True


def install(world: World, patch: pytest.MonkeyPatch) -> None:
    def pin(identity: Identity, *, hold: bool = True) -> FakePin:
        world.mutate()
        row = world.procs.get(identity.pid)
        if row is None:
            raise NoSuchProcess("gone")
        if not row.identity.same(identity):
            raise Changed("somebody else")
        return FakePin(world, identity)

    def wait_dead(pins: Iterable[FakePin], timeout: float) -> list[FakePin]:
        world.mutate()
        return [one for one in pins if not one.dead()]

    patch.setattr(signals, "pin", pin)
    patch.setattr(signals, "send", world.send)
    patch.setattr(signals, "wait_dead", wait_dead)
    patch.setattr(states, "of", lambda pin: "T")
    patch.setattr(lethal, "Freezer", lambda: FakeFreezer(world))
    patch.setattr(lethal, "PAUSE", 0.0)
    patch.setattr(execute, "NEWCOMERS", 0.0)
    patch.setattr(audit, "begin", lambda *rest: FakeRecord())
    patch.setattr(audit, "refuse", lambda *rest: None)
    patch.setattr(crew, "KILL_WAIT", 0.0)
    patch.setattr(execute, "SETTLE", 0.0)
    patch.setattr(crew, "REAP_WAIT", 0.0)


roles = st.sampled_from([*Role, Role.SPAWNED, Role.SPAWNED, Role.SPAWNED])


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    role = draw(roles)
    sure = Certainty.CERTAIN
    if role is Role.SPAWNED and draw(st.integers(0, 3)) == 0:
        sure = Certainty.LIKELY
    return Verdict(role, sure, ("made up",))


@st.composite
def worlds(draw: st.DrawFn) -> World:
    pids = draw(st.lists(st.sampled_from(PIDS), min_size=1, unique=True))
    procs = {
        pid: proc(
            pid,
            draw(st.sampled_from([1, *pids])),
            pgid=draw(st.sampled_from([0, 1, *pids[:4]])),
            state=draw(st.sampled_from("SRDTtZ")),
        )
        for pid in pids
    }
    judged = {pid: draw(verdicts()) for pid in pids}
    return World(procs, judged, frozenset(draw(st.lists(st.sampled_from(pids)))))


changes = st.lists(
    st.one_of(
        st.tuples(st.just("reuse"), st.sampled_from(PIDS), verdicts()),
        st.tuples(st.just("role"), st.sampled_from(PIDS), verdicts()),
        st.tuples(st.just("group"), st.sampled_from(PIDS), st.sampled_from(PIDS[:4])),
        st.tuples(st.just("die"), st.sampled_from(PIDS), st.none()),
        st.tuples(
            st.just("birth"),
            st.sampled_from(PIDS),
            st.tuples(st.sampled_from(range(20, 30)), verdicts()),
        ),
    ),
    max_size=8,
)
scopes = st.sampled_from(["single", "tree", "group"])
some_signals = st.sampled_from([signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP, signal.SIGUSR1])
requests = st.lists(st.sampled_from(PIDS), min_size=1, max_size=3, unique=True)
quick = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def plan_of(world: World, pids: list[int], scope: Scope, confirm: bool) -> Plan | None:
    # Confirming everybody is no confirmation but of those that are named.
    everybody = frozenset(row.identity.key for row in world.procs.values())
    if confirm:
        world.likely_ok = frozenset(
            world.procs[pid].identity.key for pid in pids if pid in world.procs
        )
    try:
        return make_plan(world.look, pids, scope=scope, likely_ok=everybody if confirm else ())
    except NoSuchProcess:
        return None


@quick
@given(worlds(), requests, scopes, some_signals, st.booleans(), changes)
def test_nobody_but_the_surely_spawned_is_ever_signalled(
    world: World,
    pids: list[int],
    scope: Scope,
    signum: signal.Signals,
    confirm: bool,
    upheaval: list[tuple[str, int, Any]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        install(world, patch)
        plan = plan_of(world, pids, scope, confirm)
        if plan is None:
            return
        planned = {one.identity.key for one in plan.targets}
        world.changes = list(upheaval)
        try:
            report = execute.execute(plan, world.look, signal=signum, grace=0.0)
        except ProctuiError:
            assert not world.sent
            return
    assert not world.wrong
    outcomes = {one.identity.key: one.outcome for one in report.results}
    assert planned <= set(outcomes)
    if plan.stopped is not None:
        assert not world.sent and not planned
    if scope == "single":
        assert {who.key for who, _ in world.sent} <= planned


@quick
@given(worlds(), requests, scopes, some_signals, st.booleans())
def test_what_a_dry_run_lists_is_what_is_signalled(
    world: World, pids: list[int], scope: Scope, signum: signal.Signals, confirm: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        install(world, patch)
        plan = plan_of(world, pids, scope, confirm)
        if plan is None:
            return
        assert plan_of(world, pids, scope, confirm) == plan
        report = execute.execute(plan, world.look, signal=signum, grace=0.0)
    assert not world.wrong
    assert {who.key for who, _ in world.sent} == {one.identity.key for one in plan.targets}
    if signum in ENDING:
        assert all(one.outcome in ("exited", "zombie", "gone") for one in report.results)


@quick
@given(worlds(), requests, scopes)
def test_one_refused_named_or_grouped_process_stops_everything(
    world: World, pids: list[int], scope: Scope
) -> None:
    plan = plan_of(world, pids, scope, False)
    if plan is None:
        return
    sure = {
        pid
        for pid, verdict in world.verdicts.items()
        if verdict.role is Role.SPAWNED and verdict.certainty is Certainty.CERTAIN
    }
    assert {one.pid for one in plan.targets} <= sure
    if not set(pids) <= sure:
        assert not plan.targets and plan.stopped
    if scope == "group" and plan.targets:
        groups = {world.procs[pid].pgid for pid in pids}
        members = {pid for pid, row in world.procs.items() if row.pgid in groups}
        assert members == {one.pid for one in plan.targets} and not groups & {0, 1}


@pytest.mark.parametrize("sure", list(Certainty))
@pytest.mark.parametrize("scope", ["tree", "group"])
def test_newcomers_join_only_if_they_surely_are_spawned(sure: Certainty, scope: Scope) -> None:
    spawned = Verdict(Role.SPAWNED, Certainty.CERTAIN, ("made up",))
    world = World({5: proc(5, 1), 6: proc(6, 1)}, {5: spawned, 6: spawned}, frozenset({5}))
    with pytest.MonkeyPatch.context() as patch:
        install(world, patch)
        plan = make_plan(world.look, [5], scope=scope)
        world.changes = [("birth", 5, (20, Verdict(Role.SPAWNED, sure, ("made up",))))]
        report = execute.execute(plan, world.look, grace=0.0)
    assert not world.wrong
    joined = [one.pid for one in report.results if one.joined]
    assert joined == ([20] if sure is Certainty.CERTAIN else [])
    assert 6 in world.procs and (20 in world.procs) == (sure is Certainty.LIKELY)


@pytest.mark.parametrize("pgid", [0, 1])
def test_a_group_that_cannot_be_seen_is_refused(pgid: int) -> None:
    """Kernel threads and processes of other pid namespaces stand in group 0."""
    spawned = Verdict(Role.SPAWNED, Certainty.CERTAIN, ("made up",))
    world = World({5: proc(5, 1, pgid=pgid)}, {5: spawned})
    plan = make_plan(world.look, [5], scope="group")
    assert plan.targets == () and "can't be seen" in (plan.stopped or "")
    assert make_plan(world.look, [5]).targets


def test_confirming_somebody_who_is_not_named_confirms_nobody() -> None:
    likely = Verdict(Role.SPAWNED, Certainty.LIKELY, ("made up",))
    sure = Verdict(Role.SPAWNED, Certainty.CERTAIN, ("made up",))
    world = World({5: proc(5, 1), 6: proc(6, 5)}, {5: sure, 6: likely})
    everybody = frozenset(row.identity.key for row in world.procs.values())
    plan = make_plan(world.look, [5], scope="tree", likely_ok=everybody)
    assert [one.pid for one in plan.targets] == [5]
    assert [one.pid for one in plan.refused] == [6]
    assert [one.pid for one in make_plan(world.look, [6], likely_ok=everybody).targets] == [6]
    assert make_plan(world.look, [6]).stopped
