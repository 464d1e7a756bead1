"""Growing files for a work directory in a bucket, where a file cannot be appended to, only replaced."""

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

COPY_SECONDS = 60.0  # between two copies; a killed process loses what it wrote since the last one


class Mirror:
    """A local folder whose files are copied to a remote one, at intervals and when it is closed.

    Copies are made in the background, one at a time. A failed copy is logged, and the next one makes up for it.
    """

    def __init__(
        self,
        remote: epath.Path,
        *,
        seconds: float = COPY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Creates the local folder, empty."""
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="jaxgan-"))
        self._remote, self._seconds, self._clock = remote, seconds, clock
        self._copied: dict[pathlib.Path, tuple[int, int]] = {}  # file -> size and modification time at its last copy
        self._due = clock() + seconds
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="mirror")
        self._copying: Future[bool] | None = None

    def fetch(self, name: str) -> None:
        """Copies a file from the remote folder, if it exists there, to append to it."""
        if (self._remote / name).exists():
            (self.folder / name).write_bytes((self._remote / name).read_bytes())

    def copy(self) -> None:
        """Starts to copy the changed files, if the interval has passed."""
        if self._clock() < self._due or (self._copying is not None and not self._copying.done()):
            return
        self._due = self._clock() + self._seconds  # first: a failure is logged, perhaps into a mirrored file
        self._copying = self._worker.submit(self._copy)

    def close(self) -> None:
        """Copies the changed files and removes the local folder, unless the copy failed."""
        self._worker.shutdown()
        if self._copy():
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            log.warning("files that could not be copied are kept in %s", self.folder)

    def _copy(self) -> bool:
        """Copies the changed files; whether all could be copied."""
        try:
            for path in sorted(path for path in self.folder.rglob("*") if path.is_file()):
                status = os.stat(path)
                state = (status.st_size, status.st_mtime_ns)
                if self._copied.get(path) != state:
                    target = self._remote / path.relative_to(self.folder).as_posix()
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(path.read_bytes())
                    self._copied[path] = state
        except Exception as error:  # any network error: not a reason to end the training
            log.warning("%s could not be written: %s: %s", self._remote, type(error).__name__, error)
            return False
        return True
