"""Programs that rest, wait or work: ``python rests.py NAME`` plays one, and prints ``ready``.

None of them hangs, however much some look like it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import ctypes
import multiprocessing
import os
import queue
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

from play import FOREVER, beat, perform, ready, say


def lock_chain() -> None:
    """Waits for a lock whose holder will go on: no hang."""
    a, b, stand = threading.Lock(), threading.Lock(), threading.Event()

    def holder() -> None:
        with a:
            stand.set()
            time.sleep(FOREVER)

    def middle() -> None:
        with b, a:
            pass

    def last() -> None:
        with b:
            pass

    threading.Thread(target=holder, daemon=True).start()
    stand.wait()
    threading.Thread(target=middle, daemon=True).start()
    time.sleep(0.1)
    threading.Thread(target=last, daemon=True).start()
    time.sleep(0.1)
    ready()
    time.sleep(FOREVER)


def vfork_d_state() -> None:
    """The parent of a vfork child that pauses stands in state D."""
    libc = ctypes.CDLL(None)
    ready()
    if libc.vfork() == 0:
        libc.pause()


def busy_loop() -> None:
    ready()
    while True:
        pass


def tty_input() -> None:
    ready()
    say(f"read {input()}")


def socket_receive() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname())
    other, _ = server.accept()
    if os.fork() == 0:
        client.close()
        signal.signal(signal.SIGINT, lambda *_: other.send(b"x"))
        time.sleep(FOREVER)
    other.close()
    ready()
    say(f"received {client.recv(1).decode()}")


def idle_pool() -> None:
    pool = multiprocessing.get_context("fork").Pool(3)
    pool.map(abs, range(6))
    ready()
    time.sleep(FOREVER)


def idle_process_pool() -> None:
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        list(pool.map(abs, range(6)))
        ready()
        time.sleep(FOREVER)


def idle_executor() -> None:
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(abs, range(6)))
        ready()
        threading.Event().wait()


def idle_queue_workers() -> None:
    jobs: queue.Queue[int] = queue.Queue()
    for _ in range(3):
        threading.Thread(target=jobs.get, daemon=True).start()
    ready()
    while True:
        signal.pause()


def idle_server() -> None:
    with socketserver.ThreadingTCPServer(
        ("127.0.0.1", 0), socketserver.BaseRequestHandler
    ) as server:
        ready()
        server.serve_forever(poll_interval=FOREVER)


def idle_asyncio_server() -> None:
    async def main() -> None:
        server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        ready()
        await server.serve_forever()

    asyncio.run(main())


def periodic_worker() -> None:
    ready()
    while True:
        sum(range(1000))
        beat()
        time.sleep(0.1)


def back_pressure() -> None:
    """A writer whose pipe is full because its reader is slow, and which loses nothing by that."""
    code = "import os\nwhile True: os.write(1, bytes(range(251)) * 300)"
    child = subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    ready()
    taken = 0
    while True:
        for byte in os.read(child.stdout.fileno(), 1024):
            if byte != taken % 251:
                say(f"lost at {taken}")
            taken += 1
        beat()
        time.sleep(0.3)


def stopped() -> None:
    ready()
    os.kill(os.getpid(), signal.SIGSTOP)
    say("went on")


def zombie() -> None:
    if os.fork() == 0:
        os._exit(0)
    time.sleep(0.1)
    ready()
    time.sleep(FOREVER)


def shell() -> None:
    """Not Python: a shell that waits for a sleeping child."""
    ready()
    os.execvp("sh", ["sh", "-c", "sleep 3600; :"])


def _hold(lock: object, taken: threading.Event) -> None:
    with lock:  # type: ignore[attr-defined]
        taken.set()
        time.sleep(FOREVER)


def contended_between_processes() -> None:
    """Waits for a lock that another process holds and will release."""
    context = multiprocessing.get_context("fork")
    lock, taken = context.Lock(), context.Event()
    context.Process(target=_hold, args=(lock, taken)).start()
    taken.wait()
    ready()
    with lock:
        pass


def lock_as_a_signal() -> None:
    """A timer of the library will release it: no code of the program runs meanwhile."""
    lock = threading.Lock()
    lock.acquire()
    threading.Timer(FOREVER, lock.release).start()
    ready()
    lock.acquire()


def joined_server() -> None:
    """The main thread joins a server's thread: it lives as long as the server."""
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler)
    thread = threading.Thread(target=server.serve_forever, args=(FOREVER,))
    thread.start()
    ready()
    thread.join()


def rlock_chain() -> None:
    """Its owner sleeps with a time limit: no hang."""
    lock, taken = threading.RLock(), threading.Event()

    def keep() -> None:
        with lock:
            taken.set()
            time.sleep(FOREVER)

    threading.Thread(target=keep).start()
    taken.wait()
    ready()
    lock.acquire()


def service() -> None:
    """Rests until a signal ends it, beside a helper that waits for its word: closed, but no hang."""
    subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    ready()
    threading.Event().wait()


def launcher() -> None:
    """Waits for the exit of a program that rests until a signal ends it."""
    code = "import threading; threading.Event().wait()"
    child = subprocess.Popen([sys.executable, "-I", "-c", code])
    ready()
    child.wait()


def ends_what_hangs() -> None:
    """Its child is deadlocked, but a timer of its own will end that one."""
    code = "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()"
    child = subprocess.Popen([sys.executable, "-I", "-c", code])
    timer = threading.Timer(FOREVER, child.kill)
    timer.daemon = True
    timer.start()
    ready()
    child.wait()


def fifo_daemon() -> None:
    """Holds both ends of a FIFO, as daemons do, and waits for whoever opens it to say something."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        fifo = os.open(path, os.O_RDWR)
        ready()
        os.read(fifo, 1)


def sleeper() -> None:
    ready()
    time.sleep(FOREVER)


def signal_waiter() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ready()
    while True:
        signal.pause()


if __name__ == "__main__":
    perform(globals())
