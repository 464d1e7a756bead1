"""Whole rounds of DCGAN equal torch's."""

import pytest
import rounds
from peer import PLAYERS, Peer, double
from torch import nn

from benchmarks.peers import torch_steps

LATENT, WIDTHS = 6, (12, 8)  # at 4 and 8 pixels
CONFIG = {
    "networks": {
        "generator": {"name": "dcgan.Generator", "widths": WIDTHS},
        "discriminator": {"name": "dcgan.Discriminator", "widths": WIDTHS[::-1]},
    },
    "task": {
        "name": "generation.Generation",
        "adversary": {"loss": "adversarial.non_saturating"},
        "latent_dim": LATENT,
    },
}


def from_pixels(value, like):
    """A dense kernel between vectors and `[4,4,c]`, flattened: with channels first."""
    axes = (0, 3, 1, 2) if len(value) == LATENT else (3, 2, 0, 1)
    shape = (LATENT, 4, 4, -1) if len(value) == LATENT else (4, 4, -1, 1)
    return value.reshape(shape).transpose(axes).reshape(like.shape)


class DCGAN(Peer):
    slope = 0.2

    def make(self):
        generator, discriminator = torch_steps.make_dcgan(LATENT, 3, WIDTHS)
        for layer in discriminator:
            if isinstance(layer, nn.LeakyReLU):
                layer.negative_slope = self.slope
        return generator, discriminator

    def link(self, generator, discriminator):
        stem, *ups = (layer for layer in generator if isinstance(layer, nn.ConvTranspose2d))
        *downs, logit = (layer for layer in discriminator if isinstance(layer, nn.Conv2d))
        self.put_layer("generator/stem", stem, from_pixels)
        self.put_layer("discriminator/logit", logit, from_pixels)
        for index, up in enumerate(ups):
            self.put_layer(f"generator/up_{index}", up)
        for index, down in enumerate(downs):
            self.put_layer(f"discriminator/down_{index}", down)
        for network, layers, first in (("generator", generator, 0), ("discriminator", discriminator, 1)):
            for index, norm in enumerate((each for each in layers if isinstance(each, nn.BatchNorm2d)), first):
                self.put_norm(f"{network}/norm_{index}", norm)

    def draw(self, played):
        return self.networks["generator"](double(played.given["draw"])[:, :, None, None])

    def turn(self, name, real, fake, played):
        discriminator, optimizer = self.networks["discriminator"], self.optimizers[name]
        if name == "generator":
            return torch_steps.generator_turn(discriminator, optimizer, fake)
        return torch_steps.discriminator_turn(discriminator, optimizer, real, fake)


@pytest.fixture(scope="module")
def played():
    return rounds.play(CONFIG, rounds.random_batches(3, 16))


def test_rounds_equal_torchs(played):
    start, ours = played
    DCGAN(start).assert_equal(ours)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"slope": 0.1}, "loss"),
        ({"backwards": True}, "loss"),
        ({"frozen": False}, "statistics"),
        ({"rates": dict.fromkeys(PLAYERS, rounds.RATE / 2)}, "params"),
        ({"betas": dict.fromkeys(PLAYERS, (0.4, 0.9))}, "gradients"),
        ({"betas": dict.fromkeys(PLAYERS, (0.5, 0.99))}, "squares"),
        ({"half_life": rounds.HALF_LIFE / 2}, "average"),
    ],
    ids=lambda each: each if isinstance(each, str) else "+".join(each),
)
def test_another_step_would_be_seen(wrong, kind, played):
    start, ours = played
    assert kind in DCGAN(start, **wrong).beyond_bounds(ours, times=10)
