"""launch/slurm.sbatch with stand-ins for Slurm's commands: its actions after each end of the step."""

import os
import pathlib
import signal
import subprocess
import time

import pytest

from jaxgan.errors import CTRL_C, FINISHED, GAVE_UP, INTERRUPTED, MISTAKE

SCRIPT = pathlib.Path(__file__).parents[2] / "launch" / "slurm.sbatch"
STAND_INS = {
    "srun": 'for each in "$@"; do echo "<$each>"; done; . ./plan',
    "scontrol": 'echo "scontrol $*" >>calls; [ "$1" != show ] || echo "JobId=7 JobName=x JobState=$STATE Reason=None"',
    "scancel": 'echo "scancel $*" >>calls; [ ! -e step ] || kill -TERM "$(cat step)"',
}


@pytest.fixture
def slurm(tmp_path):
    """Runs the script as Slurm would: (plan of the step, state of the job) -> the running process."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in STAND_INS.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (folder / name).chmod(0o755)

    def begin(plan, state="RUNNING", **environment):
        (tmp_path / "plan").write_text(plan)
        job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_JOB_NODELIST": "n[1-2]", "STATE": state}
        path = f"{folder}:{os.environ['PATH']}"
        return subprocess.Popen(
            ["bash", SCRIPT, "--config", "a config.py", "--workdir=w"],
            cwd=tmp_path,
            env=os.environ | job | {"SLURM_SUBMIT_DIR": str(tmp_path), "PATH": path, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )

    return begin


def ended(process, tmp_path):
    """Status, output, and what was asked of Slurm."""
    output, _ = process.communicate(timeout=30)
    calls = (tmp_path / "calls").read_text().splitlines() if (tmp_path / "calls").exists() else []
    return process.returncode, output, [call for call in calls if "show" not in call]


def test_the_flags_arrive_as_they_were(slurm, tmp_path):
    status, output, asked = ended(slurm("", PYTHON="/env/bin/python"), tmp_path)
    assert (status, asked) == (FINISHED, [])
    assert "</env/bin/python>\n<-u>\n<-m>\n<jaxgan.main>\n<--config>\n<a config.py>\n<--workdir=w>\n" in output
    assert "<--kill-on-bad-exit=0>" in output  # a task that saves late is not cut short


@pytest.mark.parametrize("status", [MISTAKE, GAVE_UP, CTRL_C])
def test_ends_that_a_restart_cannot_fix_are_not_queued(slurm, tmp_path, status):
    assert ended(slurm(f"exit {status}"), tmp_path)[::2] == (status, [])


def test_the_interrupted_is_queued_again(slurm, tmp_path):
    assert ended(slurm("exit 75"), tmp_path)[::2] == (INTERRUPTED, ["scontrol requeue 7"])
    assert not (tmp_path / "jaxgan-7.crashes").exists()


def test_a_cancelled_job_is_not_queued_again(slurm, tmp_path):
    status, output, asked = ended(slurm("exit 75", state="CANCELLED"), tmp_path)
    assert (status, asked) == (INTERRUPTED, [])
    assert "the job is CANCELLED" in output


def test_a_crash_is_queued_again_up_to_a_limit(slurm, tmp_path):
    for count in (1, 2, 3):
        status, output, asked = ended(slurm("exit 134", MAX_CRASHES="2"), tmp_path)
        assert status == 134
        assert asked == ["scontrol requeue 7"] * min(count, 2)
    assert "3 times: not queued again" in output
    assert len((tmp_path / "jaxgan-7.crashes").read_text().splitlines()) == 3


def test_a_preemption_that_signals_the_script_waits_for_the_tasks(slurm, tmp_path):
    process = slurm("echo $$ >step; trap 'sleep 1; echo saved; exit 75' TERM; while true; do sleep 0.1; done")
    while not (tmp_path / "step").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    status, output, asked = ended(process, tmp_path)
    assert status == INTERRUPTED
    assert asked == ["scancel --signal=TERM 7", "scontrol requeue 7"]
    assert "saved" in output
