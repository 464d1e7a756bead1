"""Workers timed in turns in the same period, so that disturbances of the machine affect all of them."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence

FOREIGN = 0.3  # cores: if other processes use more, the timing is repeated
TRIES = 4


class Worker:
    """A process that answers each line `{"reps": n}` on stdin with a line `{"ms": [...]}` on stdout."""

    def __init__(self, command: Sequence[str]):
        """Start the process; it is ready when it answers its first request."""
        self.process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(os.cpu_count())},
        )

    def ask(self, reps: int) -> list[float]:
        """The times of `reps` steps in milliseconds. Raises RuntimeError if the worker died."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"reps": reps}, allow_nan=False) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)["ms"]
        raise RuntimeError(f"{' '.join(self.process.args)}: the worker died")  # type: ignore[arg-type]

    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)


def alternate(commands: Mapping[str, Sequence[str]], *, rounds: int, reps: int) -> dict[str, float]:
    """Median milliseconds per step of each worker, timed in `rounds` turns of `reps` steps."""
    workers = {name: Worker(command) for name, command in commands.items()}
    times: dict[str, list[float]] = {name: [] for name in workers}
    try:
        for worker in workers.values():  # warm up, one after the other
            worker.ask(1)
        for _ in range(rounds):
            for name, worker in workers.items():
                times[name] += _undisturbed(worker, reps)
    finally:
        for worker in workers.values():
            worker.close()
    return {name: statistics.median(values) for name, values in times.items()}


def _undisturbed(worker: Worker, reps: int) -> list[float]:
    """A timing during which no other process used the machine; if there is none, the last of several tries."""
    milliseconds: list[float] = []
    for _ in range(TRIES):
        start, busy, own = time.perf_counter(), _busy_seconds(), worker.cpu_seconds()
        milliseconds = worker.ask(reps)
        elapsed = time.perf_counter() - start
        foreign = (_busy_seconds() - busy) - (worker.cpu_seconds() - own)
        if foreign < FOREIGN * elapsed:
            break
    return milliseconds


def _busy_seconds() -> float:
    with open("/proc/stat") as stat:
        fields = [int(field) for field in stat.readline().split()[1:]]
    return (sum(fields[:3]) + sum(fields[5:8])) / os.sysconf("SC_CLK_TCK")
