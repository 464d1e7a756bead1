"""A discriminator that judges an image at several scales (Karnewar & Wang 2020; Wang et al. 2018, section 3.2)."""

from __future__ import annotations

from typing import Any, Literal

import flax.linen as nn

from jaxgan.config.domains import Count, Given, SomeHalvings, Whole
from jaxgan.errors import UserError
from jaxgan.game import Array, Judgement, Network
from jaxgan.layers.resampling import box_downsample


class Discriminator(nn.Module):
    """Images `[B,R,R,C]`, or a tuple of them at R, R/2, ... pixels (and labels `[B]`), to one logit for each scale.

    Each scale has its own network, a copy of the template `discriminator` with the resolution of the scale, the number
    of classes and, if it is set, the conditioning given here. If the template has `widths` by stage, each halving
    removes the one of the largest images: the first, or the last in a family that lists them from the smallest stage
    (`smallest_first`).
    """

    resolution: Given[Count]
    discriminator: Network  # (image, label, *, train) -> Judgement, of any family
    num_classes: Given[Whole] = 0
    conditioning: Literal["projection", "concat", "classifier"] | None = None  # None: that of the template
    condition_dim: Given[Whole] = 0  # length of the vectors that replace labels; 0: none
    scales: SomeHalvings = 3

    @nn.compact
    def __call__(self, image: Array | tuple[Array, ...], label: Array | None = None, *, train: bool) -> Judgement:
        """Tuples of logits `[B]` and of features `[B,F]`, largest scale first; the mean of the scales' class logits.

        A single image is halved for the smaller scales by averaging 2x2 pixels. Raises UserError for images that do
        not fit the scales.
        """
        judged = [self._at(index)(each, label, train=train) for index, each in enumerate(self._pyramid(image))]
        guesses = [each.class_logits for each in judged if each.class_logits is not None]
        return Judgement(
            logits=tuple(each.logits for each in judged),
            features=tuple(each.features for each in judged),
            class_logits=sum(guesses) / len(guesses) if guesses else None,
        )

    def _at(self, scale: int) -> nn.Module:
        template: Any = self.discriminator
        changes: dict[str, Any] = {"num_classes": self.num_classes}
        if self.condition_dim:
            changes["condition_dim"] = self.condition_dim
        if self.conditioning is not None:
            changes["conditioning"] = self.conditioning
        if hasattr(template, "resolution"):
            changes["resolution"] = self.resolution >> scale
            widths = getattr(template, "widths", None)
            if widths is not None:
                smallest_first = getattr(template, "smallest_first", False)
                changes["widths"] = widths[: max(len(widths) - scale, 0)] if smallest_first else widths[scale:]
        return template.clone(parent=self, name=f"scale_{scale}", **changes)

    def _pyramid(self, image: Array | tuple[Array, ...]) -> tuple[Array, ...]:
        """The images by scale."""
        if not isinstance(image, tuple | list):
            images = [image]
            for _ in range(self.scales - 1):
                images.append(box_downsample(images[-1]))
            return tuple(images)
        got = [each.shape[1:3] for each in image]
        wanted = [(self.resolution >> scale,) * 2 for scale in range(self.scales)]
        if got != wanted:
            raise UserError(f"multiscale: got images of {got}, expected one image or {self.scales} of {wanted}")
        return tuple(image)
