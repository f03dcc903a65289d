# SPDX-License-Identifier: GPL-3.0-or-later
"""Photos to points by the operators alone, in background Blender with the real engine."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import bpy
import numpy as np
import pytest
import synthetic

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
SAMPLE = ROOT / "examples" / "tabletop" / "photos"


@pytest.fixture
def session(extension):
    """The session with the real engine."""
    if not ENGINE.is_file():
        pytest.skip(f"the engine's environment {ENGINE} is not set up (scripts/test.py makes it)")
    preferences = bpy.context.preferences.addons[extension.__name__].preferences
    preferences.engine_mode, preferences.engine_python = "PYTHON", str(ENGINE)
    return importlib.import_module(f"{extension.__name__}.scene.session").session()


def test_photos_that_show_nothing_in_common_are_refused_in_words(session, tmp_path):
    rng = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in "ab":
        noise = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
        (folder / f"{name}.png").write_bytes(synthetic.png_bytes(noise))
    bpy.ops.mvsam.import_photos(directory=str(folder), capture_dir=str(tmp_path / "capture"))
    with pytest.raises(RuntimeError) as raised:
        bpy.ops.mvsam.reconstruct(max_size=128)
    sentence = str(raised.value)
    assert session.message.level == "ERROR" and session.message.text in sentence
    assert "Traceback" not in session.message.text and session.message.text.endswith(".")
    assert [p.view for p in bpy.context.scene.mvsam.photos] == ["a", "b"]


def test_a_forecast_is_told_and_changes_nothing(session, tmp_path):
    with pytest.raises(RuntimeError, match="Import photos first"):
        bpy.ops.mvsam.forecast()
    made = synthetic.make_capture(tmp_path / "capture")
    before = sorted(p.stat().st_mtime_ns for p in made.root.rglob("*") if p.is_file())
    photos = made.root / "photos"
    bpy.ops.mvsam.import_photos(directory=str(photos), capture_dir=str(tmp_path / "new"))
    assert bpy.ops.mvsam.forecast() == {"FINISHED"}
    assert session.message.level == "INFO" and "3 photos" in session.message.text
    bpy.context.scene.mvsam.given.preset = "fine"
    draft = session.message.text
    bpy.ops.mvsam.forecast()
    assert session.message.text != draft
    assert not (tmp_path / "new").exists()
    assert before == sorted(p.stat().st_mtime_ns for p in made.root.rglob("*") if p.is_file())


def _smoothed(values, reach=4):
    """Mean of 9 x 9 around each value, 0 at the border."""
    result = np.zeros_like(values)
    inner = (slice(reach, -reach), slice(reach, -reach))
    windows = np.lib.stride_tricks.sliding_window_view(values, (2 * reach + 1, 2 * reach + 1))
    result[inner] = windows.mean(axis=(2, 3))
    return result


@pytest.mark.slow
def test_sample_photos_become_points_cameras_and_an_object(session, extension, tmp_path):
    photos = sorted(SAMPLE.glob("*.jp*g"))[:5]
    if len(photos) < 5:
        pytest.skip(f"the sample photos are not in {SAMPLE}")
    bpy.ops.mvsam.import_photos(
        directory=str(SAMPLE),
        files=[{"name": p.name} for p in photos],
        capture_dir=str(tmp_path / "capture"),
    )
    bpy.ops.mvsam.reconstruct(max_size=128)
    settings = bpy.context.scene.mvsam
    assert [p.view for p in settings.photos] == [p.stem for p in photos]
    assert sum(p.placed for p in settings.photos) >= 4, session.message
    placed = next(p for p in settings.photos if p.placed)
    points = importlib.import_module(f"{extension.__name__}.scene.points")
    cloud = points.points_object(bpy.context.scene)
    assert len(cloud.data.vertices) > 5000
    assert {o.name for o in bpy.data.objects if o.type == "CAMERA"} == {
        p.view for p in settings.photos if p.placed
    }
    # Where the depth is known best: a click on what was only guessed reaches no other photo.
    confidence = np.load(tmp_path / "capture" / "confidence" / f"{placed.view}.npy").astype(float)
    row, column = np.unravel_index(_smoothed(confidence).argmax(), confidence.shape)
    scale = placed.width / confidence.shape[1]
    bpy.ops.mvsam.click(view=placed.view, x=(column + 0.5) * scale, y=(row + 0.5) * scale)
    item = settings.objects[0]
    assert item.answered == item.revision == 1, session.message
    assert item.point_count > 0
    masks = tmp_path / "capture" / "objects" / item.object_id / "masks"
    assert len(list(masks.glob("*.png"))) == sum(p.placed for p in settings.photos)
