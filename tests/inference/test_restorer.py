"""Runs of restoration become restorers, between the weights of their two stages."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxgan.building.assemble import make_task
from jaxgan.checkpoints.checkpoint import Checkpoints
from jaxgan.config.run import DataConfig, RunConfig, to_json
from jaxgan.errors import FINISHED, UserError
from jaxgan.game import State
from jaxgan.inference.model import load
from jaxgan.inference.restorer import interpolate, load_pretrained
from jaxgan.main import main
from jaxgan.media.reading import read_picture
from jaxgan.weights import safetensors

STAGES = {4: 100, 8: 200}  # images seen by step; the first stage has 100


SRRESNET = {"name": "srresnet.Generator", "channels": 3, "scale": 2, "base_width": 4, "blocks": 1}
UNET = {"name": "unet.Generator", "channels": 3, "base_width": 4, "halvings": 2, "bottom": 1}


def make_run(path, *, generator=SRRESNET, adversarial_start=100, **task):
    config = RunConfig(
        networks={
            "generator": generator,
            "discriminator": {"name": "srresnet.Discriminator", "base_width": 4, "halvings": 1},
        },
        task={
            "name": "restoration.Restoration",
            "degradation": {"name": "degradations.Bicubic", "scale": 2},
            "content": ({"name": "reconstruction.l1"},),
            "adversary": {"loss": "adversarial.hinge"},
            "adversarial_start": adversarial_start,
            **task,
        },
        optimizers={},
        data=DataConfig("jaxgan_photographs", resolution=16),
        images=200,
    )
    path.mkdir()
    (path / "config.json").write_text(to_json(config))
    task, batch, zero = make_task(config), {"image": jnp.zeros((1, 16, 16, 3))}, jnp.int32(0)
    with Checkpoints(path / "checkpoints", keep=3, config={}) as checkpoints:
        for step, images in STAGES.items():
            params, variables = jax.jit(task.init)(jax.random.key(step), batch)
            state = State(zero, zero, zero, zero, zero, zero, params, variables, {}, params, variables, {})
            checkpoints.save(state, step=step, images=images, metrics={})
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("restoration") / "run")


def test_a_run_is_restored_with_its_degradation(run):
    restorer = load(run).restorer
    assert (restorer.scale, restorer.channels, restorer.condition_channels, restorer.masks) == (2, 3, 3, False)
    assert (
        restorer.receptive_field == 4 + 1 + 2 + 1 + 1 + 2
    )  # 9x9, 3x3, two of a block, 3x3, 3x3, 9x9 at twice the size
    assert "bicubic" in restorer.description
    assert restorer(np.zeros((2, 5, 7, 3), np.float32)).shape == (2, 10, 14, 3)
    assert restorer(np.zeros((1, 5, 7, 1), np.float32)).shape == (1, 10, 14, 1)


def test_strength_goes_from_the_first_stage_to_the_last(run):
    tile = np.random.default_rng(0).uniform(-1, 1, (1, 6, 6, 3)).astype(np.float32)
    first, last = (load(run, step=step).restorer(tile) for step in STAGES)
    np.testing.assert_allclose(load(run, strength=0.0).restorer(tile), first, atol=1e-6)
    np.testing.assert_array_equal(load(run).restorer(tile), last)
    half = load(run, strength=0.5).restorer(tile)
    assert np.abs(half - first).max() > 1e-3
    assert np.abs(half - last).max() > 1e-3
    trees = [{"a": np.array([1.0, 3.0])}, {"a": np.array([5.0, 3.0])}]
    assert interpolate(*trees, 0.25)["a"].tolist() == [2.0, 3.0]


def test_a_run_restores_files(run, tmp_path, capsys):
    Image.new("RGB", (9, 5), (200, 100, 50)).save(tmp_path / "a.png")
    flags = ["--mode=apply", f"--workdir={run}", f"--input={tmp_path / 'a.png'}", f"--output={tmp_path / 'b.png'}"]
    assert main([*flags, "--strength=0.5", "--checkpoint=latest"]) == FINISHED
    assert read_picture(tmp_path / "b.png").pixels.shape == (10, 18, 3)
    assert "images reduced 2 times" in capsys.readouterr().out


def test_a_run_degrades_clean_pictures_as_it_was_trained(run, tmp_path):
    clean, small = tmp_path / "clean.png", tmp_path / "small.png"
    pixels = np.random.default_rng(0).integers(0, 256, (10, 18, 3), np.uint8)
    Image.fromarray(pixels).save(clean)
    Image.fromarray(pixels).resize((9, 5), Image.Resampling.BICUBIC).save(small)
    restored = []
    for name, own in ((clean, ["--degrade=true"]), (small, [])):
        flags = ["--mode=apply", f"--workdir={run}", f"--input={name}", f"--output={tmp_path / 'restored.png'}"]
        assert main([*flags, *own]) == FINISHED
        restored.append(read_picture(tmp_path / "restored.png").pixels.astype(int))
    assert restored[0].shape == pixels.shape
    assert np.abs(restored[0] - restored[1]).max() <= 2  # of the small ones a few pixels are off by a level


def test_a_model_restores_an_image_of_any_size(run):
    model, image = load(run), np.random.default_rng(0).uniform(-1, 1, (60, 21, 3)).astype(np.float32)
    assert {name: str(field) for name, field in model.asks.items()} == {"condition": "pixels [?, ?, 3]"}
    assert {name: str(field) for name, field in model.gives.items()} == {"image": "pixels [?, ?, 3]"}
    whole = model(condition=image[None])["image"][0]
    assert whole.shape == (120, 42, 3)
    np.testing.assert_allclose(model.restore(image), whole, atol=1e-5)
    np.testing.assert_allclose(model.restore(image, tile=48), whole, atol=1e-4)  # tiles overlap by what it sees
    grey = model.restore(image[..., :1])
    np.testing.assert_allclose(grey, model.restorer(image[None, ..., :1])[0], atol=1e-6)
    assert [*load(run, "discriminator").asks] == ["image"]
    for call, words in (
        (
            lambda: model.generate(0, 1),
            "this model asks for 'condition' (pixels [?, ?, 3]), not for a latent: use restore",
        ),
        (lambda: model.restore(image[None]), "image: got shape (1, 60, 21, 3), expected (h, w, 1) or (h, w, 3)"),
        (lambda: model.restore(image, image[..., 0]), "mask: got one, but this model takes none"),
    ):
        with pytest.raises(UserError) as mistake:
            call()
        assert str(mistake.value) == words


def test_an_inpainter_fills_in_and_leaves_the_rest(tmp_path, capsys):
    made = make_run(tmp_path / "run", generator=UNET, degradation={"name": "degradations.Masks"})
    restorer = load(made).restorer
    assert (restorer.scale, restorer.condition_channels, restorer.masks, restorer.multiple) == (1, 3, True, 4)
    assert [*load(made).asks] == ["condition", "mask"]
    known = np.random.default_rng(1).uniform(-1, 1, (8, 12, 3)).astype(np.float32)
    holes = np.zeros((8, 12), bool)
    holes[2:5, 3:9] = True
    restored, other = (load(made).restore(image, holes) for image in (known, np.where(holes[..., None], 0.9, known)))
    np.testing.assert_allclose(restored[~holes], known[~holes], atol=1e-6)
    assert (restored[holes] != known[holes]).all()
    np.testing.assert_array_equal(restored, other)  # what lies under the mask is not seen
    with pytest.raises(UserError, match="mask: is missing: this model requires one"):
        load(made).restore(known)
    samples = np.random.default_rng(0).integers(0, 250, (21, 30, 3), dtype=np.uint8)
    samples[4:9, 6:12] = 0, 255, 0
    Image.fromarray(samples).save(tmp_path / "a.png")
    flags = ["--mode=apply", f"--workdir={made}", f"--input={tmp_path / 'a.png'}", f"--output={tmp_path / 'b.png'}"]
    assert main([*flags, "--mask_color=0,255,0", f"--compare={tmp_path / 'side.png'}"]) == FINISHED
    filled, hole = read_picture(tmp_path / "b.png").pixels, (samples == (0, 255, 0)).all(axis=2)
    np.testing.assert_array_equal(filled[~hole], samples[~hole])
    assert (filled[hole] != samples[hole]).any(axis=1).all()
    assert "holes" in capsys.readouterr().out
    shown = read_picture(tmp_path / "side.png").pixels
    assert not (shown == (0, 255, 0)).all(axis=2).any()  # it shows what the network has seen


def test_without_a_first_stage_there_is_no_strength(tmp_path):
    one = make_run(tmp_path / "one", adversarial_start=None)
    with pytest.raises(UserError, match="only one stage"):
        load(one, strength=0.5)
    late = make_run(tmp_path / "late", adversarial_start=50)
    with pytest.raises(UserError, match="no checkpoint of the first 50 images"):
        load(late, strength=0.5)


def test_other_directories_raise(tmp_path):
    with pytest.raises(UserError, match="expected the directory of a run"):
        load(tmp_path)


def test_weights_of_a_file_become_a_restorer(tmp_path):
    random = np.random.default_rng(0)
    shapes = {"conv_first": (4, 3), "conv_body": (4, 4), "conv_up1": (4, 4), "conv_up2": (4, 4), "conv_hr": (4, 4)}
    shapes["conv_last"] = (3, 4)
    for dense in (1, 2, 3):
        for index in range(1, 6):
            shapes[f"body.0.rdb{dense}.conv{index}"] = (2 if index < 5 else 4, 4 + 2 * (index - 1))
    tensors = {}
    for name, shape in shapes.items():
        tensors[f"{name}.weight"] = random.normal(0, 0.2, (*shape, 3, 3)).astype(np.float32)
        tensors[f"{name}.bias"] = np.zeros(shape[0], np.float32)
    safetensors.write(str(tmp_path / "tiny.safetensors"), tensors, {})
    restorer = load_pretrained(str(tmp_path / "tiny.safetensors"))
    assert (restorer.scale, restorer.channels, restorer.masks) == (4, 3, False)
    assert "does not say" in restorer.description
    tile = random.uniform(-1, 1, (1, 6, 5, 3)).astype(np.float32)
    image = restorer(tile)
    assert image.shape == (1, 24, 20, 3)
    assert image.std() > 0


def test_an_unknown_name_raises(tmp_path):
    with pytest.raises(UserError, match="name: got 'nothing', expected one of realesrgan_x4plus"):
        load_pretrained("nothing")
    with pytest.raises(UserError, match=r"missing.pth"):
        load_pretrained(str(tmp_path / "missing.pth"))
