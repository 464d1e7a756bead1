"""Where a run hangs: said once, when nothing has happened for long."""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import time
from types import TracebackType

log = logging.getLogger(__name__)

CHECKS = 20  # in the time after which it speaks


class Watchdog:
    """A thread that prints where every thread is, when it was not fed for so many seconds."""

    def __init__(self, seconds: float | None):
        """None: it sleeps."""
        self._seconds = seconds
        self._fed, self._told = time.monotonic(), False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def feed(self) -> None:
        """Something has happened."""
        self._fed, self._told = time.monotonic(), False

    def __enter__(self) -> Watchdog:
        """Begins to watch."""
        self.feed()
        if self._seconds is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        assert self._seconds is not None
        while not self._ended.wait(self._seconds / CHECKS):
            if not self._told and time.monotonic() - self._fed > self._seconds:
                self._told = True
                log.warning("no step has ended for %.0f s; the threads are here, the newest call first:", self._seconds)
                faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
