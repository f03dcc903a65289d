# SPDX-License-Identifier: GPL-3.0-or-later
"""The dense step alone, with true cameras: accuracy, calibration, and time of each stage.

    python benchmarks/dense.py SCENE [--photos N] [--preset P] [--max-size PX] [--repeat K]

SCENE is a rendered scene of this project: ``photos`` and ``truth`` as ``scripts/render_scenes.py``
writes them. The sparse points that choose sources and depth ranges are drawn from the true depth.
``--photos`` takes so many of the photos, evenly; ``--repeat`` gives every photo K times under other
names, to see that memory does not grow. Times are seconds of all cores together, by photo.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import transform_points
from mvsam_engine.capture.model import Pointmap
from mvsam_engine.evaluate.metrics import Calibration, depth_score, sample_depth
from mvsam_engine.evaluate.truth import read_rendered
from mvsam_engine.photos import read_rgb
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.base import ReconstructOptions
from mvsam_engine.reconstruct.classical.dense import densify
from mvsam_engine.reconstruct.classical.sparse import SparseModel

# Points drawn in each photo, and how near the true depth must be for a photo to see one.
POINTS, SAME_DEPTH = 300, 0.01


class Stopwatch(Progress):
    """Seconds of processor time by stage."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}
        self._began = time.process_time()

    def stage(self, name: str, total: int) -> None:
        """Book what the stage before took."""
        now = time.process_time()
        if self.stage_name:
            self.seconds[self.stage_name] = now - self._began
        self._began = now
        super().stage(name, total)


def true_cameras(scene: Path, count: int | None) -> list[Camera]:
    """Cameras of the scene, `count` of them evenly."""
    views = json.loads((scene / "truth/cameras.json").read_text(encoding="utf-8"))
    names = sorted(views["views"])
    if count is not None:
        names = [names[i] for i in np.linspace(0, len(names) - 1, count).round().astype(int)]
    cameras = []
    for name in names:
        k = np.array(views["views"][name]["K"])
        height, width = read_rgb(photo_of(scene, name)).shape[:2]
        params = (k[0, 0], k[1, 1], k[0, 2], k[1, 2])
        pose = np.array(views["views"][name]["camera_from_world"])
        cameras.append(Camera(name, "PINHOLE", width, height, params, pose))
    return cameras


def photo_of(scene: Path, view: str) -> Path:
    """The photo of a view, whatever its ending."""
    return next((scene / "photos").glob(f"{view}.*"))


def sparse_model(cameras: list[Camera], depths: dict[str, np.ndarray]) -> SparseModel:
    """Points of the true surfaces, and which cameras see them."""
    rng = np.random.default_rng(0)
    points = []
    for camera in cameras:
        pixels = rng.random((3 * POINTS, 2)) * [camera.width, camera.height]
        depth = at(depths[camera.view], pixels, camera)
        points.append(camera.unproject(pixels[depth > 0], depth[depth > 0])[:POINTS])
    world = np.concatenate(points)
    seen_by, seen_point = [], []
    for index, camera in enumerate(cameras):
        pixels, depth = camera.project(world)
        with np.errstate(invalid="ignore", divide="ignore"):
            off = np.abs(at(depths[camera.view], pixels, camera) / depth - 1.0)
        seen = np.flatnonzero((depth > 0) & (off < SAME_DEPTH))
        seen_by.append(np.full(len(seen), index))
        seen_point.append(seen)
    return SparseModel(tuple(cameras), world, np.concatenate(seen_by), np.concatenate(seen_point))


def at(depth: np.ndarray, pixels: np.ndarray, camera: Camera) -> np.ndarray:
    """True depth at positions of the photo, 0 outside."""
    place = pixels * [depth.shape[1] / camera.width, depth.shape[0] / camera.height]
    inside = np.isfinite(place).all(axis=1) & (place >= 0).all(axis=1)
    inside &= (place < [depth.shape[1], depth.shape[0]]).all(axis=1)
    column, row = np.where(inside[:, None], place, 0).astype(int).T
    return np.where(inside, np.nan_to_num(depth[row, column]), 0.0)


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--photos", type=int)
    parser.add_argument("--preset", default="normal")
    parser.add_argument("--max-size", type=int)
    parser.add_argument("--repeat", type=int, default=1)
    asked = parser.parse_args()
    cameras, truth = true_cameras(asked.scene, asked.photos), read_rendered(asked.scene / "truth")
    depths = {camera.view: truth.depths[camera.view]() for camera in cameras}
    files = {camera.view: photo_of(asked.scene, camera.view) for camera in cameras}
    for camera in list(cameras):
        for turn in range(1, asked.repeat):
            again = replace(camera, view=f"{camera.view}~{turn}")
            files[again.view], depths[again.view] = files[camera.view], depths[camera.view]
            cameras.append(again)
    watch, calibration, scores = Stopwatch(), Calibration(), []
    by_view = {camera.view: camera for camera in cameras}

    def judge(pointmap: Pointmap) -> None:
        camera = by_view[pointmap.view]
        depth = transform_points(camera.camera_from_world, pointmap.points)[..., 2]
        height, width = depth.shape
        true = sample_depth(depths[pointmap.view], height, width)
        scores.append(depth_score(depth, pointmap.confidence, true, calibration))

    options = ReconstructOptions(preset=asked.preset, max_size=asked.max_size)
    model = sparse_model(cameras, depths)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    densify(model, lambda c: (read_rgb(files[c.view]), None), options, watch, judge)
    watch.stage("", 0)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows = {
        "measured": [s.measured for s in scores],
        "measured_within_1_3_10": [s.measured_within for s in scores],
        "full_within_1_3_10": [s.full_within for s in scores],
        "sky_measured": [s.nothing for s in scores],
    }
    result = {name: np.round(100 * np.nanmean(rows[name], axis=0), 1).tolist() for name in rows}
    result["within_1_by_tenth_of_confidence"] = np.round(calibration.share, 3).tolist()
    result["pixels_by_tenth"] = (calibration.count / calibration.count.sum()).round(3).tolist()
    result["cpu_s_per_photo"] = {k: round(v / len(cameras), 2) for k, v in watch.seconds.items()}
    result["peak_mb_before_and_after"] = [before // 1024, after // 1024]
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
