"""Services, pipelines and worker pools at rest: ``python services.py NAME`` plays one, and prints ``ready``.

Each looks like a hang to whoever sees its system calls alone.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import multiprocessing
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from play import FOREVER, perform, ready

CREATED = 0x100
"""IN_CREATE of inotify(7)."""


def served_clients() -> None:
    """An event loop and clients that have nothing to say."""

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async def main() -> None:
        server = await asyncio.start_server(listen, "127.0.0.1", 0)
        code = (
            "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1]))).recv(1)"
        )
        port = str(server.sockets[0].getsockname()[1])
        for _ in range(2):
            await asyncio.create_subprocess_exec(sys.executable, "-I", "-c", code, port)
        ready()
        await server.serve_forever()

    asyncio.run(main())


def _preforked() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    for _ in range(3):
        if os.fork() == 0:
            server.accept()
    server.close()


def prefork() -> None:
    """A master that looks after its workers, which wait for a connection."""
    signals, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(signals, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    _preforked()
    ready()
    while True:
        if select.select([signals], [], [], FOREVER)[0]:
            os.read(signals, 64)


def prefork_and_wait() -> None:
    _preforked()
    ready()
    os.wait()


def pipeline_of_a_slow_reader() -> None:
    ready()
    os.execvp("sh", ["sh", "-c", "yes | (read line; sleep 3600; :)"])


def watched_folder() -> None:
    """A thread that waits for a change of a folder, and the main thread for it."""
    libc = ctypes.CDLL(None)
    with tempfile.TemporaryDirectory() as folder:
        watch = libc.inotify_init()
        libc.inotify_add_watch(watch, os.fsencode(folder), CREATED)
        thread = threading.Thread(target=os.read, args=(watch, 4096))
        thread.start()
        ready()
        thread.join()


def executor_and_timer() -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(abs, range(4)))
        timer = threading.Timer(FOREVER, ready)
        timer.start()
        ready()
        timer.join()


def manager_and_clients() -> None:
    """A server process for shared things, and workers that ask it for an item."""
    context = multiprocessing.get_context("fork")
    items = context.Manager().Queue()
    for _ in range(2):
        context.Process(target=items.get, daemon=True).start()
    ready()
    threading.Event().wait()


def told_by_a_signal() -> None:
    """The main thread joins a worker that rests until the handler of SIGTERM sends it home."""
    home = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: home.set())
    thread = threading.Thread(target=home.wait, name="worker")
    thread.start()
    ready()
    thread.join()


def executor_told_by_a_signal() -> None:
    home = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: home.set())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        future = pool.submit(home.wait)
        ready()
        future.result()


def workers_of_a_condition() -> None:
    """A pool made by hand, below a main thread that rests."""
    work = threading.Condition()

    def worker() -> None:
        with work:
            work.wait()

    for _ in range(2):
        threading.Thread(target=worker, daemon=True).start()
    ready()
    threading.Event().wait()


def helper_with_a_thread() -> None:
    """A helper that waits for its parent's word, with a thread of its own that waits for work."""
    code = (
        "import sys, threading\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "sys.stdin.read()"
    )
    subprocess.Popen([sys.executable, "-I", "-c", code], stdin=subprocess.PIPE)
    ready()
    threading.Event().wait()


def reader_of_the_stopped() -> None:
    """SIGCONT would let the other end speak."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.write(writer, b"x")
        os._exit(0)
    os.close(writer)
    ready()
    os.read(reader, 1)


def fifo_of_nobody() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        ready()
        open(path).close()


def background_sleep() -> None:
    """What keeps a container alive."""
    ready()
    os.execvp("sh", ["sh", "-c", "sleep infinity & wait"])


if __name__ == "__main__":
    perform(globals())
