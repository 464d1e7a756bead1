"""Every shell script of the launchers, as shellcheck reads it."""

import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = [*sorted(ROOT.glob("launch/*.sh")), ROOT / "launch/slurm.sbatch", *sorted(ROOT.glob("tests/launch/*.sh"))]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(path):
    command = [pathlib.Path(sys.executable).parent / "shellcheck", "--external-sources", path.relative_to(ROOT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
