"""Two runners of the same step: `jit` over a mesh with global arrays, and `pmap`.

Under `jit` everything is global: batch statistics, penalties and noise are the same on any number of devices. Under
`pmap` each device plays on its own rows; gradients, metrics and new variables are averaged over the axis that
`layers.collective` names while the step is traced, and each device has its own latents. Checkpoints are
interchangeable.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxgan.errors import UserError
from jaxgan.game import State
from jaxgan.layers import collective
from jaxgan.parallel.compiler import compiler_options
from jaxgan.parallel.flops import count_flops
from jaxgan.parallel.placement import copied, replicated, split_batch, split_params

HostBatch = Mapping[str, np.ndarray]  # this process's rows
Play = Callable[..., tuple[State, dict[str, jax.Array]]]  # (state, cache, batches, due_sets)
Cache = dict[str, jax.Array]  # a data set on the devices, by field
DueSets = Sequence[Hashable]  # by round: the phases that are due


class Runner(Protocol):
    """Runs compiled rounds and places their arrays."""

    mesh: Mesh

    def init(self, init: Callable[[], State]) -> State:
        """The initial state, created on its devices; `init` is pure."""
        ...

    def place(self, state: State) -> State:
        """A state of shapes (or arrays) with the shardings that `play` expects, for restoring a checkpoint."""
        ...

    def cache(self, arrays: Mapping[str, np.ndarray]) -> Cache:
        """A data set on the devices, to gather batches from."""
        ...

    def play(
        self, state: State, cache: Cache | None, batches: Sequence[HostBatch], due_sets: DueSets
    ) -> tuple[State, dict[str, jax.Array]]:
        """Plays one round per batch; the given state is donated. Metrics are stacked over rounds."""
        ...

    def flops(self, state: State, cache: Cache | None, batches: Sequence[HostBatch], due_sets: DueSets) -> float | None:
        """Floating-point operations of these rounds over all devices; None if unknown."""
        ...


class JitRunner:
    """`jit` with `NamedSharding`, the default."""

    def __init__(self, play: Play, mesh: Mesh):
        """`play(state, cache, batches, due_sets)` is pure."""
        self.mesh = mesh
        options = compiler_options(mesh.devices.flat[0].platform)

        def staying(
            state: State, cache: Cache | None, batches: Any, due_sets: DueSets
        ) -> tuple[State, dict[str, jax.Array]]:
            state, metrics = play(state, cache, batches, due_sets)
            # else the compiler could place small arrays differently, and the next round would be recompiled
            placed = jax.lax.with_sharding_constraint(state, split_params(mesh, state))
            return placed, jax.lax.with_sharding_constraint(metrics, replicated(mesh))

        self._play = jax.jit(staying, static_argnums=3, donate_argnums=0, compiler_options=options)

    def init(self, init: Callable[[], State]) -> State:
        """The initial state; an array that is split is never whole on a device."""
        shardings = split_params(self.mesh, jax.eval_shape(init))
        return jax.jit(init, out_shardings=shardings)()

    def place(self, state: State) -> State:
        """The shapes of a state with their shardings."""
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            state,
            split_params(self.mesh, state),
        )

    def cache(self, arrays: Mapping[str, np.ndarray]) -> Cache:
        """The whole arrays on every device, which gathers its own rows."""
        return copied(self.mesh, arrays)

    def play(
        self, state: State, cache: Cache | None, batches: Sequence[HostBatch], due_sets: DueSets
    ) -> tuple[State, dict[str, jax.Array]]:
        """Plays rounds with global arrays assembled from the rows of each process."""
        return self._play(state, cache, self._assemble(batches), tuple(due_sets))

    def flops(self, state: State, cache: Cache | None, batches: Sequence[HostBatch], due_sets: DueSets) -> float | None:
        """Counted in the traced program; `play` with the same arguments does not trace again."""
        return self.count(state, cache, self._assemble(batches), due_sets)

    def count(self, state: State, cache: Any, batches: Any, due_sets: DueSets) -> float:
        """As `flops`, for arrays that are placed already, or for shapes."""
        return count_flops(self._play.trace(state, cache, batches, tuple(due_sets)).jaxpr.jaxpr)

    def _assemble(self, batches: Sequence[HostBatch]) -> list[dict[str, jax.Array]]:
        sharding = split_batch(self.mesh)
        return [{k: jax.make_array_from_process_local_data(sharding, v) for k, v in b.items()} for b in batches]

    def lower(self, state: State, cache: Any, batches: Any, due_sets: DueSets) -> jax.stages.Lowered:
        """The program of `play`, for arrays or shapes with shardings, to compile and measure it."""
        return self._play.lower(state, cache, batches, tuple(due_sets))


class PmapRunner:
    """`pmap` over the axis `data`: every device holds the whole state.

    Regularizers and networks get different noise on each device, so a run differs from one under `jit` in its noise,
    and in nothing else.
    """

    axis = "data"

    def __init__(self, play: Play, mesh: Mesh):
        """Raises UserError for a mesh with an fsdp axis."""
        if mesh.shape["fsdp"] != 1:
            raise UserError(
                "config.parallel.runner: pmap holds whole params on every device; with mesh.fsdp > 1 use jit"
            )
        self.mesh = mesh
        # the placement of pmap's results: a state with another one would cause a second compilation
        self._everywhere = replicated(Mesh(mesh.devices.flatten(), (self.axis,)))

        def on_axis(
            state: State, cache: Cache | None, batches: Any, due_sets: DueSets
        ) -> tuple[State, dict[str, jax.Array]]:
            with collective.axis(self.axis):
                return play(state, cache, batches, due_sets)

        self._play = jax.pmap(
            on_axis,
            axis_name=self.axis,
            in_axes=(None, None, 0),
            out_axes=None,
            static_broadcasted_argnums=3,
            devices=list(mesh.devices.flat),
        )

    def init(self, init: Callable[[], State]) -> State:
        """The initial state, replicated over the mesh."""
        return jax.jit(init, out_shardings=self._everywhere)()

    def place(self, state: State) -> State:
        """The shapes of a state, replicated."""

        def shape(leaf: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self._everywhere)

        return jax.tree.map(shape, state)

    def cache(self, arrays: Mapping[str, np.ndarray]) -> Cache:
        """The whole arrays on every device."""
        return copied(self.mesh, arrays)

    def play(
        self, state: State, cache: Cache | None, batches: Sequence[HostBatch], due_sets: DueSets
    ) -> tuple[State, dict[str, jax.Array]]:
        """Plays rounds, each device on its own rows."""
        devices = len(self.mesh.local_devices)

        def split(array: np.ndarray) -> Any:
            return jnp.asarray(array).reshape(devices, array.shape[0] // devices, *array.shape[1:])

        placed = [{name: split(array) for name, array in batch.items()} for batch in batches]
        state, metrics = self._play(state, cache, placed, tuple(due_sets))
        return jax.tree.map(self._shared, state), metrics

    def flops(self, state: State, cache: Cache | None, batches: Sequence[HostBatch], due_sets: DueSets) -> float | None:
        """None: `pmap` does not expose its traced program, and to trace twice would cost more than this is worth."""
        del state, cache, batches, due_sets
        return None

    def _shared(self, array: jax.Array) -> jax.Array:
        """A replicated array as one of the whole mesh: pmap returns a separate array in each process."""
        if array.sharding.device_set == self._everywhere.device_set:
            return array
        parts = [shard.data for shard in array.addressable_shards]
        return jax.make_array_from_single_device_arrays(array.shape, self._everywhere, parts)


RUNNERS: dict[str, Callable[[Play, Mesh], Runner]] = {"jit": JitRunner, "pmap": PmapRunner}
