"""Cost of degrading images to conditions, relative to the train step that includes it.

    python -m benchmarks.degradations

prints for each degradation the milliseconds of a batch of 8 crops of 96 pixels, and of SRGAN's step at fourfold on such
crops, and their ratio. Medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.ours import make_dispatch
from jaxgan.augment.degradations import Bicubic, GaussianNoise, Jpeg, Masks
from jaxgan.augment.real_esrgan import RealESRGAN
from jaxgan.parallel.compiler import compiler_options, keep_freed_memory

CASES: dict[str, Callable[[jax.Array, jax.Array], Any]] = {
    "bicubic, fourfold": Bicubic(scale=4),
    "Gaussian noise": GaussianNoise(strength=25.0),
    "JPEG": Jpeg(quality=(30, 95)),
    "strokes": Masks(kind="strokes"),
    "Real-ESRGAN, fourfold": RealESRGAN(scale=4),
}


def milliseconds(play: Callable[[], Any], reps: int) -> float:
    """The median time of a call, after two warm-up calls."""
    times = []
    for _ in range(reps + 2):
        start = time.perf_counter()
        jax.block_until_ready(play())
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[2:])


def main() -> None:
    """Time each and print the table."""
    keep_freed_memory()
    images = jax.device_put(np.random.default_rng(0).uniform(-1, 1, (8, 96, 96, 3)).astype(np.float32))
    step = milliseconds(make_dispatch("srgan"), 7)
    print(f"the step: {step:.0f} ms")
    for name, degradation in CASES.items():
        degrade = jax.jit(degradation, compiler_options=compiler_options(jax.default_backend()))
        cost = milliseconds(lambda degrade=degrade: degrade(jax.random.key(0), images), 20)  # type: ignore[misc]
        print(f"{name:24} {cost:8.2f} ms   {cost / step:7.2%} of the step")


if __name__ == "__main__":
    main()
