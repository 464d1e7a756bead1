"""The sampler, with a task whose images tell what they were drawn from."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.sampling import Sampler

TRACED = []


@dataclasses.dataclass(frozen=True)
class Task:
    """An image is its latent, cut off."""

    num_classes: int = 0

    def generate(self, params, variables, latent, label, *, truncation=None):
        TRACED.append(latent.shape)
        image = latent[:, None, :, None]
        return image if truncation is None else jnp.clip(image, -truncation, truncation)

    def latents(self, key, count):
        return jax.random.normal(key, (count, 3))


def test_truncation_reaches_the_task_and_costs_one_compile():
    sampler, latents = Sampler(Task(), num_classes=0, batch_size=4), np.random.default_rng(0).normal(size=(6, 3))
    TRACED.clear()
    for truncation in (0.5, 0.25, 0.0):
        images = sampler.synthesize({}, {}, latents, None, truncation=truncation)
        np.testing.assert_allclose(images[:, 0, :, 0], np.clip(latents, -truncation, truncation), atol=1e-6)
    assert TRACED == [(4, 3)]
    np.testing.assert_allclose(sampler.synthesize({}, {}, latents, None)[:, 0, :, 0], latents, atol=1e-6)
    drawn = sampler.generate({}, {}, 5, 6, truncation=0.1)
    assert drawn.shape == (6, 1, 3, 1)
    assert np.abs(drawn).max() <= np.float32(0.1)


def test_a_task_that_tells_of_no_styles_has_none():
    assert not Sampler(Task(), num_classes=0).has_styles
