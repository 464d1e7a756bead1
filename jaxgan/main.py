"""The command line: `python -m jaxgan.main --config configs/x.py --workdir runs/x --mode=train`.

Reads flags and hands over to one command. Flags, modes and run fields are checked before jax is imported.
"""

from __future__ import annotations

import difflib
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from jaxgan.config import RunConfig, describe, from_json, to_tree
from jaxgan.errors import CTRL_C, FINISHED, GAVE_UP, MISTAKE, ArgumentError, TrainingGaveUp, UserError
from jaxgan.json_files import read_text
from jaxgan.media.plain import plain
from jaxgan.overrides import load_config, resolve

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
            "samples": "how many; default: the config's",
            "against": "another file of scores, to print beside these",
            "path_length": "of how many paths between latents; default: none",
        },
    ),
    "sample": (
        "pictures from a checkpoint",
        {
            "kind": "grid (default), files, interpolate, classes, mixing, neighbours or truncation",
            "count": "samples, latents of the walk, or columns of the classes",
            "labels": "classes to draw, such as 3,3,5",
            "seed": "of the noise; default 0",
            "truncation": "psi of styles, or the largest latent, such as 0.7; for --kind=truncation several, 0.3,0.5",
            "crossover": "layers that are coarse, of --kind=mixing",
            "output": "a .png, a folder of files, a .gif or .mp4; default: in the workdir",
            "provenance": "false: files do not say what made them",
            "checkpoint": "best, latest (default) or a step",
        },
    ),
    "apply": (
        "restore pictures and films of any size with a trained or a published model",
        {
            "input": "a picture, a film, a folder of them, or a pattern such as 'photos/*.jpg'",
            "output": "a picture (png, jpg, webp, tif, bmp), a film (mp4, mov, mkv, webm), or a folder",
            "pretrained": "instead of a workdir: realesrgan_x4plus, realesrgan_x4plus_anime, realesr_animevideov3_x2, "
            "realesr_animevideov3_x3, realesr_animevideov3_x4, or a file of RRDB or SRVGG weights",
            "strength": "from 0, the weights of the first stage, to 1 (default), the last ones",
            "mask": "a picture, or a film, that is white where to fill in, or a folder of such with the inputs' names",
            "mask_color": "fill in where a picture has this colour, such as 255,0,255",
            "degrade": "true: pictures are clean; restore what the model's own degradation makes of them",
            "compare": "a .png, of a film an .mp4, with input and output side by side",
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
        },
    ),
    "project": (
        "find the style or the latent of a picture",
        {
            "input": "a picture",
            "output": "a .png, beside it an .npz; default: in the workdir",
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
SWITCHES = ("json",)  # flags that need no value
FLAGS = {"step": "checkpoint", "n": "count", "name": "pretrained"}  # by the argument that they become
WITHOUT_NETWORKS = ("doctor", "import", "prepare")  # modes that make no network
COMMON = {
    "config": "a file, configs/x.py, or configs/x.py:argument",
    "workdir": "where the run lies",
    "mode": ", ".join(MODES) + "; default: train",
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
    call = None
    try:
        if any(argument in ("--help", "-h") for argument in arguments):
            print(help_text())
            status = FINISHED
        else:
            call = parse(arguments)
            status = _verify(call) if call.mode == "verify" else _run(call, read_config(call))
        sys.stdout.flush()  # here, where a reader that has gone is noticed, not at exit
        return status
    except UserError as mistake:
        print(f"jaxgan: {plain(' '.join(_in_flags(mistake, call).split()))}", file=sys.stderr)
        return MISTAKE
    except TrainingGaveUp as gave_up:
        print(f"jaxgan: {gave_up}", file=sys.stderr)
        return GAVE_UP
    except KeyboardInterrupt:
        print("jaxgan: interrupted", file=sys.stderr)
        return CTRL_C
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINISHED


def _in_flags(mistake: UserError, call: Call | None) -> str:
    """What a mistake says; of an argument of the Python interface, the flag that it came from."""
    if not isinstance(mistake, ArgumentError) or call is None:
        return str(mistake)
    flag = FLAGS.get(mistake.argument, mistake.argument)
    return f"--{flag}: {mistake.told}" if flag in MODES[call.mode][1] else str(mistake)


def parse(arguments: Sequence[str]) -> Call:
    """The flags, as `--flag value` or `--flag=value`, and paths. Raises UserError for what no mode knows."""
    paths = list[str]()
    flags = dict(_flags(arguments, paths))
    mode = flags.pop("mode", "train")
    if mode not in MODES:
        raise UserError(f"--mode: got {mode!r}, accepted are {', '.join(MODES)}{_near(mode, MODES)}")
    if paths and mode != "verify":
        raise UserError(f"{paths[0]!r}: accepted are flags, --flag=value; see --help")
    config, workdir = flags.pop("config", None), flags.pop("workdir", None)
    overrides = {flag.removeprefix("config."): text for flag, text in flags.items() if flag.startswith("config.")}
    options = {flag: text for flag, text in flags.items() if not flag.startswith("config.")}
    known = MODES[mode][1]
    for flag in options:
        if flag not in known:
            every = [*COMMON, *known]
            raise UserError(
                f"--{flag}: --mode={mode} has no such flag; accepted are "
                f"{', '.join('--' + each for each in every)} and --config.FIELD{_near(flag, every)}"
            )
    if mode == "verify" and (config or workdir or overrides):
        given = "config" if config else "workdir" if workdir else f"config.{next(iter(overrides))}"
        raise UserError(f"--{given}: --mode=verify takes paths, and no run")
    if mode in ("apply", "sample", "project", "export") and overrides:
        raise UserError(f"--config.{next(iter(overrides))}: --mode={mode} takes the run's own config, without changes")
    if "pretrained" in options and workdir:
        raise UserError("--pretrained: got it beside --workdir, accepted is one of them")
    if mode not in ("plan", "prepare", "verify") and "pretrained" not in options and not workdir:
        instead = ", or --pretrained" if mode == "apply" else ""
        raise UserError(f"--workdir is missing: --mode={mode} needs the directory of the run{instead}")
    return Call(mode, config, workdir, overrides, options, tuple(paths))


def read_config(call: Call) -> RunConfig:
    """The config that a call means: its file's, or the one saved in the workdir, changed by the flags."""
    if call.config is not None:
        return load_config(call.config, call.overrides)
    if call.mode == "prepare":
        return resolve(DATA_ONLY, call.overrides)
    if call.mode == "import" or "pretrained" in call.options:  # the file says everything
        return resolve({**DATA_ONLY, "data": {"name": "imported"}}, call.overrides)
    if call.mode == "train" or call.workdir is None:
        raise UserError(f"--config is missing: --mode={call.mode} needs a config, such as configs/quickstart.py")
    from etils import epath  # it may lie in a bucket

    saved = epath.Path(str(call.workdir)) / "config.json"
    if not saved.exists():
        raise UserError(f"--workdir={call.workdir}: there is no run in it (no {saved.name})")
    return resolve(to_tree(from_json(read_text(saved))), call.overrides)


DATA_ONLY = {  # preparing a data set needs nothing but its name
    "generator": {"name": "none"},
    "discriminator": {"name": "none"},
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
    for stream in (sys.stdout, sys.stderr):  # names and words of files can hold what a terminal's encoding does not
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status = main(sys.argv[1:])
    if "jaxgan.parallel.distributed" in sys.modules:
        from jaxgan.parallel.distributed import leave

        leave(status)
    sys.exit(status)


def _run(call: Call, config: RunConfig) -> int:
    if call.mode not in WITHOUT_NETWORKS and config.parallel.compiler_flags:  # before anything imports jax
        from jaxgan.parallel.flags import first_of_several, set_compiler_flags

        if (added := set_compiler_flags()) and first_of_several(call.options.get("process_id"), os.environ):
            print(f"jaxgan: {added}", file=sys.stderr)
    if call.mode not in WITHOUT_NETWORKS and "pretrained" not in call.options:
        from jaxgan.builder import check_sections

        check_sections(config)
    return _command(call.mode)(config, call.workdir or "", call.options)


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
