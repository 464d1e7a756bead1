"""Scores on several simulated devices equal those of one; weights stay on their devices."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from many_scores import find_scores


@pytest.fixture(scope="module")
def one():
    found = find_scores()
    assert (found["devices"], found["split"]) == (1, 0)
    return found["scores"]


def on_devices(number, fsdp, kinds, path, *, processes=1):
    """The scores from each of `processes` processes, with `number` devices each."""
    script = pathlib.Path(__file__).parent / "many_scores.py"
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={number}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    paths = [path / f"{index}.json" for index in range(processes)]
    started = [
        subprocess.Popen(
            [sys.executable, str(script), str(file), str(fsdp), ",".join(kinds)]
            + ([address, str(processes), str(index)] if processes > 1 else []),
            env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
            stderr=subprocess.PIPE,
            text=True,
        )
        for index, file in enumerate(paths)
    ]
    for each in started:
        _, reported = each.communicate(timeout=600)
        assert each.returncode == 0, reported
    return [json.loads(file.read_text()) for file in paths]


def assert_equal(found, one):
    for kind, scores in found["scores"].items():
        assert scores.keys() == one[kind].keys()
        for name, score in scores.items():
            assert score == pytest.approx(one[kind][name], rel=1e-4, abs=1e-7), name


def test_two_devices_score_as_one(one, tmp_path):
    (found,) = on_devices(2, 1, ("inception",), tmp_path)
    assert found["devices"] == 2
    assert_equal(found, one)


@pytest.mark.slow
@pytest.mark.parametrize(("devices", "fsdp"), [(2, 1), (4, 1), (4, 2)])
def test_all_scores_on_two_and_four_devices_are_those_of_one(one, devices, fsdp, tmp_path):
    """Also with params split over pairs of devices, which are never gathered."""
    (found,) = on_devices(devices, fsdp, one, tmp_path)
    assert found["devices"] == devices
    assert (found["split"] > 0) == (fsdp > 1)
    assert_equal(found, one)


@pytest.mark.slow
def test_all_scores_of_two_processes_are_those_of_one(one, tmp_path):
    """Two devices each, params split over all four; the first process sends the other what its cache has."""
    found = on_devices(2, 4, one, tmp_path, processes=2)
    assert [(each["devices"], each["split"] > 0) for each in found] == [(4, True)] * 2
    assert found[0]["scores"] == found[1]["scores"]
    assert_equal(found[0], one)
