"""Every published constant of the suite, with its source: a changed digit fails here.

Arguments are read from signatures, so a default that moves is found wherever it stands; what no signature shows is
measured. Configs are pinned as they are loaded. "Code" is the authors' released code or options.
"""

import importlib
import inspect
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.augment import blur_kernels, real_esrgan
from jaxgan.augment.ada import ADA
from jaxgan.augment.diffaugment import DiffAugment
from jaxgan.inference.projection import learning_rate
from jaxgan.layers import equalized
from jaxgan.layers.minibatch_stddev import minibatch_stddev
from jaxgan.layers.modulation import modulated_conv
from jaxgan.losses import perceptual
from jaxgan.models import biggan, progan, r3gan, resnet, stylegan2
from jaxgan.models.pretrained import inception, vgg
from jaxgan.regularizers.gradient_penalty import auto_gamma

REAL_ESRGAN = "Wang et al. 2021 (Real-ESRGAN), options/train_realesrgan_x4plus.yml"
STYLEGAN2 = "Karras et al. 2020 and their code"
STYLEGAN_V = "Skorokhodov et al. 2022 (StyleGAN-V), code: configs/model/stylegan-v.yaml"

DEFAULTS = [  # of functions and constructors: where, argument, value, source
    ("augment.ada.ADA", "target", 0.6, "Karras et al. 2020a, section 3.1"),
    ("augment.ada.ADA", "interval", 4, "Karras et al. 2020a, section 3.1"),
    ("augment.ada.ADA", "images_to_one", 500_000, "Karras et al. 2020a, section 3.1"),
    ("augment.ada.ADA", "preset", "bgc", "Karras et al. 2020a, code: the default pipeline"),
    ("augment.real_esrgan.RealESRGAN", "blur", ((0.2, 3.0), (0.2, 1.5)), REAL_ESRGAN),
    ("augment.real_esrgan.RealESRGAN", "resize", ((0.15, 1.5), (0.3, 1.2)), REAL_ESRGAN),
    ("augment.real_esrgan.RealESRGAN", "noise", ((1.0, 30.0), (1.0, 25.0)), REAL_ESRGAN),
    ("augment.real_esrgan.RealESRGAN", "poisson", ((0.05, 3.0), (0.05, 2.5)), REAL_ESRGAN),
    ("augment.real_esrgan.RealESRGAN", "quality", ((30, 95), (30, 95)), REAL_ESRGAN),
    ("augment.real_esrgan.RealESRGAN", "grey", 0.4, REAL_ESRGAN),
    ("augment.real_esrgan.RealESRGAN", "second_blur", 0.8, REAL_ESRGAN),
    ("augment.real_esrgan.RealESRGAN", "last_sinc", 0.8, REAL_ESRGAN),
    ("augment.real_esrgan.RealESRGAN", "scale", 4, REAL_ESRGAN),
    ("evaluators.distribution.Distribution.__init__", "neighbours", 5, "Naeem et al. 2020, section 5"),
    ("layers.fourier.FastFourierConv", "ratio", 0.75, "Suvorov et al. 2022 (LaMa), code"),
    ("layers.minibatch_stddev.minibatch_stddev", "group_size", 4, "Karras et al. 2018, code"),
    ("layers.normalization.BatchNorm", "epsilon", 1e-5, "Ioffe & Szegedy 2015, PyTorch's default"),
    ("layers.normalization.BatchNorm", "momentum", 0.9, "Ioffe & Szegedy 2015, PyTorch's default"),
    ("losses.perceptual.perceptual", "layers", perceptual.REAL_ESRGAN, REAL_ESRGAN),
    ("losses.perceptual.perceptual", "distance", "l1", REAL_ESRGAN),
    ("losses.reconstruction.charbonnier", "epsilon", 1e-3, "Lai et al. 2017, section 3.2"),
    ("metrics.kernel.kernel_distance", "subsets", 100, "Binkowski et al. 2018, code"),
    ("metrics.kernel.kernel_distance", "subset_size", 1_000, "Binkowski et al. 2018, code"),
    ("metrics.perceptual_path.path_lengths", "epsilon", 1e-4, "Karras et al. 2019, section 4.1"),
    ("metrics.sliced_wasserstein.patch_descriptors", "patches_per_image", 128, "Karras et al. 2018, section 5"),
    ("metrics.sliced_wasserstein.sliced_wasserstein_distance", "directions", 512, "Karras et al. 2018, section 5"),
    ("models.biggan.Generator", "base_width", 96, "Brock et al. 2019, table 1"),
    ("models.biggan.Generator", "embedding_dim", 128, "Brock et al. 2019, appendix B"),
    ("models.biggan.Generator", "attention", 64, "Brock et al. 2019, tables 4 and 7 to 9"),
    ("models.biggan.Discriminator", "base_width", 96, "Brock et al. 2019, table 1"),
    ("models.biggan.Discriminator", "attention", 64, "Brock et al. 2019, tables 4 and 7 to 9"),
    ("models.ffc.Generator", "base_width", 64, "Suvorov et al. 2022 (LaMa), code"),
    ("models.ffc.Generator", "blocks", 9, "Suvorov et al. 2022 (LaMa), code"),
    ("models.ffc.Generator", "ratio", 0.75, "Suvorov et al. 2022 (LaMa), code"),
    ("models.motion_codes.Acyclic", "dim", 512, STYLEGAN_V),
    ("models.motion_codes.Acyclic", "every", 16.0, STYLEGAN_V),
    ("models.motion_codes.Acyclic", "kernel_sizes", (11, 11), STYLEGAN_V),
    ("models.motion_codes.Acyclic", "frequencies", 256, STYLEGAN_V),
    ("models.motion_codes.Acyclic", "shortest", 16.0, STYLEGAN_V),
    ("models.motion_codes.Acyclic", "longest", 1024.0, STYLEGAN_V),
    ("models.motion_codes.Acyclic", "lr_multiplier", 0.01, STYLEGAN_V),
    ("models.motion_codes.Recurrent", "dim", 10, "Tulyakov et al. 2018 (MoCoGAN), code"),
    ("models.patchgan.Discriminator", "base_width", 64, "Isola et al. 2017, appendix 6.1.2"),
    ("models.patchgan.Discriminator", "halvings", 3, "Isola et al. 2017, appendix 6.1.2: 70 pixels"),
    ("models.progan.Generator", "max_width", 512, "Karras et al. 2018, table 2"),
    ("models.progan.Discriminator", "max_width", 512, "Karras et al. 2018, table 2"),
    ("models.progan.Discriminator", "group_size", 4, "Karras et al. 2018, code"),
    ("models.r3gan.Generator", "blocks", 2, "Huang et al. 2024, code"),
    ("models.r3gan.Generator", "expansion", 2, "Huang et al. 2024, code"),
    ("models.r3gan.Generator", "group_width", 16, "Huang et al. 2024, code"),
    ("models.r3gan.Generator", "class_embedding", 64, "Huang et al. 2024, code"),
    ("models.r3gan.Discriminator", "blocks", 2, "Huang et al. 2024, code"),
    ("models.r3gan.Discriminator", "expansion", 2, "Huang et al. 2024, code"),
    ("models.r3gan.Discriminator", "group_width", 16, "Huang et al. 2024, code"),
    ("models.rrdb.Generator", "blocks", 23, "Wang et al. 2018, section 4.1"),
    ("models.rrdb.Generator", "base_width", 64, "Wang et al. 2018, code"),
    ("models.rrdb.Generator", "growth", 32, "Wang et al. 2018, code"),
    ("models.srvgg.Generator", "convs", 16, "Wang et al. 2021, code: realesr-animevideov3"),
    ("models.srvgg.Generator", "base_width", 64, "Wang et al. 2021, code: realesr-animevideov3"),
    ("models.srvgg.Generator", "scale", 4, "Wang et al. 2021, code: realesr-animevideov3"),
    ("models.srresnet.Generator", "blocks", 16, "Ledig et al. 2017, section 3.2"),
    ("models.srresnet.Generator", "base_width", 64, "Ledig et al. 2017, figure 4"),
    ("models.srresnet.Discriminator", "base_width", 64, "Ledig et al. 2017, figure 4"),
    ("models.srresnet.Discriminator", "halvings", 4, "Ledig et al. 2017, figure 4"),
    ("models.stylegan2.Generator", "style_dim", 512, STYLEGAN2),
    ("models.stylegan2.Generator", "mapping_layers", 8, STYLEGAN2),
    ("models.stylegan2.Generator", "max_width", 512, STYLEGAN2),
    ("models.stylegan2.Generator", "style_mixing", 0.9, STYLEGAN2),
    ("models.stylegan2.Generator", "style_decay", 0.995, STYLEGAN2),
    ("models.stylegan2.Discriminator", "max_width", 512, STYLEGAN2),
    ("models.stylegan2.Discriminator", "group_size", 4, STYLEGAN2),
    ("models.unet.Translator", "base_width", 64, "Isola et al. 2017, appendix 6.1.1"),
    ("models.unet.Translator", "halvings", 8, "Isola et al. 2017, appendix 6.1.1"),
    ("models.unet.Discriminator", "base_width", 64, REAL_ESRGAN),
    ("models.unet.Discriminator", "halvings", 3, "Wang et al. 2021 (Real-ESRGAN), section 3.3"),
    ("inference.projection.project", "steps", 1000, "Karras et al. 2020, appendix D"),
    ("regularizers.consistency.cr", "weight", 10.0, "Zhang et al. 2020, section 3.1"),
    ("regularizers.consistency.cr", "shift", 4, "Zhang et al. 2020, section 3.1"),
    ("regularizers.consistency.bcr", "weight", 10.0, "Zhao et al. 2021, section 3"),
    ("regularizers.consistency.bcr", "fake_weight", 10.0, "Zhao et al. 2021, section 3"),
    ("regularizers.consistency.bcr", "shift", 4, "Zhao et al. 2021, section 3"),
    ("regularizers.consistency.zcr", "weight", 5.0, "Zhao et al. 2021, section 3"),
    ("regularizers.consistency.zcr", "sigma", 0.03, "Zhao et al. 2021, section 3"),
    ("regularizers.consistency.zcr_generator", "weight", 0.5, "Zhao et al. 2021, section 3"),
    ("regularizers.consistency.zcr_generator", "sigma", 0.03, "Zhao et al. 2021, section 3"),
    ("regularizers.diversity.mode_seeking", "weight", 1.0, "Mao et al. 2019, section 4"),
    ("regularizers.drift.drift", "weight", 1e-3, "Karras et al. 2018, appendix A.1"),
    ("regularizers.gradient_penalty.wgan_gp", "weight", 10.0, "Gulrajani et al. 2017, section 4"),
    ("regularizers.gradient_penalty.dragan", "weight", 10.0, "Kodali et al. 2017, code"),
    ("regularizers.gradient_penalty.dragan", "spread", 0.5, "Kodali et al. 2017, code"),
    ("regularizers.lecam.lecam", "weight", 0.3, "Tseng et al. 2021, section 4"),
    ("regularizers.lecam.lecam", "decay", 0.99, "Tseng et al. 2021, section 4"),
    ("regularizers.lecam.lecam", "start", 64_000, "Tseng et al. 2021, code: 1,000 steps, here of 64 images"),
    ("regularizers.orthogonal.orthogonal", "weight", 1e-4, "Brock et al. 2019, section 3.1"),
    ("regularizers.path_length.path_length", "weight", 2.0, STYLEGAN2),
    ("regularizers.path_length.path_length", "decay", 0.01, STYLEGAN2),
    ("regularizers.path_length.path_length", "shrink", 2, STYLEGAN2),
    ("tasks.progressive.Progressive", "stage_images", 1_200_000, "Karras et al. 2018, code: 600,000 twice"),
    ("tasks.progressive.Progressive", "fade_images", 600_000, "Karras et al. 2018, code"),
    ("tasks.video.VideoGeneration", "frames_seen", 3, STYLEGAN_V),
]

CONSTANTS = [  # of modules: where, value, source
    (
        "augment.ada.STRENGTHS",
        {"xflip": 1.0, "rotate90": 1.0, "xint": 0.125, "scale": 0.2, "rotate": 1.0, "aniso": 0.2, "xfrac": 0.125}
        | {"brightness": 0.2, "contrast": 0.5, "lumaflip": 1.0, "hue": 1.0, "saturation": 1.0}
        | {"imgfilter": 1.0, "noise": 0.1, "cutout": 0.5},
        "Karras et al. 2020a, appendix B and training/augment.py",
    ),
    ("augment.blur_kernels.SIZE", 21, REAL_ESRGAN),
    ("augment.blur_kernels.RADII", (3, 10), "Wang et al. 2021 (Real-ESRGAN), section 4.1: 7 to 21 pixels"),
    ("augment.blur_kernels.GENERALIZED", (0.5, 4.0), REAL_ESRGAN),
    ("augment.blur_kernels.PLATEAU", (1.0, 2.0), REAL_ESRGAN),
    ("augment.real_esrgan.METHODS", ("area", "bilinear", "bicubic"), REAL_ESRGAN),
    ("augment.real_esrgan.GAUSSIAN", 0.5, REAL_ESRGAN),
    ("augment.real_esrgan.RESIZES", ((0.2, 0.7), (0.3, 0.4)), REAL_ESRGAN),
    ("augment.diffaugment.TRANSLATION", 1 / 8, "Zhao et al. 2020, section 3"),
    ("augment.diffaugment.CUTOUT", 1 / 2, "Zhao et al. 2020, section 3"),
    ("augment.masks.STROKES", 5, "Suvorov et al. 2022 (LaMa), code"),
    ("augment.masks.SEGMENTS", 5, "Suvorov et al. 2022 (LaMa), code"),
    ("augment.masks.BOXES", 4, "Suvorov et al. 2022 (LaMa), code"),
    ("augment.masks.ANGLES", (0.01, 4.0), "Suvorov et al. 2022 (LaMa), code"),
    ("augment.masks.LENGTHS", (10 / 256, 210 / 256), "Suvorov et al. 2022 (LaMa), code: 10 pixels and up to 200 more"),
    ("augment.masks.WIDTHS", (5 / 256, 105 / 256), "Suvorov et al. 2022 (LaMa), code: 5 pixels and up to 100 more"),
    ("augment.masks.SIDES", (30 / 256, 150 / 256), "Suvorov et al. 2022 (LaMa), code"),
    ("augment.masks.MARGIN", 10 / 256, "Suvorov et al. 2022 (LaMa), code"),
    ("augment.noise.LEVELS", 256, "Wang et al. 2021 (Real-ESRGAN), section 3.2: of 8 bits"),
    ("augment.sharpening.SIZE", 51, "Wang et al. 2021 (Real-ESRGAN), code"),
    ("augment.sharpening.SIGMA", 8.0, "Wang et al. 2021 (Real-ESRGAN), code: OpenCV's for 51 pixels"),
    ("augment.sharpening.WEIGHT", 0.5, "Wang et al. 2021 (Real-ESRGAN), code"),
    ("augment.sharpening.THRESHOLD", 10.0, "Wang et al. 2021 (Real-ESRGAN), code"),
    ("evaluators.inception_scores.SPLITS", 10, "Salimans et al. 2016, code"),
    ("layers.modulation.EPSILON", 1e-8, "Karras et al. 2020, eq. 3 and code"),
    ("layers.prelu.START", 0.25, "He et al. 2015, section 2.1"),
    ("layers.temporal.PARTS", 8, "Lin et al. 2019 (TSM), code: shift_div"),
    ("losses.perceptual.SRGAN", {"relu5_4": 1.0}, "Ledig et al. 2017, section 2.2.1"),
    ("losses.perceptual.ESRGAN", {"conv5_4": 1.0}, "Wang et al. 2018, section 3.3"),
    (
        "losses.perceptual.REAL_ESRGAN",
        {"conv1_2": 0.1, "conv2_2": 0.1, "conv3_4": 1.0, "conv4_4": 1.0, "conv5_4": 1.0},
        REAL_ESRGAN,
    ),
    ("losses.perceptual.TINY", 1e-10, "Zhang et al. 2018 (LPIPS), code"),
    ("metrics.image_quality.LUMA", (65.481, 128.553, 24.966), "ITU-R BT.601"),
    ("metrics.image_quality.C1", 0.01**2, "Wang et al. 2004, section 3"),
    ("metrics.image_quality.C2", 0.03**2, "Wang et al. 2004, section 3"),
    ("metrics.image_quality.SIGMA", 1.5, "Wang et al. 2004, section 3"),
    ("metrics.image_quality.GAUSSIAN_WINDOW", 11, "Wang et al. 2004, section 3"),
    ("metrics.image_quality.SCALES", (0.0448, 0.2856, 0.3001, 0.2363, 0.1333), "Wang et al. 2003, section 3.2"),
    ("metrics.perceptual_path.DISCARDED", 1.0, "Karras et al. 2019, code"),
    ("metrics.pyramid.BINOMIAL", tuple(np.array([1, 4, 6, 4, 1]) / 16), "Burt & Adelson 1983"),
    ("metrics.pyramid.SMALLEST", 16, "Karras et al. 2018, section 5"),
    ("metrics.sliced_wasserstein.PATCH", 7, "Karras et al. 2018, section 5"),
    ("models.dcgan.SLOPE", 0.2, "Radford et al. 2015, section 4"),
    ("models.patchgan.SLOPE", 0.2, "Isola et al. 2017, appendix 6.1"),
    ("models.pretrained.inception.SIZE", 299, "Heusel et al. 2017, code: the graph of 2015-12-05"),
    ("models.pretrained.inception.EPSILON", 1e-3, "Heusel et al. 2017, code: the graph of 2015-12-05"),
    ("models.pretrained.inception.CLASSES", 1008, "Heusel et al. 2017, code: the graph of 2015-12-05"),
    ("models.pretrained.vgg.MEAN", (0.485, 0.456, 0.406), "ImageNet, as torchvision has it"),
    ("models.pretrained.vgg.DEVIATION", (0.229, 0.224, 0.225), "ImageNet, as torchvision has it"),
    ("models.r3gan.SLOPE", 0.2, "Huang et al. 2024, code"),
    ("models.rrdb.SLOPE", 0.2, "Wang et al. 2018, code"),
    ("models.rrdb.RESIDUAL", 0.2, "Wang et al. 2018, section 3.1"),
    ("models.rrdb.LAYERS", 5, "Wang et al. 2018, figure 4"),
    ("models.rrdb.DENSE", 3, "Wang et al. 2018, figure 4"),
    ("models.srresnet.SLOPE", 0.2, "Ledig et al. 2017, section 2.1"),
    ("models.stylegan2.MAPPING_LR", 0.01, "Karras et al. 2019, appendix C"),
    ("models.stylegan2.LOW_PRECISION_CLAMP", 256.0, "Karras et al. 2020a, appendix D.1"),
    ("models.unet.DROPOUT", 0.5, "Isola et al. 2017, appendix 6.1.1"),
    ("models.unet.DROPPED", 3, "Isola et al. 2017, appendix 6.1.1"),
    ("models.unet.SLOPE", 0.2, "Isola et al. 2017, appendix 6.1.1"),
    ("inference.projection.LEARNING_RATE", 0.1, "Karras et al. 2020, appendix D"),
    ("inference.projection.RAMP_UP", 0.05, "Karras et al. 2020, appendix D"),
    ("inference.projection.RAMP_DOWN", 0.25, "Karras et al. 2020, appendix D"),
    ("inference.projection.NOISE", 0.05, "Karras et al. 2020, appendix D"),
    ("inference.projection.NOISE_RAMP", 0.75, "Karras et al. 2020, appendix D"),
]


def find(where):
    """The object of a dotted path below jaxgan."""
    parts = where.split(".")
    for count in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(("jaxgan", *parts[:count])))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            found = getattr(found, part)
        return found
    raise AssertionError(f"there is no module of {where}")


@pytest.mark.quick
@pytest.mark.parametrize(("where", "argument", "value", "source"), DEFAULTS, ids=lambda each: str(each)[:48])
def test_a_default_is_the_published_one(where, argument, value, source):
    assert inspect.signature(find(where)).parameters[argument].default == value, source


@pytest.mark.quick
@pytest.mark.parametrize(("where", "value", "source"), CONSTANTS, ids=lambda each: str(each)[:48])
def test_a_constant_is_the_published_one(where, value, source):
    found = find(where)
    if isinstance(value, dict) or (isinstance(value, tuple) and isinstance(value[0], str)):
        assert found == value, source
    else:
        np.testing.assert_allclose(found, value, rtol=1e-7, err_msg=source)


# what no signature and no name shows


def coloured(name, colour, count=40_000):
    """One pixel of this colour after a transform of ADA, `[count,3]`."""
    images = jnp.broadcast_to(jnp.array(colour, jnp.float32), (count, 1, 1, 3))
    return np.asarray(jax.jit(ADA("none", chances={name: 1.0}).__call__)(jax.random.key(0), images, 1.0))[:, 0, 0]


def test_adas_colours_and_noise_spread_as_published():
    """Karras et al. 2020a, appendix B: standard deviations, of three of them those of log2 of the factor."""
    deviations = {
        "brightness": coloured("brightness", (0.0, 0.0, 0.0))[:, 0].std(),
        "contrast": np.log2(coloured("contrast", (1.0, 1.0, 1.0))[:, 0]).std(),
        "saturation": np.log2(coloured("saturation", (1.0, -1.0, 0.0))[:, 0]).std(),
        "noise": coloured("noise", (0.0, 0.0, 0.0)).std(),  # of a half-normal deviation whose square is 0.01 on average
    }
    expected = {"brightness": 0.2, "contrast": 0.5, "saturation": 1.0, "noise": 0.1}
    for name, value in expected.items():
        np.testing.assert_allclose(deviations[name], value, rtol=0.02, err_msg=name)
    flips = coloured("lumaflip", (1.0, 1.0, 1.0))[:, 0]
    np.testing.assert_allclose((flips < 0).mean(), 0.5, atol=0.01)
    hues = coloured("hue", (1.0, -1.0, 0.0))  # on a circle about grey, all of it
    angles = np.arctan2(hues @ (1.0, 1.0, -2.0) / np.sqrt(6), hues @ (1.0, -1.0, 0.0) / np.sqrt(2))
    np.testing.assert_allclose(np.quantile(angles, [0.25, 0.75]), [-np.pi / 2, np.pi / 2], atol=0.05)


def test_adas_filter_bank_is_the_published_one():
    """Karras et al. 2020a, appendix B and training/augment.py: bands of sym2, the power of natural images 10:1:1:1."""
    from jaxgan.augment.corruption import BANDS, POWER, band_filters

    sym2 = [-0.12940952255092145, 0.22414386804185735, 0.836516303737469, 0.48296291314469025]
    low = np.convolve(sym2, sym2[::-1]) / 2
    high = low * [-1, 1, -1, 1, -1, 1, -1]
    assert BANDS == 4
    np.testing.assert_allclose(POWER * 13, [10, 1, 1, 1], rtol=1e-6)

    def halved(band):  # what it is of the image at half the rate
        return np.convolve(np.insert(band, range(1, len(band)), 0.0), low)

    bands = band_filters()
    for band, expected in zip(bands, (halved(halved(low)), halved(halved(high)), halved(high), high)):
        margin = (len(band) - len(expected)) // 2
        np.testing.assert_allclose(band, np.pad(expected, margin), atol=1e-12)
    np.testing.assert_allclose(bands.sum(axis=0), np.eye(43)[21], atol=1e-12)


def test_diffaugments_colours_have_the_published_ranges():
    """Zhao et al. 2020, section 3 and code: brightness +-0.5, saturation 0 to 2, contrast 0.5 to 1.5."""
    images = jnp.broadcast_to(jnp.array([0.4, -0.4, 0.0]), (20_000, 1, 2, 3)).at[:, :, 1].add(0.2)
    out = np.asarray(DiffAugment(("color",))(jax.random.key(0), images, 1.0), np.float64)
    grey = out.mean(axis=3)[:, 0]
    contrast = (grey[:, 1] - grey[:, 0]) / 0.2
    brightness = grey.mean(axis=1) - 0.1
    saturation = (out[:, 0, 0, 0] - out[:, 0, 0, 1]) / 0.8 / contrast
    for values, low, high in ((brightness, -0.5, 0.5), (saturation, 0.0, 2.0), (contrast, 0.5, 1.5)):
        np.testing.assert_allclose([values.min(), values.max()], [low, high], atol=2e-3)
        np.testing.assert_allclose(values.mean(), (low + high) / 2, atol=0.02)


def test_real_esrgan_draws_what_its_options_say(monkeypatch):
    """Every random number of the pipeline, in its order, as it is asked for."""
    asked = []

    def recorded(name, bounds):
        draw = getattr(jax.random, name)

        def spy(key, *args, **options):
            asked.append((name, *bounds(*args, **options)))
            return draw(key, *args, **options)

        monkeypatch.setattr(jax.random, name, spy)

    recorded("bernoulli", lambda chance, shape: (chance,))
    recorded("randint", lambda shape, low, high: (low, high))
    recorded("uniform", lambda shape, minval=0.0, maxval=1.0: (minval, maxval))
    recorded("categorical", lambda logits, shape: ())
    jax.eval_shape(real_esrgan.RealESRGAN().__call__, jax.random.key(0), jnp.zeros((2, 16, 16, 3)))
    unit = ("uniform", 0.0, 1.0)

    def blurred(*sigma):  # kind, radius, deviations, angle, beta, cut-off
        return [("categorical",), ("randint", 3, 11), ("uniform", *sigma), ("uniform", -math.pi, math.pi), unit, unit]

    def noisy(gaussian, poisson):  # factor, method of resizing, grey, strengths, kind
        methods = ("randint", 0, 3)
        return [unit, methods, ("bernoulli", 0.4), ("uniform", *gaussian), ("uniform", *poisson), ("bernoulli", 0.5)]

    quality = ("randint", 30, 96)
    first = [*blurred(0.2, 3.0), *noisy((1.0, 30.0), (0.05, 3.0)), quality]
    second = [*blurred(0.2, 1.5), ("bernoulli", 0.8), *noisy((1.0, 25.0), (0.05, 2.5)), quality]
    last = [("bernoulli", 0.5), ("randint", 0, 3), ("randint", 3, 11), ("uniform", math.pi / 3, math.pi)]
    assert asked == [*first, *second, *last, ("bernoulli", 0.8), ("bernoulli", 0.5)]


def test_real_esrgans_sizes_and_kernels_have_the_published_shares():
    pipeline = real_esrgan.RealESRGAN()
    for index, (up, down, low, high) in enumerate(((0.2, 0.7, 0.15, 1.5), (0.3, 0.4, 0.3, 1.2))):
        factors = np.asarray(pipeline._factors(jax.random.key(index), 40_000, index))
        np.testing.assert_allclose([(factors > 1).mean(), (factors < 1).mean()], [up, down], atol=0.01)
        np.testing.assert_allclose([factors.min(), factors.max()], [low, high], atol=2e-3)
    kinds = {"isotropic": 0.45, "anisotropic": 0.25, "generalized": 0.12, "generalized_anisotropic": 0.03}
    kinds |= {"plateau": 0.12, "plateau_anisotropic": 0.03}
    expected = {kind: 0.9 * share for kind, share in kinds.items()} | {"sinc": 0.1}
    assert pytest.approx(expected) == blur_kernels.SHARES
    for radius, lowest in ((3, math.pi / 3), (5, math.pi / 3), (6, math.pi / 5), (10, math.pi / 5)):  # 13 pixels: 6
        cutoffs = blur_kernels.random_cutoff(jax.random.key(0), jnp.full(20_000, radius))
        np.testing.assert_allclose([cutoffs.min(), cutoffs.max()], [lowest, math.pi], atol=2e-3)


def test_backbones_see_images_as_published():
    """torchvision's normalisation of [0, 1] is LPIPS's of [-1, 1]: shift -.03, -.088, -.188, scale .458, .448, .45."""
    black, white = (np.asarray(vgg.normalized(jnp.full((1, 1, 1, 3), value)))[0, 0, 0] for value in (-1.0, 1.0))
    np.testing.assert_allclose(black, -np.array([0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], rtol=1e-6)
    np.testing.assert_allclose(white, (1 - np.array([-0.030, -0.088, -0.188])) / [0.458, 0.448, 0.450], rtol=1e-5)
    assert vgg.LPIPS["vgg16"] == ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
    assert vgg.LPIPS["alexnet"] == ("relu1", "relu2", "relu3", "relu4", "relu5")


def test_inception_sees_images_as_published(monkeypatch):
    """The graph of 2015-12-05: (x - 128) / 128, resized from the corner on."""

    class EnteredError(Exception):
        """With what the first convolution gets."""

    def first(x, kernel, geometry):
        raise EnteredError(x)

    monkeypatch.setattr(inception, "conv", first)
    with pytest.raises(EnteredError) as entered:
        inception.Inception().init(jax.random.key(0), jnp.full((1, 299, 299, 3), 192.0))
    np.testing.assert_array_equal(entered.value.args[0], 0.5)
    pixels = np.asarray(inception.resize(jnp.array([0.0, 1.0]).reshape(1, 2, 1, 1)))[0, :, 0, 0]
    np.testing.assert_allclose(pixels, np.minimum(np.arange(299) * 2 / 299, 1.0), atol=1e-5)


@pytest.mark.quick
def test_styles_layers_scale_as_published():
    """Karras et al. 2018, sections 3, 4.1, 4.2; Karras et al. 2020, appendix B and code."""
    np.testing.assert_allclose(equalized.leaky_relu(jnp.array([-1.0, 1.0])), [-0.2 * 2**0.5, 2**0.5], rtol=1e-6)
    np.testing.assert_allclose(equalized.pixel_norm(jnp.full((1, 4), 1e-4)), 1e-4 / np.sqrt(2e-8), rtol=1e-5)
    flat = minibatch_stddev(jnp.zeros((4, 1, 1, 1)))
    np.testing.assert_allclose(flat[0, 0, 0, 1], 1e-4, rtol=1e-5)  # the root of 1e-8
    tiny = modulated_conv(jnp.ones((1, 1, 1, 1)), jnp.full((1, 1, 1, 1), 1e-4), jnp.ones((1, 1)))
    np.testing.assert_allclose(tiny, 1e-4 / np.sqrt(2e-8), rtol=1e-5)
    np.testing.assert_allclose(auto_gamma(256, 64), 0.0002 * 256**2 / 64)  # Karras et al. 2020a, appendix C
    ramps = [float(learning_rate(step, 1000)) for step in (25, 500, 875, 1000)]
    np.testing.assert_allclose(ramps, [0.05, 0.1, 0.05, 0.0], atol=1e-7)  # up in 50 steps, down in the last 250


@pytest.mark.quick
def test_networks_are_as_wide_as_published():
    budget = (512, 512, 512, 512)  # at 4 to 32 pixels
    # Karras et al. 2018, table 2
    assert progan.stage_widths(1024, None, 512) == (*budget, 256, 128, 64, 32, 16)
    # Karras et al. 2020a, code: 32768 numbers a row of pixels from 512 pixels on, half of it below
    assert stylegan2.stage_widths(1024, None, 512) == (*budget, 512, 256, 128, 64, 32)
    assert stylegan2.stage_widths(256, None, 512) == (*budget, 256, 128, 64)
    assert stylegan2.stage_widths(32, None, 512) == budget
    # Miyato et al. 2018, tables 3 to 5
    assert resnet.generator_widths(32, None, 64) == (256, 256, 256, 256)
    assert resnet.discriminator_widths(32, None, 64) == ((128, 128, 128, 128), 2)
    assert resnet.generator_widths(128, None, 64) == (1024, 1024, 512, 256, 128, 64)
    assert resnet.discriminator_widths(128, None, 64) == ((64, 128, 256, 512, 1024, 1024), 5)
    # Huang et al. 2024, code
    assert r3gan.stage_widths(256, None, 768) == (768, 768, 768, 768, 384, 192, 96)
    # Brock et al. 2019, table 4
    assert biggan.generator_widths(128, None, 96) == (1536, 768, 384, 192, 96)
    assert biggan.discriminator_widths(128, None, 96) == ((96, 192, 384, 768, 1536, 1536), 5)
