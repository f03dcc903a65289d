# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM on single images: against kornia's own forward pass, and on pictures one can judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from mvsam_engine.capture import Capture
from mvsam_engine.errors import SegmentationError
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.segment.embeddings import embed_photos
from mvsam_engine.segment.encoder import ImageEncoder, TorchEncoder
from mvsam_engine.segment.frame import PIXEL_MEAN, PIXEL_STD, ModelFrame, frame_of
from mvsam_engine.segment.masks import drop_specks, full_size_mask
from mvsam_engine.segment.sam import FIRST_CHOICE, Sam, SamPrompts, load_sam, pick_device


@pytest.fixture(scope="module")
def sam() -> Sam:
    return load_sam(device="cpu")


def disc_picture(width: int = 480, height: int = 300) -> Image.Image:
    """A red disc of radius 70 at (150, 140) and a blue square, on a grey ground."""
    picture = Image.new("RGB", (width, height), (150, 150, 145))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((80, 70, 220, 210), fill=(190, 40, 35))
    draw.rectangle((300, 80, 420, 200), fill=(30, 60, 180))
    return picture


@pytest.fixture(scope="module")
def disc(sam: Sam) -> tuple[np.ndarray, ModelFrame]:
    image = np.asarray(disc_picture())
    return sam.encoder.embed(image), frame_of(image)


def prompts(frame: ModelFrame, *points: tuple[float, float, bool], **rest: object) -> SamPrompts:
    positions = np.array([p[:2] for p in points], dtype=np.float64).reshape(-1, 2)
    labels = np.array([p[2] for p in points], dtype=bool)
    return SamPrompts(frame.to_model(positions), labels, **rest)  # type: ignore[arg-type]


# --- the frame --------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "height"), [(779, 520), (3000, 4000), (100, 37), (5000, 33)])
def test_mask_grid_covers_the_photo_exactly(width: int, height: int) -> None:
    frame = ModelFrame(width, height)
    rows, columns = frame.mask_size
    assert max(rows, columns) == 256
    assert frame.model_size == (4 * rows, 4 * columns)
    corner = frame.to_model(np.array([[width, height]]))
    np.testing.assert_allclose(corner, [[4 * columns, 4 * rows]])
    grid = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    np.testing.assert_array_equal(frame.crop(frame.pad(grid, -9.0)), grid)


def test_model_input_is_normalised_then_padded_with_zeros() -> None:
    image = np.full((50, 100, 3), (255, 0, 128), dtype=np.uint8)
    square = frame_of(image).model_input(image)
    assert square.shape == (1, 3, 1024, 1024)
    expected = (np.array([255, 0, 128]) - PIXEL_MEAN) / PIXEL_STD
    np.testing.assert_allclose(square[0, :, 511, 1023], expected, rtol=1e-5)
    assert not square[:, :, 512:].any()


# --- the network ------------------------------------------------------------------------------


def test_onnx_encoder_equals_torch(sam: Sam) -> None:
    from kornia.models.sam import Sam as KorniaSam
    from kornia.models.sam import SamConfig
    from torch import nn

    from mvsam_engine.weights import find_weights, load_state

    model = KorniaSam.from_config(SamConfig("mobile_sam"))
    model.image_encoder.head = model.image_encoder.norm_head = nn.Identity()
    model.load_state_dict(load_state(find_weights("mobile_sam")))
    encoder = TorchEncoder("plain", model.image_encoder, torch.device("cpu"))
    image = np.random.default_rng(1).integers(0, 256, (90, 140, 3), dtype=np.uint8)
    found = sam.encoder.embed(image)
    assert found.shape == (256, 64, 64)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, encoder.embed(image), atol=2e-5)


def many_prompts(frame: ModelFrame) -> list[SamPrompts]:
    rng = np.random.default_rng(2)
    box = frame.to_model(np.array([[80, 70], [220, 210]])).reshape(4)
    mask = rng.normal(0, 4, (256, 256)).astype(np.float32)
    return [
        prompts(frame, (150, 140, True)),
        prompts(frame, (150, 140, True), (360, 140, False), (120, 100, True)),
        prompts(frame, box=box),
        prompts(frame, (150, 140, True), box=box, mask=mask),
        prompts(frame, *[(float(x), 140.0, x < 220) for x in range(100, 400, 30)], mask=mask),
    ]


def test_batch_equals_one_by_one(sam: Sam, disc: tuple[np.ndarray, ModelFrame]) -> None:
    embedding, frame = disc
    rng = np.random.default_rng(3)
    asked = many_prompts(frame)
    embeddings = [embedding + rng.normal(0, 0.02, embedding.shape) for _ in asked]
    together = sam.predict(embeddings, asked)
    for one, prompt, answer in zip(embeddings, asked, together, strict=True):
        (alone,) = sam.predict([one], [prompt])
        np.testing.assert_allclose(answer.logits, alone.logits, atol=5e-3)
        np.testing.assert_allclose(answer.scores, alone.scores, atol=1e-4)


def test_decoder_equals_kornia(sam: Sam, disc: tuple[np.ndarray, ModelFrame]) -> None:
    """Our batched forward pass against kornia's, which takes one image at a time."""
    embedding, frame = disc
    encoder, decoder = sam.prompt_encoder, sam.mask_decoder
    for prompt in many_prompts(frame):
        with torch.inference_mode():
            # kornia takes positions as pixel indices and adds the half pixel itself.
            points = torch.from_numpy(prompt.points)[None] - 0.5
            labels = torch.from_numpy(prompt.labels)[None].float()
            sparse, dense = encoder(
                (points, labels),
                None if prompt.box is None else torch.from_numpy(prompt.box)[None] - 0.5,
                None if prompt.mask is None else torch.from_numpy(prompt.mask)[None, None],
            )
            image = torch.from_numpy(embedding)[None]
            code = encoder.get_dense_pe()
            logits, scores = decoder.predict_masks(image, code, sparse, dense)
        (answer,) = sam.predict([embedding], [prompt])
        np.testing.assert_allclose(answer.logits, logits[0].numpy(), atol=5e-3)
        np.testing.assert_allclose(answer.scores, scores[0].numpy(), atol=1e-4)


@pytest.mark.parametrize("kind", ["point", "box", "mask"])
def test_each_kind_of_prompt_finds_the_disc(
    sam: Sam, disc: tuple[np.ndarray, ModelFrame], kind: str
) -> None:
    embedding, frame = disc
    y, x = np.mgrid[0:300, 0:480] + 0.5
    truth = (x - 150) ** 2 + (y - 140) ** 2 < 70**2
    box = frame.to_model(np.array([[78, 68], [222, 212]])).reshape(4)
    rows, columns = frame.mask_size
    small = np.asarray(Image.fromarray(truth).resize((columns, rows)))
    mask = frame.pad(np.where(small, 8.0, -8.0), -8.0)
    asked = {
        "point": prompts(frame, (150, 140, True)),
        "box": prompts(frame, box=box),
        "mask": prompts(frame, (150, 140, True), mask=mask),
    }[kind]
    (answer,) = sam.predict([embedding], [asked])
    best = FIRST_CHOICE + int(answer.scores[FIRST_CHOICE:].argmax())
    found = full_size_mask(frame.crop(answer.logits[best]), 480, 300)
    assert (found & truth).sum() / (found | truth).sum() > 0.93


def test_asking_nothing_is_refused(sam: Sam, disc: tuple[np.ndarray, ModelFrame]) -> None:
    embedding, frame = disc
    with pytest.raises(SegmentationError, match="without a point"):
        sam.predict([embedding], [prompts(frame)])
    with pytest.raises(SegmentationError, match="2 embeddings but 1"):
        sam.predict([embedding, embedding], [prompts(frame, (1, 1, True))])


def test_unknown_device_is_refused() -> None:
    with pytest.raises(SegmentationError, match="not available"):
        pick_device("abacus")


# --- masks ------------------------------------------------------------------------------------


def test_full_size_mask_keeps_positions() -> None:
    logits = np.full((25, 40), -5.0, dtype=np.float32)
    logits[5:15, 10:30] = 5.0
    mask = full_size_mask(logits, 400, 250)
    expected = np.zeros((250, 400), dtype=bool)
    expected[50:150, 100:300] = True
    # Straight edges lie where they should; only the four corners are rounded off.
    np.testing.assert_array_equal(mask[100], expected[100])
    np.testing.assert_array_equal(mask[:, 200], expected[:, 200])
    assert (mask != expected).mean() < 0.0005


def test_specks_go_and_holes_are_filled() -> None:
    logits = np.full((100, 100), -4.0, dtype=np.float32)
    logits[20:60, 20:60] = 4.0
    clean = logits.copy()
    logits[80:82, 80:82] = 4.0  # 4 cells of 10,000: a speck
    logits[30:32, 30:33] = -4.0  # a pinhole
    np.testing.assert_array_equal(drop_specks(logits) > 0, clean > 0)
    np.testing.assert_array_equal(drop_specks(clean), clean)


# --- the cache --------------------------------------------------------------------------------


class CountingEncoder(ImageEncoder):
    """A cheap encoder that shows what it was asked: the photo's mean, and how often."""

    name = "counting-00000000"

    def __init__(self) -> None:
        self.calls = 0

    def embed(self, image: np.ndarray) -> np.ndarray:
        self.calls += 1
        return np.full((256, 64, 64), image.mean(), dtype=np.float32)


def capture_of(folder: Path, shades: dict[str, int]) -> Capture:
    folder.mkdir(exist_ok=True)
    for name, shade in shades.items():
        Image.new("RGB", (64, 48), (shade,) * 3).save(folder / f"{name}.png")
    capture = Capture.create(folder / "capture")
    with capture.writing():
        add_photos(capture, [folder], Progress())
    return capture


def test_photos_are_embedded_once_and_again_when_changed(tmp_path: Path) -> None:
    capture = capture_of(tmp_path / "a", {"one": 10, "two": 20})
    encoder = CountingEncoder()
    first = embed_photos(capture, capture.photos(), encoder, Progress())
    assert (encoder.calls, [float(e[0, 0, 0]) for e in first]) == (2, [10.0, 20.0])
    assert first[0].dtype == np.float16
    embed_photos(capture, capture.photos(), encoder, Progress())
    assert encoder.calls == 2

    changed = capture_of(tmp_path / "b", {"one": 99, "two": 20})
    old = capture.root / "features"
    old.rename(changed.root / "features")
    second = embed_photos(changed, changed.photos(), encoder, Progress())
    assert (encoder.calls, float(second[0][0, 0, 0])) == (3, 99.0)


def test_damaged_cache_is_made_again(tmp_path: Path) -> None:
    capture = capture_of(tmp_path / "a", {"one": 10})
    encoder = CountingEncoder()
    embed_photos(capture, capture.photos(), encoder, Progress())
    (capture.root / "features" / encoder.name / "one.npy").write_bytes(b"half a fi")
    (again,) = embed_photos(capture, capture.photos(), encoder, Progress())
    assert encoder.calls == 2
    assert float(again[0, 0, 0]) == 10.0


def test_cancelling_stops_between_photos(tmp_path: Path) -> None:
    from mvsam_engine.errors import Cancelled

    class StopAfterOne(Progress):
        def on_change(self) -> None:
            if self.done == 1:
                self.cancel()

    capture = capture_of(tmp_path / "a", {"one": 10, "two": 20, "three": 30})
    encoder = CountingEncoder()
    with pytest.raises(Cancelled):
        embed_photos(capture, capture.photos(), encoder, StopAfterOne())
    assert encoder.calls == 1
