"""The recurrent network: a clip at once is the clip step by step; what it remembers, and its variables."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxgan.errors import UserError
from jaxgan.images.resizing import resize
from jaxgan.losses.temporal import motion
from jaxgan.models.recurrent import Recurrent
from jaxgan.models.spynet import SPyNet

SMALL = {"channels": 3, "scale": 2, "base_width": 4, "blocks": 1, "features": 5}
CLIP = jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (2, 4, 6, 5, 3)), jnp.float32)


def tree_of(network):
    """Variables that are not as they begin, so that every layer counts."""
    tree = network.init(jax.random.key(0), CLIP, None, train=False)
    leaves, structure = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return jax.tree.unflatten(structure, [x + 0.1 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys)])


def at_once(network, tree, clip=CLIP):
    return jax.jit(lambda tree, clip: network.apply(tree, clip, None, train=False))(tree, clip)


def by_steps(network, tree, clip=CLIP):
    step = jax.jit(lambda frame, memory: network.apply(tree, frame, memory, train=False, method="step"))
    memory, made = network.start(clip[:, 0]), []
    for frame in (*range(clip.shape[1]), *[-1] * network.delay):
        image, memory = step(clip[:, frame], memory)
        made.append(image)
    return jnp.stack(made[network.delay :], axis=1)


def test_a_clip_at_once_is_the_clip_step_by_step():
    network = Recurrent(**SMALL)
    tree = tree_of(network)
    whole = at_once(network, tree)
    assert whole.shape == (2, 4, 12, 10, 3)
    np.testing.assert_allclose(whole, by_steps(network, tree), atol=1e-5)
    other = at_once(network, tree, CLIP.at[:, 0].set(0.0))
    assert np.abs(other - whole)[:, 3].max() > 1e-3  # the first frame is remembered to the end
    later = at_once(network, tree, CLIP.at[:, 3].set(0.0))
    np.testing.assert_allclose(later[:, :3], whole[:, :3], atol=1e-6)  # and no frame sees a later one


def test_at_first_it_is_bicubic_and_without_its_state_every_frame_is_alone():
    network = Recurrent(**SMALL, stateful=False)
    tree = network.init(jax.random.key(0), CLIP, None, train=False)
    bicubic = resize(CLIP.reshape(8, 6, 5, 3), 12, 10).reshape(2, 4, 12, 10, 3)
    np.testing.assert_allclose(at_once(network, tree), bicubic, atol=1e-5)
    tree = tree_of(network)
    frames = at_once(network, tree, CLIP.reshape(8, 1, 6, 5, 3)).reshape(2, 4, 12, 10, 3)
    np.testing.assert_allclose(at_once(network, tree), frames, atol=1e-5)
    assert jax.tree.map(jnp.shape, tree) == jax.tree.map(jnp.shape, tree_of(Recurrent(**SMALL)))


def test_the_variables_of_recurrent():
    shapes = jax.eval_shape(
        lambda: Recurrent(3, base_width=4, blocks=1, features=5).init(jax.random.key(0), CLIP, None, train=False)
    )
    flat = jax.tree_util.tree_leaves_with_path(shapes)
    seen = 3 + 3 + 5 + 48  # the frame, the one before, features, the last image
    kernels = {
        "enter": (seen, 4),
        "memory": (4, 5),
        "image": (4, 48),
        "block_0/conv_0": (4, 4),
        "block_0/conv_1": (4, 4),
    }
    wanted = {f"params/{name}/kernel": (3, 3, *shape) for name, shape in kernels.items()}
    wanted |= {f"params/{name}/bias": shape[1:] for name, shape in kernels.items()}
    assert {jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape for path, leaf in flat} == wanted


@pytest.mark.slow
def test_with_flow_the_last_image_is_warped_and_it_is_still_the_clip_step_by_step():
    network = Recurrent(**SMALL, flow=SPyNet(levels=2, widths=(4,)))
    tree = tree_of(network)
    whole = at_once(network, tree)
    np.testing.assert_allclose(whole, by_steps(network, tree), atol=1e-5)
    none = jax.tree_util.tree_map_with_path(lambda path, x: 0 * x if "flow" in jax.tree_util.keystr(path) else x, tree)
    params = {name: each for name, each in tree["params"].items() if name != "flow"}
    without = at_once(Recurrent(**SMALL), {"params": params})
    np.testing.assert_allclose(at_once(network, none), without, atol=1e-5)  # no motion: as without flow
    assert np.abs(whole - without)[:, 1:].max() > 1e-3
    np.testing.assert_allclose(whole[:, 0], without[:, 0], atol=1e-5)  # nothing is remembered at the start


def test_flow_is_learned_from_the_frames():
    y, x = np.mgrid[:12, :16]
    picture = 0.5 * np.sin(0.6 * x + 0.4 * y) + 0.4 * np.cos(0.5 * y)
    clip = jnp.asarray(np.stack([picture[:, t : t + 12] for t in range(4)])[None, ..., None], jnp.float32)
    network = Recurrent(channels=1, scale=2, base_width=4, blocks=1, features=4, flow=SPyNet(levels=2, widths=(8,)))
    tree = network.init(jax.random.key(0), clip, None, train=False)
    adam = optax.adam(1e-2)

    def loss(tree):
        find = lambda now, before: network.apply(tree, now, before, method="motion")  # noqa: E731
        return motion(clip, find).mean()

    @jax.jit
    def play(tree, state):
        value, gradients = jax.value_and_grad(loss)(tree)
        moves, state = adam.update(gradients, state)
        return optax.apply_updates(tree, moves), state, value

    state, values = adam.init(tree), []
    for _ in range(60):
        tree, state, value = play(tree, state)
        values.append(float(value))
    assert values[-1] < 0.2 * values[0]
    plain = Recurrent(channels=1)
    with pytest.raises(UserError, match=r"flow is missing"):
        plain.apply({"params": {}}, clip[:, 0], clip[:, 1], method="motion")
