"""Arguments of the launchers: invalid numbers and names are reported in one line, and nothing is started."""

import os
import pathlib
import shutil
import subprocess

import pytest

from jaxgan.errors import MISTAKE

ROOT = pathlib.Path(__file__).parents[2]
NO_NUMBERS = [
    "",
    "-1",
    "010",
    "08",
    "1e3",
    "1.5",
    "1234567890123456789012",
    " 1",
    "1\n",
    "1 2",
    "$(touch it)",
    "x[`touch it`]",
]
NO_NUMBERS += ["'1'", '"1"', "-x", "--", "\u0663", "\u00b2", "1;touch it", "\x1b[31m1"]
NO_NAMES = [
    "-x",
    "--worker=all",
    "A",
    "a b",
    "a\nb",
    "$(touch it)",
    "`touch it`",
    "a;touch it",
    "'",
    '"',
    "\u00e4",
    "a" * 200,
]
POD = {"name": "gan", "zone": "us-west4-a", "type": "v5litepod-16"}
FLAGS = ("--config", "x.py", "--workdir=gs://b/x")


@pytest.fixture
def place(tmp_path):
    """The launchers in a repository, and in the path stand-ins that leave `it` behind when anything is started."""
    shutil.copytree(ROOT / "launch", tmp_path / "repository" / "launch")
    (tmp_path / "bin").mkdir()
    for name in ("python", "python3", "gcloud", "srun", "scontrol", "scancel", "tail", "setsid"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/it'\n")
        (tmp_path / "bin" / name).chmod(0o755)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path / "repository", check=True)
    return tmp_path


def refused(place, *call, **environment):
    """The one line of a call that is refused."""
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", place / "repository" / "launch" / call[0], *call[1:]],
        env={"PATH": path, "HOME": str(place), "LC_ALL": "C.UTF-8", **environment},
        cwd=place,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
    )
    said = done.stderr.decode()
    assert done.returncode == MISTAKE, (call, said)
    assert (done.stdout, said.count("\n"), said[-1:]) == (b"", 1, "\n"), (call, said)
    assert said.startswith(f"{call[0]}: ")
    assert "\x1b" not in said
    assert not list(place.rglob("it")), call
    return said


def test_the_number_of_local_processes(place):
    for number in (*NO_NUMBERS, "0", "1025"):
        assert "expected 1 to 1024" in refused(place, "local.sh", number, "--", "x")


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--max-crashes", "--grace", "--pause", "--gpus-each"])
def test_the_numbers_of_local_flags(place, flag):
    for number in NO_NUMBERS:
        told = refused(place, "local.sh", "2", f"{flag}={number}", "--", "x")
        assert told.startswith(f"local.sh: {flag}: got ")
        assert "expected a whole number from 0 to" in told


def test_unknown_flags_of_the_local_launcher(place):
    for flag in ("--name=-x", "--grace", "--pause 1", "", "-x", "--gpus\neach=1", "--$(touch it)=1"):
        assert "expected one of --max-crashes, " in refused(place, "local.sh", "2", flag, "--", "x")
    assert "'--' is missing" in refused(place, "local.sh", "2", "--grace=1")
    for python in ("-x", "python -u", str(place), "$(touch it)", "no such\nprogram"):
        assert "PYTHON: got" in refused(place, "local.sh", "2", "--", "x", PYTHON=python)


@pytest.mark.slow
def test_the_numbers_of_a_slurm_job(place):
    for name in ("MAX_CRASHES", "SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        for number in NO_NUMBERS:
            if number or name == "SLURM_JOB_ID":  # else it is as if it were not there
                told = refused(place, "slurm.sbatch", "x", **{"SLURM_JOB_ID": "7", name: number})
                assert told.startswith(f"slurm.sbatch: {name}: got ")
    assert "sbatch launch/slurm.sbatch" in refused(place, "slurm.sbatch", "x")
    assert "PYTHON: got -x" in refused(place, "slurm.sbatch", "x", SLURM_JOB_ID="7", PYTHON="-x")


def pod(place, flags=FLAGS, environment=None, **options):
    call = [f"--{name.replace('_', '-')}={text}" for name, text in {**POD, **options}.items()]
    return refused(place, "tpu_pod.sh", *call, "--", *flags, **environment or {})


@pytest.mark.slow
@pytest.mark.parametrize("option", [*POD, "version", "project", "commit"])
def test_the_names_of_a_slice(place, option):
    for name in NO_NAMES:
        assert pod(place, **{option: name}).startswith(f"tpu_pod.sh: --{option}: ")


@pytest.mark.slow
def test_the_numbers_of_a_slice(place):
    for number in NO_NUMBERS:
        for option in ("max_restarts", "max_crashes"):
            flag = f"--{option.replace('_', '-')}"
            assert pod(place, **{option: number}).startswith(f"tpu_pod.sh: {flag}: got ")
        if number:
            assert "SETTLE: got" in pod(place, environment={"SETTLE": number})
    for shape in ("v5litepod-0", "v5litepod-010", "v5litepod-1e3", "v5litepod-", "v5litepod-99999999", "-16"):
        assert "--type: got" in pod(place, type=shape)


def test_a_workdir_that_only_looks_like_one_in_a_bucket(place):
    for flags in (["--config", "x --workdir gs://b/x"], ["--workdir", "gs://"], ["--x=--workdir=gs://b"], []):
        assert "--workdir: expected a gs:// path" in pod(place, flags=flags)


@pytest.mark.parametrize("what", ["install", "follow"])
def test_mistakes_in_the_calls_of_a_host(place, what):
    for text in ("", "-x", "../x", "$(touch it)", "a\nb", "1e3", "g" * 40):
        assert f"{what}: got" in refused(place, "tpu_host.sh", what, text)
    assert "what to do: got" in refused(place, "tpu_host.sh", "-x")
