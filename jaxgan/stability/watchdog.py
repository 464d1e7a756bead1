"""Stack traces of a run that hangs."""

from __future__ import annotations

import faulthandler
import logging
import sys
import threading
import time
from types import TracebackType

log = logging.getLogger(__name__)

CHECKS = 20  # number of checks within the time limit


class Watchdog:
    """A thread that prints the stack traces of all threads, once, if it has not been fed for this many seconds."""

    def __init__(self, seconds: float | None):
        """`seconds`: the time limit; None disables the watchdog."""
        self._seconds = seconds
        self._fed, self._reported = time.monotonic(), False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def feed(self) -> None:
        """Restarts the time limit: the run has made progress."""
        self._fed, self._reported = time.monotonic(), False

    def __enter__(self) -> Watchdog:
        """Starts the thread."""
        self.feed()
        if self._seconds is not None:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops the thread."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        assert self._seconds is not None
        while not self._ended.wait(self._seconds / CHECKS):
            if not self._reported and time.monotonic() - self._fed > self._seconds:
                self._reported = True
                log.warning("no step has ended for %.0f s; stack traces, most recent call first:", self._seconds)
                faulthandler.dump_traceback(file=sys.__stderr__ or sys.stderr, all_threads=True)
