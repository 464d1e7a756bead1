"""Exports generators as StableHLO: one file with weights and program, for any batch size on CPU, CUDA and TPU.

The file is serialized by `jax.export`; reading it requires jax, but no code of this package.
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
from jaxgan.system.whole_files import replace_file

PLATFORMS = ("cpu", "cuda", "tpu")

Function = Callable[..., Array]  # (latent [b,Z] float32[, label [b] int32, ...]) -> image [b,H,W,C] float32


def write(
    path: str | os.PathLike[str],
    function: Function,
    asks: Spec,
    *,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Writes the program of `function` for any batch size; `asks`: its inputs in order, e.g. `Model.needed`.

    Raises UserError for unknown platforms, and if `flatbuffers`, which the format requires, is missing.
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

    Raises UserError if the file does not exist or is of another kind, and if `flatbuffers` is missing.
    """
    try:
        return jax.jit(export.deserialize(bytearray(pathlib.Path(path).read_bytes())).call)
    except ImportError:
        raise UserError(MISSING) from None
    except OSError as why:
        raise UserError(f"{path} cannot be read: {why.strerror}") from None
    except Exception as why:  # the reader may raise anything for other files
        raise UserError(f"{path} is not an exported generator: {why}") from None


@contextlib.contextmanager
def any_batch(kind: str) -> Iterator[None]:
    """Raises UserError for a network that cannot be traced with a dynamic batch size."""
    try:
        yield
    except (TypeError, ValueError) as why:
        message = " ".join(str(why).split())
        raise UserError(f"--format={kind}: the network cannot be traced for batches of any size: {message}") from None


def arguments(asks: Spec) -> tuple[jax.ShapeDtypeStruct, ...]:
    """The shapes of the inputs, for a batch of symbolic size b."""
    (batch,) = export.symbolic_shape("b")
    return tuple(jax.ShapeDtypeStruct((batch, *field.known), field.dtype) for field in asks.values())


MISSING = "StableHLO files require the package flatbuffers: pip install 'jaxgan[export]'"
