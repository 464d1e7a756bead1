"""Restoration: super-resolution, denoising, inpainting, and translation of paired images.

They differ in the degradation that makes the condition, in the network, and in whether the discriminator sees
the condition.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.augment.sharpening import sharpened
from jaxgan.domains import Given, NotNegative, NotNegativeNumber, Smoothing, Whole
from jaxgan.errors import UserError
from jaxgan.game import (
    DISCRIMINATOR,
    GENERATOR,
    AdversarialLoss,
    Array,
    Aux,
    Batch,
    Critic,
    Degradation,
    Judgement,
    Key,
    Network,
    Params,
    Phase,
    State,
    Variables,
)
from jaxgan.layers.conv import transposed_kernels
from jaxgan.losses.adversarial import check_smoothing, per_example, smoothed
from jaxgan.tasks.penalty import Offers, Penalty, check_differences, lazy_phases, memories, penalized
from jaxgan.tasks.sight import Sight, check_instance_noise, sight

CONTENT = "content"  # the phase of the first stage
BACKBONE = "backbone"  # the frozen network whose features perceptual losses compare; no player's
NEVER = 2**31 - 1  # images


class Restored(NamedTuple):
    """Images `[B,H,W,C]`, and the conditions `[B,H/s,W/s,C']` that they were made from."""

    image: Array
    condition: Array


@dataclasses.dataclass(frozen=True)
class Content:
    """A loss of the restored image beside its target.

    The function says by the names of its parameters what it wants: `restored` and `target` `[B,H,W,C]`, `mask`
    `[B,H,W,1]`, `features` (images -> a frozen network's), `fake_features` and `real_features` (the discriminator's, in
    the second stage only). It gives one value an image, `[B]`.
    """

    name: Given[str]
    function: Given[Callable[..., Array]]
    weight: NotNegative = 1.0
    arguments: Given[Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def wants(self, name: str) -> bool:
        """Whether the function has a parameter of this name."""
        return name in inspect.signature(self.function).parameters

    def __call__(self, offers: Offers) -> Array:
        """The mean over the images, without the weight."""
        given = {name: make() for name, make in offers.items() if self.wants(name)}
        return self.function(**given, **self.arguments).mean()


@dataclasses.dataclass(frozen=True)
class Restoration:
    """A generator that makes an image from its condition; content first, and a discriminator second.

    Until `adversarial_start` images the generator learns from the content losses alone; from then on also from
    the discriminator, with fresh moments of its optimizer (Ledig et al. 2017, section 3.2; Wang et al. 2018,
    section 4.1). Both stages are one run. Without `adversarial_start` there is only the first.
    """

    generator: Given[Network]  # (condition [B,h,w,C'], None, *, train) -> image [B,H,W,C] in [-1, 1]
    discriminator: Given[Network | None] = None  # (image, None, *, train) -> Judgement
    degradation: Degradation | None = None  # None: the data set has conditions
    content: tuple[Content, ...] = ()
    loss: AdversarialLoss | None = None
    adversarial_weight: NotNegative = 1.0
    adversarial_start: Whole | None = None  # images
    conditional: bool = False  # the discriminator sees the condition beside the image
    penalties: tuple[Penalty, ...] = ()  # of the discriminator
    label_smoothing: Smoothing = 0.0  # the discriminator's target for reals is 1 less this (Salimans et al. 2016, 3.4)
    instance_noise: NotNegativeNumber = (
        0.0  # deviation of noise on all images that it sees, in [-1, 1] (Sonderby et al. 2017)
    )
    backbone: Any = None  # images [B,H,W,C] -> maps by layer: what perceptual losses compare
    sharpen: bool = False  # content losses compare with sharpened images (Wang et al. 2021, "Real-ESRGAN")

    num_classes = 0  # restored images have no labels

    def __post_init__(self) -> None:
        """Raises UserError for what cannot be played."""
        if not self.content:
            raise UserError("config.task.content is missing: losses such as {'name': 'reconstruction.l1'}")
        if self.adversarial_start is not None and (self.discriminator is None or self.loss is None):
            missing = "config.networks.discriminator" if self.discriminator is None else "config.task.loss"
            raise UserError(f"{missing} is missing: config.task.adversarial_start asks for a second stage")
        if self.adversarial_start is not None and self.adversarial_start < 0:
            raise UserError(f"config.task.adversarial_start: got {self.adversarial_start}, accepted is 0 or more")
        if self.conditional and self.scale != 1:
            raise UserError("config.task.conditional: got true, accepted is false where conditions are smaller")
        check_differences(self.penalties, self.discriminator)
        check_smoothing(self.loss, self.label_smoothing)
        check_instance_noise(self.instance_noise)

    @property
    def adversarial(self) -> bool:
        """Whether there is a second stage."""
        return self.adversarial_start is not None

    @property
    def scale(self) -> int:
        """Pixels of an image along a side for each of its condition's."""
        return 1 if self.degradation is None else self.degradation.scale

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """Each player owns the network of its name."""
        return {**({DISCRIMINATOR: (DISCRIMINATOR,)} if self.adversarial else {}), GENERATOR: (GENERATOR,)}

    @property
    def averaged(self) -> tuple[str, ...]:
        """The generator."""
        return (GENERATOR,)

    def init(self, key: Key, batch: Batch) -> tuple[dict[str, Params], dict[str, Variables]]:
        """Params and variables of the networks; `batch` needs shapes only.

        Raises UserError for a generator that makes images of another size.
        """
        generator_key, discriminator_key = jax.random.split(key)
        image, condition = batch["image"], self.condition(batch, key)
        trees = {GENERATOR: self.generator.init(generator_key, condition, None, train=False)}
        forward = lambda tree: self.generator.apply(tree, condition, None, train=False)  # noqa: E731
        restored = jax.eval_shape(forward, trees[GENERATOR])
        if restored.shape != image.shape:
            raise UserError(
                f"config.networks.generator: it makes images {restored.shape[1:]} of conditions {condition.shape[1:]}, "
                f"the degradation was of {image.shape[1:]}"
            )
        if self.discriminator is not None and self.adversarial:
            judged = self._beside(image, condition)
            trees[DISCRIMINATOR] = self.discriminator.init(discriminator_key, judged, None, train=False)
        if self.backbone is not None:  # its weights are put in place by who has the file
            trees[BACKBONE] = self.backbone.init(key, image)
        variables = {name: {k: v for k, v in tree.items() if k != "params"} for name, tree in trees.items()}
        return {name: tree["params"] for name, tree in trees.items()}, variables

    def init_carry(self) -> dict[str, Any]:
        """What the penalties remember."""
        return memories(DISCRIMINATOR, self.penalties) if self.adversarial else {}

    def phases(self) -> tuple[Phase, ...]:
        """The generator alone; then the discriminator, its lazy penalties, and the generator."""
        start = NEVER if self.adversarial_start is None else self.adversarial_start
        first = Phase(CONTENT, GENERATOR, self._content_loss, stop=self.adversarial_start, drawn_by=GENERATOR)
        if not self.adversarial:
            return (first,)
        second = (
            Phase(DISCRIMINATOR, DISCRIMINATOR, self._discriminator_loss, drawn_by=GENERATOR),
            *lazy_phases(DISCRIMINATOR, self.penalties, self._offers),
            Phase(GENERATOR, GENERATOR, self._generator_loss, drawn_by=GENERATOR, fresh=start > 0),
        )
        staged = tuple(dataclasses.replace(phase, start=start) for phase in second)
        return (first, *staged) if start else staged

    def condition(self, batch: Batch, key: Key) -> Array:
        """What the batch's images are to be restored from: the data set's, or made by the degradation."""
        if self.degradation is not None:
            return self.degradation(key, batch["image"])
        if "condition" not in batch:
            raise UserError(
                "config.task.degradation is missing, and so is config.data.condition; accepted is one of them"
            )
        return batch["condition"]

    def draw(self, phase: Phase, state: State, batch: Batch, key: Key) -> tuple[Restored, dict[str, Variables]]:
        """Images restored from the conditions of the batch, and the generator's new variables."""
        del phase
        condition = self.condition(batch, jax.random.fold_in(key, 0))
        image, variables = self._apply(state, GENERATOR, condition, key=jax.random.fold_in(key, 1))
        return Restored(self._kept(image, condition), condition), {GENERATOR: variables}

    def apply(self, params: dict[str, Params], variables: dict[str, Variables], condition: Array) -> Array:
        """Images `[N,sH,sW,C]` in about [-1, 1], float32, for conditions `[N,H,W,C']`, without randomness.

        What a mask says is known stays as it is.
        """
        tree = {"params": params[GENERATOR], **variables[GENERATOR]}
        image = self.generator.apply(tree, condition, None, train=False)
        return self._kept(image, condition).astype(jnp.float32)

    def _content_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        del key
        loss, metrics = self._contents(state, batch, {})
        return loss, Aux(metrics)

    def _generator_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        fakes: Restored = batch["fakes"]
        seen = self._sight(state, key)
        real, _ = self._judge(state, None, seen.reals(batch["image"]), fakes.condition)
        fake, _ = self._judge(state, None, seen.fakes(fakes.image), fakes.condition)
        offers = {"real_features": lambda: jax.lax.stop_gradient(real.features), "fake_features": lambda: fake.features}
        content, metrics = self._contents(state, batch, offers)
        assert self.loss is not None
        losses = jax.tree.map(self.loss.generator, real.logits, fake.logits)
        adversarial = per_example(losses, self._weights(fakes.condition, losses)).mean()
        metrics["adversarial"] = adversarial
        return content + self.adversarial_weight * adversarial, Aux(metrics)

    def _discriminator_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        fakes: Restored = jax.lax.stop_gradient(batch["fakes"])
        seen = self._sight(state, key)
        real, variables = self._judge(state, None, seen.reals(batch["image"]), fakes.condition)
        fake, variables = self._judge(state, variables, seen.fakes(fakes.image), fakes.condition)
        assert self.loss is not None
        judged = smoothed(self.loss, self.label_smoothing).discriminator
        losses = jax.tree.map(judged, real.logits, fake.logits)
        loss = per_example(losses, self._weights(fakes.condition, losses)).mean()
        real_score, fake_score = per_example(real.logits), per_example(fake.logits)
        metrics = {
            "real_logits": real_score.mean(),
            "fake_logits": fake_score.mean(),
            "accuracy": (real_score > fake_score).astype(jnp.float32).mean(),
        }
        aux = Aux(metrics, {DISCRIMINATOR: variables})
        return penalized(DISCRIMINATOR, self.penalties, loss, self._offers(state, batch, key), state, aux)

    def _contents(self, state: State, batch: Batch, further: Offers) -> tuple[Array, dict[str, Array]]:
        """The weighted sum of the content losses, and each of them; those that want what is not there are left out."""
        fakes: Restored = batch["fakes"]
        # the discriminator's reals are never sharpened, or it would teach the halos
        target = sharpened(batch["image"]) if self.sharpen else batch["image"]
        offers: dict[str, Callable[[], Any]] = {
            "restored": lambda: fakes.image,
            "target": lambda: target,
            "mask": lambda: self._mask(fakes.condition),
            "features": lambda: lambda image: self.backbone.apply({"params": state.params[BACKBONE]}, image),
            **further,
        }
        present = [each for each in self.content if further or not each.wants("fake_features")]
        metrics = {each.name: each(offers) for each in present}
        return sum((each.weight * metrics[each.name] for each in present), jnp.zeros(())), metrics

    def _offers(self, state: State, batch: Batch, key: Key) -> Offers:
        """What a penalty of the discriminator can ask for by name; see `jaxgan.tasks.penalty`."""
        fakes: Restored | None = jax.lax.stop_gradient(batch["fakes"]) if "fakes" in batch else None
        condition = self.condition(batch, key) if fakes is None else fakes.condition
        seen = self._sight(state, key)
        critic = Critic(lambda image: self._judge(state, None, seen.reals(image), condition)[0].logits)
        fake_critic = Critic(lambda image: self._judge(state, None, seen.fakes(image), condition)[0].logits)
        offers: dict[str, Callable[[], Any]] = {
            "critic": lambda: critic,
            "fake_critic": lambda: fake_critic,
            "real": lambda: batch["image"],
            "key": lambda: jax.random.fold_in(key, 1),
            "real_logits": lambda: critic(batch["image"]),
            "images_seen": lambda: state.images_seen,
            "params": lambda: state.params[DISCRIMINATOR],
            "transposed": lambda: transposed_kernels(critic, batch["image"]),
        }
        if fakes is not None:
            offers |= {"fake": lambda: fakes.image, "fake_logits": lambda: fake_critic(fakes.image)}
        return offers

    def _sight(self, state: State, key: Key) -> Sight:
        """What the discriminator sees of images, without their conditions, in the turn that has this key."""
        return sight(key, state.images_seen, instance_noise=self.instance_noise)

    def _mask(self, condition: Array) -> Array:
        if self.degradation is None or not self.degradation.masks:
            raise UserError("config.task.content: a loss wants a mask, and the degradation makes none")
        return condition[..., -1:]

    def _weights(self, condition: Array, losses: Any) -> Any:
        """1 for the patches of a map that touch what was made up, 0 for those of known pixels; None without masks.

        Known pixels are no fakes (Suvorov et al. 2022, section 2.3.2). There the discriminator also learns that
        patches of known pixels, of both images, are real; here nobody is asked about them: losses get pairs of logits,
        and relativistic ones have nothing to say of a pair that is the same twice.
        """
        if self.degradation is None or not self.degradation.masks:
            return None
        mask = condition[..., -1]

        def touches(losses: Array) -> Array:
            if losses.ndim != mask.ndim:
                return jnp.ones_like(losses)  # no map
            return (jax.image.resize(mask, losses.shape, "linear") > 1e-3).astype(losses.dtype)

        return jax.tree.map(touches, losses)

    def _kept(self, image: Array, condition: Array) -> Array:
        """The image with what its condition knows put in place."""
        if self.degradation is None or not self.degradation.masks:
            return image
        known, mask = condition[..., :-1], condition[..., -1:]
        return mask * image + (1 - mask) * known

    def _beside(self, image: Array, condition: Array) -> Array:
        """What the discriminator sees."""
        return jnp.concatenate([image, condition], axis=-1) if self.conditional else image

    def _judge(
        self, state: State, variables: Variables | None, image: Array, condition: Array
    ) -> tuple[Judgement, Variables]:
        """The judgement of images and the discriminator's new variables; `variables` None: from the state's."""
        if variables is not None:
            state = state.replace(variables={**state.variables, DISCRIMINATOR: variables})
        return self._apply(state, DISCRIMINATOR, self._beside(image, condition))

    def _apply(self, state: State, name: str, inputs: Array, key: Key | None = None) -> tuple[Any, Variables]:
        """A training forward, and the variables as they stand after it; with a key there is dropout and noise."""
        network: Any = self.generator if name == GENERATOR else self.discriminator
        variables = state.variables[name]
        options: dict[str, Any] = {}
        if key is not None:
            dropout_key, noise_key = jax.random.split(key)
            options["rngs"] = {"dropout": dropout_key, "noise": noise_key}
        tree = {"params": state.params[name], **variables}
        output, updates = network.apply(tree, inputs, None, train=True, mutable=list(variables), **options)
        return output, {**variables, **updates}
