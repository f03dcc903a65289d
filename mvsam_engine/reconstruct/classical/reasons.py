# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences that tell people why photos were left out or refused, and what to do."""

from __future__ import annotations

from mvsam_engine.capture.model import Photo
from mvsam_engine.errors import ReconstructionError
from mvsam_engine.reconstruct.classical.sfm_job import PhotoFacts

# Fewer features than this are noise: a blurred or empty photo.
FEW_FEATURES = 60
# Verified matches with the best neighbour that make a common subject likely.
FEW_MATCHES = 15

TAKE_BETTER = (
    "Take photos that overlap by two thirds, each from a step further on, of things with "
    "some texture, without flash or motion blur."
)


def reason(photo: Photo, facts: PhotoFacts | None) -> str:
    """Why a photo was not placed, and what to do, for the list of photos."""
    if facts is None:
        return (
            f"It is too small ({photo.width} x {photo.height} pixels). "
            "Use the photo at its full size."
        )
    if facts.features < 0:
        return f"It cannot be read ({facts.error})."
    if facts.features < FEW_FEATURES:
        return (
            "It shows hardly any detail (black, blurred or empty). "
            "Take it again with more light and a steady hand."
        )
    if facts.matches < FEW_MATCHES:
        return (
            "It shows nothing that another photo shows. "
            "Add photos from viewpoints between it and the others."
        )
    return _why_not_placed(facts)


def _why_not_placed(facts: PhotoFacts) -> str:
    """The reason for a photo that does show something that others show."""
    if facts.scene:
        return (
            f"It shows another scene: it fits together with {_names(facts.scene)}, and none of "
            "them with the placed photos. Reconstruct those photos in a capture of their own, or "
            "add photos that show both scenes."
        )
    if facts.doubted:
        return (
            "The other photos do not confirm the place where it seems to have been taken "
            "(repeated patterns and photos too far apart do this). Add photos from viewpoints "
            "between it and the others."
        )
    if facts.agreement is not None:
        return (
            "Its place contradicts the other photos in depth, so it is probably wrong (repeated "
            "patterns do this). Add photos from viewpoints between it and the others."
        )
    return (
        "Too little of it is also seen in the placed photos to tell where it was taken. "
        "Add photos from viewpoints between it and the others."
    )


def _names(views: tuple[str, ...], most: int = 3) -> str:
    """A list for people: ``a, b and 4 more``."""
    shown = ", ".join(views[:most])
    return shown if len(views) <= most else f"{shown} and {len(views) - most} more"


def too_few_photos(count: int) -> ReconstructionError:
    """No photo, or a single one."""
    if count == 0:
        return ReconstructionError(
            "reconstruct.empty", "The capture holds no photos.", "Add at least two photos."
        )
    return ReconstructionError(
        "reconstruct.single",
        "One photo alone does not show depth to a method that measures it.",
        "Add at least one more photo of the same things, taken from a step to the side. Only a "
        "trained geometry model (such as DUSt3R, VGGT or Depth Anything 3) can guess depth from "
        "one photo; `mvsam reconstruct --help` lists under --geometry which methods are "
        "installed here.",
    )


def too_small(pixels: int) -> ReconstructionError:
    """Hardly any photo is large enough."""
    return ReconstructionError(
        "reconstruct.small",
        f"Fewer than two of the photos are at least {pixels} pixels long.",
        "Use the photos at their full size.",
    )


def no_model(facts: dict[str, PhotoFacts]) -> ReconstructionError:
    """No two photos fit together; names the most likely cause."""
    poor = sum(fact.features < FEW_FEATURES for fact in facts.values())
    if poor > len(facts) / 2:
        return ReconstructionError(
            "reconstruct.detail",
            f"{poor} of {len(facts)} photos show hardly any detail (black, blurred, empty or "
            "unreadable).",
            TAKE_BETTER,
        )
    lonely = sum(fact.matches < FEW_MATCHES for fact in facts.values())
    if lonely > len(facts) / 2:
        return ReconstructionError(
            "reconstruct.overlap",
            f"{lonely} of {len(facts)} photos show nothing that another photo shows.",
            TAKE_BETTER,
        )
    doubted = sum(fact.doubted for fact in facts.values())
    if doubted > len(facts) / 2:
        return ReconstructionError(
            "reconstruct.doubtful",
            "The photos look alike in places, but they confirm no arrangement of cameras: what "
            "one of them shows is not where another one should show it (repeated patterns, and "
            "photos too far apart, do this).",
            TAKE_BETTER,
        )
    return ReconstructionError(
        "reconstruct.unsupported",
        "The photos look alike, but not enough points are seen in several of them to tell where "
        "they were taken.",
        TAKE_BETTER,
    )


def no_parallax() -> ReconstructionError:
    """All photos were taken from one place."""
    return ReconstructionError(
        "reconstruct.parallax",
        "The photos were taken from (nearly) the same place, so they show no depth.",
        "Take a step to the side between photos instead of turning on the spot.",
    )


def no_agreement() -> ReconstructionError:
    """The depth maps contradict each other."""
    return ReconstructionError(
        "reconstruct.disagreement",
        "The photos could be placed, but what they show does not agree in depth, so the places "
        "are probably wrong (photos too far apart, repeated patterns, mirrors or moving things do "
        "this).",
        TAKE_BETTER,
    )
