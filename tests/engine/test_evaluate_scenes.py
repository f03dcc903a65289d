# SPDX-License-Identifier: GPL-3.0-or-later
"""Rendered scenes: photos, cameras, depth and masks of every kind agree with each other."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from mvsam_engine.capture.conventions import grid_pixels, invert_rigid, transform_points
from mvsam_engine.evaluate.sources import find_set
from mvsam_engine.photos import read_rgb

ROOT = Path(__file__).resolve().parents[2]
BLENDER = ROOT / ".venvs" / "bpy-4.5" / "bin" / "python"
SIZE = (160, 120)


def check(folder: Path) -> dict:
    """Three photos have truth, and depth of each view is confirmed by the next one."""
    found = find_set(folder, None)
    assert len(found.photos) == 3
    data = json.loads((folder / "truth" / "cameras.json").read_text())
    names = [photo.stem for photo in found.photos]
    assert set(data["views"]) >= set(names)
    for photo in found.photos:
        pixels = read_rgb(photo)
        assert pixels.shape == (SIZE[1], SIZE[0], 3)
        assert pixels.std() > 15  # a picture, not a blank
    for here, there in itertools.pairwise(names):
        intrinsics = np.array(data["views"][here]["K"])
        depth, other = found.truth.depth(here), found.truth.depth(there)
        assert depth is not None and other is not None and depth.shape == (SIZE[1], SIZE[0])
        seen = depth > 0
        assert seen.mean() > 0.4 and np.isfinite(depth).all()
        pixels = np.concatenate([grid_pixels(*depth.shape, *SIZE), np.ones((*depth.shape, 1))], -1)
        points = (pixels @ np.linalg.inv(intrinsics).T * depth[..., None])[seen]
        world = transform_points(invert_rigid(found.truth.cameras[here]), points)
        local = transform_points(found.truth.cameras[there], world)
        local = local[local[:, 2] > 0]
        place = (local @ intrinsics.T)[:, :2] / local[:, 2:]
        inside = ((place >= 0) & (place < SIZE)).all(axis=1)
        column, row = place[inside].astype(int).T
        ratio = other[row, column] / local[inside, 2]
        assert inside.mean() > 0.2
        # Most points are seen again; at this size an edge is a large part of what is left.
        assert (np.abs(ratio - 1) < 0.03).mean() > 0.5, (here, there)
    return data


def test_a_walk_is_consistent_and_says_its_focal(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "render_walk.py"
    command = [sys.executable, str(script), str(tmp_path), "--views", "3", "--seed", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    made = subprocess.run(
        [*command, "--size", f"{SIZE[0]}x{SIZE[1]}"],
        capture_output=True,
        text=True,
        env=environment,
    )
    assert made.returncode == 0, made.stderr
    data = check(tmp_path)
    with Image.open(tmp_path / "photos" / "walk_001.jpg") as image:
        film = image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm]
    focal = film / np.hypot(36, 24) * np.hypot(*SIZE)
    assert data["views"]["walk_001"]["K"][0][0] == pytest.approx(focal)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["room", "wall", "shapes"])
def test_a_rendered_scene_is_consistent_and_has_masks(kind: str, tmp_path: Path) -> None:
    if not BLENDER.exists():
        pytest.skip("Blender 4.5 as a module is not installed: scripts/environments.py bpy-4.5")
    command = [str(BLENDER), str(ROOT / "scripts" / "render_scenes.py"), kind, str(tmp_path)]
    command += ["--views", "20", "--size", f"{SIZE[0]}x{SIZE[1]}", "--samples", "2"]
    made = subprocess.run(
        [*command, "--only", "9", "10", "11"], capture_output=True, text=True, env=os.environ
    )
    assert made.returncode == 0, made.stderr
    data = check(tmp_path)
    assert len(data["views"]) == 20
    masks = [read_masks(tmp_path, name, f"{kind}_10") for name in data["objects"]]
    assert len(masks) >= 7
    assert sum(mask.any() for mask in masks) >= 5  # most are in sight
    assert np.sum(masks, axis=0).max() == 1  # a pixel belongs to one object at most


def read_masks(folder: Path, name: str, view: str) -> np.ndarray:
    """A truth mask, bool [height, width]."""
    with Image.open(folder / "truth" / "masks" / name / f"{view}.png") as image:
        assert image.mode == "L"
        mask = np.asarray(image)
    assert mask.shape == (SIZE[1], SIZE[0]) and set(np.unique(mask)) <= {0, 255}
    return mask > 0
