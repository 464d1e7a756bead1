"""Generators as StableHLO: one file with weights and program, for any batch and for CPU, CUDA and TPU.

What is written is what `jax.export` serializes; reading it needs jax and no code of this package.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import jax
from jax import export

from jaxgan.errors import UserError
from jaxgan.fields import Spec
from jaxgan.game import Array
from jaxgan.media.images import replace_file

PLATFORMS = ("cpu", "cuda", "tpu")

Function = Callable[..., Array]  # (latent [b,Z] float32[, label [b] int32, ...]) -> image [b,H,W,C] float32


def write(
    path: str | os.PathLike[str],
    function: Function,
    asks: Spec,
    *,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Writes the program of `function` for any batch; `asks`: what it takes, in order, such as `Model.needed`.

    Raises UserError for platforms unheard of, and where `flatbuffers`, which the format is made of, is missing.
    """
    if not platforms or not set(platforms) <= set(PLATFORMS):
        raise UserError(f"--platforms: got {','.join(platforms)!r}, expected some of {','.join(PLATFORMS)}")
    with any_batch("stablehlo"):
        exported = export.export(jax.jit(function), platforms=tuple(platforms))(*arguments(asks))
    try:
        program = exported.serialize()
    except ImportError:
        raise UserError(MISSING) from None
    replace_file(path, bytes(program))


def load(path: str | os.PathLike[str]) -> Function:
    """The generator in a file: `(latent [b,Z][, label [b], ...]) -> image [b,H,W,C]`, compiled at the first call.

    Raises UserError where there is no such file, where it is another kind of file, and where `flatbuffers` is missing.
    """
    try:
        return jax.jit(export.deserialize(bytearray(pathlib.Path(path).read_bytes())).call)
    except ImportError:
        raise UserError(MISSING) from None
    except OSError as why:
        raise UserError(f"{path} cannot be read: {why.strerror}") from None
    except Exception as why:  # whatever the reader makes of foreign bytes
        raise UserError(f"{path} holds no exported generator: {why}") from None


@contextlib.contextmanager
def any_batch(kind: str) -> Iterator[None]:
    """Raises UserError for a network that cannot be followed for a batch without a number."""
    try:
        yield
    except (TypeError, ValueError) as why:
        told = " ".join(str(why).split())
        raise UserError(f"--format={kind}: the network cannot be followed for batches of any size: {told}") from None


def arguments(asks: Spec) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shapes of what is asked for, of a batch named b."""
    (batch,) = export.symbolic_shape("b")
    return tuple(jax.ShapeDtypeStruct((batch, *field.known), field.dtype) for field in asks.values())


MISSING = "StableHLO files need the package flatbuffers: pip install 'jaxgan[export]'"
