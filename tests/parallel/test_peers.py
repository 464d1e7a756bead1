"""What a process reports when it ends because another one was lost."""

import jax
import pytest

from jaxgan.errors import UserError
from jaxgan.parallel import distributed
from jaxgan.parallel.distributed import LOST, Peers

BEAT, SILENT = 0.05, 0.2  # seconds


class Store:
    """The shared key-value store; process 1 has sent one heartbeat."""

    def __init__(self):
        self.texts = {"jaxgan/beat/1": "1"}

    def key_value_set(self, name, text, allow_overwrite=False):
        self.texts[name] = text

    def key_value_dir_get(self, prefix):
        return [(name, text) for name, text in list(self.texts.items()) if name.startswith(prefix)]


def leave(monkeypatch, error):
    """Process 0 of two ends by an error: the stored texts, and the exit statuses of its threads."""
    store, statuses = Store(), []
    monkeypatch.setattr(distributed.os, "_exit", statuses.append)
    with pytest.raises(type(error)), Peers(store, 0, 2, beat=BEAT, silent=SILENT):
        raise error
    return store.texts, statuses


@pytest.mark.parametrize(
    "error",
    [
        jax.errors.JaxRuntimeError("Gloo all-reduce failed"),
        ValueError("UNKNOWN: Gloo AllGather failed: Connection closed by peer [127.0.0.1]:11700"),
    ],
)
def test_a_process_whose_collective_failed_is_not_reported_as_the_lost_one(error, monkeypatch, capfd):
    texts, statuses = leave(monkeypatch, error)
    assert "jaxgan: process 1 has given no sign of life" in capfd.readouterr().err
    assert "jaxgan/left/0" not in texts
    assert statuses == [LOST]


@pytest.mark.parametrize("error", [UserError("no such file"), ValueError("rows: got 3, expected 4")])
def test_an_error_is_reported_to_the_others(error, monkeypatch):
    texts, statuses = leave(monkeypatch, error)
    assert texts["jaxgan/left/0"] == f"{type(error).__name__}: {error}"
    assert not statuses
