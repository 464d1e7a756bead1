"""Batches by the fields of the data: what the host sends of them, and what losses see.

It needs nothing of how players move, so that a trained network can be used without the training code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.errors import UserError
from jaxgan.fields import PLANES, field_of, source_of
from jaxgan.game import Array, Batch, Key, Spec

INDEX = "index"  # rows of what is kept on the devices


def assemble(
    spec: Spec,
    cache: Mapping[str, Array] | None,
    sent: Mapping[str, Array],
    keys: Mapping[str, Key] | None = None,
) -> Batch:
    """The batch of what was sent: `{image [B,H,W,C] in [-1, 1], label [B], ...}`, each field as its kind wants it.

    Of a `cache` its rows are gathered, field by field, by the rows that were sent for its source. Examples of sources
    with a key are flipped at random, each in all its planes and frames alike.
    """
    fields = {name: rows for name, rows in sent.items() if name.rpartition("/")[2] != INDEX}
    for name, array in (cache or {}).items():
        fields[name] = array[sent[field_of(source_of(name), INDEX)]]
    for name, rows in fields.items():
        if spec[name].kind == "pixels":
            rows = rows.astype(jnp.float32) / 127.5 - 1.0
        key = (keys or {}).get(source_of(name))
        if key is not None and spec[name].kind in PLANES:
            flipped = jax.random.bernoulli(key, shape=(len(rows), *[1] * (rows.ndim - 1)))  # one draw for all fields
            rows = jnp.where(flipped, jnp.flip(rows, axis=-2), rows)
        fields[name] = rows
    return fields


def sent_batch(spec: Spec, rows: int, sharding: Any = None) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of what the host sends of so many examples. Raises UserError for a field of unknown size."""
    for name, field in spec.items():
        if None in field.shape:
            raise UserError(f"the data's {name!r} ({field}) has a size that is unknown; batches require equal ones")
    return {
        name: jax.ShapeDtypeStruct((rows, *field.known), jax.dtypes.canonicalize_dtype(field.dtype), sharding=sharding)
        for name, field in spec.items()
    }


def example_batch(spec: Spec, rows: int = 2) -> Batch:
    """A batch of zeros as losses see it, of the fields of a data set. Raises UserError for one of unknown size."""
    shapes = jax.eval_shape(lambda sent: assemble(spec, None, sent), sent_batch(spec, rows))
    return jax.tree.map(lambda field: jnp.zeros(field.shape, field.dtype), shapes)
