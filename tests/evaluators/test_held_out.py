"""The gap between training images and held-out images in the discriminator's logits."""

import numpy as np
import pytest

from jaxgan.data.sources import DataSpec
from jaxgan.errors import UserError
from jaxgan.evaluators import reference
from jaxgan.evaluators.held_out import HeldOutGap
from jaxgan.fields import picture_fields
from jaxgan.game import Judgement
from jaxgan.losses import adversarial
from jaxgan.tasks.adversary import Adversary
from jaxgan.tasks.generation import Generation


class Constant:
    """Images of one grey, labelled."""

    def __init__(self, size, grey):
        self.spec = DataSpec("constant", "train", size, picture_fields(4, 4, 1, ("a", "b")), str(grey))
        self.grey = grey

    def read(self, indices):
        image = np.full((len(indices), 4, 4, 1), self.grey, np.uint8)
        return {"image": image, "label": np.asarray(indices, np.int32) % 2}


def grey(seed, count, labels):
    """Fakes: halfway between black and white."""
    return np.zeros((count, 4, 4, 1), np.float32)


def test_images_that_were_trained_on_that_were_not_and_fakes_are_judged_alike():
    seen = []

    def judge(images, labels):
        seen.append((images.shape, images.dtype, labels.dtype))
        return images.mean((1, 2, 3)) + 0 * labels

    gap = HeldOutGap(Constant(250, 255), Constant(130, 0), batch_size=100)
    assert gap(judge, grey) == {
        "held_out/train_logits": 1.0,
        "held_out/real_logits": -1.0,
        "held_out/fake_logits": 0.0,
    }
    assert seen == [((65, 4, 4, 1), np.float32, np.int32)] * 6  # batches of one size


def test_fakes_have_the_labels_of_the_training_images_and_are_the_same_every_time():
    asked = []

    def fakes(seed, count, labels):
        asked.append((seed, labels.tolist()))
        return grey(seed, count, labels)

    gap = HeldOutGap(Constant(50, 255), Constant(50, 0), batch_size=30)
    shares = [gap(lambda images, labels: labels, fakes) for _ in range(2)]
    assert asked[:2] == asked[2:]
    assert asked[0][0] != asked[1][0]
    assert shares[0]["held_out/fake_logits"] == shares[0]["held_out/train_logits"]


def test_a_small_split_is_one_batch():
    gap = HeldOutGap(Constant(7, 255), Constant(500, 255))
    assert gap(lambda images, labels: np.arange(len(images)), grey)["held_out/train_logits"] == 3.0


def test_images_so_large_that_fewer_are_drawn_are_judged(monkeypatch):
    monkeypatch.setattr(reference, "MOST_BYTES", 4 * 4 * 20)  # of 20 images
    gap = HeldOutGap(Constant(500, 255), Constant(500, 0), batch_size=30)
    assert gap(lambda images, labels: images.mean((1, 2, 3)), grey)["held_out/train_logits"] == 1.0


class Brightness:
    """A discriminator by the sum of the channels."""

    def apply(self, tree, image, label, *, train):
        return Judgement(logits=image.mean((1, 2)).sum(1))


def test_packs_need_not_divide_the_batches():
    game = Generation(None, Adversary(Brightness(), adversarial.non_saturating, pack=3))
    trees = {"discriminator": {}}

    def judge(images, labels):
        return game.judge(trees, trees, images, labels)

    gap = HeldOutGap(Constant(250, 255), Constant(130, 0), batch_size=50, pack=3)
    assert gap(judge, grey) == {
        "held_out/train_logits": 3.0,
        "held_out/real_logits": -3.0,
        "held_out/fake_logits": 0.0,
    }
    assert HeldOutGap(Constant(250, 255), Constant(2, 0), pack=3)(judge, grey) == {}  # no pack
    assert judge(np.ones((100, 4, 4, 1), np.float32), None).shape == (33,)
    with pytest.raises(UserError, match=r"config\.task\.adversary\.pack: got 3, expected a divisor of 2 images"):
        judge(np.ones((2, 4, 4, 1), np.float32), None)
