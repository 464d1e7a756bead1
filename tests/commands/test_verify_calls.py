"""How `--mode=verify` is called: JSON, what is required, without c2pa, and mistakes."""

import json
import subprocess
import sys
import time

import pytest
from verifying import NOTHING_PROVEN, about, changed, described, plain, signed, verify

from jaxgan.errors import FINISHED, MARK_MISSING, MISTAKE, SOME_FAILED
from jaxgan.main import main
from jaxgan.media.provenance import signing_key

pytestmark = pytest.mark.usefixtures("installation")


@pytest.mark.parametrize("switch", [["--json"], ["--json=true"]])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_json_in_any_position(switch, place, tmp_path, capsys):
    paths = [signed(tmp_path / "a.png"), described(tmp_path / "b.png"), plain(tmp_path / "c.png")]
    arguments = ["--mode=verify", *map(str, paths)]
    status = main([*arguments[:place], *switch, *arguments[place:]])
    told = json.loads(capsys.readouterr().out)
    assert status == FINISHED
    assert [each["path"] for each in told["files"]] == [str(path) for path in paths]
    one, other, nothing = told["files"]
    assert (one["credential"]["state"], one["credential"]["source_type"]) == ("ours", "trainedAlgorithmicMedia")
    assert (one["credential"]["tool"], one["credential"]["model"]) == ("jaxgan 0.2.0", "a run")
    assert one["xmp"]["source_type"] == other["xmp"]["source_type"] == "trainedAlgorithmicMedia"
    assert other["credential"] is None
    assert (nothing["credential"], nothing["xmp"], nothing["contradiction"]) == (None, None, None)
    assert told["credentials_read"] is True
    assert told["note"].startswith(NOTHING_PROVEN)


def test_json_that_is_false_are_words(tmp_path, capsys):
    path = plain(tmp_path / "a.png")
    assert verify(capsys, "--json=false", path)[1].startswith(str(path))


def test_what_is_required(tmp_path, capsys):
    ours, xmp, nothing = signed(tmp_path / "a.png"), described(tmp_path / "b.png"), plain(tmp_path / "c.png")
    broken = changed(tmp_path / "d.png")
    (tmp_path / "e.txt").write_text("text")

    def status(required, *paths):
        return verify(capsys, f"--require={required}", *paths)[0]

    assert [status("credential", each) for each in (ours, xmp, nothing, broken)] == [FINISHED] + [MARK_MISSING] * 3
    assert [status("any", each) for each in (ours, xmp, nothing, broken)] == [FINISHED] * 2 + [MARK_MISSING] * 2
    assert status("any", ours, xmp) == FINISHED
    assert status("any", ours, nothing, xmp) == MARK_MISSING
    assert status("any", ours, tmp_path / "e.txt") == SOME_FAILED
    assert status("any", nothing, tmp_path / "e.txt") == MARK_MISSING
    assert MARK_MISSING == 4


def test_a_strangers_credential_is_one(tmp_path, capsys, monkeypatch):
    path = signed(tmp_path / "a.png")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "other"))
    assert verify(capsys, "--require=credential", path)[0] == FINISHED


def test_without_c2pa_xmp_is_judged(tmp_path, capsys, without_c2pa):
    path, other = described(tmp_path / "a.png"), plain(tmp_path / "b.png")
    status, printed, _ = verify(capsys, path, other)
    assert status == FINISHED
    assert about(printed, path)[0] == about(printed, other)[0] == "credential: not read"
    assert "made by a trained model" in about(printed, path)[1]
    told = [line for line in printed.splitlines() if "[provenance]" in line]
    assert told == ["Credentials were not read: that needs the package c2pa-python, pip install -e '.[provenance]'."]
    assert verify(capsys, "--require=any", path)[0] == FINISHED
    assert verify(capsys, "--require=any", other)[0] == MARK_MISSING
    _, printed, _ = verify(capsys, "--json", path)
    assert json.loads(printed)["credentials_read"] is False


def test_without_c2pa_a_credential_cannot_be_required(tmp_path, capsys, without_c2pa):
    status, printed, mistake = verify(capsys, "--require=credential", plain(tmp_path / "a.png"))
    assert (status, printed) == (MISTAKE, "")
    assert "[provenance]" in mistake


@pytest.fixture(params=["OSError", "ImportError"])
def c2pa_that_does_not_load(request, tmp_path_factory, monkeypatch):
    """The package is there, and its library is one for other machines."""
    package = tmp_path_factory.mktemp("site") / "c2pa"
    package.mkdir()
    (package / "__init__.py").write_text(f"raise {request.param}('libc2pa_c.so: wrong ELF class')")
    monkeypatch.syspath_prepend(str(package.parent))
    for name in [each for each in sys.modules if each.partition(".")[0] == "c2pa"]:
        monkeypatch.delitem(sys.modules, name)


def test_where_c2pa_does_not_load_xmp_is_judged_and_the_reason_is_told(tmp_path, capsys, c2pa_that_does_not_load):
    path, other = described(tmp_path / "a.png"), plain(tmp_path / "b.png")
    status, printed, _ = verify(capsys, path, other)
    assert status == FINISHED
    assert about(printed, path)[0] == about(printed, other)[0] == "credential: not read"
    assert "made by a trained model" in about(printed, path)[1]
    reason = "the package c2pa-python cannot be loaded: libc2pa_c.so: wrong ELF class"
    assert f"Credentials were not read: {reason}." in printed.splitlines()
    status, printed, _ = verify(capsys, "--json", path)
    assert status == FINISHED
    assert json.loads(printed)["credentials_read"] is False
    assert reason in json.loads(printed)["note"]
    status, printed, mistake = verify(capsys, "--require=credential", path)
    assert (status, printed) == (MISTAKE, "")
    assert mistake == f"jaxgan: --require=credential: {reason}\n"
    assert verify(capsys, "--require=any", path)[0] == FINISHED
    assert verify(capsys, "--require=any", other)[0] == MARK_MISSING


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--mode=verify needs paths"),
        (["a.png", "nowhere.png"], "nowhere.png: there is no such file or folder"),
        ([""], "--mode=verify: got an empty path, expected files or folders"),
        (["a.png", ""], "--mode=verify: got an empty path, expected files or folders"),
        (["a.png/b.png"], "a.png/b.png: Not a directory"),
        (["a\x1b[31m.png"], "a?[31m.png: there is no such file or folder"),
        (["a" * 300], "a: File name too long"),
        (["empty"], "found no pictures or films"),
        (["a.png", "--require=xmp"], "--require: got 'xmp', expected credential or any"),
        (["a.png", "--json=yes"], "--json: got 'yes', expected true or false"),
        (["a.png", "--workdir=w"], "--workdir: --mode=verify takes only paths"),
        (["a.png", "--config=c.py"], "--config: --mode=verify takes only paths"),
        (["a.png", "--config.seed=1"], "--config.seed: --mode=verify takes only paths"),
        (["a.png", "--requier=any"], "did you mean require?"),
        (["a.png", "--require"], "--require needs a value"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_printed(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain(tmp_path / "a.png")
    (tmp_path / "empty").mkdir()
    status, printed, mistake = verify(capsys, *arguments)
    assert (status, printed) == (MISTAKE, "")
    assert words in mistake
    assert mistake.count("\n") == 1


def test_a_damaged_key_of_ones_own_is_told(tmp_path, capsys):
    path = signed(tmp_path / "a.png")
    (signing_key.folder() / "root.pem").write_text("garbage")
    status, printed, mistake = verify(capsys, path)
    assert (status, printed) == (MISTAKE, "")
    assert "key or certificate is damaged" in mistake


@pytest.mark.parametrize("mode", ["train", "apply", "sample", "doctor"])
def test_other_modes_take_no_paths(mode, capsys):
    assert main([f"--mode={mode}", "--workdir=w", "a.png"]) == MISTAKE
    assert "'a.png': expected flags, --flag=value; see --help" in capsys.readouterr().err


def test_names_that_look_like_flags(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain(tmp_path / "--a.png")
    status, printed, _ = verify(capsys, "--", "--a.png")
    assert status == FINISHED
    assert about(printed, "--a.png") == ["credential: none", "XMP: none"]


def test_it_starts_quickly_and_imports_no_jax(tmp_path):
    path = described(tmp_path / "a.png")
    code = (
        "import sys; from jaxgan.main import main; status = main(['--mode=verify', sys.argv[1]]); "
        "loaded = {'jax', 'jaxlib', 'flax', 'optax', 'tensorflow', 'av', 'etils', 'matplotlib'} & set(sys.modules); "
        "assert not loaded, loaded; sys.exit(status)"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert time.perf_counter() - start < 5  # under one and a half on a quiet machine
