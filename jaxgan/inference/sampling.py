"""Images from weights, in batches of one size, so that any number of them costs one compile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from jaxgan.building.conditions import Conditions
from jaxgan.errors import ArgumentError
from jaxgan.fields import Field, conditions, further_latents, name_of, named, told
from jaxgan.game import Array, Asked, Key, Product, Weights, draw_further, draw_latents
from jaxgan.parallel.compiler import compiler_options
from jaxgan.parallel.placement import split_batch
from jaxgan.system import signals


class Sampler:
    """A product that makes images from latents, ready to be called with whatever weights."""

    def __init__(
        self,
        product: Product,
        *,
        batch_size: int = 250,
        mesh: Mesh | None = None,
        conditions: Conditions | None = None,
    ):
        """`mesh`: the devices that each batch is split over, its size rounded up to a multiple of theirs; weights must
        lie on them, and the processes that they belong to must all call the same. None: the device of the weights.
        `conditions`: what real examples have, for which samples are made where nobody gives any.
        """
        devices = 1 if mesh is None else mesh.size
        self.product, self.batch_size, self._conditions = product, -(-batch_size // devices) * devices, conditions
        self._rows = None if mesh is None else split_batch(mesh)
        jit = partial(jax.jit, out_shardings=self._rows, compiler_options=compiler_options(jax.default_backend()))
        self._calls: dict[str | None, Any] = {name: jit(_first_of(each)) for name, each in product.parts.items()}
        self._calls[None] = jit(_first_of(product))

    @property
    def num_classes(self) -> int:
        """How many classes can be asked for; 0 without labels."""
        return self.product.num_classes

    @property
    def has_styles(self) -> bool:
        """Whether the generator maps latents to styles and synthesizes images from them."""
        return {"map", "synthesize"} <= self.product.parts.keys()

    def latents(self, key: Key | int, count: int) -> Array:
        """Latents `[count, ...]` as the generator was trained with, for a seed or a jax key."""
        return draw_latents(self.product.asks[named(self.product.asks, "latent")], _key(key), count)

    def labels(self, count: int, labels: Any = None) -> np.ndarray | None:
        """Labels `[count]`, int32: those given, or the classes in turn; None where there are no classes.

        Or shares of the classes `[count,num_classes]`, float32, each row of them summing to 1. Raises UserError for
        labels of another number, for unknown classes or no shares, and for a model without classes.
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
            accepted = f"expected {count} integers, or shares ({count}, {self.num_classes}) of the classes as floats"
            raise ArgumentError("labels", f"got shape {given.shape} of {given.dtype}, {accepted}")
        if count and (given.min() < 0 or given.max() >= self.num_classes):
            raise ArgumentError("labels", f"got {given.min()} to {given.max()}, expected 0 to {self.num_classes - 1}")
        return given.astype(np.int32)

    def _shares(self, given: np.ndarray, count: int) -> np.ndarray:
        if given.shape != (count, self.num_classes):
            accepted = f"expected shares ({count}, {self.num_classes})"
            raise ArgumentError("labels", f"got shape {given.shape} of {given.dtype}, {accepted}")
        given = given.astype(np.float32)
        if not (np.isfinite(given).all() and (given >= 0).all() and np.allclose(given.sum(axis=1), 1, atol=1e-3)):
            raise ArgumentError("labels", "got rows that are no shares, expected rows of 0 or more that sum to 1")
        return given

    def given(
        self, key: Key | int, count: int, labels: Any = None, given: Mapping[str, Any] | None = None
    ) -> dict[str, np.ndarray]:
        """What `count` samples are made for, by the names of the fields that the product asks for, checked.

        That is what is `given` by name (for all of them, or one for each), and `labels` as in `labels`. What nobody
        gives are the classes in turn, latents drawn by the key, and else what real examples have, chosen by the key.
        Raises UserError for what does not fit or is not asked for, and where real examples are wanted and nobody has
        handed them in.
        """
        asks, given = conditions(self.product.asks) | further_latents(self.product.asks), dict(given or {})
        label, unknown = name_of(asks, "label"), [*(given.keys() - asks.keys())]
        if unknown:
            raise ArgumentError("given", f"got {unknown[0]!r}, this model asks for {told(asks)} beside the latent")
        classes = self.labels(count, given.pop(label, labels) if label else labels)
        made = {} if label is None or classes is None else {label: classes}
        made |= {name: _fitting(name, asks[name], each, count) for name, each in given.items()}
        drawn = draw_further(self.product.asks, _key(key), count)
        made |= {name: np.asarray(each) for name, each in drawn.items() if name not in made}
        missing = [name for name in asks if name not in made]
        if missing and self._conditions is None:
            raise ArgumentError("given", f"is missing: this model asks for {told(asks)} beside the latent")
        if missing and self._conditions is not None:
            seed = np.asarray(jax.random.key_data(_key(key))).ravel().tolist()
            made |= self._conditions(missing, seed, count)
        return made

    def generate(
        self,
        weights: Weights,
        key: Key | int,
        count: int,
        labels: Any = None,
        *,
        given: Mapping[str, Any] | None = None,
        truncation: float | None = None,
    ) -> np.ndarray:
        """`count` images `[count,H,W,C]`, float32 in [-1, 1]; `labels` and `given` as in the method `given`."""
        asked = self.given(key, count, labels, given)
        return self(weights, self.asked(self.latents(key, count), asked, truncation=truncation))

    def share(self, weights: Weights, seed: int, count: int, labels: Any = None) -> np.ndarray:
        """This process's rows of what `generate` gives: as many in each, with padding behind the last image.

        Nothing is sent to another process. ValueError for several processes and more than one batch.
        """
        if jax.process_count() > 1 and count > self.batch_size:
            raise ValueError(f"count: expected {self.batch_size} or less, got {count}")
        outputs = self._outputs(None, weights, self.asked(self.latents(seed, count), self.given(seed, count, labels)))
        return np.concatenate([own_rows(output, wanted) for output, wanted in outputs])

    def asked(self, latents: Any, given: Asked, *, truncation: float | None = None) -> dict[str, Any]:
        """What the product asks for, by name, of latents `[n,Z]` and of what they are made for."""
        asked = {named(self.product.asks, "latent"): latents, **given}
        # a number that is traced, not static, so that a sweep is one program
        return asked if truncation is None else {**asked, "truncation": np.float32(truncation)}

    def __call__(self, weights: Weights, asked: Asked, part: str | None = None) -> np.ndarray:
        """The first thing that the product, or a part of it, gives of arrays `[n, ...]` by the names that it asks for.

        What is a scalar is one for all rows; another value costs no compile.
        """
        return np.concatenate([_whole(output)[:count] for output, count in self._outputs(part, weights, asked)])

    def _outputs(self, part: str | None, weights: Weights, asked: Asked) -> Iterator[tuple[jax.Array, int]]:
        """Batch by batch what the product or a part of it gives, and how many of its rows are wanted."""
        arrays = {name: np.asarray(each) for name, each in asked.items()}
        rows = {name: each for name, each in arrays.items() if each.ndim}
        count = len(next(iter(rows.values())))
        for start in range(0, count, self.batch_size):
            signals.check()
            batch = {name: self._placed(each[start : start + self.batch_size]) for name, each in rows.items()}
            yield self._calls[part](weights, {**arrays, **batch}), min(self.batch_size, count - start)

    def _placed(self, rows: np.ndarray) -> Any:
        padded = self._padded(rows)
        if self._rows is None:
            return padded
        return jax.make_array_from_callback(padded.shape, self._rows, lambda index: padded[index])

    def _padded(self, rows: np.ndarray) -> np.ndarray:
        missing = self.batch_size - len(rows)
        return np.concatenate([rows, np.repeat(rows[-1:], missing, axis=0)]) if missing else rows


def own_rows(array: jax.Array, count: int) -> np.ndarray:
    """Of an array split by rows the first `count`; of one that other processes share, all that lie in this one."""
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


def _fitting(name: str, field: Field, given: Any, count: int) -> np.ndarray:
    """What is given as a field, one for each of `count` samples, as its dtype. Raises UserError."""
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
    """`(weights, asked)` -> the first thing that a product gives."""
    made = next(iter(product.gives))

    def call(weights: Weights, asked: Asked) -> Array:
        output: Array = product.once(weights, asked)[made]
        return output

    return call
