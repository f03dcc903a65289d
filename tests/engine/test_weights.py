# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped weights are what the catalogue says, and nothing else is accepted."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

import mvsam_engine.weights as weights_package
from mvsam_engine.errors import WeightsError
from mvsam_engine.weights import CATALOGUE, find_weights, load_state


def test_every_shipped_file_is_the_one_described() -> None:
    notice = (Path(weights_package.__file__).parent / "NOTICE.md").read_text(encoding="utf-8")
    for entry in CATALOGUE:
        data = entry.path.read_bytes()
        assert len(data) == entry.size
        assert hashlib.sha256(data).hexdigest() == entry.sha256
        assert entry.path.name in notice
        with safe_open(entry.path, "pt") as file:
            header = file.metadata()
        if "encoder" in header:  # a network that was trained on the features of another entry
            assert header["encoder"] == find_weights("mobile_sam").key
            continue
        about = json.loads(header["mvsam"])
        for source in (about["source_encoder"], about["source_decoder"]):
            assert source.split()[-1] in notice  # its SHA-256


def test_state_is_complete_and_float32() -> None:
    state = load_state(find_weights("mobile_sam"))
    assert {k.split(".")[0] for k in state} == {"image_encoder", "prompt_encoder", "mask_decoder"}
    assert all(t.dtype == torch.float32 for t in state.values() if t.is_floating_point())
    # The positional frequencies would lose too much in float16, so they are stored in float32.
    frequencies = state["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"]
    assert not torch.equal(frequencies, frequencies.half().float())


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="mobile_sam"):
        find_weights("sam_from_mars")


def test_missing_file_is_named(tmp_path: Path) -> None:
    entry = replace(find_weights("mobile_sam"), path=tmp_path / "gone.safetensors")
    with pytest.raises(WeightsError, match=r"missing.*gone\.safetensors") as caught:
        load_state(entry)
    assert caught.value.code == "weights.missing"
    assert caught.value.remedy


def test_one_changed_byte_is_refused(tmp_path: Path) -> None:
    entry = find_weights("mobile_sam")
    data = bytearray(entry.path.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / entry.path.name
    damaged.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged or not the ones expected") as caught:
        load_state(replace(entry, path=damaged))
    assert caught.value.code == "weights.changed"


def test_other_formats_are_refused_even_with_the_right_hash(tmp_path: Path) -> None:
    path = tmp_path / "pickled.safetensors"
    torch.save({"a": torch.zeros(2)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(WeightsError, match="not a safetensors file"):
        load_state(replace(find_weights("mobile_sam"), path=path, sha256=digest))


def test_key_changes_with_the_weights(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(save({"a": torch.ones(2)}))
    entry = find_weights("mobile_sam")
    other = replace(entry, path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert load_state(other)["a"].tolist() == [1.0, 1.0]
    assert other.key != entry.key
