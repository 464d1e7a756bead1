"""The wheel, built and tried in a fresh environment outside the repository. The build needs the package index."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

import jaxgan

ROOT = Path(__file__).parents[1]
TINY = ["--config.tiny=true", "--workdir=run"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source")  # a build leaves folders beside what it builds
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("jaxgan", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-deps", "-w", source, source)
    (file,) = source.glob("jaxgan-*.whl")
    return file


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, env=outside())


def outside():
    """The environment of this process, without paths to the repository."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_configs_and_its_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = f"jaxgan-{jaxgan.__version__}.dist-info"
        about = Parser().parsestr(archive.read(f"{metadata}/METADATA").decode())
        assert archive.read(f"{metadata}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    files = {file.relative_to(ROOT).as_posix() for file in (ROOT / "jaxgan").rglob("*.py")} | {"jaxgan/py.typed"}
    configs = {f"jaxgan/shelf/{file.name}" for file in (ROOT / "configs").glob("*.py")}
    assert {name for name in names if not name.startswith(metadata)} == files | configs
    assert (about["Version"], about["License-Expression"]) == (jaxgan.__version__, "Apache-2.0")
    assert about["Description-Content-Type"] == "text/markdown"
    assert about.get_payload().strip() == (ROOT / "README.md").read_text().strip()


@pytest.mark.slow
def test_an_installed_wheel_trains_resumes_and_samples(wheel, tmp_path):
    """The dependencies are those of this environment; jaxgan itself is the wheel's."""
    venv.create(tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    (site,) = (tmp_path / "fresh").glob("lib/python*/site-packages")
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # after the wheel, and its own .pth unread

    def run(*command):
        done = subprocess.run(command, cwd=tmp_path, env=outside(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    where, version = run(python, "-c", "import jaxgan; print(jaxgan.__file__, jaxgan.__version__)").split()
    assert Path(where).is_relative_to(site)
    assert version == jaxgan.__version__
    program = tmp_path / "fresh" / "bin" / "jaxgan"
    run(program, "--config=jaxgan:quickstart", *TINY)
    checkpoints = sorted(each.name for each in (tmp_path / "run" / "checkpoints").iterdir())
    run(python, "-m", "jaxgan.main", f"--config={ROOT}/configs/quickstart.py", *TINY)  # the same run
    assert sorted(each.name for each in (tmp_path / "run" / "checkpoints").iterdir()) == checkpoints
    run(program, "--mode=sample", "--workdir=run", "--output=digits.png")
    assert (tmp_path / "digits.png").stat().st_size > 0
