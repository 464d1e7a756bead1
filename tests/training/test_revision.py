"""The warnings for a run that began with an older version."""

import pytest

from jaxgan.checkpoints.formats import REVISION
from jaxgan.game import Phase
from jaxgan.training.revision import changes_since

pytestmark = pytest.mark.quick


def phase(player, every=1, *, start=0, stop=None, lazy=False):
    return Phase("x", player, lambda *_: None, every=every, lazy=lazy, start=start, stop=stop)


def stages(*players, count, images):
    return [
        phase(player, start=n * images, stop=(n + 1) * images if n < count - 1 else None)
        for n in range(count)
        for player in players
    ]


TWO = (phase("generator", stop=100), phase("discriminator", start=100), phase("generator", start=100))


@pytest.mark.parametrize(
    ("phases", "images", "reported"),
    [
        (TWO, 40, "with 0.5 times the generator's learning rate"),
        (
            stages("generator", "discriminator", count=7, images=10),
            40,
            "0.143 times the discriminator's and 0.143 times",
        ),
        ((*TWO, phase("generator", 4, start=100, lazy=True)), 140, "0.444 times the generator's"),
    ],
)
def test_a_staged_run_is_warned_about_its_former_rate(phases, images, reported):
    (line,) = changes_since({"images_seen": images}, phases)
    assert reported in line
    assert "\n" not in line
    assert changes_since({"images_seen": images, "revision": REVISION}, phases) == []
    assert changes_since({"images_seen": 0}, phases) == []


@pytest.mark.parametrize("every", [1, 5])
def test_a_run_whose_rate_was_right_gets_no_warning(every):
    lazy = phase("generator", 16, lazy=True)
    assert changes_since({"images_seen": 40}, (phase("discriminator"), phase("generator", every), lazy)) == []


def test_a_progressive_run_is_warned_that_its_stages_begin_sooner():
    def with_task(**task):
        return {"images_seen": 40, "config": {"format": 1, "config": {"task": task}}}

    record = with_task(name="progressive.Progressive", fade_images=7)
    (line,) = changes_since(record, (phase("generator"),))
    assert "7 images (config.task.fade_images) later" in line
    assert changes_since({**record, "images_seen": 0}, (phase("generator"),)) == []
    assert changes_since({**record, "revision": REVISION}, (phase("generator"),)) == []
    assert changes_since(with_task(name="generation.Generation"), (phase("generator"),)) == []
