"""Convolution and transposed convolution that are fast at every order of differentiation.

The three functions below are the partial derivatives of one trilinear form, <y, conv(x, w)>, of the image x,
the kernel w and the output y. So the derivatives of each function are the other two, and

- the weight gradient of a transposed convolution is that of a plain one with the roles swapped (the version
  that autodiff produces costs 28 times as much on CPU);
- the same holds for all higher derivatives, which gradient penalties need.

They do not support forward-mode differentiation (`jvp`). Images are NHWC, kernels HWIO.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from jaxgan.layers import column_conv as column
from jaxgan.layers import narrow_conv as narrow
from jaxgan.layers import strided_conv as strided
from jaxgan.layers.frames import by_frame
from jaxgan.layers.reduction import spread

Initializer = Callable[..., Array]

LAYOUT = ("NHWC", "HWIO", "NHWC")

# On CPU, groups are merged into dense convolutions: narrow convolutions cost more than the zeros that pad wider ones,
# and each convolution takes 15 ms to compile, 18 times per layer in a step with two gradient penalties.
WIDTH = 32  # minimum channels of a merged convolution
PARTS = 12  # maximum number of merged convolutions

WIDE = 5  # minimum kernel columns for which the weight gradient is faster in the form for few channels


class Geometry(NamedTuple):
    """The static parameters of a convolution: strides, padding (before, after) per axis, groups and image size."""

    stride: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    groups: int
    size: tuple[int, int]  # height and width of x


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv(
    x: Float[Array, "b h w i"], w: Float[Array, "kh kw i_group o"], geometry: Geometry
) -> Float[Array, "b h2 w2 o"]:
    """y `[b,h',w',o]` of x `[b,h,w,i]` and w `[kh,kw,i/groups,o]`."""
    return _by_group(_conv, _merged_conv, x, w, geometry)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def conv_transpose(
    y: Float[Array, "b h2 w2 o"], w: Float[Array, "kh kw i_group o"], geometry: Geometry
) -> Float[Array, "b h w i"]:
    """x `[b,h,w,i]` of y `[b,h',w',o]`: the derivative of <y, conv(x, w)> with respect to x."""
    return _by_group(_conv_transpose, _merged_conv_transpose, y, w, geometry)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def conv_weights(
    x: Float[Array, "b h w i"], y: Float[Array, "b h2 w2 o"], kernel: tuple[int, int], geometry: Geometry
) -> Float[Array, "kh kw i_group o"]:
    """w `[kh,kw,i/groups,o]` of x and y: the derivative of <y, conv(x, w)> with respect to w."""
    return _by_group(partial(_conv_weights, kernel), partial(_merged_conv_weights, kernel), x, y, geometry)


def _conv_forward(x: Array, w: Array, geometry: Geometry) -> Any:
    return conv(x, w, geometry), (x, w)


def _conv_backward(geometry: Geometry, saved: Any, y: Array) -> Any:
    x, w = saved
    return conv_transpose(y, w, geometry), conv_weights(x, y, w.shape[:2], geometry)


def _conv_transpose_forward(y: Array, w: Array, geometry: Geometry) -> Any:
    return conv_transpose(y, w, geometry), (y, w)


def _conv_transpose_backward(geometry: Geometry, saved: Any, x: Array) -> Any:
    y, w = saved
    return conv(x, w, geometry), conv_weights(x, y, w.shape[:2], geometry)


def _conv_weights_forward(x: Array, y: Array, kernel: tuple[int, int], geometry: Geometry) -> Any:
    return conv_weights(x, y, kernel, geometry), (x, y)


def _conv_weights_backward(kernel: tuple[int, int], geometry: Geometry, saved: Any, w: Array) -> Any:
    del kernel
    x, y = saved
    return conv_transpose(y, w, geometry), conv(x, w, geometry)


conv.defvjp(_conv_forward, _conv_backward)
conv_transpose.defvjp(_conv_transpose_forward, _conv_transpose_backward)
conv_weights.defvjp(_conv_weights_forward, _conv_weights_backward)


def _conv(x: Array, w: Array, geometry: Geometry) -> Array:
    form: Callable[..., Array] | None = None
    if _plain(geometry) and column.pays(w.shape[:2], geometry.padding):
        form = partial(column.column_conv, padding=geometry.padding)
    elif _plain(geometry) and narrow.pays(w.shape[:2], *w.shape[2:]):
        form = partial(narrow.narrow_conv, padding=geometry.padding)
    return _on_cpu(form, partial(_usual, geometry=geometry), x, w)


def _conv_transpose(y: Array, w: Array, geometry: Geometry) -> Array:
    form: Callable[..., Array] | None = None
    if _plain(geometry) and column.pays(w.shape[:2], geometry.padding):
        form = partial(column.column_conv_transpose, padding=geometry.padding)
    elif _plain(geometry) and narrow.pays(w.shape[:2], w.shape[3], w.shape[2]):
        form = partial(narrow.narrow_conv_transpose, padding=geometry.padding)
    elif geometry.groups == 1 and strided.pays(w.shape[:2], geometry.stride, w.shape[2]):
        form = partial(
            strided.phased_conv_transpose, stride=geometry.stride[0], padding=geometry.padding, size=geometry.size
        )

    def usual(y: Array, w: Array) -> Array:
        shape = (y.shape[0], *geometry.size, w.shape[2] * geometry.groups)
        return jax.linear_transpose(lambda x: _usual(x, w, geometry), jax.ShapeDtypeStruct(shape, y.dtype))(y)[0]

    return _on_cpu(form, usual, y, w)


def _conv_weights(kernel: tuple[int, int], x: Array, y: Array, geometry: Geometry) -> Array:
    shape = (*kernel, x.shape[-1] // geometry.groups, y.shape[-1])
    form: Callable[..., Array] | None = None
    if _plain(geometry) and column.pays(kernel, geometry.padding):
        form = partial(column.column_conv_weights, kernel=kernel, padding=geometry.padding)
    elif _plain(geometry) and kernel[1] >= WIDE and narrow.pays(kernel, *shape[2:]):
        form = partial(narrow.narrow_conv_weights, kernel=kernel, padding=geometry.padding)

    def usual(x: Array, y: Array) -> Array:
        return jax.linear_transpose(lambda w: _usual(x, w, geometry), jax.ShapeDtypeStruct(shape, x.dtype))(y)[0]

    return _on_cpu(form, usual, x, y)


def _usual(x: Array, w: Array, geometry: Geometry) -> Array:
    if w.shape[:2] == (1, 1) and _plain(geometry) and geometry.padding == ((0, 0), (0, 0)):
        return (x.reshape(-1, x.shape[-1]) @ w[0, 0]).reshape(*x.shape[:-1], w.shape[-1])
    return lax.conv_general_dilated(
        x,
        w,
        geometry.stride,
        geometry.padding,
        dimension_numbers=LAYOUT,
        feature_group_count=geometry.groups,
    )


def _plain(geometry: Geometry) -> bool:
    return geometry.stride == (1, 1) and geometry.groups == 1


def _on_cpu(form: Callable[..., Array] | None, usual: Callable[..., Array], a: Array, b: Array) -> Array:
    """`form(a, b)` on CPU if there is a special form, otherwise `usual(a, b)`."""
    return usual(a, b) if form is None else lax.platform_dependent(a, b, cpu=form, default=usual)


def _by_group(
    function: Callable[..., Array], merged: Callable[..., Array], a: Array, b: Array, geometry: Geometry
) -> Array:
    """`function(a, b, geometry)`; on CPU a few groups at a time, since XLA's grouped forms are 100 times slower there.

    `merged` computes the same function with one dense convolution.
    """
    groups = geometry.groups
    if groups == 1:
        return function(a, b, geometry)

    def split(a: Array, b: Array) -> Array:
        size = groups_merged(groups, a.shape[-1] // groups)
        starts = range(0, groups, size)
        parts = zip(starts, _split(a, groups, starts), _split(b, groups, starts))
        done = [merged(*pair, geometry._replace(groups=min(size, groups - start))) for start, *pair in parts]
        return jnp.concatenate(done, axis=-1)

    return lax.platform_dependent(a, b, cpu=split, default=lambda a, b: function(a, b, geometry))


def groups_merged(groups: int, width: int) -> int:
    """How many groups of `width` channels are merged into one dense convolution on CPU."""
    return min(groups, max(-(-WIDTH // width), -(-groups // PARTS)))


def _split(x: Array, groups: int, starts: Sequence[int]) -> list[Array]:
    return jnp.split(x, [start * (x.shape[-1] // groups) for start in starts[1:]], axis=-1)


def _merged_conv(x: Array, w: Array, geometry: Geometry) -> Array:
    return _conv(x, _block_diagonal(w, geometry.groups), geometry._replace(groups=1))


def _merged_conv_transpose(y: Array, w: Array, geometry: Geometry) -> Array:
    return _conv_transpose(y, _block_diagonal(w, geometry.groups), geometry._replace(groups=1))


def _merged_conv_weights(kernel: tuple[int, int], x: Array, y: Array, geometry: Geometry) -> Array:
    return _diagonal_blocks(_conv_weights(kernel, x, y, geometry._replace(groups=1)), geometry.groups)


def _block_diagonal(w: Array, groups: int) -> Array:
    """The dense kernel `[kh,kw,i,o]` of a grouped one `[kh,kw,i/groups,o]`: zero between groups."""
    kh, kw, i, o = w.shape
    blocks = w.reshape(kh, kw, 1, i, groups, o // groups)
    return jnp.where(_same_group(groups), blocks, 0).reshape(kh, kw, groups * i, o)


def _diagonal_blocks(w: Array, groups: int) -> Array:
    """The grouped kernel `[kh,kw,i/groups,o]` of a dense one `[kh,kw,i,o]`."""
    kh, kw, i, o = w.shape
    blocks = w.reshape(kh, kw, groups, i // groups, groups, o // groups)
    return jnp.where(_same_group(groups), blocks, 0).sum(axis=2).reshape(kh, kw, i // groups, o)


def _same_group(groups: int) -> Array:
    return jnp.eye(groups, dtype=bool)[:, None, :, None]


Padding = Literal["SAME", "VALID"] | int


class Conv(nn.Module):
    """Convolution `[b,h,w,i] -> [b,h',w',features]`; params `kernel` `[k,k,i/groups,features]` and `bias`.

    Clips are convolved frame by frame.
    """

    features: int
    kernel_size: int = 3
    stride: int = 1
    padding: Padding = "SAME"  # an int: pixels on every side
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    dtype: Any = jnp.float32  # to compute in; params are float32

    @nn.compact
    def __call__(self, x: Float[Array, "b *t h w i"]) -> Float[Array, "b *t h2 w2 o"]:
        """The convolution of x."""
        k, size = self.kernel_size, (x.shape[-3], x.shape[-2])
        w = self.param("kernel", self.kernel_init, (k, k, x.shape[-1] // self.groups, self.features), jnp.float32)
        if isinstance(self.padding, int):
            padding = ((self.padding, self.padding),) * 2
        else:
            above, beside = lax.padtype_to_pads(size, (k, k), (self.stride,) * 2, self.padding)
            padding = (above, beside)
        geometry = Geometry((self.stride, self.stride), padding, self.groups, size)
        y = by_frame(lambda x: conv(x, w.astype(self.dtype), geometry), x.astype(self.dtype))
        return biased(self, y) if self.use_bias else y


class ConvTranspose(nn.Module):
    """Transposed convolution `[b,h,w,i] -> [b,s(h-1)+k-2p,...,features]`: kernel 4, stride 2, padding 1 doubles.

    Clips are convolved frame by frame. Params `kernel` `[k,k,features,i]`, the layout of the convolution of which
    this is the transpose, and `bias`.
    """

    features: int
    kernel_size: int = 4
    stride: int = 2
    padding: int = 1
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
    dtype: Any = jnp.float32  # to compute in; params are float32

    @nn.compact
    def __call__(self, y: Float[Array, "b *t h w i"]) -> Float[Array, "b *t h2 w2 o"]:
        """The transposed convolution of y."""
        k = self.kernel_size
        w = self.param("kernel", self.kernel_init, (k, k, self.features, y.shape[-1]), jnp.float32)
        height, width = ((length - 1) * self.stride + k - 2 * self.padding for length in y.shape[-3:-1])
        geometry = Geometry((self.stride,) * 2, ((self.padding,) * 2,) * 2, 1, (height, width))
        x = by_frame(lambda y: conv_transpose(y, w.astype(self.dtype), geometry), y.astype(self.dtype))
        return biased(self, x) if self.use_bias else x


def transposed_kernels(forward: Callable[..., Any], *inputs: Any) -> frozenset[tuple[str, ...]]:
    """The paths of the modules called by `forward(*inputs)` whose kernels are `[k,k,features,i]`.

    Nothing is computed, so the inputs may be shapes. The order of the axes cannot be inferred from the params alone.
    """
    found: set[tuple[str, ...]] = set()

    def note(call: Callable[..., Any], args: Any, options: Any, context: Any) -> Any:
        if isinstance(context.module, ConvTranspose):
            found.add(context.module.path)
        return call(*args, **options)

    with nn.intercept_methods(note):
        jax.eval_shape(lambda *given: forward(*given), *inputs)  # a new lambda: a cached trace calls no module
    return frozenset(found)


def biased(module: Any, x: Float[Array, "... c"]) -> Float[Array, "... c"]:
    """x plus a param `bias` of the calling module, initialized to zero."""
    bias = module.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
    return x + spread(bias.astype(module.dtype), x.shape)
