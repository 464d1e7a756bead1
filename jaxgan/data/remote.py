"""Data sets in a bucket: copied to this host once, then read as any others."""

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
from jaxgan.system.paths import cache_home, is_remote, new_file_beside, open_regular

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig

log = logging.getLogger(__name__)

AT_ONCE = 16  # files


def with_local_files(config: DataConfig) -> DataConfig:
    """The config with paths on this host, to where the files of remote ones (`gs://...`) have been copied.

    Of a remote `data_dir` only the data set of the config is. Raises UserError for what is not there.
    """
    changes: dict[str, Any] = {}
    if config.source:  # whose files are its own
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
    """Where on this host the files of a remote folder go: `$XDG_CACHE_HOME/jaxgan/remote/gs/bucket/folder`."""
    scheme, _, path = remote.partition("://")
    return cache_home() / "jaxgan" / "remote" / scheme / path.strip("/")


@functools.cache
def local_copy(remote: str) -> Path:
    """Copies the files of a remote folder that are not here yet, or of another size; where they are then.

    One process of a host copies, the others wait for it. Raises UserError where there is no such folder.
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
    """What is known of every file, by its path below the folder: `name`, `size`, and `system`, what to ask for it."""
    try:
        system, root = fsspec.core.url_to_fs(remote)
        found = system.find(root, detail=True)
    except (ImportError, ValueError) as error:  # no package for it; no such scheme
        raise UserError(f"{remote}: {error}; for gs:// paths: pip install -e '.[gcs]'") from None
    except Exception as error:  # whatever a network says
        raise UserError(f"{remote} cannot be read: {type(error).__name__}: {error}") from error
    if not found:
        raise UserError(
            f"{remote} is not there; a data set is prepared on a disk (--mode=prepare --config.data.data_dir=DIR) "
            "and its folder copied to the bucket: gcloud storage cp --recursive DIR/NAME gs://BUCKET/DIR/"
        )
    start = len(root.rstrip("/")) + 1
    return {path[start:]: {**info, "system": system} for path, info in found.items() if path[start:]}


def _differs(here: Path, size: int) -> bool:
    return not here.is_file() or here.stat().st_size != size


def _copy(info: Mapping[str, Any], target: Path) -> None:
    """In one move, so that no half of a file is taken for it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = new_file_beside(target)
    try:
        info["system"].get_file(info["name"], str(part))
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
