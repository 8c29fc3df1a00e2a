"""Where there is no /proc: everything imports, psutil answers, the rest says plainly that it can't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WITHOUT_LINUX = """
import os, pathlib, select, socket, sys, time
for module, names in (
    (os, "pidfd_open O_PATH sched_getaffinity getxattr eventfd".split()),
    (time, ["CLOCK_BOOTTIME"]), (select, ["epoll"]), (socket, ["AF_NETLINK"]),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
exists = pathlib.Path.exists
pathlib.Path.exists = lambda self, **more: not str(self).startswith("/proc") and exists(self, **more)

import importlib, pkgutil
import proctui.machine
for found in pkgutil.iter_modules(proctui.machine.__path__):
    importlib.import_module("proctui.machine." + found.name)

from proctui.errors import NotSupported, ProctuiError
from proctui.machine import details, identity, source, system
from proctui.machine.history import History

own = identity.own()
assert own.inode is None and own.start_ticks, own
assert identity.alive(own)
assert not identity.has_pidfs()
try:
    identity.pin(os.getpid())
    raise SystemExit("a pin without pidfds")
except NotSupported:
    pass
try:
    source.open_source("proc")
    raise SystemExit("a proc source without /proc")
except NotSupported:
    pass
looking = source.open_source()
history = History(10)
history.record(looking.sample())
snapshot = looking.sample()
history.record(snapshot)
assert snapshot.procs[os.getpid()].identity.same(own)
assert snapshot.system.pressure is None
assert looking.info(own).cmdline
seen = details.inspect(os.getpid(), include_threads=True, include_files=True)
assert seen["memory"]["rss"] > 0 and "cgroup" in seen["denied"]
assert system.read(seconds=0.01)["memory"]["total"] > 0
assert system.system_memory().total > 0
print("fine")
"""


def test_without_linux():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LINUX],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "fine\n", done.stderr
