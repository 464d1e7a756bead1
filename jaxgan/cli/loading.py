"""Loads the model that the flags of a command select."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxgan.cli.options import allowed, checkpoint_choice
from jaxgan.errors import UserError
from jaxgan.fields import Kind
from jaxgan.inference.model import Model, load

MODES: dict[Kind, str] = {
    "latent": "--mode=sample",
    "pixels": "--mode=apply",
}  # by the input of a model


def load_model(workdir: str, options: Mapping[str, str], kind: Kind | None = None, **settings: Any) -> Model:
    """Loads the model selected by `--product`, `--checkpoint` and `--allow`; `settings` are passed to `jaxgan.load`.

    Raises UserError if it does not make pictures from fields of this kind.
    """
    choice, name = checkpoint_choice(options), options.get("product")
    model = load(workdir, name, step=choice, allow=allowed(options), **settings)
    if kind is not None:
        try:
            model.needs(kind, MODES)
        except UserError as error:
            raise UserError(f"{workdir}: {error}") from None
    return model
