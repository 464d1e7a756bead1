"""The speed of a run, and how its time is spent."""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import sys
import time
from collections.abc import Callable, Hashable, Iterator

import jax

# parts of a run that are not training; images/s does not count their time
ASIDE = ("compilation", "samples", "evaluation", "saves")
PARTS = ("data", "metrics", *ASIDE)


@dataclasses.dataclass
class Tally:
    """Counts since a point in time."""

    since: float
    images: int = 0
    flops: float = 0.0
    spent: dict[str, float] = dataclasses.field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    def training(self, now: float) -> float:
        """Seconds of training, without the parts in ASIDE. Waiting for data and writing metrics count as training."""
        return now - self.since - sum(self.spent[part] for part in ASIDE)


class Meter:
    """Counts images, floating-point operations and the host's time, since the last report and in total."""

    def __init__(
        self,
        *,
        devices: int = 1,
        peak_flops: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
        memory: Callable[[], float] | None = None,
    ):
        """`peak_flops`: of one device, per second; None: utilisation is not reported. `memory`: peak use in bytes."""
        self._devices, self._peak, self._clock = devices, peak_flops, clock
        self._memory = peak_memory if memory is None else memory
        self._flops: dict[Hashable, float | None] = {}  # FLOPs of a dispatch, by its due sets
        self.start()

    def start(self) -> None:
        """Resets all counts."""
        now = self._clock()
        self._window, self._all = Tally(now), Tally(now)

    @contextlib.contextmanager
    def spending(self, on: str) -> Iterator[None]:
        """Counts the time inside as spent on one of PARTS."""
        before = self._clock()
        try:
            yield
        finally:
            for tally in (self._window, self._all):
                tally.spent[on] += self._clock() - before

    def waiting(self) -> contextlib.AbstractContextManager[None]:
        """Counts the time inside as waiting for data."""
        return self.spending("data")

    @contextlib.contextmanager
    def playing(self, due_sets: Hashable, images: int, count: Callable[[], float | None]) -> Iterator[None]:
        """Around a dispatch of `images` images. The first one of its due sets compiles; `count` returns its FLOPs."""
        if due_sets in self._flops:
            yield
        else:
            with self.spending("compilation"):
                self._flops[due_sets] = count()
                yield
        for tally in (self._window, self._all):
            tally.images += images
            tally.flops += self._flops[due_sets] or 0.0

    def report(self) -> dict[str, float]:
        """Scalars `throughput/...` for the time since the last report."""
        now = self._clock()
        values = {f"throughput/{name}": value for name, value in self._values(self._window, now).items()}
        self._window = Tally(now)
        return values

    def summary(self) -> str:
        """One line on the time since the start."""
        now = self._clock()
        values = self._values(self._all, now)
        clauses = []
        if "images_per_second" in values:
            rate = f"{values['images_per_second']:,.0f} images/s in training"
            details = []
            if self._devices > 1:
                details.append(f"{values['images_per_second_per_device']:,.0f} per device")
            if "teraflops_per_device" in values:
                details.append(f"{values['teraflops_per_device']:.3g} TFLOP/s" + (" each" if self._devices > 1 else ""))
            if "utilization" in values:
                details.append(f"{values['utilization']:.0%} of the peak")
            clauses.append(rate + (f" ({', '.join(details)})" if details else ""))
        parts = [f"{part} {values[f'{part}_share']:.0%}" for part in PARTS if values.get(f"{part}_share", 0) >= 0.005]
        if parts:
            clauses.append(f"of {now - self._all.since:,.0f} s {', '.join(parts)}")
        clauses.append(f"peak memory {values['peak_memory_gigabytes']:.3g} GB")
        return "; ".join(clauses)

    def _values(self, tally: Tally, now: float) -> dict[str, float]:
        values: dict[str, float] = {}
        training = tally.training(now)
        if tally.images and training > 0:
            values["images_per_second"] = tally.images / training
            values["images_per_second_per_device"] = tally.images / training / self._devices
        if tally.flops and training > 0:
            rate = tally.flops / training / self._devices
            values["teraflops_per_device"] = rate / 1e12
            if self._peak is not None:
                values["utilization"] = rate / self._peak
        if now > tally.since:
            values |= {f"{part}_share": spent / (now - tally.since) for part, spent in tally.spent.items()}
        values["peak_memory_gigabytes"] = self._memory() / 1e9
        return values


def peak_memory() -> float:
    """The peak memory in use on any local device, in bytes; of this process if devices do not report theirs."""
    statistics = [device.memory_stats() or {} for device in jax.local_devices()]
    peaks = [stats["peak_bytes_in_use"] for stats in statistics if "peak_bytes_in_use" in stats]
    if peaks:
        return float(max(peaks))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(resident if sys.platform == "darwin" else 1024 * resident)
