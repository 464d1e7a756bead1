"""How fast a run is and where its time goes."""

from __future__ import annotations

import contextlib
import dataclasses
import resource
import sys
import time
from collections.abc import Callable, Hashable, Iterator

import jax

# what the time of a run is spent on beside training; of these the rate of images knows nothing
ASIDE = ("compilation", "samples", "evaluation", "saves")
PARTS = ("data", "metrics", *ASIDE)


@dataclasses.dataclass
class Tally:
    """What happened since a moment."""

    since: float
    images: int = 0
    flops: float = 0.0
    spent: dict[str, float] = dataclasses.field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))

    def training(self, now: float) -> float:
        """Seconds but for what was done aside. Waiting for data and writing metrics are of the training."""
        return now - self.since - sum(self.spent[part] for part in ASIDE)


class Meter:
    """Counts images, floating-point operations and the host's time, from one report to the next and in all."""

    def __init__(
        self,
        *,
        devices: int = 1,
        peak_flops: float | None = None,
        clock: Callable[[], float] = time.perf_counter,
        memory: Callable[[], float] | None = None,
    ):
        """`peak_flops`: a second, of one of the devices; None: no utilisation is told. `memory`: its peak, in bytes."""
        self._devices, self._peak, self._clock = devices, peak_flops, clock
        self._memory = peak_memory if memory is None else memory
        self._flops: dict[Hashable, float | None] = {}  # of a dispatch, by its due sets
        self.start()

    def start(self) -> None:
        """Forgets what was before."""
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
        """Around a dispatch of so many images. The first of its due sets compiles: `count` gives their FLOPs."""
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
        """Scalars `throughput/...` of the time since the last report."""
        now = self._clock()
        values = {f"throughput/{name}": value for name, value in self._values(self._window, now).items()}
        self._window = Tally(now)
        return values

    def summary(self) -> str:
        """One line on all the time since the start."""
        now = self._clock()
        values = self._values(self._all, now)
        told = []
        if "images_per_second" in values:
            rate = f"{values['images_per_second']:,.0f} images/s in training"
            details = []
            if self._devices > 1:
                details.append(f"{values['images_per_second_per_device']:,.0f} a device")
            if "teraflops_per_device" in values:
                details.append(f"{values['teraflops_per_device']:.3g} TFLOP/s" + (" each" if self._devices > 1 else ""))
            if "utilization" in values:
                details.append(f"{values['utilization']:.0%} of the peak")
            told.append(rate + (f" ({', '.join(details)})" if details else ""))
        parts = [f"{part} {values[f'{part}_share']:.0%}" for part in PARTS if values.get(f"{part}_share", 0) >= 0.005]
        if parts:
            told.append(f"of {now - self._all.since:,.0f} s {', '.join(parts)}")
        told.append(f"peak memory {values['peak_memory_gigabytes']:.3g} GB")
        return "; ".join(told)

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
    """Bytes: the most that was in use at once on any device here, or in this process where devices do not say."""
    told = [device.memory_stats() or {} for device in jax.local_devices()]
    peaks = [stats["peak_bytes_in_use"] for stats in told if "peak_bytes_in_use" in stats]
    if peaks:
        return float(max(peaks))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(resident if sys.platform == "darwin" else 1024 * resident)
