"""Paths that a user names: expanded in one place, whatever flag or function they are given to."""

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxgan.data.folder_source import FolderSource
from jaxgan.data.pairs import with_conditions
from jaxgan.data.tfds_catalogue import kind_of_name
from jaxgan.errors import MISTAKE, UserError
from jaxgan.jobs.files import pair_files
from jaxgan.main import main, parse, read_config
from jaxgan.system import paths
from jaxgan.weights import safetensors
from jaxgan.weights.reading import read


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder, and a working directory elsewhere."""
    for name in ("home", "here"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


@pytest.fixture
def no_home(tmp_path, monkeypatch):
    """A user without HOME and without an entry in passwd."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", dict[int, object]().__getitem__)
    monkeypatch.chdir(tmp_path)


def picture(path, level=0, size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def test_every_flag_that_names_a_path_is_expanded(home):
    flags = ["--workdir", "--input", "--output", "--mask", "--compare"]
    call = parse(["--mode=apply", *(f"{flag}=~/x" for flag in flags)])
    expected = f"{home}/x"
    assert call.workdir == expected
    assert set(call.options.values()) == {expected}
    assert parse(["--mode=apply", "--pretrained=~/w.pth", "--input=a"]).options["pretrained"] == f"{home}/w.pth"
    assert parse(["--mode=evaluate", "--workdir=~/r", "--against=~/s"]).options["against"] == f"{home}/s"
    assert parse(["--mode=import", "--workdir=~/r", "--weights=~/w"]).options["weights"] == f"{home}/w"
    assert parse(["--config=~/c.py:a", "--workdir=~/r", "--profile=~/p"]).config == f"{home}/c.py:a"
    assert parse(["--mode=verify", "~/a", "b"]).paths == (f"{home}/a", "b")
    assert parse(["--workdir=gs://bucket/~/x"]).workdir == "gs://bucket/~/x"


def test_a_config_and_weights_in_the_home_are_read(home):
    (home / "c.py").write_text("def get_config(): return dict(wrong=1)")
    with pytest.raises(UserError, match=r"config\.wrong does not exist"):
        read_config(parse(["--config=~/c.py", "--workdir=~/r"]))
    safetensors.write(home / "w.safetensors", {"a": np.ones(2, np.float32)})
    assert list(read("~/w.safetensors")) == ["a"]
    picture(home / "data" / "a.png")
    assert kind_of_name("~/data") == "images"
    assert not (home.parent / "here" / "~").exists()


def test_a_home_that_there_is_not_is_one_line(no_home, capsys):
    assert main(["--mode=sample", "--workdir=~/run"]) == MISTAKE
    assert "--workdir: got '~/run', but there is no home folder '~' here" in capsys.readouterr().err
    assert main(["--mode=verify", "~nobody_of_this_name/x"]) == MISTAKE
    assert "no home folder '~nobody_of_this_name'" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"config\.data\.name: got '~/pictures'"):
        kind_of_name("~/pictures")


def test_without_a_home_the_cache_is_a_folder_that_goes_with_the_process(tmp_path):
    code = (
        "import pwd; pwd.getpwuid = dict().__getitem__\n"
        "from jaxgan.data.folder_index import index_folder; from pathlib import Path; import sys\n"
        "from jaxgan.system.paths import cache_home\n"
        "print(len(index_folder(Path(sys.argv[1])).entries), cache_home(), len(list(cache_home().rglob('*.json'))))"
    )
    picture(tmp_path / "data" / "a.png")
    environ = {name: text for name, text in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    call = [sys.executable, "-c", code, str(tmp_path / "data")]
    run = subprocess.run(call, capture_output=True, text=True, env=environ, cwd=tmp_path, timeout=60)
    count, cache, kept = run.stdout.split()
    assert (count, kept) == ("1", "1"), run.stderr
    assert not Path(cache).exists()
    assert os.listdir(tmp_path) == ["data"]


def test_a_folder_with_brackets_in_its_name_is_no_pattern(tmp_path):
    wanted = picture(tmp_path / "trip [2024]" / "a.png")
    picture(tmp_path / "trip 2" / "b.png")  # what the name would mean as a pattern
    found = pair_files(f"{tmp_path}/trip [2024]/*.png", f"{tmp_path}/out/", overwrite=False)
    assert [pair.source for pair in found] == [wanted]
    twin = picture(tmp_path / "pics" / "a [1].png")
    for pattern in ("a [1]*.png", "a [[]1].p?g"):
        found = pair_files(f"{tmp_path}/pics/{pattern}", f"{tmp_path}/out/", overwrite=False)
        assert [pair.source for pair in found] == [twin]
    both = pair_files(f"{tmp_path}/tri[pq] 2/*.png", f"{tmp_path}/out/", overwrite=False)  # still one
    assert [pair.source.name for pair in both] == ["b.png"]


def test_relative_data_are_found_from_another_working_directory(tmp_path, monkeypatch):
    from jaxgan.checkpoints.workdir import Workdir
    from jaxgan.cli.setup import keep_config

    for name in ("data", "edges", "more", "held", "train", "test", "label"):  # the last three are no paths
        picture(tmp_path / "first" / name / "a.png")
        picture(tmp_path / "first" / name / "b.png", 9)
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "first")
    Path("c.py").write_text(
        "part = dict(name='a.B')\n"
        "def get_config(): return dict(generator=part, discriminator=part, task=dict(**part, condition='label'), "
        "images=1, data=dict(name='./data', condition='edges', crops=1, resolution=8), "
        "more_data=dict(b=dict(name='./more')), evaluators=dict(e=dict(**part, data=dict(name='./held'))))"
    )
    flags = ["--config", str(tmp_path / "first" / "c.py"), "--workdir", str(tmp_path / "run")]
    config = read_config(parse(flags))
    here = FolderSource(config.data, "train").spec
    os.mkdir(tmp_path / "run")
    keep_config(Workdir(str(tmp_path / "run")), config)
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["config"]["data"]["name"] == "./data"
    assert saved["places"] == {
        name: str(tmp_path / "first" / place)
        for name, place in (("./data", "data"), ("edges",) * 2, ("./more", "more"), ("./held", "held"))
    }
    for call in (flags, ["--mode=evaluate", *flags[2:]]):
        monkeypatch.chdir(tmp_path / "second")
        again = read_config(parse(call))
        assert again == config  # so that fingerprints and the order of the data stay
        there = FolderSource(again.data, "train")
        assert there.spec == here
        assert (
            with_conditions(FolderSource(again.data, "train", whole=True), again.data, "train").spec.size == here.size
        )
        keep_config(Workdir(str(tmp_path / "run")), again)
        assert json.loads((tmp_path / "run" / "config.json").read_text()) == saved
    read_config(parse(["--config", flags[1], "--workdir", str(tmp_path / "another")]))
    with pytest.raises(UserError, match="expected an existing folder"):  # another run knows nothing of it
        kind_of_name("./data")


@pytest.mark.parametrize("places", [None, 3, [], {"./data": 4}, {"./data": "/nowhere"}])
def test_damaged_places_are_ignored(tmp_path, monkeypatch, places):
    monkeypatch.chdir(tmp_path)
    paths.remember(places)
    assert paths.located("./data") == "./data"
