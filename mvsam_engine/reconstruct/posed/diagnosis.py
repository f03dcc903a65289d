# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with cameras that contradict their photos?

Every mistake that programs and scripts are known to make is undone in turn, and the matches are
asked whether the cameras fit then: another meaning of the matrices, other camera axes, a mirrored
world, a lens for photos of another size, names that slipped by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import invert_rigid
from mvsam_engine.reconstruct.posed.epipolar import (
    TOLERANCE,
    FloatArray,
    PairMatches,
    fit_pairs,
)

# Share of the matches, in the best pairs of the cameras, that a mistake must explain to be named.
EXPLAINED = 0.75
# Explanations within this share of the best are as good; the first, simplest one is named.
AS_GOOD = 0.01
# Tolerance, as a factor, of cameras that are exact enough for a lens to be judged by.
EXACT = 0.25
# The pairs and matches that are asked: enough to tell, few enough to try hundreds of mistakes.
PAIRS_EACH, MOST_CAMERAS, MOST_MATCHES = 3, 24, 60
FACTORS = np.exp(np.linspace(np.log(0.2), np.log(5.0), 65))
# A lens closer to the given one than this is no mistake of size.
SAME_SIZE = 0.04


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A mistake that explains the matches.

    Attributes:
        sentence: what is wrong, for people.
        remedy: what to do.
        share: of the matches that fit once it is undone.
    """

    sentence: str
    remedy: str
    share: float


AXES_REMEDY = (
    "Write camera-from-world matrices with OpenCV axes (x right, y down, z forward), or export "
    "from the program in a format that fixes its convention."
)
SIZE_REMEDY = (
    "Use the photos that the cameras were computed from, or say the right photo size in the "
    "camera file."
)
NAMES_REMEDY = "Rename the photos as the camera file has them, then reconstruct again."


def tolerances(cameras: Sequence[Camera], factor: float = 1.0) -> FloatArray:
    """By camera, the distance in units of its rays that still fits."""
    focal = np.array([abs(c.param("fx")) for c in cameras])  # negative: a mirrored photo
    return factor * TOLERANCE * np.array([max(c.width, c.height) for c in cameras]) / focal


def diagnose(
    cameras: Sequence[Camera], pairs: Sequence[PairMatches], names: Sequence[str]
) -> Diagnosis | None:
    """The simplest mistake that explains the matches; None when none does.

    Args:
        cameras: as given.
        pairs: matches.
        names: of the photos, in the order of the cameras, for examples.
    """
    asked = _few(pairs)
    for family in (_axes, _sizes, _names):
        found = list(family(cameras, asked, names))
        best = max((d.share for d in found), default=0.0)
        if best < EXPLAINED:
            continue
        simplest = next(d for d in found if d.share >= best - AS_GOOD)
        # Many lenses fit roughly; the exact matches tell the size.
        exact = diagnose_lens(cameras, pairs) if family is _sizes else None
        return exact or simplest
    return None


def diagnose_lens(cameras: Sequence[Camera], pairs: Sequence[PairMatches]) -> Diagnosis | None:
    """A lens of another size that fits far more exactly; for cameras that fit roughly as given."""
    found = list(_sizes(cameras, _few(pairs), (), EXACT))
    return max(found, key=lambda d: d.share, default=None)


def _few(pairs: Sequence[PairMatches]) -> list[PairMatches]:
    """The richest pairs of some cameras, with some matches of each."""
    rng = np.random.default_rng(0)
    taken: dict[int, int] = {}
    few: list[PairMatches] = []
    for pair in sorted(pairs, key=lambda p: -len(p.rays_first)):
        new = [i for i in (pair.first, pair.second) if taken.get(i, 0) < PAIRS_EACH]
        fresh = [i for i in new if i not in taken]
        if not new or len(taken) + len(fresh) > MOST_CAMERAS:
            continue
        for camera in (pair.first, pair.second):
            taken[camera] = taken.get(camera, 0) + 1
        kept = rng.permutation(len(pair.rays_first))[:MOST_MATCHES]
        few.append(
            replace(pair, rays_first=pair.rays_first[kept], rays_second=pair.rays_second[kept])
        )
    return few


# --- matrices --------------------------------------------------------------------------------

_Change = Callable[[FloatArray], FloatArray]


def _rotation_transposed(pose: FloatArray) -> FloatArray:
    """The pose of a camera at the same place whose rotation was written the other way round."""
    turned = np.eye(4)
    turned[:3, :3] = pose[:3, :3].T
    turned[:3, 3] = -turned[:3, :3] @ (-pose[:3, :3].T @ pose[:3, 3])
    return turned


def _translation_is_place(pose: FloatArray) -> FloatArray:
    """The pose whose translation was in truth the camera's place."""
    moved = pose.copy()
    moved[:3, 3] = -pose[:3, :3] @ pose[:3, 3]
    return moved


_MEANINGS: tuple[tuple[str, _Change], ...] = (
    ("", lambda pose: pose),
    ("the matrices lead from the camera to the world, not from the world to the camera",
     invert_rigid),
    ("the translations are the cameras' places, not camera-from-world translations",
     _translation_is_place),
    ("the rotations lead from the camera to the world, not from the world to the camera",
     _rotation_transposed),
)  # fmt: skip


def signed_permutations() -> list[NDArray[np.float64]]:
    """All 48 ways to name three axes, the given one first, then by how little they change."""
    found = [
        np.diag(signs)[list(order)]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1.0, -1.0), repeat=3)
    ]
    return sorted(found, key=lambda m: (-np.count_nonzero(np.diag(m)), -np.trace(m)))


def _axes_sentence(axes: NDArray[np.float64]) -> str:
    """What is wrong when camera axes must be replaced by `axes` times themselves."""
    signs = tuple(np.diag(axes).astype(int))
    if signs == (1, -1, -1):
        return "the cameras have OpenGL's and Blender's axes (y up, z backward)"
    mirrored = np.linalg.det(axes) < 0
    if mirrored and signs.count(-1) == 1 and 0 not in signs:
        # Cameras on an arc hardly tell along which axis.
        return "the cameras are mirrored (left-handed)"
    if axes[2, 2] == 1 and not mirrored:
        degrees = {(-1, -1): 180, (0, 0): 90}[signs[0], signs[1]]
        return f"the photos are turned by {degrees} degrees against their cameras"
    letters = [("-" if row.min() < 0 else "") + "xyz"[int(np.argmax(np.abs(row)))] for row in axes]
    said = f"the cameras' axes are in another order (x, y, z should be {', '.join(letters)})"
    return said + (", and mirrored" if mirrored else "")


def _axes(
    cameras: Sequence[Camera], pairs: Sequence[PairMatches], _: Sequence[str]
) -> Iterator[Diagnosis]:
    """Other meanings of the matrices, and other camera axes."""
    limits = tolerances(cameras)
    for axes in signed_permutations():
        flip = np.eye(4)
        flip[:3, :3] = axes
        # A change of handedness mirrors the world too; the matrices stay rotations.
        world = np.eye(4) if np.linalg.det(axes) > 0 else np.diag([-1.0, 1.0, 1.0, 1.0])
        for meaning, change in _MEANINGS:
            if not meaning and np.array_equal(axes, np.eye(3)):
                continue
            poses = [flip @ change(c.camera_from_world) @ world for c in cameras]
            share = fit_pairs(poses, pairs, limits).mean_share(len(cameras))
            if share < EXPLAINED:
                continue
            parts = [meaning] if meaning else []
            parts += [_axes_sentence(axes)] if not np.array_equal(axes, np.eye(3)) else []
            yield Diagnosis(", and ".join(parts), AXES_REMEDY, share)


# --- lenses ----------------------------------------------------------------------------------


def _sizes(
    cameras: Sequence[Camera],
    pairs: Sequence[PairMatches],
    _: Sequence[str],
    strictness: float = 1.0,
) -> Iterator[Diagnosis]:
    """Intrinsics for photos of another size, or a focal length in other units."""
    poses = [c.camera_from_world for c in cameras]
    for factor in FACTORS:
        if abs(np.log(factor)) < SAME_SIZE:
            continue
        scaled = [_scaled_lens(c, factor) for c in cameras]
        for sentence, lenses in (
            (f"the lens belongs to photos about {factor:.2g} times as large", scaled),
            (f"the focal length is about {factor:.2g} times too long", None),
        ):
            moved = [_other_lens(pair, cameras, lenses, factor) for pair in pairs]
            share = fit_pairs(poses, moved, tolerances(cameras, factor * strictness)).mean_share(
                len(cameras)
            )
            if share >= EXPLAINED:
                yield Diagnosis(sentence, SIZE_REMEDY, share)


def _scaled_lens(camera: Camera, factor: float) -> FloatArray:
    """Pinhole matrix of photos that are 1 / `factor` times as large."""
    return np.diag([1.0 / factor, 1.0 / factor, 1.0]) @ camera.intrinsics


def _other_lens(
    pair: PairMatches,
    cameras: Sequence[Camera],
    lenses: Sequence[FloatArray] | None,
    factor: float,
) -> PairMatches:
    """The matches as seen through other lenses; None: focal lengths divided by `factor`."""
    if lenses is None:
        return replace(
            pair, rays_first=pair.rays_first * factor, rays_second=pair.rays_second * factor
        )

    def change(rays: FloatArray, number: int) -> FloatArray:
        given, other = cameras[number].intrinsics, lenses[number]
        pixels = rays * (given[0, 0], given[1, 1]) + given[:2, 2]
        return (pixels - other[:2, 2]) / (other[0, 0], other[1, 1])

    return replace(
        pair,
        rays_first=change(pair.rays_first, pair.first),
        rays_second=change(pair.rays_second, pair.second),
    )


# --- names -----------------------------------------------------------------------------------


def _names(
    cameras: Sequence[Camera], pairs: Sequence[PairMatches], names: Sequence[str]
) -> Iterator[Diagnosis]:
    """Cameras that belong to a photo before or after, or in reverse order."""
    count = len(cameras)
    limits = tolerances(cameras)
    if count < 4:
        return
    forward = np.arange(count)
    slipped = [(f"by {abs(k)}", np.roll(forward, -k)) for k in (1, -1, 2, -2)]
    for what, order in [*slipped, ("in reverse order", forward[::-1])]:
        poses = [cameras[i].camera_from_world for i in order]
        share = fit_pairs(poses, pairs, limits).mean_share(len(cameras))
        if share >= EXPLAINED:
            example = f"photo {names[1]} would take the camera of {names[order[1]]}"
            yield Diagnosis(f"the names have slipped {what} ({example})", NAMES_REMEDY, share)
