"""Reliable handling of SIGTERM, SIGHUP and Ctrl-C.

A handler that only raises is not enough: Python drops exceptions raised inside garbage collector callbacks and
finalizers, and libraries replace them by their own. So the handler also sets a flag. Long computations test it
(`check`), and so does `main` when an exception ends a command: the exit status is then that of the signal.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from jaxgan.errors import CTRL_C, INTERRUPTED

NUMBERS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class SignalReceived(KeyboardInterrupt):
    """A signal asks this process to end. Libraries do not catch it, since it derives from KeyboardInterrupt."""


@dataclasses.dataclass
class _Heard:
    """The state of signal handling, one per process like the handlers."""

    numbers: set[int] = dataclasses.field(default_factory=set)  # received since the outermost `listening` began
    listening: bool = False
    deferred: int = 0  # number of active `deferred` contexts
    held: int = 0  # number of active `held` contexts
    shared: bool = False  # whether a `shared` context is active


_heard = _Heard()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Within this context, a signal sets the flag and raises SignalReceived. In the main thread only.

    A signal that the caller ignores, as nohup does with SIGHUP, stays ignored, except Ctrl-C, which shells ignore for
    all background processes. A nested `listening` has no effect.
    """
    if _heard.listening or threading.current_thread() is not threading.main_thread():
        yield
        return
    _heard.numbers, _heard.listening = set(), True
    before: dict[signal.Signals, Any] = {}
    unraisable = sys.unraisablehook

    def hook(raised: Any) -> None:
        if not issubclass(raised.exc_type, KeyboardInterrupt):  # the next `check` raises it again: print no traceback
            unraisable(raised)

    sys.unraisablehook = hook
    try:
        for number in NUMBERS:
            if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, _hear)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        sys.unraisablehook = unraisable
        _heard.listening = False


def end_once() -> None:
    """After `listening` received a signal, later signals no longer change how the process ends.

    Otherwise a launcher that sends two signals would see the process killed, although it has saved. Only a second
    Ctrl-C ends a process at once that does not exit.
    """
    atexit.register(_ended)  # registered first, so called last
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear_again)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Within this context, a signal only sets the flag: for code that must not be interrupted and tests the flag.

    A second Ctrl-C raises KeyboardInterrupt.
    """
    _heard.deferred += 1
    try:
        yield
    finally:
        _heard.deferred -= 1


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Within this context, `check` does not raise either: for work that must be finished."""
    _heard.held += 1
    try:
        with deferred():
            yield
    finally:
        _heard.held -= 1


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Within this context, signals concern several processes, which must end together: `check` does not raise.

    Jax's preemption service handles SIGTERM and notifies the other processes; other signals are forwarded to it.
    """
    _heard.shared = True
    try:
        if _heard.numbers:
            os.kill(os.getpid(), signal.SIGTERM)  # received while this process waited for the others
        yield
    finally:
        _heard.shared = False


def check() -> None:
    """Raises SignalReceived if a signal was received."""
    if _heard.listening and _heard.numbers and not _heard.held and not _heard.shared:
        raise SignalReceived


def caught() -> int | None:
    """The signal received since the last `listening` began, or None; of several, Ctrl-C takes precedence."""
    if not _heard.numbers:
        return None
    return int(signal.SIGINT) if signal.SIGINT in _heard.numbers else min(_heard.numbers)


def status() -> int:
    """The exit status after a signal."""
    return CTRL_C if caught() == signal.SIGINT else INTERRUPTED


def _ended() -> None:
    """Ignores signals during finalization, when Python restores handlers but leaves ignored signals alone."""
    for number in NUMBERS if _heard.numbers else ():
        signal.signal(number, signal.SIG_IGN)


def _hear_again(number: int, _frame: FrameType | None) -> None:
    """The handler outside of `listening`, after `end_once`."""
    if not _heard.numbers:  # no signal was received before: act as without a handler
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    elif number == signal.SIGINT and number in _heard.numbers:
        os._exit(CTRL_C)


def _hear(number: int, _frame: FrameType | None) -> None:
    repeated, others = number in _heard.numbers, _heard.numbers - {number}
    _heard.numbers = _heard.numbers | {number}
    if _heard.shared or _heard.deferred:
        if number == signal.SIGINT and repeated:
            raise KeyboardInterrupt
        if _heard.shared:
            os.kill(os.getpid(), signal.SIGTERM)
    elif repeated or not others:  # a closing terminal sends SIGHUP and its launcher SIGTERM: raise once
        raise SignalReceived
