# SPDX-License-Identifier: GPL-3.0-or-later
"""The sparse model that structure from motion gives, and its form on disk.

The child process writes it, the engine reads it; nothing here needs pycolmap.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.camera import Camera
from mvsam_engine.capture.conventions import transform_points


@dataclass(frozen=True, slots=True, eq=False)
class SparseModel:
    """Cameras, points, and which camera saw which point.

    Attributes:
        cameras: placed cameras, intrinsics in pixels of the upright photo.
        points: [n, 3] float64 world points.
        seen_by: [m] int64 index into `cameras`, one per observation.
        seen_point: [m] int64 index into `points`, one per observation.
        method: how it was found, for the record, e.g. ``global, seed 1``.
    """

    cameras: tuple[Camera, ...]
    points: NDArray[np.float64]
    seen_by: NDArray[np.int64]
    seen_point: NDArray[np.int64]
    method: str = ""

    def points_of(self, index: int) -> NDArray[np.float64]:
        """World points [k, 3] that camera number `index` saw."""
        return self.points[self.seen_point[self.seen_by == index]]

    def keep(self, indices: list[int]) -> SparseModel:
        """The model with only the cameras `indices`, in that order."""
        renumber = np.full(len(self.cameras), -1, np.int64)
        renumber[indices] = np.arange(len(indices))
        seen_by = renumber[self.seen_by]
        kept = seen_by >= 0
        return replace(
            self,
            cameras=tuple(self.cameras[i] for i in indices),
            seen_by=seen_by[kept],
            seen_point=self.seen_point[kept],
        )

    def transformed(self, scale: float, world_from_old: NDArray[np.float64]) -> SparseModel:
        """The model in another world frame: ``X_new = world_from_old @ (scale * X_old)``.

        Args:
            scale: factor on all lengths, applied first.
            world_from_old: rigid 4x4.
        """
        rotation, shift = world_from_old[:3, :3], world_from_old[:3, 3]
        cameras: list[Camera] = []
        for camera in self.cameras:
            matrix = np.eye(4)
            matrix[:3, :3] = camera.camera_from_world[:3, :3] @ rotation.T
            matrix[:3, 3] = scale * camera.camera_from_world[:3, 3] - matrix[:3, :3] @ shift
            cameras.append(replace(camera, camera_from_world=matrix))
        points = transform_points(world_from_old, scale * self.points)
        return replace(self, cameras=tuple(cameras), points=points)


def save_model(model: SparseModel, folder: Path) -> None:
    """Write `model` as ``model.json`` and ``model.npz`` (plain arrays, nothing pickled)."""
    cameras = [
        {
            "view": c.view,
            "model": c.model,
            "width": c.width,
            "height": c.height,
            "params": list(c.params),
            "camera_from_world": c.camera_from_world.tolist(),
        }
        for c in model.cameras
    ]
    text = json.dumps({"method": model.method, "cameras": cameras})
    (folder / "model.json").write_text(text, encoding="utf-8")
    np.savez(
        folder / "model.npz",
        points=model.points,
        seen_by=model.seen_by,
        seen_point=model.seen_point,
    )


def load_model(folder: Path) -> SparseModel:
    """Inverse of `save_model`."""
    described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    cameras = tuple(
        Camera(
            view=c["view"],
            model=c["model"],
            width=c["width"],
            height=c["height"],
            params=tuple(c["params"]),
            camera_from_world=np.array(c["camera_from_world"]),
        )
        for c in described["cameras"]
    )
    with np.load(folder / "model.npz", allow_pickle=False) as arrays:
        return SparseModel(
            cameras=cameras,
            points=arrays["points"],
            seen_by=arrays["seen_by"],
            seen_point=arrays["seen_point"],
            method=described["method"],
        )
