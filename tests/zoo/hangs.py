"""Programs that hang: ``python hangs.py NAME`` plays one, and prints ``ready``.

The expected verdicts stand in ``tests/stacks/test_zoo.py``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import faulthandler
import fcntl
import multiprocessing
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from play import FOREVER, beat_on, perform, ready, say


def lock_inversion() -> None:
    a, b, meet = threading.Lock(), threading.Lock(), threading.Barrier(3)

    def left() -> None:
        with a:
            meet.wait()
            with b:
                pass

    def right() -> None:
        with b:
            meet.wait()
            with a:
                pass

    threads = [
        threading.Thread(target=left, name="left"),
        threading.Thread(target=right, name="right"),
    ]
    for thread in threads:
        thread.start()
    meet.wait()
    time.sleep(0.1)
    ready()
    for thread in threads:
        thread.join()


def lock_inversion_watched() -> None:
    """The same while the main thread lives on: it might release a lock, so it is no proof."""
    threading.Thread(target=lock_inversion, daemon=True).start()
    beat_on(0.2)


def three_way() -> None:
    locks, meet = [threading.Lock() for _ in range(3)], threading.Barrier(4)

    def philosopher(mine: threading.Lock, other: threading.Lock) -> None:
        with mine:
            meet.wait()
            with other:
                pass

    for i in range(3):
        threading.Thread(
            target=philosopher, args=(locks[i], locks[(i + 1) % 3]), name=f"philosopher-{i}"
        ).start()
    meet.wait()
    time.sleep(0.1)
    ready()


def self_deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(0.1, ready).start()
    lock.acquire()


def _fill(q: multiprocessing.Queue[bytes]) -> None:
    q.put(b"x" * 1_000_000)


def mp_queue_join() -> None:
    context = multiprocessing.get_context("fork")
    q: multiprocessing.Queue[bytes] = context.Queue()
    child = context.Process(target=_fill, args=(q,))
    child.start()
    time.sleep(0.3)
    ready()
    child.join()
    say(f"ended {child.exitcode}")


def fork_with_lock() -> None:
    lock, taken, forked = threading.Lock(), threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            forked.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    child = os.fork()
    if child == 0:
        with lock:
            os._exit(0)
    forked.set()
    thread.join()
    ready()
    os.waitpid(child, 0)


def pipe_full() -> None:
    code = "import os; os.write(1, b'x' * 1_000_000)"
    child = subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE)
    time.sleep(0.3)
    ready()
    say(f"ended {child.wait()}")


def pipe_full_with_timer() -> None:
    """Seems a cycle, but a timer breaks it: nothing in /proc shows setitimer(2) but its handler."""
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGALRM, lambda *_: os._exit(3))\n"
        "signal.setitimer(signal.ITIMER_REAL, 3600)\n"
        "os.write(1, b'x' * 1_000_000)\n"
    )
    child = subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE)
    time.sleep(0.3)
    ready()
    say(f"ended {child.wait()}")


def native_mutex() -> None:
    """Two pthread mutexes taken in opposite order, the main thread lives on."""
    libc = ctypes.CDLL(None)
    one, two = ctypes.create_string_buffer(64), ctypes.create_string_buffer(64)
    meet = threading.Barrier(3)

    def take(first: object, second: object) -> None:
        libc.pthread_mutex_lock(first)
        meet.wait()
        libc.pthread_mutex_lock(second)

    threading.Thread(target=take, args=(one, two), daemon=True).start()
    threading.Thread(target=take, args=(two, one), daemon=True).start()
    meet.wait()
    time.sleep(0.1)
    ready()
    beat_on(0.2)


def gil_sleep() -> None:
    """C code that sleeps without letting go of the GIL."""
    libc = ctypes.PyDLL(None)

    def starved() -> None:
        while True:
            sum(range(1000))

    threading.Thread(target=starved, name="starved", daemon=True).start()
    ready()
    # sleep(3) returns the seconds left where a signal, or a tracer's stop, cut it short.
    say(f"woke {libc.sleep(3600)}")


def _suicide(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def pool_worker_killed() -> None:
    pool = multiprocessing.get_context("fork").Pool(2)
    result = pool.apply_async(_suicide, (1,))
    time.sleep(0.6)
    ready()
    result.get()


def asyncio_future() -> None:
    async def main() -> None:
        ready()
        await asyncio.get_running_loop().create_future()

    asyncio.run(main())


def future_of_itself() -> None:
    """A task of a pool of one that waits for a task of the same pool."""
    pool = concurrent.futures.ThreadPoolExecutor(1)

    def outer() -> None:
        ready()
        pool.submit(abs, 1).result()

    pool.submit(outer).result()


def mixed_tree() -> None:
    """A shell above a healthy worker and a deadlocked one."""
    here, me = Path(__file__).resolve(), sys.executable
    script = f"{me} {here.with_name('rests.py')} periodic_worker & exec {me} {here} self_deadlock"
    os.execvp("sh", ["sh", "-c", script])


def file_locks() -> None:
    """Two processes, two files, locked in opposite order."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in "ab"]
        mine, theirs = socket.socketpair()

        def take(first: str, second: str, meet: socket.socket) -> None:
            with open(first, "w") as one, open(second, "w") as two:
                fcntl.flock(one, fcntl.LOCK_EX)
                meet.send(b"x")
                meet.recv(1)
                fcntl.flock(two, fcntl.LOCK_EX)

        if os.fork() == 0:
            take(paths[1], paths[0], theirs)
            os._exit(0)
        ready()
        take(paths[0], paths[1], mine)


def semaphores_between_processes() -> None:
    """Two processes and two multiprocessing locks, in opposite order."""
    context = multiprocessing.get_context("fork")
    a, b, meet = context.Lock(), context.Lock(), context.Barrier(2)

    def take(first: object, second: object) -> None:
        with first:  # type: ignore[attr-defined]
            meet.wait()
            with second:  # type: ignore[attr-defined]
                pass

    child = context.Process(target=take, args=(b, a))
    child.start()
    threading.Timer(0.4, ready).start()
    take(a, b)


def rlock_inversion() -> None:
    """An RLock is released by its owner alone: a proof although the main thread lives on."""
    a, b, meet = threading.RLock(), threading.RLock(), threading.Barrier(3)

    def take(first: object, second: object) -> None:
        with first:  # type: ignore[attr-defined]
            meet.wait()
            with second:  # type: ignore[attr-defined]
                pass

    threading.Thread(target=take, args=(a, b), name="left", daemon=True).start()
    threading.Thread(target=take, args=(b, a), name="right", daemon=True).start()
    meet.wait()
    ready()
    beat_on(0.2)


def rlock_of_the_dead() -> None:
    lock = threading.RLock()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()
    ready()
    lock.acquire()


def lock_below_a_watchdog() -> None:
    """A deadlock beside a native thread that sleeps with a time limit: no closed set."""
    faulthandler.dump_traceback_later(FOREVER)
    lock = threading.Lock()
    taken = threading.Event()

    def keep() -> None:
        lock.acquire()
        taken.set()

    threading.Thread(target=keep).start()
    taken.wait()
    threading.Timer(0.1, ready).start()
    lock.acquire()


def socket_protocol() -> None:
    """Two processes that each wait for the other to speak first."""
    mine, theirs = socket.socketpair()
    if os.fork() == 0:
        mine.close()
        signal.signal(signal.SIGINT, lambda *_: theirs.send(b"x"))
        theirs.recv(1)
        os._exit(0)
    theirs.close()
    ready()
    say(f"received {mine.recv(1).decode()}")


def queue_in_a_queue() -> None:
    """Puts an item while it holds the queue's own lock, as a finaliser does that runs inside a put."""
    jobs: queue.Queue[int] = queue.Queue()
    with jobs.mutex:
        threading.Timer(0.1, ready).start()
        jobs.put(1)


def join_a_getter() -> None:
    """Forgot the sentinel: joins a thread that waits for an item nobody will put."""
    jobs: queue.Queue[int] = queue.Queue()
    thread = threading.Thread(target=jobs.get)
    thread.start()
    ready()
    thread.join()


if __name__ == "__main__":
    perform(globals())
