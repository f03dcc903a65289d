# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts of sets with true masks, and prompts that are made from the truth."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion
from wall_sets import (
    HEIGHT,
    WIDTH,
    make_nvos,
    mask_of,
    photo,
    save,
    square,
    wall_capture,
    write_masks,
)

from mvsam_engine.capture import Photo
from mvsam_engine.errors import PhotoError, SegmentationError, UsageError
from mvsam_engine.evaluate.segmentation import nvos, spin
from mvsam_engine.evaluate.segmentation.layouts import Choice, find_sets
from mvsam_engine.evaluate.segmentation.prompts import ask, parse_plans
from mvsam_engine.evaluate.segmentation.sets import (
    PhotoIndex,
    Scribbles,
    SegmentationSet,
    Task,
    TrueMasks,
    read_true_mask,
)

DATA = Path(os.environ.get("MVSAM_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tabletop"


def record(view: str, orientation: int = 1, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Photo:
    """A photo whose upright size is `size`."""
    return Photo(view, "", *size, 1, "0" * 64, f"{view}.jpg", orientation=orientation)


def one_set(source: Path, choice: Choice | None = None) -> SegmentationSet:
    (found,) = find_sets(source, choice or Choice())
    return found


# --- the plain layout ------------------------------------------------------------------------


def plain(root: Path) -> Path:
    for k, view in enumerate("abc"):
        save(root / "photos" / f"{view}.jpg", photo(k))
    write_masks(root / "masks" / "square", "abcd")
    for view, side in (("a", 10), ("b", 30), ("c", 20)):
        save(root / "masks" / "other" / f"{view}.png", mask_of(5, 5, side, side))
    return root


def test_objects_are_folders_and_are_prompted_where_they_are_largest(tmp_path: Path) -> None:
    found = one_set(plain(tmp_path / "desk"))
    assert (found.name, found.benchmark, found.capture) == ("desk", "", None)
    assert [p.name for p in found.photos] == ["a.jpg", "b.jpg", "c.jpg"]
    other, square_ = found.tasks
    assert (other.name, other.reference, other.scored) == ("other", "b", ("a", "c"))
    # Equally large in three views: the first of them.
    assert (square_.reference, square_.scored) == ("a", ("b", "c", "d"))


def test_the_photos_folder_may_be_named_itself(tmp_path: Path) -> None:
    plain(tmp_path / "desk")
    found = one_set(tmp_path / "desk" / "photos")
    assert found.name == "desk" and len(found.tasks) == 2


def test_masks_without_folders_are_one_object(tmp_path: Path) -> None:
    save(tmp_path / "cup" / "images" / "a.png", photo(0))
    write_masks(tmp_path / "cup" / "masks", "ab")
    (task,) = one_set(tmp_path / "cup").tasks
    assert (task.name, set(task.masks)) == ("cup", {"a", "b"})


def test_references_and_objects_are_chosen_by_name(tmp_path: Path) -> None:
    root = plain(tmp_path / "desk")
    found = one_set(root, Choice(references={"": "a", "desk": "c"}, objects=("s*",)))
    assert [(t.name, t.reference) for t in found.tasks] == [("square", "c")]
    found = one_set(root, Choice(objects=("!s*",)))
    assert [t.name for t in found.tasks] == ["other"]
    assert find_sets(root, Choice(objects=("nothing",))) == []
    with pytest.raises(UsageError, match="no true mask of the reference photo 'x'"):
        find_sets(root, Choice(references={"": "x"}))


def test_a_capture_is_used_as_it_stands(tmp_path: Path) -> None:
    wall_capture(tmp_path / "wall" / "capture", "ab")
    write_masks(tmp_path / "wall" / "masks" / "square", "ab")
    found = one_set(tmp_path / "wall")  # as training scenes have it
    assert (found.name, found.capture) == ("wall", tmp_path / "wall" / "capture")
    found = one_set(tmp_path / "wall" / "capture")
    assert (found.name, found.tasks[0].name) == ("wall", "square")
    found = one_set(tmp_path / "wall", Choice(anew=True))  # its photos alone
    assert (found.capture, [p.stem for p in found.photos]) == (None, ["a", "b"])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: None, "is not a folder"),
        (lambda root: root.mkdir(), "holds no photos"),
        (lambda root: save(root / "photos" / "a.png", photo(0)), "No true masks"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, make, said: str) -> None:
    make(tmp_path / "desk")
    with pytest.raises(UsageError, match=said):
        find_sets(tmp_path / "desk", Choice())


def test_the_sample_has_eight_objects() -> None:
    found = one_set(SAMPLE, Choice(references={"": "tabletop_02"}))
    assert [t.name for t in found.tasks] == [
        "apple", "block", "books", "bowl", "mug", "plant", "robot", "tea_box",
    ]  # fmt: skip
    assert all(len(t.scored) == 19 for t in found.tasks)


@pytest.mark.skipif(not DATA.is_dir(), reason="no photo sets (MVSAM_DATA)")
def test_the_real_sets_are_read() -> None:
    kitchen = one_set(DATA / "kitchen", Choice(references={"kitchen": "19"}))
    assert len(kitchen.photos) == 25
    assert [(t.name, len(t.scored)) for t in kitchen.tasks] == [("bulldozer", 9)]
    for name, count in (("espresso", 7), ("robot", 8)):
        (task,) = one_set(DATA / name).tasks
        assert (task.name, len(task.masks)) == (name, count)


@pytest.mark.skipif(not DATA.is_dir(), reason="no photo sets (MVSAM_DATA)")
def test_the_mask_of_the_turned_espresso_photo_is_turned_with_it() -> None:
    # Its EXIF orientation is 6, its mask lies as the sensor saw it: 600 wide, 800 high.
    path = DATA / "espresso" / "masks" / "PXL_20210526_204034523.png"
    upright = read_true_mask(path, record("x", orientation=6, size=(800, 600)))
    assert upright.shape == (600, 800)
    stored = np.asarray(Image.open(path).convert("L")) > 127
    np.testing.assert_array_equal(upright, np.rot90(stored, -1))


# --- true masks --------------------------------------------------------------------------------


def test_masks_of_many_kinds_read_the_same(tmp_path: Path) -> None:
    truth = square("a") > 0
    grey = np.where(truth, 255, 0).astype(np.uint8)
    red = np.stack([grey, 0 * grey, 0 * grey], axis=-1)
    clear = np.dstack([np.full((HEIGHT, WIDTH, 3), 255, np.uint8), grey])
    for name, values in (("grey", grey), ("label", grey // 255), ("red", red), ("clear", clear)):
        path = save(tmp_path / f"{name}.png", values)
        np.testing.assert_array_equal(read_true_mask(path, record("a")), truth, err_msg=name)


def test_an_empty_mask_is_a_view_without_the_object(tmp_path: Path) -> None:
    path = save(tmp_path / "d.png", square("d"))
    assert not read_true_mask(path, record("d")).any()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_masks_lie_as_their_photo_s_file(tmp_path: Path, orientation: int) -> None:
    stored = mask_of(10, 20, 30, 40)
    turns = {1: 0, 3: 2, 6: -1, 8: 1}[orientation]
    upright = np.rot90(stored, turns) > 0
    one = record("a", orientation, size=upright.shape[::-1])
    path = save(tmp_path / "a.png", stored)
    np.testing.assert_array_equal(read_true_mask(path, one), upright)
    if orientation in (6, 8):  # one that only fits the upright photo is upright already
        path = save(tmp_path / "b.png", (upright * 255).astype(np.uint8))
        np.testing.assert_array_equal(read_true_mask(path, one), upright)


def test_masks_keep_their_own_resolution_but_not_any_shape(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.full((2 * HEIGHT, 2 * WIDTH + 1), 255, np.uint8))
    assert read_true_mask(path, record("a")).shape == (2 * HEIGHT, 2 * WIDTH + 1)
    path = save(tmp_path / "b.png", np.full((HEIGHT, HEIGHT), 255, np.uint8))
    with pytest.raises(PhotoError, match=r"b\.png has 96 x 96 pixels, its photo a\.jpg 128 x 96"):
        read_true_mask(path, record("a"))


def test_packed_masks_come_out_as_they_went_in(tmp_path: Path) -> None:
    values = np.random.default_rng(1).random((HEIGHT + 1, WIDTH + 1)) < 0.5  # not whole bytes
    save(tmp_path / "a.png", values.astype(np.uint8) * 255)
    truth = TrueMasks(Task("x", {"a": tmp_path / "a.png"}, "a", ()), PhotoIndex([record("a")]))
    for _ in range(2):
        np.testing.assert_array_equal(truth.read("a"), values)
    with pytest.raises(PhotoError, match="no photo 'b'"):
        truth.photo("b")


# --- NVOS --------------------------------------------------------------------------------------


def test_nvos_has_one_target_and_scribbles_on_another_photo(tmp_path: Path) -> None:
    fern, horns = find_sets(make_nvos(tmp_path), Choice())
    assert (fern.name, horns.name, fern.benchmark) == ("fern", "horns_left", "NVOS")
    (task,) = fern.tasks
    assert (task.reference, task.scored, set(task.masks)) == ("IMG_2", ("IMG_0",), {"IMG_0"})
    assert [p.parent.parent.name for p in horns.photos] == ["horns_undistort"] * 3
    assert (fern.capture_name, horns.capture_name) == ("nvos-fern", "nvos-horns")
    # The folder of labels alone does as well, when it is said where the photos are.
    (again, _) = find_sets(tmp_path / "labels" / "llff", Choice(photos=tmp_path / "scenes"))
    assert again.tasks[0].scribbles == task.scribbles


def test_nvos_refuses_what_is_not_clear(tmp_path: Path) -> None:
    root = make_nvos(tmp_path, ("fern",))
    extra = save(root / "labels" / "llff" / "masks" / "fern" / "IMG_1_mask.png", square("a"))
    with pytest.raises(UsageError, match="exactly one mask of the target"):
        find_sets(root, Choice())
    extra.unlink()
    (root / "scenes" / "fern_undistort" / "images" / "IMG_2.JPG").unlink()
    with pytest.raises(UsageError, match="photos of fern were not found"):
        find_sets(root, Choice())


def test_nvos_clicks_are_drawn_from_the_scribbles(tmp_path: Path) -> None:
    fern = one_set(make_nvos(tmp_path, ("fern",)))
    truth = TrueMasks(fern.tasks[0], PhotoIndex([]))
    reference = record("IMG_2")
    (plan,) = parse_plans("8+2")
    prompts = ask(plan, truth, reference, 0).prompts
    assert [p.include for p in prompts] == [True] * 8 + [False] * 2
    for p in prompts:
        (x, y) = p.xy[0]
        assert (x % 4, y % 4) == (2, 2)  # centres of scribble pixels, each 4 photo pixels wide
        inside = 60 <= x < 80 and 40 <= y < 60
        assert inside if p.include else (60 <= x < 80 and 36 <= y < 56)
    (plan,) = parse_plans("scribbles")
    assert len(ask(plan, truth, reference, 0).prompts) == 20
    for word in ("box", "mask"):
        (plan,) = parse_plans(word)
        with pytest.raises(SegmentationError, match="has scribbles, no true mask"):
            ask(plan, truth, reference, 0)


# --- SPIn-NeRF ---------------------------------------------------------------------------------


def make_spin(root: Path) -> Path:
    annotations = root / "multiview"
    names = {
        "orchids (llff)": ("image000", "image002"),
        "Truck (Tanks & Temples)": ("0_t1", "1_t0"),
    }
    for folder, frames in names.items():
        for frame in frames:
            for suffix in ("", "_pseudo", "_cutout"):
                save(annotations / folder / f"{frame}{suffix}.png", square("a") // 255)
        (annotations / folder / "annotations.json").write_text("{}")
    for k in range(4):
        save(root / "llff" / "orchids" / "images" / f"IMG_{4 + k}.JPG", photo(k))
        save(root / "llff" / "orchids" / "images_4" / f"image{k:03d}.png", photo(k))
        save(root / "tandt" / "truck" / "images" / f"t{k}.jpg", photo(k))
    return annotations


def test_spin_prompts_the_first_frame_and_scores_all_others(tmp_path: Path) -> None:
    truck, orchids = find_sets(make_spin(tmp_path), Choice(photos=tmp_path))
    assert (orchids.name, orchids.benchmark, truck.name) == ("orchids", "SPIn-NeRF", "truck")
    (task,) = orchids.tasks
    assert (task.reference, task.scored) == ("IMG_4", ("IMG_6",))  # by place in order of names
    (task,) = truck.tasks
    assert (task.reference, task.scored) == ("t1", ("t0",))
    assert not any(w in str(p) for w in ("pseudo", "cutout") for p in task.masks.values())
    # Beside the annotations the photos are found without being named.
    assert one_set(tmp_path / "multiview" / "orchids (llff)").photos == orchids.photos


def test_spin_refuses_frames_without_photos(tmp_path: Path) -> None:
    annotations = make_spin(tmp_path)
    with pytest.raises(UsageError, match="photos of truck were not found"):
        find_sets(annotations, Choice(photos=tmp_path / "llff"))
    with pytest.raises(UsageError, match="no photo belongs to the mask 'image009'"):
        spin.photo_of_frame("image009", ["a", "b"], "fern")
    save(tmp_path / "other" / "truck" / "t0.png", photo(0))
    with pytest.raises(UsageError, match="which are meant is not clear"):
        find_sets(annotations, Choice(photos=tmp_path))


def test_names_of_public_tasks() -> None:
    assert len(nvos.TASKS) == 8 and len(spin.TASKS) == 10
    assert spin.scene_name(Path("x/lego_real_night_radial")) in spin.TASKS
    assert spin.scene_name(Path("x/pinecone (nerf_real_360)")) in spin.TASKS


# --- prompts -----------------------------------------------------------------------------------


def square_truth(tmp_path: Path) -> TrueMasks:
    folder = write_masks(tmp_path / "square")
    task = Task("square", {v: folder / f"{v}.png" for v in "abcd"}, "a", ("b", "c", "d"))
    return TrueMasks(task, PhotoIndex([record(v) for v in "abcd"]))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clicks_are_the_published_ones(tmp_path: Path, seed: int) -> None:
    # As the formula of the documentation reads, with other tools.
    truth = square("a") > 0
    block = np.ones((7, 7), bool)
    inside = binary_erosion(truth, block)
    band = binary_dilation(truth, np.ones((61, 61), bool)) & ~binary_dilation(truth, block)
    rng = np.random.default_rng(seed)
    expected = []
    for area, count in ((inside, 8), (band, 2)):
        y, x = np.nonzero(area)
        chosen = rng.choice(len(x), count, replace=False)
        expected += [(x[k] + 0.5, y[k] + 0.5) for k in chosen]
    (plan,) = parse_plans("8+2")
    prompts = ask(plan, square_truth(tmp_path), record("a"), seed).prompts
    assert [p.xy[0] for p in prompts] == expected
    assert [p.include for p in prompts] == [True] * 8 + [False] * 2


def test_clicks_of_seed_0_do_not_change(tmp_path: Path) -> None:
    (plan,) = parse_plans("3")
    prompts = ask(plan, square_truth(tmp_path), record("a"), 0).prompts
    # Written down once, so that no other library ever draws others without being noticed.
    assert [p.xy[0] for p in prompts] == [(75.5, 51.5), (65.5, 50.5), (74.5, 54.5)]


def test_boxes_masks_and_positions(tmp_path: Path) -> None:
    truth = square_truth(tmp_path)
    twice = record("a", size=(2 * WIDTH, 2 * HEIGHT))  # masks may be smaller than their photo
    box, mask = parse_plans("box,mask")
    assert ask(box, truth, record("a"), 0).prompts[0].xy == ((60, 40), (80, 60))
    assert ask(box, truth, twice, 0).prompts[0].xy == ((120, 80), (160, 120))
    asked = ask(mask, truth, record("a"), 0)
    assert asked.prompts == () and asked.mask is not None
    np.testing.assert_array_equal(asked.mask, square("a") > 0)
    (at,) = parse_plans("8+2", at="70.5,50")
    assert at.label == "at 70.5,50" and not at.drawn
    assert ask(at, truth, record("a"), 0).prompts[0].xy == ((70.5, 50),)


def test_thin_objects_are_clicked_on_all_the_same(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", mask_of(50, 10, 2, 3))
    truth = TrueMasks(Task("wire", {"a": path}, "a", ()), PhotoIndex([record("a")]))
    (plan,) = parse_plans("8")
    prompts = ask(plan, truth, record("a"), 0).prompts
    assert len({p.xy for p in prompts}) == 6  # all the pixels there are
    assert all(10 < p.xy[0][0] < 13 and 50 < p.xy[0][1] < 52 for p in prompts)


def test_prompts_that_cannot_be_made(tmp_path: Path) -> None:
    truth = square_truth(tmp_path)
    (scribbles,) = parse_plans("scribbles")
    with pytest.raises(SegmentationError, match="has no scribbles"):
        ask(scribbles, truth, record("a"), 0)
    hidden = TrueMasks(Task("square", truth.task.masks, "d", ("a",)), truth.index)
    for plan in parse_plans("1,box,mask"):
        with pytest.raises(SegmentationError, match="not seen in the reference photo d"):
            ask(plan, hidden, record("d"), 0)
    black = save(tmp_path / "black.png", square("d"))
    painted = Task("x", {}, "a", (), Scribbles(black, black))
    with pytest.raises(SegmentationError, match="Nothing is painted"):
        ask(parse_plans("1")[0], TrueMasks(painted, truth.index), record("a"), 0)


@pytest.mark.parametrize("text", ["", "0", "0+2", "8-2", "circle", "8+2+1"])
def test_unknown_prompts_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"8\+2"):
        parse_plans(text)
    with pytest.raises(UsageError, match="no position"):
        parse_plans("1", at="12")
