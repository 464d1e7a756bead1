"""Generation of clips: the frames that each network sees, and their times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from making import make

from jaxgan.errors import UserError
from jaxgan.fields import pixel_field
from jaxgan.game import Judgement, Weights, draw_further, draw_latents, images_shown
from jaxgan.losses import adversarial
from jaxgan.models import dcgan
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.video import VideoGeneration
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

ROWS, LENGTH = 64, 6
CLIPS = {"image": pixel_field(4, 4, 1, frames=LENGTH)}


class Clock:
    """A generator whose frames show the time, plus a param; it accepts motion noise and ignores it."""

    frames, resolution, channels, period, has_styles = LENGTH, 4, 1, 2.0, False

    def noise_shape(self, last):
        return int(np.ceil(last)) + 1, 2

    def init(self, key, *inputs, train):
        return {"params": {"late": jnp.zeros(())}}

    def apply(self, tree, latent, condition, motion, time, start=None, *, train, mutable=False, rngs=None):
        last = LENGTH - 1 if start is None else LENGTH - 1 + self.period
        assert motion.shape == (len(latent), *self.noise_shape(last))
        shown = (time + tree["params"]["late"])[..., None, None, None] + jnp.zeros((4, 4, 1))
        return (shown, {}) if mutable is not False else shown


class Watchmaker:
    """A discriminator whose logits are the delay of clips against the times it is given."""

    def init(self, key, clip, condition=None, time=None, *, train):
        return {"params": {"bias": jnp.zeros(())}}

    def apply(self, tree, clip, condition=None, time=None, *, train, mutable=False):
        late = clip.mean(axis=(1, 2, 3)) if time is None else (clip.mean(axis=(2, 3, 4)) - time).sum(axis=1)
        judged = Judgement(late + tree["params"]["bias"], features=time)
        return (judged, {}) if mutable is not False else judged


def make_task(**settings):
    return make(VideoGeneration, Clock(), discriminator=Watchmaker(), loss=adversarial.hinge, latent_dim=3, **settings)


def batch():
    clips = jnp.broadcast_to(jnp.arange(LENGTH)[:, None, None, None], (ROWS, LENGTH, 4, 4, 1))
    return {"image": jnp.float32(clips)}


def played(task, rounds=1):
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 1e-9}))
    state = init_state(task, optimizers, jax.random.key(0), batch())
    step = make_train_step(task, optimizers, images=ROWS * images_shown(task, CLIPS))
    for _ in range(rounds):
        due = tuple(range(len(task.phases())))
        state, metrics = jax.jit(step, static_argnums=3)(state, batch(), jax.random.key(1), due)
    return state, metrics


@pytest.mark.parametrize("seen", [1, 3, None])
def test_reals_and_fakes_are_seen_at_the_times_given_to_the_discriminator(seen):
    task = make_task(frames_seen=seen)
    state, metrics = played(task)
    assert metrics["discriminator/real_logits"] == 0
    assert metrics["discriminator/fake_logits"] == 0
    assert state.images_seen == ROWS * (seen or LENGTH)


def test_frames_are_random_subsets_in_order_that_depend_on_the_key_only():
    task = make_task(frames_seen=3)

    def times(key):
        shown = task._show({}, batch(), jax.random.key(key))
        np.testing.assert_array_equal(shown.real[..., 0, 0, 0], shown.given["time"])
        return np.asarray(shown.given["time"])

    drawn = times(0)
    assert (np.diff(drawn) > 0).all()
    assert {*map(tuple, np.concatenate([drawn, *map(times, range(1, 8))]).tolist())} == {
        (a, b, c) for a in range(LENGTH) for b in range(a + 1, LENGTH) for c in range(b + 1, LENGTH)
    }
    np.testing.assert_array_equal(times(0), drawn)
    assert (times(1) != drawn).any()


def test_a_discriminator_of_images_sees_a_frame_of_each_clip():
    task = make_task(
        frames_seen=3, image_adversary=Adversary(Watchmaker(), adversarial.hinge, network_name="image_discriminator")
    )
    assert task.players == {
        "image_discriminator": ("image_discriminator",),
        "discriminator": ("discriminator",),
        "generator": ("generator",),
    }
    state, metrics = played(task)
    assert 1 < metrics["image_discriminator/real_logits"] < 4  # the mean time of a frame, of 0 to 5
    assert metrics["image_discriminator/real_logits"] == metrics["image_discriminator/fake_logits"]
    assert state.params.keys() == {"image_discriminator", "discriminator", "generator"}


def test_the_product_requires_noise_for_its_frames_and_longer_clips_begin_as_shorter_ones():
    product = make_task().products["generator"]
    assert product.asks["motion"].shape == (6, 2)
    assert product.gives["image"].shape == (LENGTH, 4, 4, 1)
    assert product.needed.keys() == {"latent", "motion"}
    long = product.retimed(64, 2.0)
    assert long.asks["motion"].shape == (33, 2)  # until time 31.5
    assert long.gives["image"].shape == (64, 4, 4, 1)
    assert long.retimed(LENGTH, 1.0).asks == product.asks
    key = jax.random.key(3)
    short, longer = (draw_further(each.asks, key, 5)["motion"] for each in (product, long))
    np.testing.assert_array_equal(longer[:, :6], short)
    assert abs(np.asarray(longer).std() - 1) < 0.15
    assert len(np.unique(longer)) == longer.size
    weights = Weights({"generator": {"late": jnp.zeros(())}}, {"generator": {}})
    asked = {"latent": draw_latents(product.asks["latent"], key, 5), "motion": short}
    made = product.once(weights, asked)["image"]
    np.testing.assert_array_equal(made[:, :, 0, 0, 0], np.broadcast_to(np.arange(LENGTH), (5, LENGTH)))
    times = jnp.full((5, LENGTH), 0.25)
    assert (product.once(weights, {**asked, "time": times})["image"] == 0.25).all()


def test_the_discriminator_judges_whole_clips_by_evenly_spaced_frames():
    task = make_task(frames_seen=3)
    product = task.products["discriminator"]
    weights = Weights({"discriminator": {"bias": jnp.ones(())}}, {"discriminator": {}})
    np.testing.assert_array_equal(product.once(weights, {"image": batch()["image"]})["logits"], np.ones(ROWS))


def test_unsupported_options_are_refused():
    with pytest.raises(UserError, match=r"config\.networks\.generator: dcgan\.Generator makes no clips"):
        make(VideoGeneration, dcgan.Generator(16, 1), discriminator=Watchmaker(), loss=adversarial.hinge)
    with pytest.raises(UserError, match=r"config\.task\.frames_seen: got 7, expected at most the 6 frames"):
        played(make_task(frames_seen=7))
    with pytest.raises(UserError, match=r"config\.task\.adversary\.pack: clips cannot be judged together"):
        make_task(pack=2)
