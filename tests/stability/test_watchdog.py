"""The watchdog prints stack traces, once, if nothing happens."""

import logging
import time

from jaxgan.stability.watchdog import Watchdog


def test_a_hung_run_is_reported_once(caplog, capfd):
    with caplog.at_level(logging.WARNING), Watchdog(0.2):
        time.sleep(0.8)
    assert caplog.text.count("no step has ended for 0 s") == 1
    assert "test_a_hung_run_is_reported_once" in capfd.readouterr().err  # the frame that hangs


def test_a_run_that_makes_progress_is_not_reported(caplog, capfd):
    with Watchdog(0.6) as watchdog:
        for _ in range(12):
            time.sleep(0.1)
            watchdog.feed()
    with Watchdog(None):
        pass
    assert not caplog.text
    assert "Thread" not in capfd.readouterr().err
