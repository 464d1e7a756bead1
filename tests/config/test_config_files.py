"""Config files: what lies beside them can be imported, and what is wrong in them is told with its line."""

import os
import subprocess
import sys

import pytest

from jaxgan.config.overrides import load_config
from jaxgan.errors import MISTAKE, UserError
from jaxgan.main import main

pytestmark = pytest.mark.quick

CONFIG = """from {module} import SEED
{more}

def get_config(argument=None):
    {inside}
    return dict(
        networks=dict(generator=dict(name="dcgan.Generator")),
        task=dict(name="generation.Generation"),
        data=dict(name="jaxgan_digits"),
        images=640,
        seed=SEED,
    )
"""


def write(folder, name="x.py", module="common", more="", inside="pass"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(CONFIG.format(module=module, more=more, inside=inside))
    return str(folder / name)


def test_a_module_beside_a_config_is_found_from_everywhere(tmp_path, monkeypatch):
    path = write(tmp_path / "a")
    (tmp_path / "a" / "common.py").write_text("SEED = 7\n")
    monkeypatch.chdir("/")
    before = list(sys.path), set(sys.modules)
    assert load_config(path).seed == 7
    assert (list(sys.path), set(sys.modules)) == before
    monkeypatch.chdir(tmp_path)
    assert load_config("a/x.py").seed == 7
    (tmp_path / "link.py").symlink_to("a/x.py")
    assert load_config("link.py").seed == 7


def test_modules_of_one_name_do_not_mix(tmp_path):
    paths = []
    for seed, folder in enumerate("ab"):
        package = tmp_path / folder / "parts"
        paths.append(write(tmp_path / folder, module="parts.numbers"))
        package.mkdir()
        (package / "numbers.py").write_text(f"SEED = {seed}\n")  # a package without __init__.py
    assert [load_config(path).seed for path in paths * 2] == [0, 1, 0, 1]


def test_modules_are_found_when_the_config_is_called(tmp_path):
    (tmp_path / "common.py").write_text("SEED = 7\n")
    (tmp_path / "late.py").write_text("SEED = 9\n")
    assert load_config(write(tmp_path, inside="from late import SEED")).seed == 9


def test_what_others_imported_stays(tmp_path, monkeypatch):
    """A module that was there before, and packages of an environment below the config."""
    (tmp_path / "common.py").write_text("SEED = 7\n")
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "installed_once.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "env"))
    load_config(write(tmp_path, more="import installed_once"))
    assert "installed_once" in sys.modules
    assert "common" not in sys.modules
    del sys.modules["installed_once"]


def test_a_dataclass_in_a_config_is_made(tmp_path):
    (tmp_path / "common.py").write_text("SEED = 7\n")
    more = "import dataclasses\n@dataclasses.dataclass\nclass Settings:\n    seed: 'int' = 3\n"
    assert load_config(write(tmp_path, more=more, inside="SEED = Settings().seed")).seed == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"def get_config(:\n", "x.py, line 1: SyntaxError: "),
        (b"def get_config():\n    return 3\n   x\n", "x.py, line 3: IndentationError: "),
        (b"x = 1\nraise KeyError('seed')\n", "x.py, line 2: KeyError: 'seed'"),
        (b"def get_config():\n    return dict()['seed']\n", "x.py, line 2: KeyError: 'seed'"),
        (b"import broken\n", "broken.py, line 2: ZeroDivisionError: division by zero"),
        (b"import unreadable\n", "unreadable.py, line 1: SyntaxError: "),
        (b"import nowhere_at_all\n", "x.py, line 1: ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (b"x = 1\n", "the file has no function get_config"),
        (b"get_config = 3\n", "the file has no function get_config"),
        (b"def get_config():\n    return None\n", "get_config returned a NoneType, expected a ConfigDict"),
        (b"def get_config():\n    return [1]\n", "get_config returned a list, expected a ConfigDict"),
        (b"x = '\xff'\n", "SyntaxError: (unicode error) 'utf-8' codec can't decode byte"),
        (b"x = 1\0\n", "source code string cannot contain null bytes"),
        (b"x = " + b"(" * 5000, "x.py"),
        (
            b"def get_config():\n    return open('/nowhere/x').read()\n",
            "x.py, line 2: FileNotFoundError: [Errno 2]",
        ),
        (b"import sys\nsys.exit(0)\n", "x.py, line 2: SystemExit: 0"),
        (b"def get_config():\n    return get_config()\n", "x.py, line 2: RecursionError: maximum recursion depth"),
        (b"def get_config():\n    raise ValueError('a\\nb')\n", "x.py, line 2: ValueError: a\n"),
    ],
)
def test_what_is_wrong_in_a_config_is_told_with_its_line(tmp_path, text, words, capsys):
    (tmp_path / "broken.py").write_text("\n1 / 0\n")
    (tmp_path / "unreadable.py").write_text("1 1")
    (tmp_path / "x.py").write_bytes(text)
    assert main([f"--config={tmp_path}/x.py", f"--workdir={tmp_path}/w"]) == MISTAKE
    told = capsys.readouterr().err
    assert words in told
    assert told.startswith(f"jaxgan: --config={tmp_path}/x.py: ")
    assert told.count("\n") == 1
    assert not {"broken", "unreadable"} & set(sys.modules)


def test_what_is_no_file_is_told(tmp_path):
    os.mkfifo(tmp_path / "fifo.py")
    for name, words in (
        ("", "it is a folder, expected a Python file"),
        ("nowhere.py", "there is no such file"),
        ("fifo.py", "there is no such file"),
        ("x" * 300, "there is no such file"),
    ):
        with pytest.raises(UserError, match=words):
            load_config(f"{tmp_path}/{name}")


def test_an_argument_that_a_config_does_not_take_is_told(tmp_path):
    (tmp_path / "x.py").write_text("def get_config():\n    return {}\n")
    with pytest.raises(UserError, match=r"TypeError: get_config\(\) takes 0 positional arguments but 1 was given"):
        load_config(f"{tmp_path}/x.py:tiny")


@pytest.mark.slow
def test_the_command_line_finds_it_from_another_folder(tmp_path):
    path = write(tmp_path / "a")
    (tmp_path / "a" / "common.py").write_text("SEED = -1\n")
    command = [sys.executable, "-m", "jaxgan.main", f"--config={path}", f"--workdir={tmp_path}/w"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": os.getcwd()}, cwd="/"
    )
    assert (done.returncode, done.stderr) == (MISTAKE, "jaxgan: config.seed: got -1, expected 0 or more\n")
