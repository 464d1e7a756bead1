"""A profiler trace of a few dispatches of a run, for TensorBoard and Perfetto."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan.errors import UserError
from jaxgan.game import State
from jaxgan.parallel.runners import Runner
from jaxgan.system.paths import expanded

log = logging.getLogger(__name__)

DISPATCHES = 5
WARM_UP = 3  # dispatches without compilation before the first one that is traced


class Profile(NamedTuple):
    """The folder of a trace, and how many dispatches to trace."""

    folder: str
    dispatches: int


def read_profile(text: str | None, workdir: str) -> Profile | None:
    """The value of `--profile`: true, a number of dispatches, or a folder. None: no trace.

    Raises UserError if the trace would go to a remote directory.
    """
    if text is None or text.lower() == "false":
        return None
    folder, dispatches = f"{workdir}/profile", DISPATCHES
    if text.isdecimal() and int(text) > 0:
        dispatches = int(text)
    elif text.lower() != "true":
        folder = text
    if "://" in folder:
        raise UserError(
            f"--profile={text}: a trace cannot be written to {folder}; expected a local folder, --profile=FOLDER"
        )
    return Profile(expanded(folder, "--profile"), dispatches)


class ProfiledRunner:
    """A runner that traces a few dispatches, after some without compilation."""

    def __init__(self, runner: Runner, profile: Profile):
        """The trace starts later, in `play`."""
        self._runner, self._profile = runner, profile
        self.mesh, self.init, self.place, self.cache = runner.mesh, runner.init, runner.place, runner.cache
        self.flops = runner.flops
        self._seen: set[Any] = set()
        self._played = self._warm = 0
        self._left = profile.dispatches
        self._tracing = False

    def play(
        self, state: State, cache: Any, batches: Sequence[Mapping[str, np.ndarray]], due_sets: Sequence[Any]
    ) -> tuple[State, dict[str, Any]]:
        """Plays as the runner does, and starts or stops the trace."""
        if self._warm == WARM_UP and self._left and not self._tracing:
            self._start()
        with jax.profiler.StepTraceAnnotation("train", step_num=self._played):
            state, metrics = self._runner.play(state, cache, batches, due_sets)
        self._played += 1
        if self._tracing:
            self._left -= 1
            if not self._left:
                jax.block_until_ready(metrics)
                self._stop()
        elif tuple(due_sets) in self._seen:
            self._warm = min(self._warm + 1, WARM_UP)
        self._seen.add(tuple(due_sets))
        return state, metrics

    def __enter__(self) -> ProfiledRunner:
        """The runner itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Writes the trace, if the run ends during it."""
        if self._tracing:
            self._stop()
        elif self._left:
            log.warning("the run was too short for --profile: nothing was traced")

    def _start(self) -> None:
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # it records every Python call, which buries everything else
        jax.profiler.start_trace(self._profile.folder, create_perfetto_trace=True, profiler_options=options)
        self._tracing = True

    def _stop(self) -> None:
        jax.profiler.stop_trace()
        self._tracing = False
        log.info("traced %s dispatches into %s", self._profile.dispatches - self._left, self._profile.folder)
