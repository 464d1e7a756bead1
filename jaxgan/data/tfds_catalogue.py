"""Finds a data set of tfds by name, and checks that it is prepared and readable. Never uses the network."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import logging
import os
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import tensorflow_datasets as tfds
from etils import epath
from tensorflow_datasets.core import dataset_info, read_only_builder

import jaxgan.data.clips.moving_digits  # noqa: F401, which registers it
from jaxgan.data.builders import EMBEDDED
from jaxgan.data.clips.packaged import CLIPS, is_packaged
from jaxgan.data.clips.records import VIDEO, find_clip, without_video
from jaxgan.errors import UserError
from jaxgan.system.paths import cache_home, expanded, located

if TYPE_CHECKING:
    from jaxgan.config.run import DataConfig

log = logging.getLogger(__name__)

# name, name/config, name:1.0.0, name/config:1.0.0; no namespaces, since tfds looks them up on the network
NAME = re.compile(r"(?P<name>\w+)(/(?P<config>[^:/]+))?(:(\d[\d.*]*|\*|experimental_latest))?")
DEFAULT_DATA_DIR = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets")  # tfds's own
FORMAT = "array_record"
FILMS, UNREADABLE = "video", "audio"  # tfds's folders of data sets whose code needs TensorFlow
HIGH_RESOLUTION = "hr"  # the large image of a pair, as in div2k, whose supervised input is the small one
FEATURES_FILE, INFO_FILE = "features.json", "dataset_info.json"


def known_names() -> list[str]:
    """The names of the data sets that tfds and the suite have code for."""
    return list(tfds.list_builders(with_community_datasets=False))


def kind_of_name(name: str) -> Literal["images", "prepared", "name"]:
    """Whether a data set's name is a folder of images, a directory that tfds prepared, or a name of tfds.

    A name with a slash is not always a path: tfds has names like `imagenet_resized/64x64`. Raises `UserError` for a
    name that can only be a path and is not an existing folder.
    """
    folder = Path(located(name, "config.data.name"))
    path_only = name.startswith((".", "/", "~"))
    if not folder.is_dir():
        if path_only:
            raise UserError(f"config.data.name: got {name!r}, expected an existing folder or a name of tfds")
        return "name"
    if (folder / "dataset_info.json").is_file():
        return "prepared"
    return "images" if path_only or name.split("/")[0] not in known_names() else "name"


def prepare_command(config: DataConfig) -> str:
    """The command that prepares the data set of `config`."""
    where = f" --config.data.data_dir={shlex.quote(config.data_dir)}" if config.data_dir else ""
    return f"python -m jaxgan.main --mode=prepare --config.data.name={shlex.quote(config.name)}{where}"


def find_builder(config: DataConfig) -> tfds.core.DatasetBuilder:
    """The tfds builder of the data set, prepared or not; never uses the network.

    A prepared data set needs no code: its directory is enough, given as the name or found in `data_dir`.
    Raises `UserError` for an unknown name, config or version, and for a data set with audio.
    """
    try:
        if kind_of_name(config.name) == "prepared":
            return _open_directory(config.name, epath.Path(located(config.name, "config.data.name")))
        match = _match_name(config.name)
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # tfds prints a banner if TensorFlow is missing
                builder = tfds.builder(config.name, data_dir=_data_dir(config))
            return _open_directory(config.name, builder.data_path) if _has(builder.data_path, VIDEO) else builder
        except ImportError as error:
            return _open_without_code(config, match, error)
        except tfds.core.DatasetNotFoundError:
            if not _in_package(match, FILMS):  # without TensorFlow, tfds does not know some of their names
                raise
            return _open_without_code(config, match, ImportError("No module named 'tensorflow'"))
    except tfds.core.DatasetNotFoundError as error:
        raise _unknown(config.name) from error
    except (ValueError, AssertionError, RuntimeError) as error:
        raise UserError(f"no data set {config.name!r} in tfds: {' '.join(str(error).split())[:300]}") from error


def is_prepared(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether the files are there (tfds's own check warns when they are not)."""
    return (builder.data_path / INFO_FILE).exists()


def open_builder(config: DataConfig) -> tfds.core.DatasetBuilder:
    """The builder of a data set that is prepared in array_record format. Raises `UserError` if it is not.

    The digits and photographs of the demo are prepared here, in a second or two.
    """
    builder = find_builder(config)
    if config.frames is None:
        check_images(builder, config.name)
    else:
        check_clips(builder, config.name)
    if not is_prepared(builder):
        if builder.name not in EMBEDDED:
            folder = f" (the folder of that name is ./{config.name})" if Path(config.name).is_dir() else ""
            raise UserError(
                f"the data set {config.name!r} is not prepared in {builder.data_dir_root}{folder}; "
                f"prepare it with: {prepare_command(config)}"
            )
        _prepare_embedded(builder)
        builder = find_builder(config)  # the same builder as in later runs
    check_format(builder, config)
    return builder


def check_format(builder: tfds.core.DatasetBuilder, config: DataConfig) -> None:
    """Raises `UserError` if a prepared data set is not in array_record format."""
    formats = sorted(kind.value for kind in builder.info.available_file_formats())
    if FORMAT not in formats:
        raise UserError(
            f"the data set {config.name!r} is in {builder.data_path} as {' and '.join(formats)} only, "
            f"and random access needs {FORMAT}: move that folder away or give another "
            f"--config.data.data_dir, then run: {prepare_command(config)}"
        )


def check_images(builder: tfds.core.DatasetBuilder, name: str) -> tuple[str, str | None]:
    """The names of the image feature and of the label (None: no classes). Raises `UserError` without an image.

    For super-resolution pairs it is the large image: a degradation makes the small ones.
    """
    supervised = tuple(builder.info.supervised_keys or (None, None))
    image = _feature(builder, tfds.features.Image, HIGH_RESOLUTION, supervised[0])
    if image is None:
        raise UserError(f"the data set {name!r} has no feature that is one image ({_kinds(builder)})")
    if builder.info.features[image].np_dtype == np.float32:
        raise UserError(f"the images of {name!r} are floats (depths?); expected 8 or 16 bits")
    return image, _label(builder)


def check_clips(builder: tfds.core.DatasetBuilder, name: str) -> tuple[str, str | None]:
    """The names of the clip feature and of the label (None: no classes). Raises `UserError` without a clip."""
    clip = find_clip(builder.info)
    if clip is None:
        raise UserError(f"the data set {name!r} has no clips ({_kinds(builder)}): leave --config.data.frames out")
    return clip, _label(builder)


def _feature(builder: tfds.core.DatasetBuilder, kind: type, *wanted: str | None) -> str | None:
    """The first of the wanted features that is of the kind, else the first of all features of the kind."""
    features = builder.info.features
    keys = list(features) if isinstance(features, tfds.features.FeaturesDict) else []
    keys = [key for key in keys if isinstance(features[key], kind) and not _is_mask(features[key])]
    return next((key for key in (*wanted, *keys) if key in keys), None)


def _label(builder: tfds.core.DatasetBuilder) -> str | None:
    label = _feature(builder, tfds.features.ClassLabel, tuple(builder.info.supervised_keys or (None, None))[1])
    return None if label is None or builder.info.features[label].num_classes is None else label


def _kinds(builder: tfds.core.DatasetBuilder) -> str:
    """The kinds of features that it has, and how to read clips if there are any."""
    features = builder.info.features
    kinds = {type(feature).__name__ for feature in getattr(features, "values", lambda: [features])()}
    clips = "" if find_clip(builder.info) is None else "; clips are read with --config.data.frames=N"
    return f"it has {', '.join(sorted(kinds))}{clips}"


def _is_mask(feature: tfds.features.FeatureConnector) -> bool:
    return isinstance(feature, tfds.features.LabeledImage)


def _data_dir(config: DataConfig) -> str | None:
    """The folder of prepared data sets; None: the default of tfds."""
    if config.data_dir:
        return located(config.data_dir, "config.data.data_dir")
    if os.path.expanduser(DEFAULT_DATA_DIR).startswith("~"):  # no home folder; tfds would make a folder named "~"
        return str(cache_home() / "tensorflow_datasets")
    return None


def _open_directory(name: str, directory: epath.Path) -> tfds.core.DatasetBuilder:
    """A prepared data set, with films as sequences of images. Raises UserError for one with audio."""
    if _has(directory, "audio_feature.Audio"):
        raise UserError(f"the data set {name!r} has a feature Audio, which tfds cannot read without TensorFlow")
    if not _has(directory, VIDEO):
        return tfds.builder_from_directory(directory)
    described = dataset_info.read_from_json(directory / INFO_FILE)
    content = without_video(json.loads((directory / FEATURES_FILE).read_text()))
    described.features.CopyFrom(tfds.features.FeatureConnector.from_json(content).to_proto())
    return read_only_builder.ReadOnlyBuilder(directory, info_proto=described)


def _open_without_code(config: DataConfig, match: re.Match[str], error: ImportError) -> tfds.core.DatasetBuilder:
    """The newest prepared version of a data set whose builder cannot be created without TensorFlow."""
    folder = epath.Path(_data_dir(config) or expanded(DEFAULT_DATA_DIR)) / match["name"]
    versions = _versions(folder / match["config"] if match["config"] else folder)
    if not versions and not match["config"] and folder.exists():  # the only prepared config
        found = [each for each in map(_versions, folder.iterdir()) if each]
        versions = found[0] if len(found) == 1 else []
    if versions:
        return _open_directory(config.name, max(versions, key=lambda v: [int(n) for n in v.name.split(".")]))
    missing = str(error).rpartition("No module named ")[2].strip("' ")
    raise UserError(
        f"the data set {config.name!r} is not prepared, and its builder needs {missing} to start: "
        f"pip install -e '.[prepare]', then {prepare_command(config)}"
    ) from error


def _versions(folder: epath.Path) -> list[epath.Path]:
    inside = folder.iterdir() if folder.is_dir() else ()  # etils' glob interprets brackets in the folder's own path
    return [each for each in inside if (each / INFO_FILE).exists()]


def _match_name(name: str) -> re.Match[str]:
    match = NAME.fullmatch(name)
    if match is None:
        raise _unknown(name)
    if _in_package(match, UNREADABLE):
        raise UserError(f"{name!r} is a data set of audio, which tfds cannot read without TensorFlow")
    return match


def _in_package(match: re.Match[str], folder: str) -> bool:
    """Whether the code of a data set is in this folder of tfds."""
    package = Path(tfds.__file__).parent / folder
    return (package / f"{match['name']}.py").is_file() or (package / match["name"]).is_dir()


def _has(directory: epath.Path, feature: str) -> bool:
    """Whether a prepared data set has a feature of this class."""
    file = directory / FEATURES_FILE
    return file.exists() and feature in file.read_text()


def _unknown(name: str) -> UserError:
    if is_packaged(name):
        what = "is made of films" if name == CLIPS else "is a film"
        return UserError(
            f"{name!r} {what} in a package: it is read with --config.data.frames=N, and needs no preparation"
        )
    near = difflib.get_close_matches(name.split("/")[0].split(":")[0].lower(), known_names(), n=1, cutoff=0.7)
    meant = f"; did you mean {near[0]!r}?" if near else ""
    return UserError(f"unknown data set {name!r}: neither an existing folder of images nor a data set of tfds{meant}")


def _prepare_embedded(builder: tfds.core.DatasetBuilder) -> None:
    log.info("preparing the data set %s in %s", builder.name, builder.data_path)
    tfds.disable_progress_bar()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            # tfds writes to a temporary folder and renames it: if killed, it leaves nothing that looks complete.
            builder.download_and_prepare(file_format=FORMAT)
    except OSError as error:
        if not is_prepared(builder):  # another process may have been faster
            raise UserError(
                f"cannot prepare {builder.name} in {builder.data_dir_root} ({error}): "
                "give --config.data.data_dir=DIR, a folder that can be written"
            ) from error
