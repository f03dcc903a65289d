# SPDX-License-Identifier: GPL-3.0-or-later
"""`mvsam train run` and `card`: settings, stopping and going on, the log, and what is told."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from flat_scenes import CheapEncoder, flat_scene
from PIL import Image
from typer.testing import CliRunner

from mvsam_engine.cli import app
from mvsam_engine.commands.train import stoppable
from mvsam_engine.errors import Cancelled, TrainingError, UsageError, WeightsError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.network import Config
from mvsam_engine.segment.network_file import write_network
from mvsam_engine.segment.sam import load_sam
from mvsam_engine.train.balance import parse_shares, repetitions
from mvsam_engine.train.card import write_card
from mvsam_engine.train.loop import CHECKPOINT, LOG, TrainOptions
from mvsam_engine.train.noise import EXACT, NoiseOptions
from mvsam_engine.train.record import (
    Follower,
    Line,
    curve_writer,
    keep_settings,
    read_log,
    read_settings,
)
from mvsam_engine.train.running import RunOptions, choose_sides, train_run
from mvsam_engine.train.settings import first_network, parse_config, scaled_noise

FEW = TrainOptions(
    steps=3, episodes=1, rate=1e-3, warm=1, save_every=100, validate_every=3, examples=2
)

# --- settings ------------------------------------------------------------------------------------


def test_settings_of_the_network_as_written():
    found = parse_config("code=3d, views=full,presence=no,frequency_spread=1.5")
    assert (found.code, found.views, found.presence, found.frequency_spread) == (
        "3d", "full", False, 1.5,
    )  # fmt: skip
    assert parse_config("") == Config()
    assert parse_config("presence=yes", Config(code="2d", presence=False)) == Config(code="2d")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("colour=red", "no setting"),
        ("code", "no setting"),
        ("code=4d", "cannot be '4d'"),
        ("presence=perhaps", "yes or no"),
        ("frequencies=many", "whole number"),
        ("frequencies=100", "cannot be built"),
    ],
)
def test_settings_that_there_are_not(text, why):
    with pytest.raises(UsageError) as caught:
        parse_config(text)
    assert why in str(caught.value)


def test_noise_grows_with_its_scale():
    assert scaled_noise(1.0) == NoiseOptions()
    assert scaled_noise(0.0) == EXACT
    assert scaled_noise(4.0).grain == pytest.approx(4 * NoiseOptions().grain)
    assert scaled_noise(20.0).holes < 1.0
    with pytest.raises(UsageError):
        scaled_noise(-1.0)


@pytest.fixture(scope="module")
def sam():
    found = load_sam(device="cpu")
    found.encoder = CheapEncoder()
    return found


def test_a_network_can_start_from_another(sam, tmp_path):
    network = first_network(sam, "code=3d", None)
    with torch.no_grad():
        network.confidence.weight.fill_(0.25)
    write_network(network, tmp_path / "n.safetensors", "chance", {})
    again = first_network(sam, "presence=no", tmp_path / "n.safetensors")
    assert again.config == Config(code="3d", presence=False)
    assert (again.confidence.weight == 0.25).all()
    assert all(parameter.requires_grad for parameter in again.parameters())
    with pytest.raises(WeightsError, match="Leave out --config"):
        first_network(sam, "width=64,frequencies=32", tmp_path / "n.safetensors")
    (tmp_path / "n.safetensors").write_bytes(b"nothing")
    with pytest.raises(WeightsError):
        first_network(sam, "", tmp_path / "n.safetensors")


def test_a_small_folder_gets_its_share():
    counts = {"made": 600, "real": 2, "own": 30}
    assert repetitions(counts, {}) == {"made": 1, "real": 1, "own": 1}
    for shares in ({"real": 0.2}, {"real": 0.1, "own": 0.3}, {"own": 0.01}, {"made": 0.5}):
        times = repetitions(counts, shares)
        size = sum(times[name] * counts[name] for name in counts)
        for name, share in shares.items():
            assert times[name] * counts[name] / size == pytest.approx(share, rel=0.05)
        assert len({times[name] for name in counts if name not in shares}) <= 1


@pytest.mark.parametrize(
    "texts", [["real"], ["other=0.2"], ["real=2"], ["real=x"], ["real=0.6", "made=0.3"]]
)
def test_shares_that_cannot_be(texts):
    with pytest.raises(UsageError, match="share"):
        parse_shares(texts, [Path("x/made"), Path("real")])


# --- a run ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    for k in range(4):
        flat_scene(root / f"{k:02d}", k, done=f"seed {k}")
    (root / "03/capture/pointmaps/b.npy").write_bytes(b"broken")
    (root / "data.json").write_text(json.dumps({"kind": "walls", "views": 2}))
    return root


class Impatient(Progress):
    """Cancels after so many steps."""

    def __init__(self, steps):
        super().__init__()
        self._left = steps

    def on_change(self):
        if self.stage_name == "Training" and self.done >= self._left:
            self.cancel()


@pytest.fixture(scope="module")
def finished(sam, data, tmp_path_factory):
    """A run that was stopped after one step and gone on with; both outcomes and all lines."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "small"
    photos = tmp_path_factory.mktemp("photos")
    for k in range(2):
        Image.new("RGB", (96, 64), (200, 90 * k, 30)).save(photos / f"{k}.png")
    options = RunOptions((data,), (), folder, FEW, keep=(photos,))
    lines = []
    first = train_run(options, sam, Impatient(1), lines.append)
    before = (folder / "network.safetensors").read_bytes()
    second = train_run(options, sam, Progress(), lines.append)
    return folder, first, second, lines, before


def test_a_stopped_run_leaves_its_network_and_goes_on(finished):
    folder, first, second, lines, before = finished
    assert (first.step, first.finished) == (1, False)
    assert (second.step, second.finished) == (3, True)
    assert (folder / CHECKPOINT).is_file()
    assert before != second.network.read_bytes()
    kinds = [line.kind for line in lines]
    assert kinds == ["data", "data", "validation"]
    assert lines[0].values["training"] == 2
    assert lines[0].values["validation"] == 1
    assert lines[2].step == 3


def test_its_settings_are_kept_and_must_stay(finished, sam, data):
    folder = finished[0]
    settings = read_settings(folder)
    names = settings["data"][0]["scenes"] + settings["validation"][0]["scenes"]
    assert sorted(names) == ["00", "01", "02", "03"]
    assert settings["kept"] == 2
    assert settings["left_out"] == [f"{data.name}/03"]
    assert settings["data"][0]["description"]["kind"] == "walls"
    assert str(data) not in (folder / "run.json").read_text()
    for changed, why in (
        ({"noise": 2.0}, "noise"),
        ({"config": "code=3d"}, "network code 2d.3d, not 3d"),
        ({"train": TrainOptions(steps=3, episodes=2, rate=1e-3, warm=1, examples=2)}, "episodes"),
        ({"most": 1}, "other data"),
    ):
        with pytest.raises(TrainingError, match=why):
            options = {"train": FEW, "keep": (Path(settings["keep"][0]),), **changed}
            train_run(RunOptions((data,), (), folder, **options), sam, Progress(), lambda _: None)
    longer = {**settings, "steps": 10}
    keep_settings(folder, longer)  # more steps are no other run
    keep_settings(folder, settings)


def test_curves_for_tensorboard(finished):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs the extra 'train'"
    )
    events = accumulator.EventAccumulator(str(finished[0] / "tensorboard"))
    events.Reload()
    (point,) = events.Scalars("validation/presence")
    assert point.step == 3


def test_without_tensorboard_there_are_no_curves(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert curve_writer(tmp_path, 0) is None


def test_sides_as_given(data, tmp_path):
    other = flat_scene(tmp_path / "judge/x", 77)
    sides = choose_sides(RunOptions((data,), (tmp_path / "judge",), tmp_path, FEW, most=2))
    assert [p.name for p in sides.training] == ["00", "01"]
    assert sides.validation == (other,)
    with pytest.raises(TrainingError, match="shows the same"):
        choose_sides(RunOptions((data,), (data,), tmp_path, FEW))


# --- the log and the card ------------------------------------------------------------------------


def test_of_repeated_lines_the_last_one_counts(tmp_path):
    lines = [
        {"step": 20, "kind": "train", "total": 1.0},
        {"step": 40, "kind": "train", "total": 9.0},
        {"step": 40, "kind": "train", "total": 0.5},
        {"step": 40, "kind": "validation", "presence": 1.0},
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    (tmp_path / LOG).write_text(text + '\n[]\n{"step": 60, "kind": "tra')
    assert read_log(tmp_path) == [
        Line(20, "train", {"total": 1.0}),
        Line(40, "train", {"total": 0.5}),
        Line(40, "validation", {"presence": 1.0}),
    ]
    with pytest.raises(TrainingError, match="no log"):
        read_log(tmp_path / "nowhere")


def test_a_log_is_followed_line_by_line(tmp_path):
    heard = []
    (tmp_path / LOG).write_text('{"step": 1, "kind": "train", "total": 1}\n')
    follower = Follower(tmp_path, heard.append)
    follower.follow()
    assert heard == []  # it was there before
    with (tmp_path / LOG).open("a") as log:
        log.write('{"step": 2, "kind": "train", ')
        log.flush()
        follower.follow()
        assert heard == []
        log.write('"total": 2}\n')
    follower.follow()
    follower.follow()
    assert heard == [Line(2, "train", {"total": 2.0})]


def test_a_card_says_what_the_run_says(finished):
    folder = finished[0]
    path = write_card(folder, ["CC0 | mine", "of a friend"], Progress())
    text = path.read_text()
    assert "| walls | views 2 | 3 | CC0 \\| mine |" in text
    assert "1 could not be used" in text
    assert "clicks on 2 real photos" in text
    assert "(licence: of a friend)" in text
    assert "Judged by 1 of" in text
    presence = next(x for x in read_log(folder) if x.kind == "validation").values["presence"]
    assert f"| presence | {presence:.3f} |" in text
    assert "steps 3, episodes 1, rate 0.001" in text
    drawn = importlib.util.find_spec("matplotlib") is not None
    assert (folder / "curves.png").is_file() == ("](curves.png)" in text) == drawn
    with pytest.raises(UsageError, match="3 licences for 2"):
        write_card(folder, ["a", "b", "c"], Progress())


def test_a_card_of_nothing_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no training run"):
        write_card(tmp_path, [], Progress())
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / LOG).write_text("")
    with pytest.raises(TrainingError, match="Nothing was logged"):
        write_card(tmp_path, [], Progress())


# --- the commands --------------------------------------------------------------------------------


@pytest.fixture
def interruptible():
    """Ctrl-C as on a terminal: a program started in the background may ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
@pytest.mark.usefixtures("interruptible")
def test_the_first_interruption_waits_for_a_whole_step():
    progress, before = Progress(), signal.getsignal(signal.SIGINT)
    with pytest.raises(Cancelled), stoppable(progress):
        os.kill(os.getpid(), signal.SIGINT)
        done = np.arange(10).sum()  # the rest of a step
        progress.check()
    assert done == 45
    with pytest.raises(KeyboardInterrupt), stoppable(Progress()):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    assert signal.getsignal(signal.SIGINT) == before


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["run", "--into", "{tmp}/r"], 2, "nothing to train on"),
        (["run", "{tmp}/none", "--into", "{tmp}/r"], 1, "There is no folder"),
        (["run", "{tmp}", "--into", "{tmp}/r", "--config", "code=4d"], 1, "no training scene"),
        (["sa1b", "{tmp}", "{tmp}/o", "--geometry", "classical"], 2, "single ones"),
        (["card", "{tmp}"], 1, "no training run"),
        (["teacher", "{tmp}", "{tmp}/o"], 1, "is not a capture"),
        (["scenes", "{tmp}/o", "--first-seed", "0"], 2, "--count"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(tmp_path, arguments, code, why):
    filled = [a.replace("{tmp}", str(tmp_path)) for a in arguments]
    result = CliRunner().invoke(app, ["train", *filled])
    assert result.exit_code == code, result.output
    assert why in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_the_light_parts_stay_light():
    """`mvsam --help` must not wait for torch."""
    import subprocess

    code = (
        "import sys, mvsam_engine.cli; "
        "print(sorted({'torch', 'cv2', 'matplotlib', 'pycocotools'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
