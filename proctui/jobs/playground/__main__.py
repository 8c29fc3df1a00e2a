"""The leader of the playground: starts the parts and writes a log that has something in it."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import sys
import threading
from multiprocessing.pool import Pool

from proctui.jobs.playground import parts
from proctui.jobs.playground.life import LIFETIME, Lease
from proctui.jobs.titles import rename

log = logging.getLogger("shop")

_COLOURS = {"DEBUG": 90, "INFO": 36, "WARNING": 33, "ERROR": 31, "CRITICAL": 35}


class _Coloured(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        level = f"\x1b[{_COLOURS[record.levelname]}m{record.levelname:<8}\x1b[0m"
        return text.replace(record.levelname, level, 1)


def _prepare_log() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Coloured("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)


def _settle(order: int) -> None:
    """Fails the way programs fail: one exception out of another."""
    rates = {"EUR": 1.0, "USD": 1.08}
    try:
        rates["XAU"]
    except KeyError as error:
        raise ValueError(f"order {order}: no rate for XAU") from error


def _progress(lease: Lease) -> bool:
    for done in range(0, 101, 5):
        bar = "█" * (done // 5) + "░" * (20 - done // 5)
        sys.stdout.write(f"\rindexing {bar} {done:3d} %")
        sys.stdout.flush()
        if not lease.rest(0.1):
            return False
    sys.stdout.write("\n")
    sys.stdout.flush()
    return True


def _write_log(lease: Lease) -> None:
    for order in itertools.count(1000):
        log.info("order %d accepted from %s", order, ("Zoë", "Łukasz", "美咲", "Ngũgĩ")[order % 4])
        if order % 3 == 0:
            log.debug("cache: %d entries, hit rate %.1f %%", 40 + order % 17, 80 + order % 19)
        if order % 7 == 0:
            log.warning("payment of order %d is slow (%d ms)", order, 900 + order % 400)
        if order % 11 == 0:
            try:
                _settle(order)
            except ValueError:
                log.exception("order %d could not be settled", order)
        if order % 25 == 0 and not _progress(lease):
            return
        if order % 40 == 0:
            log.critical("queue ‘payments’ is full, dropping the oldest entry")
        if not lease.rest(0.4):
            return


def _feed(pool: Pool) -> None:
    for _ in pool.imap(parts.worker, itertools.repeat(1, 4 * round(LIFETIME))):
        pass


def _lead() -> None:
    _prepare_log()
    rename("shop", "shop: leader")
    lease = Lease()
    log.info("the shop opens: two pool workers, a busy one, a growing one, and trouble")
    context = multiprocessing.get_context("fork")
    with context.Pool(2, initializer=parts.begin_worker) as pool:
        children = {name: parts.start(name) for name in parts.PARTS}
        children["stray"].wait()
        tasks = threading.Thread(target=_feed, args=(pool,), name="orders", daemon=True)
        tasks.start()
        _write_log(lease)
        log.info("the shop closes")


def main() -> None:
    if len(sys.argv) > 1:
        parts.play(sys.argv[1])
    else:
        _lead()


if __name__ == "__main__":
    main()
