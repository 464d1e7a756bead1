"""SIGTERM, SIGHUP and Ctrl-C: how a process hears of them, wherever it is.

A handler that only raises is not enough: Python drops an exception that is raised inside a callback of the garbage
collector or a finalizer, and libraries turn it into one of their own. So the handler first sets a flag. Whatever takes
long looks at it (`check`), and `main` does when an exception ends a command: then the status is that of the signal.
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


class Told(KeyboardInterrupt):
    """A signal asks this process to end. Libraries let it through as they do with Ctrl-C."""


@dataclasses.dataclass
class _Heard:
    """What is known of signals: of the process, as the handlers are."""

    numbers: set[int] = dataclasses.field(default_factory=set)  # that came since the outermost `listening` began
    listening: bool = False
    deferred: int = 0  # how many ask that a signal does nothing but set the flag
    held: int = 0  # how many ask that not even `check` raises
    shared: bool = False  # by several processes


_heard = _Heard()


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Inside, a signal sets the flag and raises Told; in the main thread only, elsewhere Python allows no handlers.

    A signal that the caller ignores, as nohup does with SIGHUP, stays ignored, but for Ctrl-C: a shell ignores it for
    all that it starts in the background. Within another `listening` it does nothing.
    """
    if _heard.listening or threading.current_thread() is not threading.main_thread():
        yield
        return
    _heard.numbers, _heard.listening = set(), True
    before: dict[signal.Signals, Any] = {}
    unraisable = sys.unraisablehook

    def hook(raised: Any) -> None:
        if not issubclass(raised.exc_type, KeyboardInterrupt):  # dropped, and heard at the next `check`: no traceback
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
    """From now on, a signal that comes after `listening` heard one does not change how the process ends.

    For a process that ends after it: a launcher that sends two would otherwise see it killed, where it was saved. Only
    Ctrl-C ends at once what does not end.
    """
    atexit.register(_ended)  # the first that is registered is the last that is called
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear_again)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Inside, a signal sets the flag and raises nothing: for what must not be torn, and looks at the flag itself.

    A second Ctrl-C raises KeyboardInterrupt.
    """
    _heard.deferred += 1
    try:
        yield
    finally:
        _heard.deferred -= 1


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Inside, not even `check` raises: for what is to be brought to its end."""
    _heard.held += 1
    try:
        with deferred():
            yield
    finally:
        _heard.held -= 1


@contextlib.contextmanager
def shared() -> Iterator[None]:
    """Inside, signals are for several processes, of which none leaves alone: `check` raises nothing.

    Jax's preemption service has taken SIGTERM over and tells the others; the other signals are handed on to it.
    """
    _heard.shared = True
    try:
        if _heard.numbers:
            os.kill(os.getpid(), signal.SIGTERM)  # it came while this process waited for the others
        yield
    finally:
        _heard.shared = False


def check() -> None:
    """Raises Told where a signal has come."""
    if _heard.listening and _heard.numbers and not _heard.held and not _heard.shared:
        raise Told


def caught() -> int | None:
    """The signal that has come since the last `listening` began; of several Ctrl-C, as a person wants the end."""
    if not _heard.numbers:
        return None
    return int(signal.SIGINT) if signal.SIGINT in _heard.numbers else min(_heard.numbers)


def status() -> int:
    """What the process ends with after a signal."""
    return CTRL_C if caught() == signal.SIGINT else INTERRUPTED


def _ended() -> None:
    """Python's finalization gives handlers back, but leaves alone what is ignored."""
    for number in NUMBERS if _heard.numbers else ():
        signal.signal(number, signal.SIG_IGN)


def _hear_again(number: int, _frame: FrameType | None) -> None:
    """Outside of `listening`, in a process of which `end_once` was asked."""
    if not _heard.numbers:  # nothing was heard: as without a handler
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
    elif repeated or not others:  # a terminal that closes sends SIGHUP, and a launcher SIGTERM: one chosen
        raise Told
