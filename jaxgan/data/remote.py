"""Data sets in a bucket: they are copied to this host once, then read like local ones."""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec

from jaxgan.data.builders import EMBEDDED
from jaxgan.data.clips.packaged import is_packaged
from jaxgan.data.stacked import is_stacked
from jaxgan.errors import UserError
from jaxgan.system.paths import cache_home, is_remote, open_regular
from jaxgan.system.whole_files import replacing

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig

log = logging.getLogger(__name__)

AT_ONCE = 16  # files that are copied in parallel


def with_local_files(config: DataConfig) -> DataConfig:
    """The config with remote paths (`gs://...`) replaced by the local folders that their files are copied to.

    From a remote `data_dir`, only the data set of the config is copied. Raises UserError for missing files.
    """
    changes: dict[str, Any] = {}
    if config.source:  # it finds its files by itself
        return config
    if is_remote(config.name):
        changes["name"] = str(local_copy(config.name))
    elif config.data_dir is not None and is_remote(config.data_dir) and not _elsewhere(config.name):
        folder = config.name.split(":")[0]
        if folder.split("/")[0] not in EMBEDDED:
            local_copy(f"{config.data_dir.rstrip('/')}/{folder}")
        changes["data_dir"] = str(place_of(config.data_dir))
    if config.condition is not None and is_remote(config.condition):
        changes["condition"] = str(local_copy(config.condition))
    return dataclasses.replace(config, **changes) if changes else config


def _elsewhere(name: str) -> bool:
    return is_stacked(name) or is_packaged(name)


def place_of(remote: str) -> Path:
    """The local folder for the files of a remote one: `$XDG_CACHE_HOME/jaxgan/remote/gs/bucket/folder`."""
    scheme, _, path = remote.partition("://")
    return cache_home() / "jaxgan" / "remote" / scheme / path.strip("/")


@functools.cache
def local_copy(remote: str) -> Path:
    """Copies the files of a remote folder that are missing here or differ in size; returns the local folder.

    One process per host copies, the others wait for it. Raises UserError if there is no such folder.
    """
    place = place_of(remote)
    place.parent.mkdir(parents=True, exist_ok=True)
    with open_regular(place.parent / f".{place.name}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = {path: info for path, info in _list(remote).items() if _differs(place / path, info["size"])}
        if files:
            megabytes = sum(info["size"] for info in files.values()) / 1e6
            log.info("copying %d files (%.0f MB) of %s to %s", len(files), megabytes, remote, place)
        with ThreadPoolExecutor(AT_ONCE) as workers:
            for path, done in [(path, workers.submit(_copy, info, place / path)) for path, info in files.items()]:
                if error := done.exception():
                    raise UserError(f"{remote}/{path} cannot be copied: {type(error).__name__}: {error}") from error
    return place


def _list(remote: str) -> Mapping[str, Mapping[str, Any]]:
    """Every file by its path below the folder: `name`, `size`, and `system`, the file system to read it from."""
    try:
        system, root = fsspec.core.url_to_fs(remote)
        found = system.find(root, detail=True)
    except (ImportError, ValueError) as error:  # no package for it; no such scheme
        raise UserError(f"{remote}: {error}; for gs:// paths: pip install -e '.[gcs]'") from None
    except Exception as error:  # networks fail in many ways
        raise UserError(f"{remote} cannot be read: {type(error).__name__}: {error}") from error
    if not found:
        raise UserError(
            f"{remote} is not there; prepare the data set on a disk (--mode=prepare --config.data.data_dir=DIR) "
            "and copy its folder to the bucket: gcloud storage cp --recursive DIR/NAME gs://BUCKET/DIR/"
        )
    start = len(root.rstrip("/")) + 1
    return {path[start:]: {**info, "system": system} for path, info in found.items() if path[start:]}


def _differs(here: Path, size: int) -> bool:
    return not here.is_file() or here.stat().st_size != size


def _copy(info: Mapping[str, Any], target: Path) -> None:
    """Copies one file, then renames it, so that a partial copy is never taken for the file."""
    with replacing(target) as part:
        info["system"].get_file(info["name"], str(part))
