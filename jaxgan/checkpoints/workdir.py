"""The paths of a work directory, and the lock that reserves it for one process."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from typing import IO

from etils import epath

from jaxgan.errors import UserError
from jaxgan.system.paths import expanded, is_remote, open_regular
from jaxgan.system.plain import plain

log = logging.getLogger(__name__)

LONGEST = 500  # bytes of a lock holder's name


@dataclasses.dataclass(frozen=True)
class Workdir:
    """The paths of one run. `path` may be remote (`gs://...`)."""

    path: str

    @property
    def root(self) -> epath.Path:
        """The work directory itself."""
        return epath.Path(expanded(self.path, "--workdir"))

    @property
    def config(self) -> epath.Path:
        """The resolved config, JSON."""
        return self.root / "config.json"

    @property
    def log(self) -> epath.Path:
        """The log of the run, as text."""
        return self.root / "log.txt"

    @property
    def scalars(self) -> epath.Path:
        """Metrics and scores, one JSON object per line."""
        return self.root / "scalars.jsonl"

    @property
    def scores(self) -> epath.Path:
        """The scores of the last evaluation, JSON."""
        return self.root / "scores.json"

    @property
    def checkpoints(self) -> epath.Path:
        """Checkpoints, one folder per step."""
        return self.root / "checkpoints"

    @property
    def samples(self) -> epath.Path:
        """Images of samples."""
        return self.root / "samples"

    @property
    def plots(self) -> epath.Path:
        """Plots of losses and metrics."""
        return self.root / "plots"

    @property
    def tensorboard(self) -> epath.Path:
        """TensorBoard events."""
        return self.root / "tensorboard"

    @property
    def remote(self) -> bool:
        """Whether the directory is in a bucket."""
        return is_remote(self.path)

    def create(self) -> None:
        """Creates the directory if it does not exist.

        Raises UserError if it cannot be written.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except (OSError, ImportError) as error:  # a remote path may need a package
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"--workdir={self.path} cannot be made: {reason}") from None
        if not self.remote and not os.access(self.root, os.W_OK | os.X_OK):
            raise UserError(f"--workdir={self.path} cannot be written to; expected a directory with write permission")
        for path in () if self.remote else (self.log, self.scalars):  # these are appended to, never replaced
            if os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path)):
                raise UserError(f"--workdir={self.path}: {path.name} in it is not a regular file; remove it")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Holds the lock inside the context; one process of a run takes it.

        The system releases it when the process ends, however it ends. A remote directory has no lock. Raises UserError,
        naming the holder, if another process holds it.
        """
        if self.remote:
            yield
            return
        try:  # opened without truncation: if the lock is taken, the holder's name must stay in it
            opened = open_regular(self.root / "lock")
        except OSError as error:
            raise UserError(f"--workdir={self.path}: its lock cannot be opened: {error.strerror or error}") from None
        with opened as file:
            locked = self._take(file)
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
            file.flush()
            try:
                yield
            finally:
                file.truncate(0)
                if locked:  # forked children share the lock: closing the file would not release it
                    fcntl.flock(file, fcntl.LOCK_UN)

    def _take(self, file: IO[bytes]) -> bool:
        """Takes the lock. Returns whether it is held: a file system may not support locks."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = plain(file.read(LONGEST).decode(errors="replace")) or "another process"
            raise UserError(f"--workdir={self.path} is in use by {holder}: wait for it or use another") from None
        except OSError as error:
            log.warning("%s does not support locks (%s): a second run could use it too", self.path, error.strerror)
            return False
        return True
