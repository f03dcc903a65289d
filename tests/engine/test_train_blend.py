# SPDX-License-Identifier: GPL-3.0-or-later
"""Half way between SAM and a trained network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from mvsam_engine.cli import app
from mvsam_engine.segment.network import Config, MVSam
from mvsam_engine.segment.network_file import read_network, write_network
from mvsam_engine.segment.sam import Sam, load_sam
from mvsam_engine.train.blend import blend


@pytest.fixture(scope="module")
def sam() -> Sam:
    return load_sam(device="cpu")


def changed(sam: Sam) -> MVSam:
    """A network of which every weight is one more than SAM's."""
    network = MVSam.from_sam(sam)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    return network


def test_every_weight_goes_the_same_share_of_the_way(sam: Sam) -> None:
    start = MVSam.from_sam(sam)
    found = blend(changed(sam), start, 0.25)
    before = dict(start.named_parameters())
    for name, one in found.named_parameters():
        if not name.startswith("presence_head"):
            torch.testing.assert_close(one, before[name] + 0.25, msg=name)
    learnt = changed(sam).presence_head[2].bias
    torch.testing.assert_close(found.presence_head[2].bias, learnt)


def test_networks_that_differ_and_shares_beyond_are_refused(sam: Sam) -> None:
    with pytest.raises(ValueError, match="different settings"):
        blend(changed(sam), MVSam.from_sam(sam, Config(presence=False)), 0.5)
    with pytest.raises(ValueError, match=r"1\.5"):
        blend(changed(sam), MVSam.from_sam(sam), 1.5)


def test_the_command_writes_a_network(sam: Sam, tmp_path: Path) -> None:
    trained, out = tmp_path / "trained.safetensors", tmp_path / "half.safetensors"
    write_network(changed(sam), trained, sam.encoder.name, {})
    result = CliRunner().invoke(app, ["train", "blend", str(trained), "--out", str(out)])
    assert result.exit_code == 0, result.output
    half = read_network(out, sam)
    expected = MVSam.from_sam(sam).space_mix.weight + 0.5
    torch.testing.assert_close(half.space_mix.weight, expected, atol=1e-3, rtol=1e-3)
