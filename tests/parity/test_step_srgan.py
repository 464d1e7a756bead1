"""A whole run of SRGAN, content first and a discriminator second, equals torch's."""

import pytest
import rounds
import torch.nn.functional as F
from peer import Peer, channels_first
from torch import nn

from benchmarks.peers import torch_srgan

ROWS, WIDTH, BLOCKS, WEIGHT = 8, 6, 2, 0.1
CONFIG = {
    "networks": {
        "generator": {
            "name": "srresnet.Generator",
            "scale": 2,
            "variant": "srgan",
            "norm": "batch",
            "base_width": WIDTH,
            "blocks": BLOCKS,
        },
        "discriminator": {"name": "srresnet.Discriminator", "norm": "batch", "base_width": WIDTH, "halvings": 2},
    },
    "task": {
        "name": "restoration.Restoration",
        "degradation": {"name": "degradations.Bicubic", "scale": 2},
        "content": ({"name": "reconstruction.l2"},),
        "adversary": {"loss": "adversarial.non_saturating"},
        "adversarial_weight": WEIGHT,
        "adversarial_start": 2 * ROWS,
    },
}


class SRGAN(Peer):
    weight = WEIGHT  # of the adversarial loss
    fresh = True  # whether the generator's moments are reset at the second stage
    second = False  # whether the generator has had its first turn there

    def make(self):
        return torch_srgan.Generator(WIDTH, BLOCKS, doublings=1), torch_srgan.make_discriminator((WIDTH, 2 * WIDTH))

    def link(self, generator, discriminator):
        *blocks, leave, leave_norm = generator.body
        up, _, up_slope, image, _ = generator.tail
        layers = {"stem": generator.head[0], "leave": leave, "up_0": up, "image": image}
        slopes = {"stem_prelu": generator.head[1], "up_0_prelu": up_slope}
        norms = {"leave_norm": leave_norm}
        for index, block in enumerate(blocks):
            path = f"block_{index}"
            layers[f"{path}/conv_0"], norms[f"{path}/norm_0"], slopes[f"{path}/prelu"] = block.inner[:3]
            layers[f"{path}/conv_1"], norms[f"{path}/norm_1"] = block.inner[3:]
        for path, layer in layers.items():
            self.put_layer(f"generator/{path}", layer)
        for path, norm in norms.items():
            self.put_norm(f"generator/{path}", norm)
        for path, slope in slopes.items():
            self.put(f"generator/{path}/slope", slope.weight)
        for index, conv in enumerate(layer for layer in discriminator if isinstance(layer, nn.Conv2d)):
            self.put_layer(f"discriminator/conv_{index}", conv)
        for index, norm in enumerate((layer for layer in discriminator if isinstance(layer, nn.BatchNorm2d)), 1):
            self.put_norm(f"discriminator/norm_{index}", norm)
        hidden, logit = (layer for layer in discriminator if isinstance(layer, nn.Linear))
        self.put_layer("discriminator/hidden", hidden)
        self.put_layer("discriminator/logit", logit)

    def draw(self, played):
        return self.networks["generator"](channels_first(played.given["draw"]))

    def turn(self, name, real, fake, played):
        player, discriminator = played.due[name], self.networks["discriminator"]
        if player == "discriminator":
            return torch_srgan.discriminator_turn(discriminator, self.optimizers[player], real, fake)
        if name == "content":
            return self.content_turn(real, fake)
        if self.fresh and not self.second:
            self.begin_moments(player)
        self.second = True
        return torch_srgan.generator_turn(discriminator, self.optimizers[player], real, fake, self.weight)

    def content_turn(self, real, fake):
        self.optimizers["generator"].zero_grad()
        loss = F.mse_loss(fake, real)
        loss.backward()
        self.optimizers["generator"].step()
        return loss.detach()


@pytest.fixture(scope="module")
def played():
    return rounds.play(CONFIG, rounds.random_batches(4, 16, rows=ROWS, seed=11))


def test_the_second_stage_follows_the_first(played):
    assert [list(each.due) for each in played[1]] == [["content"]] * 2 + [["discriminator", "generator"]] * 2


def test_rounds_equal_torchs(played):
    start, ours = played
    SRGAN(start).assert_equal(ours)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"weight": 2 * WEIGHT}, "loss"),
        ({"fresh": False}, "gradients"),
        ({"frozen": False}, "statistics"),
        # a stage that is not lazy but counted as if it were
        ({"rates": {"generator": rounds.RATE / 2, "discriminator": rounds.RATE}}, "params"),
    ],
    ids=lambda each: each if isinstance(each, str) else "+".join(each),
)
def test_another_step_would_be_seen(wrong, kind, played):
    start, ours = played
    assert kind in SRGAN(start, **wrong).beyond_bounds(ours, times=10)
