"""Inception-v3 as a feature network, with the published weights from a file supplied by the user."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UserError
from jaxgan.evaluators.streams import Features
from jaxgan.game import Params
from jaxgan.models.pretrained.inception import SIZE, Inception, from_torch, resize
from jaxgan.parallel.compiler import compiler_options
from jaxgan.system.paths import located
from jaxgan.system.plain import plain
from jaxgan.weights.reading import read

PUBLISHED = "6726825d"  # first digits of the published file's SHA-256
WHERE = (
    "weights-inception-2015-12-05-6726825d.pth of torch-fidelity's release v0.2.0 on GitHub, "
    "or pt_inception-2015-12-05-6726825d.pth of pytorch-fid's release fid_weights"
)
BATCH = 16  # images per device and call: more is no faster on CPU


class Seen(NamedTuple):
    """Features float32 `[n,2048]` and logits without bias `[n,1008]`."""

    features: np.ndarray
    logits: np.ndarray


class InceptionFeatures:
    """uint8 images -> features and logits, computed on all local devices."""

    def __init__(self, tree: Mapping[str, Any], name: str, checksum: str):
        """`tree`: the network's params; `name` and `checksum` identify its features."""
        self.name, self.checksum = name, checksum
        see = jax.jit(_see, compiler_options=compiler_options(jax.default_backend()))
        self._look = Features(see, tree, most=BATCH)

    def __call__(self, images: np.ndarray) -> Seen:
        """Features and logits of uint8 images `[n,H,W,C]`; a grey channel is repeated three times.

        Raises UserError if C is neither 1 nor 3.
        """
        if images.shape[-1] not in (1, 3):
            got = f"{images.shape[-1]} channels"
            raise UserError(f"config.evaluation.features: got {got}, expected 1 or 3 channels for Inception")
        return Seen(*self._look(images))


def load_inception(path: str | None) -> InceptionFeatures:
    """The features with the weights of a file: the published `.pth`, or the same tensors as `.safetensors` or `.npz`.

    Only the published file, recognised by its hash, gets the name of the published network. Any other file is named
    by the hash of its tensors, whatever its format. If there is no file, raises UserError, which says where to get it.
    """
    path = check_weights(path)
    with open(path, "rb") as file:
        published = hashlib.file_digest(file, "sha256").hexdigest().startswith(PUBLISHED)
    tensors = read(path)
    try:
        tree = from_torch(tensors)
    except UserError as error:
        raise UserError(f"config.evaluation.weights: {path}: {plain(error)}") from None
    checksum = tensors_digest(tensors)
    name = "inception-2015-12-05" if published else f"inception-unpublished-{checksum[:8]}"
    return InceptionFeatures(tree, name, checksum)


def tensors_digest(tensors: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of the tensors' names, shapes and float32 values, sorted by name; it does not depend on the file format.

    PyTorch's counters (`num_batches_tracked`) are left out.
    """
    digest = hashlib.sha256()
    for name in sorted(name for name in tensors if not name.endswith("num_batches_tracked")):
        tensor = np.ascontiguousarray(tensors[name], "<f4")
        digest.update(f"{name} {tensor.shape}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def check_weights(path: str | None) -> str:
    """The path of an existing file. Otherwise raises UserError, which says where to get the file and its hash."""
    path = None if path is None else located(path, "config.evaluation.weights")
    if path is None or not os.path.isfile(path):
        got = "nothing" if path is None else f"{path!r}, which is not a file"
        raise UserError(
            f"config.evaluation.weights: got {got}, expected Inception's weights: {WHERE} "
            f"(its SHA-256 begins with {PUBLISHED})"
        )
    return path


def _see(tree: Params, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    images = jnp.broadcast_to(images.astype(jnp.float32), (*images.shape[:3], 3))
    if images.shape[1:3] != (SIZE, SIZE):
        images = resize(images)
    return Inception().apply(tree, images)
