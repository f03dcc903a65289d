# SPDX-License-Identifier: GPL-3.0-or-later
"""What true cameras are worth: fountain-P11 with and without the cameras that came with it.

    python benchmarks/posed.py DATA [--max-size 512]

DATA is a folder with ``fountain-P11`` (docs/evaluation.md says where it comes from); without it the
benchmark says so and ends.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from mvsam_engine.capture import Capture
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import ReconstructOptions, method_for, reconstruct
from mvsam_engine.reconstruct.similarity import align


def main() -> None:
    """Reconstruct twice and print both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--max-size", type=int, default=512)
    given = parser.parse_args()
    folder = given.data / "fountain-P11"
    if not folder.is_dir():
        print(f"There is no fountain-P11 in {given.data}: nothing to measure.")
        return
    with tempfile.TemporaryDirectory() as scratch:
        centers = write_colmap(folder, Path(scratch) / "sparse")
        for cameras in (Path(scratch) / "sparse", None):
            options = ReconstructOptions(max_size=given.max_size, cameras=cameras)
            measure(folder, Path(scratch) / method_for("", options), options, centers)


def measure(
    folder: Path, root: Path, options: ReconstructOptions, centers: dict[str, NDArray[np.float64]]
) -> None:
    """Reconstruct and print one line, and what the time went into."""
    capture, progress = Capture.create(root), Progress()
    method = method_for("", options)
    with capture.writing():
        add_photos(capture, [folder / "photos"], Progress())
        began = time.monotonic()
        result = reconstruct(capture, method, options, progress)
        wall = time.monotonic() - began
    maps = [capture.pointmap(camera.view) for camera in result.cameras]
    measured = np.mean([(m.confidence > 0.3).mean() for m in maps])
    sure = np.mean([(m.confidence >= 0.9).mean() for m in maps])
    true = np.array([centers[camera.view] for camera in result.cameras])
    found = np.array([camera.center for camera in result.cameras])
    rig = np.linalg.norm(np.ptp(true, axis=0))
    if options.cameras is None:
        found = align(found, true).apply(found)
    off = np.linalg.norm(found - true, axis=1).mean() / rig
    stages = {stage: round(seconds, 1) for stage, seconds in progress.seconds_by_stage().items()}
    print(
        f"{method}: {len(result.cameras)} of {len(centers)} photos, {100 * measured:.1f} % "
        f"measured, {100 * sure:.1f} % with confidence 0.9 or more, centres off by "
        f"{100 * off:.4f} % of the rig, {wall:.1f} s {stages}"
    )


def write_colmap(folder: Path, target: Path) -> dict[str, NDArray[np.float64]]:
    """The set's cameras as a COLMAP text model; gives view to its true centre."""
    target.mkdir(parents=True)
    lenses, images, centers = [], [], {}
    for number, file in enumerate(sorted((folder / "cameras_3072x2048").iterdir()), start=1):
        values = np.array([float(v) for v in file.read_text(encoding="utf-8").split()])
        name = file.name.removesuffix(".camera")
        with Image.open(folder / "photos" / name) as photo:
            width, height = photo.size
        lens = values[:9].reshape(3, 3)[[0, 1, 0, 1], [0, 1, 2, 2]] * (width / values[24])
        # The file holds the rotation world-from-camera and the camera's place.
        rotation, center = values[12:21].reshape(3, 3).T, values[21:24]
        x, y, z, w = Rotation.from_matrix(rotation).as_quat()
        pose = " ".join(repr(float(v)) for v in (w, x, y, z, *(-rotation @ center)))
        lenses.append(f"{number} PINHOLE {width} {height} {' '.join(map(repr, lens.tolist()))}\n")
        images.append(f"{number} {pose} {number} {name}\n\n")
        centers[Path(name).stem] = center
    (target / "cameras.txt").write_text("".join(lenses), encoding="utf-8")
    (target / "images.txt").write_text("".join(images), encoding="utf-8")
    (target / "points3D.txt").write_text("", encoding="utf-8")
    return centers


if __name__ == "__main__":
    main()
