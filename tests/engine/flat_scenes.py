# SPDX-License-Identifier: GPL-3.0-or-later
"""Training scenes that are told by eye: a wall two metres away, with a square on it."""

import hashlib
import io

import numpy as np
from PIL import Image

from mvsam_engine.capture import Camera, Capture, Photo, Pointmap, Reconstruction
from mvsam_engine.capture.conventions import grid_pixels
from mvsam_engine.segment.encoder import ImageEncoder

WIDTH, HEIGHT, FOCAL, DEPTH = 96, 64, 80.0, 2.0


class CheapEncoder(ImageEncoder):
    """Stands where the image encoder is: its features are chance, the same for the same photo."""

    name = "chance"

    def __init__(self):
        self.asked = 0

    def embed(self, image):
        self.asked += 1
        rng = np.random.default_rng(int(image.sum()))
        return rng.normal(0.0, 0.1, (256, 64, 64)).astype(np.float32)


def png(values):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(values, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def square(top=20, left=30, side=24):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top : top + side, left : left + side] = 255
    return mask


def flat_capture(root, seed=0, views=2):
    """A reconstructed capture of photos named a, b, ..."""
    rng = np.random.default_rng(seed)
    capture = Capture.create(root)
    photos, cameras, images = [], [], {}
    for k in range(views):
        view = "abcdefgh"[k]
        data = png(rng.integers(0, 255, (HEIGHT, WIDTH, 3)))
        digest = hashlib.sha256(data).hexdigest()
        file = f"photos/{view}.png"
        photos.append(Photo(view, file, WIDTH, HEIGHT, len(data), digest, f"{view}.png"))
        pose = np.eye(4)
        pose[0, 3] = -0.1 * k
        params = (FOCAL, WIDTH / 2, HEIGHT / 2)
        cameras.append(Camera(view, "SIMPLE_PINHOLE", WIDTH, HEIGHT, params, pose))
        images[file] = data
    with capture.writing(), capture.transaction() as transaction:
        for file, data in images.items():
            transaction.write(file, data)
        capture.put_photos(tuple(photos), transaction)
        capture.put_reconstruction(Reconstruction(tuple(cameras), method="made"), transaction)
        for camera in cameras:
            rows, columns = HEIGHT // 2, WIDTH // 2
            pixels = grid_pixels(rows, columns, WIDTH, HEIGHT)
            points = camera.unproject(pixels, np.full((rows, columns), DEPTH))
            capture.put_pointmap(
                Pointmap(
                    camera.view,
                    points.astype(np.float32),
                    np.ones((rows, columns), np.float16),
                    np.zeros((rows, columns, 3), np.uint8),
                ),
                transaction,
            )
    return capture


def flat_scene(folder, seed=0, views=2, objects=("square",), done="made by hand"):
    """A scene folder; each object is a square, seen in every view."""
    flat_capture(folder / "capture", seed, views)
    for k, name in enumerate(objects):
        place = folder / "masks" / name
        place.mkdir(parents=True)
        for view in "abcdefgh"[:views]:
            (place / f"{view}.png").write_bytes(png(square(left=20 + 12 * k)))
    (folder / "scene.done").write_text(done + "\n", encoding="utf-8")
    return folder
