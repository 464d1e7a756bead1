"""How a run ends if a disk or the device memory fails, or the generator's images are not finite."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax

from jaxgan.checkpoints.on_disk import read_records
from jaxgan.checkpoints.workdir import Workdir
from jaxgan.errors import NotFiniteError, TrainingGaveUp, UserError
from jaxgan.system import disks

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

FULL = "RESOURCE_EXHAUSTED"  # XLA's status for a lack of memory
QUOTED = 160  # characters of its message


@contextlib.contextmanager
def gives_up_on_disks(place: Workdir) -> Iterator[None]:
    """Turns an error of reading or writing a file, in any thread, into a TrainingGaveUp of one line.

    It names the disk and the last complete checkpoint. Launchers do not restart a run that gave up.
    """
    try:
        with _without_echoes():
            yield
    except (UserError, TrainingGaveUp):
        raise
    except Exception as error:
        failed = disks.find(error)
        if failed is None:
            raise
        raise TrainingGaveUp(
            f"training cannot go on: {disks.explain(failed, place.path)}; {_last(place)}; "
            "once this is fixed, the same command continues the run"
        ) from error


@contextlib.contextmanager
def gives_up_on_memory(place: Workdir) -> Iterator[None]:
    """Turns a lack of device memory into a TrainingGaveUp of one line: a restart would not have more memory."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if FULL not in str(error):
            raise
        reason = " ".join(str(error).split())[:QUOTED]
        raise TrainingGaveUp(
            f"training gave up: a device has too little memory: {reason}; use a smaller --config.batch_size, more "
            f"--config.microbatches, or --config.remat=full; {_last(place)}"
        ) from error


@contextlib.contextmanager
def gives_up_on_images(place: Workdir) -> Iterator[None]:
    """Turns images that cannot be scored into a TrainingGaveUp of one line: a restart would produce them again."""
    try:
        yield
    except NotFiniteError as error:
        raise TrainingGaveUp(
            f"training gave up: {error} and cannot be scored; try a lower learning rate; {_last(place)}"
        ) from error


@contextlib.contextmanager
def _without_echoes() -> Iterator[None]:
    """Hides the messages of TensorStore's threads that still report to an event loop which a failed save has closed."""
    before = sys.unraisablehook

    def hook(raised: UnraisableHookArgs) -> None:
        if str(raised.exc_value) != "Event loop is closed":
            before(raised)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _last(place: Workdir) -> str:
    """A clause that names the last complete checkpoint."""
    try:
        records = read_records(place.checkpoints)
    except OSError:
        return f"the last complete checkpoint is in {place.checkpoints}"
    if not records:
        return "there is no complete checkpoint yet"
    return f"the last complete checkpoint is step {max(records)}: {place.checkpoints / str(max(records))}"
