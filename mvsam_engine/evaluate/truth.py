# SPDX-License-Identifier: GPL-3.0-or-later
"""Known cameras and depth of a set of photos, in the layouts that public sets come in.

Convention: `capture.conventions`; a view is the photo's file name without its ending. Each reader
states what its format says and who measured it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mvsam_engine.capture.conventions import invert_rigid
from mvsam_engine.errors import MvsamError, UsageError

DepthReader = Callable[[], NDArray[np.float64]]

# Depth images beside a camera file that carries none itself.
_DEPTH_ENDINGS = (".npz", ".npy")


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known of a scene.

    Attributes:
        kind: name of the layout.
        cameras: view to camera-from-world 4x4.
        depths: view to a function that reads its z-depth [H, W] over the whole photo, in the
            cameras' units: 0 where the ray hits nothing, nan where it is not known.
        common_rotation: whether a rotation common to all cameras is to be taken out.
        remark: what to bear in mind when reading the numbers; a sentence or "".
    """

    kind: str
    cameras: dict[str, NDArray[np.float64]]
    depths: dict[str, DepthReader] = field(default_factory=dict)
    common_rotation: bool = False
    remark: str = ""

    def depth(self, view: str) -> NDArray[np.float64] | None:
        """True depth of `view`, None where there is none."""
        read = self.depths.get(view)
        return None if read is None else read()


def read_truth(path: Path, photos: Sequence[Path]) -> Truth:
    """Read the truth at `path`; its layout is recognised by what is in it.

    Args:
        path: file or folder.
        photos: the set's photos in order, for layouts that only count them.

    Raises:
        UsageError: nothing known is there, it is damaged, or it knows fewer than three photos.
    """
    try:
        truth = _read(path, sorted(photos))
    except (KeyError, ValueError, IndexError, OSError, TypeError, zipfile.BadZipFile) as error:
        raise UsageError(
            "evaluate.truth",
            f"The truth in {path} is damaged ({type(error).__name__}: {error}).",
            "Known layouts: docs/geometry.md.",
        ) from error
    known = {photo.stem for photo in photos} & truth.cameras.keys()
    if len(known) < 3:
        raise UsageError(
            "evaluate.truth",
            f"The {truth.kind} truth in {path} has cameras for {len(known)} of the "
            f"{len(photos)} photos; it takes three to compare.",
            "Names must agree but for their endings: " + _example(truth, photos),
        )
    return truth


def _example(truth: Truth, photos: Sequence[Path]) -> str:
    camera = next(iter(truth.cameras), "none")
    photo = photos[0].stem if photos else "none"
    return f"the truth names {camera!r}, a photo is {photo!r}."


def _read(path: Path, photos: Sequence[Path]) -> Truth:
    folder = path if path.is_dir() else path.parent
    if path.is_dir():
        if (path / "cameras.json").is_file():
            return read_rendered(path)
        if any(path.glob("*.camera")):
            return read_strecha(path)
    if (bounds := _named(path, "poses_bounds.npy")) is not None:
        return read_llff(bounds, photos)
    if (condition := _named(path, "condition.npz")) is not None:
        return read_condition(condition, photos)
    return read_foreign(path, folder)


def _named(path: Path, name: str) -> Path | None:
    """`path` itself or the file called `name` in it."""
    if path.name == name and path.is_file():
        return path
    return path / name if (path / name).is_file() else None


def read_rendered(folder: Path) -> Truth:
    """The ``truth`` folder that ``scripts/render_scenes.py`` writes: exact."""
    data = json.loads((folder / "cameras.json").read_text(encoding="utf-8"))
    cameras = {v: np.array(c["camera_from_world"], float) for v, c in data["views"].items()}
    return Truth("rendered", cameras, depth_files(folder / "depth"))


def depth_files(folder: Path) -> dict[str, DepthReader]:
    """View to a reader, for every ``.npz`` (array ``depth``) and ``.npy`` in `folder`."""
    files = sorted(p for p in folder.glob("*") if p.suffix in _DEPTH_ENDINGS)
    return {file.stem: lambda file=file: _load_depth(file) for file in files}


def _load_depth(file: Path) -> NDArray[np.float64]:
    loaded = np.load(file, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return loaded.astype(np.float64)
    with loaded as archive:
        return archive["depth"].astype(np.float64)


def read_strecha(folder: Path) -> Truth:
    """Strecha et al., CVPR 2008: laser-referenced cameras, one ``<photo>.camera`` for each.

    K (9 numbers), three zeros, world-from-camera rotation (9), centre (3), photo size (2).

    The stated principal point lies half a degree off the photo's middle. A reconstruction that
    puts it in the middle turns every camera by exactly that, so one rotation common to all camera
    frames is taken out before errors are told.
    """
    cameras = {}
    for path in sorted(folder.glob("*.camera")):
        values = np.array(path.read_text(encoding="ascii").split(), float)
        world_from_camera = np.eye(4)
        world_from_camera[:3, :3] = values[12:21].reshape(3, 3)
        world_from_camera[:3, 3] = values[21:24]
        cameras[path.name.split(".")[0]] = invert_rigid(world_from_camera)
    remark = "rotations after taking out one rotation common to all cameras"
    return Truth("strecha", cameras, common_rotation=True, remark=remark)


def read_llff(file: Path, photos: Sequence[Path]) -> Truth:
    """LLFF's ``poses_bounds.npy``, [n, 17]: a 3 x 5 matrix and two depths for each photo.

    The matrix is world-from-camera with the axes down, right, backwards; then the centre, then
    height, width, focal. The cameras are COLMAP's: they agree with the photos, not with a ruler.
    """
    rows = np.load(file, allow_pickle=False)
    if rows.ndim != 2 or rows.shape[1] != 17 or len(rows) != len(photos):
        raise ValueError(f"poses_bounds is {rows.shape} for {len(photos)} photos")
    cameras = {}
    for photo, row in zip(photos, rows, strict=True):
        down, right, back, centre, _ = row[:15].reshape(3, 5).T
        world_from_camera = np.eye(4)
        world_from_camera[:3] = np.stack([right, down, -back, centre], axis=1)
        cameras[photo.stem] = invert_rigid(world_from_camera)
    return Truth("llff", cameras, remark="the reference cameras are COLMAP's, not measured")


def read_condition(file: Path, photos: Sequence[Path]) -> Truth:
    """Pi3's ``condition.npz``: rendered; world-from-camera ``poses``, z-depth ``depths``."""
    with np.load(file, allow_pickle=False) as archive:
        poses, depths = archive["poses"].astype(float), archive["depths"].astype(float)
    ordered = sorted(photos, key=lambda p: (len(p.stem), p.stem))
    if len(poses) != len(ordered):
        raise ValueError(f"condition.npz knows {len(poses)} photos, there are {len(ordered)}")
    return Truth(
        "condition",
        {p.stem: invert_rigid(pose) for p, pose in zip(ordered, poses, strict=True)},
        {
            p.stem: lambda depth=depth: np.where(depth > 0, depth, np.nan)
            for p, depth in zip(ordered, depths, strict=True)
        },
    )


def read_foreign(path: Path, folder: Path) -> Truth:
    """Cameras in any format that `--cameras` reads, with a ``depth`` folder where one is."""
    from mvsam_engine.reconstruct.posed.cameras import read_cameras

    try:
        cameras = read_cameras(path)
    except MvsamError as error:
        raise UsageError("evaluate.truth", error.message, error.remedy) from error
    matrices = {Path(p.name).stem: p.camera.camera_from_world for p in cameras.photos}
    return Truth(cameras.format, matrices, depth_files(folder / "depth"))
