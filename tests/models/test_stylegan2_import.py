"""Imported weights in NVIDIA's names beside a forward in plain numpy, written from the papers' formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.pretrained.stylegan2_nvidia import from_nvidia
from jaxgan.models.stylegan2 import Generator

LATENT, STYLE, CLASSES, MAPPING_LAYERS = 5, 6, 3, 2
WIDTHS = {4: 7, 8: 7, 16: 4}  # 7: a largest width that is no power of two
TAPS = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64


def random_weights(num_classes):
    """Weights under the published names, scaled as they are stored: those of the mapping / 0.01."""
    random = np.random.default_rng(0)
    found = {"synthesis.b4.const": (WIDTHS[4], 4, 4), "mapping.w_avg": (STYLE,)}

    def layer(name, *shape):
        found.update({f"{name}.weight": shape, f"{name}.bias": shape[:1]})

    for index in range(MAPPING_LAYERS):
        inputs = STYLE if index else LATENT + (STYLE if num_classes else 0)
        layer(f"mapping.fc{index}", STYLE, inputs)
    if num_classes:
        layer("mapping.embed", STYLE, num_classes)
    for pixels, width in WIDTHS.items():
        before = WIDTHS.get(pixels // 2, width)
        layers = {"conv0": (before, width, 3), "conv1": (width, width, 3), "torgb": (width, 3, 1)}
        for name, (inputs, features, size) in layers.items():
            if pixels == 4 and name == "conv0":
                continue
            theirs = f"synthesis.b{pixels}.{name}"
            layer(theirs, features, inputs, size, size)
            layer(f"{theirs}.affine", inputs, STYLE)
            if name != "torgb":
                found |= {f"{theirs}.noise_strength": (), f"{theirs}.noise_const": (pixels, pixels)}
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in found.items()}
    for name in weights:
        if name.startswith("mapping.fc"):
            weights[name] = weights[name] * np.float32(100)
        if name.endswith("affine.bias"):
            weights[name] = weights[name] + np.float32(1)
    return weights


def normalized(x):
    return x / np.sqrt(np.mean(x**2) + 1e-8)


def activated(x):
    return np.where(x > 0, x, 0.2 * x) * np.sqrt(2)


def correlated(x, weight, before, after):
    """`[i,h,w]` with `[o,i,k,k]`."""
    x = np.pad(x, ((0, 0), (before, after), (before, after)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(1, 2))
    return np.einsum("ihwkl,oikl->ohw", windows, weight)


def filtered(x, before, after, gain):
    return np.stack([correlated(each[None], gain * TAPS[None, None], before, after)[0] for each in x])


def spread_out(x):
    """Zeros between the pixels and behind them."""
    out = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2]))
    out[:, ::2, ::2] = x
    return out


def transposed(x, weight):
    """A transposed convolution with stride 2: each pixel paints the kernel, 3x3."""
    side = x.shape[1]
    out = np.zeros((len(weight), 2 * side + 1, 2 * side + 1))
    for row in range(3):
        for column in range(3):
            painted = np.einsum("oi,ihw->ohw", weight[:, :, row, column], x)
            out[:, row : row + 2 * side : 2, column : column + 2 * side : 2] += painted
    return out


def golden(weights, latent, label, psi):
    """One image `[c,h,w]`."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def dense(name, x, rate=1.0):
        return w[f"{name}.weight"] @ x * rate / np.sqrt(len(x)) + w[f"{name}.bias"] * rate

    style = normalized(latent)
    if label is not None:
        style = np.concatenate([style, normalized(dense("mapping.embed", np.eye(CLASSES)[label]))])
    for index in range(MAPPING_LAYERS):
        style = activated(dense(f"mapping.fc{index}", style, 0.01))
    style = w["mapping.w_avg"] + psi * (style - w["mapping.w_avg"])

    def styled(name, x, up):
        weight = w[f"{name}.weight"] * dense(f"{name}.affine", style)[:, None, None]
        weight /= np.sqrt((weight**2).sum(axis=(1, 2, 3), keepdims=True) + 1e-8)
        x = filtered(transposed(x, weight), 1, 1, 4) if up else correlated(x, weight, 1, 1)
        x = x + w[f"{name}.noise_strength"] * w[f"{name}.noise_const"]
        return activated(x + w[f"{name}.bias"][:, None, None])

    def pixels_of(name, x):
        scale = dense(f"{name}.affine", style) / np.sqrt(len(x))
        return correlated(x, w[f"{name}.weight"] * scale[:, None, None], 0, 0) + w[f"{name}.bias"][:, None, None]

    x, image = w["synthesis.b4.const"], 0.0
    for pixels in WIDTHS:
        block = f"synthesis.b{pixels}"
        if pixels > 4:
            x, image = styled(f"{block}.conv0", x, True), filtered(spread_out(image), 2, 1, 4)
        x = styled(f"{block}.conv1", x, False)
        image = image + pixels_of(f"{block}.torgb", x)
    return image


@pytest.mark.parametrize("num_classes", [0, CLASSES])
def test_nvidia_weights_draw_what_the_formulas_say(num_classes):
    weights = random_weights(num_classes)
    imported = from_nvidia({f"G_ema.{name}": value for name, value in weights.items()})
    assert imported.section == {
        "name": "stylegan2.Generator",
        "resolution": 16,
        "channels": 3,
        "num_classes": num_classes,
        "style_dim": STYLE,
        "mapping_layers": MAPPING_LAYERS,
        "base_width": 4,
        "max_width": 7,
    }
    network = Generator(**{key: value for key, value in imported.section.items() if key != "name"})
    tree = jax.tree.map(jnp.asarray, {"params": imported.params, **imported.variables})
    latents = np.random.default_rng(1).normal(size=(2, LATENT)).astype(np.float32)
    labels = jnp.array([2, 1]) if num_classes else None
    ours = jax.jit(lambda *inputs: network.apply(*inputs, labels, train=False, truncation=0.7))(tree, latents)
    for row, latent in enumerate(latents):
        theirs = golden(weights, latent, None if labels is None else labels[row], 0.7).transpose(1, 2, 0)
        np.testing.assert_allclose(ours[row], theirs, atol=1e-4 * np.abs(theirs).max())
        assert theirs.std() > 0.1
