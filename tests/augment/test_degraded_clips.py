"""Clips are degraded as one image: equal frames stay equal, but for noise, which is anew in each."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment import degradations, real_esrgan

SIDE = 16
STANDING = {  # no noise
    "bicubic": degradations.Bicubic(scale=2),
    "blur": degradations.Blur(),
    "jpeg": degradations.Jpeg(),
    "masks": degradations.Masks(),
    "edges": degradations.Edges(),
    "identity": degradations.Identity(),
}
NOISY = {
    "gaussian": degradations.GaussianNoise(strength=(5.0, 50.0), grey=0.5),
    "poisson": degradations.Poisson(amount=(1.0, 3.0), grey=0.5),
    "chain": degradations.Chain((degradations.Blur(), degradations.GaussianNoise())),
}


def images(rows=3):
    return jnp.asarray(np.random.default_rng(0).uniform(-0.9, 0.9, (rows, SIDE, SIDE, 3)), jnp.float32)


@pytest.mark.parametrize("name", STANDING)
def test_all_frames_of_a_clip_are_degraded_as_its_image_would_be(name):
    degrade, key, image = jax.jit(STANDING[name].__call__), jax.random.key(1), images()
    made = degrade(key, jnp.stack([image, -image], axis=1))
    for frame, picture in enumerate((image, -image)):
        np.testing.assert_allclose(made[:, frame], degrade(key, picture), atol=1e-5)


@pytest.mark.parametrize("name", [*NOISY, pytest.param("realesrgan", marks=pytest.mark.slow)])
def test_noise_is_anew_in_each_frame_and_of_the_strength_of_its_clip(name):
    degrade, key = {**NOISY, "realesrgan": real_esrgan.RealESRGAN(scale=2)}[name], jax.random.key(2)
    clip = jnp.broadcast_to(images(6)[:, None], (6, 4, SIDE, SIDE, 3))
    made = jax.jit(degrade.__call__)(key, clip)
    assert made.shape[:2] == (6, 4)
    changes = np.abs(np.diff(made, axis=1)).mean((2, 3, 4))  # [clip, pair of frames]
    assert changes.min() > 1e-3
    if name in ("gaussian", "poisson"):  # clips differ in strength, frames of a clip do not
        assert (changes.std(axis=1) < 0.2 * changes.mean(axis=1)).all()
        assert changes.mean(axis=1).std() > 0.2 * changes.mean()
        noise = np.asarray(made - clip)
        grey = np.ptp(noise, axis=-1).max((2, 3)) < 1e-5  # [clip, frame]
        assert (grey == grey[:, :1]).all()
        assert 0 < grey[:, 0].sum() < 6
