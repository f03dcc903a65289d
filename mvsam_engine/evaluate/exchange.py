# SPDX-License-Identifier: GPL-3.0-or-later
"""What a method's process hands back: ``result.json`` and depth files in a folder.

Convention: cameras are camera-from-world 4x4, OpenCV axes, in any one world; depth is z-depth in
that world's units over the whole photo.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture import Capture
from mvsam_engine.capture.conventions import transform_points
from mvsam_engine.capture.files import json_bytes, write_atomic

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A method's own account.

    Attributes:
        cameras: view to camera-from-world; empty when it refused.
        refused: its reason for giving no model, "" when it gave one.
        unplaced: view to its reason, where it gives one.
        stages_s: wall seconds by stage.
        stages_cpu_s: processor seconds by stage.
        version: of the program.
        settings: that it was run with.
    """

    cameras: Mapping[str, Matrix] = field(default_factory=dict)
    refused: str = ""
    unplaced: Mapping[str, str] = field(default_factory=dict)
    stages_s: Mapping[str, float] = field(default_factory=dict)
    stages_cpu_s: Mapping[str, float] = field(default_factory=dict)
    version: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def write_result(folder: Path, result: Result) -> None:
    """Write ``result.json`` into `folder`."""
    data = {
        "cameras": {view: matrix.tolist() for view, matrix in result.cameras.items()},
        "refused": result.refused,
        "unplaced": dict(result.unplaced),
        "stages_s": dict(result.stages_s),
        "stages_cpu_s": dict(result.stages_cpu_s),
        "version": result.version,
        "settings": dict(result.settings),
    }
    write_atomic(folder / "result.json", json_bytes(data))


def read_result(folder: Path) -> Result | None:
    """Read ``result.json``; None when the process died before it wrote one."""
    path = folder / "result.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text(encoding="utf-8"))
    cameras = {view: np.array(rows, float) for view, rows in data.pop("cameras").items()}
    return Result(cameras=cameras, **data)


def write_depth(folder: Path, view: str, depth: NDArray[np.floating]) -> None:
    """Write a view's z-depth [h, w], nan where nothing is known."""
    (folder / "depth").mkdir(exist_ok=True)
    np.savez_compressed(folder / "depth" / f"{view}.npz", depth=depth.astype(np.float32))


def read_depth(folder: Path, view: str) -> tuple[Matrix, NDArray[np.floating] | None] | None:
    """A view's depth [h, w] and confidence [h, w] (None when the method has none).

    Depth comes from the capture in `folder` where there is one, else from ``depth/``.
    """
    if (folder / "capture.json").is_file():
        return capture_depth(Capture.open(folder), view)
    path = folder / "depth" / f"{view}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as archive:
        return archive["depth"].astype(np.float64), None


def capture_depth(capture: Capture, view: str) -> tuple[Matrix, NDArray[np.floating]] | None:
    """z-depth [h, w] and confidence [h, w] of a view's pointmap, None when it is not placed."""
    reconstruction = capture.reconstruction()
    camera = reconstruction.camera(view) if reconstruction else None
    if camera is None:
        return None
    pointmap = capture.pointmap(view)
    depth = transform_points(camera.camera_from_world, pointmap.points.astype(np.float64))[..., 2]
    return depth, pointmap.confidence.astype(np.float64)
