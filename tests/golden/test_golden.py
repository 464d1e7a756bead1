"""Recorded numbers that no refactoring may change.

`JAXGAN_GOLDEN=record pytest -m "" tests/golden/test_golden.py` writes those of the games anew: only where a number must
change, in a commit that says why. The saved runs are of the format of their day and stay (`JAXGAN_GOLDEN=save` made
them).
"""

import json
import os
import pathlib
import shutil
import tarfile

import numpy as np
import pytest
from games import BATCH, GAMES, SAVED, SAVED_ROUNDS, flags_of, play, products, resume

from jaxgan.errors import FINISHED
from jaxgan.main import main

RECORDED = pathlib.Path(__file__).parent / "recorded"
SAVED_RUNS = RECORDED / "saved"
EXACT = ("fingerprint", "indices", "late_indices", "key", "latents")
QUICK = ("mlp",)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in GAMES]
)
def test_a_run_gives_the_recorded_numbers(name, tmp_path):
    played, record = play(GAMES[name], tmp_path / name), RECORDED / f"{name}.json"
    if os.environ.get("JAXGAN_GOLDEN") == "record":
        RECORDED.mkdir(exist_ok=True)
        record.write_text(json.dumps(played, indent=1, allow_nan=False) + "\n")
    recorded = json.loads(record.read_text())
    for field in EXACT:
        assert played.get(field) == recorded.get(field), field
    assert len(played["rounds"]) == len(recorded["rounds"])
    for number, (one, other) in enumerate(zip(played["rounds"], recorded["rounds"])):
        # compilers and processors round differently, and training amplifies it
        close(one, other, 1e-4 if number < 3 else 1e-2, f"round {number}")
    close(played["scores"], recorded["scores"], 1e-2, "scores")
    np.testing.assert_allclose(played.get("image", 0), recorded.get("image", 0), atol=2e-2)


def close(one, other, relative, what):
    assert one.keys() == other.keys(), what
    for name, value in one.items():
        message = f"{what}: {name}"
        np.testing.assert_allclose(float(value), float(other[name]), relative, relative / 10, err_msg=message)


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVED)
def test_a_saved_run_resumes_and_samples_as_recorded(name, tmp_path):
    workdir, archive, record = tmp_path / name, SAVED_RUNS / f"{name}.tar.xz", SAVED_RUNS / f"{name}.json"
    if os.environ.get("JAXGAN_GOLDEN") == "save":
        assert main([*flags_of(SAVED[name], workdir), f"--config.images={SAVED_ROUNDS * BATCH}"]) == FINISHED
        with tarfile.open(archive, "w:xz") as tar:
            for kept in ("config.json", "scalars.jsonl", f"checkpoints/{SAVED_ROUNDS}"):
                tar.add(workdir / kept, f"{name}/{kept}")
        made = {**products(SAVED[name], workdir, tmp_path / "made"), "rounds": resume(SAVED[name], workdir)}
        record.write_text(json.dumps(made, allow_nan=False) + "\n")
        shutil.rmtree(workdir)
        shutil.rmtree(tmp_path / "made")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    recorded = json.loads(record.read_text())
    made = products(SAVED[name], workdir, tmp_path / "made")
    close(made["scores"], recorded["scores"], 1e-3, "scores")
    assert np.abs(np.subtract(made["pixels"], recorded["pixels"])).max() <= 1
    resumed = resume(SAVED[name], workdir)
    assert len(resumed) == len(recorded["rounds"]) == SAVED_ROUNDS
    for number, (one, other) in enumerate(zip(resumed, recorded["rounds"])):
        close(one, other, 1e-4 if number < 3 else 1e-2, f"round {SAVED_ROUNDS + number}")
