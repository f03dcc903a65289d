# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam evaluate segmentation`: runs, refusals, means, results, tables, figures, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner
from wall_sets import (
    AWAY,
    Scripted,
    ScriptedMethod,
    make_nvos,
    mask_of,
    photo,
    save,
    square,
    wall_capture,
    write_masks,
)

from mvsam_engine.capture import Capture
from mvsam_engine.cli import app
from mvsam_engine.commands.evaluate_segmentation import parse_references
from mvsam_engine.errors import Cancelled, SegmentationError, UsageError
from mvsam_engine.evaluate.segmentation import nvos, report
from mvsam_engine.evaluate.segmentation.figure import Gallery
from mvsam_engine.evaluate.segmentation.geometry import (
    GeometryPlan,
    describe,
    placed_capture,
    unplaced_photos,
)
from mvsam_engine.evaluate.segmentation.judge import FoundMasks
from mvsam_engine.evaluate.segmentation.layouts import Choice, find_sets
from mvsam_engine.evaluate.segmentation.methods import Method, parse_methods
from mvsam_engine.evaluate.segmentation.metrics import ViewScores
from mvsam_engine.evaluate.segmentation.outcome import Ledger, Refusal, Run
from mvsam_engine.evaluate.segmentation.prompts import parse_plans
from mvsam_engine.evaluate.segmentation.run import Listener, Plan, evaluate
from mvsam_engine.evaluate.segmentation.sets import SegmentationSet, Task
from mvsam_engine.evaluate.segmentation.summary import by_group, by_object, by_scene, summarise
from mvsam_engine.progress import Progress
from mvsam_engine.segment import SEGMENTERS

EMPTY = np.zeros_like(square("a"))


@pytest.fixture(scope="module")
def wall(tmp_path_factory: pytest.TempPathFactory) -> SegmentationSet:
    """A square seen in a, b and c, prompted in a; d looks elsewhere."""
    root = tmp_path_factory.mktemp("wall", numbered=False)
    wall_capture(root / "capture", "abc" + AWAY)
    folder = write_masks(root / "masks" / "square")
    masks = {view: folder / f"{view}.png" for view in "abcd"}
    task = Task("square", masks, "a", ("b", "c", "d"))
    return SegmentationSet("wall", "", (task,), capture=root / "capture")


class Notes(Listener):
    """Remembers all it was told."""

    def __init__(self, known: int = 0) -> None:
        self.runs: list[Run] = []
        self.found: list[FoundMasks] = []
        self.refusals: list[Refusal] = []
        self.sets: list[str] = []
        self.known = known

    def wants(self, key, geometry: str, weights: str) -> bool:
        return key[-1] >= self.known

    def on_set(self, one: SegmentationSet, capture: Capture) -> None:
        self.sets.append(f"began {one.name}")

    def on_run(self, run: Run, found: FoundMasks) -> None:
        self.runs.append(run)
        self.found.append(found)

    def on_refusal(self, refusal: Refusal) -> None:
        self.refusals.append(refusal)

    def after_set(self, one: SegmentationSet, capture: Capture) -> None:
        self.sets.append(f"ended {one.name}")


def scripted(label: str, **masks: np.ndarray) -> ScriptedMethod:
    return ScriptedMethod(label, segmenter=Scripted({"a": square("a"), **masks}))


def right(label: str = "right") -> ScriptedMethod:
    return scripted(label, b=square("b"), c=square("c"), d=EMPTY)


def run_on(one: SegmentationSet, *methods: Method, prompts: str = "8+2", **plan) -> Notes:
    notes = Notes()
    evaluate([one], Plan(methods, parse_plans(prompts), **plan), Progress(), notes)
    return notes


# --- running ---------------------------------------------------------------------------------


def test_a_right_answer_scores_one_everywhere(wall: SegmentationSet) -> None:
    notes = run_on(wall, right(), seeds=(0,))
    (run,) = notes.runs
    assert run.views == {v: ViewScores(1, 1, 1, 1) for v in "bc"}  # the reference is not scored
    assert run.absent == {"d": True}
    assert (run.reference_iou, run.consistency, run.photos) == (1, 1, 4)
    assert run.geometry == "flat (pointmaps 256 x 192), 4 of 4 photos placed"
    assert 0 <= run.first_s <= run.all_s
    for view in "abcd":
        np.testing.assert_array_equal(notes.found[0].read(view), square(view) > 0)
    assert notes.sets == ["began wall", "ended wall"]


def test_a_wrong_answer_scores_what_is_computed_by_hand(wall: SegmentationSet) -> None:
    half = mask_of(40, 52, 20, 10)  # of the square in b
    method = scripted("half", b=half, c=EMPTY, d=mask_of(0, 0, 5, 5))
    (run,) = run_on(wall, method, seeds=(0,)).runs
    size = 128 * 96
    assert run.views["b"].iou == run.views["b"].recall == 0.5
    assert run.views["b"].accuracy == 1 - 200 / size
    assert run.views["c"] == ViewScores(0, 0, 1 - 400 / size, 0)
    assert run.absent == {"d": False}
    summary = summarise("wall", [run])
    assert summary.iou == 0.25  # the absent view is no part of it
    assert summary.absent == (0, 1)
    assert summary.worst == ("square", "c", 0)
    # Pairs of a point and two views that see it, object in either: of a and b all of the square,
    # in both half of it; of a and c all and none; of b and c half and none.
    assert run.consistency == pytest.approx(0.5 / 2.5)


def test_every_method_gets_the_same_prompts_of_every_seed(wall: SegmentationSet) -> None:
    one, two = right("one"), right("two")
    notes = run_on(wall, one, two, prompts="8+2,1,box", seeds=(0, 3))
    assert [(r.method, r.prompt, r.seed) for r in notes.runs] == [
        (m, p, s) for m in ("one", "two") for p, s in [("8+2", 0), ("8+2", 3), ("1", 0), ("1", 3),
                                                      ("box", 0)]
    ]  # fmt: skip
    asked = [item.prompts for item in one.segmenter.asked]
    assert asked == [item.prompts for item in two.segmenter.asked]
    assert asked[0] != asked[1]  # other seeds, other clicks
    assert [len(p) for p in asked] == [10, 10, 1, 1, 1]
    assert notes.runs[0].clicks == [[*p.xy[0], float(p.include)] for p in asked[0]]
    assert one.segmenter.prepared == two.segmenter.prepared == 0  # memory was freed again


def test_a_mask_prompt_lies_in_the_capture_only_while_it_is_asked(wall: SegmentationSet) -> None:
    seen: list[np.ndarray] = []

    class Looks(Scripted):
        def predict(self, item, progress, on_view):
            (prompt,) = item.prompts
            seen.append(np.asarray(Image.open(wall.capture / prompt.mask)))
            return super().predict(item, progress, on_view)

    method = ScriptedMethod("looks", segmenter=Looks(right().segmenter.masks))
    before = sorted(wall.capture.rglob("*"))
    run_on(wall, method, prompts="mask")
    np.testing.assert_array_equal(seen[0], square("a"))
    assert sorted(wall.capture.rglob("*")) == before


def test_small_views_may_be_left_out(wall: SegmentationSet) -> None:
    share = 400 / (128 * 96)
    (run,) = run_on(wall, right(), seeds=(0,), least_area=share * 1.01).runs
    assert run.views == {} and run.absent == {"d": True}
    assert summarise("wall", [run]).iou is None
    (run,) = run_on(wall, right(), seeds=(0,), least_area=share * 0.99).runs
    assert set(run.views) == {"b", "c"}


def test_what_one_method_cannot_answer_does_not_stop_the_others(wall: SegmentationSet) -> None:
    class Fails(Scripted):
        def predict(self, item, progress, on_view):
            raise SegmentationError("x", "It is too dark.", "")

    class Missing(ScriptedMethod):
        def load(self, device="auto"):
            raise SegmentationError("x", "No weights.", "")

    fails = ScriptedMethod("fails", segmenter=Fails({}))
    notes = run_on(wall, fails, Missing("missing"), right(), prompts="1", seeds=(0,))
    assert [r.method for r in notes.runs] == ["right"]
    assert [(r.what, r.reason) for r in notes.refusals] == [
        ("square, fails, 1", "It is too dark."),
        ("missing", "No weights."),
    ]
    assert fails.segmenter.prepared == 0


def test_cancelling_keeps_what_was_told(wall: SegmentationSet) -> None:
    progress, notes = Progress(), Notes()

    class Cancels(Scripted):
        def predict(self, item, inner, on_view):
            if len(self.asked) == 1:
                progress.cancel()
            return super().predict(item, inner, on_view)

    method = ScriptedMethod("c", segmenter=Cancels(right().segmenter.masks))
    with pytest.raises(Cancelled):
        evaluate([wall], Plan((method,), parse_plans("1")), progress, notes)
    assert [r.seed for r in notes.runs] == [0]
    assert method.segmenter.prepared == 0


def test_known_runs_are_not_made_again(wall: SegmentationSet) -> None:
    notes = Notes(known=2)
    evaluate([wall], Plan((right(),), parse_plans("1")), Progress(), notes)
    assert [r.seed for r in notes.runs] == [2]


def test_tasks_of_one_scene_share_its_reconstruction(tmp_path: Path) -> None:
    """NVOS from its own folders: two tasks on the photos of horns."""
    names = ("horns_center", "horns_left")
    root = make_nvos(tmp_path / "nvos", names, photos=("a", "b", "c"))
    wall_capture(tmp_path / "kept" / "nvos-horns", "abc")
    sets = find_sets(root, Choice())
    notes, method = Notes(), right()
    plan = Plan((method,), parse_plans("8+2"), seeds=(0,), captures=tmp_path / "kept")
    evaluate(sets, plan, Progress(), notes)
    assert notes.refusals == []
    assert [(r.benchmark, r.set, r.object, r.reference) for r in notes.runs] == [
        ("NVOS", name, name, "c") for name in names
    ]
    # The target a is scored, c is prompted and has no true mask.
    assert all(r.views == {"a": ViewScores(1, 1, 1, 1)} for r in notes.runs)
    assert all(r.reference_iou is None and len(r.clicks) == 10 for r in notes.runs)
    assert [s.name for s in by_group(notes.runs)] == ["NVOS, 2 of 8 tasks"]


# --- geometry --------------------------------------------------------------------------------


def test_photos_without_a_camera_are_refused_or_counted(tmp_path: Path) -> None:
    wall_capture(tmp_path / "capture", "abcd", unplaced="bd")
    folder = write_masks(tmp_path / "masks")
    task = Task("square", {v: folder / f"{v}.png" for v in "abcd"}, "a", ("b", "c", "d"))
    one = SegmentationSet("holes", "", (task,), capture=tmp_path / "capture")
    method = scripted("m", c=square("c"))
    notes = run_on(one, method, seeds=(0,))
    assert not notes.runs
    (refusal,) = notes.refusals
    assert "2 of the 3 scored photos have no camera, such as b (flat" in refusal.reason
    assert "--count-unplaced" in refusal.reason
    (run,) = run_on(one, method, seeds=(0,), count_unplaced=True).runs
    assert run.views["b"].iou == 0 and run.views["c"].iou == 1
    assert run.absent == {}  # nobody decided that d does not show it
    assert run.unplaced == ["b", "d"]
    grid = report.setup_grid([run])
    assert "2 without a camera count as empty" in grid.rows[0][3]
    lost = replace(one, tasks=(replace(task, reference="b", scored=("a", "c")),))
    with pytest.raises(SegmentationError, match="The reference photo b has no camera"):
        unplaced_photos(lost, Capture.open(tmp_path / "capture"), True)


def test_photos_that_cannot_be_placed_are_refused_in_words(tmp_path: Path) -> None:
    for k in range(3):  # nothing but noise: no two photos have anything in common
        save(tmp_path / "noise" / "photos" / f"{k}.png", photo(k))
    masks = write_masks(tmp_path / "noise" / "masks", "a")
    (masks / "a.png").rename(masks / "0.png")
    task = Task("x", {"0": masks / "0.png"}, "0", ())
    photos = tuple(sorted((tmp_path / "noise" / "photos").iterdir()))
    one = SegmentationSet("noise", "", (task,), photos=photos)
    notes = run_on(one, right(), seeds=(0,))
    (refusal,) = notes.refusals
    assert not notes.runs and not notes.sets
    assert refusal.what == "" and refusal.reason.endswith(".")
    assert report.reasons([refusal])[0].startswith("Not measured: noise: ")
    notes = run_on(one, right(), geometry=GeometryPlan(only_annotated=True))
    assert "One photo alone" in notes.refusals[0].reason  # the others have no true mask


def test_a_kept_reconstruction_is_used_when_it_is_the_one_that_is_asked_for(
    tmp_path: Path,
) -> None:
    wall_capture(tmp_path / "kept" / "wall", "abc")
    task = Task("square", {}, "a", ("b", "c"))
    photos = tuple(tmp_path / f"{v}.png" for v in "abc")
    one = SegmentationSet("wall", "", (task,), photos=photos)
    kept = tmp_path / "kept"
    capture = placed_capture(one, GeometryPlan(), kept, Progress())
    assert describe(capture) == "flat (pointmaps 256 x 192), 3 of 3 photos placed"
    with pytest.raises(UsageError, match="method 'flat' instead of 'classical'"):
        placed_capture(one, GeometryPlan(name="classical"), kept, Progress())
    with pytest.raises(UsageError, match="preset None instead of 'draft'"):
        placed_capture(one, GeometryPlan(preset="draft"), kept, Progress())
    other = replace(one, tasks=(replace(task, scored=("b", "x")),))
    with pytest.raises(UsageError, match="has no photo 'x'"):
        placed_capture(other, GeometryPlan(), kept, Progress())


def test_cameras_are_looked_for_in_the_folder_of_each_set(tmp_path: Path) -> None:
    (tmp_path / "fern" / "sparse" / "0").mkdir(parents=True)
    plan = GeometryPlan(cameras=Path("sparse/0"))
    found = plan.options(tmp_path / "fern" / "images").cameras
    assert found == tmp_path / "fern" / "sparse" / "0"
    assert plan.options(tmp_path / "flower" / "images").cameras == Path("sparse/0")


# --- methods ---------------------------------------------------------------------------------


def test_methods_are_names_and_network_files(tmp_path: Path) -> None:
    network = tmp_path / "net.safetensors"
    network.write_bytes(b"weights")
    assert [m.label for m in parse_methods("all")] == list(SEGMENTERS)
    found = parse_methods(f"lift,new={network},{network},as={network}:mvsam-paper")
    assert [(m.label, m.file, m.kind) for m in found] == [
        ("lift", None, ""),
        ("new", network, ""),
        ("net", network, ""),
        ("as", network, "mvsam-paper"),
    ]
    assert found[0].identity() == "" and len(found[1].identity()) == 16


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "No method"),
        ("nothing", "no method 'nothing'"),
        ("x=gone.safetensors", "no network file gone.safetensors"),
        ("x=net.pt", "no network file net.pt"),
        ("lift=NET", "cannot be the name"),
        ("x=NET,x=NET:mvsam-paper", "Two methods are called 'x'"),
        ("x=NET:fast", "cannot be used as 'fast'"),
    ],
)
def test_unknown_methods_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "n.safetensors").write_bytes(b"")
    with pytest.raises(UsageError, match=said):
        parse_methods(text.replace("NET", str(tmp_path / "n.safetensors")))


def test_references_by_set() -> None:
    assert parse_references("19") == {"": "19"}
    assert parse_references("kitchen=19, tt=t_02") == {"kitchen": "19", "tt": "t_02"}
    for text in ("=19", "kitchen=", "1,2"):
        with pytest.raises(UsageError, match="SET=VIEW"):
            parse_references(text)


# --- means -----------------------------------------------------------------------------------


def made(scene: str, name: str, seed: int, *ious: float, benchmark: str = "", **more) -> Run:
    views = {f"v{i}": ViewScores(v, v / 2, 1 - v / 4, v) for i, v in enumerate(ious)}
    values = {
        "absent": {},
        "reference_iou": None,
        "consistency": None,
        "first_s": 0.1 * (seed + 1),
        "all_s": 1.0 + seed,
        "cpu_s": 2.0,
        "photos": 3,
        "geometry": "g",
    }
    values |= more
    return Run(benchmark, scene, name, values.pop("method", "m"), "8+2", seed, "r", views, **values)


def test_means_are_over_frames_then_objects_then_scenes() -> None:
    runs = [
        made("one", "cup", 0, 0.2, 0.4),  # .3
        made("one", "cup", 1, 0.5),  # .5: cup has .4
        made("one", "pot", 0, 1.0),
        made("one", "pot", 1, 0.8),  # pot has .9: scene has .65
        made("two", "cat", 0, 0.1, absent={"x": True, "y": False}),
        made("two", "cat", 1, 0.3, absent={"x": True}),  # scene has .2
    ]
    (all_,) = by_group(runs)
    assert all_.name == "2 scenes" and (all_.scenes, all_.objects, all_.seeds) == (2, 3, 2)
    assert all_.iou == pytest.approx((0.65 + 0.2) / 2)
    # Seed 0 alone: (.3 + 1) / 2 = .65 and .1; seed 1: (.5 + .8) / 2 = .65 and .3.
    assert all_.by_seed == pytest.approx((0.375, 0.475))
    assert all_.spread == pytest.approx(0.1 / 2**0.5)
    assert all_.boundary == pytest.approx(0.425 / 2)
    assert all_.recall == pytest.approx(0.425)
    assert all_.accuracy == pytest.approx(1 - 0.425 / 4)
    assert all_.absent == (2, 3)
    assert all_.worst == ("cat", "v0", pytest.approx(0.2))
    assert (all_.first_s, all_.all_s) == (pytest.approx(0.15), 1.5)
    one, two = by_scene(runs)
    assert (one.name, one.iou, two.iou) == ("one", pytest.approx(0.65), pytest.approx(0.2))
    # Only of scenes with several objects.
    assert [(s.name, s.iou) for s in by_object(runs)] == [
        ("one: cup", pytest.approx(0.4)),
        ("one: pot", pytest.approx(0.9)),
    ]


def test_views_without_the_object_alone_give_no_iou() -> None:
    run = made("one", "cup", 0, absent={"x": True}, consistency=0.7, reference_iou=0.9)
    summary = summarise("one", [run])
    assert (summary.iou, summary.spread, summary.worst) == (None, None, None)
    assert (summary.absent, summary.consistency, summary.reference) == ((1, 1), 0.7, 0.9)


def test_means_over_seven_and_eight_tasks_are_never_one() -> None:
    runs = [made(t, t, 0, 0.5, benchmark="NVOS") for t in nvos.TASKS if t != "orchids"]
    assert [s.name for s in by_group(runs)] == ["NVOS, 7 tasks (without orchids)"]
    orchids = made("orchids", "orchids", 0, 0.9, benchmark="NVOS")
    eight, seven = by_group([*runs, orchids])
    assert (eight.name, eight.iou) == ("NVOS, 8 tasks", pytest.approx(0.55))
    assert (seven.name, seven.iou) == ("NVOS, 7 tasks (without orchids)", pytest.approx(0.5))
    # A method that lacks a task is called by what it was measured on.
    other = [replace(r, method="other") for r in runs[:3]]
    names = {(s.method, s.name) for s in by_group([*runs, orchids, *other])}
    assert ("other", "NVOS, 3 of 8 tasks") in names
    # Scenes of a benchmark are not mixed with other scenes.
    assert [s.name for s in by_group([*runs, made("desk", "cup", 0, 0.1)])] == [
        "NVOS, 7 tasks (without orchids)"
    ]


# --- tables and results ----------------------------------------------------------------------


def test_tables_say_what_was_measured() -> None:
    runs = [
        made("one", "cup", s, 0.5 + 0.1 * s, absent={"x": True}, method=m)
        for m in ("lift", "new")
        for s in (0, 1)
    ]
    runs += [made("one", "pot", 0, 1.0, method="new")]
    grids = {g.title.partition(" (")[0].partition(":")[0]: g for g in report.tables(runs)}
    scores = grids["Scenes"]
    assert scores.head[3:5] == ("IoU", "F")
    lift, new = scores.rows
    assert lift[:5] == ("one", "8+2", "lift", "0.550 ±0.071", "0.275")
    assert lift[7] == "1.000 (2)"
    assert new[3] == "**0.775**"  # pot has no seed 1: there is no spread
    assert grids["IoU by object"].rows == (
        ("one: cup", "8+2", "0.550", "0.550"),
        ("one: pot", "8+2", "-", "1.000"),
    )
    assert "Means over scenes" not in grids  # one scene is no mean
    assert "| one | 8+2 | lift | 0.550 ±0.071 |" in scores.markdown()
    assert report.view_grid(runs).rows[0] == ("one: cup", "8+2", "v0", "0.550", "0.550")
    assert report.headline(runs[0]) == "one, cup, 8+2, seed 0, lift: IoU 0.500, 1.0 s"


def test_results_accumulate_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    ledger = Ledger(path)
    for what in ("", "m", "cat, m, 8+2", "cat, n, 8+2"):
        ledger.refuse(Refusal("", "two", what, "No cameras."))
    ledger.add(made("one", "cup", 0, 0.5, clicks=[[1.0, 2.0, 1.0]]))
    ledger.save()
    again = Ledger(path)
    assert again.runs == ledger.runs and again.refusals == ledger.refusals
    again.add(made("one", "cup", 0, 0.7))  # the same run, measured again
    again.add(made("two", "cat", 0, 0.6))  # what was refused before
    again.save()
    last = Ledger(path)
    assert [(r.set, r.views["v0"].iou) for r in last.runs] == [("one", 0.7), ("two", 0.6)]
    assert [r.what for r in last.refusals] == ["cat, n, 8+2"]  # of another method
    key = last.runs[0].key
    assert last.holds(key, "g", "")
    assert not last.holds(key, "other geometry", "") and not last.holds(key, "g", "new weights")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": "other", "runs": [], "refusals": []}',
        '{"format": "mvsam-segmentation-evaluation-1", "runs": [{}], "refusals": []}',
    ],
)
def test_other_files_are_refused_and_stay(tmp_path: Path, text: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="does not hold results of a segmentation evaluation"):
        Ledger(path)
    assert path.read_text() == text


# --- the figure ------------------------------------------------------------------------------


def test_the_figure_shows_right_wrong_and_missed(wall: SegmentationSet, tmp_path: Path) -> None:
    assert wall.capture is not None
    gallery = Gallery(wall, Capture.open(wall.capture))
    over = mask_of(40, 52, 20, 40)  # the square in b and as much beside it
    under = mask_of(40, 44, 10, 20)  # the upper half of the square in c
    method = scripted("m", b=over, c=under, d=EMPTY)
    notes = run_on(wall, method, prompts="8+2,box", seeds=(0, 1))
    for run, found in zip(notes.runs, notes.found, strict=True):
        gallery.add(run, found)
    files = gallery.draw(tmp_path / "new")
    assert [f.name for f in files] == ["wall-8+2.jpg", "wall-box.jpg"]
    image = np.asarray(Image.open(files[0]).convert("RGB")).astype(int)
    green = (image[..., 1] > image[..., 0] + 50) & (image[..., 1] > image[..., 2] + 20)
    orange = (image[..., 0] > image[..., 2] + 70) & (image[..., 0] > image[..., 1] + 40)
    blue = image[..., 2] > image[..., 0] + 60
    right_column = np.zeros_like(green)
    right_column[:, 306:] = True
    # Two columns of 300 pixels: truth and one method; rows: the prompted photo, b, c.
    assert image.shape[1] == 618 and image.shape[0] > 3 * 200
    assert (green & right_column).sum() > 1.5 * (orange & right_column).sum() > 1000
    assert (blue & right_column).sum() > 1000


def test_of_many_objects_each_is_shown_once_at_its_median_size(tmp_path: Path) -> None:
    wall_capture(tmp_path / "capture", "abc")
    tasks = []
    for name, sizes in (("cup", (10, 30, 20)), ("pot", (20, 10, 30))):
        masks = {
            v: save(tmp_path / name / f"{v}.png", mask_of(30, 30, s, s))
            for v, s in zip("abc", sizes, strict=True)
        }
        tasks.append(Task(name, masks, "none", tuple(masks)))
    one = SegmentationSet("two", "", tuple(tasks), capture=tmp_path / "capture")
    gallery = Gallery(one, Capture.open(tmp_path / "capture"))
    assert gallery.places == [("cup", "c"), ("pot", "a")]
    assert gallery.draw(tmp_path) == []  # nothing was measured


# --- the command -----------------------------------------------------------------------------


def command(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["evaluate", "segmentation", *map(str, words)])
    return result.exit_code, result.output


def test_the_command_runs_real_segmenters_and_accumulates(
    wall: SegmentationSet, tmp_path: Path
) -> None:
    """`splat`, SAM and all, on the wall; the square is not on its photos."""
    assert wall.capture is not None
    given = [wall.capture.parent, "--reference", "a", "--methods", "splat"]
    kept = ["--results", tmp_path / "r.json", "--figures", tmp_path / "figures"]
    code, output = command(*given, "--prompts", "mask", *kept, "--views")
    assert code == 0, output
    assert "square, mask, seed 0, splat: IoU" in output.replace("\n", " ")
    assert (tmp_path / "figures").is_dir() and len(list((tmp_path / "figures").iterdir())) == 1
    before = json.loads((tmp_path / "r.json").read_text())
    assert [r["method"] for r in before["runs"]] == ["splat"]
    assert set(before["runs"][0]["views"]) == {"b", "c"} and set(before["runs"][0]["absent"]) == {
        "d"
    }
    code, output = command(
        *given, "--prompts", "mask,1", "--seeds", "0", *kept, "--resume", "--json"
    )
    assert code == 0, output
    data = json.loads(output)
    assert [(r["method"], r["prompt"]) for r in data["runs"]] == [
        ("splat", "mask"), ("splat", "1"),
    ]  # fmt: skip
    assert data["runs"][0] == before["runs"][0]  # not measured again
    # Earlier results alone are printed again.
    code, output = command(tmp_path / "r.json", "--markdown")
    assert code == 0 and "| wall | mask | splat | " in output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to evaluate"),
        (["SET", "--methods", "magic"], "no method 'magic'"),
        (["SET", "--prompts", "poke"], "no prompt 'poke'"),
        (["SET", "--objects", "cup"], "No object is called cup"),
        (["SET", "SET"], "Two sets are called"),
        (["gone"], "gone is not a folder"),
        (["SET", "--reference", "z"], "no true mask of the reference photo 'z'"),
    ],
)
def test_wrong_use_is_told(wall: SegmentationSet, words: list[str], said: str) -> None:
    assert wall.capture is not None
    source = str(wall.capture.parent)
    code, output = command(*(source if w == "SET" else w for w in words))
    assert code == 2 and said in output.replace("\n", " ")


def test_a_set_that_is_refused_is_no_success(tmp_path: Path) -> None:
    wall_capture(tmp_path / "wall" / "capture", "ab", unplaced="b")
    write_masks(tmp_path / "wall" / "masks", "ab")
    results = tmp_path / "results.json"
    given = (tmp_path / "wall", "--reference", "b", "--methods", "splat", "--results", results)
    code, output = command(*given)
    assert code == 1
    assert "The reference photo b has no camera (flat" in output.replace("\n", " ")
    assert "Nothing could be measured" in output
    (refusal,) = json.loads(results.read_text())["refusals"]
    assert refusal["set"] == "wall" and "--cameras" in refusal["reason"]
