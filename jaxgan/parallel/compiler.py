"""Settings of the compiler and the allocator that make steps faster, by platform."""

from __future__ import annotations

import ctypes
import functools
import sys

import jax

# XLA on CPU passes convolutions to a library that runs each on one thread, and fuses matrix products into slower
# kernels; restricted to individual products it uses all cores for both
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # parameters of glibc's mallopt


@functools.cache
def compiler_options(platform: str) -> dict[str, str] | None:
    """Options for `jax.jit(compiler_options=...)` on a platform; None if there are none or this jaxlib refuses them.

    The option is experimental, so a trivial program is compiled with it first.
    """
    if platform != "cpu":
        return None
    try:
        jax.jit(lambda x: x, compiler_options=CPU_OPTIONS).lower(0.0).compile()
    except Exception:  # the error for an unknown option depends on the jaxlib
        return None
    return CPU_OPTIONS


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory for the next step, instead of returning it and faulting it in again.

    A step on CPU allocates its buffers every time; with convolutions this makes it 5 to 8% faster. Has no effect with
    other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
