"""FLOPs of programs: closed forms, and XLA's own analysis where it can be trusted."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax
from toy import BATCH, make_batch, make_state, make_task, optimizers

from jaxgan.layers.repeat import fold
from jaxgan.parallel.flops import count_flops
from jaxgan.parallel.peaks import PEAKS, peak_flops
from jaxgan.training.step import make_train_step


def flops(function, *arguments):
    return count_flops(jax.jit(function).trace(*arguments).jaxpr.jaxpr)


def of_xla(function, *arguments):
    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


def shape(*sizes):
    return jax.ShapeDtypeStruct(sizes, jnp.float32)


def test_a_product_and_its_gradients():
    x, w = shape(32, 100), shape(100, 70)
    once = 2 * 32 * 100 * 70
    assert flops(jnp.dot, x, w) == once
    assert flops(jax.grad(lambda x, w: jnp.dot(x, w).sum(), (0, 1)), x, w) in (2 * once, 3 * once)
    assert flops(lambda a, b: jnp.einsum("hij,hjk->hik", a, b), shape(4, 5, 6), shape(4, 6, 7)) == 2 * 4 * 5 * 6 * 7


@pytest.mark.parametrize(
    ("stride", "padding", "spread", "dilation", "groups", "parts"),
    [
        (1, "SAME", 1, 1, 1, 1),
        (1, "VALID", 1, 1, 1, 1),
        (2, "SAME", 1, 1, 1, 1),
        (1, [(2, 2), (2, 1)], 2, 1, 1, 1),
        (1, "SAME", 1, 2, 1, 1),
        (1, "SAME", 1, 1, 4, 1),
        (1, "SAME", 1, 1, 1, 2),
    ],
)
def test_convolutions_are_counted_as_xla_counts_them(stride, padding, spread, dilation, groups, parts):
    def convolve(x, w):
        return lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            padding,
            lhs_dilation=(spread, spread),
            rhs_dilation=(dilation, dilation),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
            batch_group_count=parts,
        )

    x, w = shape(4, 9, 10, 8), shape(3, 4, 8 // groups, 12)
    assert flops(convolve, x, w) == of_xla(convolve, x, w)


def test_a_convolution_without_padding_has_a_closed_form():
    convolve = lambda x, w: lax.conv(x, w, (1, 1), "VALID")  # noqa: E731
    assert flops(convolve, shape(2, 3, 8, 8), shape(5, 3, 3, 3)) == 2 * 2 * 5 * 3 * 9 * 6 * 6


def test_every_iteration_of_a_loop_and_the_most_expensive_branch_count():
    w, xs = shape(16, 16), shape(7, 16, 16)
    once, multiply = 2 * 16**3, lambda carry, x: (carry @ x, 0.0)

    def loop(w, xs):
        return lax.scan(lambda carry, x: (carry @ x, None), w, xs)[0]

    assert flops(loop, w, xs) == 7 * once
    assert of_xla(loop, w, xs) < 2 * once, "XLA counts all turns: its own analysis would do now"
    assert flops(lambda w, xs: fold(multiply, w, xs, unroll_on_cpu=False), w, xs) == 7 * once

    def branch(w):
        return lax.cond(w[0, 0] > 0, lambda w: w @ w, lambda w: w @ w @ w, w)

    assert flops(branch, w) == 2 * once
    assert flops(lambda w: lax.platform_dependent(w, cpu=lambda w: w @ w, default=lambda w: w @ w), w) == once


def test_a_train_step_is_near_what_xla_counts():
    task = make_task()
    step = make_train_step(task, optimizers(task), images=BATCH)
    arguments = (make_state(task), make_batch(), jax.random.key(0))
    both = lambda *arguments: step(*arguments, (0, 1))  # noqa: E731
    ours, theirs = flops(both, *arguments), of_xla(both, *arguments)
    one = flops(lambda *arguments: step(*arguments, (0,)), *arguments)
    assert 0 < one < ours < theirs, "XLA counts elementwise work too"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("kind", "teraflops"),
    [
        ("NVIDIA H200", 989.5),
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.5),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA A100-SXM4-40GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("Tesla T4", 65),
        ("Tesla V100-SXM2-16GB", 125),
        ("Tesla V100-PCIE-16GB", 112),
        ("NVIDIA GB200", 2500),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("TPU v5 lite", 197),
        ("TPU v5", 459),
        ("TPU v5p", 459),
        ("TPU v6 lite", 918),
        ("TPU v4", 275),
        ("TPU7x", 1153.5),
    ],
)
def test_peaks_by_the_names_that_jax_gives(kind, teraflops):
    assert peak_flops(kind) == teraflops * 1e12


@pytest.mark.quick
def test_devices_that_are_not_in_the_table_have_no_peak():
    assert [peak_flops(kind) for kind in ("cpu", "NVIDIA A1000", "TPU v4 lite", "AMD Instinct MI300X")] == [None] * 4
    assert all(peak.source for peak in PEAKS)
