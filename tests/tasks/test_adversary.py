"""An adversary's turn and push against closed forms, conditions, and two adversaries at once."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment.ada import ADA
from jaxgan.augment.diffaugment import DiffAugment
from jaxgan.config.domains import Given
from jaxgan.errors import UserError
from jaxgan.game import Aux, Judgement, JudgementLoss, Phase
from jaxgan.losses import adversarial
from jaxgan.regularizers.gradient_penalty import r1
from jaxgan.regularizers.lecam import lecam
from jaxgan.tasks.adversary import Adversary, Shown, blank_state
from jaxgan.tasks.penalty import Penalty
from jaxgan.tasks.sight import sight
from jaxgan.training.optimizers import make_optimizer
from jaxgan.training.state import init_state
from jaxgan.training.step import make_train_step

BATCH, SIDE, KEY = 4, 8, jax.random.key(2)
W = 0.3


class Bright:
    """A discriminator: a number times the sum of the pixels, times what is given, if anything is."""

    def init(self, key, image, given, *, train):
        return {"params": {"w": jnp.float32(W)}}

    def apply(self, tree, image, given, *, train, mutable=()):
        logits = tree["params"]["w"] * image.sum((1, 2, 3)) * (1.0 if given is None else given)
        judgement = Judgement(logits=logits)
        return (judgement, {}) if train else judgement


def images(seed):
    return jax.random.uniform(jax.random.key(seed), (BATCH, SIDE, SIDE, 1), minval=-1.0)


def state_of(adversary, given=None):
    tree = adversary.init(jax.random.key(0), images(1), given)
    params, variables = {adversary.network_name: tree["params"]}, {adversary.network_name: {}}
    return blank_state(params, variables, adversary.init_carry())


def softplus(x):
    return np.logaddexp(0.0, x)


def sums(pixels):
    return np.asarray(pixels, np.float64).sum((1, 2, 3))


def test_a_turn_is_the_loss_of_the_pairs():
    adversary = Adversary(Bright(), adversarial.non_saturating)
    state, (real, fake) = state_of(adversary), (images(1), images(2))
    loss, aux = adversary.turn(state, real, fake, KEY)
    r, f = W * sums(real), W * sums(fake)
    np.testing.assert_allclose(loss, (softplus(-r) + softplus(f)).mean(), rtol=1e-5)
    expected = {"real_logits": r.mean(), "fake_logits": f.mean(), "accuracy": (r > f).mean()}
    assert aux.metrics.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(aux.metrics[name], value, rtol=1e-4)
    assert aux.variables == {"discriminator": {}}
    assert aux.carry == {}
    gradients = jax.grad(lambda fake: adversary.turn(state, real, fake, KEY)[0])(fake)
    np.testing.assert_array_equal(gradients, 0.0)  # the other player is not asked


def test_a_push_is_the_loss_of_the_fakes():
    adversary = Adversary(Bright(), adversarial.non_saturating)
    state, (real, fake) = state_of(adversary), (images(1), images(2))
    pushed = adversary.push(state, real, fake, KEY)
    f = W * sums(fake)
    np.testing.assert_allclose(pushed.loss, softplus(-f).mean(), rtol=1e-5)
    np.testing.assert_allclose(pushed.fake.logits, f, rtol=1e-4)
    assert pushed.metrics == {}
    gradients = jax.grad(lambda fake: adversary.push(state, real, fake, KEY).loss)(fake)
    slopes = -W / (1 + np.exp(f)) / BATCH
    np.testing.assert_allclose(gradients, np.broadcast_to(slopes[:, None, None, None], fake.shape), rtol=1e-4)
    best = dataclasses.replace(adversary, top_k=0.5).push(state, real, fake, KEY)
    np.testing.assert_allclose(best.loss, softplus(-np.sort(f)[BATCH // 2 :]).mean(), rtol=1e-5)


# of the logits of reals with what belongs to them, of fakes, and of reals with something else
FORMULAS = {
    # real + (mismatched + fake) / 2 (Reed et al. 2016, algorithm 1, line 10, negated)
    "non_saturating": lambda r, f, w: softplus(-r) + (softplus(w) + softplus(f)) / 2,
    "hinge": lambda r, f, w: np.maximum(0, 1 - r) + (np.maximum(0, 1 + w) + np.maximum(0, 1 + f)) / 2,
    "least_squares": lambda r, f, w: (r - 1) ** 2 / 2 + (w**2 / 2 + f**2 / 2) / 2,
    "wasserstein": lambda r, f, w: -r + (w + f) / 2,
    # of pairs: against the fake of the row, and against itself beside something else
    "relativistic": lambda r, f, w: (softplus(f - r) + softplus(w - r)) / 2,
    "relativistic_average": lambda r, f, w: (
        (softplus(f.mean() - r) + softplus(f - r.mean()) + softplus(w.mean() - r) + softplus(w - r.mean())) / 2
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_mismatched_reals_count_as_fakes_with_half_the_weight(name):
    adversary = Adversary(Bright(), getattr(adversarial, name))
    given, mismatched = jnp.array([1.0, 0.5, -0.5, 2.0]), jnp.array([-1.0, 1.0, 0.2, 0.1])
    state, (real, fake) = state_of(adversary, given), (images(1), images(2))
    loss, aux = adversary.turn(state, real, fake, KEY, given, mismatched)
    r, f, w = W * sums(real) * given, W * sums(fake) * given, W * sums(real) * mismatched
    np.testing.assert_allclose(loss, FORMULAS[name](*map(np.asarray, (r, f, w))).mean(), rtol=1e-5)
    np.testing.assert_allclose(aux.metrics["mismatched_logits"], w.mean(), rtol=1e-4)
    plain, _ = adversary.turn(state, real, fake, KEY, given)
    same, _ = adversary.turn(state, real, real, KEY, given, given)
    pairs, _ = adversary.turn(state, real, real, KEY, given)
    np.testing.assert_allclose(same, pairs, rtol=1e-6)  # of the same pairs twice, the loss of the pairs
    assert plain != loss


def test_mismatched_pairs_that_logits_cannot_distinguish_are_refused():
    class Guesses(Bright):
        def apply(self, tree, image, given, *, train, mutable=()):
            judgement, updates = super().apply(tree, image, None, train=train)
            return judgement.replace(class_logits=jnp.zeros((len(image), 3))), updates

    label = jnp.array([0, 1, 2, 0])
    adversary = Adversary(Guesses(), adversarial.hinge)
    with pytest.raises(
        UserError, match=r"config\.networks\.discriminator\.conditioning: got 'classifier', whose logits"
    ):
        adversary.turn(state_of(adversary), images(1), images(2), KEY, label, label[::-1])
    adversary = Adversary(Bright(), adversarial.hinge)
    with pytest.raises(ValueError, match="mismatched: requires a `given`"):
        adversary.turn(state_of(adversary), images(1), images(2), KEY, None, jnp.ones(BATCH))


def test_a_penalty_differentiates_by_given_only_if_it_requests_it():
    """The second is DF-GAN's: 2 (|gradient by the image| + |gradient by the sentence|)^6 (Tao et al. 2022)."""

    def of_both(critic, real, given):
        gradients = jax.grad(lambda *inputs: critic(*inputs).sum(), (0, 1))(real, given)
        norms = [jnp.sqrt(jnp.square(g).reshape(BATCH, -1).sum(1)) for g in gradients]
        return 2 * (norms[0] + norms[1]) ** 6

    penalties = (Penalty("r1", r1, {"gamma": 2.0}), Penalty("of_both", of_both))
    adversary = Adversary(Bright(), adversarial.hinge, penalties=penalties)
    given = jnp.array([0.1, 0.05, -0.05, 0.2])
    metrics = adversary.turn(state_of(adversary, given), images(1), images(2), KEY, given)[1].metrics
    by_image, by_given = np.abs(np.asarray(given)) * W * SIDE, np.abs(W * sums(images(1)))
    np.testing.assert_allclose(metrics["r1"], np.square(by_image).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["of_both"], (2 * (by_image + by_given) ** 6).mean(), rtol=1e-4)


class Apart:
    """A discriminator: the difference between an image and what is given beside it."""

    def init(self, key, image, given, *, train):
        return {"params": {"w": jnp.float32(1.0)}}

    def apply(self, tree, image, given, *, train, mutable=()):
        difference = jnp.abs(image - given["pixels"]).mean((1, 2, 3)) + given["label"]
        return Judgement(logits=tree["params"]["w"] * difference), {}


MOVING = {
    "blits": ADA(preset="blit", schedule=1.0),
    "geometry": ADA(preset="bg", schedule=1.0),
    "translation": DiffAugment(policy=("translation",)),
}


@pytest.mark.parametrize("name", MOVING)
def test_given_pixels_are_transformed_with_the_images(name):
    adversary = Adversary(Apart(), adversarial.hinge, augment=MOVING[name])
    image, label = jax.random.uniform(KEY, (64, SIDE, SIDE, 1)), jnp.arange(64.0)
    given = {"pixels": image, "label": label}
    state = state_of(adversary, given)
    metrics = adversary.turn(state, image, image, KEY, given)[1].metrics
    for logits in ("real_logits", "fake_logits"):
        np.testing.assert_allclose(metrics[logits], label.mean(), rtol=1e-5)
    pushed = adversary.push(state, image, image, KEY, given)
    np.testing.assert_allclose(pushed.fake.logits, label, atol=1e-4)
    seen = sight(KEY, jnp.int32(0), augment=MOVING[name], given=given)
    assert np.abs(seen.reals(image) - image).max() > 0.1
    apart = sight(KEY, jnp.int32(0), augment=MOVING[name], given=label)  # no pixels: draws of their own
    assert np.abs(apart.reals(image) - apart.fakes(image)).max() > 0.1


@pytest.mark.parametrize("augment", [ADA(preset="bgcfnc", schedule=1.0), DiffAugment()])
def test_colours_noise_and_cutouts_change_only_the_images(augment):
    image = jax.random.uniform(KEY, (64, SIDE, SIDE, 3))
    seen = sight(KEY, jnp.int32(0), augment=augment, given=image)
    moved = seen.given(image, image)
    assert np.abs(moved - image).max() > 0.1
    for see in (seen.reals, seen.fakes):
        assert np.abs(see(image) - moved).max() > 0.1
    assert np.abs(seen.reals(image) - seen.fakes(image)).max() > 0.1  # colours of their own
    ones = jnp.ones_like(image)
    kept = seen.given(ones, image)
    np.testing.assert_allclose(np.where(kept > 0.5, 1.0, 0.0), kept, atol=1e-5)  # a mask stays one


def test_pixels_that_cannot_be_transformed_with_the_images_are_an_error():
    class Darken:
        def init_memory(self):
            return {}

        def probability(self, memory, images_seen):
            return 1.0

        def __call__(self, key, images, probability):
            return 0.5 * images

    image = images(1)
    with pytest.raises(UserError, match=r"config\.task\.adversary\.augment: Darken has no `moved`"):
        sight(KEY, jnp.int32(0), augment=Darken(), given=image)
    whole = jnp.zeros((BATCH, SIDE, SIDE), jnp.int32)
    for given in ({"small": image[:, ::2, ::2]}, {"classes": whole}, {"masks": whole[..., None]}):
        seen = sight(KEY, jnp.int32(0), augment=DiffAugment(), given={**given, "pixels": image})
        with pytest.raises(
            UserError, match=r"config\.task\.adversary\.augment: a condition of shape .* cannot be transformed"
        ):
            seen.given({**given, "pixels": image}, image)
    with pytest.raises(UserError, match=r"config\.task\.adversary\.augment: images of several scales"):
        sight(KEY, jnp.int32(0), augment=DiffAugment()).reals((image, image[:, ::2, ::2]))


def test_all_frames_of_a_clip_are_augmented_alike():
    still = jnp.repeat(jax.random.uniform(KEY, (16, 1, SIDE, SIDE, 3)), 3, axis=1)
    for augment in (ADA(preset="bgc", schedule=1.0), DiffAugment()):
        seen = sight(KEY, jnp.int32(0), augment=augment, given=still)
        for changed in (seen.reals(still), seen.given(still, still)):
            assert changed.shape == still.shape
            np.testing.assert_allclose(changed, changed[:, :1].repeat(3, axis=1), atol=1e-5)
            assert np.abs(changed - still).max() > 0.1


def test_a_pack_weighs_as_much_as_the_heaviest_of_its_images():
    class OfPacks(Bright):
        def apply(self, tree, image, given, *, train, mutable=()):
            assert image.shape == (BATCH // 2, SIDE, SIDE, 2)
            return super().apply(tree, image, None, train=train)

    heavy = jnp.array([0.0, 0.0, 1.0, 0.5])

    def weigh(given, shape):
        assert shape == (BATCH,)
        return given

    adversary = Adversary(
        OfPacks(), adversarial.wasserstein, pack=2, weigh=weigh, beside=lambda pixels, given: (pixels, None)
    )
    loss, _ = adversary.turn(state_of(adversary, heavy), images(1), images(2), KEY, heavy)
    gaps = W * (sums(images(2)) - sums(images(1)))
    np.testing.assert_allclose(loss, (gaps[2] + gaps[3]) / 2, rtol=1e-4)  # of two packs the first weighs nothing


def test_a_loss_of_judgements_sees_what_is_given():
    loss = JudgementLoss(
        lambda real, fake, given: (real.logits - given) ** 2 + fake.logits**2,
        lambda real, fake, given: (fake.logits - given) ** 2,
    )
    adversary, given = Adversary(Bright(), loss, beside=lambda pixels, given: (pixels, None)), jnp.arange(4.0)
    state, (real, fake) = state_of(adversary, given), (images(1), images(2))
    r, f, g = W * sums(real), W * sums(fake), np.arange(4.0)
    np.testing.assert_allclose(
        adversary.turn(state, real, fake, KEY, given)[0], ((r - g) ** 2 + f**2).mean(), rtol=1e-5
    )
    np.testing.assert_allclose(adversary.push(state, real, fake, KEY, given).loss, ((f - g) ** 2).mean(), rtol=1e-5)


@dataclasses.dataclass(frozen=True)
class Duel:
    """A generator of one colour an image against two adversaries."""

    adversaries: tuple

    num_classes = 0
    averaged = ()

    @property
    def players(self):
        return {**{each.player: (each.network_name,) for each in self.adversaries}, "generator": ("generator",)}

    def init(self, key, batch):
        trees = {each.network_name: each.init(key, batch["image"]) for each in self.adversaries}
        params = {name: tree["params"] for name, tree in trees.items()}
        return {**params, "generator": {"w": jnp.float32(0.1)}}, {name: {} for name in (*params, "generator")}

    def init_carry(self):
        first, second = (each.init_carry() for each in self.adversaries)
        assert not first.keys() & second.keys()
        return first | second

    def phases(self):
        def push(state, batch, key):
            found = [each.push(state, batch["image"], batch["fakes"], key) for each in self.adversaries]
            return sum(each.loss for each in found), Aux({})

        def show(state, batch, key):
            return Shown(batch["image"], batch.get("fakes"))

        turns = [phase for each in self.adversaries for phase in each.phases(show)]
        return (*turns, Phase("generator", "generator", push, drawn_by="generator"))

    def draw(self, phase, state, batch, key):
        noise = jax.random.normal(key, (BATCH, 1, 1, 1)) * jnp.ones((SIDE, SIDE, 1))
        return state.params["generator"]["w"] * noise, {}


def test_two_adversaries_do_not_collide():
    penalties = (Penalty("r1", r1, every=2), Penalty("lecam", lecam, {"start": 0}))
    settings = {"penalties": penalties, "augment": ADA(preset="blit"), "max_accuracy": 0.9}
    first = Adversary(Bright(), adversarial.hinge, **settings)
    second = Adversary(Bright(), adversarial.non_saturating, network_name="frames", **settings)
    task = Duel((first, second))
    phases = [(phase.name, phase.player) for phase in task.phases()]
    assert phases == [
        ("discriminator", "discriminator"),
        ("discriminator_r1", "discriminator"),
        ("frames", "frames"),
        ("frames_r1", "frames"),
        ("generator", "generator"),
    ]
    own = {"accuracy", "augment", "discriminator_lecam"}  # the names of the first are those of checkpoints
    assert set(task.init_carry()) == own | {"frames:accuracy", "frames:augment", "frames_lecam"}
    optimizers = dict.fromkeys(task.players, make_optimizer({"name": "sgd", "learning_rate": 0.01}))
    batch = {"image": images(1)}
    state = init_state(task, optimizers, jax.random.key(0), batch)
    step = jax.jit(make_train_step(task, optimizers, images=BATCH), static_argnums=3)
    after, metrics = step(state, batch, KEY, (2, 3))
    assert set(metrics) >= {"frames/accuracy", "frames/augment_probability", "frames/lecam", "frames_r1/r1"}
    moved = {name for name in state.params if after.params[name]["w"] != state.params[name]["w"]}
    assert moved == {"frames"}
    changed = {name for name in own if (jax.tree.leaves(after.carry[name])[0] != jax.tree.leaves(state.carry[name])[0])}
    assert not changed
    after, metrics = step(after, batch, KEY, (0, 1, 2, 3, 4))
    assert np.isfinite(list(map(float, metrics.values()))).all()
    assert {name.partition("/")[0] for name in metrics if "/" in name} == {name for name, _ in phases}


@pytest.mark.parametrize("network_name", ["discriminator", "frames"])
def test_a_penalty_may_have_the_name_of_an_adversary_memory(network_name):
    def lecam_like(critic: Given[object], *, memory={"mean": 0.0}):  # noqa: B006
        return critic, memory

    penalties = tuple(Penalty(name, lecam_like) for name in ("augment", "accuracy"))
    settings = {"augment": ADA(preset="blit"), "max_accuracy": 0.9, "penalties": penalties}
    assert len(Adversary(Bright(), adversarial.hinge, network_name=network_name, **settings).init_carry()) == 4


class Counting(Bright):
    """A discriminator that counts its forwards in training."""

    def init(self, key, image, given, *, train):
        return {**super().init(key, image, given, train=train), "stats": {"forwards": jnp.float32(0)}}

    def apply(self, tree, image, given, *, train, mutable=()):
        judgement, _ = super().apply(tree, image, given, train=train)
        return judgement, {"stats": {"forwards": tree["stats"]["forwards"] + 1}}


def test_every_forward_of_a_turn_starts_from_the_variables_of_the_one_before():
    adversary, given = Adversary(Counting(), adversarial.hinge, max_accuracy=0.9), jnp.ones(BATCH)
    variables, carry = {"discriminator": {"stats": {"forwards": jnp.float32(0)}}}, {"accuracy": jnp.float32(0.1)}
    state = state_of(adversary, given).replace(variables=variables, carry=carry)
    for mismatched, forwards in ((None, 2), (-given, 3)):
        _, aux = adversary.turn(state, images(1), images(2), KEY, given, mismatched)
        assert aux.variables["discriminator"]["stats"]["forwards"] == forwards
        kept = 0.99 * 0.1 + 0.01 * aux.metrics["accuracy"]
        np.testing.assert_allclose(aux.carry["accuracy"], kept, rtol=1e-6)


def test_repeated_views_in_a_turn_have_the_same_augmentation():
    def again(critic, fake_critic, real, fake, real_logits, fake_logits):
        return jnp.abs(critic(real) - real_logits) + jnp.abs(fake_critic(fake) - fake_logits)

    augment = ADA(preset="color", schedule=1.0)
    adversary = Adversary(Bright(), adversarial.hinge, augment=augment, penalties=(Penalty("again", again),))
    given, (real, fake) = jnp.arange(1.0, BATCH + 1), (images(1), images(2))
    state = state_of(adversary, given)
    metrics = adversary.turn(state, real, fake, KEY, given, given)[1].metrics
    assert metrics["again"] == pytest.approx(0.0, abs=1e-4)
    assert metrics["mismatched_logits"] == pytest.approx(float(metrics["real_logits"]), rel=1e-5)
    pushed = adversary.push(state, real, fake, KEY, given)
    assert float(pushed.fake.logits.mean()) == pytest.approx(float(metrics["fake_logits"]), rel=1e-5)
    twice = adversary.turn(state, real, real, KEY, given)[1].metrics
    assert abs(twice["fake_logits"] - twice["real_logits"]) > 1e-3  # the fakes have draws of their own


def test_an_adversary_may_judge_what_another_player_draws():
    penalties = (Penalty("lecam", lecam, {"start": 0}, every=2), Penalty("r1", r1, every=2))
    adversary = Adversary(Bright(), adversarial.hinge, penalties=penalties)
    drawn_by = {
        phase.name: phase.drawn_by for phase in adversary.phases(lambda *turn: Shown(*turn), drawn_by="painter")
    }
    assert drawn_by == {"discriminator": "painter", "discriminator_lecam": "painter", "discriminator_r1": None}
