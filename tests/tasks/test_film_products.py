"""The product of a delayed network of films with masks: frame by frame, it equals the network on whole clips."""

import jax
import numpy as np

from jaxgan.augment.clip_degradations import ClipMasks
from jaxgan.game import GENERATOR, Weights
from jaxgan.inference.restorer import of_shot
from jaxgan.models import shift_unet
from jaxgan.tasks.restoration import restoring

KEY = jax.random.key(0, impl="unsafe_rbg")


def test_known_pixels_of_a_late_film_are_those_of_its_own_frames():
    network = shift_unet.Generator(3, base_width=4, halvings=1, bottom=0, ahead=1, filled="median", window=3, future=1)
    clip = jax.random.uniform(KEY, (1, 4, 8, 8, 3), minval=-1.0)
    condition = jax.jit(ClipMasks("boxes").__call__)(jax.random.key(1), clip)
    tree = jax.eval_shape(lambda: network.init(KEY, condition, train=False))
    tree = jax.tree.map(lambda leaf: 0.2 * jax.random.normal(KEY, leaf.shape), tree)
    product = restoring(network, ClipMasks("boxes"))
    assert (product.delay, product.asks["condition"].clip, "mask" in product.asks) == (2, False, True)
    images = of_shot(product)(Weights({GENERATOR: tree["params"]}, {GENERATOR: {}}), condition[0])
    mask = condition[0, ..., -1:]
    np.testing.assert_array_equal(images * (1 - mask), condition[0, ..., :-1])
    whole = jax.jit(lambda: network.apply(tree, condition, None, train=False))()[0]
    np.testing.assert_allclose(images * mask, whole * mask, atol=1e-5)
