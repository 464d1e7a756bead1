"""Batches by field: from what the host sends to what losses see.

Independent of the train step, so that a trained network can be used without the training code.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from jaxgan.errors import UserError
from jaxgan.fields import PLANES, field_of, source_of
from jaxgan.game import Array, Batch, Key, Spec

INDEX = "index"  # the field of row numbers into a data set that is kept on the devices


def assemble(
    spec: Spec,
    cache: Mapping[str, Array] | None,
    sent: Mapping[str, Array],
    keys: Mapping[str, Key] | None = None,
) -> Batch:
    """The batch that losses see: `{image [B,H,W,C] in [-1, 1], label [B], ...}`, each field converted by its kind.

    Fields in `cache` are gathered by the row numbers sent for their source. Examples of sources with a key in `keys`
    are flipped at random, all planes and frames of an example together.
    """
    fields = {name: rows for name, rows in sent.items() if name.rpartition("/")[2] != INDEX}
    for name, array in (cache or {}).items():
        fields[name] = array[sent[field_of(source_of(name), INDEX)]]
    for name, rows in fields.items():
        if spec[name].kind == "pixels":
            rows = rows.astype(jnp.float32) / 127.5 - 1.0
        key = (keys or {}).get(source_of(name))
        if key is not None and spec[name].kind in PLANES:
            flipped = jax.random.bernoulli(key, shape=(len(rows), *[1] * (rows.ndim - 1)))  # the same for all fields
            rows = jnp.where(flipped, jnp.flip(rows, axis=-2), rows)
        fields[name] = rows
    return fields


def sent_batch(spec: Spec, rows: int, sharding: jax.sharding.Sharding | None = None) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of what the host sends for `rows` examples. Raises UserError for a field of unknown size."""
    for name, field in spec.items():
        if None in field.shape:
            raise UserError(f"the data's {name!r} ({field}) has an unknown size; batches require one known size")
    return {
        name: jax.ShapeDtypeStruct((rows, *field.known), jax.dtypes.canonicalize_dtype(field.dtype), sharding=sharding)
        for name, field in spec.items()
    }


def example_batch(spec: Spec, rows: int = 2) -> Batch:
    """A batch of zeros, as losses see it, with a data set's fields. Raises UserError for a field of unknown size."""
    shapes = jax.eval_shape(lambda sent: assemble(spec, None, sent), sent_batch(spec, rows))
    return jax.tree.map(lambda field: jnp.zeros(field.shape, field.dtype), shapes)
