"""A work directory in a bucket: `gs://` paths, with a bucket that lies in the memory of this process."""

import logging
import sys

import numpy as np
import pytest
from etils import epath
from etils.epath import backend
from fsspec.implementations.memory import MemoryFileSystem

from jaxgan.checkpoints.workdir import Workdir
from jaxgan.media.images import save_image
from jaxgan.media.provenance.origin import Origin, digital_source_type
from jaxgan.media.videos import save_animation
from jaxgan.reporting.plots import write_plots
from jaxgan.reporting.progress import setup_logging
from jaxgan.reporting.writer import Writer, read_scalars


class Bucket(MemoryFileSystem):
    """What `gs://` paths mean while a test runs."""

    protocol = ("gs", "gcs")
    store = {}  # noqa: RUF012
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(str(path).replace("gs://", "memory://"))


@pytest.fixture
def workdir(monkeypatch):
    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "gcs", Bucket)
    monkeypatch.setenv("EPATH_USE_TF", "false")
    backend.fsspec_backend._get_filesystem.cache_clear()
    Bucket.store.clear()
    yield "gs://bucket/runs/x"
    backend.fsspec_backend._get_filesystem.cache_clear()


def test_scalars_and_events_are_added_to(workdir):
    place = Workdir(workdir)
    place.create()
    with place.lock(), Writer(workdir) as writer:
        writer.write(1, 64, {"generator/loss": 1.5})
        writer.write(2, 128, {"generator/loss": float("nan")})
        writer.write_images(2, "samples", np.zeros((4, 4, 3), np.uint8))
    with Writer(workdir, resume_at=1) as writer:  # step 2 is played again
        writer.write(2, 128, {"generator/loss": 2.5})
    lines = read_scalars(place.scalars)
    assert [(line["step"], line["scalars"]) for line in lines] == [
        (1, {"generator/loss": 1.5}),
        (2, {"generator/loss": 2.5}),
    ]
    events = list(place.tensorboard.iterdir())
    assert len(events) == 2
    assert all(path.read_bytes() for path in events)


def test_the_log_is_added_to(workdir):
    place = Workdir(workdir)
    place.create()
    for word in ("first", "second"):
        undo = setup_logging(place.log)
        logging.getLogger("jaxgan.training").info("the %s start", word)
        undo()
    reported = place.log.read_text().splitlines()
    assert [line.partition(": ")[2] for line in reported] == ["the first start", "the second start"]


def test_plots(workdir):
    with Writer(workdir, tensorboard=False) as writer:
        for step in (1, 2, 3):
            writer.write(step, 64 * step, {"generator/loss": 1.0 / step})
    write_plots(workdir)
    assert Workdir(workdir).plots.joinpath("losses.png").read_bytes().startswith(b"\x89PNG")


def test_what_is_written_there_says_what_made_it(workdir, tmp_path):
    origin = Origin("created", "samples of a generator", "x")
    save_image(np.zeros((4, 4, 3), np.uint8), f"{workdir}/samples/a.png", origin)
    save_animation(np.zeros((2, 4, 4, 3), np.uint8), f"{workdir}/samples/a.gif", 10, origin)
    assert sorted(each.name for each in epath.Path(workdir, "samples").iterdir()) == ["a.gif", "a.png"]
    for name in ("a.png", "a.gif"):
        (tmp_path / name).write_bytes(epath.Path(workdir, "samples", name).read_bytes())
        assert digital_source_type(tmp_path / name) == origin.source_type
