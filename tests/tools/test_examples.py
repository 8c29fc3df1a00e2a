"""requirements.md's usage examples, run as they are written there."""
# ruff: noqa: W293 - as they are written

from __future__ import annotations

import os
import subprocess
from typing import Any

import proctui
from tests.support import python, running, wait_for

MEMORY = """\
# Before operation
before = get_memory_profile()

# Do work
run_tests()

# After operation
after = get_memory_profile()

# Compare
memory_increase = after['total'] - before['total']
if memory_increase > threshold:
    report_issue("Memory leak detected")
"""

CPU = """\
# Start monitoring
cpu_before = get_cpu_profile(duration=5)

# Run operation
execute_code()

# Check CPU usage
cpu_after = get_cpu_profile(duration=5)

if cpu_after['usage'] > 90:
    report_issue("High CPU usage detected")
"""

HUNG = """\
# Process seems hung
if not is_responding(pid):
    # Get stack trace
    trace = get_stack_trace(pid, all_threads=True)
    
    # Analyze
    if "lock" in trace:
        report_issue("Deadlock detected")
"""

DEADLOCK = """\
import threading, time
one, two, met = threading.Lock(), threading.Lock(), threading.Barrier(2)
def take(first, second):
    with first:
        met.wait()
        print(flush=True)
        with second: pass
threading.Thread(target=take, args=(one, two)).start()
take(two, one)
"""


def run(example: str, **names: Any) -> list[str]:
    """Run an example with the library's names; returns the issues it reported."""
    issues: list[str] = []
    library = {name: getattr(proctui, name) for name in proctui.__all__}
    exec(example, {**library, "report_issue": issues.append, **names})
    return issues


def test_example_1_check_memory_before_and_after() -> None:
    hungry = "input()\nkept = bytearray(200 << 20)\nfor at in range(0, len(kept), 4096): kept[at] = 1\nprint(flush=True)\ninput()"
    with running(python(hungry), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:

        def run_tests() -> None:
            assert child.stdin is not None and child.stdout is not None
            child.stdin.write("\n")
            child.stdin.flush()
            child.stdout.readline()

        def own_tree() -> Any:
            return proctui.get_memory_profile(os.getpid(), include_children=True)

        leak = ["Memory leak detected"]
        assert run(MEMORY, run_tests=lambda: None, threshold=50 << 20) in ([], leak)
        # The same words about our own tree only: what others do meanwhile has no say here.
        names = {"get_memory_profile": own_tree, "run_tests": run_tests, "threshold": 100 << 20}
        assert run(MEMORY, **names) == leak


def test_example_2_monitor_cpu_usage() -> None:
    issues = run(CPU, execute_code=lambda: None)
    assert issues in ([], ["High CPU usage detected"])


def test_example_3_inspect_hung_process() -> None:
    with running(python(DEADLOCK), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.readline()
        wait_for(lambda: run(HUNG, pid=child.pid) == ["Deadlock detected"], timeout=120)
    with running(python("print(flush=True)\nimport time\ntime.sleep(600)")) as sleeper:
        assert wait_for(lambda: run(HUNG, pid=sleeper.pid) == [])
