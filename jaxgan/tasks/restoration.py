"""Restoration of images and clips: super-resolution, denoising, inpainting, and translation of paired images.

They differ in the degradation that makes the condition, in the network, and in whether the discriminator sees
the condition.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.augment.sharpening import sharpened
from jaxgan.config.domains import Given, NotNegative, Whole
from jaxgan.errors import UserError
from jaxgan.fields import Field, label_field
from jaxgan.game import (
    GENERATOR,
    Array,
    Asked,
    Aux,
    Batch,
    Degradation,
    Key,
    Made,
    Memory,
    Network,
    Params,
    Phase,
    Product,
    Spec,
    State,
    Variables,
    Weights,
)
from jaxgan.images.resizing import resize
from jaxgan.layers.conv import transposed_kernels
from jaxgan.layers.frames import as_frames, by_frame
from jaxgan.tasks.adversary import OFFERED, Adversary, Shown, blank_state
from jaxgan.tasks.conditioned import applied, kept, restoring
from jaxgan.tasks.penalty import Offers, Penalty, check_offered, lazy_phases, memories, penalized

CONTENT = "content"  # the phase of the first stage
BACKBONE = "backbone"  # a network without a player
NEVER = 2**31 - 1  # images
RETURNED = "returned_clip"
CLIPS = ("restored_clip", "target_clip", "condition_clip", RETURNED)  # parameters that only losses of clips have


class Restored(NamedTuple):
    """Images `[B,H,W,C]`, or clips, and the conditions `[B,H/s,W/s,C']` that they were restored from."""

    image: Array
    condition: Array
    returned: Array | None = None  # of clips, if requested: the first T - 1 frames, restored as the film runs backwards


@dataclasses.dataclass(frozen=True)
class Content:
    """A loss between the restored image and its target.

    The function requests its inputs by the names of its parameters: `restored` and `target` `[B,H,W,C]`, `mask`
    `[B,H,W,1]`, `features` (images -> those of a frozen network), `fake_features` and `real_features` (the
    discriminator's, in the second stage only). It returns one value per image, `[B]`. Every frame of a clip counts as
    an image. For losses of clips there are `restored_clip` and `target_clip` `[B,T,H,W,C]`; `returned_clip`
    `[B,T-1,H,W,C]`, the first frames as restored when the film continues backwards after its last frame;
    `condition_clip`, the input of the generator; and `find_motion`, the generator's method `motion`, which estimates
    the flow between two frames.
    """

    name: Given[str]
    function: Given[Callable[..., Array]]
    weight: NotNegative = 1.0
    arguments: Given[Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def wants(self, name: str) -> bool:
        """Whether the function has a parameter of this name."""
        return name in inspect.signature(self.function).parameters

    def __call__(self, offers: Offers) -> Array:
        """The mean over all images, without the weight."""
        given = {name: make() for name, make in offers.items() if self.wants(name)}
        return self.function(**given, **self.arguments).mean()


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A frozen published network, whose features perceptual losses compare, and the file with its weights."""

    network: Literal["vgg16", "vgg19", "alexnet"] = "vgg19"
    weights: str | None = None  # None: perceptual losses are left out
    module: Given[Any] = None  # images [B,H,W,C] -> maps by layer


@dataclasses.dataclass(frozen=True)
class Restoration:
    """A generator that makes an image from its condition, trained with content losses and then a discriminator.

    Until `adversarial_start` images the generator learns from the content losses only; from then on also from the
    discriminator, with fresh moments of its optimizer (Ledig et al. 2017, section 3.2; Wang et al. 2018, section 4.1).
    Both stages are one run. Without `adversarial_start` there is only the first stage.

    A generator with `clips` set restores clips of one shot each: `(clip [B,T,h,w,C'], None, *, train)`. A recurrent one
    also has `start(frame [B,h,w,C']) -> memory`, which needs no params, the Linen method
    `step(frame, memory, *, train) -> (image, memory)`, and `delay`, as in `Product`. The discriminator sees whole clips
    if its network has `clips` set, else single frames.
    """

    generator: Given[Network]  # (condition [B,h,w,C'], None, *, train) -> image [B,H,W,C] in [-1, 1]
    adversary: Adversary | None = None  # of the second stage
    degradation: Degradation | None = None  # None: the data set has conditions
    content: tuple[Content, ...] = ()
    adversarial_weight: NotNegative = 1.0
    adversarial_start: Whole | None = None  # images
    conditional: bool = False  # whether the discriminator also sees the condition
    condition: Literal["label"] | None = None  # a field of the data that the discriminator is conditioned on as well
    generator_penalties: tuple[Penalty, ...] = ()  # in the second stage
    backbone: Backbone | None = None
    sharpen: bool = False  # whether targets of content losses are sharpened (Wang et al. 2021, "Real-ESRGAN")

    def __post_init__(self) -> None:
        """Raises UserError for options that do not fit together."""
        if not self.content:
            raise UserError("config.task.content is missing: losses such as {'name': 'reconstruction.l1'}")
        if self.adversarial_start is not None and self.adversary is None:
            raise UserError("config.task.adversary is missing: config.task.adversarial_start requires it")
        if self.adversarial_start is not None and self.adversarial_start < 0:
            raise UserError(f"config.task.adversarial_start: got {self.adversarial_start}, expected 0 or more")
        if self.conditional and self.scale != 1 and not self._judges_clips:
            raise UserError("config.task.conditional: got true, expected false if conditions are smaller than images")
        if self.generator_penalties and not self.adversarial:
            raise UserError("config.task.generator_penalties: expected none without config.task.adversarial_start")
        for each in self.content:
            if not self.clips and any(map(each.wants, CLIPS)):
                raise UserError(f"config.task.content: {each.name} compares clips; expected a generator of clips")
        check_offered(self.generator_penalties, OFFERED, "config.task.generator_penalties")
        if self.adversary is not None:
            check_offered(self.adversary.penalties, OFFERED, f"{self.adversary.path}.penalties")
            self.adversary.check_labels(self.num_classes)
            if self.clips and self.adversary.pack > 1:
                raise UserError(f"{self.adversary.path}.pack: clips cannot be judged together; expected 1")
            matched = [each.name for each in self.content if each.wants("fake_features")]
            if matched and self.adversary.augment is not None:
                raise UserError(
                    f"{self.adversary.path}.augment: expected none with {matched[0]}, which compares features of "
                    "images that would be augmented independently"
                )

    @property
    def num_classes(self) -> int:
        """The number of labels that the discriminator is conditioned on; the generator gets none."""
        return getattr(self.adversary.network, "num_classes", 0) if self.adversary is not None else 0

    @property
    def asks(self) -> Spec:
        """Images, conditions if no degradation makes them, and labels if the discriminator is conditioned on them."""
        names = ("image", "condition") if self.degradation is None else ("image",)
        label = {"label": label_field()} if self.num_classes else {}
        pixels = Field((*[None] * self.clips, None, None, None), "uint8", "pixels")
        return {**dict.fromkeys(names, pixels), **label}

    @property
    def clips(self) -> bool:
        """Whether clips are restored."""
        return getattr(self.generator, "clips", False)

    @property
    def adversarial(self) -> bool:
        """Whether there is a second stage."""
        return self.adversarial_start is not None

    @property
    def scale(self) -> int:
        """The size of an image divided by that of its condition."""
        return 1 if self.degradation is None else self.degradation.scale

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """Each player owns one network; without a second stage there is only the generator."""
        opponent = self._opponent
        return {**({opponent.player: (opponent.network_name,)} if opponent else {}), GENERATOR: (GENERATOR,)}

    @property
    def averaged(self) -> tuple[str, ...]:
        """The generator."""
        return (GENERATOR,)

    def init(self, key: Key, batch: Batch) -> tuple[dict[str, Params], dict[str, Variables]]:
        """Params and variables of the networks, for batches of the shapes of `batch`.

        Raises UserError for a generator that makes images of another size.
        """
        generator_key, discriminator_key = jax.random.split(key)
        image, condition = batch["image"], self.conditions(batch, key)
        trees = {GENERATOR: self.generator.init(generator_key, condition, None, train=False)}
        forward = lambda tree: self.generator.apply(tree, condition, None, train=False)  # noqa: E731
        restored = jax.eval_shape(forward, trees[GENERATOR])
        if restored.shape != image.shape:
            raise UserError(
                f"config.networks.generator: got images {restored.shape[1:]} from conditions {condition.shape[1:]}, "
                f"expected {image.shape[1:]}"
            )
        opponent = self._opponent
        if opponent is not None:
            shown = self._as_judged(Shown(image, given=self._given(batch, condition)))
            trees[opponent.network_name] = opponent.init(discriminator_key, shown.real, shown.given)
        if self.backbone is not None:  # the caller replaces its weights with those of the file
            trees[BACKBONE] = self.backbone.module.init(key, as_frames(image))
        variables = {name: {k: v for k, v in tree.items() if k != "params"} for name, tree in trees.items()}
        params = {name: tree["params"] for name, tree in trees.items()}
        if opponent is not None and opponent.pack > 1:
            self._check_packed(opponent, (params, variables), batch, key)
        return params, variables

    def init_carry(self) -> dict[str, Any]:
        """The initial memory of the adversary and of the generator's penalties."""
        opponent = self._opponent
        return {} if opponent is None else opponent.init_carry() | memories(GENERATOR, self.generator_penalties)

    def phases(self) -> tuple[Phase, ...]:
        """The generator alone; in the second stage both players, each followed by its lazy penalties."""
        start, opponent = NEVER if self.adversarial_start is None else self.adversarial_start, self._opponent
        first = Phase(CONTENT, GENERATOR, self._content_loss, stop=self.adversarial_start, drawn_by=GENERATOR)
        if opponent is None:
            return (first,)
        second = (
            *opponent.phases(self._show),
            Phase(GENERATOR, GENERATOR, partial(self._generator_loss, opponent), drawn_by=GENERATOR, fresh=start > 0),
            *lazy_phases(GENERATOR, self.generator_penalties, partial(self._generator_offers, opponent)),
        )
        staged = tuple(dataclasses.replace(phase, start=start) for phase in second)
        return (first, *staged) if start else staged

    def conditions(self, batch: Batch, key: Key) -> Array:
        """The conditions of the batch's images: made by the degradation, or else from the data set."""
        if self.degradation is not None:
            return self.degradation(key, batch["image"])
        if "condition" not in batch:
            raise UserError("config.task.degradation and config.data.condition are missing; expected one of them")
        return batch["condition"]

    def draw(self, phase: Phase, state: State, batch: Batch, key: Key) -> tuple[Restored, dict[str, Variables]]:
        """Images restored from the conditions of the batch, and the generator's new variables."""
        del phase
        condition = self.conditions(batch, jax.random.fold_in(key, 0))
        dropout_key, noise_key = jax.random.split(jax.random.fold_in(key, 1))
        variables = state.variables[GENERATOR]
        tree, rngs = {"params": state.params[GENERATOR], **variables}, {"dropout": dropout_key, "noise": noise_key}
        returns, last = any(each.wants(RETURNED) for each in self.content), condition.shape[1]
        seen = jnp.concatenate([condition, condition[:, -2::-1]], axis=1) if returns else condition
        image, updates = self.generator.apply(tree, seen, None, train=True, mutable=list(variables), rngs=rngs)
        image, variables = kept(image, seen) if self._masks else image, {**variables, **updates}
        drawn = (
            Restored(image[:, :last], condition, image[:, : last - 1 : -1]) if returns else Restored(image, condition)
        )
        return drawn, {GENERATOR: variables}

    @property
    def products(self) -> Mapping[str, Product]:
        """Images from conditions, and the logits of the second stage's discriminator."""
        made = {GENERATOR: restoring(self.generator, self.degradation)}
        opponent = self._opponent
        if opponent is None:
            return made

        def judge(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            beside = {name: each for name, each in asked.items() if name != "image"}
            return {"logits": opponent.judge(*weights, asked["image"], beside)}, memory

        pixels = Field((*[None] * self._judges_clips, None, None, None), kind="pixels")
        classes = tuple(map(str, range(self.num_classes)))
        asks = {"image": pixels, "condition": pixels, "label": label_field(classes)}
        absent = {"condition": not self.conditional, "label": not self.num_classes}
        asks = {name: field for name, field in asks.items() if not absent.get(name)}
        logits = {"logits": Field(kind="logits")}
        return made | {opponent.network_name: Product(asks, logits, (opponent.network_name,), judge)}

    def apply(self, params: Mapping[str, Params], variables: Mapping[str, Variables], condition: Array) -> Array:
        """Images `[N,sH,sW,C]` in about [-1, 1], float32, for conditions `[N,H,W,C']`, without randomness.

        Pixels that a mask marks as known are unchanged.
        """
        return applied(self.generator, Weights(params, variables), condition, masks=self._masks)

    def _content_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        del key
        loss, metrics = self._contents(state, batch, {})
        return loss, Aux(metrics)

    def _generator_loss(self, opponent: Adversary, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        shown = self._shown(batch, key, batch["fakes"])
        pushed = opponent.push(state, shown.real, shown.fake, key, shown.given)
        further = {
            "real_features": lambda: jax.lax.stop_gradient(pushed.real.features),
            "fake_features": lambda: pushed.fake.features,
        }
        content, metrics = self._contents(state, batch, further)
        metrics |= {**pushed.metrics, "adversarial": pushed.loss}
        loss, offers = (
            content + self.adversarial_weight * pushed.loss,
            self._generator_offers(opponent, state, batch, key),
        )
        return penalized(GENERATOR, self.generator_penalties, loss, offers, state, Aux(metrics))

    def _contents(self, state: State, batch: Batch, further: Offers) -> tuple[Array, dict[str, Array]]:
        """The weighted sum of the content losses, and each loss; those of features wait for the second stage."""
        fakes: Restored = batch["fakes"]
        network: Any = self.backbone and self.backbone.module
        tree = {"params": state.params[GENERATOR], **state.variables[GENERATOR]}
        # the discriminator's reals are never sharpened, or it would teach the generator halos
        target = as_frames(batch["image"])
        target = sharpened(target) if self.sharpen else target
        offers: dict[str, Callable[[], Any]] = {
            "restored": lambda: as_frames(fakes.image),
            "target": lambda: target,
            "mask": lambda: as_frames(self._mask(fakes.condition)),
            "restored_clip": lambda: fakes.image,
            "target_clip": lambda: target.reshape(batch["image"].shape),
            RETURNED: lambda: fakes.returned,
            "condition_clip": lambda: fakes.condition,
            "find_motion": lambda: partial(self.generator.apply, tree, method="motion"),
            "features": lambda: partial(network.apply, {"params": state.params[BACKBONE]}),
            **further,
        }
        present = [each for each in self.content if further or not each.wants("fake_features")]
        metrics = {each.name: each(offers) for each in present}
        return sum((each.weight * metrics[each.name] for each in present), jnp.zeros(())), metrics

    @property
    def _opponent(self) -> Adversary | None:
        """The adversary with this task's inputs and weights; None without a second stage."""
        if not self.adversarial or self.adversary is None:
            return None
        weigh = _weights if self._masks else None
        return dataclasses.replace(self.adversary, beside=_beside, weigh=weigh)

    @property
    def _masks(self) -> bool:
        return self.degradation is not None and self.degradation.masks

    def _show(self, state: State, batch: Batch, key: Key) -> Shown:
        """What the discriminator is shown on its turns."""
        del state
        return self._shown(batch, key, jax.lax.stop_gradient(batch["fakes"]) if "fakes" in batch else None)

    def _shown(self, batch: Batch, key: Key, fakes: Restored | None) -> Shown:
        condition = self.conditions(batch, key) if fakes is None else fakes.condition
        fake = None if fakes is None else fakes.image
        return self._as_judged(Shown(batch["image"], fake, self._given(batch, condition)))

    @property
    def _judges_clips(self) -> bool:
        return self.clips and self.adversary is not None and getattr(self.adversary.network, "clips", False)

    def _as_judged(self, shown: Shown) -> Shown:
        """Clips as they are, or their frames if the discriminator is one of images."""
        if not self.clips or self._judges_clips:
            return shown
        count = shown.real.shape[1]
        given = {
            name: jnp.repeat(each, count, axis=0) if name == "label" else as_frames(each)
            for name, each in shown.given.items()
        }
        return Shown(as_frames(shown.real), None if shown.fake is None else as_frames(shown.fake), given)

    def _given(self, batch: Batch, condition: Array) -> dict[str, Array]:
        """What is judged together with the images."""
        given = {"condition": condition} if self.conditional else {}
        if self._masks:
            given["mask"] = condition[..., -1:]
        return {**given, "label": batch["label"]} if self.num_classes else given

    def _generator_offers(self, opponent: Adversary, state: State, batch: Batch, key: Key) -> Offers:
        shown = self._shown(batch, key, batch.get("fakes"))
        tree = {"params": state.params[GENERATOR], **state.variables[GENERATOR]}
        forward = lambda condition: self.generator.apply(tree, condition, None, train=False)  # noqa: E731
        of_params = {
            "params": lambda: state.params[GENERATOR],
            "transposed": lambda: transposed_kernels(forward, self.conditions(batch, key)),
        }
        return {**opponent.offers(state, shown, key), **of_params}

    def _check_packed(
        self, opponent: Adversary, weights: tuple[dict[str, Params], dict[str, Variables]], batch: Batch, key: Key
    ) -> None:
        """Raise UserError for a penalty that cannot be taken of packed images."""
        state = blank_state(*weights, self.init_carry())

        def offers() -> Offers:
            fakes, _ = self.draw(self.phases()[-1], state, batch, key)
            return opponent.offers(state, self._show(state, {**batch, "fakes": fakes}, key), key)

        opponent.check_packed(offers, batch["image"].shape[0], self.generator_penalties)

    def _mask(self, condition: Array) -> Array:
        if not self._masks:
            raise UserError("config.task.content: a loss requires a mask; expected a degradation that makes one")
        return condition[..., -1:]


def _beside(image: Array, given: Mapping[str, Array]) -> tuple[Array, Array | None]:
    """The discriminator's inputs: the image, with its condition as further channels, and the label.

    The condition of a clip is enlarged if it is smaller.
    """
    if "condition" not in given:
        return image, given.get("label")
    condition, (height, width) = given["condition"], image.shape[-3:-1]
    if condition.shape[-3:-1] != (height, width):
        condition = by_frame(lambda frames: resize(frames, height, width), condition)
    return jnp.concatenate([image, condition], axis=-1), given.get("label")


def _weights(given: Mapping[str, Array], shape: tuple[int, ...]) -> Array:
    """Weights of a map of logits: 1 for patches that touch generated pixels, 0 for patches of known pixels only.

    Patches of known pixels are not fakes (Suvorov et al. 2022, section 2.3.2). In that paper the discriminator also
    learns that such patches, of either image, are real; here they are left out of the adversarial loss, because losses
    get pairs of logits, and a relativistic loss of two equal patches has no meaning.
    """
    mask = given["mask"][..., 0]
    if len(shape) != mask.ndim:
        return jnp.ones(shape)  # one logit per image
    return (jax.image.resize(mask, shape, "linear") > 1e-3).astype(jnp.float32)
