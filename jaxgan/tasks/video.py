"""Generation of clips: constant content, motion, and discriminators that see a few frames of each clip."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.config.domains import Count
from jaxgan.errors import UserError
from jaxgan.fields import Field
from jaxgan.game import GENERATOR, Array, Asked, Batch, Key, Params, Phase, Product, Spec, State, Variables
from jaxgan.tasks.adversary import Adversary, Shown
from jaxgan.tasks.generation import Fakes, Generation
from jaxgan.tasks.sight import Condition, Pixels


@dataclasses.dataclass(frozen=True)
class VideoGeneration(Generation):
    """A generator of clips against a discriminator of clips, and optionally against one of images.

    In each round `frames_seen` frames of every clip of the data are chosen at random, and the generator makes frames at
    the same times (Skorokhodov et al. 2022, section 3.3), so that a clip costs this many images. The fakes begin
    anywhere between two motion codes, so that every real-valued time is trained. Networks get times in frames: the
    generator `(latent, condition, motion, time, start)`, the discriminator `(clip, condition, time)`. A discriminator
    of images gets one of the frames, without a time.
    """

    frames_seen: Count | None = 3  # frames of a clip; None: all
    image_adversary: Adversary | None = None

    def __post_init__(self) -> None:
        """Raises UserError for networks and options that do not support clips."""
        super().__post_init__()
        if not hasattr(self.generator, "noise_shape"):
            name = f"{type(self.generator).__module__.rpartition('.')[2]}.{type(self.generator).__name__}"
            raise UserError(
                f"config.networks.generator: {name} makes no clips; expected a generator such as video.Frames"
            )
        if any(each.pack > 1 for each in self._adversaries):
            raise UserError("config.task.adversary.pack: clips cannot be judged together; expected 1")
        object.__setattr__(self, "adversary", dataclasses.replace(self.adversary, beside=_beside))

    @property
    def asks(self) -> Spec:
        """Clips, and the condition."""
        return {**super().asks, "image": Field((None, None, None, None), "uint8", "pixels")}

    @property
    def players(self) -> Mapping[str, tuple[str, ...]]:
        """Each player owns one network."""
        judges = {each.player: (each.network_name,) for each in self._adversaries}
        return {**judges, GENERATOR: (GENERATOR,)}

    def init_carry(self) -> dict[str, Any]:
        """The initial memory of the adversaries and of the generator's penalties."""
        own = {} if self.image_adversary is None else self.image_adversary.init_carry()
        return super().init_carry() | own

    def phases(self) -> tuple[Phase, ...]:
        """The discriminators and their lazy penalties, then the generator and its lazy penalties."""
        own = () if self.image_adversary is None else self.image_adversary.phases(self._show_frame)
        return *own, *super().phases()

    def judge(
        self, params: Mapping[str, Params], variables: Mapping[str, Variables], image: Array, condition: Array | None
    ) -> Array:
        """The discriminator's logits of clips `[N,T,H,W,C]`; it sees `frames_seen` evenly spaced frames of each."""
        length = image.shape[1]
        places = jnp.round(jnp.linspace(0, length - 1, self._seen(length))).astype(jnp.int32)
        time = jnp.broadcast_to(places, (image.shape[0], len(places)))
        given = {"condition": condition if self.given else None, "time": time}
        return self.adversary.judge(params, variables, image[:, places], given)

    @property
    def products(self) -> Mapping[str, Product]:
        """Clips of any length from latents, and the discriminator's logits of clips."""
        products, frames = dict(super().products), self._films.frames
        discriminator = self.adversary.network_name
        judging = dataclasses.replace(products[discriminator], asks={"image": self._image(frames), **self.given})
        return {GENERATOR: self._film(frames, 1.0), discriminator: judging}

    def _film(self, frames: int, rate: float) -> Product:
        """Clips of `frames` frames, at `rate` times the frame rate of the data."""
        shape = self._films.noise_shape((frames - 1) / rate)
        further = {"motion": Field(shape, kind="latent", law="normal"), "time": Field((frames,))}

        def alongside(asked: Asked) -> tuple[Array, ...]:
            usual = jnp.broadcast_to(jnp.arange(frames) / rate, (asked["latent"].shape[0], frames))
            return asked["motion"], asked.get("time", usual)

        film = self._drawing({"image": self._image(frames)}, further, alongside)
        return dataclasses.replace(film, optional=(*film.optional, "time"), retimed=self._film)

    @property
    def has_styles(self) -> bool:
        """False: the styles of clips do not determine an image."""
        return False

    @property
    def truncates_styles(self) -> bool:
        """Whether the generator maps its content latents to styles."""
        return bool(self._films.has_styles)

    @property
    def _films(self) -> Any:
        """The generator, with the attributes of one of clips: `frames`, `noise_shape`, `period`, `has_styles`."""
        return self.generator

    @property
    def _adversaries(self) -> tuple[Adversary, ...]:
        return (self.adversary,) if self.image_adversary is None else (self.image_adversary, self.adversary)

    def _init_judges(self, key: Key, batch: Batch, drawn: Pixels) -> dict[str, Any]:
        clip, condition = batch["image"][:, : drawn.shape[1]], self._condition(batch)
        time = jnp.zeros(clip.shape[:2])
        trees = {self.adversary.network_name: self.adversary.init(key, clip, {"condition": condition, "time": time})}
        if self.image_adversary is not None:
            own_key = jax.random.fold_in(key, 1)
            trees[self.image_adversary.network_name] = self.image_adversary.init(own_key, clip[:, 0], condition)
        return trees

    def _alongside(self, key: Key, batch: Batch) -> tuple[Array, ...]:
        """Motion noise, the times of the frames, and the positions between two codes at which the clips begin."""
        motion_key, start_key = jax.random.split(jax.random.fold_in(key, 2))
        rows, length = batch["image"].shape[:2]
        shape = self._films.noise_shape(length - 1 + self._films.period)
        motion = jax.random.normal(motion_key, (rows, *shape))
        start = jax.random.uniform(start_key, (rows,), maxval=self._films.period)
        return motion, self._times(key, batch), start

    def _times(self, key: Key, batch: Batch) -> Array:
        """The indices of the frames seen, ascending: int32 `[B,K]`, every subset equally likely."""
        rows, length = batch["image"].shape[:2]
        seen = self._seen(length)
        if seen == length:
            return jnp.broadcast_to(jnp.arange(length, dtype=jnp.int32), (rows, length))
        ranks = jnp.argsort(jax.random.uniform(jax.random.fold_in(key, 3), (rows, length)), axis=1)
        return jnp.sort(ranks[:, :seen], axis=1).astype(jnp.int32)

    def _seen(self, length: int) -> int:
        if self.frames_seen is not None and self.frames_seen > length:
            raise UserError(
                f"config.task.frames_seen: got {self.frames_seen}, expected at most the {length} frames of a clip"
            )
        return self.frames_seen or length

    def _shown(self, state: State, batch: Batch, key: Key, fakes: Fakes | None) -> Shown:
        """The frames of the reals at the times of the fakes."""
        time = self._times(key, batch) if fakes is None else fakes.alongside[1]
        shown = super()._shown(state, batch, key, fakes)
        real = jnp.take_along_axis(shown.real, time[:, :, None, None, None], axis=1)
        return shown._replace(real=real, given={"condition": shown.given, "time": time})

    def _mismatched(self, given: Condition) -> Condition:
        return {**given, "condition": super()._mismatched(given["condition"])}

    def _show_frame(self, state: State, batch: Batch, key: Key) -> Shown:
        """What the discriminator of images is shown on its turns."""
        fakes = jax.lax.stop_gradient(batch["fakes"]) if "fakes" in batch else None
        return self._frame(self._shown(state, batch, key, fakes), key)

    def _frame(self, shown: Shown, key: Key) -> Shown:
        """One frame of each clip, the same for real and fake."""
        rows, count = shown.real.shape[:2]
        place = jax.random.randint(jax.random.fold_in(key, 4), (rows,), 0, count)[:, None, None, None, None]
        real, fake = (
            None if clip is None else jnp.take_along_axis(clip, place, axis=1)[:, 0]
            for clip in (shown.real, shown.fake)
        )
        return Shown(real, fake, shown.given["condition"], further=shown.further)

    def _pushed(self, state: State, shown: Shown, key: Key) -> tuple[Array, dict[str, Array]]:
        """The generator's loss from both discriminators, and its metrics."""
        loss, metrics = super()._pushed(state, shown, key)
        if self.image_adversary is None:
            return loss, metrics
        frame = self._frame(shown, key)
        pushed = self.image_adversary.push(state, frame.real, frame.fake, key, frame.given)
        return loss + pushed.loss, {**metrics, **pushed.metrics}


def _beside(clip: Array, given: Mapping[str, Any]) -> tuple[Array, Any, Array]:
    return clip, given["condition"], given["time"]
