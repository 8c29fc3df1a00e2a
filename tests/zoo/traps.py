"""More programs that hang, by everyday mistakes: ``python traps.py NAME`` plays one, and prints ``ready``."""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import queue
import signal
import subprocess
import sys
import threading

from play import perform, ready


def semaphore_of_nobody() -> None:
    """C code that waits for a post that never comes."""
    libc, semaphore = ctypes.CDLL(None), ctypes.create_string_buffer(64)
    libc.sem_init(semaphore, 0, 0)
    ready()
    while libc.sem_wait(semaphore):
        pass


def asyncio_locks() -> None:
    async def main() -> None:
        a, b, meet = asyncio.Lock(), asyncio.Lock(), asyncio.Event()

        async def take(first: asyncio.Lock, second: asyncio.Lock) -> None:
            async with first:
                await meet.wait()
                async with second:
                    pass

        tasks = [asyncio.create_task(take(a, b)), asyncio.create_task(take(b, a))]
        await asyncio.sleep(0)
        meet.set()
        ready()
        await asyncio.gather(*tasks)

    asyncio.run(main())


def nobody_notifies() -> None:
    condition = threading.Condition()

    def wait() -> None:
        with condition:
            condition.wait()

    thread = threading.Thread(target=wait, name="waiter")
    thread.start()
    ready()
    thread.join()


def too_few_at_a_barrier() -> None:
    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=barrier.wait) for _ in range(2)]
    for thread in threads:
        thread.start()
    ready()
    for thread in threads:
        thread.join()


def error_pipe_full() -> None:
    """Reads the output of a child that can't get rid of its errors."""
    code = "import os; os.write(2, b'x' * 1_000_000)"
    pipe = subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-I", "-c", code], stdout=pipe, stderr=pipe)
    assert child.stdout is not None
    ready()
    child.stdout.read()


def input_never_closed() -> None:
    """Waits for a child that waits for the end of its input."""
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    ready()
    child.wait()


def own_writing_end() -> None:
    """Waits for the end of a pipe whose other end it forgot to close."""
    reader, writer = os.pipe()
    ready()
    os.read(reader, 1)
    os.close(writer)


def item_under_a_lock() -> None:
    """The one who could bring the item wants the lock under which it is waited for."""
    items: queue.Queue[int] = queue.Queue()
    lock, taken = threading.Lock(), threading.Event()

    def consumer() -> None:
        with lock:
            taken.set()
            items.get()

    def producer() -> None:
        taken.wait()
        with lock:
            items.put(1)

    threads = [threading.Thread(target=one, name=one.__name__) for one in (consumer, producer)]
    for thread in threads:
        thread.start()
    ready()
    for thread in threads:
        thread.join()


def lock_in_a_handler() -> None:
    """A signal's handler wants the lock that the code it interrupted holds."""
    lock = threading.Lock()

    def handler(*_: object) -> None:
        ready()
        with lock:
            pass

    signal.signal(signal.SIGUSR1, handler)
    with lock:
        signal.raise_signal(signal.SIGUSR1)


def _locks_twice() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def task_of_a_pool() -> None:
    pool = multiprocessing.get_context("fork").Pool(2)
    ready()
    pool.apply(_locks_twice)


def pipeline_of_the_stuck() -> None:
    """A shell and a reader that wait for a program that hangs."""
    os.execvp("sh", ["sh", "-c", f"{sys.executable} {__file__} nobody_notifies | cat; :"])


if __name__ == "__main__":
    perform(globals())
