"""SIGTERM, SIGHUP and Ctrl-C, wherever they come: nothing is started, and no network is made."""

import gc
import os
import signal
import subprocess
import sys
import threading

import pytest

from jaxgan.errors import CTRL_C, FINISHED, INTERRUPTED, MISTAKE, UserError
from jaxgan.main import main
from jaxgan.system import signals

pytestmark = pytest.mark.quick
STATUSES = [(signal.SIGTERM, INTERRUPTED), (signal.SIGHUP, INTERRUPTED), (signal.SIGINT, CTRL_C)]


def send(number=signal.SIGTERM):
    os.kill(os.getpid(), number)


def lose(number=signal.SIGTERM):
    """Sends it inside a callback of the garbage collector, where Python drops what a handler raises."""
    sent = []
    callback = lambda *_: sent or (sent.append(1), send(number))  # noqa: E731
    gc.callbacks.append(callback)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(callback)
    assert sent


@pytest.fixture
def command(monkeypatch):
    """Runs `main` with a function in place of a mode."""

    def run(function):
        monkeypatch.setattr("jaxgan.main._command", lambda mode: lambda config, workdir, options: function())
        return main(["--mode=prepare", "--config.data.name=digits"])

    return run


@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_what_python_drops_is_heard_at_the_next_step(number, status, command, capfd):
    steps = []

    def function():
        for step in range(3):
            steps.append(step)
            if step == 1:
                lose(number)
            signals.check()
        return FINISHED

    assert command(function) == status
    assert steps == [0, 1]
    assert capfd.readouterr().err.splitlines() == ["jaxgan: interrupted"]


@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_a_signal_ends_a_wait_at_once(number, status, command):
    def function():
        send(number)
        threading.Event().wait(60)  # raises at once

    assert command(function) == status


@pytest.mark.parametrize("made", [ValueError("orbax says so"), UserError("no checkpoint can be used"), OSError(5, "x")])
@pytest.mark.parametrize(("number", "status"), STATUSES)
def test_what_a_library_makes_of_it_ends_as_the_signal_does(made, number, status, command, capfd):
    def function():
        try:
            send(number)
        except BaseException:
            raise made from None

    assert command(function) == status
    told = capfd.readouterr().err
    assert len(told.splitlines()) == 1
    assert "Traceback" not in told


def test_without_a_signal_exceptions_are_what_they_were(command):
    def fail(error):
        raise error

    assert command(lambda: fail(UserError("a mistake"))) == MISTAKE
    assert command(lambda: fail(KeyboardInterrupt())) == CTRL_C
    with pytest.raises(ValueError, match="a fault of ours"):
        command(lambda: fail(ValueError("a fault of ours")))


def test_handlers_are_given_back(command):
    before = [signal.getsignal(number) for number in signals.NUMBERS]
    assert command(lambda: FINISHED) == FINISHED
    assert command(lambda: send()) == INTERRUPTED
    assert [signal.getsignal(number) for number in signals.NUMBERS] == before
    signals.check()  # what came then is of no concern now


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_the_caller_ignores_stays_ignored(number, command):
    before = signal.signal(number, signal.SIG_IGN)  # as nohup does

    def function():
        send(number)
        signals.check()
        return FINISHED

    try:
        assert command(function) == FINISHED
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_deferred_signal_tears_nothing_and_a_second_interrupt_ends_at_once():
    done = []
    with signals.listening():
        with signals.deferred():
            for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                send(number)
                done.append(number)
            with pytest.raises(KeyboardInterrupt) as raised:
                send(signal.SIGINT)
            assert raised.type is KeyboardInterrupt
        assert len(done) == 4
        with signals.held():
            signals.check()
        with pytest.raises(signals.SignalReceived):
            signals.check()
    assert signals.status() == CTRL_C


def test_a_terminal_that_closes_interrupts_the_clearing_away_once():
    """It sends SIGHUP, and a launcher SIGTERM after it."""
    cleared = []
    with signals.listening():
        try:
            try:
                send(signal.SIGHUP)
            finally:
                send(signal.SIGTERM)
                cleared.append(True)
        except signals.SignalReceived:
            pass
    assert cleared


def test_several_processes_hand_it_on_and_go_on():
    """To jax's preemption service, for which a handler stands here, as it takes SIGTERM over."""
    heard = []
    with signals.listening():
        signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
        with signals.shared():
            send(signal.SIGHUP)
            signals.check()
            assert heard == [signal.SIGTERM]
            send(signal.SIGINT)
            assert heard == [signal.SIGTERM] * 2
            with pytest.raises(KeyboardInterrupt):
                send(signal.SIGINT)


def test_a_signal_before_the_others_had_come_is_handed_on():
    heard = []
    with signals.listening():
        with signals.deferred():
            send()
        signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
        with signals.shared():
            assert heard == [signal.SIGTERM]


def test_other_threads_and_callers_of_the_library_have_no_handlers():
    before, found = signal.getsignal(signal.SIGTERM), []

    def inside():
        with signals.listening():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [before]


@pytest.mark.parametrize(
    ("numbers", "status"),
    [
        ((signal.SIGHUP, signal.SIGTERM), INTERRUPTED),
        ((signal.SIGTERM, signal.SIGTERM), INTERRUPTED),
        ((signal.SIGTERM, signal.SIGINT), INTERRUPTED),
        ((signal.SIGINT, signal.SIGTERM), CTRL_C),
        ((signal.SIGINT, signal.SIGINT), CTRL_C),
        ((None, signal.SIGTERM), -signal.SIGTERM),
    ],
)
def test_a_second_signal_while_the_process_ends_does_not_kill_it(numbers, status):
    """The first comes inside the command, the second when `main` has returned and the interpreter clears away."""
    code = f"""
import atexit, os, signal, sys
import jaxgan.main
first, second = {[number and int(number) for number in numbers]}
signal.signal(signal.SIGINT, signal.default_int_handler)
jaxgan.main._answer = lambda arguments: os.kill(os.getpid(), first) if first else 0
atexit.register(lambda: os.kill(os.getpid(), second))
jaxgan.main.entry()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("second", [int(signal.SIGTERM), int(signal.SIGINT)])
def test_a_second_signal_while_python_finalizes_does_not_kill_the_process(second):
    """When modules are cleared away, Python has given back all handlers that were written in it."""
    code = f"""
import os, signal, sys
import jaxgan.main
class Last:
    def __del__(self, kill=os.kill, pid=os.getpid()):
        kill(pid, {second})
jaxgan.main._answer = lambda arguments: os.kill(os.getpid(), signal.SIGTERM)
sys.last = Last()
jaxgan.main.entry()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (INTERRUPTED, "jaxgan: interrupted\n")


def test_a_signal_amid_an_import_comes_after_it(monkeypatch, capfd):
    """A library of compiled code of which half is imported may crash the process when it ends."""
    name = "jaxgan.commands.prepare"

    class Finder:
        @staticmethod
        def find_spec(found, path, target=None):
            if found == name:
                send(signal.SIGHUP)

    monkeypatch.delitem(sys.modules, name, raising=False)
    sys.meta_path.insert(0, Finder)  # in place: libraries that are imported add finders of their own
    try:
        assert main(["--mode=prepare", "--config.data.name=digits"]) == INTERRUPTED
    finally:
        sys.meta_path.remove(Finder)
    assert name in sys.modules
    assert capfd.readouterr().err.splitlines() == ["jaxgan: interrupted"]


def test_a_second_interrupt_that_python_drops_prints_no_traceback(command, capfd):
    def function():
        with signals.deferred():
            lose(signal.SIGINT)
            lose(signal.SIGINT)
        signals.check()

    assert command(function) == CTRL_C
    assert capfd.readouterr().err.splitlines() == ["jaxgan: interrupted"]
