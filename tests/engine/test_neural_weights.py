# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights of geometry models: known by their tensors, asked for, offline, removed, and loaded."""

from __future__ import annotations

import argparse
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_tables import HIERA_SIZES, SAM_SIZES, sam2_table, sam_table
from neural_tensors import TINY_DA3, fill_by_name
from perfect_model import code_capture, room_ring
from safetensors.torch import save_file
from test_neural_adapter import Told
from typer.testing import CliRunner

from mvsam_engine.cli import _GEOMETRIES, app
from mvsam_engine.errors import WeightsError
from mvsam_engine.progress import Progress
from mvsam_engine.reconstruct import (
    RECONSTRUCTORS,
    ReconstructOptions,
    method_for,
    reconstruct,
)
from mvsam_engine.reconstruct.neural import backends
from mvsam_engine.reconstruct.neural.backends import da3 as da3_backend
from mvsam_engine.reconstruct.neural.choose import choose, installed
from mvsam_engine.reconstruct.neural.nets import da3, pi3, vggt
from mvsam_engine.weights import CHECKPOINTS, find_checkpoint
from mvsam_engine.weights import official as official_module
from mvsam_engine.weights.checkpoint import read_checkpoint
from mvsam_engine.weights.download import download
from mvsam_engine.weights.official import GEOMETRY_CHECKPOINTS
from mvsam_engine.weights.recognise import SIGNATURES, fitting_names, recognise
from mvsam_engine.weights.store import add_file, remove

# Of the authors' networks, which cannot be made without their code: names and shapes from there.
_SHARED = {
    "enc_blocks.23.attn.qkv.weight": (3072, 1024),
    "dec_blocks.11.attn.qkv.weight": (2304, 768),
    "dec_blocks2.11.attn.qkv.weight": (2304, 768),
    "downstream_head1.dpt.head.4.weight": (4, 128, 1, 1),
}
CROCO = {
    "dust3r": _SHARED,
    "mast3r": _SHARED | {"downstream_head1.head_local_features.fc2.weight": (6400, 7168)},
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MVSAM_WEIGHTS", str(tmp_path / "weights"))
    for name in ("MVSAM_OFFLINE", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "weights"


def published_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a published checkpoint's tensors, as far as its network needs them."""
    if name in SAM_SIZES:
        return sam_table(name)
    if name in HIERA_SIZES:
        return sam2_table(name)
    if name in CROCO:
        return CROCO[name]
    with torch.device("meta"):
        if name.startswith("da3"):
            network = da3.DepthAnything3(da3.SHAPES[name.removeprefix("da3-")])
        else:
            network = pi3.Pi3(pi3.PUBLISHED) if name == "pi3" else vggt.Vggt(vggt.PUBLISHED)
    prefix = "model." if name.startswith("da3") else ""
    return {prefix + k: tuple(v.shape) for k, v in network.state_dict().items()}


def test_entries_tell_the_truth():
    for entry in GEOMETRY_CHECKPOINTS:
        assert entry.url.startswith("https://huggingface.co/") and entry.url.endswith(
            ".safetensors"
        )
        assert entry.path.name == f"{entry.name}.safetensors"  # not all "model.safetensors"
        assert re.fullmatch("|[0-9a-f]{64}", entry.sha256) and entry.needs
        assert ("NC" in entry.license) == (not entry.commercial)
        assert ("not for commercial use" in entry.terms) == (not entry.commercial)
    # The size of a file is known from its network: four bytes a number, and a header.
    for name, numbers in (("da3-small", 34_299_655), ("da3-base", 135_366_791)):
        assert 0 < find_checkpoint(name).size - 4 * numbers < 100_000
    assert {b.weights for b in backends.BACKENDS.values()} <= {e.name for e in CHECKPOINTS}
    assert set(SIGNATURES) == {e.name for e in CHECKPOINTS}


@pytest.mark.parametrize("name", SIGNATURES)
def test_each_checkpoint_is_known_by_its_tensors_alone(name):
    found = fitting_names(published_shapes(name))
    assert found == (["vggt", "vggt-commercial"] if name.startswith("vggt") else [name])


def tiny_da3(path: Path) -> Path:
    """A file with the tensors that tell DA3-Small from all others, and nothing else."""
    shapes = SIGNATURES["da3-small"].has
    save_file({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
    return path


def test_a_renamed_file_is_recognised_and_one_that_is_none_is_a_sentence(tmp_path):
    assert recognise(tiny_da3(tmp_path / "holiday.jpg")).name == "da3-small"
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="no network that MV-SAM knows"):
        recognise(tmp_path / "other.safetensors")
    # Published size and hash are known: the tensors alone do not make it the published file.
    with pytest.raises(WeightsError, match=r"bytes instead of 137,248,940"):
        add_file(find_checkpoint("da3-small"), tmp_path / "holiday.jpg", Progress())


def test_without_a_known_hash_the_tensors_decide(tmp_path, folder):
    entry = find_checkpoint("pi3")
    assert not entry.sha256
    shapes = SIGNATURES["pi3"].has
    save_file({n: torch.zeros(s) for n, s in shapes.items()}, tmp_path / "x.bin")
    assert add_file(entry, tmp_path / "x.bin", Progress()) == folder / "pi3.safetensors"
    assert entry.is_here() and remove(entry) and not entry.is_here() and not remove(entry)
    with pytest.raises(WeightsError, match="It is 'da3-small': add it under that name"):
        add_file(entry, tiny_da3(tmp_path / "y.bin"), Progress())
    assert list(folder.iterdir()) == []


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_hostile_truncated_and_foreign_files_are_sentences(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Bomb()}, tmp_path / "bomb.pt")
    whole = tiny_da3(tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "header.safetensors").write_bytes(whole[:60])
    (tmp_path / "text.pt").write_bytes(b"<html>not found</html>")
    (tmp_path / "nothing.pt").write_bytes(b"")
    for name in ("bomb.pt", "half.safetensors", "header.safetensors", "text.pt", "nothing.pt"):
        with pytest.raises(WeightsError, match="can be read safely"):
            recognise(tmp_path / name)
        result = CliRunner().invoke(app, ["weights", "add", str(tmp_path / name)])
        assert result.exit_code == 1 and "can be read safely" in result.stderr
    assert not (tmp_path / "exploded").exists() and not folder.exists()


def test_settings_beside_the_tensors_do_no_harm(tmp_path):
    """DUSt3R's and MASt3R's files hold an argparse Namespace."""
    settings = argparse.Namespace(model="AsymmetricCroCo3DStereo(...)")
    torch.save({"args": settings, "model": {"a": torch.ones(2)}}, tmp_path / "d.pth")
    state, _ = read_checkpoint(tmp_path / "d.pth")
    assert list(state) == ["a"]


def test_offline_and_gated_weights_say_how_else(monkeypatch, folder):
    with pytest.raises(WeightsError, match="fill in a form") as refused:
        download(find_checkpoint("vggt-commercial"), Progress())
    assert "mvsam weights add FILE" in refused.value.remedy
    monkeypatch.setenv("MVSAM_OFFLINE", "1")
    with pytest.raises(WeightsError, match="MVSAM_OFFLINE") as refused:
        download(find_checkpoint("da3-base"), Progress())
    assert "huggingface.co/depth-anything/DA3-BASE in a browser" in refused.value.remedy
    assert not folder.exists()


def test_nothing_is_fetched_before_the_licence_is_accepted(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "mvsam_engine.weights.download.download", lambda e, p: asked.append(e) or e.path
    )
    runner = CliRunner()
    result = runner.invoke(app, ["weights", "get", "vggt"])
    assert result.exit_code == 2 and not asked
    assert "not for commercial use" in result.stderr and "--accept-licence" in result.stderr
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    result = runner.invoke(app, ["weights", "get", "vggt", "--accept-licence"])
    assert result.exit_code == 0 and [e.name for e in asked] == ["vggt"]
    assert "CC BY-NC 4.0: not for commercial use" in result.stdout


def test_added_weights_make_a_method_that_runs(tmp_path, monkeypatch, folder):
    """From a file of the person's to a network that answers; only the sizes are tiny."""
    network = fill_by_name(da3.DepthAnything3(TINY_DA3))
    state = {f"model.{k}": v for k, v in network.state_dict().items()}
    state["model.cam_enc.token_norm.weight"] = torch.ones(3)  # published, not needed
    file = tmp_path / "tiny.safetensors"
    save_file(state, file)
    data = file.read_bytes()
    tiny = replace(
        find_checkpoint("da3-base"), size=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    others = tuple(e for e in CHECKPOINTS if e.name != "da3-base")
    monkeypatch.setattr(official_module, "CHECKPOINTS", (*others, tiny))
    monkeypatch.setitem(da3.SHAPES, "base", TINY_DA3)
    assert installed() == () and method_for("", ReconstructOptions()) == "classical"
    with pytest.raises(WeightsError, match="mvsam weights get da3-base"):
        da3_backend.load("base")
    add_file(tiny, file, Progress())
    assert installed() == ("da3",) and method_for("", ReconstructOptions()) == "auto"
    model = da3_backend.load("base")
    answer = model.answer(np.zeros((2, 28, 42, 3), np.uint8))
    assert np.isfinite(answer.points).all() and model.name == "da3"
    # What a network makes that was never trained contradicts itself, and that is said.
    capture = code_capture(tmp_path, room_ring(4))
    monkeypatch.setattr(da3_backend, "NEEDS", replace(da3_backend.NEEDS, long_side=112))
    told = Told()
    with capture.writing():
        result = reconstruct(capture, "da3", ReconstructOptions(device="cpu"), told)
    assert result.method == "da3" and len(result.cameras) == 4
    assert "of the points that another photo should show" in told.codes["reconstruct.doubtful"]
    with capture.writing():
        chosen = reconstruct(capture, "auto", ReconstructOptions(device="cpu"), told)
    assert chosen.method == "da3" and "too far apart" in told.codes["geometry.chosen"]


def test_the_chooser_says_why():
    nothing = choose(20, "cpu", ())
    assert (nothing.first, nothing.second) == ("classical", "")
    assert "mvsam weights get da3-base" in nothing.why
    assert choose(1, "cpu", ("da3",)).first == "da3"
    assert choose(4, "cpu", ("da3-small", "vggt", "da3")).first == "da3"
    assert choose(4, "cuda", ("da3", "vggt")).first == "vggt"
    many = choose(30, "cuda", ("da3", "vggt"))
    assert (many.first, many.second) == ("classical", "vggt") and "else vggt" in many.why
    for name in ("first", "second"):
        assert getattr(many, name) in RECONSTRUCTORS


def test_help_names_every_method():
    assert _GEOMETRIES.split(", ") == list(RECONSTRUCTORS)
