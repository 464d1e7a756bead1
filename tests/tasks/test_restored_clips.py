"""Restoration of clips: recurrent products, losses of frames and of clips, and what the discriminator sees."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from making import make

from jaxgan.augment.degradations import Bicubic, Masks
from jaxgan.errors import UserError
from jaxgan.game import GENERATOR, Judgement, Weights
from jaxgan.inference.restorer import make_restorer, of_shot
from jaxgan.layers.repeat import by_step
from jaxgan.losses import adversarial, reconstruction, temporal
from jaxgan.models.triplets import Triplets
from jaxgan.tasks.adversary import blank_state
from jaxgan.tasks.conditioned import restoring
from jaxgan.tasks.restoration import Content, Restoration

KEY = jax.random.key(0)
SHAPES = []  # that a discriminator has seen


class Adding(nn.Module):
    """Each image is `weight` times the sum of its frame and the one before it, or with `delay` 1 the one after."""

    scale: int = 1
    delay: int = 0

    clips = True

    def setup(self):
        self.weight = self.param("weight", lambda key: jnp.float32(0.5))

    def __call__(self, condition, label=None, *, train):
        return by_step(self, condition, train=train)

    @nn.nowrap
    def start(self, frame):
        return frame[..., :3]

    def step(self, frame, memory, *, train=False):
        image = self.weight * (frame[..., :3] + memory)
        return image.repeat(self.scale, axis=1).repeat(self.scale, axis=2), frame[..., :3]


class Whole(nn.Module):
    """A network without `step`: every image is the mean of the clip."""

    clips = True

    @nn.compact
    def __call__(self, condition, label=None, *, train):
        weight = self.param("weight", lambda key: jnp.float32(1.0))
        return jnp.broadcast_to(weight * condition.mean(axis=1, keepdims=True), condition.shape)


class Judge(nn.Module):
    """The mean of each row, and a weight."""

    @nn.compact
    def __call__(self, image, label=None, *, train):
        weight = self.param("weight", lambda key: jnp.float32(1.0))
        SHAPES.append(image.shape)
        return Judgement(logits=weight * image.mean(axis=tuple(range(1, image.ndim))))


def clip(rows=2, frames=4, side=4, seed=0):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1, 1, (rows, frames, side, side, 3)), jnp.float32)


def weights(weight=0.5):
    return Weights({GENERATOR: {"weight": jnp.float32(weight)}}, {GENERATOR: {}})


def loss_of(task, phase, image):
    """The loss and the metrics of a phase, of clips."""
    params, variables = task.init(KEY, {"image": image})
    state = blank_state(params, variables, task.init_carry())

    def both(state):
        fakes, _ = task.draw(phase, state, {"image": image}, KEY)
        return fakes, phase.loss(state, {"image": image, "fakes": fakes}, KEY)

    return jax.jit(both)(state)


@pytest.mark.parametrize("delay", [0, 1])
def test_a_shot_is_restored_frame_by_frame_with_the_known_pixels_of_each_frame(delay):
    product = restoring(Adding(delay=delay), Masks())
    assert (product.delay, product.begin is None) == (delay, False)
    frames, masks = np.asarray(clip(rows=4, frames=1)[:, 0]), np.zeros((4, 4, 4, 1), np.float32)
    masks[np.arange(4), :, np.arange(4)] = 1.0  # another column in each frame
    made = of_shot(product)(weights(), jnp.asarray(np.concatenate([frames * (1 - masks), masks], axis=-1)))
    hidden = frames * (1 - masks)
    other = hidden[[1, 2, 3, 3]] if delay else hidden[[0, 0, 1, 2]]
    np.testing.assert_allclose(made, np.where(masks > 0, 0.5 * (hidden + other), frames), atol=1e-6)


def test_a_network_of_images_restores_images_and_one_without_steps_requires_clips():
    product = restoring(Whole())
    assert product.begin is None
    assert product.asks["condition"].clip
    assert product.gives["image"].clip
    frames = clip(rows=1)[0]
    made = of_shot(product)(weights(1.0), frames)
    np.testing.assert_allclose(made, jnp.broadcast_to(frames.mean(axis=0), frames.shape), atol=1e-6)
    restorer = make_restorer(product, weights(1.0))
    np.testing.assert_allclose(restorer(np.asarray(frames)), frames, atol=1e-6)  # pictures are shots of one frame
    assert restorer.delay > 0


def test_losses_of_images_see_all_frames_and_losses_of_clips_whole_clips():
    losses = ("l1", reconstruction.l1), ("tv", reconstruction.total_variation)
    of_clips = ("difference", temporal.difference), ("warp", temporal.warp), ("ping_pong", temporal.ping_pong)
    content = tuple(Content(name, function) for name, function in (*losses, *of_clips))
    task, image = make(Restoration, Adding(scale=2), degradation=Bicubic(scale=2), content=content), clip()
    assert task.asks["image"].clip
    fakes, (loss, aux) = loss_of(task, task.phases()[0], image)
    condition = Bicubic(scale=2)(KEY, image)
    before = condition[:, [0, 0, 1, 2]]
    restored = (0.5 * (condition + before)).repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(fakes.image, restored, atol=1e-6)
    back = (0.5 * (condition[:, :3] + condition[:, 1:])).repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_allclose(fakes.returned, back, atol=1e-6)  # as the film comes back to them
    frames = restored.reshape(-1, 4, 4, 3)
    expected = {
        "l1": reconstruction.l1(frames, image.reshape(-1, 4, 4, 3)),
        "tv": reconstruction.total_variation(frames),
        "difference": temporal.difference(restored, image),
        "warp": temporal.warp(restored, image),
        "ping_pong": temporal.ping_pong(restored, back),
    }
    for name, each in expected.items():
        np.testing.assert_allclose(aux.metrics[name], each.mean(), rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(loss, sum(each.mean() for each in expected.values()), rtol=1e-5)


def second(network, **settings):
    return make(
        Restoration,
        Adding(scale=2),
        degradation=Bicubic(scale=2),
        content=(Content("l1", reconstruction.l1),),
        discriminator=network,
        loss=adversarial.relativistic,
        adversarial_start=0,
        **settings,
    )


@pytest.mark.parametrize("triplets", [False, True])
def test_a_discriminator_of_images_sees_frames_and_one_of_clips_triplets_with_their_conditions(triplets):
    task = second(Triplets(Judge(), channels=3), conditional=True) if triplets else second(Judge())
    SHAPES.clear()
    _, (loss, aux) = loss_of(task, task.phases()[-1], clip())  # the generator's
    assert set(SHAPES) == {(2, 4, 4, 27) if triplets else (8, 4, 4, 3)}
    np.testing.assert_allclose(loss, aux.metrics["l1"] + aux.metrics["adversarial"], rtol=1e-5)
    asked = task.products["discriminator"].asks
    assert {name: field.clip for name, field in asked.items()} == (
        {"image": True, "condition": True} if triplets else {"image": False}
    )


def test_options_that_do_not_support_clips_are_refused():
    pictures = nn.Conv(3, (3, 3))
    with pytest.raises(UserError, match="warp compares clips; expected a generator of clips"):
        Restoration(pictures, content=(Content("warp", temporal.warp),))
    with pytest.raises(UserError, match=r"config\.task\.conditional: got true"):
        second(Judge(), conditional=True)  # frames by themselves
    with pytest.raises(UserError, match=r"pack: clips cannot be judged together"):
        second(Judge(), pack=2)
