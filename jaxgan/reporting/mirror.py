"""Files that grow, for a work directory in a bucket: its files cannot be added to, only written whole."""

from __future__ import annotations

import logging
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from etils import epath

log = logging.getLogger(__name__)

COPY_SECONDS = 60.0  # between two copies; what a process that is killed may not have told


class Mirror:
    """A local folder whose files are copied to a remote one, at intervals and when it is closed.

    Copies are made in the background, one at a time; one that fails is told of and made up for by the next.
    """

    def __init__(
        self,
        remote: epath.Path,
        *,
        seconds: float = COPY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Makes the local folder, empty."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="jaxgan-"))
        self._remote, self._seconds, self._clock = remote, seconds, clock
        self._copied: dict[pathlib.Path, tuple[int, int]] = {}  # by file: size and time when it was copied last
        self._due = clock() + seconds
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="mirror")
        self._copying: Future[bool] | None = None

    def fetch(self, name: str) -> None:
        """Takes over a file of that name from the remote folder, if it is there, to be added to."""
        if (self._remote / name).exists():
            (self.folder / name).write_bytes((self._remote / name).read_bytes())

    def copy(self) -> None:
        """Starts to copy what has changed, if it is time to."""
        if self._clock() < self._due or (self._copying is not None and not self._copying.done()):
            return
        self._due = self._clock() + self._seconds  # before anything fails, and is logged into a file of ours
        self._copying = self._worker.submit(self._copy)

    def close(self) -> None:
        """Copies what has changed and removes the local folder, unless that has the only copy."""
        self._worker.shutdown()
        if self._copy():
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            log.warning("what was not copied stays in %s", self.folder)

    def _copy(self) -> bool:
        """Whether all is there."""
        try:
            for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
                status = os.stat(path)
                state = (status.st_size, status.st_mtime_ns)
                if self._copied.get(path) != state:
                    target = self._remote / path.relative_to(self.folder).as_posix()
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(path.read_bytes())
                    self._copied[path] = state
        except Exception as error:  # whatever a network says; no reason to end a training
            log.warning("%s could not be written to: %s: %s", self._remote, type(error).__name__, error)
            return False
        return True
