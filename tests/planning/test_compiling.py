"""The process that compiles, with the available devices in place of a slice."""

import dataclasses
import json
import subprocess
import sys
import types

import jax
import pytest
from jax.experimental import topologies

from jaxgan.config.run import DataConfig, RunConfig, to_json
from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.fields import picture_fields
from jaxgan.planning import compiling
from jaxgan.planning.chips import read_topologies

PYTHON = sys.executable
SPEC = DataSpec("none", "train", 1, picture_fields(8, 8, 1), "")


def test_a_program_is_compiled_once(tmp_path, monkeypatch, capsys):
    config = RunConfig(
        networks={
            "generator": {"name": "dcgan.Generator", "widths": (8,)},
            "discriminator": {"name": "dcgan.Discriminator", "widths": (8,)},
        },
        task={"name": "generation.Generation", "adversary": {"loss": "adversarial.non_saturating"}, "latent_dim": 8},
        optimizers={player: {"name": "adam", "learning_rate": 1e-3} for player in ("generator", "discriminator")},
        data=DataConfig("none", resolution=8, channels=1),
        batch_size=4,
        images=1000,
    )
    request = {
        "config": json.loads(to_json(config)),
        "spec": dataclasses.asdict(SPEC),
        "topology": "v5e:1x1",
        "cache": str(tmp_path),
        "allow": [],
    }
    stand_in = types.SimpleNamespace(devices=jax.devices()[:1])
    monkeypatch.setattr(topologies, "get_topology_desc", lambda **_: stand_in)
    monkeypatch.setattr(compiling.importlib.metadata, "version", lambda _: "0")
    monkeypatch.setenv("LIBTPU_INIT_ARGS", "")
    answers = []
    for _ in range(2):
        compiling.answer(request)
        (line,) = capsys.readouterr().out.splitlines()
        answers.append(compiling.Compiled(**json.loads(line.removeprefix(compiling.ANSWER))))
    first, second = answers
    assert first == second  # including the seconds: it was not compiled again
    assert len(list(tmp_path.iterdir())) == 1
    assert first.share == 1.0
    assert first.collectives == {}
    assert first.needed > 2 * first.params > 0
    assert first.moments > first.params  # of both players' Adam, two each
    assert 0.5 * first.model_flops < first.flops


def compile_with(script, monkeypatch, tmp_path, **limits):
    """With another process in place of the compiler's."""
    python = tmp_path / "python"
    python.write_text(f"#!{PYTHON}\nimport json, sys, time\nsys.stdin.readline()\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(compiling.sys, "executable", str(python))
    config = RunConfig(networks={}, task={}, data=DataConfig("none"), images=1)
    return compiling.compile_step(config, SPEC, read_topologies("v5e:1x1")[0], tmp_path, **limits)


def answer(**changed):
    known = {"topology": "v5e:1x1", "phases": (0,), "collectives": {}, "share": 1.0}
    return {**dict.fromkeys(compiling.Compiled._fields, 1), **known, **changed}


@pytest.mark.quick
def test_each_program_has_a_limit_of_its_own(monkeypatch, tmp_path):
    """Two compilations of 0.8 s each, with a limit of 1.4 s for each, and of 1.4 s for both."""
    answers = [compiling.ANSWER + json.dumps(answer(phases=phases)) for phases in ((0,), (0, 1))]
    told = "".join(f"time.sleep(0.8); print('noise'); print({each!r}, flush=True)\n" for each in answers)
    monkeypatch.setattr(compiling, "LIMIT", 1.4)
    assert [each.phases for each in compile_with(told, monkeypatch, tmp_path)] == [(0,), (0, 1)]
    with pytest.raises(UserError, match="took longer than"):
        compile_with(told, monkeypatch, tmp_path, within=1.4)


@pytest.mark.quick
def test_what_the_compiler_refuses_is_told(monkeypatch, tmp_path):
    said = "sys.exit('noise\\nRESOURCE_EXHAUSTED: Ran out of memory in memory space hbm\\nmore noise')"
    with pytest.raises(UserError, match="v5e:1x1: the step cannot be compiled: RESOURCE_EXHAUSTED: Ran out of memory"):
        compile_with(said, monkeypatch, tmp_path)


def test_the_compiler_ends_with_the_process_that_asked():
    waiting = "threading.Thread(target=compiling._end_with_asker).start(); print('here', flush=True)"
    command = [PYTHON, "-c", f"import threading; from jaxgan.planning import compiling; {waiting}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"here\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(20) == 1
