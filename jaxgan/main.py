"""The command line: `python -m jaxgan.main --config configs/x.py --workdir runs/x --mode=train`.

Parses the flags and runs one command. Flags, modes and config fields are checked before jax is imported.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from jaxgan.config.overrides import load_config, resolve
from jaxgan.config.run import RunConfig, describe, from_json, to_tree
from jaxgan.errors import CTRL_C, FINISHED, GAVE_UP, MISTAKE, ArgumentError, TrainingGaveUp, UserError
from jaxgan.system import disks, paths, signals
from jaxgan.system.json_files import BrokenFileError, decoded, parse_json, regular_bytes, why
from jaxgan.system.plain import PlainFormatter, plain

MODES = {  # by mode: what it does, and its own flags
    "train": (
        "train a config, or resume the run in the workdir",
        {
            "profile": "true, a number of steps, or a folder: profile steps, by default into profile in the workdir",
            "coordinator": "HOST:PORT of process 0, for several processes if the environment does not configure them",
            "num_processes": "the number of processes",
            "process_id": "the index of this process, from 0",
        },
    ),
    "evaluate": (
        "score a checkpoint",
        {
            "checkpoint": "best, latest (default) or a step",
            "product": "which of several things that a run trains; default: the first",
            "samples": "number of samples; default: as in the config",
            "frames": "length of longer clips, whose last frames are scored too",
            "against": "another scores file to compare with",
            "path_length": "number of paths between latents for the perceptual path length; default: not computed",
        },
    ),
    "sample": (
        "generate pictures from a checkpoint",
        {
            "kind": "grid (default), files, videos, interpolate, classes, mixing, neighbours or truncation",
            "count": "number of samples, of latents of the walk, or of columns with --kind=classes",
            "frames": "frames of each clip, which may be more than in training; default: as in training",
            "over": "content (default) or motion: what --kind=interpolate changes between clips; the other is fixed",
            "labels": "classes of the samples, such as 3,3,5",
            "given": "captions of the samples, for a text-to-image model, such as 'a red bird; a blue one'",
            "seed": "of the noise; default 0",
            "truncation": "psi of styles, or the bound of latents, such as 0.7; for --kind=truncation several, 0.3,0.5",
            "crossover": "number of coarse layers, for --kind=mixing",
            "output": "a picture (png, jpg, webp, tif, bmp), a folder of files, .gif, .webp or .mp4; default: workdir",
            "provenance": "false: files do not say what made them",
            "checkpoint": "best, latest (default) or a step",
            "product": "which of several things that a run trains; default: the first",
        },
    ),
    "apply": (
        "restore pictures and films of any size with a trained or a published model",
        {
            "input": "a picture, a film, a folder of them, or a pattern such as 'photos/*.jpg'",
            "output": "a picture (png, jpg, webp, tif, bmp), a film (mp4, mov, mkv, webm), or a folder",
            "pretrained": "instead of a workdir: realesrgan_x4plus, realesrgan_x4plus_anime, realesr_animevideov3_x2, "
            "realesr_animevideov3_x3, realesr_animevideov3_x4, or a file of RRDB, SRVGG or BasicVSR++ weights",
            "strength": "interpolates weights from 0 (those of the first stage) to 1 (default: the final ones)",
            "mask": "a picture or film that is white where to fill in, or a folder of these named like the inputs",
            "mask_color": "fill in the pixels of this colour, such as 255,0,255",
            "degrade": "true: the inputs are clean; degrade them as in training, then restore them",
            "compare": "a picture (for a film, a film) to write with input and output side by side",
            "codec": "for films: h264 (default), hevc (default for more than 8 bits), av1, vp9, prores, ffv1",
            "quality": "for films: the codec's constant quality (CRF); lower is better",
            "start": "for films: start time, in seconds or minutes:seconds",
            "end": "for films: end time",
            "rate": "frames per second of a folder of frames; default 25",
            "tile": "longest side of a tile in pixels; less needs less memory",
            "batch_size": "tiles computed at once; default: as many as fit the pixels of the largest tile",
            "overwrite": "true: outputs may replace inputs",
            "provenance": "false: files do not say what made them",
            "checkpoint": "best, latest (default) or a step",
            "product": "which of several things that a run trains; default: the first",
        },
    ),
    "project": (
        "find the style or the latent of a picture",
        {
            "input": "a picture",
            "output": "a picture (png, jpg, webp, tif, bmp), with an .npz beside it; default: in the workdir",
            "provenance": "false: files do not say what made them",
            "steps": "optimization steps; default 1000",
            "labels": "a class; default: the one whose start is nearest to the picture",
            "seed": "of the noise; default 0",
            "checkpoint": "best, latest (default) or a step",
        },
    ),
    "export": (
        "export the generator for other programs",
        {
            "format": "safetensors, stablehlo or onnx",
            "output": "the file to write",
            "truncation": "psi of styles, or the largest latent, such as 0.7",
            "platforms": "platforms of the StableHLO program; default cpu,cuda,tpu",
            "checkpoint": "best, latest (default) or a step",
            "product": "which of several things that a run trains; default: the first",
        },
    ),
    "import": (
        "create a run from published StyleGAN2 weights",
        {"weights": "a .pth, .safetensors or .npz file with the tensor names of a PyTorch implementation"},
    ),
    "plan": (
        "predict memory and speed of a config on TPU slices; needs no TPU",
        {
            "topology": "one or more slices, such as v5e:8x8 or v5e:2x2,v5e:16x16; batch_size is for the smallest",
            "plan.search": "true: search over meshes, microbatches and remat on one slice, for at most an hour",
            "output": "a .json file with all figures",
        },
    ),
    "verify": (
        "report how files say they were made: --mode=verify PATHS, with files and folders",
        {
            "json": "print one JSON document; needs no value",
            "require": "credential or any: exit status 4 if a file has no valid credential, or neither that nor XMP",
        },
    ),
    "doctor": ("explain the curves of a run, and what to change", {}),
    "prepare": ("download and prepare a tfds data set", {}),
}
PATHS = ("config", "workdir", "input", "output", "pretrained", "mask", "compare", "against", "weights", "profile")
SWITCHES = ("json",)  # flags that need no value
FLAGS = {"step": "checkpoint", "n": "count", "name": "pretrained"}  # by the name of the Python argument
WITHOUT_NETWORKS = ("doctor", "import", "prepare")  # modes that build no network
COMMON = {
    "config": "a file, configs/x.py or configs/x.py:argument, or a config of the package, jaxgan:quickstart",
    "workdir": "the directory of the run",
    "mode": ", ".join(MODES) + "; default: train",
    "allow": "packages besides jaxgan, such as one,other, that names in a config may refer to",
    "help": "print this text",
}


class Call(NamedTuple):
    """A parsed command line."""

    mode: str
    config: str | None
    workdir: str | None
    overrides: dict[str, str]  # config fields, by dotted name
    options: dict[str, str]  # the mode's own flags
    paths: tuple[str, ...] = ()  # positional arguments, for verify


def main(arguments: Sequence[str]) -> int:
    """Runs one command and returns the exit status (see `jaxgan.errors`)."""
    if logging.lastResort is not None:  # prints warnings if the command has not set up logging
        logging.lastResort.setFormatter(PlainFormatter())
    with signals.listening():
        try:
            status = _answer(arguments)
            sys.stdout.flush()  # so that a closed pipe is noticed here, not at exit
            return status
        except BrokenPipeError:  # the reader of our output has exited
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FINISHED
        except (KeyboardInterrupt, Exception) as error:
            status, message = _ending(error)
            with contextlib.suppress(OSError):  # the terminal may be closed
                print(f"jaxgan: {plain(message)}", file=sys.stderr)
            return status


def _answer(arguments: Sequence[str]) -> int:
    if any(argument in ("--help", "-h") for argument in arguments):
        print(help_text())
        return FINISHED
    call = parse(arguments)
    try:
        return _verify(call) if call.mode == "verify" else _run(call, read_config(call))
    except ArgumentError as mistake:
        raise UserError(_in_flags(mistake, call)) from None


def _ending(error: BaseException) -> tuple[int, str]:
    """The exit status and message for an exception. Raises unexpected exceptions again."""
    if isinstance(error, TrainingGaveUp):
        return GAVE_UP, str(error)
    stopped = CTRL_C if signals.caught() is None else signals.status()
    if isinstance(error, KeyboardInterrupt):
        return stopped, "interrupted"
    if isinstance(error, UserError):
        status, message = MISTAKE, str(error)
    elif (failed := disks.find(error)) is not None:
        status, message = MISTAKE, disks.explain(failed, ".")
    elif signals.caught() is not None:  # a library turned the interrupt into its own exception
        status, message = stopped, f"interrupted ({type(error).__name__}: {error})"
    else:
        raise error
    return status if signals.caught() is None else stopped, plain(" ".join(message.split()))


def _in_flags(mistake: ArgumentError, call: Call) -> str:
    """The message of a mistake in an argument, with the flag that the argument came from."""
    flag = FLAGS.get(mistake.argument, mistake.argument)
    return f"--{flag}: {mistake.description}" if flag in MODES[call.mode][1] else str(mistake)


def parse(arguments: Sequence[str]) -> Call:
    """Parses flags, as `--flag value` or `--flag=value`, and paths. Raises UserError for unknown ones."""
    bare = list[str]()
    flags = dict(_flags(arguments, bare))
    flags |= {flag: paths.expanded(text, f"--{flag}") for flag, text in flags.items() if flag in PATHS}
    mode = flags.pop("mode", "train")
    if mode not in MODES:
        raise UserError(f"--mode: got {mode!r}, expected one of {', '.join(MODES)}{_near(mode, MODES)}")
    if bare and mode != "verify":
        raise UserError(f"{bare[0]!r}: expected flags, --flag=value; see --help")
    config, workdir = flags.pop("config", None), flags.pop("workdir", None)
    overrides = {flag.removeprefix("config."): text for flag, text in flags.items() if flag.startswith("config.")}
    options = {flag: text for flag, text in flags.items() if not flag.startswith("config.")}
    known = MODES[mode][1]
    for flag in options:
        if flag not in known and flag not in COMMON:
            every = [*COMMON, *known]
            raise UserError(
                f"--{flag}: --mode={mode} has no such flag; expected "
                f"{', '.join('--' + each for each in every)} and --config.FIELD{_near(flag, every)}"
            )
    if mode == "verify" and (config or workdir or overrides):
        given = "config" if config else "workdir" if workdir else f"config.{next(iter(overrides))}"
        raise UserError(f"--{given}: --mode=verify takes only paths, no run")
    if mode in ("apply", "sample", "project", "export") and overrides:
        raise UserError(f"--config.{next(iter(overrides))}: --mode={mode} uses the run's config unchanged")
    if "pretrained" in options and workdir:
        raise UserError("--pretrained: got it together with --workdir, expected one of them")
    if mode not in ("plan", "prepare", "verify") and "pretrained" not in options and not workdir:
        instead = ", or --pretrained" if mode == "apply" else ""
        raise UserError(f"--workdir is missing: --mode={mode} needs the directory of the run{instead}")
    return Call(mode, config, workdir, overrides, options, tuple(map(paths.expanded, bare)))


def read_config(call: Call) -> RunConfig:
    """The config of a call: from its file, or as saved in the workdir, with the overrides applied."""
    paths.remember(None)
    if call.config is not None:
        if call.mode == "train" and call.workdir is not None and not paths.is_remote(call.workdir):
            _saved(call.workdir)
        return load_config(call.config, call.overrides)
    if call.mode == "prepare":
        return resolve(DATA_ONLY, call.overrides)
    if call.mode == "import" or "pretrained" in call.options:  # the weights file defines the network
        return resolve({**DATA_ONLY, "data": {"name": "imported"}}, call.overrides)
    if call.mode == "train" or call.workdir is None:
        raise UserError(f"--config is missing: --mode={call.mode} needs a config, such as configs/quickstart.py")
    text = _saved(call.workdir)
    if text is None:
        raise UserError(f"--workdir={call.workdir}: there is no run in it (no config.json)")
    return resolve(to_tree(from_json(text)), call.overrides, saved=True)


def _saved(workdir: str) -> str | None:
    """The saved config of a run as text, or None; also remembers where its relative paths pointed."""
    from etils import epath  # the workdir may be in a bucket

    saved = epath.Path(workdir) / "config.json"
    if not saved.exists():
        return None
    try:
        text = decoded(regular_bytes(saved))
    except (OSError, BrokenFileError) as error:
        raise UserError(f"--workdir={workdir}: its config.json cannot be read: {why(error)}") from None
    with contextlib.suppress(BrokenFileError, AttributeError):  # reported when the config is parsed
        paths.remember(parse_json(text).get("places"))
    return text


DATA_ONLY = {  # preparing a data set needs only its name
    "task": {"name": "none"},
    "images": 1,
}


def help_text() -> str:
    """The text of `--help`: all flags, modes and config fields."""
    lines = [
        "usage: python -m jaxgan.main --config configs/quickstart.py --workdir runs/quickstart",
        "           [--mode=MODE] [--config.FIELD=VALUE ...]",
        "",
    ]
    lines += [f"  --{flag:12} {meaning}" for flag, meaning in COMMON.items()]
    for mode, (purpose, options) in MODES.items():
        lines += ["", f"--mode={mode}: {purpose}"]
        lines += [f"  --{flag:12} {meaning}" for flag, meaning in options.items()]
    lines += ["", "fields of a config (a section takes the arguments of the constructor that it names):"]
    lines += [f"  --{name} ({kind}; default {default})\n      {meaning}" for name, kind, default, meaning in describe()]
    return "\n".join(lines)


def entry() -> None:
    """The console script `jaxgan`."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # they quote code; we report problems ourselves
    for stream in (sys.stdout, sys.stderr):  # file names may hold characters that the terminal cannot encode
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    signals.end_once()
    status = main(sys.argv[1:])
    if "jaxgan.parallel.distributed" in sys.modules:
        from jaxgan.parallel.distributed import leave

        leave(status)
    sys.exit(status)


def _run(call: Call, config: RunConfig) -> int:
    from jaxgan.cli.outputs import check_outputs

    if call.mode == "plan" and "topology" in call.options:
        from jaxgan.planning.chips import read_topologies

        read_topologies(call.options["topology"])  # reports invalid slices before jax is imported
    check_outputs(call.mode, call.workdir or "", call.options)
    _set_environment(call, config)
    if call.mode not in WITHOUT_NETWORKS and "pretrained" not in call.options:
        with signals.deferred():  # a half-imported library may crash the process at exit
            from jaxgan.building.builder import check_allowed, check_sections
            from jaxgan.cli.options import allowed
        signals.check()
        packages = allowed(call.options)
        check_allowed(packages)
        check_sections(config, packages)
    with signals.deferred():
        command = _command(call.mode)
    signals.check()
    try:
        return command(config, call.workdir or "", call.options)
    except (UserError, TrainingGaveUp, BrokenPipeError):
        raise
    except Exception as error:
        if (failed := disks.find(error)) is None or signals.caught() is not None:
            raise
        raise UserError(disks.explain(failed, call.options.get("output") or call.workdir or ".")) from error


def _set_environment(call: Call, config: RunConfig) -> None:
    """Sets the environment variables that jax reads when it is imported."""
    from jaxgan.parallel.flags import first_of_several, leave_out_tpu, set_compiler_flags

    leave_out_tpu()
    wanted = call.mode not in WITHOUT_NETWORKS and config.parallel.compiler_flags
    added = set_compiler_flags() if wanted else ""
    if added and first_of_several(call.options.get("process_id"), os.environ):
        print(f"jaxgan: {added}", file=sys.stderr)


def _verify(call: Call) -> int:
    from jaxgan.commands.verify import run

    return run(call.paths, call.options)


def _command(mode: str) -> Callable[[RunConfig, str, Mapping[str, str]], int]:
    """The function that runs a mode; its module is imported only now, because imports are slow."""
    if mode == "evaluate":
        from jaxgan.commands.evaluate import run
    elif mode == "sample":
        from jaxgan.commands.sample import run
    elif mode == "apply":
        from jaxgan.commands.apply import run
    elif mode == "project":
        from jaxgan.commands.project import run
    elif mode == "export":
        from jaxgan.commands.export import run
    elif mode == "import":
        from jaxgan.commands.import_weights import run
    elif mode == "plan":
        from jaxgan.commands.plan import run
    elif mode == "doctor":
        from jaxgan.commands.doctor import run
    elif mode == "prepare":
        from jaxgan.commands.prepare import run
    else:
        from jaxgan.commands.train import run
    return run


def _flags(arguments: Sequence[str], paths: list[str]) -> Iterator[tuple[str, str]]:
    """Yields flags and their values; appends positional arguments, and all after `--`, to `paths`."""
    rest = iter(arguments)
    for argument in rest:
        if argument == "--":
            paths.extend(rest)
            return
        if not argument.startswith("--"):
            paths.append(argument)
            continue
        flag, equals, text = argument[2:].partition("=")
        if not equals and flag in SWITCHES:
            text = "true"
        elif not equals:
            following = next(rest, None)
            if following is None or following.startswith("--"):
                raise UserError(f"--{flag} needs a value: --{flag}=...")
            text = following
        yield flag.replace("-", "_"), text


def _near(word: str, known: Mapping[str, object] | Sequence[str]) -> str:
    near = difflib.get_close_matches(word, list(known), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else ""


if __name__ == "__main__":
    entry()
