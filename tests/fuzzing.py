"""Broken files for a reader: mutants of good ones, drawn from a seed, and what a reader may do with them."""

import collections
import contextlib
import copy
import pathlib
import random
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from jaxgan.errors import UserError

SECONDS, BYTES = 5.0, 2**30  # what one broken file may cost
TELLING = [b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"{[(", b'"\\', b"-1e999", b"\x80\x81"]
OTHERS = [None, True, -1, 0, 1.5, 10**15, 10**30, "", "x", "../x", [], [[1]], {}, {"x": {}}, float("nan")]


def mutants(originals: Iterable[bytes], count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` changed copies, of the originals in turn: bits flipped, spans lost, doubled, moved, or overwritten."""
    originals = list(originals)
    draws = np.random.default_rng(seed)
    for index in range(count):
        data = bytearray(originals[index % len(originals)])
        for _ in range(draws.choice([1, 1, 2, 8])):
            _change(data, draws)
        yield bytes(data)


def changed_values(content: Any, count: int, seed: int = 0) -> Iterator[Any]:
    """`count` copies of a JSON value in which a key was dropped, or a value replaced by one of another kind."""
    draws = random.Random(seed)
    for _ in range(count):
        changed = {"": copy.deepcopy(content)}
        for _ in range(draws.choice([1, 1, 2])):
            node: Any = changed
            place: Any = ""
            while isinstance(node[place], dict | list) and node[place] and draws.random() < 0.8:
                node = node[place]
                place = draws.choice(list(node) if isinstance(node, dict) else range(len(node)))
            if draws.random() < 0.3 and place != "" and isinstance(node, dict):
                del node[place]
            else:
                node[place] = copy.deepcopy(draws.choice(OTHERS))
        yield changed[""]


def read_mutants(
    read: Callable[[pathlib.Path], object],
    originals: Iterable[bytes],
    path: pathlib.Path,
    *,
    count: int = 1000,
    seed: int = 0,
    refusals: type[Exception] | tuple[type[Exception], ...] = UserError,
) -> collections.Counter[str]:
    """Writes each mutant to `path` and reads it; how many were "read" and how many "refused".

    Fails for every other exception, for a reader that takes over 5 s, and for one that takes over 1 GB of memory. The
    failing mutant is left in `path`. A reader that refuses nothing, or every original, is no reader: this fails too.
    """
    for whole in (originals := list(originals)):
        path.write_bytes(whole)
        read(path)
    told: collections.Counter[str] = collections.Counter()
    started = _start_peak()
    for index, mutant in enumerate(mutants(originals, count, seed)):
        path.write_bytes(mutant)
        began, reason = time.monotonic(), ""
        try:
            with _at_most(2 * SECONDS):
                read(path)
            told["read"] += 1
        except refusals as refusal:
            reason = str(refusal)
            told["refused"] += 1
        except BaseException as error:
            error.add_note(f"mutant {index} of seed {seed}, left in {path}")
            raise
        taken = time.monotonic() - began
        assert "\n" not in reason, f"mutant {index} of seed {seed}: more than one line: {reason}"
        assert taken < SECONDS, f"mutant {index} of seed {seed}, left in {path}, took {taken:.1f} s"
        assert _peak() - started < BYTES, f"mutant {index} of seed {seed}, left in {path}, took more than 1 GB"
    assert told["refused"], "no mutant was refused"
    return told


def _change(data: bytearray, draws: np.random.Generator) -> None:
    if not data:
        return
    at = int(draws.integers(len(data)))
    if draws.random() < 0.5:  # the heads of files say how to read the rest
        at = int(draws.integers(min(len(data), 512)))
    length = int(min(len(data) - at, draws.choice([1, 2, 4, 16, 256, 4096])))
    kind = draws.integers(7)
    if kind == 0:
        data[at] ^= 1 << int(draws.integers(8))
    elif kind == 1:
        data[at] = int(draws.integers(256))
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        del data[at : at + length]
    elif kind == 4:
        data[at:at] = data[at : at + length]
    elif kind == 5:
        telling = TELLING[int(draws.integers(len(TELLING)))]
        data[at : at + len(telling)] = telling
    else:
        data[at : at + length] = draws.bytes(length)


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Ends what runs in Python too long; what is held in a library is seen only when it returns."""

    def ring(*_: object) -> None:
        raise TimeoutError(f"over {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _start_peak() -> int:
    with contextlib.suppress(OSError):  # Linux: the peak is counted from here on
        pathlib.Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """The most memory that this process has had, in bytes; 0 where the system does not say."""
    try:
        told = re.search(r"VmHWM:\s*(\d+) kB", pathlib.Path("/proc/self/status").read_text())
    except OSError:
        return 0
    return int(told[1]) * 1024 if told else 0
