"""A view of a past moment, rebuilt from the history that the watch keeps."""

from __future__ import annotations

from proctui.awareness.view import View
from proctui.machine.history import History
from proctui.model import Certainty, Proc, Role, Verdict

__all__ = ["view_at"]


def view_at(now: View, history: History, index: int) -> View:
    """The processes, figures and roles as they were at ``index`` of the history.

    Roles are those known today: what was latched since counts for the past
    too.  The machine's details (cores, pressure) that no ring keeps are left out.
    """
    moment = history.moment(index)
    procs: dict[int, Proc] = moment.procs
    verdicts: dict[int, Verdict] = {}
    job: set[int] = set()
    dead = {tomb.identity.key: tomb for tomb in now.tombs}
    for pid, proc in procs.items():
        living = now.snapshot.procs.get(pid)
        if living is not None and living.identity.same(proc.identity):
            verdicts[pid] = now.verdict(pid)
            if pid in now.job:
                job.add(pid)
            continue
        record = history.process(proc.identity)
        tomb = dead.get(proc.identity.key)
        role = tomb.role if tomb is not None else Role.UNKNOWN
        if record is not None and record.job:
            role = Role.SPAWNED
            job.add(pid)
        verdicts[pid] = Verdict(role, Certainty.CERTAIN, ("it has ended since",))
    parents = {pid: above for pid, above in now.parents.items() if pid in procs and above in procs}
    for key, tomb in dead.items():
        pid = key[1]
        if pid in procs and procs[pid].identity.key == key and tomb.parent in procs:
            parents[pid] = tomb.parent
    system = now.snapshot.system
    figures = {name: ring.at(moment.index) for name, ring in history.machine.items()}
    used, swap = figures["memory"], figures["swap"]
    system = system._replace(
        cpu=system.cpu._replace(usage=figures["cpu"], per_core=()),
        memory=system.memory._replace(
            used=None if used is None else int(used),
            swap_used=None if swap is None else int(swap),
        ),
        load=None,
        pressure=None,
    )
    wall = now.snapshot.wall if moment.wall is None else moment.wall
    snapshot = now.snapshot._replace(
        wall=wall,
        boottime=now.snapshot.boottime - (now.snapshot.wall - wall),
        procs=procs,
        system=system,
        born=(),
        died=(),
        changed=frozenset(),
        io={},
    )
    return now._replace(
        snapshot=snapshot,
        verdicts=verdicts,
        children=_children(procs, parents),
        parents=parents,
        job=frozenset(job),
        strays=now.strays & job,
        tombs=tuple(tomb for tomb in now.tombs if tomb.died <= wall),
    )


def _children(procs: dict[int, Proc], parents: dict[int, int]) -> dict[int, tuple[int, ...]]:
    lists: dict[int, list[int]] = {}
    for pid, proc in procs.items():
        above = parents.get(pid, proc.ppid)
        if above != pid and above in procs:
            lists.setdefault(above, []).append(pid)
    return {pid: tuple(sorted(kids)) for pid, kids in lists.items()}
