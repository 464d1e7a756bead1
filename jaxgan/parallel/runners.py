"""Two runners of the same step: `jit` over a mesh with global arrays, and `pmap`.

Under `jit` everything is global: batch statistics, penalties and noise are the same on any number of
devices. Under `pmap` each device plays on its own rows; gradients, reports and what is written back
are averaged over the axis that `layers.collective` names while the step is traced, and each device
draws its own latents. Checkpoints are interchangeable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


class Runner(Protocol):
    """Holds the compiled play of rounds and says where its arrays lie."""

    mesh: Mesh

    def init(self, init: Callable[[], State]) -> State:
        """The state made where it is to lie; `init` is pure."""
        ...

    def place(self, state: State) -> State:
        """A state of shapes (or arrays) with the shardings that `play` wants, for restoring a checkpoint."""
        ...

    def cache(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """A data set on the devices, to gather batches from."""
        ...

    def play(
        self, state: State, cache: Any, batches: Sequence[HostBatch], due_sets: Sequence[Any]
    ) -> tuple[State, dict[str, Any]]:
        """Plays one round a batch; the state given is used up. Metrics are stacked over rounds."""
        ...

    def flops(self, state: State, cache: Any, batches: Sequence[HostBatch], due_sets: Sequence[Any]) -> float | None:
        """Floating-point operations of these rounds over all devices; None where that cannot be told."""
        ...


class JitRunner:
    """`jit` with `NamedSharding`: the house path."""

    def __init__(self, play: Play, mesh: Mesh):
        """`play(state, cache, batches, due_sets)` is pure."""
        self.mesh = mesh
        options = compiler_options(mesh.devices.flat[0].platform)

        def staying(state: State, cache: Any, batches: Any, due_sets: Any) -> Any:
            state, metrics = play(state, cache, batches, due_sets)
            # else the compiler could move small arrays apart, and the next round would be compiled anew
            placed = jax.lax.with_sharding_constraint(state, split_params(mesh, state))
            return placed, jax.lax.with_sharding_constraint(metrics, replicated(mesh))

        self._play = jax.jit(staying, static_argnums=3, donate_argnums=0, compiler_options=options)

    def init(self, init: Callable[[], State]) -> State:
        """The state, no part of it ever whole on a device that is to hold a share."""
        shardings = split_params(self.mesh, jax.eval_shape(init))
        return jax.jit(init, out_shardings=shardings)()

    def place(self, state: State) -> State:
        """The shapes of a state with their shardings."""
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            state,
            split_params(self.mesh, state),
        )

    def cache(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The arrays whole on every device: each gathers its own rows."""
        return copied(self.mesh, arrays)

    def play(
        self, state: State, cache: Any, batches: Sequence[HostBatch], due_sets: Sequence[Any]
    ) -> tuple[State, dict[str, Any]]:
        """Rounds with global arrays assembled from each process's rows."""
        return self._play(state, cache, self._assemble(batches), tuple(due_sets))

    def flops(self, state: State, cache: Any, batches: Sequence[HostBatch], due_sets: Sequence[Any]) -> float | None:
        """Counted in the traced program: `play`, called next with the same, does not trace again."""
        return self.count(state, cache, self._assemble(batches), due_sets)

    def count(self, state: State, cache: Any, batches: Any, due_sets: Sequence[Any]) -> float:
        """The same, of arrays that are placed already, or of their shapes."""
        return count_flops(self._play.trace(state, cache, batches, tuple(due_sets)).jaxpr.jaxpr)

    def _assemble(self, batches: Sequence[HostBatch]) -> list[dict[str, jax.Array]]:
        sharding = split_batch(self.mesh)
        return [{k: jax.make_array_from_process_local_data(sharding, v) for k, v in b.items()} for b in batches]

    def lower(self, state: State, cache: Any, batches: Any, due_sets: Sequence[Any]) -> jax.stages.Lowered:
        """The program that `play` runs, to be compiled and measured: of arrays, or of shapes with shardings."""
        return self._play.lower(state, cache, batches, tuple(due_sets))


class PmapRunner:
    """`pmap` over the axis `data`: every device holds the whole state.

    Regularizers and networks that draw noise draw other noise on each device, so a run differs from that of
    `jit` in its noise, and in nothing else.
    """

    axis = "data"

    def __init__(self, play: Play, mesh: Mesh):
        """Raises UserError for a mesh with an fsdp axis."""
        if mesh.shape["fsdp"] != 1:
            raise UserError(
                "config.parallel.runner: pmap holds whole params on every device; with mesh.fsdp > 1 use jit"
            )
        self.mesh = mesh
        # where pmap leaves what it gives: a state that lies elsewhere would be compiled for once more
        self._everywhere = replicated(Mesh(mesh.devices.flatten(), (self.axis,)))

        def on_axis(state: State, cache: Any, batches: Any, due_sets: Any) -> Any:
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
        """The state on the mesh, replicated."""
        return jax.jit(init, out_shardings=self._everywhere)()

    def place(self, state: State) -> State:
        """The shapes of a state, replicated."""

        def shape(leaf: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self._everywhere)

        return jax.tree.map(shape, state)

    def cache(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The arrays whole on every device."""
        return copied(self.mesh, arrays)

    def play(
        self, state: State, cache: Any, batches: Sequence[HostBatch], due_sets: Sequence[Any]
    ) -> tuple[State, dict[str, Any]]:
        """Rounds with each device on its own rows."""
        devices = len(self.mesh.local_devices)

        def split(array: np.ndarray) -> Any:
            return jnp.asarray(array).reshape(devices, array.shape[0] // devices, *array.shape[1:])

        placed = [{name: split(array) for name, array in batch.items()} for batch in batches]
        state, metrics = self._play(state, cache, placed, tuple(due_sets))
        return jax.tree.map(self._shared, state), metrics

    def flops(self, state: State, cache: Any, batches: Sequence[HostBatch], due_sets: Sequence[Any]) -> float | None:
        """None: `pmap` shows no traced program, and tracing twice would cost more than the number is worth."""
        del state, cache, batches, due_sets
        return None

    def _shared(self, array: jax.Array) -> jax.Array:
        """An array that is the same everywhere as one of the whole mesh: pmap gives each process one of its own."""
        if array.sharding.device_set == self._everywhere.device_set:
            return array
        parts = [shard.data for shard in array.addressable_shards]
        return jax.make_array_from_single_device_arrays(array.shape, self._everywhere, parts)


RUNNERS: dict[str, Callable[[Play, Mesh], Runner]] = {"jit": JitRunner, "pmap": PmapRunner}
