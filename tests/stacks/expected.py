"""Which verdict each program of the zoo is to get, by which evidence, and what of it moves."""

from __future__ import annotations

from typing import NamedTuple

HANG = frozenset({"suspected", "deadlock-proven"})


class Expected(NamedTuple):
    """The verdict of the started process, words of its evidence, and whom the cycle holds."""

    verdict: str
    evidence: tuple[str, ...] = ()
    cycle: str | None = None
    child: str | None = None


EXPECTED = {
    "lock_inversion": Expected("deadlock-proven", ("waiting for a lock", "left", "right"), "2 threads"),
    "lock_inversion_watched": Expected(
        "suspected", ("waits for the lock b, which", "took at line", "unless"), "2 threads"
    ),
    "three_way": Expected("deadlock-proven", ("philosopher-0", "philosopher-2"), "3 threads"),
    "self_deadlock": Expected("deadlock-proven", ("self_deadlock (zoo/hangs.py", "a lock"), "1 threads"),
    "mp_queue_join": Expected(
        "deadlock-proven",
        ("waits for the exit of", "QueueFeederThread", "writes a full pipe"),
        "2 processes",
        "deadlock-proven",
    ),
    "fork_with_lock": Expected(
        "deadlock-proven", ("waits for the exit of", "waiting for a lock"), "1 processes", "deadlock-proven"
    ),
    "pipe_full": Expected(
        "deadlock-proven",
        ("waits for the exit of", "writes a full pipe that only"),
        "2 processes",
        "deadlock-proven",
    ),
    "pipe_full_with_timer": Expected(
        "suspected", ("a timer sends", "SIGALRM", "unless"), "2 processes", "suspected"
    ),
    "native_mutex": Expected("deadlock-proven", ("waits for a mutex that thread",), "2 threads"),
    "lock_chain": Expected("waiting", ("waiting for a lock",)),
    "gil_sleep": Expected("suspected", ("holding the GIL", "1 thread waits for the GIL")),
    "vfork_d_state": Expected("waiting", ("uninterruptible sleep in vfork",), None, "waiting"),
    "busy_loop": Expected("running", ("of a core", "busy_loop")),
    "tty_input": Expected("waiting", ("reading the terminal /dev/pts/",)),
    "socket_receive": Expected("waiting", ("waits for data of a tcp socket whose other end", "127.0.0.1:"), None, "idle"),
    "pool_worker_killed": Expected("deadlock-proven", ("waiting for a result of its pool",), None, "idle"),
    "idle_pool": Expected("idle", ("sleeping",), None, "idle"),
    "idle_process_pool": Expected("idle", ("sleeping",), None, "idle"),
    "idle_executor": Expected("waiting", ("waiting for an event",)),
    "idle_queue_workers": Expected("waiting", ("waiting for a signal",)),
    "idle_server": Expected("idle", ("waiting for a request",)),
    "idle_asyncio_server": Expected("idle", ("anyone who connects to 127.0.0.1",)),
    "asyncio_future": Expected("suspected", ("its event loop", "unless", "a signal handler sets")),
    "future_of_itself": Expected("deadlock-proven", ("waiting for a future's result",), "2 threads"),
    "periodic_worker": Expected("idle", ("sleeping",)),
    "back_pressure": Expected("idle", ("sleeping",), None, "waiting"),
    "stopped": Expected("waiting", ("stopped by a signal",)),
    "zombie": Expected("idle", ("sleeping",), None, "waiting"),
    "shell": Expected("waiting", ("waits for the exit of its only child",), None, "idle"),
    "mixed_tree": Expected("deadlock-proven", ("waiting for a lock",), "1 threads", "idle"),
    "file_locks": Expected("deadlock-proven", ("waits for a file lock of",), "2 processes", "deadlock-proven"),
    "semaphores_between_processes": Expected(
        "deadlock-proven", ("waits for a lock or semaphore that",), "2 processes", "deadlock-proven"
    ),
    "contended_between_processes": Expected("waiting", ("waiting for a lock between",), None, "idle"),
    "lock_as_a_signal": Expected("waiting", ("waiting for a lock",)),
    "joined_server": Expected("waiting", ("waiting for a thread to end",)),
    "lock_below_a_watchdog": Expected("suspected", ("waiting for a lock", "unless")),
    "rlock_inversion": Expected("deadlock-proven", ("left", "waits for an RLock that thread"), "2 threads"),
    "rlock_chain": Expected("waiting", ("waiting for a lock",)),
    "rlock_of_the_dead": Expected("deadlock-proven", ("rlock_of_the_dead (zoo/hangs.py",), "1 threads"),
    "socket_protocol": Expected(
        "suspected", ("unix socket whose other end", "SO_RCVTIMEO"), "2 processes", "suspected"
    ),
    "join_a_getter": Expected("deadlock-proven", ("waiting for a thread to end",)),
    "queue_in_a_queue": Expected("deadlock-proven", ("waiting for a condition's lock",), "1 threads"),
    "service": Expected("waiting", ("waiting for an event to be set",), None, "waiting"),
    "launcher": Expected("waiting", ("waits for the exit of",), None, "waiting"),
    "ends_what_hangs": Expected("waiting", ("waits for the exit of",), None, "deadlock-proven"),
    "fifo_daemon": Expected("waiting", ("reading FIFO", "whoever opens the FIFO")),
    "sleeper": Expected("idle", ("sleeping, at most",)),
    "signal_waiter": Expected("waiting", ("waiting for a signal",)),
    "semaphore_of_nobody": Expected("deadlock-proven", ("waiting in native code",), "1 threads"),
    "asyncio_locks": Expected("suspected", ("its event loop", "unless")),
    "nobody_notifies": Expected(
        "deadlock-proven", ("waiting for a thread to end", "waiter", "a condition to be notified"), "2 threads"
    ),
    "too_few_at_a_barrier": Expected("deadlock-proven", ("waiting for the others at a barrier",), "3 threads"),
    "error_pipe_full": Expected(
        "deadlock-proven", ("reads an empty pipe that only", "writes a full pipe that only"), "2 processes", "deadlock-proven"
    ),
    "input_never_closed": Expected(
        "deadlock-proven", ("waits for the exit of", "reads an empty pipe that only"), "2 processes", "deadlock-proven"
    ),
    "own_writing_end": Expected("deadlock-proven", ("reading pipe:",)),
    "item_under_a_lock": Expected(
        "deadlock-proven", ("producer", "waiting for a lock", "consumer", "an item of a queue"), "1 threads"
    ),
    "lock_in_a_handler": Expected("deadlock-proven", ("handler (zoo/traps.py", "a lock"), "1 threads"),
    "task_of_a_pool": Expected(
        "deadlock-proven", ("waiting for a result of its pool", "_locks_twice (zoo/traps.py", "a lock")
    ),
    "pipeline_of_the_stuck": Expected(
        "deadlock-proven", ("waits for one of its 2 children to exit", "nobody_notifies (zoo/traps.py")
    ),
    "served_clients": Expected("waiting", ("anyone who connects to 127.0.0.1",), None, "waiting"),
    "prefork": Expected("idle", ("select on pipe:",), None, "idle"),
    "prefork_and_wait": Expected("waiting", ("waits for one of its 3 children to exit",), None, "idle"),
    "pipeline_of_a_slow_reader": Expected("waiting", ("waits for one of its 2 children to exit",)),
    "manager_and_clients": Expected("waiting", ("waiting for an event to be set",)),
    "watched_folder": Expected("waiting", ("ended by a change of what inotify watches",)),
    "executor_and_timer": Expected("waiting", ("waiting for a thread to end",)),
    "told_by_a_signal": Expected("waiting", ("waiting for a thread to end", "worker")),
    "executor_told_by_a_signal": Expected("waiting", ("waiting for a future's result",)),
    "workers_of_a_condition": Expected("waiting", ("waiting for an event", "a condition to be notified")),
    "helper_with_a_thread": Expected("waiting", ("waiting for an event",), None, "waiting"),
    "reader_of_the_stopped": Expected("waiting", ("reads an empty pipe that only", "is stopped"), None, "waiting"),
    "fifo_of_nobody": Expected("waiting", ("opening the FIFO /", "its other end to be opened")),
    "background_sleep": Expected("waiting", (), None, "waiting"),
}  # fmt: skip


MOVING = frozenset(
    {
        "lock_inversion_watched",
        "native_mutex",
        "rlock_inversion",
        "periodic_worker",
        "back_pressure",
    }
)
"""Their main threads live on and beat all the while."""
BUSY = MOVING | {"mixed_tree", "busy_loop", "gil_sleep", "manager_and_clients"}
"""Some thread of theirs runs without being asked."""
MUTE = {
    "gil_sleep": "SIGINT would end its sleep",
    "vfork_d_state": "no signal reaches state D",
    "shell": "SIGINT would end it",
    "pipeline_of_a_slow_reader": "SIGINT would end it",
    "background_sleep": "SIGINT would end it",
    "pipeline_of_the_stuck": "SIGINT would end it",
    "stopped": "no signal but SIGCONT reaches it",
}
"""Plays that can't answer; their traffic, and that no thread ran, is compared like all others'."""
BLIND = {
    "mp_queue_join",
    "pipe_full",
    "pool_worker_killed",
    "semaphores_between_processes",
    "file_locks",
    "error_pipe_full",
    "input_never_closed",
    "own_writing_end",
    "task_of_a_pool",
    "pipeline_of_the_stuck",
}
"""To an ordinary user, any process of another may hold the other end: no proof."""
