"""The training loop, independent of the task.

It resumes from the newest complete checkpoint or starts a new run. Until the run has seen all its images, it plays a
dispatch of rounds and then, each at its interval, writes the metrics (which the watch checks), shows samples, evaluates
and saves. After a fatal alarm it goes back to the last good checkpoint. If a signal asks it to stop, it saves first.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from jaxgan.checkpoints.checkpoint import Checkpoints, Restored
from jaxgan.data.pipeline import Pipeline, batches, preloaded
from jaxgan.errors import FINISHED, TrainingGaveUp
from jaxgan.fields import MAIN
from jaxgan.game import Phase, State
from jaxgan.parallel import distributed
from jaxgan.parallel.runners import Runner
from jaxgan.reporting.progress import Progress
from jaxgan.reporting.throughput import Meter
from jaxgan.reporting.writer import Writer
from jaxgan.stability.watch import Alarm, Watch
from jaxgan.stability.watchdog import Watchdog
from jaxgan.system import signals
from jaxgan.training.revision import changes_since
from jaxgan.training.state import entered
from jaxgan.training.step import due_phases

log = logging.getLogger(__name__)

IN_FLIGHT = 2  # dispatches by which the host may be ahead of the device


class Position(NamedTuple):
    """The position of a run, known on the host without asking the device."""

    step: int
    images: int  # the clock
    read: Mapping[str, int]  # number of examples read, by source

    def after(self, rounds: int, images: int, examples: int) -> Position:
        """The position after `rounds` more rounds of `images` on the clock and `examples` of each source."""
        read = {name: count + rounds * examples for name, count in self.read.items()}
        return Position(self.step + rounds, self.images + rounds * images, read)


@dataclasses.dataclass(frozen=True)
class Intervals:
    """The length of a run and the intervals of its side jobs, in images (`log`: in steps). None: only at the end."""

    images: int
    log: int
    samples: int | None
    evaluation: Mapping[str, int | None]  # by the names of evaluators
    checkpoint: int | None


@dataclasses.dataclass
class Loop:
    """One run, with everything it needs."""

    phases: Sequence[Phase]
    runner: Runner
    pipeline: Pipeline
    checkpoints: Checkpoints
    writer: Writer
    progress: Progress
    watch: Watch
    init: Callable[[], State]
    evaluate: Callable[[State, int, Sequence[str]], dict[str, float]]  # (state, images, names) -> scores
    show_samples: Callable[[State, int], None]  # (state, images)
    intervals: Intervals
    batch_size: int
    frames: int = 1  # frames of an example that count on the clock
    rounds_per_dispatch: int = 1
    more: Mapping[str, Pipeline] = dataclasses.field(default_factory=dict)  # pipelines of further sources, by name
    max_rollbacks: int = 3
    begin: Callable[[State], State] = lambda state: state  # changes the initial state of a new run
    meter: Meter = dataclasses.field(default_factory=Meter)
    hung_seconds: float | None = None  # see Watchdog

    def run(self) -> int:
        """Plays to the end of the run. Returns the exit status: finished, or saved and interrupted.

        Raises TrainingGaveUp after too many rollbacks, SignalReceived if a signal comes before the first round.
        """
        self._pipelines = {MAIN: self.pipeline, **self.more}
        kept = preloaded(self._pipelines)
        self._cache = self.runner.cache(kept) if kept else None
        self._pending: list[tuple[int, Mapping[str, jax.Array]]] = []
        self._started, self._dispatches = False, 0
        with signals.listening(), signals.deferred():
            state, position = self._start()
            self.meter.start()
            state, position = self._go_on(state, position)
            if position.images < self.intervals.images:
                self._save(state, position, {})
                self.checkpoints.wait()  # the message must be true
                self._warn("saved at %s images and interrupted; the same command goes on from here", position.images)
                return signals.status()
        summary = self.meter.summary()
        log.info(summary)
        self.progress.say(summary)
        return FINISHED

    def _go_on(self, state: State, position: Position) -> tuple[State, Position]:
        """Plays to the end of the run, or until a signal asks to stop."""
        with Watchdog(self.hung_seconds) as watchdog:
            while position.images < self.intervals.images:
                before = position
                state, position = self._play(state, position)
                # before any save: a resumed run does not enter again the phases that began before its checkpoint
                state = entered(state, self.phases, before.images, position.images)
                try:
                    state, position = self._look_after(state, before, position)
                except signals.SignalReceived:  # during samples or an evaluation: the state is complete
                    return state, position
                watchdog.feed()
                if self._stopping():
                    break
        return state, position

    def _stopping(self) -> bool:
        """Whether to stop now; called once after every dispatch.

        Several processes all stop after the same dispatch, whichever of them got the signal: jax's preemption service
        catches it and agrees on a dispatch that none of them has played yet.
        """
        self._dispatches += 1
        self.checkpoints.look()
        if distributed.several():
            return multihost_utils.reached_preemption_sync_point(self._dispatches)
        return signals.caught() is not None

    def _start(self) -> tuple[State, Position]:
        restored = self.checkpoints.restore_latest(self.runner.place(jax.eval_shape(self.init)))
        signals.check()
        if restored is None:
            state = entered(self.begin(self.runner.init(self.init)), self.phases, -1, 0)
            signals.check()
            position = Position(0, 0, dict.fromkeys(self._pipelines, 0))
            self._save(state, position, {})
        else:
            state, position = restored.state, _position_of(restored)
            for line in changes_since(restored.record, self.phases):
                self._warn("%s", line)
        self._batches = self._feed(position)
        signals.check()
        self.progress.start(position.images)
        return state, position

    def _feed(self, position: Position) -> Iterator[dict[str, np.ndarray]]:
        share = self.batch_size // jax.process_count()
        rows = slice(jax.process_index() * share, (jax.process_index() + 1) * share)
        return batches(self._pipelines, position.read, self.batch_size, rows)

    def _play(self, state: State, at: Position) -> tuple[State, Position]:
        """Plays one dispatch.

        A dispatch ends at a multiple of its length, so that a resumed run has the same dispatches, or earlier if a
        phase with an `enter` begins.
        """
        images = self.batch_size * self.frames
        entries = [phase.start for phase in self.phases if phase.enter is not None and phase.start > at.images]
        left = math.ceil((min([self.intervals.images, *entries]) - at.images) / images)
        rounds = min(self.rounds_per_dispatch - at.step % self.rounds_per_dispatch, left)
        due_sets = [due_phases(self.phases, at.step + i, at.images + i * images) for i in range(rounds)]
        with self.meter.waiting():
            batches = [next(self._batches) for _ in range(rounds)]
        dispatch = (state, self._cache, batches, due_sets)
        with self.meter.playing(tuple(due_sets), rounds * images, lambda: self.runner.flops(*dispatch)):
            state, metrics = self.runner.play(*dispatch)
        if not self._started:
            jax.block_until_ready(metrics)
            self.progress.say("compiled; first step played")
            self._started = True
        self._pending.append((at.step, metrics))
        if len(self._pending) >= IN_FLIGHT:
            jax.block_until_ready(self._pending[-IN_FLIGHT][1])
        return state, at.after(rounds, images, self.batch_size)

    def _look_after(self, state: State, before: Position, now: Position) -> tuple[State, Position]:
        """Does what is due between two dispatches."""
        if now.images < self.intervals.images:
            return self._look_between(state, before, now)
        with signals.held():  # the work at the end of a run is not interrupted: nothing would do it later
            return self._look_between(state, before, now)

    def _look_between(self, state: State, before: Position, now: Position) -> tuple[State, Position]:
        every, ended = self.intervals, now.images >= self.intervals.images
        alarms: list[Alarm] = []
        if ended or _crossed(every.log, before.step, now.step):
            alarms += self._write_metrics(now)
        if ended or _crossed(every.samples, before.images, now.images):
            with self._aside("samples", state):
                self.show_samples(state, now.images)
        scores: dict[str, float] = {}
        names = every.evaluation.items()
        if due := [name for name, each in names if ended or _crossed(each, before.images, now.images)]:
            with self._aside("evaluation", state):
                scores = self.evaluate(state, now.images, due)
            self.writer.write(now.step, now.images, scores)
            alarms += self._announce(self.watch.observe_scores(now.step, scores))
        fatal = next((alarm for alarm in alarms if alarm.fatal), None)
        if fatal is not None:
            return self._roll_back(state, fatal)
        stage_ended = any(before.images < phase.start <= now.images for phase in self.phases)
        if ended or scores or stage_ended or _crossed(every.checkpoint, before.images, now.images):
            if self._pending:  # whether this save is good depends on the metrics before it
                fatal = next((alarm for alarm in self._write_metrics(now) if alarm.fatal), None)
                if fatal is not None:
                    return self._roll_back(state, fatal)
            self._save(state, now, scores, keep_forever=stage_ended)
        return state, now

    def _write_metrics(self, now: Position) -> list[Alarm]:
        """Fetches the pending metrics, passes them to the watch round by round and writes their means."""
        with self._aside("metrics", self._pending):
            means, alarms = self._observe()
        means |= self.meter.report()
        with self.meter.spending("metrics"):
            self.writer.write(now.step, now.images, means)
            self.progress.update(now.images, means)
        return self._announce(alarms)

    def _observe(self) -> tuple[dict[str, float], list[Alarm]]:
        pending, self._pending = jax.device_get(self._pending), []
        alarms: list[Alarm] = []
        values: dict[str, list[float]] = {}
        for step, metrics in pending:
            rounds = max(len(stacked) for stacked in metrics.values())
            for index in range(rounds):
                # a metric that only some of the rounds report is taken as that of the last ones
                row = {k: float(v[index - rounds]) for k, v in metrics.items() if rounds - index <= len(v)}
                alarms += self.watch.observe(step + index, row)
                for name, value in row.items():
                    values.setdefault(name, []).append(value)
        means = {name: float(np.mean(column)) for name, column in values.items()}
        means |= {name: values[name][-1] for name in ("skipped", "skipped_in_a_row") if name in values}
        return means, alarms

    @contextlib.contextmanager
    def _aside(self, part: str, arrays: Any) -> Iterator[None]:
        """Counts the time inside as spent on a part, without the wait for the training before it (`arrays`)."""
        jax.block_until_ready(arrays)
        with self.meter.spending(part):
            yield

    def _announce(self, alarms: list[Alarm]) -> list[Alarm]:
        for alarm in alarms:
            self._warn("%s %s", alarm.message, alarm.advice)
        return alarms

    def _warn(self, message: str, *arguments: object) -> None:
        """Logs a warning once, not in every process."""
        if distributed.leading():
            log.warning(message, *arguments)

    def _save(
        self, state: State, position: Position, scores: Mapping[str, float], *, keep_forever: bool = False
    ) -> None:
        with self._aside("saves", state):
            self.checkpoints.save(
                state,
                step=position.step,
                images=position.images,
                positions=position.read,
                metrics=scores,
                good=self.watch.good,
                keep_forever=keep_forever,
            )
        self.watch.mark_saved()

    def _roll_back(self, state: State, alarm: Alarm) -> tuple[State, Position]:
        """Goes back to the newest good checkpoint, with half the learning rate and different random keys."""
        restored = self.checkpoints.restore_latest(self.runner.place(jax.eval_shape(self.init)), good=True)
        if restored is None:
            raise TrainingGaveUp(f"{alarm.message} There is no good checkpoint to go back to.")
        position, rollbacks = _position_of(restored), int(state.rollbacks) + 1
        step = position.step
        self.checkpoints.delete_after(step)
        if rollbacks > self.max_rollbacks:
            raise TrainingGaveUp(
                f"training gave up after {self.max_rollbacks} rollbacks: {alarm.message} "
                f"The last good checkpoint is step {step}: {self.checkpoints.path(step)}"
            )
        self._warn(
            "rolled back to step %s (%s of %s); the learning rates are halved",
            step,
            rollbacks,
            self.max_rollbacks,
        )
        self.watch.reset()
        self._pending, self._batches = [], self._feed(position)
        count = jax.device_put(jnp.int32(rollbacks), restored.state.rollbacks.sharding)
        return restored.state.replace(rollbacks=count), position


def _position_of(restored: Restored) -> Position:
    """The position of a checkpoint. Older ones have no count of examples: each example was one image."""
    images = int(restored.state.images_seen)
    return Position(int(restored.state.step), images, {MAIN: images, **restored.record.get("positions", {})})


def _crossed(interval: int | None, before: int, now: int) -> bool:
    return interval is not None and before // interval != now // interval
