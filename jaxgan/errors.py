"""Exit statuses, and the exceptions that end a run. The only place that defines the numbers."""

from __future__ import annotations

FINISHED = 0
SOME_FAILED = 1  # some of several inputs failed, the others were processed
MISTAKE = 2  # a mistake by the user
GAVE_UP = 3  # training gave up, or its files cannot be written; the message names the last good checkpoint
MARK_MISSING = 4  # --mode=verify found files without the marks that --require asks for
LOST = 74  # another process of the run died (EX_IOERR); launchers treat this as a crash
INTERRUPTED = 75  # saved, then stopped by SIGTERM or SIGHUP (EX_TEMPFAIL); a launcher may restart the run
CTRL_C = 130


class UserError(Exception):
    """A mistake by the user: reported in one line, exit status 2, no partial output.

    The message names the key or flag, then says what it got and what is expected.
    """


class ArgumentError(UserError):
    """A mistake in a named argument of the Python interface; the command line reports the matching flag instead."""

    def __init__(self, argument: str, description: str):
        super().__init__(f"{argument}: {description}")
        self.argument, self.description = argument, description


class NotFiniteError(ValueError):
    """Images to be scored contain values that are not finite."""


class TrainingGaveUp(Exception):
    """Training cannot continue or write its files: exit status 3. The message names the last checkpoint."""
