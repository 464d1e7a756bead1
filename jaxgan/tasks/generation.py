"""Image generation from latents, unconditional or conditioned on labels, captions or vectors."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.fields import Field, label_field, pixel_field
from jaxgan.game import (
    GENERATOR,
    Array,
    Asked,
    Aux,
    Batch,
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
from jaxgan.layers.collective import all_rows, own_rows
from jaxgan.layers.conv import transposed_kernels
from jaxgan.layers.labels import condition_field, takes_condition
from jaxgan.layers.normalization import BATCH, STATISTICS
from jaxgan.layers.resampling import box_downsample
from jaxgan.tasks.adversary import Adversary, Shown, blank_state
from jaxgan.tasks.penalty import Offers, Penalty, lazy_phases, memories, penalized
from jaxgan.tasks.sight import Condition, Pixels


class Fakes(NamedTuple):
    """Generated images `[B,H,W,C]` (or all their scales, largest first) of latents `[B,Z]`.

    `noise` is the data of the key of all other randomness, so that other latents can be used with the same noise.
    """

    image: Pixels
    latent: Array
    noise: Array
    alongside: tuple[Array, ...] = ()  # the generator's inputs after latents and conditions


@dataclasses.dataclass(frozen=True)
class Generation:
    """A generator of images from noise against a discriminator.

    Each fake has the condition of the real in its row, so that a relativistic pair shares its class. With `mismatched`
    the discriminator also learns to reject a real with the condition of another one (Reed et al. 2016, GAN-CLS): see
    `Adversary.turn`.
    """

    generator: Given[Network]  # (latent [B,Z], condition [B,...] | None, *, train) -> image [B,H,W,C] in [-1, 1]
    adversary: Adversary
    latent_dim: Count = 100
    condition: str | None = None  # the data field that images are conditioned on: a label, tokens or a vector
    num_classes: Given[Whole] = 0  # number of labels; 0: no labels
    mismatched: bool = False  # whether reals with the conditions of other examples count as fakes
    generator_penalties: tuple[Penalty, ...] = ()
    generator_every: Count = 1  # n_critic: discriminator steps per generator step
    standing_passes: Whole = 0  # batches for the batch statistics of samples; 0: the statistics kept in training

    def __post_init__(self) -> None:
        """Raises UserError for invalid numbers."""
        bounds = {"latent_dim": 1, "generator_every": 1, "num_classes": 0, "standing_passes": 0}
        for name, least in bounds.items():
            if getattr(self, name) < least:
                raise UserError(f"config.task.{name}: got {getattr(self, name)}, expected {least} or more")
        self._check_condition()
        for field, penalties in (
            (f"{self.adversary.path}.penalties", self.adversary.penalties),
            ("config.task.generator_penalties", self.generator_penalties),
        ):
            for penalty in penalties:
                if penalty.wants("synthesize") and not self.has_styles:
                    raise UserError(f"{field}: {penalty.name} needs a generator with styles")

    @property
    def given(self) -> Spec:
        """The field that images are conditioned on, by its name in the data; empty if unconditional."""
        if self.num_classes:
            return {self.condition or "label": label_field(tuple(map(str, range(self.num_classes))))}
        field = None if self.condition is None else condition_field(self.generator)
        return {} if field is None else {str(self.condition): field}

    @property
    def asks(self) -> Spec:
        """Images, and the condition; the names of its values come from the data."""
        given = {name: dataclasses.replace(field, names=()) for name, field in self.given.items()}
        return {"image": pixel_field(None, None, None), **given}

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """Each player owns one network."""
        return {self.adversary.player: (self.adversary.network_name,), GENERATOR: (GENERATOR,)}

    @property
    def averaged(self) -> tuple[str, ...]:
        """The generator."""
        return (GENERATOR,)

    def init(self, key: Key, batch: Batch) -> tuple[dict[str, Params], dict[str, Variables]]:
        """Params and variables of both networks, for batches of the shapes of `batch`.

        Raises UserError for standing statistics with a generator without batch norm.
        """
        generator_key, discriminator_key = jax.random.split(key)
        latent = jnp.zeros((batch["image"].shape[0], self.latent_dim), jnp.float32)
        inputs = latent, self._condition(batch), *self._alongside(key, batch)
        generator = self.generator.init(generator_key, *inputs, train=False)
        if self.standing_passes and STATISTICS not in generator:
            raise UserError(
                f"config.task.standing_passes: got {self.standing_passes}, "
                "expected 0 for a generator without batch norm"
            )
        drawn = jax.eval_shape(lambda tree: self.generator.apply(tree, *inputs, train=False), generator)
        trees = {GENERATOR: generator, **self._init_judges(discriminator_key, batch, drawn)}
        variables = {name: {k: v for k, v in tree.items() if k != "params"} for name, tree in trees.items()}
        params = {name: tree["params"] for name, tree in trees.items()}
        if self.adversary.pack > 1:
            self._check_packed(params, variables, batch, key)
        return params, variables

    def _init_judges(self, key: Key, batch: Batch, drawn: Pixels) -> dict[str, Any]:
        """The trees of the discriminators of what is drawn, by name."""
        image = _scales(batch["image"], drawn)
        return {self.adversary.network_name: self.adversary.init(key, image, self._condition(batch))}

    def init_carry(self) -> dict[str, Any]:
        """The initial memory of the adversary and of the generator's penalties."""
        return self.adversary.init_carry() | memories(GENERATOR, self.generator_penalties)

    def phases(self) -> tuple[Phase, ...]:
        """The discriminator and its lazy penalties, then the generator and its lazy penalties."""
        return (
            *self.adversary.phases(self._show),
            Phase(GENERATOR, GENERATOR, self._generator_loss, every=self.generator_every, drawn_by=GENERATOR),
            *lazy_phases(GENERATOR, self.generator_penalties, self._generator_offers),
        )

    def draw(self, phase: Phase, state: State, batch: Batch, key: Key) -> tuple[Fakes, dict[str, Variables]]:
        """Fakes for the conditions of the batch, and the generator's new variables."""
        del phase
        latent, alongside = self.latents(key, batch["image"].shape[0]), self._alongside(key, batch)
        noise_key = jax.random.fold_in(key, 1)
        image, variables = self._apply(state, latent, self._condition(batch), *alongside, key=noise_key)
        return Fakes(image, latent, jax.random.key_data(noise_key), alongside), {GENERATOR: variables}

    def generate(
        self,
        params: Mapping[str, Params],
        variables: Mapping[str, Variables],
        latent: Array,
        condition: Array | None,
        *alongside: Array,
        truncation: float | None = None,
    ) -> Array:
        """Images `[N,H,W,C]` in about [-1, 1], float32, with the statistics kept in training.

        `alongside`: further inputs of the generator. `truncation`: for generators with styles psi, the distance from
        the mean style (Karras et al. 2019, section 5); for others the largest absolute latent (Brock et al. 2019,
        section 3.1).
        """
        tree = {"params": params[GENERATOR], **variables[GENERATOR]}
        options: dict[str, Any] = {}
        if truncation is not None and self.truncates_styles:
            options["truncation"] = truncation
        elif truncation is not None:
            latent = truncated(latent, truncation)
        condition = condition if self.given else None
        image = self.generator.apply(tree, latent, condition, *alongside, train=False, **options)
        return (image[0] if isinstance(image, tuple) else image).astype(jnp.float32)

    @property
    def products(self) -> Mapping[str, Product]:
        """Images from latents, and the discriminator's logits of images."""
        discriminator, images = self.adversary.network_name, {"image": self._image()}

        def judge(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            return {"logits": self.judge(*weights, asked["image"], self._condition(asked))}, memory

        logits = {"logits": Field(kind="logits")}
        judging = Product({**images, **self.given}, logits, (discriminator,), judge)
        return {GENERATOR: self._drawing(images, {}, lambda _: ()), discriminator: judging}

    def _image(self, *frames: int) -> Field:
        """The field of generated images; with `frames`, of clips."""
        size, channels = (getattr(self.generator, name, None) for name in ("resolution", "channels"))
        return Field((*frames, size, size, channels), kind="pixels")

    def _drawing(self, images: Spec, further: Spec, alongside: Callable[[Asked], tuple[Array, ...]]) -> Product:
        """Images from latents and `further` fields, which `alongside` turns into further inputs of the generator."""
        asks = {
            "latent": Field((self.latent_dim,), kind="latent", law="normal"),
            **self.given,
            **further,
            "truncation": Field(kind="number"),
        }

        def inputs(asked: Asked) -> tuple[Any, ...]:
            return asked["latent"], self._condition(asked), *alongside(asked)

        def generate(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            return {"image": self.generate(*weights, *inputs(asked), truncation=asked.get("truncation"))}, memory

        def statistics(weights: Weights, asked: Asked) -> dict[str, Variables]:
            return {GENERATOR: {STATISTICS: self.batch_statistics(*weights, *inputs(asked))}}

        return Product(
            asks=asks,
            gives=images,
            networks=(GENERATOR,),
            forward=generate,
            optional=("truncation",),
            parts=self._parts(asks, images) if self.has_styles else {},
            statistics=statistics,
            passes=self.standing_passes,
        )

    def _parts(self, asks: Spec, images: Spec) -> dict[str, Product]:
        """The two halves of a generator with styles `[L,W]`, one for each layer."""
        styles = {"style": Field((None, None), kind="style")}

        def to_styles(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            style = self._half(weights, "map", asked["latent"], self._condition(asked))
            if "truncation" in asked:  # psi, the distance from the mean style (Karras et al. 2019, section 5)
                mean = weights.variables[GENERATOR]["average"]["style_mean"]
                style = mean + asked["truncation"] * (style - mean)
            return {"style": style}, memory

        def to_images(weights: Weights, asked: Asked, memory: Memory) -> tuple[Made, Memory]:
            image = self._half(weights, "synthesize", asked["style"])
            return {"image": (image[0] if isinstance(image, tuple) else image).astype(jnp.float32)}, memory

        return {
            "map": Product(asks, styles, (GENERATOR,), to_styles, optional=("truncation",)),
            "synthesize": Product(styles, images, (GENERATOR,), to_images),
        }

    def _half(self, weights: Weights, method: str, *inputs: Array | None) -> Any:
        tree = {"params": weights.params[GENERATOR], **weights.variables[GENERATOR]}
        return self.generator.apply(tree, *inputs, train=False, method=method)

    def batch_statistics(
        self,
        params: Mapping[str, Params],
        variables: Mapping[str, Variables],
        latent: Array,
        condition: Array | None,
        *alongside: Array,
    ) -> Variables:
        """The means and variances of the generator's batch norms for these latents, to use instead of the kept ones."""
        tree = {"params": params[GENERATOR], **variables[GENERATOR]}
        condition = condition if self.given else None
        return self.generator.apply(tree, latent, condition, *alongside, train=True, mutable=[BATCH])[1][BATCH]

    def judge(
        self, params: Mapping[str, Params], variables: Mapping[str, Variables], image: Array, condition: Array | None
    ) -> Array:
        """The discriminator's mean logits of images, see `Adversary.judge`."""
        return self.adversary.judge(params, variables, image, condition if self.given else None)

    def latents(self, key: Key, count: int) -> Array:
        """Standard normal latents `[count,Z]`."""
        return jax.random.normal(key, (count, self.latent_dim))

    @property
    def has_styles(self) -> bool:
        """Whether the generator maps latents to styles, `map`, and styles to images, `synthesize`."""
        return hasattr(self.generator, "synthesize")

    @property
    def truncates_styles(self) -> bool:
        """Whether the generator takes `truncation`; where not, latents are truncated."""
        return self.has_styles

    def _alongside(self, key: Key, batch: Batch) -> tuple[Array, ...]:
        """What the generator is called with after latents and conditions: nothing."""
        del key, batch
        return ()

    def _mismatched(self, given: Condition) -> Condition:
        """What is given, as others have it."""
        return of_others(given)

    def _show(self, state: State, batch: Batch, key: Key) -> Shown:
        """What the discriminator is shown on its turns."""
        fakes = jax.lax.stop_gradient(batch["fakes"]) if "fakes" in batch else None
        shown = self._shown(state, batch, key, fakes)
        return shown._replace(mismatched=self._mismatched(shown.given)) if self.mismatched else shown

    def _generator_loss(self, state: State, batch: Batch, key: Key) -> tuple[Array, Aux]:
        loss, metrics = self._pushed(state, self._shown(state, batch, key, batch["fakes"]), key)
        offers = self._generator_offers(state, batch, key)
        return penalized(GENERATOR, self.generator_penalties, loss, offers, state, Aux(metrics))

    def _pushed(self, state: State, shown: Shown, key: Key) -> tuple[Array, dict[str, Array]]:
        """What is asked of the generator, and what that reports."""
        pushed = self.adversary.push(state, shown.real, shown.fake, key, shown.given)
        return pushed.loss, pushed.metrics

    def _generator_offers(self, state: State, batch: Batch, key: Key) -> Offers:
        shown = self._shown(state, batch, key, batch.get("fakes"))
        offers = self.adversary.offers(state, shown, key)
        of_params = {
            "params": lambda: state.params[GENERATOR],
            "transposed": lambda: transposed_kernels(offers["generate"](), self.latents(key, batch["image"].shape[0])),
        }
        return {**offers, **of_params}

    def _shown(self, state: State, batch: Batch, key: Key, fakes: Fakes | None) -> Shown:
        """Reals and fakes of a turn, and what its penalties can request beyond `adversary.OFFERED`."""
        condition = self._condition(batch)
        noise_key, style_key, own_key = jax.random.split(jax.random.fold_in(key, 1), 3)
        noise_key = noise_key if fakes is None else jax.random.wrap_key_data(fakes.noise)
        alongside = self._alongside(own_key, batch) if fakes is None else fakes.alongside

        def generate(latent: Array) -> Pixels:
            return self._apply(state, latent, condition, *alongside, key=noise_key)[0]

        def style() -> Array:
            latent = self.latents(style_key, batch["image"].shape[0])
            return self._apply(state, latent, condition, key=noise_key, method="map")[0]

        def synthesize(style: Array) -> Pixels:
            return self._apply(state, style, key=noise_key, method="synthesize")[0]

        further: dict[str, Callable[[], Any]] = {"key": lambda: own_key, "generate": lambda: generate}
        if self.has_styles:
            further |= {"style": style, "synthesize": lambda: synthesize}
        if fakes is None:
            return Shown(batch["image"], None, condition, further=further)
        further["latent"] = lambda: fakes.latent
        return Shown(_scales(batch["image"], fakes.image), fakes.image, condition, further=further)

    def _check_packed(
        self, params: Mapping[str, Params], variables: Mapping[str, Variables], batch: Batch, key: Key
    ) -> None:
        """Raise UserError for a penalty that cannot be taken of packed images."""
        state = blank_state(params, variables, self.init_carry())

        def offers() -> Offers:
            fakes, _ = self.draw(self.phases()[-1], state, batch, key)
            return self.adversary.offers(state, self._show(state, {**batch, "fakes": fakes}, key), key)

        self.adversary.check_packed(offers, batch["image"].shape[0], self.generator_penalties)

    def _condition(self, fields: Batch) -> Array | None:
        """What is given of the fields of a batch, or of those that a product is called with."""
        return next((fields[name] for name in self.given), None)

    def _check_condition(self) -> None:
        """Raise UserError for a condition that the networks cannot take, and for mismatched pairs of nothing."""
        networks = {GENERATOR: self.generator, self.adversary.network_name: self.adversary.network}
        for name, network in networks.items():
            if self.condition is not None and not takes_condition(network, self.num_classes):
                raise UserError(
                    f"config.task.condition: got {self.condition!r}, but config.networks.{name} takes none; expected "
                    "one with num_classes for labels, condition_dim for vectors, or vocabulary and length for tokens"
                )
        if self.mismatched and not self.given:
            raise UserError("config.task.mismatched: got True, but images are made for nothing; expected False")
        self.adversary.check_labels(self.num_classes or len(self.given))

    def _apply(self, state: State, *inputs: Any, key: Key, method: str | None = None) -> tuple[Any, Variables]:
        """The generator's training forward, with noise and mixed styles, and its variables as they stand after it."""
        variables = state.variables[GENERATOR]
        options: dict[str, Any] = {} if method is None else {"method": method}
        noise_key, mixing_key = jax.random.split(key)
        options["rngs"] = {"noise": noise_key, "mixing": mixing_key}
        tree = {"params": state.params[GENERATOR], **variables}
        output, updates = self.generator.apply(tree, *inputs, train=True, mutable=list(variables), **options)
        return output, {**variables, **updates}


def of_others(condition: Array) -> Array:
    """For each row of conditions `[B,...]` the next row that differs from it, over all devices; itself if none does."""
    rows = all_rows(condition)
    count, flat = len(rows), rows.reshape(len(rows), -1)
    differs, places = (flat[:, None] != flat).any(axis=-1), jnp.arange(count)
    away = (places - places[:, None]) % count
    return own_rows(rows[jnp.where(differs, away, count).argmin(axis=1)])


def truncated(latent: Array, threshold: float) -> Array:
    """Standard normal latents as latents of the normal distribution cut off at +-threshold, in the same order.

    The truncation trick of Brock et al. 2019, section 3.1, without new random numbers.
    """
    share = jax.scipy.stats.norm.cdf(jnp.float32(threshold)) - 0.5
    return jax.scipy.stats.norm.ppf(0.5 + 2.0 * share * (jax.scipy.stats.norm.cdf(latent) - 0.5))


def _scales(image: Array, like: Pixels) -> Pixels:
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
