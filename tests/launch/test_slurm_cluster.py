"""launch/slurm.sbatch on a real Slurm of one node: two tasks to the end, and interrupted, queued again, resumed."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CLUSTER = ROOT / "tests" / "launch" / "slurm_cluster.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun")
MISSING = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")]
TRAINING = (
    "--config=configs/quickstart.py",
    "--config.tiny=true",
    "--config.data.split=train[:10%]",
    "--config.evaluation.samples=64",
    "--config.log_every=1",
    "--config.plots=false",
)

# in the place of Python: it trains until it is asked to end, once; the second task takes longer to save
STAND_IN = """#!/usr/bin/env bash
echo "$*"
[ "$SLURM_RESTART_COUNT" != 1 ] || exit 0
trap 'sleep "$SLURM_PROCID"; echo saved; exit 75' TERM
touch "$BOARD/$SLURM_PROCID"
for i in {1..600}; do sleep 0.1; done
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(MISSING), reason=f"there is no {', '.join(MISSING)}: tests/launch/slurm_cluster.sh start --install FOLDER"
    ),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment in which Slurm's commands find the cluster."""
    folder = tmp_path_factory.mktemp("slurm")
    started = subprocess.run([CLUSTER, "start", folder], capture_output=True, text=True, timeout=60)
    if started.returncode != 0:
        pytest.skip(f"Slurm does not start here: {started.stderr[-500:]}")
    yield os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PYTHON": sys.executable}
    subprocess.run([CLUSTER, "stop", folder], check=True, timeout=60)


@pytest.fixture
def stand_in(slurm, tmp_path):
    """The environment with a stand-in for Python, and a wait until both tasks run it."""
    (tmp_path / "python").write_text(STAND_IN)
    (tmp_path / "python").chmod(0o755)
    environment = slurm | {"PYTHON": str(tmp_path / "python"), "BOARD": str(tmp_path)}
    return environment, lambda: (tmp_path / "0").exists() and (tmp_path / "1").exists()


def submit(slurm, output, *arguments):
    """The number of the job."""
    options = ["--parsable", "--ntasks-per-node=2", f"--output={output}"]
    command = ["sbatch", *options, ROOT / "launch" / "slurm.sbatch", *arguments]
    return subprocess.run(command, cwd=ROOT, env=slurm, check=True, capture_output=True, text=True).stdout.strip()


def job(slurm, number):
    """What Slurm knows of a job."""
    command = ["scontrol", "show", "job", "-o", number]
    told = subprocess.run(command, env=slurm, check=True, capture_output=True, text=True).stdout
    return dict(word.split("=", 1) for word in told.split() if "=" in word)


def wait_until(ready, seconds, output):
    """Polls; on a time-out fails with what the job has written."""
    end = time.monotonic() + seconds
    while not ready():
        written = output.read_text()[-3000:] if output.exists() else "nothing"
        assert time.monotonic() < end, f"the job has written: {written}"
        time.sleep(0.5)


def finished(slurm, number):
    return lambda: job(slurm, number)["JobState"] not in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "REQUEUED")


def steps(workdir):
    """The steps whose losses are written down, in the order in which they were."""
    path = workdir / "scalars.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [line["step"] for line in lines if "generator/loss" in line["scalars"]]


def test_tasks_that_save_are_waited_for_and_started_again(stand_in, tmp_path):
    slurm, begun = stand_in
    output = tmp_path / "out.txt"
    number = submit(slurm, output, "--config", "a config.py")
    wait_until(begun, 30, output)
    subprocess.run(["scancel", "--signal=TERM", number], env=slurm, check=True)  # what --signal does before the end
    wait_until(finished(slurm, number), 90, output)
    told = output.read_text()
    found = job(slurm, number)
    assert (found["JobState"], found["Restarts"]) == ("COMPLETED", "1"), told
    assert "0: saved" in told
    assert "1: saved" in told
    assert "saved and interrupted; queueing it again" in told
    assert told.count("-m jaxgan.main --config a config.py\n") == 4


def test_a_cancelled_job_saves_and_is_not_started_again(stand_in, tmp_path):
    slurm, begun = stand_in
    output = tmp_path / "out.txt"
    number = submit(slurm, output)
    wait_until(begun, 30, output)
    subprocess.run(["scancel", number], env=slurm, check=True)
    wait_until(lambda: "left to Slurm" in output.read_text(), 30, output)
    wait_until(finished(slurm, number), 30, output)
    found = job(slurm, number)
    assert (found["JobState"], found["Restarts"]) == ("CANCELLED", "0")
    assert output.read_text().count("saved\n") == 2


def test_two_tasks_train_to_the_end(slurm, tmp_path):
    output, workdir = tmp_path / "out.txt", tmp_path / "run"
    number = submit(slurm, output, *TRAINING, "--config.images=640", f"--workdir={workdir}")
    wait_until(finished(slurm, number), 300, output)
    told = output.read_text()
    assert job(slurm, number)["JobState"] == "COMPLETED", told
    assert "2 tasks" in told
    assert "0: finished: 640 images" in told
    assert max(steps(workdir)) == 80


def test_an_interrupted_job_is_queued_again_and_resumes(slurm, tmp_path):
    output, workdir = tmp_path / "out.txt", tmp_path / "run"
    number = submit(slurm, output, *TRAINING, "--config.images=16000", f"--workdir={workdir}")
    wait_until(lambda: len(steps(workdir)) > 5, 300, output)
    subprocess.run(["scancel", "--signal=TERM", number], env=slurm, check=True)
    wait_until(lambda: job(slurm, number)["Restarts"] == "1", 120, output)
    reached = max(steps(workdir))
    assert 5 < reached < 2000
    wait_until(finished(slurm, number), 400, output)
    told = output.read_text()
    assert job(slurm, number)["JobState"] == "COMPLETED", told
    assert "saved and interrupted; queueing it again" in told
    assert "start 2 of job" in told
    # not one step was played twice, none left out
    assert steps(workdir) == list(range(1, 2001))


def test_a_mistake_is_not_queued_again(slurm, tmp_path):
    output = tmp_path / "out.txt"
    number = submit(slurm, output, "--config=configs/nowhere.py", f"--workdir={tmp_path / 'run'}")
    wait_until(finished(slurm, number), 60, output)
    found = job(slurm, number)
    assert (found["JobState"], found["ExitCode"], found["Restarts"]) == ("FAILED", "2:0", "0"), output.read_text()
