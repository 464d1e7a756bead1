"""The floating-point operations of a program: those of its matrix products and convolutions.

They are counted in the traced program. XLA's own cost analysis is not sufficient: on GPUs and TPUs it is None before
compilation (jax-ml/jax#22713), on GPUs it omits library calls after compilation (#20184, #22249), and on all platforms
it counts the body of a loop once (#18672), not once per iteration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from jax.extend import core


def count_flops(jaxpr: core.Jaxpr) -> float:
    """Multiplications and additions of all matrix products and convolutions of a program, over all devices.

    The convention of model FLOPs utilisation (Chowdhery et al. 2022, appendix B): elementwise work is not counted.
    Neither are products with the zeros of padding and dilation, as in XLA's analysis. Of branches the most expensive
    one counts, of a `while` loop one iteration; recomputation by rematerialisation counts.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            total += _product(equation)
        elif name == "conv_general_dilated":
            total += _convolution(equation)
        else:
            inner = [count_flops(each) for each in _inner(equation.params)]
            turns = equation.params["length"] if name == "scan" else 1
            total += turns * (max(inner) if name == "cond" else sum(inner))
    return total


def _inner(params: dict[str, Any]) -> Iterator[core.Jaxpr]:
    """The programs that an equation calls."""
    for value in params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, core.ClosedJaxpr):
                yield each.jaxpr
            elif isinstance(each, core.Jaxpr):
                yield each


def _product(equation: Any) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    shape = equation.invars[0].aval.shape
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * math.prod(shape[axis] for axis in contracted)


def _convolution(equation: Any) -> float:
    params, numbers = equation.params, equation.params["dimension_numbers"]
    image, kernel = (variable.aval.shape for variable in equation.invars)
    out = equation.outvars[0].aval.shape
    (batch, features, *out_axes), (_, inputs, *kernel_axes) = numbers.out_spec, numbers.rhs_spec
    pairs = (
        _pairs(image[i], kernel[k], out[o], stride, tuple(padding), spread, dilation)
        for i, k, o, stride, padding, spread, dilation in zip(
            numbers.lhs_spec[2:],
            kernel_axes,
            out_axes,
            params["window_strides"],
            params["padding"],
            params["lhs_dilation"],
            params["rhs_dilation"],
        )
    )
    return 2.0 * out[batch] * out[features] * kernel[inputs] * math.prod(pairs)


@cache
def _pairs(image: int, kernel: int, out: int, stride: int, padding: tuple[int, int], spread: int, dilation: int) -> int:
    """How often, along one axis, a kernel element is multiplied by an image element and not by an inserted zero."""
    at = np.arange(out)[:, None] * stride - padding[0] + np.arange(kernel)[None, :] * dilation
    return int(np.count_nonzero((at >= 0) & (at <= (image - 1) * spread) & (at % spread == 0)))
