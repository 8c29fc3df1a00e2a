"""The cases that could hurt the machine, in a private pid namespace each: 5, 6, 15, 16 and 19.

The script is pid 1 of its namespace, and the runner of a session there, as
``proctui run`` has one: orphans of the job come to it.
"""

from __future__ import annotations

import pytest

from tests.killing.namespace import isolated

pytestmark = pytest.mark.namespace

JOB = """
from proctui.awareness import cgroup as groups
from proctui.awareness.baseline import Baseline
from proctui.awareness.watch import Watch
from proctui.awareness.writer import create_session
from proctui.machine.source import open_source
from proctui.killing.plan import make_strays_plan
from tests.support import python
from tests.zoo import hard_to_kill as zoo

import threading
ours = set()
lock = threading.Lock()

class Popen(subprocess.Popen):
    def __init__(self, *args, **options):
        with lock:
            super().__init__(*args, **options)
            ours.add(self.pid)

subprocess.Popen = Popen

def reap():
    "What pid 1 owes to orphans; our own children are left to their owners."
    while True:
        with lock:
            for task in Path("/proc/self/task").glob("*/children"):
                for pid in map(int, task.read_text().split()):
                    if pid not in ours:
                        with contextlib.suppress(ChildProcessError):
                            os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)

threading.Thread(target=reap, daemon=True).start()
before = subprocess.Popen(["sleep", "1000"])
source = open_source()
scan, _ = Baseline.capture(source)
writer = create_session("case", kind="run")
writer.write_baseline(scan)

def begin(code, *arguments, group=False):
    name = groups.create(writer.session.id) if group else None
    if group and name is None:
        print("no control group here")
        sys.exit()
    def enter():
        if name is not None:
            assert groups.join(name, writer.session.id)
    environment = {**os.environ, "PROCTUI_SESSION": writer.session.marker}
    child = subprocess.Popen(
        python(code, *arguments), stdout=subprocess.PIPE, start_new_session=True,
        preexec_fn=enter, env=environment,
    )
    writer.update(leader=identities.identify(child.pid), pgid=child.pid, sid=child.pid, cgroup=name)
    return child

def ready(child):
    assert child.stdout.readline().startswith(b"ready")

def living():
    return sorted(
        row.pid for row in read_table().values()
        if not row.kernel and row.state not in "ZX" and row.pid not in (1, before.pid)
    )
"""


def job(body: str, *arguments: str) -> str:
    return isolated(JOB + body, *arguments)


REUSE = """
watch = Watch(source, writer=writer, history=0)
target = begin(zoo._LIFE + "ready(); stay()")
ready(target)
plan = make_plan(watch.look, [target.pid])
assert [one.pid for one in plan.targets] == [target.pid], plan
fresh = []

def reuse():
    "Ends the target and gives its number to an innocent child of ours, in the same clock tick."
    if fresh:
        return
    os.kill(target.pid, 9)
    target.wait()
    for _ in range(50):
        with open("/proc/sys/kernel/ns_last_pid", "w") as file:
            file.write(str(target.pid - 1))
        child = subprocess.Popen(["sleep", "1000"])
        fresh.append(child)
        if child.pid == target.pid:
            return
    raise AssertionError("the number did not come back")

if sys.argv[1] == "between plan and execution":
    reuse()
elif sys.argv[1] == "between pin and signal":
    send = signals.send
    def late(pin, signum):
        reuse()
        send(pin, signum)
    signals.send = late
else:
    looks = []
    look = watch.look
    def late_look():
        view = look()
        reuse()
        return view
    watch.look = late_look
for signum in (15, 9):
    report = execute(plan, watch.look, signal=signum, grace=0.0)
    assert [one.outcome for one in report.results] == ["gone"], report.to_dict()
innocent = fresh[-1]
assert innocent.pid == plan.targets[0].pid
assert alive(innocent.pid) and alive(before.pid)
assert not identities.identify(innocent.pid).same(plan.targets[0].identity)
print("lived")
"""


@pytest.mark.parametrize(
    "moment", ["between plan and execution", "between look and signal", "between pin and signal"]
)
def test_5_and_6_a_reused_number_is_never_hit(moment: str) -> None:
    assert "lived" in job(REUSE, moment)


PROTECTED_REUSE = """
from proctui.killing.protection import ProcessProtection
watch = Watch(source, writer=writer, history=0)
first = begin(zoo._LIFE + "ready(); stay()")
ready(first)
ProcessProtection.PROTECTED_PIDS.add(first.pid)
assert make_plan(watch.look, [first.pid]).stopped
os.kill(first.pid, 9)
first.wait()
with open("/proc/sys/kernel/ns_last_pid", "w") as file:
    file.write(str(first.pid - 1))
second = begin(zoo._LIFE + "ready(); stay()")
ready(second)
assert second.pid == first.pid
assert not ProcessProtection.is_protected(second.pid)
assert execute(make_plan(watch.look, [second.pid]), watch.look).done
assert not alive(second.pid)
print("ended")
"""


def test_a_stale_protected_number_shields_nobody() -> None:
    assert "ended" in job(PROTECTED_REUSE)


HOPPER = """
watch = Watch(source, writer=writer, history=0)
leader = begin(zoo.HOPPING_JOB, sys.argv[1], zoo.HOPPER, group=sys.argv[2] == "cgroup")
ready(leader)
ready(leader)
signum = int(sys.argv[3])
execute(make_plan(watch.look, [leader.pid], scope="tree"), watch.look, signal=signum, grace=0.1)
assert not alive(leader.pid)

def quiet():
    "A hopper is between two listings now and then: many empty ones are needed to believe it."
    return not any(living() for _ in range(20))

# Who hopped out of the tree is a stray.
for attempt in range(60):
    report = execute(make_strays_plan(watch.look), watch.look, signal=signum, grace=0.1)
    if quiet():
        break
assert quiet(), living()
assert alive(before.pid)
print("ended after", attempt, "more", report.done)
if sys.argv[2] == "cgroup":
    assert attempt == 0, attempt
    assert groups.remove(writer.session.cgroup)
"""


@pytest.mark.parametrize("signum", [15, 9])
@pytest.mark.parametrize("pause", ["0", "0.01"])
def test_15_a_hopper_in_a_control_group_is_ended_at_once(pause: str, signum: int) -> None:
    out = job(HOPPER, pause, "cgroup", str(signum))
    if "no control group" in out:
        pytest.skip("no control group may be made here")
    assert "ended" in out


@pytest.mark.parametrize("signum", [15, 9])
def test_15_a_hopper_without_one_is_ended_or_seen(signum: int) -> None:
    assert "ended" in job(HOPPER, "0.01", "none", str(signum))


FAN = """
watch = Watch(source, writer=writer, history=0)
leader = begin(zoo.FAN, "300")
ready(leader)
plan = make_plan(watch.look, [leader.pid], scope="tree")
report = execute(plan, watch.look, signal=int(sys.argv[1]), grace=0.05)
assert report.done, [one for one in report.results if one.outcome not in ("exited", "zombie", "gone")]
assert not living(), living()
assert alive(before.pid)
print("ended", len(report.results))
"""


@pytest.mark.parametrize("signum", [15, 9])
def test_16_a_fan_out_during_the_kill_leaves_nobody(signum: int) -> None:
    assert "ended" in job(FAN, str(signum))


NONSENSE = """
from unittest.mock import MagicMock
from proctui import ProcessBaseline, ProcessGroupManager, ProcessGroupProtection, ProcessProtection
import proctui
watch = Watch(source, writer=writer, history=0)
mine = begin(zoo._LIFE + "ready(); stay()")
ready(mine)
manager = ProcessGroupManager(ProcessBaseline(register=False))
mock = MagicMock()
everybody = set(living())
for bad in (0, 1, -1, -mine.pid, True, False, 1.0, float(mine.pid), str(mine.pid), None, mock, mock.pid, [mine.pid], 2**64):
    calls = [
        lambda: ProcessProtection.safe_kill(bad, 9),
        lambda: ProcessGroupProtection().safe_killpg(bad, 9),
        lambda: manager.kill_managed_group(bad),
        lambda: proctui.plan_kill(bad),
        lambda: proctui.plan_kill(bad, tree=True),
        lambda: make_group_plan(watch.look, bad),
        *[lambda scope=scope: make_plan(watch.look, [bad], scope=scope) for scope in ("single", "tree", "group")],
        lambda: make_plan(watch.look, bad),
    ]
    for call in calls:
        try:
            call()
        except (BadArgument, NoSuchProcess):
            continue
        if call is calls[-1] and isinstance(bad, list):
            continue
        raise AssertionError((bad, calls.index(call)))
plan = make_plan(watch.look, [mine.pid])
for bad in (0, -1, True, None, "TERM", 9.0, 65, mock):
    try:
        execute(plan, watch.look, signal=bad)
    except BadArgument:
        continue
    raise AssertionError(bad)
for bad in (-1, True, None, "1", float("nan"), float("inf"), 10**400, 2**63, mock):
    try:
        execute(plan, watch.look, grace=bad)
    except BadArgument:
        continue
    raise AssertionError(bad)
for bad in (mine.pid, "plan", None, mock, plan.to_dict()):
    try:
        execute(bad, watch.look)
    except BadArgument:
        continue
    raise AssertionError(bad)
for text in ("0", "1", "-1", "1.0", "x", "true", f"-{mine.pid}", "0x10"):
    done = subprocess.run(
        [sys.executable, "-m", "proctui", "kill", "--yes", "--", text], capture_output=True, text=True
    )
    assert done.returncode == 2, (text, done)
assert set(living()) == everybody and alive(before.pid) and alive(mine.pid)
print("everybody lives")
"""


def test_19_nonsense_for_a_pid_reaches_nobody() -> None:
    assert "everybody lives" in job(NONSENSE)
