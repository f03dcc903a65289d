# SPDX-License-Identifier: GPL-3.0-or-later
"""A geometry model that is perfect, or wrong in known ways, and photos that only it can read.

Each photo of the room of `standing_scene` is a colour code: red rises with x, green with y, blue
is the number of the view. The model reads from the colours alone which photo it was given and
where in it every pixel lies, so nothing of the preparation is taken on trust.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image
from standing_scene import FLOOR, TABLE, WALL, ring

from mvsam_engine.capture import Camera, Capture
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct.neural.answer import Answer, MemoryNeeds
from mvsam_engine.reconstruct.neural.framing import InputNeeds

ROOM = (FLOOR, WALL, TABLE)
BLUE = 6  # levels between two views
NEEDS = InputNeeds(long_side=224, multiple=14, unequal="crop")


def code_photo(width: int, height: int, number: int) -> np.ndarray:
    """The colour code [H, W, 3] of a photo."""
    x, y = (np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height
    photo = np.empty((height, width, 3), np.uint8)
    photo[..., 0] = np.round(20 + 200 * x)
    photo[..., 1] = np.round(20 + 200 * y)[:, None]
    photo[..., 2] = BLUE * number
    return photo


def read_code(image: np.ndarray) -> tuple[int, np.ndarray]:
    """The view's number, and where [h, w, 2] each pixel lies in the photo, as shares of its sides.

    NaN on padding. A line through all columns, and one through all rows, is exact far below the
    step between two levels.
    """
    blue = image[..., 2].astype(int)
    inside = blue < 250
    number = round(float(np.median(blue[inside])) / BLUE)
    height, width = inside.shape
    columns, rows = np.arange(width), np.arange(height)
    out = np.empty((height, width, 2))
    for axis, places in ((0, columns), (1, rows)):
        used = np.flatnonzero(inside.any(axis=axis))[2:-2]
        level = np.array(
            [
                np.take(image[..., axis], k, 1 - axis)[np.take(inside, k, 1 - axis)].mean()
                for k in used
            ]
        )
        slope, start = np.polyfit(used, (level - 20) / 200, 1)
        along = slope * places + start
        out[..., axis] = along if axis == 0 else along[:, None]
    out[~inside] = np.nan
    return number, out


def first_hits(camera: Camera, pixels: np.ndarray, rectangles=ROOM) -> np.ndarray:
    """World points [h, w, 3] that `camera` sees at photo `pixels` [h, w, 2]; NaN where nothing."""
    directions = camera.rays(pixels) @ camera.camera_from_world[:3, :3]
    nearest = np.full(directions.shape[:2], np.inf)
    for corner, one, other in (np.array(r, float) for r in rectangles):
        normal = np.cross(one, other)
        with np.errstate(all="ignore"):
            t = ((corner - camera.center) @ normal) / (directions @ normal)
            at = camera.center + t[..., None] * directions - corner
            a, b = at @ one / (one @ one), at @ other / (other @ other)
            hit = (t > 1e-6) & (a >= 0) & (a <= 1) & (b >= 0) & (b <= 1) & (t < nearest)
        nearest = np.where(hit, t, nearest)
    nearest[~np.isfinite(nearest)] = np.nan
    return camera.center + nearest[..., None] * directions


@dataclass
class PerfectModel:
    """Answers from the truth.

    Attributes:
        cameras: true cameras by number.
        gives: ``depth`` (camera points, poses and lenses), ``local`` (camera points and poses),
            ``world`` (world points only).
        noise: standard deviation of the points, as a share of their depth, where the model is
            sure; three times that on the right half of each photo, where it says so.
        free_scale: a new scale and frame each time it runs, as real models have.
        out_of_memory: runs of more photos than this fail.
    """

    cameras: tuple[Camera, ...]
    gives: str = "depth"
    noise: float = 0.0
    free_scale: bool = True
    metric: bool = False
    out_of_memory: int = 1000
    needs: InputNeeds = NEEDS
    memory: MemoryNeeds = field(default_factory=lambda: MemoryNeeds(1.0, 1.0, 1.0, 224 * 168))
    name: str = "perfect"
    ran: list[list[int]] = field(default_factory=list)
    device: str = ""

    def to(self, device: str, precision: str) -> None:
        self.device = f"{device} {precision}"

    @staticmethod
    def prior(raw):
        return np.full_like(raw, 0.5)

    def answer(self, images: np.ndarray) -> Answer:
        if len(images) > self.out_of_memory:
            raise RuntimeError("CUDA out of memory. Tried to allocate more than there is.")
        read = [read_code(image) for image in images]
        self.ran.append([number for number, _ in read])
        random = np.random.default_rng(len(self.ran))
        scale = 10 ** random.uniform(-1, 1) if self.free_scale else 1.0
        turn = np.linalg.qr(random.normal(size=(3, 3)))[0] if self.free_scale else np.eye(3)
        turn = turn * np.sign(np.linalg.det(turn))
        world, poses, lenses, sure = [], [], [], []
        for number, shares in read:
            camera = self.cameras[number]
            pixels = shares * [camera.width, camera.height]
            points = first_hits(camera, pixels)
            depth = camera.project(points)[1]
            doubt = np.where(shares[..., 0] > 0.5, 3.0, 1.0)
            off = self.noise * doubt * random.normal(size=depth.shape)
            points = camera.center + (points - camera.center) * (1 + off)[..., None]
            world.append(scale * points @ turn.T)
            pose = np.eye(4)
            pose[:3, :3] = camera.camera_from_world[:3, :3] @ turn.T
            pose[:3, 3] = scale * camera.camera_from_world[:3, 3]
            poses.append(pose)
            sure.append(100.0 / doubt)
            lenses.append(network_lens(camera, shares))
        return self._shaped(
            np.array(world), np.array(poses), np.array(lenses), np.array(sure, np.float32)
        )

    def _shaped(self, world, poses, lenses, sure) -> Answer:
        if self.gives == "world":
            return Answer(world.astype(np.float32), "world", sure, metric=self.metric)
        local = np.einsum("nij,nhwj->nhwi", poses[:, :3, :3], world) + poses[:, None, None, :3, 3]
        answer = Answer(local.astype(np.float32), "camera", sure, poses, lenses, self.metric)
        return replace(answer, intrinsics=None) if self.gives == "local" else answer


def network_lens(camera: Camera, shares: np.ndarray) -> np.ndarray:
    """The lens [3, 3] in the network's pixels, from where those lie in the photo."""
    known = np.isfinite(shares).all(axis=-1)
    rows, columns = np.nonzero(known)
    out = np.eye(3)
    for axis, at, side in ((0, columns, camera.width), (1, rows, camera.height)):
        step, start = np.polyfit(shares[rows, columns, axis] * side, at + 0.5, 1)
        out[axis, axis] = camera.param("fx" if axis == 0 else "fy") * step
        out[axis, 2] = camera.param("cx" if axis == 0 else "cy") * step + start
    return out


def shaped(camera: Camera, width: int, height: int) -> Camera:
    """A camera of another photo size, with the principal point in its middle."""
    return replace(camera, width=width, height=height, params=(230.0, width / 2, height / 2))


def code_capture(folder: Path, cameras: tuple[Camera, ...]) -> Capture:
    """A capture of the colour codes of `cameras`."""
    photos = folder / "photos"
    photos.mkdir(parents=True)
    for i, camera in enumerate(cameras):
        image = Image.fromarray(code_photo(camera.width, camera.height, i))
        image.save(photos / f"{camera.view}.png")
    capture = Capture.create(folder / "capture")
    with capture.writing():
        add_photos(capture, [photos], Progress())
    return capture


def room_ring(count: int = 8) -> tuple[Camera, ...]:
    """Cameras around the table."""
    return ring(count)
