"""Preparing tfds data sets, and the errors if that is impossible."""

from __future__ import annotations

import pytest
import tensorflow_datasets as tfds

from jaxgan.commands.prepare import run
from jaxgan.config.run import RunConfig
from jaxgan.data.prepare import prepare
from jaxgan.errors import UserError


def test_command_prepares_once(data_config, tmp_path, capsys):
    config = RunConfig(data=data_config(data_dir=str(tmp_path)))
    assert run(config, "", {}) == 0
    assert "prepared in" in capsys.readouterr().out.splitlines()[-1]
    assert run(config, "", {}) == 0
    said = capsys.readouterr().out
    assert "already prepared" in said
    assert "test 500, train 4,500" in said


def test_folders_need_none(data_config, tmp_path):
    with pytest.raises(UserError, match="needs no preparation"):
        prepare(data_config(tmp_path))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow"),
            r"pip install -e '\.\[prepare\]'",
        ),
        (
            ModuleNotFoundError("No module named 'apache_beam'", name="apache_beam"),
            "needs the package apache_beam",
        ),
        (ConnectionError("no route to host"), "cannot prepare 'cifar10': no route to host"),
        (AssertionError("Manual directory does not exist or is empty"), "downloaded by hand to .*manual"),
    ],
)
def test_what_stops_it_is_told(error, message, data_config, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        if isinstance(error, ImportError):
            raise RuntimeError("while preparing") from error  # tfds wraps errors
        raise error

    monkeypatch.setattr(tfds.core.DatasetBuilder, "download_and_prepare", fail)
    with pytest.raises(UserError, match=message):
        prepare(data_config("cifar10", data_dir=str(tmp_path)))
