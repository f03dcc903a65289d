# SPDX-License-Identifier: GPL-3.0-or-later
"""Truth layouts, sources, child processes, results and tables of `mvsam evaluate geometry`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mvsam_engine.capture.conventions import camera_center, invert_rigid, look_at
from mvsam_engine.cli import app
from mvsam_engine.commands.evaluate import parse_counts, parse_methods, parse_seeds
from mvsam_engine.errors import Cancelled, UsageError
from mvsam_engine.evaluate import child, report, run, sources, splat, truth
from mvsam_engine.evaluate.exchange import (
    Result,
    read_depth,
    read_result,
    write_depth,
    write_result,
)
from mvsam_engine.evaluate.methods import METHODS, Job, Method
from mvsam_engine.evaluate.outcome import (
    DepthSummary,
    Outcome,
    PoseSummary,
    load_outcomes,
    save_outcomes,
)
from mvsam_engine.progress import Progress

SAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tabletop"


def write_photos(folder: Path, count: int = 4) -> list[Path]:
    """Small grey photos a0.jpg, a1.jpg, ..."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"a{i}.jpg" for i in range(count)]
    for path in paths:
        Image.new("RGB", (80, 64), (90, 90, 90)).save(path)
    return paths


def poses(count: int = 4) -> list[np.ndarray]:
    """World-from-camera matrices, each elsewhere and turned."""
    result = []
    for index in range(count):
        angle = 0.3 * index
        matrix = np.eye(4)
        matrix[0, 0] = matrix[2, 2] = np.cos(angle)
        matrix[0, 2], matrix[2, 0] = np.sin(angle), -np.sin(angle)
        matrix[:3, 3] = (index, 0.2 * index * index, -0.5 * index)
        result.append(matrix)
    return result


# --- truth -----------------------------------------------------------------------------------


def test_the_sample_is_found_with_its_truth() -> None:
    found = sources.find_set(SAMPLE, None)
    assert found.name == "tabletop"
    assert len(found.photos) == 20
    assert found.truth.kind == "rendered"
    depth = found.truth.depth("tabletop_03")
    assert depth is not None and depth.shape == (192, 256)
    assert depth.min() > 0.3 and depth.max() < 5


def test_strecha_cameras_are_read_and_their_common_rotation_is_remarked(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos")
    for photo, pose in zip(photos, poses(), strict=True):
        rows = [np.eye(3).ravel(), np.zeros(3), pose[:3, :3].ravel(), pose[:3, 3], [80, 64]]
        text = " ".join(str(float(v)) for row in rows for v in row)
        (tmp_path / "cameras").mkdir(exist_ok=True)
        (tmp_path / "cameras" / f"{photo.name}.camera").write_text(text)
    found = sources.find_set(tmp_path / "photos", None)
    assert found.truth.kind == "strecha" and found.truth.common_rotation
    np.testing.assert_allclose(found.truth.cameras["a2"], invert_rigid(poses()[2]), atol=1e-12)


def test_llff_axes_are_down_right_backwards(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    rows = []
    for pose in poses():
        right, down, forward, centre = pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3]
        matrix = np.stack([down, right, -forward, centre, [64, 80, 70]], axis=1)
        rows.append([*matrix.ravel(), 1.0, 9.0])
    np.save(tmp_path / "poses_bounds.npy", np.array(rows))
    found = sources.find_set(tmp_path, None)
    assert found.truth.kind == "llff" and "COLMAP" in found.truth.remark
    for index, pose in enumerate(poses()):
        np.testing.assert_allclose(found.truth.cameras[f"a{index}"], invert_rigid(pose), atol=1e-12)


def test_condition_files_count_photos_by_number(tmp_path: Path) -> None:
    folder = tmp_path / "rgb"
    folder.mkdir()
    for index in range(11):  # 10 comes after 9, not after 1
        Image.new("RGB", (80, 64)).save(folder / f"{index}.png")
    depths = np.arange(11, dtype=np.float32)[:, None, None] + np.zeros((11, 3, 4), np.float32)
    np.savez(tmp_path / "condition.npz", poses=np.array(poses(11)), depths=depths)
    found = sources.find_set(tmp_path, None)
    np.testing.assert_allclose(camera_center(found.truth.cameras["10"]), poses(11)[10][:3, 3])
    ten, zero = found.truth.depth("10"), found.truth.depth("0")
    assert ten is not None and (ten == 10).all()
    assert zero is not None and np.isnan(zero).all()  # 0 means unknown there


def test_foreign_cameras_bring_depth_from_the_folder_beside(tmp_path: Path) -> None:
    write_photos(tmp_path / "images")
    frames = [
        {
            "file_path": f"images/a{i}.jpg",
            "transform_matrix": (pose @ np.diag([1.0, -1.0, -1.0, 1.0])).tolist(),
        }
        for i, pose in enumerate(poses())
    ]
    data = {"fl_x": 70, "fl_y": 70, "cx": 40, "cy": 32, "w": 80, "h": 64, "frames": frames}
    (tmp_path / "transforms.json").write_text(json.dumps(data))
    (tmp_path / "depth").mkdir()
    np.save(tmp_path / "depth" / "a1.npy", np.full((8, 10), 2.5))
    found = sources.find_set(tmp_path, None)
    centres = [camera_center(found.truth.cameras[f"a{i}"]) for i in range(4)]
    true = [pose[:3, 3] for pose in poses()]
    # Whatever axes the reader turns the world to, distances stay.
    for i in range(4):
        for j in range(4):
            got = np.linalg.norm(centres[i] - centres[j])
            assert got == pytest.approx(np.linalg.norm(true[i] - true[j]), abs=1e-9)
    depth = found.truth.depth("a1")
    assert depth is not None and (depth == 2.5).all()
    assert found.truth.depth("a0") is None


@pytest.mark.parametrize("content", ["{", '{"views": {"a0": {}}}', '{"views": {"a0": 3}}', "[]"])
def test_damaged_truth_is_refused_in_words(tmp_path: Path, content: str) -> None:
    write_photos(tmp_path / "photos")
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "cameras.json").write_text(content)
    with pytest.raises(UsageError, match=r"damaged|has cameras for 0"):
        sources.find_set(tmp_path, None)


def test_truth_of_other_photos_is_refused_with_an_example(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    with pytest.raises(UsageError, match="a photo is 'a0'"):
        sources.find_set(tmp_path, SAMPLE / "truth")


def test_no_truth_and_no_photos_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no photos"):
        sources.find_set(tmp_path, None)
    write_photos(tmp_path)
    with pytest.raises(UsageError, match="No truth was found"):
        sources.find_set(tmp_path, None)


def test_subsets_are_spread_evenly() -> None:
    whole = sources.find_set(SAMPLE, None)
    eight = [p.stem[-2:] for p in sources.subset(whole, 8).photos]
    assert eight == ["00", "03", "05", "08", "11", "14", "16", "19"]
    assert sources.subset(whole, 99) is whole
    with pytest.raises(UsageError):
        sources.subset(whole, 1)


# --- child processes -------------------------------------------------------------------------


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes a module that child processes can be started with."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(body: str) -> str:
        (tmp_path / "methodunderttest.py").write_text(body)
        return "methodunderttest"

    return write


def test_a_child_is_measured_with_its_own_children(module, tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("memory of a process tree is read from Linux' /proc")
    name = module(
        "import subprocess, sys, time\n"
        "work = 'x = bytearray(120_000_000)\\nimport time\\nt = time.process_time()\\n'\n"
        "work += 'while time.process_time() - t < 0.6: pass\\ntime.sleep(0.6)'\n"
        "a = [subprocess.Popen([sys.executable, '-c', work]) for _ in range(2)]\n"
        "[p.wait() for p in a]\n"
    )
    ended = child.run_module(name, [], tmp_path / "log", 60, Progress())
    assert ended.code == 0
    assert ended.cpu_s > 1.2
    assert ended.peak_mb is not None and 240 < ended.peak_mb < 600


def test_a_child_that_takes_too_long_is_stopped_with_its_children(module, tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    beating = "import sys, time, pathlib\nwhile True:\n"
    beating += " pathlib.Path(sys.argv[1]).write_text(str(time.time()))\n time.sleep(.05)"
    arguments = f"[sys.executable, '-c', {beating!r}, {str(beat)!r}]"
    name = module(f"import subprocess, sys\nsubprocess.Popen({arguments}).wait()\n")
    ended = child.run_module(name, [], tmp_path / "log", 2.0, Progress())
    assert ended.code is None and "time limit" in ended.complaint
    time.sleep(0.3)
    before = beat.read_text()
    time.sleep(0.4)
    assert beat.read_text() == before


def test_a_crash_is_told_with_its_last_words(module, tmp_path: Path) -> None:
    name = module("import os, sys\nprint('check failed: x > 0', flush=True)\nos.abort()\n")
    ended = child.run_module(name, [], tmp_path / "log", 60, Progress())
    assert "SIGABRT" in ended.complaint and "check failed: x > 0" in ended.complaint


def test_cancelling_ends_the_child(module, tmp_path: Path) -> None:
    progress = Progress()
    threading.Timer(0.5, progress.cancel).start()
    began = time.monotonic()
    with pytest.raises(Cancelled):
        child.run_module(module("import time; time.sleep(60)"), [], tmp_path / "log", 60, progress)
    assert time.monotonic() - began < 10


def test_a_method_ends_with_whoever_started_it(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\n"
        "from mvsam_engine.evaluate.methods import read_job\n"
        "read_job()\n"
        f"while True: pathlib.Path({str(beat)!r}).write_text(str(time.time())); time.sleep(.05)\n"
    )
    Job(photos="", out="").save(tmp_path / "job.json")
    starter = (
        "import sys; from pathlib import Path; from mvsam_engine.evaluate.child import run_module\n"
        "from mvsam_engine.progress import Progress\n"
        f"run_module('slow', [{str(tmp_path / 'job.json')!r}], Path({str(tmp_path / 'log')!r}), "
        "60, Progress())"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", starter], env=environment)
    began = time.monotonic()
    while not beat.exists() and time.monotonic() - began < 60:
        time.sleep(0.1)
    assert beat.exists()
    process.kill()  # nothing of the parent runs any more
    process.wait()
    time.sleep(1.0)
    before = beat.read_text()
    time.sleep(0.5)
    assert beat.read_text() == before


# --- runs ------------------------------------------------------------------------------------

GOOD = """
import json, sys, pathlib, numpy as np
from mvsam_engine.evaluate.exchange import Result, write_depth, write_result
from mvsam_engine.evaluate.methods import read_job
job = read_job()
truth = json.loads(pathlib.Path(TRUTH).joinpath("cameras.json").read_text())["views"]
cameras = {}
for file in job.files:
    matrix = np.array(truth[file.stem]["camera_from_world"])
    matrix[:3, 3] *= 0.5  # half the true size
    cameras[file.stem] = matrix
    with np.load(pathlib.Path(TRUTH) / "depth" / (file.stem + ".npz")) as archive:
        depth = archive["depth"].astype(float) * 0.5
    depth[:96] = np.nan
    write_depth(pathlib.Path(job.out), file.stem, depth)
write_result(pathlib.Path(job.out), Result(cameras=cameras, stages_s={"Copying": 0.1}))
"""


def with_methods(monkeypatch: pytest.MonkeyPatch, **modules: str) -> None:
    """Offer modules under the names of methods."""
    for name, module_name in modules.items():
        monkeypatch.setitem(METHODS, name, Method(name, module_name, "numpy", "", ""))


def test_failing_methods_are_rows_and_the_others_go_on(module, tmp_path, monkeypatch) -> None:
    good = module(f"TRUTH = {str(SAMPLE / 'truth')!r}\n{GOOD}")
    (tmp_path / "crashing.py").write_text("raise SystemExit('no luck today')")
    (tmp_path / "refusing.py").write_text(
        "import pathlib\n"
        "from mvsam_engine.evaluate.exchange import Result, write_result\n"
        "from mvsam_engine.evaluate.methods import read_job\n"
        "write_result(pathlib.Path(read_job().out), Result(refused='Too far apart.'))\n"
    )
    with_methods(monkeypatch, good=good, crashing="crashing", refusing="refusing")
    monkeypatch.setitem(
        METHODS, "away", Method("away", "x", "no_such_package", "pip install x", "")
    )
    heard = []
    plan = run.Plan(methods=("crashing", "away", "refusing", "good"), limit_s=60)
    photo_set = sources.subset(sources.find_set(SAMPLE, None), 4)
    made = run.evaluate([photo_set], plan, Progress(), lambda o, *_: heard.append(o.method))
    assert [o.status for o in made] == ["failed", "absent", "refused", "ok"]
    assert heard == list(plan.methods)
    assert "no luck today" in made[0].reason
    assert "pip install x" in made[1].reason
    assert made[2].reason == "Too far apart."
    good_one = made[3]
    assert good_one.placed == 4 and good_one.stages_s == {"Copying": 0.1}
    assert good_one.poses is not None and good_one.poses.degrees_max < 1e-6
    assert good_one.poses.centre_max < 1e-9 and not good_one.wrong
    assert good_one.depth is not None and good_one.depth.measured == pytest.approx(0.5)
    assert good_one.depth.measured_within[0] == pytest.approx(1.0)
    assert good_one.depth.full_within[0] == pytest.approx(0.5)
    assert good_one.calibration is None  # it states no confidence


def test_what_was_made_is_kept_only_when_asked(module, tmp_path, monkeypatch) -> None:
    good = module(f"TRUTH = {str(SAMPLE / 'truth')!r}\n{GOOD}")
    with_methods(monkeypatch, good=good)
    photo_set = sources.subset(sources.find_set(SAMPLE, None), 3)
    folders = []
    plan = run.Plan(methods=("good",), limit_s=60)
    run.evaluate([photo_set], plan, Progress(), lambda _o, _s, made: folders.append(made))
    assert not folders[0].exists()
    plan = run.Plan(methods=("good",), limit_s=60, keep=tmp_path / "kept")
    run.evaluate([photo_set], plan, Progress(), lambda *_: None)
    result = read_result(tmp_path / "kept" / "tabletop-3-good-seed0" / "made")
    assert result is not None and len(result.cameras) == 3


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    result = Result(cameras={"é b": np.arange(16.0).reshape(4, 4)}, unplaced={"c": "too dark"})
    write_result(tmp_path, result)
    back = read_result(tmp_path)
    assert back is not None and back.unplaced == {"c": "too dark"}
    np.testing.assert_array_equal(back.cameras["é b"], result.cameras["é b"])
    depth = np.array([[1.0, np.nan], [2.0, 3.0]])
    write_depth(tmp_path, "v", depth)
    found = read_depth(tmp_path, "v")
    assert found is not None and found[1] is None
    np.testing.assert_array_equal(found[0], depth)
    assert read_result(tmp_path / "nothing") is None and read_depth(tmp_path, "w") is None


# --- tables ----------------------------------------------------------------------------------


def outcome(**changes: object) -> Outcome:
    """A plain good outcome."""
    values = {
        "set": "room",
        "method": "mvsam",
        "photos": 8,
        "seed": 0,
        "settings": {"preset": "normal"},
        "status": "ok",
        "placed": 8,
        "poses": PoseSummary(0.012, 0.034, 0.0001, 0.0005, False),
        "depth": DepthSummary(8, 0.7, [0.95, 0.98, None], 0.0012, [0.8, 0.9, 0.95], None),
        "calibration": [[0, 0, 0, 0, 0, 0, 0, 0, 100, 300], [0, 0, 0, 0, 0, 0, 0, 0, 80, 294]],
        "wall_s": 20.0,
        "cpu_s": 32.0,
        "stages_s": {"Depth": 12.0},
        "stages_cpu_s": {"Depth": 22.0},
        "peak_mb": 512,
    }
    return Outcome(**(values | changes))  # type: ignore[arg-type]


def test_outcomes_survive_their_file_and_reprint(tmp_path: Path) -> None:
    made = [outcome(), outcome(method="x", status="failed", reason="no", poses=None, depth=None)]
    save_outcomes(tmp_path / "r.json", made)
    assert load_outcomes(tmp_path / "r.json") == made
    answer = CliRunner().invoke(
        app, ["evaluate", "geometry", str(tmp_path / "r.json"), "--markdown"]
    )
    assert answer.exit_code == 0, answer.output
    for text in ("0.012° (0.034°)", "0.010 % (0.050 %)", "80.0 / 90.0 / 95.0", "512 MB", "4.0 s"):
        assert text in answer.output
    assert "0.98 (75 %)" in answer.output and "Depth 12.0 (22.0)" in answer.output
    assert "failed: no" in answer.output


def test_other_files_are_no_results(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text('{"format": "else"}')
    with pytest.raises(UsageError, match="does not hold results"):
        load_outcomes(tmp_path / "r.json")
    answer = CliRunner().invoke(app, ["evaluate", "geometry", str(tmp_path / "r.json")])
    assert answer.exit_code == 2


def test_wrong_models_are_counted_over_seeds() -> None:
    bad = PoseSummary(40.0, 80.0, 0.3, 0.5, True)
    runs = [
        outcome(seed=0),
        outcome(seed=1, poses=bad),
        outcome(seed=2, status="refused", placed=0, poses=None),
        outcome(seed=3, status="failed", placed=0, poses=None),
        outcome(method="away", status="absent", placed=0, poses=None),
        outcome(method="away", status="absent", placed=0, poses=None, seed=1),
    ]
    rows = report.seed_grid(runs).rows
    assert rows == (("room, 8 photos", "mvsam", "4", "50 %", "1", "1", "1"),)


@pytest.mark.parametrize(
    ("text", "seeds"), [("0", (0,)), ("0,3", (0, 3)), ("0-3", (0, 1, 2, 3)), ("5,5-6", (5, 6))]
)
def test_seeds_are_read(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


def test_nonsense_on_the_command_line_is_refused() -> None:
    for read, text in ((parse_seeds, "x"), (parse_seeds, "3-1"), (parse_counts, "8,a")):
        with pytest.raises(UsageError):
            read(text)
    with pytest.raises(UsageError, match="Known: all, mvsam"):
        parse_methods("mvsam,colmpa")
    assert parse_methods("all") == tuple(METHODS)
    assert parse_counts("8,20") == (8, 20) and parse_counts("") == (None,)


# --- pictures --------------------------------------------------------------------------------


def test_near_points_hide_far_ones() -> None:
    cloud = splat.Cloud(
        points=np.array([[0, 0, 5], [0, 0, 2], [1, 0, 2], [0, 0, -3]], np.float32),
        colors=np.array([[9, 0, 0], [0, 9, 0], [0, 0, 9], [9, 9, 9]], np.uint8),
        spacing=np.zeros(4, np.float32),
    )
    image = splat.splat(cloud, np.eye(4), 20.0, (40, 30))
    assert image[15, 20].tolist() == [0, 9, 0]
    assert image[15, 30].tolist() == [0, 0, 9]
    painted = (image != splat.BACKGROUND).any(axis=-1)
    assert painted.sum() == 2  # what lies behind the camera is not drawn


def test_a_viewer_sees_its_target_in_the_middle_and_upright() -> None:
    place, target = np.array([3.0, -1.0, 2.0]), np.array([0.5, 0.2, 7.0])
    down = np.array([0.0, 1.0, 0.0])
    matrix = look_at(place, target, down)
    seen = matrix[:3, :3] @ target + matrix[:3, 3]
    assert seen[:2] == pytest.approx([0, 0], abs=1e-12) and seen[2] > 0
    assert camera_center(matrix) == pytest.approx(place)
    assert (matrix[:3, :3] @ down)[1] > 0.9
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)


def test_truth_is_never_unpickled(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    np.save(tmp_path / "poses_bounds.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match="damaged"):
        truth.read_truth(tmp_path, sorted((tmp_path / "photos").iterdir()))
