"""Inception-v3 as a feature net, with the published weights from a file that the user has."""

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
from jaxgan.models.pretrained.inception import SIZE, Inception, from_torch, resize
from jaxgan.parallel.compiler import compiler_options
from jaxgan.system.paths import located
from jaxgan.system.plain import plain
from jaxgan.weights.reading import read

PUBLISHED = "6726825d"  # what the SHA-256 of the published file begins with
WHERE = (
    "weights-inception-2015-12-05-6726825d.pth of torch-fidelity's release v0.2.0 on GitHub, "
    "or pt_inception-2015-12-05-6726825d.pth of pytorch-fid's release fid_weights"
)
BATCH = 16  # images a device and dispatch: more is no faster on CPU


class Seen(NamedTuple):
    """Features float32 `[n,2048]` and logits without bias `[n,1008]`."""

    features: np.ndarray
    logits: np.ndarray


class InceptionFeatures:
    """uint8 images -> features and logits, computed on all local devices."""

    def __init__(self, tree: Mapping[str, Any], name: str, checksum: str):
        """`tree`: the network's params; `name` and `checksum` tell its features from others'."""
        self.name, self.checksum = name, checksum
        see = jax.jit(_see, compiler_options=compiler_options(jax.default_backend()))
        self._look = Features(see, tree, most=BATCH)

    def __call__(self, images: np.ndarray) -> Seen:
        """Of uint8 images `[n,H,W,C]`: grey ones are seen as three equal channels."""
        if images.shape[-1] not in (1, 3):
            raise UserError(f"config.evaluation.features: Inception sees 1 or 3 channels, not {images.shape[-1]}")
        return Seen(*self._look(images))


def load_inception(path: str | None) -> InceptionFeatures:
    """The features of a weights file: published `.pth`, or the same tensors as `.safetensors` or `.npz`.

    Only the published file itself, by the hash that its name carries, is taken for the published network: any other
    is used under the name of its tensors, whatever its format. Raises UserError where there is no file, with where to
    get it.
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
    """SHA-256 of names, shapes and values as float32, in the order of the names: that of a file hangs on its format.

    What PyTorch counts beside the weights (`num_batches_tracked`) does not matter.
    """
    digest = hashlib.sha256()
    for name in sorted(name for name in tensors if not name.endswith("num_batches_tracked")):
        tensor = np.ascontiguousarray(tensors[name], "<f4")
        digest.update(f"{name} {tensor.shape}\n".encode())
        digest.update(tensor.tobytes())
    return digest.hexdigest()


def check_weights(path: str | None) -> str:
    """The path; UserError where there is no file, with where to get it and what hash it must have."""
    path = None if path is None else located(path, "config.evaluation.weights")
    if path is None or not os.path.isfile(path):
        got = "nothing" if path is None else f"{path!r}, which is no file"
        raise UserError(
            f"config.evaluation.weights: got {got}; Inception's weights are {WHERE} (sha256 begins {PUBLISHED})"
        )
    return path


def _see(tree: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    images = jnp.broadcast_to(images.astype(jnp.float32), (*images.shape[:3], 3))
    if images.shape[1:3] != (SIZE, SIZE):
        images = resize(images)
    return Inception().apply(tree, images)
