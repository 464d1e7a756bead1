"""Tasks from one flat set of arguments, for the task and for its adversary."""

import dataclasses

from jaxgan.tasks.adversary import Adversary

ADVERSARYS = {field.name for field in dataclasses.fields(Adversary)}


def parted(settings):
    """The arguments of the adversary, whose network is called `discriminator`, and of the task."""
    settings = {"network" if name == "discriminator" else name: value for name, value in settings.items()}
    return ({name: each for name, each in settings.items() if (name in ADVERSARYS) == own} for own in (True, False))


def make(kind, generator, **settings):
    """A task of this kind; without a loss or a network it has no adversary."""
    own, rest = parted(settings)
    if own.get("loss") is None or "network" not in own:
        return kind(generator, **rest)
    return kind(generator, adversary=Adversary(**own), **rest)


def changed(task, **settings):
    """The task with other arguments."""
    own, rest = parted(settings)
    return dataclasses.replace(task, adversary=dataclasses.replace(task.adversary, **own), **rest)
