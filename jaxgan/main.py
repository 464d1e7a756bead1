"""The command line: `python -m jaxgan.main --config configs/x.py --workdir runs/x --mode=train`.

Reads flags and hands over to one command. Flags, modes and run fields are checked before jax is imported.
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

MODES = {  # what each does, and its own flags
    "train": (
        "train, or go on where the workdir stands",
        {
            "profile": "true, how many steps, or a folder: trace some steps, into the workdir's profile or there",
            "coordinator": "HOST:PORT of process 0, of several processes that the environment does not tell of",
            "num_processes": "how many they are",
            "process_id": "which one this is, from 0",
        },
    ),
    "evaluate": (
        "score a checkpoint",
        {
            "checkpoint": "best, latest (default) or a step",
            "product": "which of several things that a run trains; default: the first",
            "samples": "how many; default: the config's",
            "frames": "of longer clips, whose last frames are scored beside the first ones",
            "against": "another file of scores, to print beside these",
            "path_length": "of how many paths between latents; default: none",
        },
    ),
    "sample": (
        "pictures from a checkpoint",
        {
            "kind": "grid (default), files, videos, interpolate, classes, mixing, neighbours or truncation",
            "count": "samples, latents of the walk, or columns of the classes",
            "frames": "of clips; may be more than it was trained on; default: as many",
            "over": "content (default) or motion: what --kind=interpolate changes from clip to clip, the other stays",
            "labels": "classes to draw, such as 3,3,5",
            "given": "texts to draw, of a model of captions, such as 'a red bird; a blue one'",
            "seed": "of the noise; default 0",
            "truncation": "psi of styles, or the largest latent, such as 0.7; for --kind=truncation several, 0.3,0.5",
            "crossover": "layers that are coarse, of --kind=mixing",
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
            "strength": "from 0, the weights of the first stage, to 1 (default), the last ones",
            "mask": "a picture, or a film, that is white where to fill in, or a folder of such with the inputs' names",
            "mask_color": "fill in where a picture has this colour, such as 255,0,255",
            "degrade": "true: pictures are clean; restore what the model's own degradation makes of them",
            "compare": "a picture, of a film a film, with input and output side by side",
            "codec": "of films: h264 (default), hevc (default for more than 8 bits), av1, vp9, prores, ffv1",
            "quality": "of films: the codec's constant quality (CRF), less is better",
            "start": "of films: seconds, or minutes:seconds, from where on",
            "end": "of films: up to where",
            "rate": "frames a second of a folder of frames; default 25",
            "tile": "longest side in pixels of what is computed at once",
            "batch_size": "tiles at once; default: as many as have the pixels of the largest tile",
            "overwrite": "true: outputs may take the place of inputs",
            "provenance": "false: files do not say what made them",
            "checkpoint": "best, latest (default) or a step",
            "product": "which of several things that a run trains; default: the first",
        },
    ),
    "project": (
        "find the style or the latent of a picture",
        {
            "input": "a picture",
            "output": "a picture (png, jpg, webp, tif, bmp), beside it an .npz; default: in the workdir",
            "provenance": "false: files do not say what made them",
            "steps": "of the search; default 1000",
            "labels": "a class; default: the one that begins nearest",
            "seed": "of the noise; default 0",
            "checkpoint": "best, latest (default) or a step",
        },
    ),
    "export": (
        "write the generator in a format for other programs",
        {
            "format": "safetensors, stablehlo or onnx",
            "output": "the file",
            "truncation": "psi of styles, or the largest latent, such as 0.7",
            "platforms": "of StableHLO; default cpu,cuda,tpu",
            "checkpoint": "best, latest (default) or a step",
            "product": "which of several things that a run trains; default: the first",
        },
    ),
    "import": (
        "make a run of published StyleGAN2 weights",
        {"weights": "a .pth, .safetensors or .npz file with the names of a PyTorch implementation"},
    ),
    "plan": (
        "say whether a config fits on TPU slices and how fast it could be there, without one",
        {
            "topology": "a slice, such as v5e:8x8, or several, v5e:2x2,v5e:16x16; the batch is that of the smallest",
            "plan.search": "true: try meshes, microbatches and remat on one slice, for an hour at most",
            "output": "a .json with all figures",
        },
    ),
    "verify": (
        "say what files tell of their making: --mode=verify PATHS, of files and folders",
        {
            "json": "one JSON document instead of words; needs no value",
            "require": "credential or any: exit status 4 where a file has no valid credential, or neither that nor XMP",
        },
    ),
    "doctor": ("say what the curves of a run mean and what to change", {}),
    "prepare": ("prepare a tfds data set", {}),
}
PATHS = ("config", "workdir", "input", "output", "pretrained", "mask", "compare", "against", "weights", "profile")
SWITCHES = ("json",)  # flags that need no value
FLAGS = {"step": "checkpoint", "n": "count", "name": "pretrained"}  # by the argument that they become
WITHOUT_NETWORKS = ("doctor", "import", "prepare")  # modes that make no network
COMMON = {
    "config": "a file, configs/x.py or configs/x.py:argument, or a config of the package, jaxgan:quickstart",
    "workdir": "where the run lies",
    "mode": ", ".join(MODES) + "; default: train",
    "allow": "packages, one or several as one,other, that names in a config may point into, beside jaxgan",
    "help": "this text",
}


class Call(NamedTuple):
    """What the command line asks for."""

    mode: str
    config: str | None
    workdir: str | None
    overrides: dict[str, str]  # of config fields, by dotted name
    options: dict[str, str]  # the mode's own flags
    paths: tuple[str, ...] = ()  # of verify


def main(arguments: Sequence[str]) -> int:
    """Runs one command; the exit status (see `jaxgan.errors`)."""
    if logging.lastResort is not None:  # which prints warnings where a command has set up nothing else
        logging.lastResort.setFormatter(PlainFormatter())
    with signals.listening():
        try:
            status = _answer(arguments)
            sys.stdout.flush()  # here, where a reader that has gone is noticed, not at exit
            return status
        except BrokenPipeError:  # the reader of our output has gone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FINISHED
        except (KeyboardInterrupt, Exception) as error:
            status, told = _ending(error)
            with contextlib.suppress(OSError):  # the terminal may be gone
                print(f"jaxgan: {plain(told)}", file=sys.stderr)
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
    """The exit status after an exception, and what to say. Raises what nobody has foreseen."""
    if isinstance(error, TrainingGaveUp):
        return GAVE_UP, str(error)
    stopped = CTRL_C if signals.caught() is None else signals.status()
    if isinstance(error, KeyboardInterrupt):
        return stopped, "interrupted"
    if isinstance(error, UserError):
        status, told = MISTAKE, str(error)
    elif (failed := disks.find(error)) is not None:
        status, told = MISTAKE, disks.explain(failed, ".")
    elif signals.caught() is not None:  # what a library makes of the interrupt
        status, told = stopped, f"interrupted ({type(error).__name__}: {error})"
    else:
        raise error
    return status if signals.caught() is None else stopped, plain(" ".join(told.split()))


def _in_flags(mistake: ArgumentError, call: Call) -> str:
    """What a mistake in an argument of the Python interface says of the flag that it came from."""
    flag = FLAGS.get(mistake.argument, mistake.argument)
    return f"--{flag}: {mistake.told}" if flag in MODES[call.mode][1] else str(mistake)


def parse(arguments: Sequence[str]) -> Call:
    """The flags, as `--flag value` or `--flag=value`, and paths. Raises UserError for what no mode knows."""
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
        raise UserError(f"--{given}: --mode=verify takes paths, and no run")
    if mode in ("apply", "sample", "project", "export") and overrides:
        raise UserError(f"--config.{next(iter(overrides))}: --mode={mode} takes the run's own config, without changes")
    if "pretrained" in options and workdir:
        raise UserError("--pretrained: got it beside --workdir, expected one of them")
    if mode not in ("plan", "prepare", "verify") and "pretrained" not in options and not workdir:
        instead = ", or --pretrained" if mode == "apply" else ""
        raise UserError(f"--workdir is missing: --mode={mode} needs the directory of the run{instead}")
    return Call(mode, config, workdir, overrides, options, tuple(map(paths.expanded, bare)))


def read_config(call: Call) -> RunConfig:
    """The config that a call means: its file's, or the one saved in the workdir, changed by the flags."""
    paths.remember(None)
    if call.config is not None:
        if call.mode == "train" and call.workdir is not None and not paths.is_remote(call.workdir):
            _saved(call.workdir)
        return load_config(call.config, call.overrides)
    if call.mode == "prepare":
        return resolve(DATA_ONLY, call.overrides)
    if call.mode == "import" or "pretrained" in call.options:  # the file says everything
        return resolve({**DATA_ONLY, "data": {"name": "imported"}}, call.overrides)
    if call.mode == "train" or call.workdir is None:
        raise UserError(f"--config is missing: --mode={call.mode} needs a config, such as configs/quickstart.py")
    text = _saved(call.workdir)
    if text is None:
        raise UserError(f"--workdir={call.workdir}: there is no run in it (no config.json)")
    return resolve(to_tree(from_json(text)), call.overrides, saved=True)


def _saved(workdir: str) -> str | None:
    """The config that a run has saved, as text; relative paths in it are remembered where they lay."""
    from etils import epath  # it may lie in a bucket

    saved = epath.Path(workdir) / "config.json"
    if not saved.exists():
        return None
    try:
        text = decoded(regular_bytes(saved))
    except (OSError, BrokenFileError) as error:
        raise UserError(f"--workdir={workdir}: its config.json cannot be read: {why(error)}") from None
    with contextlib.suppress(BrokenFileError, AttributeError):  # told of where it is used
        paths.remember(parse_json(text).get("places"))
    return text


DATA_ONLY = {  # preparing a data set needs nothing but its name
    "task": {"name": "none"},
    "images": 1,
}


def help_text() -> str:
    """All flags, modes and fields."""
    lines = [
        "usage: python -m jaxgan.main --config configs/quickstart.py --workdir runs/quickstart",
        "           [--mode=MODE] [--config.FIELD=VALUE ...]",
        "",
    ]
    lines += [f"  --{flag:12} {told}" for flag, told in COMMON.items()]
    for mode, (told, options) in MODES.items():
        lines += ["", f"--mode={mode}: {told}"]
        lines += [f"  --{flag:12} {meaning}" for flag, meaning in options.items()]
    lines += ["", "fields of a config (sections take the arguments of what they name):"]
    lines += [f"  --{name} ({kind}; default {default})\n      {told}" for name, kind, default, told in describe()]
    return "\n".join(lines)


def entry() -> None:
    """The console script `jaxgan`."""
    warnings.filterwarnings("ignore", module=r"PIL\.")  # with a line of its code; what is odd we say in our words
    for stream in (sys.stdout, sys.stderr):  # names and words of files can hold what a terminal's encoding does not
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

        read_topologies(call.options["topology"])  # what is no slice is known without jax
    check_outputs(call.mode, call.workdir or "", call.options)
    _set_environment(call, config)
    if call.mode not in WITHOUT_NETWORKS and "pretrained" not in call.options:
        with signals.deferred():  # a library of which half is imported may crash the process when it ends
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
    """Says how jax is to start, before anything imports it."""
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
    """What runs a mode; what it imports is imported now, not before it is known that it is needed."""
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
    """Flags and their values; what is neither goes to `paths`, and so does all behind a lone `--`."""
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
