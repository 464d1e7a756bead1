"""`--mode=sample` of a model that makes clips of any length: films, and walks over content or motion."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import jaxgan
from jaxgan.building.assemble import fill_in, make_task
from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.config.run import DataConfig, RunConfig, to_json
from jaxgan.data.sources import DataSpec
from jaxgan.errors import FINISHED, MISTAKE
from jaxgan.fields import picture_fields
from jaxgan.game import State
from jaxgan.main import main
from jaxgan.media.grids import make_film, make_grid
from jaxgan.media.images import to_uint8

FRAMES, SIDE = 4, 8


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """The workdir of a model of clips as it is before training, but with louder weights: its frames differ."""
    path = tmp_path_factory.mktemp("films") / "run"
    config = RunConfig(
        networks={
            "generator": {
                "name": "video.Frames",
                "backbone": {"name": "dcgan.Generator", "widths": (8,)},
                "motion": {"name": "motion_codes.Convolved", "dim": 4, "every": 2.0, "kernel_sizes": (3,)},
            },
            "discriminator": {
                "name": "video.Clips",
                "backbone": {"name": "dcgan.Discriminator", "widths": (8,), "norm": "none"},
                "pixels": 4,
            },
        },
        task={
            "name": "video.VideoGeneration",
            "frames_seen": 2,
            "adversary": {"loss": "adversarial.non_saturating"},
            "latent_dim": 6,
        },
        optimizers={},
        data=DataConfig("dots"),
        compilation_cache=False,
        images=1,
    )
    fields = picture_fields(SIDE, SIDE, 1, frames=FRAMES)
    config = fill_in(config, DataSpec("dots", "train", 9, fields, "0" * 8))
    batch = {"image": jnp.zeros((2, FRAMES, SIDE, SIDE, 1))}
    params, variables = jax.jit(make_task(config).init)(jax.random.key(0), batch)
    params = jax.tree.map(lambda each: 6 * each, params)
    zero = jnp.int32(0)
    state = State(zero, zero, zero, zero, zero, zero, params, variables, {}, params, variables, {})
    path.mkdir()
    (path / "config.json").write_text(to_json(config))
    with Checkpoints(path / "checkpoints", config={}) as checkpoints:
        checkpoints.save(state, step=0, images=0, metrics={})
    return path


def sample(workdir, **options):
    return main(["--mode=sample", f"--workdir={workdir}", *(f"--{name}={value}" for name, value in options.items())])


def shown(path):
    """The frames of a GIF, grey."""
    frames = []
    with Image.open(path) as film:
        for index in range(film.n_frames):
            film.seek(index)
            frames.append(np.asarray(film.convert("L")))
    return np.stack(frames)


def test_a_film_of_any_length_shows_all_samples_side_by_side(films, tmp_path, capsys):
    options = {"kind": "videos", "count": 3, "frames": 10, "seed": 5}
    assert sample(films, **options, output=tmp_path / "walk.gif") == FINISHED
    assert "--frames=10: longer than the 4 frames of the clips in training" in capsys.readouterr().out
    clips = jaxgan.load(films).retimed(10).generate(5, 3)
    assert clips.shape == (3, 10, SIDE, SIDE, 1)
    film = make_film(clips, columns=2)[..., 0]
    assert np.abs(np.diff(film.astype(int), axis=0)).max() > 20
    np.testing.assert_array_equal(shown(tmp_path / "walk.gif"), film)
    assert b"trainedAlgorithmicMedia" in (tmp_path / "walk.gif").read_bytes()

    av = pytest.importorskip("av")
    assert sample(films, **options, output=tmp_path / "walk.mp4") == FINISHED
    with av.open(str(tmp_path / "walk.mp4")) as file:
        frames = np.stack([frame.to_ndarray(format="gray") for frame in file.decode(video=0)])
    assert np.abs(frames - film.astype(float)).mean() < 2
    assert sample(films, kind="videos", count=1) == FINISHED
    with av.open(str(films / "samples" / "videos-0.mp4")) as file:
        assert len([*file.decode(video=0)]) == FRAMES
    assert "longer" not in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize("over", ["content", "motion"])
def test_a_walk_changes_one_and_keeps_the_other(films, tmp_path, over):
    model = jaxgan.load(films)
    latents, motion = model.latents(0, 2), model.given(0, 2)["motion"]
    contents, motions = ([0, 1], [0, 0]) if over == "content" else ([0, 0], [0, 1])
    ends = model.synthesize(latents[np.array(contents)], given={"motion": motion[motions]})
    first, last = to_uint8(ends)
    options = {"kind": "interpolate", "count": 3, "over": over}
    assert sample(films, **options, output=tmp_path / "strip.png") == FINISHED
    strip = np.asarray(Image.open(tmp_path / "strip.png"))
    rows = [make_grid(each[None], columns=1)[..., 0] for each in (first, last)]
    height = len(rows[0])
    np.testing.assert_array_equal(strip[:height], rows[0])
    np.testing.assert_array_equal(strip[-height:], rows[1])
    middle = strip[height - 2 : -height + 2].astype(int)
    assert min(np.abs(middle - row).max() for row in rows) > 5
    assert sample(films, **options, output=tmp_path / "walk.gif") == FINISHED
    film = shown(tmp_path / "walk.gif")
    assert film.shape == (FRAMES, height, 2 + 3 * 66)
    np.testing.assert_array_equal(film[1, :, :68], make_grid(first[1:2], columns=1)[..., 0])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"kind": "videos", "frames": 0}, "--frames: got 0, expected 1 to 100000"),
        ({"kind": "videos", "frames": "-3"}, "--frames: got -3, expected 1 to 100000"),
        ({"kind": "grid", "frames": "two"}, "--frames: got 'two', expected a whole number"),
        ({"kind": "videos", "output": "x.png"}, "expected one of .gif, .webp, .mp4"),
        ({"kind": "interpolate", "over": "style"}, "--over: got 'style', expected content or motion"),
        ({"kind": "videos", "over": "motion"}, "--over: applies to --kind=interpolate only"),
        ({"kind": "mixing"}, "--kind: got 'mixing', but this model makes clips"),
    ],
)
def test_what_does_not_fit_is_one_line(films, capsys, options, why):
    assert sample(films, **options) == MISTAKE
    told = capsys.readouterr().err
    assert why in told
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("options", [{"kind": "videos"}, {"frames": 8}, {"kind": "interpolate", "over": "content"}])
def test_a_model_of_pictures_says_what_to_do_instead(runs, capsys, options):
    assert sample(runs["dcgan"], **options) == MISTAKE
    why = "this model makes pictures, not clips; --kind=interpolate makes a film of a walk"
    assert why in capsys.readouterr().err
