"""Generation with growing networks: from 4 pixels to the full resolution, each doubling faded in.

The params of all stages exist from the start, so a new stage needs a recompilation but no migration of the state: each
stage has its own phases, with the images at which they start and stop.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jaxgan.config.domains import Count, Given, Whole
from jaxgan.errors import UserError
from jaxgan.game import GENERATOR, Array, Batch, Key, Network, Params, Phase, State, Variables
from jaxgan.layers.resampling import box_downsample, box_upsample
from jaxgan.tasks.generation import Fakes, Generation

GROWTH = "growth"  # the collection of `depth`: the number of grown stages; its fraction is the fade of the newest one


@dataclasses.dataclass(frozen=True)
class Progressive(Generation):
    """Progressive growing (Karras et al. 2018, section 2) of networks that take `stage` and `alpha`, as `progan` has.

    Stage 0 has 4 pixels, the last one the full resolution. Each stage but the first begins with the fade of its layers
    and with fresh moments of the optimizers; the reals are faded in the same way. The first stage has nothing to fade
    in and is shorter by that many images (appendix A.1: a stage of stabilisation, then alternately fade and
    stabilisation of equal length). Samples have the depth grown so far, their pixels repeated to the full resolution.
    """

    resolution: Given[Whole] = 0  # the data's, unless the config sets it
    stage_images: Count = 1_200_000  # real images per stage between the first and the last, which ends with the run
    fade_images: Count = 600_000  # those of them during which the stage's layers fade in; the first stage has no fade

    def __post_init__(self) -> None:
        """Raises UserError for an invalid length of the fade."""
        super().__post_init__()
        if not 0 < self.fade_images <= self.stage_images:
            raise UserError(
                f"config.task.fade_images: got {self.fade_images}, expected 1 to stage_images={self.stage_images}"
            )

    @property
    def stages(self) -> int:
        """The number of stages: 4, 8, ... pixels up to the resolution."""
        return self.resolution.bit_length() - 2

    def init(self, key: Key, batch: Batch) -> tuple[dict[str, Params], dict[str, Variables]]:
        """Params of all stages; the depth is among the variables of both networks."""
        params, variables = super().init(key, batch)
        return params, {name: {**kinds, GROWTH: {"depth": jnp.float32(0.0)}} for name, kinds in variables.items()}

    def phases(self) -> tuple[Phase, ...]:
        """The phases of all stages, each from the stage's first image to the first of the next stage."""
        return tuple(phase for stage in range(self.stages) for phase in self._phases_of(stage))

    def draw(self, phase: Phase, state: State, batch: Batch, key: Key) -> tuple[Fakes, dict[str, Variables]]:
        """Fakes of the phase's stage at the current depth, and the generator's new variables."""
        stage = next(each for each in range(self.stages) if self._window(each) == (phase.start, phase.stop))
        return self._at(stage).draw(phase, self._grown(state), self._faded(batch, state, stage), key)

    def generate(
        self,
        params: Mapping[str, Params],
        variables: Mapping[str, Variables],
        latent: Array,
        condition: Array | None,
        *alongside: Array,
        truncation: float | None = None,
    ) -> Array:
        """Images `[N,R,R,C]` in about [-1, 1] at the depth grown so far; otherwise as `Generation.generate`."""

        def at(stage: int) -> Array:
            image = self._at(stage).generate(params, variables, latent, condition, *alongside, truncation=truncation)
            return _repeated(image, self.stages - 1 - stage)

        return self._by_depth(variables[GENERATOR], at)

    def judge(
        self, params: Mapping[str, Params], variables: Mapping[str, Variables], image: Array, condition: Array | None
    ) -> Array:
        """The mean logit `[N]` of images at the depth grown so far."""

        def at(stage: int) -> Array:
            return self._at(stage).judge(params, variables, self._halved(image, stage), condition)

        return self._by_depth(variables[self.adversary.network_name], at)

    def _phases_of(self, stage: int) -> list[Phase]:
        inner, (start, stop) = self._at(stage), self._window(stage)

        def played(loss: Callable[..., Any]) -> Callable[..., Any]:
            return lambda state, batch, key: loss(self._grown(state), self._faded(batch, state, stage), key)

        return [
            dataclasses.replace(
                phase,
                loss=played(phase.loss),
                start=start,
                stop=stop,
                fresh=stage > 0 and phase.name == phase.player,
            )
            for phase in inner.phases()
        ]

    def _at(self, stage: int) -> Generation:
        """The task of one stage, which is ordinary generation."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(Generation)}
        network: Any = _AtStage(self.adversary.network, stage)
        adversary = dataclasses.replace(self.adversary, network=network)
        return Generation(**{**own, "generator": _AtStage(self.generator, stage), "adversary": adversary})

    def _start(self, stage: int) -> int:
        """The images seen when a stage begins."""
        return max(0, stage * self.stage_images - self.fade_images)

    def _window(self, stage: int) -> tuple[int, int | None]:
        """The images seen when a stage begins and ends, which are different for each stage."""
        return self._start(stage), None if stage == self.stages - 1 else self._start(stage + 1)

    def _depth(self, images_seen: Array) -> Array:
        starts = jnp.array([self._start(stage) for stage in range(1, self.stages)], jnp.int32)
        return jnp.clip((images_seen - starts) / self.fade_images, 0.0, 1.0).sum()

    def _grown(self, state: State) -> State:
        growth = {GROWTH: {"depth": self._depth(state.images_seen)}}
        variables = {name: {**kinds, **growth} for name, kinds in state.variables.items()}
        return state.replace(variables=variables)

    def _faded(self, batch: Batch, state: State, stage: int) -> Batch:
        """The batch with its images at the stage's resolution, blended with the lower one according to the fade."""
        image = self._halved(batch["image"], stage)
        if stage:
            alpha = _alpha(self._depth(state.images_seen), stage)
            image = alpha * image + (1 - alpha) * box_upsample(box_downsample(image))
        return {**batch, "image": image}

    def _halved(self, image: Array, stage: int) -> Array:
        for _ in range(self.stages - 1 - stage):
            image = box_downsample(image)
        return image

    def _by_depth(self, variables: Variables, at: Callable[[int], Array]) -> Array:
        stage = jnp.ceil(variables[GROWTH]["depth"]).astype(jnp.int32)
        branches = [lambda stage=stage: at(stage) for stage in range(self.stages)]
        return jax.lax.switch(jnp.clip(stage, 0, self.stages - 1), branches)


@dataclasses.dataclass(frozen=True)
class _AtStage:
    """A growing network at one stage; the progress of its fade is in its variables."""

    network: Network
    stage: int

    def __getattr__(self, name: str) -> Any:
        """The attributes with which the network declares its condition."""
        if name not in ("num_classes", "condition_dim", "vocabulary", "length"):
            raise AttributeError(name)
        return getattr(self.network, name)

    def apply(self, tree: Mapping[str, Any], *inputs: Any, mutable: Any = (), **options: Any) -> Any:
        own = {name: kind for name, kind in tree.items() if name != GROWTH}
        if self.stage:
            options["alpha"] = _alpha(tree[GROWTH]["depth"], self.stage)
        kinds = [name for name in mutable if name != GROWTH]
        if not mutable:
            return self.network.apply(own, *inputs, stage=self.stage, **options)
        output, updates = self.network.apply(own, *inputs, stage=self.stage, mutable=kinds, **options)
        return output, dict(updates)


def _alpha(depth: Array, stage: int) -> Array:
    return jnp.clip(depth - (stage - 1), 0.0, 1.0)


def _repeated(image: Array, times: int) -> Array:
    for _ in range(times):
        image = box_upsample(image)
    return image
