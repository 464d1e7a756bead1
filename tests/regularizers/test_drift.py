"""The drift of logits."""

import jax.numpy as jnp
import numpy as np

from jaxgan.regularizers.drift import drift


def test_drift_is_the_square_of_each_images_logit():
    np.testing.assert_allclose(drift(jnp.array([1.0, -3.0]), weight=0.5), [0.5, 4.5])
    patches = jnp.array([[1.0, 3.0], [0.0, 0.0]])  # the mean over a patch map comes first
    np.testing.assert_allclose(drift(patches, weight=1.0), [4.0, 0.0])
