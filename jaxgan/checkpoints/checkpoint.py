"""Checkpoints of a run: saved in the background, verified before use."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from etils import epath

from jaxgan.checkpoints import on_disk
from jaxgan.checkpoints.formats import REVISION
from jaxgan.checkpoints.manifest import NAME, NotUsableError, read_manifest, write_manifest
from jaxgan.checkpoints.on_disk import Best, Record
from jaxgan.errors import UserError
from jaxgan.game import State
from jaxgan.parallel import distributed
from jaxgan.system import disks, signals
from jaxgan.system.paths import is_remote

log = logging.getLogger(__name__)

REFUSED = ".refused"  # suffix of a checkpoint that is set aside


class Restored(NamedTuple):
    """A state, placed as requested, and the record saved with it."""

    state: State
    record: Record


class Checkpoints:
    """The checkpoints of one run; a context manager, because a save in flight must be waited for.

    It keeps the last `keep` checkpoints, the best by the first metric whose name starts with `best`, the newest good
    one, step 0, and those saved with `keep_forever`.
    """

    def __init__(
        self,
        directory: str | epath.Path,
        *,
        keep: int = 2,
        best: str = "frechet",
        best_mode: Best = "min",
        config: Mapping[str, Any] | None = None,
        class_names: Sequence[str] = (),
        names: Mapping[str, Sequence[str]] | None = None,
        data: Mapping[str, Any] | None = None,
    ):
        """Reads the existing records; writes nothing before the first save. Every record has `config` and `data`."""
        on_disk.quieten()
        self.directory = on_disk.absolute(directory)
        self._keep, self._best, self._best_mode = keep, best, best_mode
        self._common = {"revision": REVISION, "config": dict(config or {}), "class_names": list(class_names)}
        if names:
            self._common["names"] = {field: list(each) for field, each in names.items()}
        if data is not None:
            self._common["data"] = dict(data)
        self._records = on_disk.read_records(self.directory)
        self._refused: set[int] = set()
        self._manager: ocp.CheckpointManager | None = None
        self._opened = contextlib.ExitStack()  # closed with the manager
        if distributed.several() and on_disk.MISTAKEN.intersection(str(self.directory)):
            expected = f"a path without {' '.join(sorted(on_disk.MISTAKEN))}"
            raise UserError(f"{self.directory}: expected for checkpoints of several processes {expected}")
        self._saving: Record | None = None

    def __enter__(self) -> Checkpoints:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Waits for the save in flight."""
        if error is not None and distributed.several() and disks.find(error):
            return  # orbax would wait for the other processes, which wait for this one; when it ends they will notice
        self.close()

    @property
    def latest(self) -> int | None:
        """The newest step."""
        return max(self._records, default=None)

    @property
    def images_seen(self) -> int:
        """The clock of the newest step; 0 if there is none."""
        return 0 if self.latest is None else self._records[self.latest]["images_seen"]

    def steps(self) -> list[int]:
        """The saved steps, ascending; waits for a save in flight."""
        self.wait()
        return sorted(self._records)

    def best_step(self) -> int | None:
        """The step with the best score, the newest of equals; None if no checkpoint has a score."""
        return on_disk.best_step(self._records, self._best, self._best_mode)

    def path(self, step: int) -> epath.Path:
        """The folder of a step."""
        return self.directory / str(step)

    def save(
        self,
        state: State,
        *,
        step: int,
        images: int,
        positions: Mapping[str, int] | None = None,
        metrics: Mapping[str, float] | None = None,
        good: bool = True,
        keep_forever: bool = False,
    ) -> bool:
        """Starts a save in the background; `state` may be donated as soon as this returns.

        `positions`: the number of examples read, by source. Returns False, without saving, if the step exists already.
        """
        self.wait()
        if step in self._records:
            return False
        self._set_refused_aside()
        items = on_disk.split_state(state)
        record = self._records[step] = self._saving = {
            "step": step,
            "images_seen": images,
            "positions": dict(positions or {}),
            "good": good,
            "keep_forever": keep_forever,
            "metrics": {name: float(value) for name, value in (metrics or {}).items() if math.isfinite(value)},
            **self._common,
            "tree": {item: on_disk.shapes(arrays) for item, arrays in items.items()},
        }
        args = {item: ocp.args.StandardSave(items[item]) for item in on_disk.items_of(record)}
        manager = self._open()
        try:
            with signals.deferred():
                manager.save(step, args=ocp.args.Composite(**args), force=True)
        except Exception:
            self._records.pop(record["step"])
            self._saving = None
            raise
        kept = set(manager.all_steps())
        self._records = {old: record for old, record in self._records.items() if old in kept}
        return True

    def restore_latest(self, abstract: State, *, good: bool = False) -> Restored | None:
        """The newest complete checkpoint (with `good`: the newest one saved as good); None if there is none.

        `abstract` is a state of shapes with shardings, or of arrays. Newer checkpoints that are damaged or of another
        model are logged with the reason, and set aside by the next save. Raises UserError if there are checkpoints but
        none can be used.
        """
        self.wait()
        steps = on_disk.steps_on_disk(self.directory)[::-1]
        restored, refused = on_disk.first_usable(
            self.directory, steps, lambda step: self._restore(step, abstract, good=good)
        )
        self._refused.update(refused)
        self._records = {step: record for step, record in self._records.items() if step not in refused}
        return restored

    def restore(self, step: int, abstract: State) -> Restored:
        """The checkpoint of a step. Raises UserError if it cannot be used."""
        self.wait()
        try:
            restored = self._restore(step, abstract)
        except NotUsableError as why:
            raise UserError(f"checkpoint {self.path(step)} is refused: {why}") from None
        assert restored is not None
        return restored

    def delete_after(self, step: int) -> None:
        """Deletes every later checkpoint (refused ones are set aside), after the run went back to this one."""
        self.wait()
        self._set_refused_aside()
        manager = self._open()
        for later in [each for each in manager.all_steps() if each > step]:
            manager.delete(later)
            self._records.pop(later, None)

    def wait(self) -> None:
        """Waits for the save in flight. Raises the error of the background thread, if any."""
        if self._manager is None or self._saving is None:
            return
        try:
            with signals.deferred():
                self._manager.wait_until_finished()
        except Exception:
            self._records.pop(self._saving["step"], None)
            self._saving = None
            raise
        step, self._saving = self._saving["step"], None
        if distributed.leading() and not (self.path(step) / NAME).exists():
            raise UserError(f"the checkpoint {self.path(step)} was saved but does not exist: use another --workdir")

    def look(self) -> None:
        """Raises the error of a save in flight if it has failed already; does not wait."""
        if self._manager is not None and self._saving is not None and not self._manager.is_saving_in_progress():
            self.wait()

    def close(self) -> None:
        """Waits for the save in flight and stops orbax's threads; the object can be used again."""
        if self._manager is None:
            return
        try:
            self.wait()
        finally:
            manager, self._manager = self._manager, None
            with self._opened:
                manager.close()

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            policies = ocp.checkpoint_managers
            options = ocp.CheckpointManagerOptions(
                preservation_policy=policies.AnyPreservationPolicy(
                    [policies.LatestN(self._keep), _Preserve(self._worth_keeping)]
                ),
                cleanup_tmp_directories=True,
                lightweight_initialize=True,  # else one damaged folder makes all checkpoints unusable
                async_options=ocp.AsyncOptions(post_finalization_callback=self._write_manifest),
            )
            if not is_remote(self.directory):
                self.directory.mkdir(parents=True, exist_ok=True)
            place = self._opened.enter_context(on_disk.unmistakable(self.directory))
            self._manager = ocp.CheckpointManager(place, options=options)
        return self._manager

    def _write_manifest(self) -> None:
        """Called by orbax, in its thread and in one process, when the data of a save are complete.

        At that time the folder still has its temporary name; the final name would work as well.
        """
        assert self._saving is not None
        step = str(self._saving["step"])
        folders = [path for path in self.directory.iterdir() if path.name.split(".")[0] == step]
        place = next(path for path in folders if path.suffix != REFUSED)
        write_manifest(place, on_disk.items_of(self._saving), self._saving)

    def _worth_keeping(self) -> set[int]:
        newest_good = max((step for step, record in self._records.items() if record["good"]), default=None)
        forever = {step for step, record in self._records.items() if record["keep_forever"]}
        return {0, *forever, *(step for step in (self.best_step(), newest_good) if step is not None)}

    def _restore(self, step: int, abstract: State, *, good: bool = False) -> Restored | None:
        """The checkpoint of a step; None if it is not good and `good` is set. Raises NotUsableError."""
        manifest = read_manifest(self.path(step))
        if good and not manifest["record"]["good"]:
            return None
        return Restored(on_disk.read_state(self.path(step), manifest, abstract), manifest["record"])

    def _set_refused_aside(self) -> None:
        """Renames the refused checkpoints.

        Otherwise orbax would count them and delete usable ones, and their steps could not be saved again.
        """
        if not self._refused:
            return
        self.close()
        for step in sorted(self._refused):
            aside = self.directory / f"{step}{REFUSED}"
            log.warning("the refused checkpoint of step %s is kept as %s", step, aside)
            if jax.process_index() == 0:
                if aside.exists():
                    aside.rmtree()
                self.path(step).rename(aside)
        distributed.together("refused checkpoints")
        self._refused = set()


class _Preserve:
    """An orbax preservation policy: keeps the steps that a function returns."""

    def __init__(self, steps: Callable[[], set[int]]):
        self._steps = steps

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        """Whether to keep each checkpoint."""
        del context
        steps = self._steps()
        return [checkpoint.step in steps for checkpoint in checkpoints]
