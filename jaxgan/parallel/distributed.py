"""Several processes of one run: how they connect, what only the first one does, and how they end together.

Built on `jax.distributed`, which does not report which process was lost; this module does, within seconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import itertools
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxgan.errors import LOST, UserError
from jaxgan.parallel.flags import find_platform

T = TypeVar("T")

BEAT = 2.0  # seconds between two heartbeats
SILENT = 25.0  # seconds without a heartbeat after which a process counts as lost
HEARTBEAT = 60  # jax's own limit in seconds, which also covers a process whose heartbeat thread has died
SHUTDOWN = 20  # seconds for which an ending process waits for the others to end
PATIENCE = 24 * 3600 * 1000  # milliseconds for which the other processes wait for a result of the first one
_broadcasts = itertools.count()  # numbers the results of the first process; the count is the same in all processes
_abandoned = threading.Event()  # set if this process has left the others because of an error
DIGITS = 9  # maximum digits of a number of processes
STATUS = re.compile(r"(UNKNOWN|INTERNAL|UNAVAILABLE|ABORTED|CANCELLED|DEADLINE_EXCEEDED): ")  # of XLA's errors
FLAGS = ("coordinator", "num_processes", "process_id")


class Processes(NamedTuple):
    """The address of process 0 (`HOST:PORT`), the number of processes, and the index of this one."""

    coordinator: str | None = None
    number: int | None = None
    process: int | None = None


def read_processes(options: Mapping[str, str]) -> Processes | None:
    """The values of the three flags; None if none is given. Raises UserError if one is missing or invalid."""
    given = [flag for flag in FLAGS if flag in options]
    if not given:
        return None
    if len(given) < len(FLAGS):
        missing = ", ".join(f"--{flag}" for flag in FLAGS if flag not in given)
        raise UserError(f"--{given[0]}: got it without {missing}; expected all three or none")
    host, _, port = options["coordinator"].rpartition(":")
    if not host or not port.isdecimal() or len(port) > 5 or not 0 < int(port) < 2**16:
        raise UserError(f"--coordinator: got {options['coordinator']!r}, expected HOST:PORT of process 0")
    number, index = (options[flag] for flag in FLAGS[1:])
    if not number.isdecimal() or len(number) > DIGITS or int(number) < 1:
        raise UserError(f"--num_processes: got {number!r}, expected 1 or more")
    if not index.isdecimal() or len(index) > DIGITS or int(index) >= int(number):
        raise UserError(f"--process_id: got {index!r}, expected 0 to {int(number) - 1}")
    return Processes(options["coordinator"], int(number), int(index))


@contextlib.contextmanager
def joined(wanted: Processes | None) -> Iterator[None]:
    """Joins the processes of a run, before the first array is made, and ends together with them.

    None: the processes that the environment declares (Slurm, Open MPI, Cloud TPU, GKE), if any. If a process is lost
    inside the context, this one ends with status LOST and a line that names the lost one.
    """
    if wanted is None and not surrounded(os.environ):
        yield
        return
    asked = Processes() if wanted is None else wanted
    try:  # fails for a TPU that is not part of a slice
        jax.distributed.initialize(
            coordinator_address=asked.coordinator,
            num_processes=asked.number,
            process_id=asked.process,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=SHUTDOWN,
        )
    except ValueError as error:
        if wanted is not None:
            raise UserError(f"the processes cannot connect: {error}") from None
    if not several():
        yield
        return
    try:
        with _aborts_wait(), Peers(_client(), jax.process_index(), jax.process_count(), leader=_leader()):
            yield
            together("the end")
    except BaseException:
        _abandoned.set()
        raise
    jax.distributed.shutdown()


def leave(status: int) -> None:
    """Ends the process with this status, at once, if it left the other processes because of an error.

    At a normal exit of Python jax would wait for them, and abort if they do not come.
    """
    if _abandoned.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def surrounded(environ: Mapping[str, str]) -> bool:
    """Whether jax will find other processes by itself; `jax.distributed.initialize` would raise if not."""
    if int(environ.get("SLURM_STEP_NUM_TASKS", "1")) > 1 and "SLURM_PROCID" in environ:
        return True
    if int(environ.get("OMPI_COMM_WORLD_SIZE", "1")) > 1:
        return True
    if find_platform(environ) != "tpu":
        return False
    if "TPU_SKIP_MDS_QUERY" not in environ:  # a Cloud TPU, whose metadata server jax queries
        return True
    # GKE's device plugin sets that variable on every pod, and these two, of which jax reads the first that is set
    hosts = environ.get("TPU_PROCESS_ADDRESSES", environ.get("TPU_WORKER_HOSTNAMES"))
    return hosts is not None and ("," in hosts or int(environ.get("MEGASCALE_NUM_SLICES", "1")) > 1)


def several() -> bool:
    """Whether this is one of several processes."""
    return jax.process_count() > 1


def leading() -> bool:
    """Whether this is the process that writes logs, metrics and pictures."""
    return jax.process_index() == 0


def together(what: str) -> None:
    """A barrier: returns when all processes have called it."""
    if several():
        multihost_utils.sync_global_devices(what)


@contextlib.contextmanager
def leader_first(what: str) -> Iterator[None]:
    """The first process runs the body alone, then the others: for files that it prepares on a shared disk."""
    if not leading():
        together(what)
    yield
    if leading():
        together(what)


def by_leader(what: str, find: Callable[[], T]) -> T:
    """The result of `find` (JSON) in the first process, sent to all; no time limit. All must call it, in one order."""
    if not several():
        return find()
    client, key = _client(), f"jaxgan/told/{next(_broadcasts)}/{what}"
    if leading():
        found = find()
        client.key_value_set(key, json.dumps(found, allow_nan=False))
        return found
    return json.loads(client.blocking_key_value_get(key, PATIENCE))


def arrays_by_leader(what: str, find: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """As `by_leader`, for arrays by name, of any size. All must call it, in one order."""
    if not several():
        return dict(find())
    content = b""
    if leading():
        buffer = io.BytesIO()
        np.savez(buffer, **find())  # type: ignore[arg-type]
        content = buffer.getvalue()
    size = by_leader(what, lambda: len(content))  # the others wait here: a collective would time out
    padded = np.frombuffer(content, np.uint8) if leading() else np.zeros(size, np.uint8)
    received = multihost_utils.broadcast_one_to_all(padded, is_source=leading())
    return dict(np.load(io.BytesIO(np.asarray(received).tobytes()), allow_pickle=False))


def on_one_device(tree: T) -> T:
    """Copies arrays that span several processes to one local device each; other leaves are unchanged.

    All processes must call it, because split arrays are gathered.
    """
    if not several():
        return tree
    leaves, shape = jax.tree.flatten(tree)
    split = [isinstance(leaf, jax.Array) and not leaf.is_fully_addressable for leaf in leaves]
    if any(not leaf.is_fully_replicated for leaf, each in zip(leaves, split) if each):
        mesh = next(leaf.sharding.mesh for leaf, each in zip(leaves, split) if each)
        whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        leaves = jax.jit(lambda *arrays: arrays, out_shardings=whole)(*leaves)
    parts = [leaf.addressable_data(0) if each else leaf for leaf, each in zip(leaves, split)]
    return jax.tree.unflatten(shape, parts)


class Peers:
    """Threads that send heartbeats and check those of the other processes."""

    def __init__(
        self,
        client: Any,
        index: int,
        number: int,
        *,
        beat: float = BEAT,
        silent: float = SILENT,
        leader: str | None = None,
    ):
        """`client`: the key-value store of texts that all processes share.

        `leader`: the address of process 0, `HOST:PORT`, checked directly because jax's client may hang if it is gone.
        """
        self._client, self._index, self._number = client, index, number
        self._beat, self._silent = beat, silent
        self._leader = leader
        self._asked: float | None = None  # time of the request that has no answer yet
        self._leaving, self._verdict = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._watch, self._knock)]

    def __enter__(self) -> Peers:
        """Starts the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Stops the threads. After an error of a collective, first waits to see whether another process is lost."""
        lost = _of_runtime(error) and self._verdict.wait(self._silent + 3 * self._beat)
        if lost:  # the thread that noticed ends this process; the leader's waits until the others can have noticed too
            for thread in self._threads:
                thread.join(4 * self._beat)
        self._leaving.set()
        if error is not None and not lost:
            why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            with contextlib.suppress(Exception):  # the leader may be gone
                self._client.key_value_set(f"jaxgan/left/{self._index}", why)
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        beats, failures = 0, 0
        heard: dict[int, tuple[str, float]] = {}  # the last heartbeat of each process, and when it was new
        while not self._leaving.wait(self._beat):
            beats += 1
            self._asked = time.monotonic()
            try:
                self._client.key_value_set(f"jaxgan/beat/{self._index}", str(beats), allow_overwrite=True)
                alive, left = self._read("beat"), self._read("left")
                failures = 0
            except Exception:  # any error of the client
                failures += 1
                if failures > 2:
                    self._end("process 0, the leader, is gone")
                    return
                continue
            finally:
                self._asked = None
            now = time.monotonic()
            for index in range(self._number):
                sign = alive.get(index, "none yet")
                if index not in heard or heard[index][0] != sign:
                    heard[index] = (sign, now)
            others = [index for index in range(self._number) if index != self._index]
            gone = next((f"process {index} has ended: {left[index]}" for index in others if index in left), None)
            if gone is None:
                lost = [index for index in others if index in alive and now - heard[index][1] > self._silent]
                gone = f"process {lost[0]} has given no sign of life for {self._silent:.0f} s" if lost else None
            if gone is not None:
                self._end(gone)
                return

    def _knock(self) -> None:
        """If an answer takes long, checks whether the leader still listens."""
        while not self._leaving.wait(self._beat / 4):
            asked = self._asked
            if asked is None or self._leader is None or time.monotonic() - asked < self._beat / 2:
                continue
            host, _, port = self._leader.rpartition(":")
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=self._beat / 2).close()
            except OSError:
                self._end("process 0, the leader, is gone")
                return

    def _read(self, what: str) -> dict[int, str]:
        found = self._client.key_value_dir_get(f"jaxgan/{what}/")
        return {int(key.rpartition("/")[2]): text for key, text in found}

    def _end(self, reason: str) -> None:
        """Prints the reason and ends the process at once: its main thread hangs in a collective."""
        self._verdict.set()
        if self._leaving.is_set():
            return
        advice = f"process {self._index} ends, too; the same command goes on from the last checkpoint"
        print(f"jaxgan: {reason}; {advice}", file=sys.stderr, flush=True)
        if self._index == 0:  # the others get heartbeats through this process: give them time to notice as well
            self._leaving.wait(3 * self._beat)
        if not self._leaving.is_set():
            os._exit(LOST)


def _of_runtime(error: BaseException | None) -> bool:
    """Whether an error comes from XLA, such as from a collective; while arguments are placed it is a ValueError."""
    if isinstance(error, ValueError):
        return STATUS.match(str(error)) is not None
    return isinstance(error, jax.errors.JaxRuntimeError)


@contextlib.contextmanager
def _aborts_wait() -> Iterator[None]:
    """Inside the context, an abort of this process is delayed by 6 seconds, in which `Peers` can report the reason.

    jax's client aborts at once if the leader is gone. Its Python callback for that does not work (jaxlib 0.10.2 throws
    std::bad_cast), and a Python handler of SIGABRT would run too late. So the handler is the C function `sleep`, which
    takes the number of the signal, 6, as seconds. Has no effect if the C library has no such functions.
    """
    try:
        library = ctypes.CDLL(None)
        library.signal.argtypes, library.signal.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
        before = library.signal(signal.SIGABRT, ctypes.cast(library.sleep, ctypes.c_void_p))
    except (OSError, AttributeError):
        yield
        return
    try:
        yield
    finally:
        library.signal(signal.SIGABRT, before)


def _client() -> Any:
    """The key-value store that all processes share; jax has no public name for it (orbax uses the same one)."""
    from jax._src import distributed

    return distributed.global_state.client


def _leader() -> str | None:
    """The address of process 0, however it was found."""
    from jax._src import distributed

    return distributed.global_state.coordinator_address
