"""Checkpoints whose checksums were made to fit: what their manifests say is checked where it is read."""

import contextlib
import hashlib
import json
import os
import pathlib

import pytest
from etils import epath
from fuzzing import changed_values, mutants, read_mutants

from jaxgan.checkpoints.manifest import NotUsableError, read_manifest, verify, write_manifest
from jaxgan.checkpoints.on_disk import best_step, read_records
from jaxgan.errors import UserError
from jaxgan.reporting.writer import drop_after, read_scalars

RECORD = {
    "step": 7,
    "images_seen": 448,
    "good": True,
    "keep_forever": False,
    "metrics": {"frechet/f": 3.5},
    "revision": 2,
    "config": {"seed": 0},
    "class_names": ["a", "b"],
    "positions": {"data": 448},
    "tree": {"ema": {"params/generator/kernel": [[3, 4], "float32"]}, "state": {"step": [[], "int32"]}},
    "news": {"of": "a later version"},
}


@pytest.fixture
def checkpoint(tmp_path):
    """A folder with a manifest that is as it should be; nothing reads the arrays."""
    folder = epath.Path(tmp_path / "checkpoints" / "7")
    for item in ("ema", "state"):
        (folder / item).mkdir(parents=True)
        (folder / item / "data").write_text(item)
    write_manifest(folder, ["ema", "state"], RECORD)
    return folder


def fit(content):
    """The text of a manifest, its checksum made to fit."""
    content = {key: value for key, value in content.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "sha256": digest})


def tamper(folder, keys, value=None, *, drop=False):
    """Changes or drops what lies under the keys of a manifest."""
    content = json.loads((folder / "manifest.json").read_text())
    node = content
    for key in keys[:-1]:
        node = node[key]
    if drop:
        del node[keys[-1]]
    else:
        node[keys[-1]] = value
    (folder / "manifest.json").write_text(fit(content))


def use(folder):
    """All that is done with a manifest before its arrays are read."""
    manifest = read_manifest(folder)
    verify(folder, manifest, ["ema", "state"])
    return manifest


def test_a_manifest_as_it_should_be_is_read_with_what_it_says_more(checkpoint):
    assert use(checkpoint)["record"] == RECORD
    for key in ("revision", "config", "class_names", "positions", "news"):  # older versions said less
        tamper(checkpoint, ("record", key), drop=True)
    assert use(checkpoint)["record"]["step"] == 7
    (checkpoint / "ema" / ".DS_Store").write_text("")
    use(checkpoint)


@pytest.mark.parametrize("key", ["step", "images_seen", "good", "keep_forever", "metrics", "tree"])
def test_a_record_without_a_key_is_refused(checkpoint, key):
    tamper(checkpoint, ("record", key), drop=True)
    with pytest.raises(NotUsableError, match=rf"manifest.json was not written by jaxgan: record\.{key}: got None"):
        read_manifest(checkpoint)


@pytest.mark.parametrize(
    ("keys", "value", "why"),
    [
        (("record",), [], "record: got"),
        (("record",), None, "record: got None"),
        (("files",), {"ema/data": 3}, "files: got"),
        (("files",), {"ema/data": ["3", "x"]}, "files: got"),
        (("files",), [1], "files: got"),
        (("files",), {"ema/data": [-1, "x"]}, "files: got"),
        (("files",), {"../../../../dev/zero": [3, "x"]}, "lists '../../../../dev/zero', which is not a path inside"),
        (("files",), {"ema/../../7/ema/data": [3, "x"]}, "which is not a path inside the checkpoint"),
        (("files",), {"/dev/zero": [3, "x"]}, "lists '/dev/zero'"),
        (("files",), {"ema//dev/zero": [3, "x"]}, "which is not a path inside the checkpoint"),
        (("files",), {"ema/a\0b": [3, "x"]}, "which is not a path inside the checkpoint"),
        (("files",), {}, "ema/data is not in manifest.json"),
        (("record", "step"), 8, "its folder is 7, but manifest.json has step 8"),
        (("record", "step"), "7", r"record\.step: got '7', expected int of 0 or more"),
        (("record", "step"), 7.0, r"record\.step: got 7\.0"),
        (("record", "step"), True, r"record\.step: got True"),
        (("record", "step"), -7, r"record\.step: got -7, expected 0 or more"),
        (("record", "images_seen"), 10**18, r"record\.images_seen: got 1000000000000000000"),
        (("record", "images_seen"), 10**400, "it has a number of 401 digits"),
        (("record", "good"), "yes", r"record\.good: got 'yes'"),
        (("record", "metrics"), {"frechet/f": "3"}, r"record\.metrics: got"),
        (("record", "metrics"), [3.0], r"record\.metrics: got"),
        (("record", "class_names"), 3, r"record\.class_names: got 3"),
        (("record", "class_names"), [["a"]], r"record\.class_names: got"),
        (("record", "config"), "x", r"record\.config: got 'x'"),
        (("record", "revision"), "2", r"record\.revision: got '2'"),
        (("record", "tree"), {"ema": []}, r"record\.tree: got"),
        (("record", "tree", "ema", "params/x"), [[3], 4], r"record\.tree: got"),
        (("record", "tree", "ema", "params/x"), [[-3], "float32"], r"record\.tree: got"),
        (("record", "tree", "ema", "params/x"), [[2**50], "float32"], r"record\.tree: got"),
        (("record", "tree", "ema", "params/x"), [[1] * 40, "float32"], "which is not a valid shape and dtype"),
        (("record", "tree", "ema", "params/x"), [[1], "object"], "params/x as .*'object', which is not a valid"),
        (("format",), "1", "its format is '1'"),
        (("format",), [1], r"its format is \[1\]"),
    ],
)
def test_what_no_manifest_says_is_refused(checkpoint, keys, value, why):
    tamper(checkpoint, keys, value)
    with pytest.raises(NotUsableError, match=why) as refused:
        use(checkpoint)
    assert "\n" not in str(refused.value)
    assert read_records(checkpoint.parent) == ({} if "ema/data is not" not in why else {7: RECORD})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is not JSON"),
        (b"[]", "it has no checksum"),
        (b"3", "it has no checksum"),
        (b'{"sha256": {}}', "its format is None"),
        (b'{"a": 1, "a": 2}', "the name 'a' occurs twice"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
        (b"[" * 900 + b"]" * 900, "it is nested more than 100 deep"),
        (b"[" * 90_000 + b"]" * 90_000, "it is nested more than 100 deep"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "it is nested more than 100 deep"),
        (b"1" * 10_000, "it has a number of 10000 digits"),
        (b'{"a": "\\ud800"}', "it has invalid characters"),
        (b" " * (2**24 + 1), "it has 16,777,217 bytes"),
    ],
)
def test_a_manifest_that_is_none_is_refused(checkpoint, data, why):
    (checkpoint / "manifest.json").write_bytes(data)
    with pytest.raises(NotUsableError, match=why):
        read_manifest(checkpoint)


def test_only_regular_files_inside_the_checkpoint_are_read(checkpoint, tmp_path):
    data, sums = (
        pathlib.Path(checkpoint / "ema" / "data"),
        json.loads((checkpoint / "manifest.json").read_text())["files"],
    )
    secret = tmp_path / "elsewhere"
    secret.write_text("ema")  # as the manifest says
    for target, why in ((secret, "leads out of the checkpoint"), ("/dev/zero", "leads out")):
        data.unlink()
        data.symlink_to(target)
        with pytest.raises(NotUsableError, match=f"ema/data cannot be read: .*{why}"):
            use(checkpoint)
    data.unlink()
    os.mkfifo(data)
    with pytest.raises(NotUsableError, match="ema/data cannot be read: it is not a regular file"):
        use(checkpoint)
    data.unlink()
    (checkpoint / "ema" / "kept").write_text("ema")
    data.symlink_to("kept")  # a link that stays inside
    tamper(checkpoint, ("files", "ema/kept"), sums["ema/data"])
    use(checkpoint)
    os.mkfifo(checkpoint / "state" / "more")
    with pytest.raises(NotUsableError, match=r"state/more is not in manifest\.json"):
        use(checkpoint)


@pytest.mark.parametrize("target", ["/dev/zero", "fifo", "folder"])
def test_a_manifest_is_a_regular_file(checkpoint, tmp_path, target):
    (checkpoint / "manifest.json").unlink()
    if target == "fifo":
        os.mkfifo(checkpoint / "manifest.json")
    elif target == "folder":
        (checkpoint / "manifest.json").mkdir()
    else:
        pathlib.Path(checkpoint / "manifest.json").symlink_to(target)
    with pytest.raises(NotUsableError, match=r"manifest\.json cannot be read: it (is not a regular file|leads out)"):
        read_manifest(checkpoint)


def test_the_best_of_strange_scores_is_found(checkpoint):
    records = {1: {"metrics": {"f": float("nan")}}, 2: {"metrics": {"f": 2}}, 3: {"metrics": {}}}
    assert best_step(records, "f", "min") == 2


LINE = b'{"step": 8, "images": 64, "time": 1.5, "scalars": {"loss": 0.5, "gap": "NaN"}}\n'


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 900 + b"]" * 900 + b"\n",
        b'{"step": "8", "images": 64, "time": 1.5, "scalars": {}}\n',
        b'{"step": 8, "images": null, "time": 1.5, "scalars": {}}\n',
        b'{"step": 8, "images": 64, "time": 1.5, "scalars": {"loss": "much"}}\n',
        b'{"step": 8, "images": 64, "time": 1.5, "scalars": {"loss": [1]}}\n',
        b'{"step": 8, "images": 64, "time": 1.5, "scalars": 3}\n',
        b'{"step": 8, "images": 64, "time": 1.5, "scalars": {"\xff": 1}}\n',
        b"3\n",
    ],
)
def test_a_line_of_scalars_that_no_run_wrote_is_left_out(tmp_path, line):
    path = tmp_path / "scalars.jsonl"
    path.write_bytes(LINE + line + LINE)
    assert [each["step"] for each in read_scalars(path)] == [8, 8]
    drop_after(path, None)
    assert path.read_bytes() == LINE * 2


def test_scalars_of_a_device_are_a_clear_mistake(tmp_path):
    (tmp_path / "scalars.jsonl").symlink_to("/dev/zero")
    with pytest.raises(UserError, match=r"scalars\.jsonl cannot be read: it is a device or a pipe"):
        read_scalars(tmp_path / "scalars.jsonl")


def refuses(folder, text):
    """Whether a manifest of this text is refused; whatever else happens is a failure."""
    (folder / "manifest.json").write_text(text)
    try:
        use(folder)
    except NotUsableError:
        return True
    return False


@pytest.mark.slow
def test_a_thousand_mutants_of_a_manifest_are_read_or_refused(checkpoint):
    whole = json.loads((checkpoint / "manifest.json").read_text())
    path = checkpoint / "manifest.json"
    changed = [fit(each) if isinstance(each, dict) else json.dumps(each) for each in changed_values(whole, 1000)]
    reported = read_mutants(lambda _: use(checkpoint), [path.read_bytes()], path, refusals=NotUsableError)
    assert reported["refused"] > 900
    assert sum(refuses(checkpoint, text) for text in changed) > 500


@pytest.mark.slow
def test_a_thousand_mutants_whose_checksum_was_made_to_fit(checkpoint):
    """Of the bytes before the checksum, which is then taken of what they have become."""
    whole = {
        key: value for key, value in json.loads((checkpoint / "manifest.json").read_text()).items() if key != "sha256"
    }
    contents = []
    for mutant in mutants([json.dumps(whole).encode()], 1000):
        with contextlib.suppress(ValueError):
            contents.append(json.loads(mutant))
    assert len(contents) > 100
    refused = sum(refuses(checkpoint, fit(each)) for each in contents if isinstance(each, dict))
    assert refused > 50


@pytest.mark.slow
def test_a_thousand_mutants_of_scalars_are_read(tmp_path):
    path = tmp_path / "scalars.jsonl"
    for index, mutant in enumerate(mutants([LINE * 3], 1000)):
        path.write_bytes(mutant)
        assert len(read_scalars(path)) <= 9, index
        drop_after(path, 8)
