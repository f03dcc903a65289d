# SPDX-License-Identifier: GPL-3.0-or-later
"""The chance that a mesh's depth is right, from what the photos say and how the ray meets it.

A logistic model of eight numbers, fitted at 256 pixels to rendered photos of two scenes and 15
states of their true meshes: a room with a plain wall, a sphere, a head and a thin pole (exact,
noise of two sizes, bumps of three, shifted twice, simplified, 1.5 % too large), and two textured
planes (exact, noise, bumps of two sizes, shifted). Fitted on 14 and tested on the 15th, in turn,
points of confidence 0.9 to 1 (60 % of all) were within 1 % of the true depth in 98.3 % of cases.
Fitted on the first scene alone, 97 % or more were on each mesh of the second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mvsam_engine.reconstruct.classical.undistort import FloatMap
from mvsam_engine.reconstruct.posed.photo_agreement import PhotoAgreement

# Patches with less contrast than this say nothing for or against the mesh.
LEAST_TEXTURE = 0.03
FULL_TEXTURE = 0.05
# Photos that look alike at the mesh's depth, and less beside it.
ALIKE = 0.5
# So many pixels of this share are assumed before any is seen.
PRIOR_PIXELS, PRIOR_SHARE = 300, 0.4
# Weights: of one; of how far the whole view confirms the mesh; of score, margin around and margin
# where there is texture; of the number of photos; of the grazing angle; of the texture itself.
WEIGHTS = (-0.86, 4.66, 3.36, 8.24, 1.74, 0.6, -0.61, 0.93)


@dataclass(frozen=True, slots=True)
class Support:
    """How far the photos confirm the mesh in one view.

    Attributes:
        asked: pixels with enough texture that another photo sees too.
        confirmed: of them, those where the photos look alike at the mesh's depth, and less alike
            in front of it and behind.
    """

    asked: int
    confirmed: int

    @property
    def share(self) -> float:
        """Share confirmed, careful where little was asked."""
        return (self.confirmed + PRIOR_SHARE * PRIOR_PIXELS) / (self.asked + PRIOR_PIXELS)


def support(found: PhotoAgreement) -> Support:
    """How far the photos confirm the mesh in a view."""
    asked = (found.photos > 0) & (found.texture > LEAST_TEXTURE)
    confirmed = asked & (found.score > ALIKE) & (found.around > 0)
    return Support(int(asked.sum()), int(confirmed.sum()))


def chance_within_one_percent(
    found: PhotoAgreement, cosine: FloatMap, supported: Support
) -> FloatMap:
    """Confidence [h, w] 0..1.

    Args:
        found: what the photos say.
        cosine: [h, w] between ray and face normal, any sign.
        supported: of this view.
    """
    evidence = np.clip(found.texture / FULL_TEXTURE, 0.0, 1.0) * (found.photos > 0)
    one, view, score, around, margin, photos, grazing, texture = WEIGHTS
    logit = (
        one
        + view * supported.share
        + score * evidence * (np.clip(found.score, 0.0, 1.0) - 0.8)
        + around * evidence * found.around
        + margin * evidence * found.margin
        + photos * np.minimum(found.photos, 3) / 3.0
        + grazing * (1.0 - np.abs(cosine))
        + texture * evidence
    )
    return (1.0 / (1.0 + np.exp(-logit))).astype(np.float32)
