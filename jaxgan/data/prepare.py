"""Prepares a tfds data set in array_record format: the only place that may use TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import tensorflow_datasets as tfds

from jaxgan.data.clips.records import find_clip
from jaxgan.data.tfds_catalogue import FORMAT, check_format, check_images, find_builder, is_prepared, kind_of_name
from jaxgan.errors import UserError
from jaxgan.system.paths import is_remote

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig


class Prepared(NamedTuple):
    """A prepared data set."""

    name: str  # including config and version
    directory: Path
    already: bool  # it was there before
    splits: dict[str, int]  # examples by split


def prepare(config: DataConfig) -> Prepared:
    """Download and prepare the tfds data set `config.name` below `config.data_dir`.

    The files are moved into place at the end, all at once, so an interruption leaves nothing incomplete; downloads are
    kept and reused the next time. Raises `UserError` for an unknown data set, one without images, one that needs
    TensorFlow or another package that is missing, and failed downloads.
    """
    if is_remote(config.data_dir or ""):
        raise UserError(
            f"config.data.data_dir: got {config.data_dir!r}, expected a local folder; after preparing the data set, "
            "copy its folder to the bucket"
        )
    if kind_of_name(config.name) != "name":
        raise UserError(f"config.data.name: got {config.name!r}, a folder, which needs no preparation")
    builder = find_builder(config)
    already = is_prepared(builder)
    if already:
        check_format(builder, config)
    else:
        if find_clip(builder.info) is None:
            check_images(builder, config.name)
        _download_and_prepare(builder, config.name)
    splits = {name: split.num_examples for name, split in builder.info.splits.items()}
    return Prepared(builder.info.full_name, Path(builder.data_path), already, splits)


def _download_and_prepare(builder: tfds.core.DatasetBuilder, name: str) -> None:
    downloads = Path(builder.data_dir_root) / "downloads"
    settings = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        builder.download_and_prepare(download_dir=downloads, download_config=settings, file_format=FORMAT)
    except Exception as error:
        if not is_prepared(builder):  # another process may have been faster
            raise _explain(error, name, downloads) from error


def _explain(error: Exception, name: str, downloads: Path) -> Exception:
    """A `UserError` if the user can fix what stopped the preparation; else the error itself."""
    missing = _missing_package(error)
    if missing == "tensorflow":
        return UserError(f"preparing {name!r} needs TensorFlow (training does not): pip install -e '.[prepare]'")
    if missing:
        return UserError(f"preparing {name!r} needs the package {missing}, which is not installed: pip install it")
    text = " ".join(str(error).split())[:500]
    if isinstance(error, AssertionError) and "manual" in text.lower():
        return UserError(f"{name!r} must be downloaded by hand to {downloads / 'manual'}: {text}")
    if isinstance(error, OSError):  # includes the errors of requests
        return UserError(f"cannot prepare {name!r}: {text}")
    return error


def _missing_package(error: BaseException | None) -> str | None:
    """The package that could not be imported, if the chain of causes has an ImportError."""
    while error is not None:
        if isinstance(error, ImportError):
            named = error.name or str(error).rpartition("No module named ")[2].strip("' ")
            return named.split(".")[0] or None
        error = error.__cause__ or error.__context__
    return None
