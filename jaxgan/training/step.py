"""The train step of all tasks.

A round plays the due phases in order. A phase takes the gradients of its player at the current state (with
`simultaneous`: at the state before the round), and the player's optimizer updates the player's own networks only. A
turn with a NaN or an infinity is skipped and counted. A player's draw is its forward pass, computed once for all phases
that share it: their losses get the fakes, and the phase of the drawing player itself pulls its cotangent back through
the same forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.game import Array, Aux, Batch, Key, Params, Phase, State, Task, Variables, drawn_with
from jaxgan.layers.collective import axis_name, pmean
from jaxgan.layers.repeat import fold
from jaxgan.schedules import Number
from jaxgan.training.ema import ema_decay, ema_update, variables_update
from jaxgan.training.optimizers import Optimizer
from jaxgan.training.remat import Remat, recomputed

DueSet = tuple[int, ...]  # indices of the phases that are played in a round
Metrics = dict[str, Array]
TrainStep = Callable[[State, Batch, Key, DueSet], tuple[State, Metrics]]

DRAW_STREAM = 0x64726177  # separates the keys of further drawing players from those of phases


class Draw(NamedTuple):
    """A player's forward pass: the fakes, the new variables, and the pull-back of a cotangent to the params."""

    fakes: Any
    variables: dict[str, Variables]
    pull_back: Callable[[Any], tuple[dict[str, Params]]]


class Turn(NamedTuple):
    """The result of one phase: its loss, its metrics and new variables, and the player's gradients."""

    loss: Array
    aux: Aux
    gradients: dict[str, Params]


def due_phases(phases: Sequence[Phase], step: int, images_seen: int) -> DueSet:
    """Indices of the phases due at a step, known on the host: every `every` steps, from `start` to `stop` images."""
    return tuple(
        index
        for index, phase in enumerate(phases)
        if (step + 1) % phase.every == 0
        and phase.start <= images_seen
        and (phase.stop is None or images_seen < phase.stop)
    )


def make_train_step(
    task: Task,
    optimizers: Mapping[str, Optimizer],
    *,
    images: int,
    half_life_images: Number = 10_000,
    rampup: float | None = None,
    simultaneous: bool = False,
    fresh_latents: bool = False,
    microbatches: int = 1,
    remat: Remat = "none",
) -> TrainStep:
    """The pure step `(state, batch, key, due) -> (state, metrics)`; `due` is static, `key` the run's root key.

    `images` is the number of images that a round shows to the networks, on all devices, by which the clock advances
    (a clip of three frames counts three). With `fresh_latents` every phase draws its own fakes. With `microbatches`
    gradients are accumulated over this many interleaved parts of the batch, whose size must be a multiple of it.
    `remat`: what the gradients of losses and draws recompute instead of storing it, see `jaxgan.training.remat`.
    """
    phases, players = task.phases(), task.players
    drawers = list(dict.fromkeys(phase.drawn_by for phase in phases if phase.drawn_by is not None))

    draw = partial(_draw, task, remat)

    def differentiate(phase: Phase, state: State, batch: Batch, key: Key, drawn: Draw | None) -> Turn:
        def loss(params: dict[str, Params], fakes: Any) -> tuple[Array, Aux]:
            fields = batch if drawn is None else {**batch, "fakes": fakes}
            value, aux = phase.loss(_put(state, params), fields, key)
            return phase.weight * value, aux

        params, loss = _owned(players, state, phase.player), recomputed(loss, remat)
        if drawn is None or phase.player != phase.drawn_by:
            fakes = None if drawn is None else drawn.fakes
            (value, aux), gradients = jax.value_and_grad(loss, has_aux=True)(params, fakes)
            return Turn(value, aux, gradients)
        # fakes may have integer leaves, such as the keys they were drawn with
        with_fakes = jax.value_and_grad(loss, (0, 1), has_aux=True, allow_int=True)
        (value, aux), (direct, cotangent) = with_fakes(params, drawn.fakes)
        gradients = jax.tree.map(jnp.add, direct, drawn.pull_back(cotangent)[0])
        return Turn(value, aux.replace(variables={**drawn.variables, **aux.variables}), gradients)

    def accumulate(phase: Phase, state: State, batch: Batch, key: Key, draw_key: Key) -> Turn:
        def part(state: State, inputs: tuple[Batch, Array]) -> tuple[State, Turn]:
            rows, index = inputs
            drawn = draw(phase, state, rows, jax.random.fold_in(draw_key, index))
            turn = differentiate(phase, state, rows, jax.random.fold_in(key, index), drawn)
            return _write_back(state, turn.aux), turn

        parts = _interleaved(batch, microbatches), jnp.arange(microbatches)
        after, turns = fold(part, state, parts, unroll_on_cpu=_convolves(state))
        return _mean(turns, after)

    def train_step(state: State, batch: Batch, key: Key, due: DueSet) -> tuple[State, Metrics]:
        key, found = _round_key(key, state), state
        draws: dict[_Sharing, Draw | None] = {}
        metrics: Metrics = {}
        skipped = jnp.zeros((), jnp.int32)
        for index in due:
            phase, at = phases[index], found if simultaneous else state
            phase_key = jax.random.fold_in(key, index + 1)
            draw_key = jax.random.fold_in(phase_key, 1) if fresh_latents else _draw_key(key, drawers, phase)
            if microbatches > 1:
                turn = accumulate(phase, at, batch, phase_key, draw_key)
            else:
                sharing = _Sharing(phase.drawn_by, phase.start, phase.stop)
                if fresh_latents or sharing not in draws:
                    draws[sharing] = draw(phase, at, batch, draw_key)
                turn = differentiate(phase, at, batch, phase_key, draws[sharing])
            first = _first_turn(phases, index, due, state, images)
            state, ok, report = _move(phase, players, optimizers[phase.player], state, at, pmean(turn), first)
            skipped += 1 - ok.astype(jnp.int32)
            metrics |= {f"{phase.name}/{name}": value for name, value in report.items()}
            if not simultaneous:
                draws = _still_fresh(draws, task, phase.player)
        moved = {name for index in due for name in players[phases[index].player]}
        state = _average(_advance(state, images, skipped), moved, half_life_images, rampup)
        return state, {**metrics, "skipped": state.skipped, "skipped_in_a_row": state.skipped_in_a_row}

    return train_step


def play_rounds(
    train_step: TrainStep, state: State, batches: Sequence[Batch], key: Key, due_sets: Sequence[DueSet]
) -> tuple[State, Metrics]:
    """Plays several rounds in one dispatch; each metric is stacked over the rounds that report it."""
    if len(set(due_sets)) == 1 and len(due_sets) > 1:
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *batches)
        unroll = _convolves(state)
        return fold(lambda s, b: train_step(s, b, key, due_sets[0]), state, stacked, unroll_on_cpu=unroll)
    reports: dict[str, list[Array]] = {}
    for batch, due in zip(batches, due_sets):
        state, metrics = train_step(state, batch, key, due)
        for name, value in metrics.items():
            reports.setdefault(name, []).append(value)
    return state, {name: jnp.stack(values) for name, values in reports.items()}


def _convolves(state: State) -> bool:
    """Whether a network has convolutions: their kernels have more than two axes."""
    return any(leaf.ndim > 2 for leaf in jax.tree.leaves(state.params))


class _Sharing(NamedTuple):
    """What phases have in common if they share a draw."""

    drawn_by: str | None
    start: int
    stop: int | None


def _draw_key(key: Key, drawers: Sequence[str], phase: Phase) -> Key:
    """The key of the draw that phases of a round share, from the round's key: one for each drawing player."""
    number = drawers.index(phase.drawn_by) if phase.drawn_by is not None else 0
    return jax.random.fold_in(jax.random.fold_in(key, DRAW_STREAM), number) if number else jax.random.fold_in(key, 0)


def _still_fresh(draws: Mapping[_Sharing, Draw | None], task: Task, player: str) -> dict[_Sharing, Draw | None]:
    """The draws that are still valid after a turn of a player: those without any of its networks."""
    moved = set(task.players[player])
    return {
        sharing: drawn
        for sharing, drawn in draws.items()
        if sharing.drawn_by is None or not moved.intersection(drawn_with(task, sharing.drawn_by))
    }


def _first_turn(phases: Sequence[Phase], index: int, due: DueSet, state: State, images: int) -> Array | None:
    """Whether this phase resets the player's moments; None if its stage does not begin with fresh ones.

    They are reset at the player's first turn in the stage, in whichever of its phases is due first.
    """

    def same_stage(other: Phase) -> bool:
        return (other.player, other.start) == (phases[index].player, phases[index].start)

    stage = [phase for phase in phases if same_stage(phase)]
    if not any(phase.fresh for phase in stage) or any(same_stage(phases[i]) for i in due[: due.index(index)]):
        return None
    rounds_ago = jnp.stack([state.step % phase.every + 1 for phase in stage])  # since each was last due
    return jnp.all(state.images_seen - rounds_ago * images < phases[index].start)


def _move(
    phase: Phase,
    players: Mapping[str, tuple[str, ...]],
    optimizer: Optimizer,
    state: State,
    at: State,
    turn: Turn,
    first: Array | None,
) -> tuple[State, Array, Metrics]:
    """The state after a turn, whether the turn was finite, and its metrics.

    Moments are reset at a `first` turn even if its update is skipped: the next turn could not know about it.
    """
    norm = _norm(turn.gradients)
    ok = jnp.isfinite(turn.loss) & jnp.isfinite(norm)
    accept = ok if phase.gate is None else ok & phase.gate(at)
    transformation = optimizer(state.images_seen, state.rollbacks)

    def leave(params: dict[str, Params], opt_state: optax.OptState) -> tuple[dict[str, Params], optax.OptState]:
        if first is None:
            return params, opt_state
        new = transformation.init(params)
        return params, jax.tree.map(lambda new, old: jnp.where(first, new, old), new, opt_state)

    def take(params: dict[str, Params], opt_state: optax.OptState) -> tuple[dict[str, Params], optax.OptState]:
        params, opt_state = leave(params, opt_state)
        updates, opt_state = transformation.update(turn.gradients, opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    mine = _owned(players, state, phase.player), state.opt_state[phase.player]
    params, opt_state = _if(accept, take, leave, *mine)
    written = _write_back(state, turn.aux)
    # a player that sits out must still measure whether to come back: its carry is updated, its variables are not
    kept = {
        field: jax.tree.map(
            lambda new, old, take=take: new if new is old else jnp.where(take, new, old),
            getattr(written, field),
            getattr(state, field),
        )
        for field, take in (("variables", accept), ("carry", ok))
    }
    state = _put(written, params).replace(**kept, opt_state={**state.opt_state, phase.player: opt_state})
    return state, ok, {"loss": turn.loss, "grad_norm": norm, **turn.aux.metrics}


def _advance(state: State, images: int, skipped: Array) -> State:
    """The clock after a round."""
    return state.replace(
        step=state.step + 1,
        images_seen=state.images_seen + images,
        skipped=state.skipped + skipped,
        skipped_in_a_row=jnp.where(skipped > 0, state.skipped_in_a_row + 1, 0),
    )


def _average(state: State, moved: Set[str], half_life_images: Number, rampup: float | None) -> State:
    """The state with updated averages of the networks whose player had a turn."""
    averaged_at, params, variables = dict(state.averaged_at), dict(state.ema_params), dict(state.ema_variables)
    for name in [each for each in averaged_at if each in moved]:
        since = state.images_seen - averaged_at[name]
        decay = ema_decay(since, state.images_seen, half_life_images=half_life_images, rampup=rampup)
        averaged_at[name] = state.images_seen
        params[name] = ema_update(params[name], state.params[name], decay)
        variables[name] = variables_update(variables[name], state.variables[name], decay)
    return state.replace(averaged_at=averaged_at, ema_params=params, ema_variables=variables)


def _norm(tree: Params) -> Array:
    """The norm of all arrays together, by inner products, which on CPU do not write the squares to memory."""
    leaves = (leaf.astype(jnp.float32).ravel() for leaf in jax.tree.leaves(tree))
    return jnp.sqrt(sum((jnp.vdot(leaf, leaf) for leaf in leaves), jnp.zeros(())))


def _if(accept: Array, change: Callable[..., Any], leave: Callable[..., Any], *trees: Any) -> Any:
    """`change(*trees)` if accepted, else `leave(*trees)`."""

    def branch(accept: Array, *trees: Any) -> Any:  # on CPU a select would copy the moments of the optimizer
        return jax.lax.cond(accept, change, leave, *trees)

    def select(accept: Array, *trees: Any) -> Any:  # on other platforms a branch would wait for the host
        return jax.tree.map(lambda new, old: jnp.where(accept, new, old), change(*trees), leave(*trees))

    return jax.lax.platform_dependent(accept, *trees, cpu=branch, default=select)


def _owned(players: Mapping[str, tuple[str, ...]], state: State, player: str) -> dict[str, Params]:
    return {name: state.params[name] for name in players[player]}


def _put(state: State, params: dict[str, Params]) -> State:
    return state.replace(params={**state.params, **params})


def _write_back(state: State, aux: Aux) -> State:
    return state.replace(variables={**state.variables, **aux.variables}, carry={**state.carry, **aux.carry})


def _round_key(key: Key, state: State) -> Key:
    """The key of a round: different for every step, after every rollback, and on every pmap device."""
    key = jax.random.fold_in(jax.random.fold_in(key, state.rollbacks), state.step)
    axis = axis_name()
    return key if axis is None else jax.random.fold_in(key, jax.lax.axis_index(axis))


def _draw(task: Task, remat: Remat, phase: Phase, state: State, batch: Batch, key: Key) -> Draw | None:
    """The draw of a phase; None if the phase has no fakes."""
    if phase.drawn_by is None:
        return None
    drawing = recomputed(lambda p: task.draw(phase, _put(state, p), batch, key), remat)
    fakes, pull_back, variables = jax.vjp(drawing, _owned(task.players, state, phase.drawn_by), has_aux=True)
    return Draw(fakes, variables, pull_back)


def _mean(turns: Turn, after: State) -> Turn:
    """The mean of the stacked turns of microbatches; new variables and carry are those after the last one."""
    mean: Turn = jax.tree.map(lambda x: x.mean(axis=0), turns._replace(aux=Aux(turns.aux.metrics)))
    variables = {name: after.variables[name] for name in turns.aux.variables}
    carry = {name: after.carry[name] for name in turns.aux.carry}
    return mean._replace(aux=Aux(mean.aux.metrics, variables, carry))


def _interleaved(batch: Batch, parts: int) -> Batch:
    """`[B, ...]` as `[parts, B / parts, ...]`: part i has rows i, i + parts, ..., so rows stay on their devices."""

    def split(x: Array) -> Array:
        return jnp.moveaxis(x.reshape(x.shape[0] // parts, parts, *x.shape[1:]), 1, 0)

    return jax.tree.map(split, dict(batch))
