# SPDX-License-Identifier: GPL-3.0-or-later
"""How right a capture's cameras and pointmaps are, against known truth.

    python benchmarks/geometry.py CAPTURE --truth fountain|tabletop|room FOLDER
    python benchmarks/geometry.py PHOTOS --reconstruct CAPTURE --truth tabletop FOLDER

Without ``--reconstruct`` an existing capture is judged; with it, PHOTOS are reconstructed into the
new folder CAPTURE first, and the time of each stage and the peak memory are printed.

FOLDER: `fountain` Strecha's ``*.camera`` files (their own photo size is read from them);
`tabletop` the ``truth`` folder of this project's sample; `room` a folder with ``condition.npz``
(poses, depths). Errors are those after ONE similarity between the camera centres. For the fountain
one rotation common to all cameras is taken out too: its stated principal point lies half a degree
off the middle of the photo, and a reconstruction that assumes the middle turns every camera by
exactly that. Depth is compared in each camera's own frame, scaled by the similarity.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import grid_pixels, invert_rigid, transform_points
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions, reconstruct
from mvsam_engine.reconstruct.similarity import Similarity, align

# Points with at least this confidence count as measured; filled ones stay below it.
MEASURED = 0.3


@dataclass(frozen=True)
class Truth:
    """What is known of a scene.

    Attributes:
        cameras: view to camera-from-world 4x4.
        depths: view to z-depth [h, w] over the whole photo, 0 or not finite where unknown.
        common_rotation: whether a rotation common to all cameras is taken out.
    """

    cameras: dict[str, NDArray[np.float64]]
    depths: dict[str, NDArray[np.float64]]
    common_rotation: bool = False


def read_fountain(folder: Path) -> Truth:
    """Strecha's format: K (9), zeros (3), world-from-camera rotation (9), centre (3), size (2)."""
    cameras = {}
    for path in sorted(folder.glob("*.camera")):
        values = np.array(path.read_text(encoding="ascii").split(), float)
        world_from_camera = np.eye(4)
        world_from_camera[:3, :3] = values[12:21].reshape(3, 3)
        world_from_camera[:3, 3] = values[21:24]
        cameras[path.name.split(".")[0]] = invert_rigid(world_from_camera)
    return Truth(cameras, {}, common_rotation=True)


def read_tabletop(folder: Path) -> Truth:
    """The sample's ``truth`` folder."""
    views = json.loads((folder / "cameras.json").read_text(encoding="utf-8"))["views"]
    depths = {}
    for path in sorted((folder / "depth").glob("*.npz")):
        with np.load(path) as archive:
            depths[path.stem] = archive["depth"].astype(float)
    return Truth({v: np.array(c["camera_from_world"]) for v, c in views.items()}, depths)


def read_room(folder: Path) -> Truth:
    """Pi3's ``condition.npz``: world-from-camera poses and z-depths of photos 0, 1, 2, ..."""
    with np.load(folder / "condition.npz") as archive:
        poses, depths = archive["poses"].astype(float), archive["depths"].astype(float)
    return Truth(
        {str(i): invert_rigid(pose) for i, pose in enumerate(poses)},
        {str(i): depth for i, depth in enumerate(depths)},
    )


READERS = {"fountain": read_fountain, "tabletop": read_tabletop, "room": read_room}


def make_capture(photos: Path, root: Path, max_size: int, seed: int) -> dict[str, object]:
    """Reconstruct `photos` into a new capture at `root`; gives times and memory."""
    capture, progress, began = Capture.create(root), Progress(), time.monotonic()
    with capture.writing():
        add_photos(capture, [photos], progress)
        options = ReconstructOptions(max_size=max_size, seed=seed)
        reconstruct(capture, "classical", options, progress)
    own = resource.getrusage(resource.RUSAGE_SELF)
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "wall_s": round(time.monotonic() - began, 1),
        "cpu_s": round(own.ru_utime + own.ru_stime + child.ru_utime + child.ru_stime, 1),
        "stages_s": {k: round(v, 1) for k, v in progress.seconds_by_stage().items()},
        "peak_mb": {"engine": own.ru_maxrss // 1024, "child": child.ru_maxrss // 1024},
    }


def angle(rotation: NDArray[np.float64]) -> float:
    """Degrees that a rotation matrix turns by."""
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1.0, 1.0))))


def camera_errors(capture: Capture, truth: Truth) -> tuple[dict[str, object], Similarity]:
    """Rotation and centre errors, and the similarity from the capture's world to the true one."""
    reconstruction = capture.require_reconstruction()
    cameras = [c for c in reconstruction.cameras if c.view in truth.cameras]
    true = [truth.cameras[c.view] for c in cameras]
    goal = np.array([invert_rigid(matrix)[:3, 3] for matrix in true])
    similarity = align(np.array([c.center for c in cameras]), goal)
    off = np.linalg.norm(similarity.apply(np.array([c.center for c in cameras])) - goal, axis=1)
    # What is left of each camera's rotation, in its own frame.
    turns = [
        matrix[:3, :3] @ similarity.rotation @ camera.camera_from_world[:3, :3].T
        for matrix, camera in zip(true, cameras, strict=True)
    ]
    if truth.common_rotation:
        u, _, vt = np.linalg.svd(sum(turns))
        turns = [turn @ (u @ vt).T for turn in turns]
    degrees = [angle(turn) for turn in turns]
    rig = float(np.linalg.norm(goal[:, None] - goal[None], axis=-1).max())
    result = {
        "placed": f"{len(reconstruction.cameras)} of {len(capture.photos())}",
        "rotation_deg": {"median": round(float(np.median(degrees)), 4), "max": max(degrees)},
        "centre_percent_of_rig": {
            "median": round(float(np.median(off)) / rig * 100, 4),
            "max": round(float(off.max()) / rig * 100, 4),
        },
    }
    return result, similarity


def depth_errors(capture: Capture, truth: Truth, scale: float) -> dict[str, object]:
    """Shares of pixels within 1, 3 and 10 % of the true depth, measured and complete."""
    rows: dict[str, list[list[float]]] = {"measured": [], "complete": []}
    calibration: list[NDArray[np.float64]] = []
    for camera in capture.require_reconstruction().cameras:
        if camera.view not in truth.depths:
            continue
        pointmap, true = capture.pointmap(camera.view), truth.depths[camera.view]
        depth = transform_points(camera.camera_from_world, pointmap.points)[..., 2] * scale
        height, width = depth.shape
        # The truth at the pointmap's pixels: the cell that each of them falls into.
        position = grid_pixels(height, width, true.shape[1], true.shape[0]).astype(int)
        here = true[position[..., 1], position[..., 0]]
        valid = np.isfinite(here) & (here > 0)
        confidence = pointmap.confidence.astype(float)
        error = np.abs(depth / np.where(valid, here, 1.0) - 1.0)
        for name, chosen in (
            ("measured", valid & np.isfinite(depth) & (confidence > MEASURED)),
            ("complete", valid & np.isfinite(depth)),
        ):
            e = error[chosen]
            if len(e):
                within = [float((e < limit).mean()) for limit in (0.01, 0.03, 0.1)]
                rows[name].append([chosen.sum() / valid.sum(), float(np.median(e)), *within])
        known = valid & np.isfinite(depth)
        calibration.append(np.stack([confidence[known], error[known] < 0.01]))
    names = ("of_pixels", "median_error", "within_1", "within_3", "within_10")
    result: dict[str, object] = {
        name: {k: round(100 * float(v), 2) for k, v in zip(names, np.mean(table, 0), strict=True)}
        for name, table in rows.items()
        if table
    }
    if calibration:
        result["chance_within_1_by_confidence"] = calibrate(np.concatenate(calibration, axis=1))
    return result


def calibrate(pairs: NDArray[np.float64]) -> dict[str, str]:
    """By tenth of confidence: the share that is within 1 %, and how many pixels that is."""
    tenth = np.minimum((pairs[0] * 10).astype(int), 9)
    return {
        f"{t / 10:.1f}": f"{pairs[1][tenth == t].mean():.2f} ({(tenth == t).mean():.1%})"
        for t in range(10)
        if (tenth == t).any()
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="a capture, or photos with --reconstruct")
    parser.add_argument("--truth", nargs=2, required=True, metavar=("KIND", "FOLDER"))
    parser.add_argument("--reconstruct", type=Path, metavar="CAPTURE")
    parser.add_argument("--max-size", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    kind, folder = asked.truth
    if kind not in READERS:
        parser.error(f"--truth takes one of {', '.join(READERS)}, not {kind!r}")
    truth = READERS[kind](Path(folder))
    if len(truth.cameras) < 3:
        parser.error(f"{folder} holds {len(truth.cameras)} true cameras of kind {kind}")
    result: dict[str, object] = {}
    root = asked.source
    if asked.reconstruct is not None:
        root = asked.reconstruct
        result |= make_capture(asked.source, root, asked.max_size, asked.seed)
    capture = Capture.open(root)
    cameras, similarity = camera_errors(capture, truth)
    result |= cameras
    if truth.depths:
        result["depth_percent"] = depth_errors(capture, truth, similarity.scale)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
