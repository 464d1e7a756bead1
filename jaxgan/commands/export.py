"""`--mode=export`: writes the generator of a run, with its averaged weights, for other programs."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from jaxgan.cli.loading import load_model
from jaxgan.cli.options import checkpoint_choice
from jaxgan.cli.outputs import check_outputs
from jaxgan.cli.setup import start_jax
from jaxgan.config.run import RunConfig
from jaxgan.errors import FINISHED, UserError
from jaxgan.exporting import stablehlo
from jaxgan.inference.model import Model
from jaxgan.system.plain import plain
from jaxgan.system.whole_files import replacing


class ExportOptions(NamedTuple):
    """The parsed options."""

    format: str
    output: str
    truncation: float | None  # None: no truncation
    platforms: tuple[str, ...]  # of a StableHLO program


def run(config: RunConfig, workdir: str, options: Mapping[str, str]) -> int:
    """Writes the generator to `--output` and reports it.

    `--format` is `safetensors` (the weights by name), `stablehlo` (a program for `--platforms`) or `onnx` (a graph).
    Programs and graphs take latents and the other required inputs of the generator; `--truncation` is constant in them.
    Raises UserError for invalid options, and for missing packages of the extra `export`.
    """
    chosen = _read_options(options)
    checkpoint_choice(options)  # reports mistakes before anything is loaded
    check_outputs("export", workdir, options)
    start_jax(config)
    generator = load_model(workdir, options, None if chosen.format == "safetensors" else "latent")
    with replacing(chosen.output) as part:  # so that `--output` is never incomplete
        WRITERS[chosen.format](generator, str(part), chosen)
    size = pathlib.Path(chosen.output).stat().st_size
    print(plain(f"{chosen.format} of step {generator.step}: {chosen.output} ({size:,} bytes)"))
    return FINISHED


def _read_options(options: Mapping[str, str]) -> ExportOptions:
    kind, output = options.get("format"), options.get("output")
    if kind not in WRITERS:
        raise UserError(f"--format: got {kind!r}, expected one of {', '.join(WRITERS)}")
    if not output:
        raise UserError("--output is missing: name the file to write")
    if "platforms" in options and kind != "stablehlo":
        raise UserError(f"--platforms: got it with --format={kind}, which runs everywhere; expected --format=stablehlo")
    if "truncation" in options and kind == "safetensors":
        raise UserError("--truncation: weights do not depend on it; expected --format=stablehlo or onnx")
    platforms = options.get("platforms", ",".join(stablehlo.PLATFORMS))
    return ExportOptions(kind, output, _truncation(options), tuple(platforms.split(",")))


def _truncation(options: Mapping[str, str]) -> float | None:
    text = options.get("truncation")
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value < float("inf"):
        raise UserError(f"--truncation: got {text!r}, expected a number of 0 or more, such as 0.7")
    return value


def _safetensors(generator: Model, path: str, chosen: ExportOptions) -> None:
    from jaxgan.weights import safetensors

    del chosen
    metadata = {
        "format": f"jaxgan.{generator.name}",
        "step": str(generator.step),
        "images_seen": str(generator.images_seen),
        "config": json.dumps(generator.config, allow_nan=False),
        "class_names": json.dumps(generator.class_names, allow_nan=False),
    }
    safetensors.write(path, generator.tensors(), metadata)


def _stablehlo(generator: Model, path: str, chosen: ExportOptions) -> None:
    function = generator.function(truncation=chosen.truncation)
    stablehlo.write(path, function, generator.needed, platforms=chosen.platforms)


def _onnx(generator: Model, path: str, chosen: ExportOptions) -> None:
    try:
        from jaxgan.exporting import onnx
    except ImportError:
        raise UserError("--format=onnx needs the package onnx: pip install 'jaxgan[export]'") from None
    onnx.write(path, generator.function(truncation=chosen.truncation), generator.needed)


WRITERS = {"safetensors": _safetensors, "stablehlo": _stablehlo, "onnx": _onnx}
