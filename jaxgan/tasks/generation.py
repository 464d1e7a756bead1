"""Image generation from latents, with or without class labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.domains import Count, Given, NotNegative, NotNegativeNumber, Share, Smoothing, SomeNumber, Whole
from jaxgan.errors import UserError
from jaxgan.game import (
    DISCRIMINATOR,
    GENERATOR,
    AdversarialLoss,
    Array,
    Augmentation,
    Aux,
    Batch,
    Critic,
    Judgement,
    Key,
    Network,
    Params,
    Phase,
    State,
    Variables,
)
from jaxgan.layers.collective import all_rows, axis_size, own_rows, pmean
from jaxgan.layers.conv import transposed_kernels
from jaxgan.layers.normalization import BATCH, STATISTICS
from jaxgan.layers.resampling import box_downsample
from jaxgan.losses.adversarial import check_smoothing, per_example, smoothed
from jaxgan.schedules import at, make_schedule
from jaxgan.tasks.penalty import Offers, Penalty, check_differences, check_packed, lazy_phases, memories, penalized
from jaxgan.tasks.sight import Sight, check_instance_noise, sight

SPECTRAL = "spectral"  # the collection that a forward in training reads and moves
ACCURACY_DECAY = 0.99  # of the mean accuracy that `max_accuracy` looks at (Chu et al. 2020, section 4.2)


class Fakes(NamedTuple):
    """What the generator drew: images `[B,H,W,C]` (or all their scales, largest first) of latents `[B,Z]`.

    `noise` is the data of the key that the rest was drawn with, so that other latents can be seen under the same noise.
    """

    image: Any
    latent: Array
    noise: Array


@dataclasses.dataclass(frozen=True)
class Generation:
    """A generator of images from noise against a discriminator.

    The fakes take the labels of the reals of their rows, so that a relativistic pair shares its class.
    Augmentation and noise belong to the critic: penalties act on images before them. In each turn the reals and
    the fakes are seen with draws of their own, which penalties share: see `jaxgan.tasks.sight`.
    """

    generator: Given[Network]  # (latent [B,Z], label [B] | None, *, train) -> image [B,H,W,C] in [-1, 1]
    discriminator: Given[Network]  # (image, label, *, train) -> Judgement
    loss: AdversarialLoss
    latent_dim: Count = 100
    num_classes: Given[Whole] = 0  # 0: without labels
    penalties: tuple[Penalty, ...] = ()  # of the discriminator
    generator_penalties: tuple[Penalty, ...] = ()
    augment: Augmentation | None = None  # of what the discriminator sees: see `jaxgan.augment`
    generator_every: Count = 1  # n_critic: discriminator steps for each of the generator
    class_weight: NotNegative = 1.0  # of the auxiliary classifier, where the discriminator has one (Odena et al. 2017)
    pack: Count = 1  # images judged together, stacked as channels (PacGAN, Lin et al. 2018)
    top_k: SomeNumber = (
        1.0  # the share of the fakes, the best judged, that the generator learns from (Sinha et al. 2020)
    )
    max_accuracy: Share | None = None  # the discriminator sits out while it tells more of the pairs apart
    label_smoothing: Smoothing = 0.0  # the discriminator's target for reals is 1 less this (Salimans et al. 2016, 3.4)
    instance_noise: NotNegativeNumber = (
        0.0  # deviation of noise on all images that it sees, in [-1, 1] (Sonderby et al. 2017)
    )
    standing_passes: Whole = 0  # batches that samples' batch statistics are taken of; 0: those kept in training

    def __post_init__(self) -> None:
        """Raises UserError for numbers that no game can have."""
        bounds = {"latent_dim": 1, "generator_every": 1, "num_classes": 0, "pack": 1, "standing_passes": 0}
        for name, least in bounds.items():
            if getattr(self, name) < least:
                raise UserError(f"config.task.{name}: got {getattr(self, name)}, accepted is {least} or more")
        if self.pack > 1 and self.num_classes:
            raise UserError("config.task.pack: images of different labels cannot be judged together; accepted is 1")
        for field in ("penalties", "generator_penalties"):
            for penalty in getattr(self, field):
                if penalty.wants("synthesize") and not self.has_styles:
                    raise UserError(f"config.task.{field}: {penalty.name} needs a generator with styles")
        check_differences(self.penalties, self.discriminator)
        check_smoothing(self.loss, self.label_smoothing)
        check_instance_noise(self.instance_noise)
        make_schedule(self.top_k, "config.task.top_k")

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """Each player owns the network of its name."""
        return {DISCRIMINATOR: (DISCRIMINATOR,), GENERATOR: (GENERATOR,)}

    @property
    def averaged(self) -> tuple[str, ...]:
        """The generator."""
        return (GENERATOR,)

    def init(self, key: Key, batch: Batch) -> tuple[dict[str, Params], dict[str, Variables]]:
        """Params and variables of both networks; `batch` needs shapes only.

        Raises UserError for standing statistics of a generator that has none.
        """
        generator_key, discriminator_key = jax.random.split(key)
        image, label = batch["image"], self._label(batch)
        latent = jnp.zeros((image.shape[0], self.latent_dim), jnp.float32)
        generator = self.generator.init(generator_key, latent, label, train=False)
        if self.standing_passes and STATISTICS not in generator:
            raise UserError(
                f"config.task.standing_passes: got {self.standing_passes}, "
                "accepted is 0 for a generator without batch norm"
            )
        drawn = jax.eval_shape(lambda tree: self.generator.apply(tree, latent, label, train=False), generator)
        judged = self._packed(_scales(image, drawn))
        trees = {
            GENERATOR: generator,
            DISCRIMINATOR: self.discriminator.init(discriminator_key, judged, label, train=False),
        }
        variables = {name: {k: v for k, v in tree.items() if k != "params"} for name, tree in trees.items()}
        params = {name: tree["params"] for name, tree in trees.items()}
        if self.pack > 1:
            self._check_packed(params, variables, batch, key)
        return params, variables

    def init_carry(self) -> dict[str, Any]:
        """What augmentation, balance and the penalties remember."""
        carry: dict[str, Any] = {}
        if self.augment is not None and (memory := self.augment.init_memory()):
            carry["augment"] = memory
        if self.max_accuracy is not None:
            carry["accuracy"] = jnp.float32(0.5)
        for player, penalties in ((DISCRIMINATOR, self.penalties), (GENERATOR, self.generator_penalties)):
            carry |= memories(player, penalties)
        return carry

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator and its lazy penalties, then the generator and its own."""
        gate = None if self.max_accuracy is None else lambda state: state.carry["accuracy"] <= self.max_accuracy
        return (
            Phase(DISCRIMINATOR, DISCRIMINATOR, self._discriminator_loss, drawn_by=GENERATOR, gate=gate),
            *lazy_phases(DISCRIMINATOR, self.penalties, self._discriminator_offers, gate=gate),
            Phase(GENERATOR, GENERATOR, self._generator_loss, every=self.generator_every, drawn_by=GENERATOR),
            *lazy_phases(GENERATOR, self.generator_penalties, self._generator_offers),
        )

    def draw(self, phase: Phase, state: State, batch: Batch, key: Key) -> tuple[Fakes, dict[str, Variables]]:
        """Fakes for the labels of the batch, and the generator's new variables."""
        del phase
        latent = self.latents(key, batch["image"].shape[0])
        noise_key = jax.random.fold_in(key, 1)
        image, variables = self._apply(state, GENERATOR, latent, self._label(batch), key=noise_key)
        return Fakes(image, latent, jax.random.key_data(noise_key)), {GENERATOR: variables}

    def generate(
        self,
        params: dict[str, Params],
        variables: dict[str, Variables],
        latent: Array,
        label: Array | None,
        *,
        truncation: float | None = None,
    ) -> Array:
        """Images `[N,H,W,C]` in about [-1, 1], float32, from statistics kept in training.

        `truncation`: of generators with styles psi, how far from the mean style (Karras et al. 2019,
        section 5); of others the largest absolute latent (Brock et al. 2019, section 3.1).
        """
        tree = {"params": params[GENERATOR], **variables[GENERATOR]}
        options: dict[str, Any] = {}
        if truncation is not None and self.has_styles:
            options["truncation"] = truncation
        elif truncation is not None:
            latent = truncated(latent, truncation)
        image = self.generator.apply(tree, latent, label if self.num_classes else None, train=False, **options)
        return (image[0] if isinstance(image, tuple) else image).astype(jnp.float32)

    def batch_statistics(
        self, params: dict[str, Params], variables: dict[str, Variables], latent: Array, label: Array | None
    ) -> Any:
        """The means and variances that the norms of the generator see of these latents, in the place of those kept."""
        tree = {"params": params[GENERATOR], **variables[GENERATOR]}
        label = label if self.num_classes else None
        return self.generator.apply(tree, latent, label, train=True, mutable=[BATCH])[1][BATCH]

    def judge(
        self, params: dict[str, Params], variables: dict[str, Variables], image: Array, label: Array | None
    ) -> Array:
        """The mean logit `[N]` of images as they are, from statistics kept in training.

        Of packed images one a pack, `[N / pack]`; images that fill no pack are left out. Raises UserError for fewer
        than one.
        """
        image = image[: len(image) // self.pack * self.pack or None]
        tree = {"params": params[DISCRIMINATOR], **variables[DISCRIMINATOR]}
        label = label if self.num_classes else None
        return per_example(self.discriminator.apply(tree, self._packed(image), label, train=False).logits)

    def latents(self, key: Key, count: int) -> Array:
        """Standard normal latents `[count,Z]`."""
        return jax.random.normal(key, (count, self.latent_dim))

    @property
    def has_styles(self) -> bool:
        """Whether the generator maps latents to styles, `map`, and styles to images, `synthesize`."""
        return hasattr(self.generator, "synthesize")

    def _discriminator_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        label, fakes = self._label(batch), jax.lax.stop_gradient(batch["fakes"].image)
        seen = self._sight(state, key)
        real, variables = self._judge(state, None, seen.reals(_scales(batch["image"], fakes)), label)
        fake, variables = self._judge(state, variables, seen.fakes(fakes), label)
        judged = smoothed(self.loss, self.label_smoothing).discriminator
        loss = per_example(jax.tree.map(judged, real.logits, fake.logits)).mean()
        real_score, fake_score = per_example(real.logits), per_example(fake.logits)
        metrics = {
            "real_logits": real_score.mean(),
            "fake_logits": fake_score.mean(),
            "accuracy": (real_score > fake_score).astype(jnp.float32).mean(),
        }
        if real.class_logits is not None:
            metrics["class_loss"] = _cross_entropy(real, label) + _cross_entropy(fake, label)
            loss += self.class_weight * metrics["class_loss"]
        carry: dict[str, Any] = {}
        if self.max_accuracy is not None:
            now = pmean(jax.lax.stop_gradient(metrics["accuracy"]))
            carry["accuracy"] = ACCURACY_DECAY * state.carry["accuracy"] + (1 - ACCURACY_DECAY) * now
        if self.augment is not None and "augment" in state.carry:
            metrics["augment_probability"] = self.augment.probability(state.carry["augment"], state.images_seen)
            carry["augment"] = self.augment.update(
                state.carry["augment"],
                jax.lax.stop_gradient(real_score),
                batch_size=batch["image"].shape[0] * axis_size(),
                step=state.step,
            )
        offers = self._discriminator_offers(state, batch, key)
        offers = {**offers, "real_logits": lambda: real.logits}
        if SPECTRAL not in variables:  # else the fakes met other kernels than the critic's: too far for a difference
            offers["fake_logits"] = lambda: fake.logits
        aux = Aux(metrics, {DISCRIMINATOR: variables}, carry)
        return penalized(DISCRIMINATOR, self.penalties, loss, offers, state, aux)

    def _generator_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        label, fakes = self._label(batch), batch["fakes"].image
        seen = self._sight(state, key)
        # a loss that does not look at the reals lets the compiler drop their forward
        real, _ = self._judge(state, None, seen.reals(_scales(batch["image"], fakes)), label)
        fake, _ = self._judge(state, None, seen.fakes(fakes), label)
        losses = per_example(jax.tree.map(self.loss.generator, real.logits, fake.logits))
        loss, metrics = losses.mean(), {}
        if self.top_k != 1.0:
            ranks = jnp.argsort(jnp.argsort(-all_rows(per_example(fake.logits))))
            chosen = ranks < jnp.ceil(at(self.top_k, state.images_seen, "config.task.top_k") * len(ranks))
            loss = (losses * own_rows(chosen)).mean() / chosen.mean()
        if fake.class_logits is not None:
            metrics["class_loss"] = _cross_entropy(fake, label)
            loss += self.class_weight * metrics["class_loss"]
        offers = self._generator_offers(state, batch, key)
        return penalized(GENERATOR, self.generator_penalties, loss, offers, state, Aux(metrics))

    def _discriminator_offers(self, state: State, batch: Batch, key: Key) -> Offers:
        fakes = jax.lax.stop_gradient(batch["fakes"]) if "fakes" in batch else None
        offers = self._offers(state, batch, key, fakes)
        of_params = {
            "params": lambda: state.params[DISCRIMINATOR],
            "transposed": lambda: transposed_kernels(offers["critic"](), offers["real"]()),
        }
        return {**offers, **of_params}

    def _generator_offers(self, state: State, batch: Batch, key: Key) -> Offers:
        fakes = batch.get("fakes")
        offers = self._offers(state, batch, key, fakes)
        of_params = {
            "params": lambda: state.params[GENERATOR],
            "transposed": lambda: transposed_kernels(offers["generate"](), self.latents(key, batch["image"].shape[0])),
        }
        return {**offers, **of_params}

    def _offers(self, state: State, batch: Batch, key: Key, fakes: Fakes | None) -> dict[str, Callable[[], Any]]:
        """What a regularizer can ask for by name; see `jaxgan.tasks.penalty`."""
        label = self._label(batch)
        noise_key, style_key, own_key = jax.random.split(jax.random.fold_in(key, 1), 3)
        noise_key = noise_key if fakes is None else jax.random.wrap_key_data(fakes.noise)
        seen = self._sight(state, key)
        critic = Critic(lambda image: self._judge(state, None, seen.reals(image), label)[0].logits, self.pack)
        fake_critic = Critic(lambda image: self._judge(state, None, seen.fakes(image), label)[0].logits, self.pack)
        real = _scales(batch["image"], fakes.image) if fakes else batch["image"]

        def generate(latent: Array) -> Any:
            return self._apply(state, GENERATOR, latent, label, key=noise_key)[0]

        def style() -> Array:
            latent = self.latents(style_key, batch["image"].shape[0])
            return self._apply(state, GENERATOR, latent, label, key=noise_key, method="map")[0]

        def synthesize(style: Array) -> Any:
            return self._apply(state, GENERATOR, style, key=noise_key, method="synthesize")[0]

        offers: dict[str, Callable[[], Any]] = {
            "critic": lambda: critic,
            "fake_critic": lambda: fake_critic,
            "real": lambda: real,
            "key": lambda: own_key,
            "real_logits": lambda: critic(real),
            "generate": lambda: generate,
            "images_seen": lambda: state.images_seen,
        }
        if fakes is not None:
            offers |= {"fake": lambda: fakes.image, "latent": lambda: fakes.latent}
            offers["fake_logits"] = lambda: fake_critic(fakes.image)
        if self.has_styles:
            offers |= {"style": style, "synthesize": lambda: synthesize}
        return offers

    def _check_packed(self, params: dict[str, Params], variables: dict[str, Variables], batch: Batch, key: Key) -> None:
        """Raise UserError for a penalty that cannot be taken of packed images."""
        fields = dict.fromkeys((field.name for field in dataclasses.fields(State)), jnp.int32(0))
        state = State(**{**fields, "params": params, "variables": variables, "carry": self.init_carry()})

        def offers() -> Offers:
            fakes, _ = self.draw(self.phases()[-1], state, batch, key)
            return self._discriminator_offers(state, {**batch, "fakes": fakes}, key)

        logits = batch["image"].shape[0] // self.pack
        for name in ("penalties", "generator_penalties"):
            check_packed(getattr(self, name), offers, logits, f"config.task.{name}")

    def _label(self, batch: Batch) -> Array | None:
        return batch["label"] if self.num_classes else None

    def _sight(self, state: State, key: Key) -> Sight:
        """What the discriminator sees in the turn that has this key."""
        memory = state.carry.get("augment", {})
        return sight(key, state.images_seen, augment=self.augment, memory=memory, instance_noise=self.instance_noise)

    def _judge(self, state: State, variables: Variables | None, image: Any, label: Array | None) -> tuple[Any, Any]:
        """The judgement of images and the discriminator's new variables; `variables` None: from the state's."""
        if variables is not None:
            state = state.replace(variables={**state.variables, DISCRIMINATOR: variables})
        judgement: tuple[Judgement, Variables] = self._apply(state, DISCRIMINATOR, self._packed(image), label)
        return judgement

    def _packed(self, image: Any) -> Any:
        if self.pack == 1:
            return image

        def stack(x: Array) -> Array:
            if x.shape[0] % self.pack:
                raise UserError(f"config.task.pack: got {self.pack}, accepted is a divisor of {x.shape[0]} images")
            x = x.reshape(-1, self.pack, *x.shape[1:])
            return jnp.moveaxis(x, 1, 3).reshape(x.shape[0], *x.shape[2:4], -1)

        return jax.tree.map(stack, image)

    def _apply(
        self, state: State, name: str, *inputs: Any, key: Key | None = None, method: str | None = None
    ) -> tuple[Any, Variables]:
        """A training forward, and the variables as they stand after it; with a key noise is drawn and styles mixed."""
        network = self.generator if name == GENERATOR else self.discriminator
        variables = state.variables[name]
        options: dict[str, Any] = {} if method is None else {"method": method}
        if key is not None:
            noise_key, mixing_key = jax.random.split(key)
            options["rngs"] = {"noise": noise_key, "mixing": mixing_key}
        tree = {"params": state.params[name], **variables}
        output, updates = network.apply(tree, *inputs, train=True, mutable=list(variables), **options)
        return output, {**variables, **updates}


def truncated(latent: Array, threshold: float) -> Array:
    """Standard normal latents as latents of the normal distribution cut off at +-threshold, in the same order.

    The truncation trick of Brock et al. 2019, section 3.1, without drawing anew.
    """
    share = jax.scipy.stats.norm.cdf(jnp.float32(threshold)) - 0.5
    return jax.scipy.stats.norm.ppf(0.5 + 2.0 * share * (jax.scipy.stats.norm.cdf(latent) - 0.5))


def _cross_entropy(judgement: Judgement, label: Array | None) -> Array:
    return optax.softmax_cross_entropy_with_integer_labels(judgement.class_logits, label).mean()


def _scales(image: Array, like: Any) -> Any:
    """The image at the scales of `like`, which is an image of the same size or a tuple of smaller and smaller ones."""
    if not isinstance(like, tuple):
        return image
    scales = [image]
    for smaller in like[1:]:
        image = scales[-1]
        while image.shape[1] > smaller.shape[1]:
            image = box_downsample(image)
        scales.append(image)
    return tuple(scales)
