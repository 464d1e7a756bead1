"""Generation of images in batches of one size, so that any number of images needs only one compile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from numpy.typing import ArrayLike

from jaxgan.building.conditions import Conditions
from jaxgan.errors import ArgumentError
from jaxgan.fields import Field, conditions, further_latents, name_of, named, text_of
from jaxgan.game import Array, Asked, Key, Product, Weights, draw_further, draw_latents
from jaxgan.parallel.compiler import compiler_options
from jaxgan.parallel.placement import split_batch
from jaxgan.system import signals


class Sampler:
    """Compiled calls of a product that generates images from latents, with the weights as an argument."""

    def __init__(
        self,
        product: Product,
        *,
        batch_size: int = 250,
        mesh: Mesh | None = None,
        conditions: Conditions | None = None,
    ):
        """`mesh`: devices over which each batch is split; its size is rounded up to a multiple of their number.

        The weights must be on these devices, and all their processes must make the same calls. None: the device of the
        weights. `conditions`: the conditions of real examples, used if the caller gives none.
        """
        devices = 1 if mesh is None else mesh.size
        self.product, self.batch_size, self._conditions = product, -(-batch_size // devices) * devices, conditions
        self._rows = None if mesh is None else split_batch(mesh)
        jit = partial(jax.jit, out_shardings=self._rows, compiler_options=compiler_options(jax.default_backend()))
        self._calls: dict[str | None, Any] = {name: jit(_first_of(each)) for name, each in product.parts.items()}
        self._calls[None] = jit(_first_of(product))

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 without labels."""
        return self.product.num_classes

    @property
    def has_styles(self) -> bool:
        """Whether the generator maps latents to styles and synthesizes images from them."""
        return {"map", "synthesize"} <= self.product.parts.keys()

    def latents(self, key: Key | int, count: int) -> Array:
        """Latents `[count, ...]` from the distribution used in training, for a seed or a jax key."""
        return draw_latents(self.product.asks[named(self.product.asks, "latent")], _key(key), count)

    def labels(self, count: int, labels: ArrayLike | None = None) -> np.ndarray | None:
        """Labels `[count]`, int32: those given, or the classes in turn; None if there are no classes.

        Given shares of the classes are returned as float32 `[count,num_classes]`; each row sums to 1. Raises UserError
        for a wrong number of labels, unknown classes, invalid shares, and labels for a model without classes.
        """
        if not self.num_classes:
            if labels is not None:
                raise ArgumentError("labels", "got some, but the model was trained without labels")
            return None
        if labels is None:
            return np.arange(count, dtype=np.int32) % self.num_classes
        given = np.asarray(labels)
        if given.ndim == 2 and jnp.issubdtype(given.dtype, jnp.floating):  # bfloat16, too
            return self._shares(given, count)
        if given.shape != (count,) or not np.issubdtype(given.dtype, np.integer):
            expected = f"expected {count} integers, or shares ({count}, {self.num_classes}) of the classes as floats"
            raise ArgumentError("labels", f"got shape {given.shape} of {given.dtype}, {expected}")
        if count and (given.min() < 0 or given.max() >= self.num_classes):
            raise ArgumentError("labels", f"got {given.min()} to {given.max()}, expected 0 to {self.num_classes - 1}")
        return given.astype(np.int32)

    def _shares(self, given: np.ndarray, count: int) -> np.ndarray:
        if given.shape != (count, self.num_classes):
            expected = f"expected shares ({count}, {self.num_classes})"
            raise ArgumentError("labels", f"got shape {given.shape} of {given.dtype}, {expected}")
        given = given.astype(np.float32)
        if not (np.isfinite(given).all() and (given >= 0).all() and np.allclose(given.sum(axis=1), 1, atol=1e-3)):
            raise ArgumentError("labels", "got invalid shares, expected rows of 0 or more that sum to 1")
        return given

    def given(
        self, key: Key | int, count: int, labels: ArrayLike | None = None, given: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """The checked inputs of `count` samples besides the main latent, by field name.

        They are the values `given` by name (one for all samples, or one for each) and the `labels` (see `labels`). The
        rest is filled in: the classes in turn, further latents drawn with the key, and for other fields the conditions
        of real examples chosen by the key. Raises UserError for values that do not fit, unknown fields, and if real
        examples are required but there are none.
        """
        asks, given = conditions(self.product.asks) | further_latents(self.product.asks), dict(given or {})
        label, unknown = name_of(asks, "label"), [*(given.keys() - asks.keys())]
        if unknown:
            raise ArgumentError("given", f"got {unknown[0]!r}, this model asks for {text_of(asks)} beside the latent")
        classes = self.labels(count, given.pop(label, labels) if label else labels)
        made = {} if label is None or classes is None else {label: classes}
        made |= {name: _fitting(name, asks[name], each, count) for name, each in given.items()}
        drawn = draw_further(self.product.asks, _key(key), count)
        made |= {name: np.asarray(each) for name, each in drawn.items() if name not in made}
        missing = [name for name in asks if name not in made]
        if missing and self._conditions is None:
            raise ArgumentError("given", f"is missing: this model asks for {text_of(asks)} beside the latent")
        if missing and self._conditions is not None:
            seed = np.asarray(jax.random.key_data(_key(key))).ravel().tolist()
            made |= self._conditions(missing, seed, count)
        return made

    def generate(
        self,
        weights: Weights,
        key: Key | int,
        count: int,
        labels: ArrayLike | None = None,
        *,
        given: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> np.ndarray:
        """`count` images `[count,H,W,C]`, float32 in [-1, 1]; `labels` and `given` as in the method `given`."""
        asked = self.given(key, count, labels, given)
        return self(weights, self.asked(self.latents(key, count), asked, truncation=truncation))

    def share(self, weights: Weights, seed: int, count: int, labels: ArrayLike | None = None) -> np.ndarray:
        """This process's rows of the result of `generate`; equally many in all, with padding after the last image.

        Nothing is sent between processes. Raises ValueError for more than one batch on several processes.
        """
        if jax.process_count() > 1 and count > self.batch_size:
            raise ValueError(f"count: expected {self.batch_size} or less, got {count}")
        outputs = self._outputs(None, weights, self.asked(self.latents(seed, count), self.given(seed, count, labels)))
        return np.concatenate([own_rows(output, wanted) for output, wanted in outputs])

    def asked(self, latents: ArrayLike, given: Asked, *, truncation: float | None = None) -> dict[str, Any]:
        """The product's inputs by name: the latents `[n,Z]`, the other inputs, and the truncation."""
        asked = {named(self.product.asks, "latent"): latents, **given}
        # traced, not static, so that a sweep needs only one program
        return asked if truncation is None else {**asked, "truncation": np.float32(truncation)}

    def __call__(self, weights: Weights, asked: Asked, part: str | None = None) -> np.ndarray:
        """The first output of the product, or of one of its parts, for input arrays `[n, ...]` by name.

        A scalar applies to all rows; changing its value does not compile again.
        """
        return np.concatenate([_whole(output)[:count] for output, count in self._outputs(part, weights, asked)])

    def _outputs(self, part: str | None, weights: Weights, asked: Asked) -> Iterator[tuple[jax.Array, int]]:
        """Outputs of the product or one of its parts, batch by batch, with the number of rows that are not padding."""
        arrays = {name: np.asarray(each) for name, each in asked.items()}
        rows = {name: each for name, each in arrays.items() if each.ndim}
        count = len(next(iter(rows.values())))
        for start in range(0, count, self.batch_size):
            signals.check()
            batch = {name: self._placed(each[start : start + self.batch_size]) for name, each in rows.items()}
            yield self._calls[part](weights, {**arrays, **batch}), min(self.batch_size, count - start)

    def _placed(self, rows: np.ndarray) -> Array | np.ndarray:
        padded = self._padded(rows)
        if self._rows is None:
            return padded
        return jax.make_array_from_callback(padded.shape, self._rows, lambda index: padded[index])

    def _padded(self, rows: np.ndarray) -> np.ndarray:
        missing = self.batch_size - len(rows)
        return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows


def own_rows(array: jax.Array, count: int) -> np.ndarray:
    """The first `count` rows of an array; if it is split over several processes, all rows of this process."""
    if array.is_fully_addressable:
        return np.asarray(array)[:count]
    shards = sorted(array.addressable_shards, key=lambda shard: shard.index[0].start or 0)
    return np.concatenate([np.asarray(shard.data) for shard in shards])


def _whole(array: jax.Array) -> np.ndarray:
    """All rows, in every process."""
    if array.is_fully_addressable:
        return np.asarray(array)
    return multihost_utils.process_allgather(array, tiled=True)


def _key(key: Key | int) -> Key:
    return jax.random.key(int(key)) if isinstance(key, int | np.integer) else key


def _fitting(name: str, field: Field, given: ArrayLike, count: int) -> np.ndarray:
    """The values given for a field, one for each of `count` samples, in the field's dtype. Raises UserError."""
    array, shape = np.asarray(given), (count, *field.known)
    array = np.broadcast_to(array, shape) if array.shape == field.shape else array
    kinds = "iu" if np.dtype(field.dtype).kind in "iu" else "iuf"
    if array.shape != shape or array.dtype.kind not in kinds:
        got = f"got shape {array.shape} of {array.dtype}"
        raise ArgumentError("given", f"{name!r}: {got}, expected {shape} or {field.shape} of {field.dtype}")
    if field.names and array.size and not 0 <= array.min() <= array.max() < len(field.names):
        raise ArgumentError(
            "given", f"{name!r}: got {array.min()} to {array.max()}, expected 0 to {len(field.names) - 1}"
        )
    return array.astype(field.dtype)


def _first_of(product: Product) -> Callable[[Weights, Asked], Array]:
    """The function `(weights, asked)` -> first output of a product."""
    made = next(iter(product.gives))

    def call(weights: Weights, asked: Asked) -> Array:
        output: Array = product.once(weights, asked)[made]
        return output

    return call
