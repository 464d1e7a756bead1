"""The meter, with a clock of its own."""

import pathlib

import jax
import pytest

from jaxgan.reporting.throughput import Meter, peak_memory


class Clock:
    now = 50.0

    def __call__(self):
        return self.now


def make_meter(**kwargs):
    clock = Clock()
    return Meter(clock=clock, memory=lambda: 2e9, **kwargs), clock


def play(meter, clock, due=(0, 1), images=64, seconds=1.0, flops=3e12):
    with meter.playing(due, images, lambda: flops):
        clock.now += 0.25  # until the dispatch is on its way
    clock.now += seconds - 0.25


def test_rates_and_shares():
    meter, clock = make_meter(devices=4, peak_flops=1e12)
    play(meter, clock, seconds=0.25)  # all of it compilation
    with meter.waiting():
        clock.now += 1.0
    for _ in range(3):
        play(meter, clock)
    with meter.spending("evaluation"):
        clock.now += 5.75
    reported = meter.report()
    seconds, training = 10.0, 4.0
    assert reported == pytest.approx(
        {
            "throughput/images_per_second": 4 * 64 / training,
            "throughput/images_per_second_per_device": 64 / training,
            "throughput/teraflops_per_device": 4 * 3 / training / 4,
            "throughput/utilization": 4 * 3e12 / training / (4 * 1e12),
            "throughput/data_share": 1.0 / seconds,
            "throughput/metrics_share": 0.0,
            "throughput/compilation_share": 0.25 / seconds,
            "throughput/samples_share": 0.0,
            "throughput/evaluation_share": 5.75 / seconds,
            "throughput/saves_share": 0.0,
            "throughput/peak_memory_gigabytes": 2.0,
        }
    )


def test_each_report_is_of_its_own_time_and_due_sets_have_their_own_flops():
    meter, clock = make_meter()
    play(meter, clock)
    meter.report()
    play(meter, clock, seconds=2.0)
    reported = meter.report()
    assert reported["throughput/images_per_second"] == 32
    assert reported["throughput/teraflops_per_device"] == 1.5
    assert reported["throughput/compilation_share"] == 0
    asked = []
    for due in ((0,), (1,), (0,), (1,), (1,)):
        with meter.playing(due, 1, lambda due=due: asked.append(due) or (1e12 if due == (0,) else 2e12)):
            pass
        clock.now += 1
    assert asked == [(0,), (1,)]
    assert meter.report()["throughput/teraflops_per_device"] == pytest.approx(8 / 5)


def test_unknown_values_are_not_reported():
    meter, clock = make_meter()
    assert "throughput/images_per_second" not in meter.report()
    play(meter, clock, flops=None)
    reported = meter.report()
    assert reported["throughput/images_per_second"] == pytest.approx(64 / 0.75)
    assert "throughput/teraflops_per_device" not in reported
    play(meter, clock, due=(2,))
    reported = meter.report()
    assert "throughput/teraflops_per_device" in reported
    assert "throughput/utilization" not in reported


def test_time_is_counted_where_something_fails():
    meter, clock = make_meter()

    def fail():
        with meter.spending("saves"):
            clock.now += 1
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        fail()
    clock.now += 1
    assert meter.report()["throughput/saves_share"] == 0.5


def test_the_summary_is_one_line_over_all_reports():
    meter, clock = make_meter(devices=2, peak_flops=10e12)
    for _ in range(9):
        play(meter, clock)
        meter.report()
    with meter.spending("evaluation"):
        clock.now += 1
    assert meter.summary() == (
        "66 images/s in training (33 per device, 1.54 TFLOP/s each, 15% of the peak); "
        "of 10 s compilation 2%, evaluation 10%; peak memory 2 GB"
    )
    meter.start()
    assert meter.summary() == "peak memory 2 GB"


def test_memory_is_of_this_process_where_devices_do_not_say():
    status = pathlib.Path("/proc/self/status")
    if not status.exists() or jax.default_backend() != "cpu":
        pytest.skip("no /proc, or devices that say what they use")
    kilobytes = next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    assert peak_memory() == pytest.approx(1024 * kilobytes, rel=0.05)
