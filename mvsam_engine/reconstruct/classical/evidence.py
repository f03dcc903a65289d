# SPDX-License-Identifier: GPL-3.0-or-later
"""Do two photos look alike where a model says that they show the same surface?

A wrong model fits its matches: on repeated patterns they are wrong together. What it cannot fit
is everything else. Take a point of photo A whose place is known because a third photo matches it,
and that has NOT been matched in photo B. It must nevertheless look alike where the model puts it
into B, when both look at it from nearly the same direction. In a right model it mostly does (what
hides it is the exception); in a wrong one it does so by chance. These are the "missing
correspondences" of Zach et al. 2010 and Roberts et al. 2011, asked of the pixels instead of the
matcher, because a matcher misses half of all points in right models too.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import FloatArray
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.view_graph import ViewGraph

# Long side in pixels of the grey photos that are compared: patches then hold some context, and a
# place that is wrong by a pixel of the photo does not matter.
LOOK_SIZE = 400
# Patches are (2 x RADIUS + 1)^2 pixels of the reference photo.
RADIUS = 4
# Normalised cross-correlation from which two patches look alike.
ALIKE = 0.5
# Standard deviation, in grey levels of 255, below which a patch shows nothing to compare.
LEAST_CONTRAST = 3.0
# Rays to a point that differ by more than this many degrees see different sides of things, and
# so do photos whose scales differ by more than this factor.
WIDEST_ANGLE = 30.0
WIDEST_SCALE = 1.67
# Share of the photo's long side by which a match may miss the pixels and still fits, and the
# angle in degrees between its rays below which its depth is open.
FITTING = 0.005
NARROWEST = 1.5
# Points of one photo that are looked for in one other photo.
MOST_POINTS = 150
# Photos that each photo is compared with: those that look from the most similar direction.
COMPARED = 12


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A small grey picture of a photo.

    Attributes:
        gray: [h, w] float32, 0..255.
        factor: from pixels of the upright photo to pixels of `gray`.
    """

    gray: NDArray[np.float32]
    factor: float


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What the photos of a model say about each pair of them; symmetric arrays [n, n].

    Attributes:
        asked: number of unmatched points that one of the two sees and the other should see.
        alike: how many of them look alike in both.
        angle: median angle in degrees between the two rays to those points, NaN when none.
        matched: number of verified matches whose rays are not parallel.
        fitting: how many of them fit the model's cameras.
    """

    asked: NDArray[np.int64]
    alike: NDArray[np.int64]
    angle: NDArray[np.float64]
    matched: NDArray[np.int64]
    fitting: NDArray[np.int64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of the asked points that look alike, 0 where none was asked."""
        return self.alike / np.maximum(self.asked, 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Sighted:
    """Features of one photo whose place in space is known: numbers [n] and points [n, 3]."""

    features: NDArray[np.int64]
    points: NDArray[np.float64]


def make_look(gray: NDArray[np.uint8], width: int) -> Look:
    """A look from a grey photo of any size whose upright original is `width` pixels wide."""
    factor = min(1.0, LOOK_SIZE / max(gray.shape))
    size = (max(1, round(gray.shape[1] * factor)), max(1, round(gray.shape[0] * factor)))
    small = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    return Look(small.astype(np.float32), small.shape[1] / width)


def gather(model: SparseModel, graph: ViewGraph, looks: dict[str, Look]) -> Evidence:
    """Ask every pair of photos of `model` that look from similar directions.

    Args:
        model: cameras in upright pixels.
        graph: verified matches, of at least the photos of the model.
        looks: view to its small picture.
    """
    count = len(model.cameras)
    asked, alike = np.zeros((count, count), np.int64), np.zeros((count, count), np.int64)
    angle = np.full((count, count), np.nan)
    sighted, matched, fitting = _sighted(model, graph)
    random = np.random.default_rng(0)
    for i in range(count):
        for j in _similar_directions(model, sighted[i], i):
            mates = graph.matched(model.cameras[i].view, model.cameras[j].view)
            points = sighted[i].points[~np.isin(sighted[i].features, mates)]
            pair = (model.cameras[i], model.cameras[j])
            chosen, angles = _comparable(points, *pair, looks)
            if len(chosen) > MOST_POINTS:
                pick = random.choice(len(chosen), MOST_POINTS, replace=False)
                chosen, angles = chosen[pick], angles[pick]
            if not len(chosen):
                continue
            correlation = _correlations(points[chosen], *pair, looks)
            usable = ~np.isnan(correlation)
            asked[i, j] = usable.sum()
            alike[i, j] = (correlation[usable] > ALIKE).sum()
            angle[i, j] = np.median(angles)
    return Evidence(asked + asked.T, alike + alike.T, np.fmin(angle, angle.T), matched, fitting)


def fitting_matches(model: SparseModel, graph: ViewGraph) -> NDArray[np.int64]:
    """Verified matches [n, n] of each pair that fit the cameras of `model`."""
    return _sighted(model, graph)[2]


def _sighted(
    model: SparseModel, graph: ViewGraph
) -> tuple[list[_Sighted], NDArray[np.int64], NDArray[np.int64]]:
    """Where in space the matched features of each photo lie, if the model is right.

    A feature that was matched in several photos is placed by the one with the widest angle.

    Returns:
        By camera its features, and for every pair the number of verified matches and of those
        that fit the cameras [n, n].
    """
    count = len(model.cameras)
    matched, fitting = np.zeros((count, count), np.int64), np.zeros((count, count), np.int64)
    found: list[list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]]]
    found = [[] for _ in range(count)]
    for i, j in itertools.combinations(range(count), 2):
        pair = (model.cameras[i], model.cameras[j])
        features, pixels = graph.matches(pair[0].view, pair[1].view)
        if not len(features):
            continue
        points, angles = triangulate(*pair, *pixels)
        good = np.flatnonzero(angles > 0)
        matched[i, j] = matched[j, i] = np.isfinite(angles).sum()
        fitting[i, j] = fitting[j, i] = len(good)
        for k, side in ((i, 0), (j, 1)):
            found[k].append((features[good, side], points[good], angles[good]))
    return [_widest(parts) for parts in found], matched, fitting


def _widest(
    parts: list[tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]],
) -> _Sighted:
    """Each feature once, with the point of its widest angle."""
    if not parts:
        return _Sighted(np.zeros(0, np.int64), np.zeros((0, 3)))
    features, points, angles = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((-angles, features))
    first = np.unique(features[order], return_index=True)[1]
    return _Sighted(features[order][first], points[order][first])


def triangulate(
    first: Camera, second: Camera, first_pixels: FloatArray, second_pixels: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points midway between the rays of matched pixels [n, 2].

    Returns:
        The points [n, 3], and the angles in degrees between the rays [n]: 0 for a match that does
        not fit the cameras (behind one of them or too far from the pixels), NaN for one that says
        nothing because its rays are (nearly) parallel.
    """
    rays = [
        camera.rays(pixels) @ camera.camera_from_world[:3, :3]
        for camera, pixels in ((first, first_pixels), (second, second_pixels))
    ]
    a, b = (ray / np.linalg.norm(ray, axis=1, keepdims=True) for ray in rays)
    base = second.center - first.center
    cosine = np.clip((a * b).sum(axis=1), -1.0, 1.0)
    sine2 = np.maximum(1.0 - cosine**2, 1e-12)
    along_a, along_b = a @ base, b @ base
    depth_a = (along_a - cosine * along_b) / sine2
    depth_b = (cosine * along_a - along_b) / sine2
    points = 0.5 * (first.center + depth_a[:, None] * a + second.center + depth_b[:, None] * b)
    fits = (depth_a > 0) & (depth_b > 0)
    for camera, pixels in ((first, first_pixels), (second, second_pixels)):
        projected, depth = camera.project(points)
        limit = FITTING * max(camera.width, camera.height)
        with np.errstate(invalid="ignore"):
            fits &= (depth > 0) & (np.linalg.norm(projected - pixels, axis=1) < limit)
    angles = np.degrees(np.arccos(cosine))
    return points, np.where(angles < NARROWEST, np.nan, np.where(fits, angles, 0.0))


def _similar_directions(model: SparseModel, sighted: _Sighted, index: int) -> list[int]:
    """The cameras that look at the middle of what camera `index` sees from nearest to it."""
    if not len(sighted.points):
        return []
    middle = np.median(sighted.points, axis=0)
    rays = middle - np.array([camera.center for camera in model.cameras])
    rays /= np.maximum(np.linalg.norm(rays, axis=1, keepdims=True), 1e-12)
    order = np.argsort(-(rays @ rays[index]), kind="stable")
    return [int(j) for j in order if j != index][:COMPARED]


def _comparable(
    points: NDArray[np.float64], here: Camera, there: Camera, looks: dict[str, Look]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Points that both cameras should show alike, and the angles in degrees of their rays."""
    inside = np.ones(len(points), bool)
    scales = []
    for camera in (here, there):
        pixels, depth = camera.project(points)
        margin = (RADIUS + 1) / looks[camera.view].factor
        with np.errstate(invalid="ignore", divide="ignore"):
            inside &= (depth > 0) & (pixels > margin).all(axis=1)
            inside &= (pixels < [camera.width - margin, camera.height - margin]).all(axis=1)
            scales.append(camera.params[0] * looks[camera.view].factor / depth)
    ours, theirs = here.center - points, there.center - points
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosine = (ours * theirs).sum(axis=1) / np.maximum(lengths, 1e-12)
    angles = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.abs(np.log(np.abs(scales[0] / scales[1])))
    chosen = np.flatnonzero(inside & (angles < WIDEST_ANGLE) & (ratio < np.log(WIDEST_SCALE)))
    return chosen, angles[chosen]


def _correlations(
    points: NDArray[np.float64], here: Camera, there: Camera, looks: dict[str, Look]
) -> NDArray[np.float64]:
    """Correlation [n] of the patches around the points, NaN where the patch here is plain.

    The patch is taken to be flat and to face camera `here`; seen from `there` it is then, to first
    order, an affine image of what it is here.
    """
    look, other = looks[here.view], looks[there.view]
    pixels, depth = here.project(points)
    step = (depth / (here.params[0] * look.factor))[:, None]  # one pixel of the look, at the point
    right, down = here.camera_from_world[0, :3], here.camera_from_world[1, :3]
    middle = there.project(points)[0] * other.factor
    across = there.project(points + step * right)[0] * other.factor - middle
    along = there.project(points + step * down)[0] * other.factor - middle
    x, y = np.meshgrid(*[np.arange(-RADIUS, RADIUS + 1.0)] * 2)
    x, y = x.reshape(1, -1, 1), y.reshape(1, -1, 1)
    ours = _sample(look.gray, pixels[:, None] * look.factor + np.concatenate([x, y], axis=2))
    theirs = _sample(other.gray, middle[:, None] + x * across[:, None] + y * along[:, None])
    ours -= ours.mean(axis=1, keepdims=True)
    theirs -= theirs.mean(axis=1, keepdims=True)
    contrast, other_contrast = ours.std(axis=1), theirs.std(axis=1)
    spread = np.maximum(contrast * other_contrast, 1e-3)
    correlation = (ours * theirs).mean(axis=1) / spread
    return np.where(contrast > LEAST_CONTRAST, correlation, np.nan)


def _sample(image: NDArray[np.float32], pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear grey values at corner-origin pixel positions [n, k, 2]."""
    index = (pixels - 0.5).astype(np.float32)
    x, y = np.ascontiguousarray(index[..., 0]), np.ascontiguousarray(index[..., 1])
    found = cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.astype(np.float64)
