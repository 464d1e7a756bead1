"""Films that are reduced to be scored on."""

import av
import numpy as np
import pytest

from benchmarks import reduced_film


def written(path, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "bgr0"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))


def test_each_pixel_is_the_mean_of_a_square(tmp_path, monkeypatch, capsys):
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 33, 3), np.uint8)
    written(tmp_path / "film.mkv", frames)
    given = ["--input", str(tmp_path / "film.mkv"), "--output", str(tmp_path / "new" / "small.mkv")]
    monkeypatch.setattr("sys.argv", ["reduced_film", *given])
    assert reduced_film.main() == 0
    assert capsys.readouterr().out == "3 frames\n"
    with av.open(str(tmp_path / "new" / "small.mkv")) as film:
        made = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)])
    expected = np.rint(frames[:, :, :32].reshape(3, 10, 2, 16, 2, 3).mean(axis=(2, 4)))
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--factor", "0"], "--factor: got 0, expected 1 or more"),
        (["--factor", "50"], "--factor: got 50, expected at most the shorter side"),
        (["--output", "small.mp4"], "expected a name that ends with .mkv"),
        (["--input", "none.avi"], "none.avi"),
        (["--output", "film.mkv"], "film.mkv: got an existing file"),
    ],
)
def test_a_mistake_is_one_line(options, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "film.mkv", np.zeros((1, 20, 32, 3), np.uint8))
    monkeypatch.setattr("sys.argv", ["reduced_film", "--input", "film.mkv", "--output", "small.mkv", *options])
    assert reduced_film.main() == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert words in told
    assert [path.name for path in tmp_path.iterdir()] == ["film.mkv"]
