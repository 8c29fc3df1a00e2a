"""Programs that resist being ended, each as source for ``python -c``; they say ``ready`` first.

All of them are bounded: a forgotten one ends by itself after a minute.
"""

from __future__ import annotations

_LIFE = """
import ctypes, os, signal, subprocess, sys, threading, time
END = time.monotonic() + 60
def ready(*words):
    os.write(1, (" ".join(["ready", *map(str, words)]) + "\\n").encode())
def stay():
    while time.monotonic() < END:
        time.sleep(0.5)
"""

ZOMBIE_LEADER = (
    _LIFE
    + """
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
threading.Thread(target=stay).start()
ready()
# The first thread alone exits (exit(2) is number 60 or 93); the process lives on as state Z.
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""
)
"""Its leader is a zombie while another thread lives."""

NEVER_REAPS = (
    _LIFE
    + """
child = subprocess.Popen(["sleep", "60"])
ready(child.pid)
stay()
"""
)
"""Leaves its child a zombie."""

DEAF_TREE = (
    _LIFE
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        for _ in range(2):
            if os.fork() == 0:
                break
        stay()
        os._exit(0)
    pids.append(child)
ready()
stay()
"""
)
"""TERM ignored, and the children inherit that."""

RESPAWNER = (
    _LIFE
    + """
signal.signal(signal.SIGTERM, signal.SIG_IGN if "deaf" in sys.argv else signal.SIG_DFL)
def start():
    return subprocess.Popen(["sleep", "60"], restore_signals=True)
workers = [start() for _ in range(4)]
ready()
while time.monotonic() < END:
    os.wait()
    workers.append(start())
"""
)
"""A supervisor that puts a new worker in place of each that ends."""

HOPPER = (
    _LIFE
    + """
pause = float(sys.argv[1])
ready()
while time.monotonic() < END:
    if os.fork():
        os._exit(0)
    os.setsid()
    if pause:
        time.sleep(pause)
"""
)
"""Hops: forks, leaves the session, and the parent exits, over and over."""

HOPPING_JOB = (
    _LIFE
    + """
if os.fork() == 0:
    exec(sys.argv[2])
    os._exit(0)
ready()
stay()
"""
)
"""A leader that stays, with a hopper (source in the second argument) below it."""

FAN = (
    _LIFE
    + """
ready()
for n in range(int(sys.argv[1])):
    if os.fork() == 0:
        if n % 3 == 0:
            os.setsid()
        stay()
        os._exit(0)
stay()
"""
)
"""Forks a bounded number of children as fast as it can, some into sessions of their own."""
