"""Initial weights by family: their published standard deviations, with the sources."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models import dcgan, patchgan, progan, r3gan, resnet, srresnet, srvgg, unet

KEY = jax.random.key(0)
IMAGE, LATENT = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 64))


def he(shape, gain=1.0):
    """The standard deviation of He et al. 2015 before a ReLU."""
    return gain * np.sqrt(2 / np.prod(shape[:-1]))


def glorot(shape, gain=1.0):
    """Glorot & Bengio 2010, eq. 16."""
    area = np.prod(shape[:-2])
    return gain * np.sqrt(2 / (area * (shape[-1] + shape[-2])))


CASES = {  # network, its input, the path of a kernel, its deviation from its shape, source
    "dcgan_generator": (dcgan.Generator(32, 3), LATENT, "up_0/kernel", lambda _: 0.02, "Radford et al. 2015, 4"),
    "dcgan_discriminator": (dcgan.Discriminator(32), IMAGE, "down_1/kernel", lambda _: 0.02, "Radford et al. 2015, 4"),
    "patchgan": (patchgan.Discriminator(16), IMAGE, "conv_2/kernel", lambda _: 0.02, "Isola et al. 2017, 6.2"),
    "pix2pix": (unet.Translator(3, 16, 5), IMAGE, "down_2/kernel", lambda _: 0.02, "Isola et al. 2017, 6.2"),
    "sngan": (
        resnet.Generator(32, 3, base_width=8),
        LATENT,
        "block_1/conv_0/kernel",
        lambda shape: glorot(shape, np.sqrt(2)),
        "Miyato et al. 2018, code",
    ),
    "sngan_shortcut": (
        resnet.Generator(32, 3, base_width=8),
        LATENT,
        "block_1/shortcut/kernel",
        glorot,
        "Miyato et al. 2018, code",
    ),
    "r3gan_head": (r3gan.Discriminator(8, base_width=512), IMAGE[:, :8, :8], "basis", lambda _: 1 / 4, "code"),
    "srresnet": (
        srresnet.Generator(3, blocks=1),
        IMAGE,
        "block_0/conv_0/kernel",
        lambda shape: he(shape, 0.1),
        "Wang et al. 2018, 3.1",
    ),
    "srvgg": (
        srvgg.Generator(3, convs=1),
        IMAGE,
        "conv_0/kernel",
        lambda shape: he(shape, (1 + 0.25**2) ** -0.5),
        "He et al. 2015, eq. 15",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_kernels_start_with_the_published_deviation(name):
    network, inputs, path, deviation, source = CASES[name]
    kernel = jax.jit(lambda: network.init(KEY, inputs, None, train=False)["params"])()
    for part in path.split("/"):
        kernel = kernel[part]
    assert kernel.size > 1_000
    np.testing.assert_allclose(kernel.std(), deviation(kernel.shape), rtol=0.06, err_msg=source)
    assert abs(kernel.mean()) < 4 * kernel.std() / np.sqrt(kernel.size)


def test_progans_stem_has_a_quarter_of_the_others_gain():
    """Karras et al. 2018, code: a gain of sqrt(2) / 4 where the others have sqrt(2)."""
    network = progan.Generator(8, 3, max_width=64)
    latent = jax.random.normal(jax.random.key(1), (64, 64))
    tree = jax.jit(lambda: network.init(KEY, latent, None, train=False))()
    _, seen = network.apply(tree, latent, None, train=False, capture_intermediates=True)
    np.testing.assert_allclose(seen["intermediates"]["stem"]["__call__"][0].std(), 0.25, rtol=0.05)
