"""Scalars and events of a run."""

import io
import json
import math
import os

import numpy as np
import pytest
from PIL import Image

from jaxgan.reporting.writer import Writer, read_scalars


def strict(text):
    """JSON as the standard has it: no NaN."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def events(folder):
    """The scalars in the event files of a folder, as {name: [(step, value), ...]}, and the files of images."""
    from tensorboardX.proto.event_pb2 import Event

    scalars, images = {}, {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            event, data = Event.FromString(data[12 : 12 + length]), data[16 + length :]
            for value in event.summary.value:
                if value.HasField("image"):
                    images[value.tag] = value.image.encoded_image_string
                else:
                    scalars.setdefault(value.tag, []).append((event.step, value.simple_value))
    return scalars, images


def test_each_write_is_a_line_that_is_there_at_once(tmp_path):
    with Writer(tmp_path / "run", tensorboard=False) as writer:
        writer.write(1, 64, {"generator/loss": 0.5, "generator/grad_norm": np.float32(2.0)})
        writer.write(2, 128, {"generator/loss": 0.25})
        lines = (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    first, second = (strict(line) for line in lines)
    assert set(first) == {"step", "images", "time", "scalars"}
    assert (first["step"], first["images"]) == (1, 64)
    assert first["scalars"] == {"generator/loss": 0.5, "generator/grad_norm": 2.0}
    assert second["time"] >= first["time"] > 1.6e9
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["scalars.jsonl"]


def test_nan_and_infinities_are_valid_json_and_come_back(tmp_path):
    with Writer(tmp_path, tensorboard=False) as writer:
        writer.write(1, 1, {"a": math.nan, "b": math.inf, "c": -math.inf})
    strict((tmp_path / "scalars.jsonl").read_text())
    (line,) = read_scalars(tmp_path / "scalars.jsonl")
    assert math.isnan(line["scalars"]["a"])
    assert (line["scalars"]["b"], line["scalars"]["c"]) == (math.inf, -math.inf)


def write_steps(folder, steps, **kwargs):
    with Writer(folder, **kwargs) as writer:
        for step in steps:
            writer.write(step, 10 * step, {"x": float(step)})


def steps_of(path):
    return [line["step"] for line in read_scalars(path)]


def test_resuming_drops_what_comes_after_and_goes_on(tmp_path):
    write_steps(tmp_path, range(1, 6), tensorboard=False)
    write_steps(tmp_path, [4, 5], tensorboard=False, resume_at=3)
    path = tmp_path / "scalars.jsonl"
    assert steps_of(path) == [1, 2, 3, 4, 5]
    assert len(path.read_text().splitlines()) == 5
    write_steps(tmp_path, [6], tensorboard=False)
    assert steps_of(path) == [1, 2, 3, 4, 5, 6], "without resume_at everything is kept"


@pytest.mark.parametrize("torn", ['{"step": 3, "ima', '{"step": 3, "images": 30, "time": 1.0, "scalars": {}}', "{}"])
def test_a_truncated_last_line_is_skipped(tmp_path, torn):
    write_steps(tmp_path, [1, 2], tensorboard=False)
    path = tmp_path / "scalars.jsonl"
    path.write_text(path.read_text() + torn)
    assert steps_of(path) == [1, 2]
    write_steps(tmp_path, [3], tensorboard=False)
    assert steps_of(path) == [1, 2, 3]
    assert len(path.read_text().splitlines()) == 3


def test_lines_undone_by_a_rollback_are_not_read(tmp_path):
    write_steps(tmp_path, [1, 2, 3, 3, 4, 2, 2, 3], tensorboard=False)
    assert steps_of(tmp_path / "scalars.jsonl") == [1, 2, 2, 3]
    assert len((tmp_path / "scalars.jsonl").read_text().splitlines()) == 8, "but it stays in the file"


def test_no_file_has_no_scalars(tmp_path):
    assert read_scalars(tmp_path / "scalars.jsonl") == []


def test_tensorboard_events_hold_scalars_and_pictures(tmp_path):
    with Writer(tmp_path) as writer:
        writer.write(1, 64, {"generator/loss": 0.5})
        writer.write(2, 128, {"generator/loss": math.nan})
        writer.write_images(2, "samples", np.zeros((4, 6, 1), np.uint8))
        writer.write_images(2, "colour", np.zeros((4, 6, 3), np.uint8))
    scalars, images = events(tmp_path / "tensorboard")
    assert scalars["generator/loss"][0] == (1, 0.5)
    assert math.isnan(scalars["generator/loss"][1][1])
    assert images.keys() == {"samples", "colour"}


def test_tensorboard_events_hold_films_that_move(tmp_path):
    film = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.full((1, 4, 6, 1), 50, np.uint8)
    with Writer(tmp_path) as writer:
        writer.write_images(2, "film", film)
    _, images = events(tmp_path / "tensorboard")
    with Image.open(io.BytesIO(images["film"])) as picture:
        assert picture.n_frames == 3
        for index, frame in enumerate(film):
            picture.seek(index)
            np.testing.assert_array_equal(np.asarray(picture.convert("L")), frame[..., 0])


def test_two_writers_within_a_second_keep_each_others_events(tmp_path):
    write_steps(tmp_path, [1, 2])
    write_steps(tmp_path, [2, 3], resume_at=1)
    scalars, _ = events(tmp_path / "tensorboard")
    assert len(os.listdir(tmp_path / "tensorboard")) == 2
    assert sorted(scalars["x"]) == [(1, 1.0), (2, 2.0), (2, 2.0), (3, 3.0)]


def test_other_processes_write_nothing(tmp_path):
    writer = Writer(tmp_path / "run", enabled=False)
    writer.write(1, 64, {"x": 1.0})
    writer.write_images(1, "samples", np.zeros((4, 4, 1), np.uint8))
    writer.close()
    assert not (tmp_path / "run").exists()
