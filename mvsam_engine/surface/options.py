# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person asks of an asset, checked in one place for command line and service."""

from __future__ import annotations

from dataclasses import dataclass

from mvsam_engine.errors import UsageError
from mvsam_engine.surface.meshing import Fill

FILLS: tuple[Fill, ...] = ("none", "small", "all")
FEWEST_FACES, MOST_FACES = 100, 1_000_000
SMALLEST_TEXTURE, LARGEST_TEXTURE = 128, 8192
LEAST_DETAIL, MOST_DETAIL = 32, 512


@dataclass(frozen=True, slots=True)
class SurfaceOptions:
    """How an asset is made.

    Attributes:
        faces: most triangles.
        texture: side of the texture in texels.
        detail: voxels along the longest side, where the photos resolve as many.
        fill: what of the surface that no photo saw is closed: nothing, small patches, all.
        smooth: standard deviation of the filter against noise in voxels.
    """

    faces: int = 20_000
    texture: int = 2048
    detail: int = 256
    fill: Fill = "small"
    smooth: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be made.

        Raises:
            UsageError: a number out of its range, or an unknown word.
        """
        _within("faces", self.faces, FEWEST_FACES, MOST_FACES)
        _within("texture", self.texture, SMALLEST_TEXTURE, LARGEST_TEXTURE)
        _within("detail", self.detail, LEAST_DETAIL, MOST_DETAIL)
        _within("smooth", self.smooth, 0, 5)
        if self.fill not in FILLS:
            raise UsageError(
                "usage.fill", f"Holes cannot be filled {self.fill!r}.", f"Say {', '.join(FILLS)}."
            )


def _within(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise UsageError(
            f"usage.{name}", f"{value} is no {name} to work with.", f"It is {least} to {most}."
        )
