"""What users of other tools complain of, through `--mode=apply`: the rest is in tests/media."""

import json
import subprocess
import sys
import textwrap

import av
import jax
import numpy as np
import pytest
from filming import frames_of, make, moving, packaged, patches, yuv_frame

from jaxgan.errors import FINISHED, MISTAKE
from jaxgan.inference.restorer import Restorer

SAME = Restorer(lambda x: x, 1, 3, 3, "nothing", 0)
SHIFTED = Restorer(jax.jit(lambda x: np.float32(0.5) * (x + x[:, :, ::-1])), 1, 3, 3, "nothing", None)


def test_the_first_frame_of_a_shot_is_that_of_the_shot_alone(tmp_path, apply):
    film = packaged("bikes")  # with a cut at frame 30, 1.2 s
    for name, start in (("whole", 0), ("shot", 1.2)):
        options = {"start": start, "end": 1.32, "codec": "ffv1"}
        assert apply(SHIFTED, film, tmp_path / f"{name}.mkv", **options) == FINISHED
    (times, whole), (_, shot) = frames_of(tmp_path / "whole.mkv"), frames_of(tmp_path / "shot.mkv")
    assert len(times) == 33
    np.testing.assert_array_equal(whole[30:], shot)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize(("matrix", "shares"), [(6, (0.299, 0.114)), (1, (0.2126, 0.0722))])  # BT.601 and BT.709
def test_colours_come_out_as_they_went_in(matrix, shares, full, tmp_path, apply):
    """The levels that are stored, and the tags that say what they mean; an untagged film gets those of BT.601."""
    planes = patches(*shares, full)

    def tag(stream):
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full else 1

    kinds = {"tagged": tag} if full or matrix == 1 else {"tagged": tag, "untagged": lambda stream: None}
    for name, setup in kinds.items():
        film = make(tmp_path / "film.mkv", [yuv_frame(planes, "yuv444p")] * 2, "ffv1", "yuv444p", setup=setup)
        assert apply(SAME, film, tmp_path / f"{name}.mp4") == FINISHED
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            frame = next(container.decode(video=0))
        assert (frame.format.name.replace("j", ""), frame.colorspace, frame.color_range) == (
            "yuv444p",
            matrix,
            1 + full,
        )
        levels = frame.reformat(format="yuv444p", dst_color_range=1 + full).to_ndarray().astype(float)
        assert np.abs(levels - planes)[:, :, 3::8].max() <= 2  # the middle of each column


def test_what_stands_still_stays_so(tmp_path, apply):
    film = make(tmp_path / "film.mkv", np.repeat(moving(1), 20, axis=0), codec="ffv1", pixels="bgr0")
    assert apply(SHIFTED, film, tmp_path / "out.mkv", codec="ffv1", batch_size=3) == FINISHED
    _, frames = frames_of(tmp_path / "out.mkv")
    np.testing.assert_array_equal(frames, frames[:1].repeat(20, axis=0))


def test_paths_that_are_none(tmp_path, apply, capsys):
    for given in ("nothing.mp4", "*.mp4"):
        assert apply(SHIFTED, tmp_path / given, tmp_path / "out.mp4") == MISTAKE
        error = capsys.readouterr().err
        assert "expected a file, a folder with files or a pattern" in error
        assert error.count("\n") == 1


MEASURED = """
    import json, resource, sys, threading, time
    from pathlib import Path

    import jax
    import numpy as np
    import jaxgan.commands.apply as apply
    from jaxgan.main import main
    from jaxgan.models.srvgg import Generator
    from jaxgan.inference.restorer import Restorer

    network = Generator(channels=3, scale=4, base_width=16, convs=4)
    params = jax.jit(lambda: network.init(jax.random.key(0), np.zeros((1, 36, 64, 3), np.float32), None, train=False))()
    enlarge = jax.jit(lambda x: network.apply(params, x, None, train=False))
    apply.load_pretrained = lambda name: Restorer(enlarge, 4, 3, 3, "films", network.receptive_field)
    folder, largest = Path(sys.argv[1]), 0


    def watch():
        global largest
        while True:
            sizes = [each.stat().st_size for each in folder.rglob("*") if each.is_file()]
            largest = max(largest, sum(sizes))
            time.sleep(0.02)


    threading.Thread(target=watch, daemon=True).start()
    status = main(["--mode=apply", "--pretrained=x", f"--input={sys.argv[2]}", f"--output={folder / 'out.mp4'}"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"status": status, "peak": peak, "disk": largest}, allow_nan=False))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_film_and_the_disk_holds_it_less_than_thrice(tmp_path):
    script, peaks = tmp_path / "script.py", {}
    script.write_text(textwrap.dedent(MEASURED))
    for count in (300, 3000):
        film = make(tmp_path / f"{count}.mp4", np.resize(moving(300), (count, 36, 64, 3)), sound=count / 25)
        folder = tmp_path / f"out{count}"
        folder.mkdir()
        run = subprocess.run([sys.executable, script, folder, film], capture_output=True, text=True, check=True)
        told = json.loads(run.stdout.splitlines()[-1])
        assert told["status"] == FINISHED
        assert len(frames_of(folder / "out.mp4")[0]) == count
        assert told["disk"] < 3 * (folder / "out.mp4").stat().st_size
        peaks[count] = told["peak"]
    assert peaks[3000] <= 1.1 * peaks[300], peaks
