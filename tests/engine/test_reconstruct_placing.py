# SPDX-License-Identifier: GPL-3.0-or-later
"""Structure from motion alone: who is placed, who is not, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image
from planes import Plane, Scene, look_at, render

from mvsam_engine.capture import Camera, Photo
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.classical.features import detect
from mvsam_engine.reconstruct.classical.reasons import reason
from mvsam_engine.reconstruct.classical.reconstructor import _warn_of_focal
from mvsam_engine.reconstruct.classical.sfm import run_sfm
from mvsam_engine.reconstruct.classical.sfm_job import JobPhoto, SfmJob
from mvsam_engine.reconstruct.classical.sparse import SparseModel
from mvsam_engine.reconstruct.classical.support import plausible_focal

WIDTH, HEIGHT = 320, 240


def background(seed, front):
    """A square with the texture `front` before a wall with the texture `seed`."""
    return Scene(
        (
            Plane(point=(0, 0, 1.0), normal=(0.15, 0, -1.0), seed=seed),
            Plane(point=(-0.1, 0.0, 0.2), normal=(-0.2, 0.1, -1.0), seed=front, half_size=0.45),
        )
    )


def camera(view, degrees):
    a = np.radians(degrees)
    center = np.array([2.2 * np.sin(a), -0.25, 0.4 - 2.2 * np.cos(a)])
    params = (368.0, WIDTH / 2, HEIGHT / 2, -0.04)
    pose = look_at(center, (0.0, 0.0, 0.4))
    return Camera(view, "SIMPLE_RADIAL", WIDTH, HEIGHT, params, pose)


def photograph(folder, scene, cameras):
    """Photos of `scene` as a job describes them."""
    found = []
    for one in cameras:
        path = folder / f"{one.view}.png"
        Image.fromarray(render(scene, one)[0]).save(path)
        found.append(JobPhoto(one.view, str(path), WIDTH, HEIGHT, None, ""))
    return found


def place(folder, photos):
    work = folder / "work"
    work.mkdir()
    return run_sfm(SfmJob(tuple(photos), str(work), 640, seed=0), Progress())


def said(facts, view):
    return reason(Photo(view, "", WIDTH, HEIGHT, 0, "", view), facts[view])


def turned(model, truth):
    """Degrees by which the rotations between the placed cameras are off, at most."""
    true = {c.view: c.camera_from_world[:3, :3] for c in truth}
    found = {c.view: c.camera_from_world[:3, :3] for c in model.cameras}
    views, worst = list(found), 0.0
    for a in views:
        for b in views:
            off = (found[a] @ found[b].T) @ (true[a] @ true[b].T).T
            worst = max(worst, np.degrees(np.arccos(np.clip((np.trace(off) - 1) / 2, -1, 1))))
    return worst


def test_of_two_scenes_the_larger_is_placed_and_the_other_is_named(tmp_path):
    cameras = [camera(f"a{i}", 5.0 * i - 12) for i in range(5)]
    others = [camera(f"b{i}", 5.0 * i - 6) for i in range(3)]
    photos = photograph(tmp_path, background(11, 12), cameras)
    photos += photograph(tmp_path, background(51, 52), others)
    model, facts = place(tmp_path, photos)
    assert [c.view for c in model.cameras] == ["a0", "a1", "a2", "a3", "a4"]
    assert turned(model, cameras) < 0.5
    assert "another scene" in said(facts, "b1") and "b0, b2" in said(facts, "b1")
    assert "capture of their own" in said(facts, "b1")


def test_masked_pixels_give_no_features(tmp_path):
    photo = photograph(tmp_path, background(11, 12), [camera("a", 0.0)])[0]
    used = np.full((HEIGHT, WIDTH), 255, np.uint8)
    used[:, 150:] = 0
    Image.fromarray(used).save(tmp_path / "mask.png")
    everywhere = detect(photo, 320).keypoints
    kept = detect(replace(photo, mask=str(tmp_path / "mask.png")), 320).keypoints
    assert (everywhere[:, 0] > 150).sum() > 50
    assert len(kept) > 50 and kept[:, 0].max() < 150


def test_a_focal_length_at_the_bound_is_not_trusted():
    good = camera("a", 0.0)
    assert plausible_focal(good)
    for focal in (0.4, 0.405, 3.46, 3.5):
        assert not plausible_focal(replace(good, params=(focal * WIDTH, 160.0, 120.0, 0.0)))


def test_a_lens_that_contradicts_exif_is_told():
    class Ears(Progress):
        heard = ""

        def on_warning(self, code, message, remedy):
            self.heard = f"{code} {message}"

    cameras = tuple(camera(f"v{i}", 5.0 * i) for i in range(3))
    none = np.zeros(0, np.int64)
    model = SparseModel(cameras, np.zeros((0, 3)), none, none)
    known = {"v0": 368.0, "v1": 200.0, "v2": None}
    photos = tuple(Photo(v, "", WIDTH, HEIGHT, 0, "", v, focal=focal) for v, focal in known.items())
    ears = Ears()
    _warn_of_focal(model, photos, ears)
    assert (
        ears.heard.startswith("reconstruct.focal")
        and "(about 368 pixels, 1 of the photos)" in ears.heard
    )
    quiet = Ears()
    _warn_of_focal(model, photos[:1], quiet)
    assert not quiet.heard
