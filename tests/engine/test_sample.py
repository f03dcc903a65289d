# SPDX-License-Identifier: GPL-3.0-or-later
"""The sample capture checked against itself: EXIF, masks, depth and cameras must agree.

Convention: OpenCV cameras, metres; pixels from the photo's top-left corner, first centre (.5, .5).
"""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tabletop"
TRUTH = SAMPLE / "truth"
FILM_35MM_DIAGONAL = math.hypot(36.0, 24.0)  # mm, CIPA DCG-001
MAX_BYTES = 8 * 1024 * 1024

cameras = json.loads((TRUTH / "cameras.json").read_text(encoding="utf-8"))
VIEWS = sorted(cameras["views"])
OBJECTS = sorted(cameras["objects"])


def load_mask(name: str, view: str) -> np.ndarray:
    """A truth mask as it is stored, uint8 [height, width]."""
    with Image.open(TRUTH / "masks" / name / f"{view}.png") as image:
        assert image.mode == "L"
        return np.asarray(image)


def load_depth(view: str) -> np.ndarray:
    """Depth in metres, float64 [height / 4, width / 4]."""
    with np.load(TRUTH / "depth" / f"{view}.npz") as archive:
        return archive["depth"].astype(np.float64)


def camera(view: str) -> tuple[np.ndarray, np.ndarray]:
    """Intrinsics [3, 3] and camera-from-world [4, 4] of a view."""
    entry = cameras["views"][view]
    return np.array(entry["K"]), np.array(entry["camera_from_world"])


def unproject(view: str) -> np.ndarray:
    """World points of a view's depth, float64 [height / 4, width / 4, 3]."""
    depth = load_depth(view)
    intrinsics, camera_from_world = camera(view)
    rows, columns = depth.shape
    x = (np.arange(columns) + 0.5) * cameras["width"] / columns
    y = (np.arange(rows) + 0.5) * cameras["height"] / rows
    pixels = np.stack([*np.meshgrid(x, y), np.ones_like(depth)], axis=-1)
    points = pixels @ np.linalg.inv(intrinsics).T * depth[..., None]
    world_from_camera = np.linalg.inv(camera_from_world)
    return points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]


def depth_ratios(source: str, target: str) -> np.ndarray:
    """Depth of the source's points in the target, over what the target sees there.

    1 where both see the same surface, above 1 where the target's view is blocked. Places where
    the target's depth changes by more than 1 % to a neighbour are left out: an edge of a
    silhouette belongs to neither side.
    """
    intrinsics, camera_from_world = camera(target)
    points = unproject(source).reshape(-1, 3)
    in_camera = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    in_camera = in_camera[in_camera[:, 2] > 0.05]
    projected = in_camera @ intrinsics.T
    depth = load_depth(target)
    rows, columns = depth.shape
    j = np.floor(projected[:, 0] / projected[:, 2] * columns / cameras["width"]).astype(int)
    i = np.floor(projected[:, 1] / projected[:, 2] * rows / cameras["height"]).astype(int)
    inside = (i >= 1) & (i < rows - 1) & (j >= 1) & (j < columns - 1)
    i, j, expected = i[inside], j[inside], in_camera[inside, 2]
    around = np.stack([depth[i + a, j + b] for a in (-1, 0, 1) for b in (-1, 0, 1)])
    flat = around.max(axis=0) < 1.01 * around.min(axis=0)
    return expected[flat] / depth[i, j][flat]


def carried_over(name: str, source: str, target: str) -> np.ndarray:
    """For each point under the source's mask in open sight of the target: is it masked there?"""
    here, there = load_mask(name, source), load_mask(name, target)
    rows, columns = load_depth(source).shape
    # Depth is sampled between pixels: an inner point has the object on all four sides.
    quads = here.reshape(rows, 4, columns, 4)[:, 1:3, :, 1:3].min(axis=(1, 3)) > 0
    intrinsics, camera_from_world = camera(target)
    points = unproject(source)[quads]
    in_camera = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    projected = in_camera @ intrinsics.T
    x = np.floor(projected[:, 0] / projected[:, 2]).astype(int)
    y = np.floor(projected[:, 1] / projected[:, 2]).astype(int)
    inside = (x >= 0) & (x < there.shape[1]) & (y >= 0) & (y < there.shape[0])
    x, y, z = x[inside], y[inside], in_camera[inside, 2]
    open_sight = np.abs(load_depth(target)[y // 4, x // 4] / z - 1) < 0.003
    return there[y, x][open_sight] > 0


def test_it_is_small_enough_to_ship() -> None:
    total = sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file())
    assert total < MAX_BYTES


def test_there_are_twenty_photos_and_eight_objects() -> None:
    photos = sorted(path.stem for path in (SAMPLE / "photos").iterdir())
    assert photos == VIEWS
    assert len(VIEWS) == 20
    assert len(OBJECTS) == 8


@pytest.mark.parametrize("view", VIEWS)
def test_exif_focal_is_the_true_focal(view: str) -> None:
    intrinsics, _ = camera(view)
    with Image.open(SAMPLE / "photos" / f"{view}.jpg") as image:
        exif = image.getexif()
        detail = exif.get_ifd(ExifTags.IFD.Exif)
        width, height = image.size
    equivalent = detail[ExifTags.Base.FocalLengthIn35mmFilm]
    by_diagonal = equivalent / FILM_35MM_DIAGONAL * math.hypot(width, height)
    millimetres = float(detail[ExifTags.Base.FocalLength])
    by_resolution = millimetres / 10 * float(detail[ExifTags.Base.FocalPlaneXResolution])
    assert exif[ExifTags.Base.Model] == "MV-SAM sample"
    assert (width, height) == (cameras["width"], cameras["height"])
    assert by_diagonal == pytest.approx(intrinsics[0, 0], rel=1e-4)
    assert by_resolution == pytest.approx(intrinsics[0, 0], rel=1e-4)
    assert intrinsics[0, 0] == intrinsics[1, 1]


@pytest.mark.parametrize("view", VIEWS)
def test_masks_match_the_photo_and_do_not_overlap(view: str) -> None:
    masks = np.stack([load_mask(name, view) for name in OBJECTS])
    assert masks.shape[1:] == (cameras["height"], cameras["width"])
    assert set(np.unique(masks)) <= {0, 255}
    assert (masks > 0).sum(axis=0).max() == 1


def test_every_object_is_seen_and_one_is_hidden_somewhere() -> None:
    areas = np.array([[np.count_nonzero(load_mask(n, v)) for v in VIEWS] for n in OBJECTS])
    assert (areas.max(axis=1) > 500).all()
    assert (areas == 0).any()


@pytest.mark.parametrize("name", OBJECTS)
def test_masks_of_an_object_agree_in_space(name: str) -> None:
    """The points under a mask project onto the same object, wherever nothing is in front."""
    hits = np.concatenate([carried_over(name, *pair) for pair in itertools.pairwise(VIEWS)])
    assert hits.size > 500
    assert hits.mean() > 0.97


@pytest.mark.parametrize("gap", [1, 3])
def test_depth_and_cameras_agree_across_views(gap: int) -> None:
    for source, target in zip(VIEWS[:-gap], VIEWS[gap:], strict=True):
        ratios = depth_ratios(source, target)
        same_surface = np.abs(ratios - 1) < 0.01
        # A point in front of what the other photo sees would contradict that photo.
        contradiction = ratios < 0.98
        assert same_surface.mean() > (0.7 if gap == 1 else 0.25), (source, target)
        assert contradiction.mean() < 0.01, (source, target)
        assert np.median(np.abs(ratios[same_surface] - 1)) < 0.002, (source, target)
