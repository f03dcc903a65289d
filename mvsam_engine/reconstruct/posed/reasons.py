# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences that tell people why their cameras or their mesh were refused or doubted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.errors import ReconstructionError, UsageError
from mvsam_engine.reconstruct.posed.check_job import Verdict
from mvsam_engine.reconstruct.posed.mesh_frame import MeshFrame

# Share within four times the tolerance from which cameras are called inexact rather than wrong.
NEAR = 0.9
WITHOUT_CAMERAS = (
    "Reconstruct without --cameras: the photos are then placed anew. Or check that the camera "
    "file belongs to these photos."
)


def nothing_given() -> UsageError:
    """The method was chosen, but neither cameras nor a mesh were given."""
    return UsageError(
        "cameras.none",
        "The method 'posed' needs cameras.",
        "Give a camera file with --cameras PATH.",
    )


def no_photos() -> ReconstructionError:
    """The capture is empty."""
    return ReconstructionError(
        "reconstruct.empty", "The capture holds no photos.", "Add the photos of the cameras."
    )


def one_camera(photos: int) -> ReconstructionError:
    """A single photo has a camera, which shows no depth without a mesh."""
    return ReconstructionError(
        "reconstruct.single",
        f"Only one of the {photos} photos has a camera."
        if photos > 1
        else "One photo alone does not show depth.",
        "Add photos that have cameras, or give a mesh of the scene with --mesh FILE.",
    )


def same_place(count: int) -> ReconstructionError:
    """All cameras stand in one point."""
    return ReconstructionError(
        "reconstruct.parallax",
        f"All {count} cameras stand in the same place, so the photos show no depth.",
        "When that is not so, the camera file is missing its translations; otherwise take a step "
        "to the side between photos, or give a mesh with --mesh FILE.",
    )


def contradicted(verdict: Verdict) -> ReconstructionError:
    """Most of what the photos show contradicts the cameras."""
    numbers = (
        f"Only {_percent(verdict.share)} of {verdict.matches} matches between the photos fit "
        "the cameras"
    )
    if verdict.mistake:
        return ReconstructionError(
            "cameras.contradict",
            f"{numbers}. They would fit ({_percent(verdict.explained)} in the best pairs) if "
            f"this is so: {verdict.mistake}.",
            verdict.remedy,
        )
    if verdict.near >= NEAR:
        return ReconstructionError(
            "cameras.inexact",
            f"{numbers} exactly; {_percent(verdict.near)} fit within four times the tolerance "
            "(0.5 % of the photo's long side): the cameras are about right, but not exact enough "
            "to measure depth.",
            "Refine them in the program that made them, or reconstruct without --cameras. Photos "
            "taken close together whose names were mixed up look like this too.",
        )
    return ReconstructionError(
        "cameras.contradict",
        f"{numbers}{_worst(verdict)}.",
        WITHOUT_CAMERAS,
    )


def _worst(verdict: Verdict) -> str:
    """Some of the contradicting views, with their shares."""
    worst = sorted(verdict.contradicting.items(), key=lambda item: item[1])[:3]
    if not worst:
        return ""
    said = ", ".join(f"{view} {_percent(share)}" for view, share in worst)
    return f" (for example {said})"


def contradicting_view(share: float) -> str:
    """Why one photo was left out although it has a camera."""
    return (
        f"Its camera contradicts what it shows: only {_percent(share)} of its matches with the "
        "photos that fit it best agree. Check that it belongs to this photo (swapped names?)."
    )


def unmatched_view() -> str:
    """Why one photo with a camera has no points."""
    return (
        "It has a camera, but too little of it is seen in other photos to measure depth. Add "
        "photos from viewpoints next to it, or give a mesh with --mesh FILE."
    )


def unconfirmed_view(share: float) -> str:
    """Why one photo's depth map was not kept."""
    return (
        f"It has a camera, but other photos confirm only {_percent(share)} of its depth. It shows "
        "little texture, or its camera is inexact."
    )


def too_few_points(points: int, matches: int) -> ReconstructionError:
    """The photos hardly match along their cameras."""
    return ReconstructionError(
        "cameras.matches",
        f"The photos hardly show the same things ({matches} matches, {points} points), so neither "
        "the cameras can be checked nor depth be measured.",
        "Add photos that overlap by two thirds, or give a mesh of the scene with --mesh FILE.",
    )


def no_agreement(share: float) -> ReconstructionError:
    """Depth maps contradict one another although the cameras seemed right."""
    return ReconstructionError(
        "reconstruct.disagreement",
        f"Only {_percent(share)} of the pixels have a depth that another photo confirms with "
        "these cameras.",
        "Check the lens parameters in the camera file; moving things, mirrors and plain surfaces "
        "cannot be measured.",
    )


# --- mesh ------------------------------------------------------------------------------------


def mesh_not_in_view(
    hit: float, frame: MeshFrame | None, low: NDArray[np.float64], high: NDArray[np.float64]
) -> ReconstructionError:
    """Hardly a ray meets the mesh."""
    reach = ", ".join(
        f"{axis} {a:.4g} to {b:.4g}" for axis, a, b in zip("xyz", low, high, strict=True)
    )
    return ReconstructionError(
        "mesh.view",
        f"Only {_percent(hit)} of the photos' rays meet the mesh, which reaches from {reach} in "
        f"the cameras' world{_would(frame)}.",
        _mesh_remedy(frame),
    )


def mesh_elsewhere(frame: MeshFrame) -> ReconstructionError:
    """The mesh is in view, but not where the photos' points are."""
    return ReconstructionError(
        "mesh.frame",
        f"Only {_percent(frame.share)} of {frame.points} points that the photos agree on lie on "
        f"the mesh (within 2 % of their distance){_would(frame)}.",
        _mesh_remedy(frame),
    )


def _would(frame: MeshFrame | None) -> str:
    if frame is None or not frame.correction:
        return ""
    return (
        f"; {_percent(frame.corrected)} of the photos' points would lie on it if it were "
        f"{frame.correction}"
    )


def _mesh_remedy(frame: MeshFrame | None) -> str:
    if frame is not None and frame.correction:
        return f"Have the mesh {frame.correction}, or export it again with these axes and units."
    return (
        "Export mesh and cameras from the same project and in the same coordinate system and unit."
    )


INEXACT = (
    "The cameras fit the photos only roughly: {share} of the matches within 0.13 % of the photo's "
    "long side.",
    "Expect less depth, and less exact. Refine the cameras in the program that made them, with "
    "its lens distortion.",
)
MESH_DOUBTED = (
    "The photos confirm only {share} of the mesh where they have texture; confidence is low there.",
    "The mesh may be coarse, out of date, or slightly out of place.",
)
INSIDE_OUT = (
    "{share} of the rays meet the mesh from behind.",
    "Its faces are turned inside out, or the cameras stand inside a closed body; flip the normals "
    "when masks or textures need them.",
)


def told(sentences: tuple[str, str], share: float) -> tuple[str, str]:
    """A warning and its remedy with the share filled in."""
    return sentences[0].format(share=_percent(share)), sentences[1]


def some(names: Sequence[str]) -> str:
    """A few names as an example."""
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else "100 %"
