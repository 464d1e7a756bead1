"""From a section `{"name": "dcgan.Generator", **keyword arguments}` to the object: the only importlib of the suite.

The import path is the registry: a name is a module of the package of its kind and something public in
it, so nothing has to be listed anywhere.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import pkgutil
import typing
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from jaxgan.config import RunConfig, check_type, unknown_key
from jaxgan.domains import Count, NotNegative, NotNegativeNumber, moves
from jaxgan.errors import UserError

PACKAGES = {  # by kind
    "network": "jaxgan.models",
    "task": "jaxgan.tasks",
    "adversary": "jaxgan.tasks",
    "loss": "jaxgan.losses",
    "regularizer": "jaxgan.regularizers",
    "augment": "jaxgan.augment",
    "degradation": "jaxgan.augment",
    "content": "jaxgan.losses",
}
ADVERSARY = "adversary.Adversary"  # made of the keys of a task's section that has one
NOT_IN_SECTIONS = ("network", "network_name", "player", "beside", "weigh")  # of an adversary: what the task decides
PENALTIES = ("penalties", "generator_penalties")  # what a task has of the kind "regularizer"
HANDED_IN = (  # of a regularizer: what a task can give it
    *("critic", "fake_critic", "real", "fake", "key", "real_logits", "fake_logits", "latent", "generate"),
    *("style", "synthesize", "params", "transposed", "images_seen", "memory", "given"),
)
CONTENT_HANDED_IN = (
    "restored",
    "target",
    "mask",
    "features",
    "heads",
    "fake_features",
    "real_features",
)  # of a content loss


def build(
    section: Mapping[str, Any],
    kind: str,
    *,
    path: str = "config",
    fill: Mapping[str, Any] | None = None,
    allow: Sequence[str] = (),
) -> Any:
    """The object that a section describes, made with its arguments; of losses and regularizers the named thing itself.

    `fill` gives arguments that the constructor takes and the section leaves out. `allow` names packages
    beside jaxgan that a full path such as `mypackage.nets.Generator` may point into. Raises UserError,
    with `path` before the key, for a name or an argument that does not fit.
    """
    found = find(section, kind, path=path, allow=allow)
    if kind in ("loss", "regularizer", "content"):
        return found
    arguments = _arguments(section)
    if kind == "network":  # a network may be made of others
        for key, inner in arguments.items():
            if is_section(inner):
                arguments[key] = build(inner, kind, path=f"{path}.{key}", allow=allow)
    parameters = _parameters(found)
    filled = {key: value for key, value in (fill or {}).items() if key in parameters and key not in arguments}
    _check_arguments(section, parameters, path, given=filled)
    return found(**filled, **arguments)


def find(section: Mapping[str, Any], kind: str, *, path: str, allow: Sequence[str] = ()) -> Any:
    """What the `name` of a section names. Raises UserError for what is not there or of another kind."""
    name = section.get("name")
    if not isinstance(name, str) or "." not in name:
        raise UserError(f"{path}.name: got {name!r}, accepted is module.Name, such as {_examples(kind)[0]!r}")
    module_name, _, attribute = name.rpartition(".")
    allowed = any(module_name == package or module_name.startswith(f"{package}.") for package in allow)
    module_path = module_name if allowed else f"{PACKAGES[kind]}.{module_name}"
    if not allowed and module_name not in _modules(kind):
        raise _unknown_name(name, kind, path)
    module = _imported(module_path, f"{path}.name: {name!r}", own=not allowed)
    found = getattr(module, attribute, None)
    if attribute.startswith("_") or found is None or not _is_kind(found, kind, module_path, allowed):
        raise _unknown_name(name, kind, path)
    return found


def is_section(value: Any) -> bool:
    """Whether a value of a section is a section itself."""
    return isinstance(value, Mapping) and "." in str(value.get("name", ""))


def accepts(section: Mapping[str, Any], kind: str, key: str, *, path: str, allow: Sequence[str] = ()) -> bool:
    """Whether the constructor that a section names takes the argument `key`."""
    return key in _parameters(find(section, kind, path=path, allow=allow))


def requires(section: Mapping[str, Any], kind: str, key: str, *, path: str, allow: Sequence[str] = ()) -> bool:
    """Whether the constructor that a section names takes the argument `key` and has no default for it."""
    parameter = _parameters(find(section, kind, path=path, allow=allow)).get(key)
    return parameter is not None and parameter.default is inspect.Parameter.empty


def adversary_parameters() -> dict[str, inspect.Parameter]:
    """The keys of a task's section that are its adversary's."""
    parameters = _parameters(find({"name": ADVERSARY}, "adversary", path="config.task"))
    return {name: each for name, each in parameters.items() if name not in NOT_IN_SECTIONS}


def check_allowed(packages: Sequence[str]) -> None:
    """Imports packages beside jaxgan that names of a config may point into.

    Raises UserError for one that cannot be imported, and for one of a name that means something of jaxgan's.
    """
    for package in packages:
        top = package.partition(".")[0]
        if top == "jaxgan" or any(top in _modules(kind) for kind in PACKAGES):
            raise UserError(f"--allow={package}: jaxgan has a module named {top}; give the package another name")
        if not all(part.isidentifier() for part in package.split(".")):
            raise UserError(f"--allow: got {package!r}, expected the name of a package, such as mypackage")
        _imported(package, f"--allow={package}:")


def check_sections(config: RunConfig, allow: Sequence[str] = ()) -> None:
    """Checks the names and arguments of all sections without making anything. Raises UserError.

    `allow` names packages beside jaxgan that they may point into.
    """
    from jaxgan.training.optimizers import check_optimizer

    for name in ("generator", "discriminator"):
        if name in config.task:
            raise UserError(f"config.task.{name}: a task gets its networks handed in; accepted is config.{name}")
    parameters = _parameters(find(config.task, "task", path="config.task", allow=allow))
    for name, arguments in (("generator", ("generator",)), ("discriminator", ("discriminator", "adversary"))):
        needed = [parameters[each].default is inspect.Parameter.empty for each in arguments if each in parameters]
        if getattr(config, name) or any(needed):
            _check_network(getattr(config, name), f"config.{name}", allow)
    parts = dict.fromkeys(
        (
            "generator",
            "discriminator",
            "num_classes",
            "loss",
            *PENALTIES,
            "augment",
            "degradation",
            "content",
            "backbone",
        )
    )
    if "adversary" in parameters:
        parameters = {**parameters, **adversary_parameters()}
        del parameters["adversary"]
    _check_arguments(config.task, parameters, "config.task", given=parts)
    if "loss" in config.task:
        find({"name": config.task["loss"]}, "loss", path="config.task.loss", allow=allow)
    for name in PENALTIES:
        penalties = config.task.get(name, ())
        if not isinstance(penalties, tuple):
            raise UserError(f"config.task.{name}: got {penalties!r}, accepted is a tuple of sections")
        for index, penalty in enumerate(penalties):
            check_regularizer(penalty, f"config.task.{name}.{index}", allow)
    for kind in ("augment", "degradation"):
        section = config.task.get(kind)
        if section is None:
            continue
        _check_part(section, kind, f"config.task.{kind}", allow)
    contents = config.task.get("content", ())
    if not isinstance(contents, tuple):
        raise UserError(f"config.task.content: got {contents!r}, accepted is a tuple of sections")
    for index, section in enumerate(contents):
        check_content(section, f"config.task.content.{index}", allow)
    for player, section in config.optimizers.items():
        check_optimizer(section, f"config.optimizers.{player}")
    check_argument(config.ema.half_life_images, NotNegativeNumber, "config.ema.half_life_images")


def _check_part(section: Any, kind: str, path: str, allow: Sequence[str]) -> None:
    """Checks the section of a part of the task, and those of the parts that it is made of."""
    if not isinstance(section, Mapping):
        raise UserError(f"{path}: got {section!r}, accepted is a section with a name, or None")
    parameters = _parameters(find(section, kind, path=path, allow=allow))
    _check_arguments(section, parameters, path, given={})
    for index, inner in enumerate(section["parts"] if "parts" in parameters else ()):
        _check_part(inner, kind, f"{path}.parts.{index}", allow)


def _check_network(section: Mapping[str, Any], path: str, allow: Sequence[str]) -> None:
    found = find(section, "network", path=path, allow=allow)
    decided = dict.fromkeys(("resolution", "channels", "num_classes"))
    _check_arguments(section, _parameters(found), path, given=decided)
    for key, inner in section.items():
        if is_section(inner):
            _check_network(inner, f"{path}.{key}", allow)


def check_regularizer(section: Mapping[str, Any], path: str, allow: Sequence[str] = ()) -> None:
    """Checks the name and the arguments of a regularizer's section; `every` is the task's. Raises UserError."""
    if not isinstance(section, Mapping):
        raise UserError(f"{path}: got {section!r}, accepted is a section with a name")
    check_type(section.get("every", 1), Count, f"{path}.every")
    parameters = _parameters(find(section, "regularizer", path=path, allow=allow))
    own = {key: value for key, value in parameters.items() if key not in HANDED_IN}
    _check_arguments({key: value for key, value in section.items() if key != "every"}, own, path, given={})


def check_content(section: Mapping[str, Any], path: str, allow: Sequence[str] = ()) -> None:
    """Checks the name and the arguments of a content loss's section; `weight` is the task's. Raises UserError."""
    if not isinstance(section, Mapping):
        raise UserError(f"{path}: got {section!r}, accepted is a section with a name")
    check_type(section.get("weight", 1.0), NotNegative, f"{path}.weight")
    parameters = _parameters(find(section, "content", path=path, allow=allow))
    own = {key: value for key, value in parameters.items() if key not in CONTENT_HANDED_IN}
    _check_arguments({key: value for key, value in section.items() if key != "weight"}, own, path, given={})


def _check_arguments(
    section: Mapping[str, Any], parameters: Mapping[str, Any], path: str, *, given: Mapping[str, Any]
) -> None:
    for key, value in _arguments(section).items():
        if key not in parameters:
            raise unknown_key(path, key, parameters)
        if key not in given:
            check_argument(value, parameters[key].annotation, f"{path}.{key}")
    for key, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and key not in section and key not in given:
            raise UserError(f"{path}.{key} is missing")


def check_argument(value: Any, annotation: Any, path: str) -> None:
    """Raises UserError where a value is not what an annotation says; a schedule is checked with its keys."""
    if moves(annotation) and isinstance(value, Mapping):
        from jaxgan.schedules import make_schedule

        make_schedule(value, path)
    check_type(value, annotation, path)


def _arguments(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "name"}


def _parameters(found: Any) -> dict[str, inspect.Parameter]:
    """The parameters of a constructor or function, with resolved annotations."""
    hints: dict[str, Any] = {}
    for annotated in (found,) if inspect.isfunction(found) else (found.__init__, found):  # fields know their modules
        with contextlib.suppress(NameError, TypeError):  # annotations that only a type checker can read
            hints |= typing.get_type_hints(annotated, include_extras=True)
    parameters = inspect.signature(found).parameters
    flax_own = ("parent", "name") if hasattr(found, "apply") else ()  # the fields of every flax Module
    return {name: p.replace(annotation=hints.get(name, Any)) for name, p in parameters.items() if name not in flax_own}


def _is_kind(found: Any, kind: str, module: str, allowed: bool) -> bool:
    if kind == "loss":
        from jaxgan.game import AdversarialLoss

        return isinstance(found, AdversarialLoss)
    at_home = allowed or getattr(found, "__module__", None) == module
    if kind == "network":
        return inspect.isclass(found) and hasattr(found, "apply") and hasattr(found, "init") and at_home
    if kind == "task":
        return inspect.isclass(found) and hasattr(found, "phases") and not hasattr(found, "turn") and at_home
    if kind == "adversary":
        return inspect.isclass(found) and hasattr(found, "turn") and at_home
    if kind == "augment":
        return inspect.isclass(found) and hasattr(found, "init_memory") and at_home
    if kind == "degradation":
        return inspect.isclass(found) and hasattr(found, "describe") and at_home
    if kind == "content":
        wants = ("restored", "fake_features")
        return inspect.isfunction(found) and at_home and not set(wants).isdisjoint(inspect.signature(found).parameters)
    return inspect.isfunction(found) and at_home and not set(HANDED_IN).isdisjoint(inspect.signature(found).parameters)


def _imported(module: str, told: str, *, own: bool = False) -> ModuleType:
    """A module, of jaxgan's `own` or beside it.

    Raises UserError, `told` before it, where it cannot be imported; of a module beside jaxgan whatever its code does.
    """
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        if own and not isinstance(error, ImportError):
            raise
        why = " ".join(str(error).split())
        raise UserError(f"{told} cannot be imported: {type(error).__name__}: {why}") from None


def _modules(kind: str) -> list[str]:
    package = importlib.import_module(PACKAGES[kind])
    return [module.name for module in pkgutil.iter_modules(package.__path__)]


def _examples(kind: str) -> list[str]:
    """Every name of a kind."""
    names = []
    for module_name in _modules(kind):
        module_path = f"{PACKAGES[kind]}.{module_name}"
        module = importlib.import_module(module_path)
        public = [name for name in vars(module) if not name.startswith("_")]
        names += [f"{module_name}.{n}" for n in public if _is_kind(getattr(module, n), kind, module_path, False)]
    return names


def _unknown_name(name: str, kind: str, path: str) -> UserError:
    known = _examples(kind)
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"accepted are {', '.join(known)}"
    return UserError(f"{path}.name: {name!r} is not a {kind}; {hint}")
