"""Kinds of `--mode=sample` that judge a generator, on networks that were never trained."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from PIL import Image

from jaxgan.commands import sample
from jaxgan.config.run import from_json
from jaxgan.errors import FINISHED, UserError
from jaxgan.inference.model import load


def draw(workdir, features="auto", **options):
    config = from_json((workdir / "config.json").read_text())
    config = dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, features=features))
    return sample.run(config, str(workdir), {name: str(value) for name, value in options.items()})


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("family", ["dcgan", "stylegan2"])
@pytest.mark.parametrize("kind", ["grid", "interpolate"])
def test_truncation_changes_what_is_drawn(runs, tmp_path, family, kind):
    suffix = {"grid": "png", "interpolate": "gif"}[kind]
    whole, cut = tmp_path / f"whole.{suffix}", tmp_path / f"cut.{suffix}"
    options = {"kind": kind, "count": 4, **({"labels": 1} if family == "dcgan" else {})}
    assert draw(runs[family], output=whole, **options) == FINISHED
    assert draw(runs[family], output=cut, truncation=0.3, **options) == FINISHED
    assert pixels(whole).shape == pixels(cut).shape
    assert (pixels(whole) != pixels(cut)).any()


def test_no_truncation_leaves_one_image(runs):
    for run in runs.values():
        generator = load(run)
        labels = np.zeros(5, int) if generator.num_classes else None
        images = generator.generate(0, 5, labels, truncation=0.0)
        np.testing.assert_allclose(images, np.broadcast_to(images[:1], images.shape), atol=1e-6)
        assert np.ptp(generator.generate(0, 5, labels), axis=0).max() > 1e-3
        with pytest.raises(UserError, match="truncation: got -1, expected 0 or more"):
            generator.generate(0, 5, labels, truncation=-1)


def test_a_latent_and_its_style_are_one_image(runs):
    generator = load(runs["stylegan2"])
    latents = generator.latents(3, 4)
    styles = generator.styles(latents, truncation=0.7)
    direct = generator.synthesize(latents, truncation=0.7)
    np.testing.assert_allclose(generator.synthesize_styles(styles), direct, atol=1e-5)
    decode, weights = generator.decoder()
    np.testing.assert_allclose(jax.jit(decode)(weights, styles[:, 0]), direct, atol=1e-5)


def test_styles_are_mixed_at_the_crossover(runs, tmp_path):
    output = tmp_path / "mixed.png"
    generator = load(runs["stylegan2"])
    assert draw(runs["stylegan2"], kind="mixing", count=2, crossover=1, output=output) == FINISHED
    picture = pixels(output)
    styles = generator.styles(generator.latents(0, 4))
    # second column's coarse style, first row's fine ones
    mixed = generator.synthesize_styles(np.concatenate([styles[1, :1], styles[2, 1:]])[None])[0, ..., 0]
    tile = picture[2 + 66 : 2 + 66 + 64 : 8, 2 + 2 * 66 : 2 + 2 * 66 + 64 : 8].astype(float)
    np.testing.assert_allclose(tile, np.clip(mixed * 127.5 + 127.5, 0, 255), atol=1.0)
    assert picture[2:66, 2:66].min() == 255  # the corner is empty


def test_neighbours_of_noise_are_not_copies(runs, tmp_path, capsys):
    output = tmp_path / "pairs.png"
    assert draw(runs["dcgan"], kind="neighbours", count=40, output=output) == FINISHED
    told = capsys.readouterr().out
    report = json.loads((tmp_path / "pairs.json").read_text())
    assert report["verdict"] in told
    assert report["verdict"].startswith("not memorised")
    assert report["features"].startswith("classifier-")
    assert len(report["distances"]) == 40
    assert len(report["held_out_distances"]) > 100
    assert pixels(output).shape[0] > 8 * 64


def test_a_sweep_of_truncation_is_a_table_and_a_plot(runs, tmp_path, capsys):
    output = tmp_path / "sweep.png"
    assert draw(runs["stylegan2"], kind="truncation", count=32, truncation="0.7,0.3", output=output) == FINISHED
    table = json.loads((tmp_path / "sweep.json").read_text())
    assert [row["truncation"] for row in table["scores"]] == [0.3, 0.7, None]
    assert all({"frechet", "precision", "recall"} <= row.keys() for row in table["scores"])
    assert table["scores"][0]["frechet"] != table["scores"][2]["frechet"]
    assert len(capsys.readouterr().out.splitlines()) == 5
    assert min(pixels(output).shape[:2]) > 200


def test_without_labels_pixels_are_compared_and_recall_is_swept(runs, tmp_path):
    run, options = runs["dcgan"], {"features": "patches", "count": 20}
    assert draw(run, kind="neighbours", output=tmp_path / "pairs.png", **options) == FINISHED
    assert json.loads((tmp_path / "pairs.json").read_text())["features"] == "pixels"
    assert draw(run, kind="truncation", output=tmp_path / "sweep.png", truncation=0.5, **options) == FINISHED
    rows = json.loads((tmp_path / "sweep.json").read_text())["scores"]
    assert [set(row) for row in rows] == [{"truncation", "swd", "recall"}] * 2


@pytest.mark.parametrize(
    ("family", "options", "words"),
    [
        ("dcgan", {"kind": "mixing"}, "--kind=mixing: got a generator without styles"),
        ("stylegan2", {"kind": "mixing", "crossover": 4}, "--crossover: got 4, expected 1 to 3 of 4 layers"),
        ("dcgan", {"kind": "grid", "crossover": 1}, "applies to --kind=mixing only"),
        ("dcgan", {"kind": "grid", "truncation": "0.5,0.7"}, "expected one number"),
        ("dcgan", {"kind": "grid", "truncation": "much"}, "such as 0.7"),
        ("dcgan", {"kind": "truncation", "count": 3}, "--count: got 3, expected 4 or more"),
    ],
)
def test_a_wish_that_does_not_fit_is_one_line(runs, family, options, words):
    with pytest.raises(UserError, match=words.replace("(", r"\(")):
        draw(runs[family], **options)
