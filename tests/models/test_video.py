"""Clips by image networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from jaxgan.errors import UserError
from jaxgan.models import biggan, dcgan, mlp, r3gan, resnet, stylegan2, video
from jaxgan.models.motion_codes import Convolved

KEY = jax.random.key(0)
TINY = {"base_width": 4, "max_width": 8, "mapping_layers": 1}
STYLES = {**TINY, "style_dim": 8, "noise": False}
GENERATORS = {
    "dcgan": dcgan.Generator(16, 1, widths=(8, 4)),
    "dcgan_labels": dcgan.Generator(16, 1, 3, widths=(8, 4)),
    "stylegan2": stylegan2.Generator(16, 1, **STYLES),
    "r3gan": r3gan.Generator(16, 1, base_width=8),
}
DISCRIMINATORS = {
    "dcgan": dcgan.Discriminator(16, widths=(4, 8), norm="none"),
    "dcgan_labels": dcgan.Discriminator(16, 3, widths=(4, 8), norm="none"),
    "resnet": resnet.Discriminator(16, base_width=4),
    "biggan": biggan.Discriminator(16, base_width=4),
    "stylegan2": stylegan2.Discriminator(16, group_size=1, **TINY),
    "r3gan": r3gan.Discriminator(16, base_width=8),
}


def quick(families):
    """All of them; of each but DCGAN in the slow tests."""
    return [name if name == "dcgan" else pytest.param(name, marks=pytest.mark.slow) for name in families]


def frames(name):
    backbone = GENERATORS[name]
    network = video.Frames(backbone, Convolved(3), 16, 1, 4, backbone.num_classes)
    latent, noise = jax.random.normal(KEY, (2, 5)), jax.random.normal(KEY, (2, *network.noise_shape(40.0)))
    label = jnp.array([1, 2]) if backbone.num_classes else None

    def call(tree, time=None, noise=noise, latent=latent, **options):
        return np.asarray(network.apply(tree, latent, label, noise, time, train=False, **options))

    tree = jax.jit(lambda: network.init(KEY, latent, label, noise, None, train=False))()
    return network, tree, call


@pytest.mark.parametrize("name", quick(GENERATORS))
def test_each_frame_is_an_image_of_the_backbone(name):
    network, tree, call = frames(name)
    assert call(tree).shape == (2, 4, 16, 16, 1)
    backbone, latent = network.backbone, jax.random.normal(KEY, (2, 5))
    label = jnp.array([1, 2]) if backbone.num_classes else None
    own = {kind: trees["backbone"] for kind, trees in tree.items() if "backbone" in trees}
    time = jnp.array([[2.5], [7.0]])
    noise = jax.random.normal(KEY, (2, *network.noise_shape(40.0)))
    code = network.motion.apply({"params": tree["params"]["motion"]}, noise, time)[:, 0]
    if network.has_styles:
        style = backbone.apply(own, latent, label, train=False, method="map")
        image = backbone.apply(own, style, code, train=False, method="synthesize")
    else:
        image = backbone.apply(own, jnp.concatenate([latent, code], axis=-1), label, train=False)
    np.testing.assert_allclose(call(tree, time)[:, 0], image, atol=1e-5)
    moving = call(tree, jnp.array([[0.0, 5.0, 40.0]] * 2))
    assert np.abs(np.diff(moving, axis=1)).max(axis=(0, 2, 3, 4)).min() > 0


def test_a_longer_film_begins_as_a_shorter_one_and_shows_the_same_at_the_same_time():
    _, tree, call = frames("dcgan")
    long = call(tree, jnp.broadcast_to(jnp.arange(12.0), (2, 12)))
    np.testing.assert_allclose(long[:, :4], call(tree), atol=1e-6)
    slow = call(tree, jnp.broadcast_to(jnp.arange(8) / 2, (2, 8)))
    np.testing.assert_allclose(slow[:, ::2], call(tree), atol=1e-6)
    small = call(tree, jnp.broadcast_to(jnp.array([3.0, 3.001]), (2, 2)))
    assert np.abs(small[:, 1] - small[:, 0]).max() < 2e-3 * np.abs(long).max()


@pytest.mark.slow
def test_styles_are_of_the_content_and_are_truncated_in_all_frames():
    _, tree, call = frames("stylegan2")
    none = call(tree, truncation=0.0)
    other = call(tree, truncation=0.0, latent=jnp.ones((2, 5)))
    np.testing.assert_array_equal(none, other)
    assert np.abs(np.diff(none, axis=1)).max() > 0  # the motion stays


def test_a_shifted_film_is_one_image_of_the_backbone_in_all_its_frames():
    backbone = GENERATORS["dcgan_labels"]
    network = video.Shifted(backbone, Convolved(2), 16, 1, 4, 3)
    latent, noise = jax.random.normal(KEY, (2, 5)), jax.random.normal(KEY, (2, *network.noise_shape(40.0)))
    label = jnp.array([1, 2])
    tree = network.init(KEY, latent, label, noise, None, train=False)
    film = np.asarray(network.apply(tree, latent, label, noise, None, train=False))
    own = {kind: trees["backbone"] for kind, trees in tree.items() if "backbone" in trees}
    image = backbone.apply(own, latent, label, train=False)
    code = network.motion.apply({"params": tree["params"]["motion"]}, noise, jnp.arange(4.0)[None].repeat(2, axis=0))
    params = tree["params"]
    dense = lambda x, name: np.asarray(x @ params[name]["kernel"]) / np.sqrt(x.shape[-1])  # noqa: E731
    content = dense(latent, "content")
    content = np.where(content > 0, content, 0.2 * content) * np.sqrt(2)
    origin, reach = np.split(0.25 * dense(content, "place")[:, None], 2, axis=-1)
    shift = 16 / 6 * (origin + (1 + reach) * np.asarray(code))
    places = np.stack(np.meshgrid(np.arange(16.0), np.arange(16.0), indexing="ij"))
    for clip in range(2):
        for frame in range(4):
            moved = places - np.asarray(shift[clip, frame])[:, None, None]
            wanted = map_coordinates(np.asarray(image[clip, ..., 0]), moved, order=1, mode="nearest")
            np.testing.assert_allclose(film[clip, frame, ..., 0], wanted, atol=1e-5)
    assert np.abs(np.diff(shift, axis=1)).min() > 0


def test_shifted_pixels_are_means_over_their_areas():
    fine = np.random.default_rng(0).uniform(-1, 1, (1, 12, 12, 2)).astype(np.float32)
    shift = jnp.array([[[0.0, 0.0], [1.5, -2.0], [0.3, 0.8], [-9.0, 9.0]]])
    found = np.asarray(video.shifted(jnp.asarray(fine), shift, 4))[0]
    wide = np.pad(fine[0], ((60, 60), (60, 60), (0, 0)), mode="edge").repeat(10, axis=0).repeat(10, axis=1)
    for frame, (down, right) in zip(found, np.asarray(shift[0])):
        top, left = (round(600 - 30 * each) for each in (down, right))
        area = wide[top : top + 120, left : left + 120].reshape(4, 30, 4, 30, 2)
        np.testing.assert_allclose(frame, area.mean(axis=(1, 3)), atol=1e-5)


def clips(name, count=3, pixels=8, depth=1):
    backbone = DISCRIMINATORS[name]
    network = video.Clips(backbone, 16, backbone.num_classes, pixels=pixels, depth=depth)
    image = jax.random.uniform(KEY, (2, count, 16, 16, 1), minval=-1.0)
    label = jnp.array([1, 2]) if backbone.num_classes else None
    tree = jax.jit(lambda: network.init(KEY, image, label, None, train=False))()
    return tree, image, jax.jit(lambda image, time=None: network.apply(tree, image, label, time, train=False))


@pytest.mark.parametrize("name", quick(DISCRIMINATORS))
def test_clips_are_judged_by_all_frames_their_order_and_distances(name):
    tree, image, judge = clips(name)
    logits = judge(image).logits
    assert logits.shape == (2,)
    assert len(judge(image).features) == 2
    spaced = jnp.broadcast_to(jnp.array([0.0, 1.0, 2.0]), (2, 3))
    np.testing.assert_allclose(judge(image, spaced + 5.0).logits, logits, rtol=1e-5)  # only distances count
    for other in (judge(image[:, ::-1]), judge(image.at[:, 1].add(0.5)), judge(image, 3 * spaced)):
        assert np.abs(other.logits - logits).min() > 1e-6
    alone = judge(image.at[0].set(0.0)).logits
    np.testing.assert_allclose(alone[1], logits[1], rtol=1e-4)
    own = DISCRIMINATORS[name].init(KEY, image[:, 0], jnp.array([1, 2]), train=False)
    assert jax.tree.map(jnp.shape, tree["params"]["backbone"]) == jax.tree.map(jnp.shape, own["params"])


def test_frames_are_merged_at_maps_of_the_given_size():
    with pytest.raises(UserError, match="got pixels 16, expected one of 8, 4, the sizes of the maps"):
        clips("dcgan", pixels=16)
    assert clips("r3gan", pixels=16)[0]["params"]["meeting"]["conv"]["kernel"].shape == (3, 3, 24, 8)
    deep = clips("dcgan", pixels=4, depth=2)[0]["params"]["meeting"]
    assert [deep[name]["kernel"].shape for name in sorted(deep)] == [(3, 3, 24, 8), (3, 3, 8, 8)]


def test_only_shifted_films_accept_a_larger_backbone():
    latent, noise = jnp.zeros((2, 5)), jnp.zeros((2, 8, 3))
    with pytest.raises(UserError, match=r"got a backbone of 16 pixels, expected 8; video\.Shifted accepts larger ones"):
        video.Frames(GENERATORS["dcgan"], Convolved(3), 8, 1, 4).init(KEY, latent, None, noise, train=False)
    shifted = video.Shifted(GENERATORS["dcgan"], Convolved(2), 8, 1, 4)
    film = shifted.init_with_output(KEY, latent, None, noise[..., :2], train=False)
    assert film[0].shape == (2, 4, 8, 8, 1)
    with pytest.raises(UserError, match="got motion codes of 3 numbers, expected 2"):
        shifted.clone(motion=Convolved(3)).init(KEY, latent, None, noise, train=False)
    with pytest.raises(UserError, match="got a backbone of 16 pixels, expected 8"):
        video.Clips(DISCRIMINATORS["dcgan"], 8, pixels=4).init(KEY, jnp.zeros((2, 3, 8, 8, 1)), train=False)


def test_a_family_without_maps_between_stages_is_refused():
    network = video.Clips(mlp.Discriminator(), 16)
    with pytest.raises(UserError, match=r"got backbone mlp\.Discriminator, expected one that can merge frames"):
        network.init(KEY, jnp.zeros((2, 3, 16, 16, 1)), None, None, train=False)
