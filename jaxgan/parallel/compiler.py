"""Compiler options that pay, by platform."""

from __future__ import annotations

import functools

import jax

# XLA on CPU hands convolutions to a library that runs each on one thread; without it they use all cores
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def compiler_options(platform: str) -> dict[str, str] | None:
    """Options for `jax.jit(compiler_options=...)` on a platform; None where there are none or this jaxlib refuses them.

    The option's name is experimental: a trivial program is compiled with it first.
    """
    if platform != "cpu":
        return None
    try:
        jax.jit(lambda x: x, compiler_options=CPU_OPTIONS).lower(0.0).compile()
    except Exception:  # whatever a jaxlib says to a name that it does not know
        return None
    return CPU_OPTIONS
