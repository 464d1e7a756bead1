"""Progress lines, the bar and the log file."""

import io
import logging

from rich.console import Console

from jaxgan.reporting.progress import Progress, setup_logging

LOSSES = {
    "discriminator/loss": 1.2,
    "discriminator/grad_norm": 7.0,
    "generator/loss": 0.9,
    "discriminator_r1/loss": 0.01,
}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def plain(total, **kwargs):
    out, clock = io.StringIO(), Clock()
    return Progress(total, to=Console(file=out, width=60), clock=clock, **kwargs), out, clock


def test_without_a_terminal_there_is_a_line_every_ten_seconds_and_a_last_one():
    progress, out, clock = plain(51200)
    with progress:
        progress.start(0)
        for images in range(800, 25601, 800):  # 400 images/s
            clock.now += 2
            progress.update(images, LOSSES)
    lines = out.getvalue().splitlines()
    assert len(lines) == 7
    assert lines[0] == "images 4000/51200    8%  400 images/s  loss d 1.2 g 0.9 d_r1 0.01  ETA 1:58"
    assert lines[-1].startswith("images 25600/51200   50%  400 images/s")


def test_the_time_to_compile_and_a_resumed_start_do_not_count():
    progress, out, clock = plain(20000)
    progress.start(10000)
    for seconds, images in ((100, 11000), (10, 12000), (10, 13000)):
        clock.now += seconds
        progress.update(images, {})
    assert [line.split("  ")[-2] for line in out.getvalue().splitlines()] == [
        "10 images/s",
        "100 images/s",
        "100 images/s",
    ]


def test_a_rollback_restarts_the_measurement():
    progress, out, clock = plain(2000)
    progress.start(0)
    for images in (500, 1000, 200, 700):
        clock.now += 10
        progress.update(images, {})
    lines = out.getvalue().splitlines()
    assert lines[2] == "images 200/2000   10%"
    assert lines[3] == "images 700/2000   35%  50 images/s  ETA 0:26"


def test_the_end_has_no_eta_and_other_processes_print_nothing():
    progress, out, clock = plain(1000)
    quiet, silence, _ = plain(1000, enabled=False)
    for each in (progress, quiet):
        with each:
            each.start(0)
            clock.now += 5
            each.update(1000, LOSSES)
    assert "100%" in out.getvalue()
    assert "ETA" not in out.getvalue()
    assert silence.getvalue() == ""


def test_on_a_terminal_there_is_a_bar():
    out, clock = io.StringIO(), Clock()
    with Progress(1000, to=Console(file=out, width=120, force_terminal=True), clock=clock) as progress:
        progress.start(0)
        clock.now += 1
        progress.update(500, LOSSES)
    shown = out.getvalue()
    assert "━" in shown
    assert "500 images/s" in shown
    assert "loss d 1.2 g 0.9" in shown


def test_the_log_file_gets_everything_the_console_warnings_only(tmp_path, capsys):
    log = logging.getLogger("jaxgan.training.somewhere")
    undo = setup_logging(tmp_path / "log.txt")
    log.info("read [red]4,500[/red] digits")
    log.warning("an alarm %s", "x" * 200)
    undo()
    log.warning("not any more")
    error = capsys.readouterr().err
    assert error == f"warning: an alarm {'x' * 200}\n"
    first, second = (tmp_path / "log.txt").read_text().splitlines()
    assert first.endswith("INFO jaxgan.training.somewhere: read [red]4,500[/red] digits")
    assert "WARNING" in second
    assert first[:2] == "20", "the time comes first"


def test_a_log_is_appended_to_and_other_processes_write_none(tmp_path):
    log = logging.getLogger("jaxgan.training.somewhere")
    for enabled in (True, True, False):
        undo = setup_logging(tmp_path / "log.txt", enabled=enabled)
        log.info("again")
        undo()
    assert len((tmp_path / "log.txt").read_text().splitlines()) == 2


def test_a_line_can_be_printed_in_between():
    progress, out, _ = plain(100)
    progress.start(0)
    progress.say("compiled")
    assert out.getvalue() == "compiled\n"
    silent, out, _ = plain(100, enabled=False)
    silent.say("compiled")
    assert out.getvalue() == ""
