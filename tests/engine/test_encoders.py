# SPDX-License-Identifier: GPL-3.0-or-later
"""Image encoders by name: published checkpoints fit, and what they see is in their own frame.

The published files are too large for tests: their names and shapes stand in for them, and a tiny
Hiera of chance for what is computed. `test_encoders_transformers` compares with other code.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_tables import HIERA_SIZES, MEMORY, SAM_SIZES, chance, sam2_table, sam_table, zeros
from PIL import Image
from torch import Tensor
from torch.nn import functional

from mvsam_engine.capture import Capture
from mvsam_engine.errors import SegmentationError, WeightsError
from mvsam_engine.photos import add_photos
from mvsam_engine.progress import Progress
from mvsam_engine.segment.embeddings import embed_photos
from mvsam_engine.segment.encoder import ImageEncoder
from mvsam_engine.segment.encoders import ENCODERS, load_encoder, load_modules, modules
from mvsam_engine.segment.encoders import hiera as hiera_module
from mvsam_engine.segment.encoders.fine import FOLDED_SHAPE, ImageFeatures, Sam2Encoder, unfold
from mvsam_engine.segment.encoders.hiera import HIERA, Attention, HieraConfig, halve
from mvsam_engine.segment.encoders.vit import SamVit, attend
from mvsam_engine.segment.encoders.windows import join, split
from mvsam_engine.segment.frame import SquareFrame
from mvsam_engine.segment.sam import SamPrompts, load_sam
from mvsam_engine.segment.sam2 import Sam2
from mvsam_engine.weights import find_checkpoint
from mvsam_engine.weights.official import SAM_CHECKPOINTS

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_added_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MVSAM_WEIGHTS", str(tmp_path / "weights"))


# --- published checkpoints fit ----------------------------------------------------------------


def test_every_checkpoint_is_an_encoder() -> None:
    assert list(ENCODERS) == ["tiny-vit", *(entry.name for entry in SAM_CHECKPOINTS)]


@pytest.mark.parametrize("name", SAM_SIZES)
def test_sam_takes_every_published_tensor(name: str) -> None:
    table = sam_table(name)
    made = modules.sam_modules("key", ENCODERS[name], zeros(table), name)
    for part in ("image_encoder", "prompt_encoder", "mask_decoder"):
        own = getattr(made, part).state_dict()
        assert {k: tuple(v.shape) for k, v in own.items()} == {
            k.removeprefix(f"{part}."): s for k, s in table.items() if k.startswith(f"{part}.")
        }
        assert not any(v.is_meta for v in own.values())
    # The file has little beside its tensors, so these are all, and of the right size.
    floats = sum(int(np.prod(shape)) for shape in table.values())
    assert 0 < find_checkpoint(name).size - 4 * floats < 200_000


@pytest.mark.parametrize("name", HIERA_SIZES)
def test_sam2_takes_every_published_tensor(name: str) -> None:
    table = sam2_table(name)
    made = modules.sam2_modules("key", ENCODERS[name].size, zeros(table), name)
    taken = sum(len(getattr(made, part).state_dict())
                for part in ("image_encoder", "prompt_encoder", "mask_decoder"))  # fmt: skip
    assert taken == len(table) - len(MEMORY)
    assert not any(v.is_meta for v in made.image_encoder.state_dict().values())
    # All four files have the same 47 MB for decoder and video beside their encoder.
    floats = sum(p.numel() for p in made.image_encoder.parameters())
    assert find_checkpoint(name).size - 4 * floats == pytest.approx(47.1e6, rel=0.002)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"image_encoder.trunk.blocks.3.attn.qkv.bias": None}, "1 missing (image_encoder.trunk"),
        ({"surprise.weight": (1,)}, "1 unknown (surprise.weight)"),
        ({"no_mem_embed": (1, 1, 128)}, "no_mem_embed is (1, 1, 128) instead of (1, 1, 256)"),
    ],
)
def test_what_does_not_fit_is_named(change: dict, sentence: str) -> None:
    table = {k: v for k, v in (sam2_table("sam2.1-hiera-t") | change).items() if v is not None}
    with pytest.raises(WeightsError) as caught:
        modules.sam2_modules("key", "t", zeros(table), "file.pt")
    assert sentence in str(caught.value)
    assert caught.value.remedy


def test_checkpoints_of_other_networks_are_refused(tmp_path: Path) -> None:
    small = {k: torch.zeros(1) for k in sam_table("sam-vit-b")}
    torch.save(small, tmp_path / "vit.pth")
    for name in ("sam2.1-hiera-t", "sam-vit-l"):
        with pytest.raises(WeightsError, match=r"vit\.pth do not fit this network"):
            load_encoder(name, "cpu", tmp_path / "vit.pth")


def test_missing_weights_and_unknown_names_are_sentences() -> None:
    with pytest.raises(WeightsError, match="mvsam weights get sam-vit-h"):
        load_encoder("sam-vit-h", "cpu")
    with pytest.raises(SegmentationError, match=r"Known: tiny-vit, .*sam2\.1-hiera-l"):
        load_encoder("dino", "cpu")


def test_naming_encoders_imports_no_torch() -> None:
    code = "import sys; import mvsam_engine.segment.encoders; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the parts of Hiera -----------------------------------------------------------------------


def test_sizes_of_the_published_hieras() -> None:
    for name, (width, blocks, background) in HIERA_SIZES.items():
        config = HIERA[ENCODERS[name].size]
        assert (config.width, config.blocks, config.background) == (width, blocks, background)
        third = range(sum(blocks[:2]), sum(blocks[:3]))
        assert all(block in third for block in config.global_blocks)


@pytest.mark.parametrize(("rows", "columns", "side"), [(16, 24, 8), (9, 13, 4), (5, 5, 7)])
def test_windows_are_cut_and_put_back(rows: int, columns: int, side: int) -> None:
    x = torch.arange(2 * rows * columns * 3, dtype=torch.float32).reshape(2, rows, columns, 3)
    windows = split(x, side)
    count = -(-rows // side) * -(-columns // side)
    assert windows.shape == (2 * count, side, side, 3)
    first = functional.pad(x[0, :side, :side], (0, 0, 0, max(0, side - columns), 0,
                                                max(0, side - rows)))  # fmt: skip
    torch.testing.assert_close(windows[0], first)
    torch.testing.assert_close(join(windows, side, rows, columns), x)


def test_halving_takes_the_largest_of_four() -> None:
    x = torch.randn(2, 6, 8, 5)
    expected = functional.max_pool2d(x.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
    torch.testing.assert_close(halve(x), expected)


@pytest.mark.parametrize("halves", [False, True])
def test_attention_equals_its_definition(halves: bool) -> None:
    """One head and one query at a time."""
    torch.manual_seed(0)
    module, x = Attention(6, 8, 2, halves).eval(), torch.randn(2, 4, 6, 6)
    with torch.no_grad():
        found = module(x)
        q, k, v = (module.qkv(x)[..., 8 * i : 8 * i + 8] for i in range(3))
        q = halve(q) if halves else q
        expected = torch.zeros_like(q)
        for image in range(2):
            for head in (slice(0, 4), slice(4, 8)):
                keys = k[image, ..., head].reshape(-1, 4)
                values = v[image, ..., head].reshape(-1, 4)
                for row in range(q.shape[1]):
                    for column in range(q.shape[2]):
                        score = keys @ q[image, row, column, head] / 4**0.5
                        expected[image, row, column, head] = score.softmax(0) @ values
        torch.testing.assert_close(found, module.proj(expected), atol=1e-5, rtol=1e-4)


# --- SAM's ViT --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vit() -> torch.nn.Module:
    """A tiny ViT of chance, as kornia makes it; one of its blocks attends everywhere."""
    from kornia.models.sam.architecture.image_encoder import ImageEncoderViT

    made = ImageEncoderViT(
        img_size=320, embed_dim=24, depth=3, num_heads=3, use_rel_pos=True, window_size=14,
        global_attn_indexes=(1,), out_chans=16,
    )  # fmt: skip
    torch.manual_seed(0)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return made.eval()


def test_vit_equals_kornia(vit: torch.nn.Module) -> None:
    images = torch.randn(2, 3, 320, 320)
    with torch.no_grad():
        expected = vit(images)
        assert expected.std() > 0.1
        torch.testing.assert_close(SamVit(vit)(images), expected, atol=1e-4, rtol=1e-4)


def test_attention_by_heads_equals_kornia(vit: torch.nn.Module) -> None:
    everywhere = vit.blocks[1].attn  # type: ignore[union-attr]
    x = torch.randn(2, 20, 20, 24)
    with torch.no_grad():
        expected = everywhere(x)
        for most in (1, 2 * 2 * 400**2, 1 << 25):  # one head, two, all
            torch.testing.assert_close(attend(everywhere, x, most), expected, atol=1e-4, rtol=1e-4)


# --- a tiny SAM 2.1 of chance -----------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as SAM 2.1's tiny one, but with 8 channels."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(HIERA_SIZES, "sam2.1-hiera-t", (8, (1, 2, 7, 2), 7))
        state = chance(sam2_table("sam2.1-hiera-t"), seed=0)
    path = tmp_path_factory.mktemp("tiny") / "tiny.pt"
    torch.save({"model": state}, path)
    return path


@pytest.fixture
def tiny_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hiera_module.HIERA, "t", HieraConfig(8, 1, (1, 2, 7, 2), (5, 7, 9)))


@pytest.fixture(scope="module")
def sam2(tiny: Path) -> Sam2:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(hiera_module.HIERA, "t", HieraConfig(8, 1, (1, 2, 7, 2), (5, 7, 9)))
        sam = load_sam("sam2.1-hiera-t", "cpu", tiny)
    assert isinstance(sam, Sam2)
    return sam


@pytest.fixture(scope="module")
def folded(sam2: Sam2) -> np.ndarray:
    return sam2.encoder.embed(photo())


def photo(width: int = 90, height: int = 60) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_encoder_gives_three_maps_in_its_own_frame(tiny: Path, tiny_size: None) -> None:
    encoder = load_encoder("sam2.1-hiera-t", "cpu", tiny)
    assert isinstance(encoder, Sam2Encoder)
    assert encoder.name.startswith("sam2.1-hiera-t-")
    assert encoder.frame(90, 60) == SquareFrame(90, 60)
    features = encoder.features(photo())
    shapes = [m.shape for m in (features.embedding, features.stride8, features.stride4)]
    assert shapes == [(256, 64, 64), (64, 128, 128), (32, 256, 256)]
    embedding = encoder.embed(photo())
    np.testing.assert_array_equal(embedding, features.embedding)
    assert (embedding.shape, embedding.dtype) == (encoder.shape, np.float32)
    assert np.isfinite(embedding).all()
    assert embedding.std() > 0.1

    module = load_modules("sam2.1-hiera-t", tiny).image_encoder
    squeezed = torch.from_numpy(SquareFrame(90, 60).model_input(photo()))
    with torch.no_grad():
        maps = module.neck(module.trunk(squeezed))
    expected = maps[2][0] + module.no_mem_embed.reshape(-1, 1, 1)
    np.testing.assert_allclose(embedding, expected.numpy(), atol=1e-5)


def test_name_changes_with_the_weights(tiny: Path, tiny_size: None, tmp_path: Path) -> None:
    state = torch.load(tiny, weights_only=True)
    state["model"]["no_mem_embed"] += 1
    torch.save(state, tmp_path / "other.pt")
    first = load_modules("sam2.1-hiera-t", tiny)
    second = load_modules("sam2.1-hiera-t", tmp_path / "other.pt")
    assert first.key != second.key


def test_folding_is_undone_cell_by_cell() -> None:
    rng = np.random.default_rng(0)
    shapes = ((256, 64, 64), (64, 128, 128), (32, 256, 256))
    features = ImageFeatures(*(rng.normal(size=s).astype(np.float32) for s in shapes))
    folded = features.folded()
    assert folded.shape == FOLDED_SHAPE
    # Channel 256 + 4 * c + 2 * y + x of a cell is channel c of the finer cell (y, x) in it.
    assert folded[256 + 4 * 5 + 2 * 1 + 0, 10, 20] == features.stride8[5, 2 * 10 + 1, 2 * 20]
    found = unfold(torch.from_numpy(folded)[None])
    for one, map_ in zip(found, (features.embedding, features.stride8, features.stride4),
                         strict=True):  # fmt: skip
        np.testing.assert_array_equal(one[0].numpy(), map_)


def many_prompts() -> list[SamPrompts]:
    rng = np.random.default_rng(2)
    points = rng.uniform(50, 950, (3, 2)).astype(np.float32)
    labels = np.array([True, False, True])
    box = np.array([200, 180, 700, 640], dtype=np.float32)
    mask = rng.normal(0, 4, (256, 256)).astype(np.float32)
    none = np.zeros((0, 2), np.float32), np.zeros(0, bool)
    return [
        SamPrompts(points[:1], labels[:1]),
        SamPrompts(points, labels),
        SamPrompts(*none, box=box),
        SamPrompts(points, labels, box=box, mask=mask),
    ]


def reference_answer(sam: Sam2, folded: np.ndarray, prompt: SamPrompts) -> tuple[Tensor, Tensor]:
    """SAM 2.1's decoder for one image, through kornia's transformer, straight from its source."""
    encoder, decoder = sam.prompt_encoder, sam.mask_decoder
    image, stride8, stride4 = unfold(torch.from_numpy(folded)[None])
    positions = torch.from_numpy(prompt.points)[None]
    labels = torch.from_numpy(prompt.labels).float()[None]
    if prompt.box is not None:  # two more points, labelled 2 and 3
        positions = torch.cat([torch.from_numpy(prompt.box).reshape(1, 2, 2), positions], 1)
        labels = torch.cat([torch.tensor([[2.0, 3.0]]), labels], 1)
    code = encoder.pe_layer.forward_with_coords(positions, (1024, 1024))
    kinds = [e.weight for e in encoder.point_embeddings]
    rows = [code[0, i] + kinds[int(label)][0] for i, label in enumerate(labels[0])]
    rows.append(encoder.not_a_point_embed.weight[0])
    if prompt.mask is None:
        dense = encoder.no_mask_embed.weight.reshape(1, -1, 1, 1)
    else:
        dense = encoder.mask_downscaling(torch.from_numpy(prompt.mask)[None, None])
    own = [decoder.obj_score_token.weight, decoder.iou_token.weight, decoder.mask_tokens.weight]
    tokens = torch.cat([*own, torch.stack(rows)])[None]
    out, source = decoder.transformer(image + dense, encoder.get_dense_pe(), tokens)
    grid = source.transpose(1, 2).reshape(1, 256, 64, 64)
    up = decoder.output_upscaling
    fine = functional.gelu(up[1](up[0](grid) + stride8))
    fine = functional.gelu(up[3](fine) + stride4)
    heads = decoder.output_hypernetworks_mlps
    logits = [(head(out[:, 2 + i])[0, :, None, None] * fine[0]).sum(0)
              for i, head in enumerate(heads)]  # fmt: skip
    return torch.stack(logits), decoder.iou_prediction_head(out[:, 1])[0]


def test_sam2_decodes_as_its_definition_alone_and_in_a_batch(
    sam2: Sam2, folded: np.ndarray
) -> None:
    together = sam2.predict([folded] * 4, many_prompts())
    for prompt, answer in zip(many_prompts(), together, strict=True):
        with torch.no_grad():
            logits, scores = reference_answer(sam2, folded, prompt)
        spread = float(logits.std())
        np.testing.assert_allclose(answer.logits, logits.numpy(), atol=1e-4 * spread)
        np.testing.assert_allclose(answer.scores, scores.numpy(), atol=1e-4)
        assert ((answer.scores > 0) & (answer.scores < 1)).all()
        assert 0 < answer.presence < 1
    # What was asked matters, and so do the finer maps.
    spread = together[0].logits.std()
    assert np.abs(together[0].logits - together[1].logits).max() > 0.01 * spread
    blurred = folded.copy()
    blurred[256:] = 0
    (without,) = sam2.predict([blurred], many_prompts()[:1])
    assert np.abs(without.logits - together[0].logits).max() > 0.1 * spread


def test_sam2_refuses_an_embedding_without_finer_maps(sam2: Sam2, folded: np.ndarray) -> None:
    with pytest.raises(SegmentationError, match="without high-resolution features"):
        sam2.predict([folded[:256]], many_prompts()[:1])


def test_folded_features_are_cached_under_a_name_of_their_own(sam2: Sam2, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(photo()).save(tmp_path / "in/one.png")
    capture = Capture.create(tmp_path / "capture")
    with capture.writing():
        add_photos(capture, [tmp_path / "in"], Progress())
    (first,) = embed_photos(capture, capture.photos(), sam2.encoder, Progress())
    assert first.shape == sam2.encoder.shape == FOLDED_SHAPE
    assert sam2.encoder.name.endswith("-fine")

    class Broken(ImageEncoder):
        name, shape = sam2.encoder.name, FOLDED_SHAPE

        def embed(self, image: np.ndarray) -> np.ndarray:
            raise AssertionError("the cache was not used")

    (again,) = embed_photos(capture, capture.photos(), Broken(), Progress())
    np.testing.assert_array_equal(again, first)


# --- frames -----------------------------------------------------------------------------------


def test_square_frame_fills_the_square_and_finds_its_pixels() -> None:
    frame = SquareFrame(300, 100)
    assert (frame.mask_size, frame.model_size) == ((256, 256), (1024, 1024))
    np.testing.assert_allclose(frame.to_model(np.array([[300, 50]])), [[1024, 512]])
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 150:] = 255
    square = frame.model_input(image)[0, 0]
    assert (square[:, :500] < 0).all()
    assert (square[:, 524:] > 0).all()
    grid = np.arange(256 * 256, dtype=np.float32).reshape(256, 256)
    np.testing.assert_array_equal(frame.crop(grid), grid)
