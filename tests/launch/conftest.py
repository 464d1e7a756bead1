"""Launchers are started as from a terminal: Ctrl-C reaches them."""

import signal

import pytest


@pytest.fixture(autouse=True)
def _ctrl_c_is_not_ignored():
    """A shell starts what runs in the background with SIGINT ignored; children inherit that, but not a handler."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
