# SPDX-License-Identifier: GPL-3.0-or-later
"""The MV-SAM network before any training, and what must hold whatever its weights are."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from mvsam_engine.segment import network
from mvsam_engine.segment.network import Config, MVSam, Prompts, SpaceCode, Views, standardise
from mvsam_engine.segment.sam import SamPrompts, load_sam

GRID = 64


@pytest.fixture(scope="module")
def sam():
    return load_sam(device="cpu")


def make(sam, **changes):
    torch.manual_seed(0)
    return MVSam.from_sam(sam, Config(**changes)).eval()


def make_views(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return Views(
        features=torch.randn(count, 256, GRID, GRID, generator=generator) * 0.1,
        code=torch.randn(count, GRID, GRID, 256, generator=generator),
        known=torch.ones(count, GRID, GRID),
        low=torch.rand(count, GRID, GRID, generator=generator).round(),
    )


def make_prompts(count, number=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    kind = torch.ones(count, number + 1, dtype=torch.long)
    kind[:, 1] = network.EXCLUDE
    kind[:, -1] = network.NOT_A_POINT
    return Prompts(
        kind=kind,
        valid=torch.ones(count, number + 1, dtype=torch.bool),
        pixels=torch.rand(count, number + 1, 2, generator=generator) * 1024,
        seen=torch.ones(count, number + 1, dtype=torch.bool),
        points=torch.randn(count, number + 1, 3, generator=generator),
        located=torch.ones(count, number + 1, dtype=torch.bool),
        low=torch.zeros(count, number + 1, dtype=torch.bool),
        masks=torch.zeros(count, 256, 256),
        masked=torch.zeros(count, dtype=torch.bool),
    )


def take(values, rows):
    """Some rows of Views or Prompts."""
    return replace(values, **{k: getattr(values, k)[rows] for k in values.__slots__})


def test_before_training_it_is_sam(sam):
    net, views, prompts = make(sam), make_views(2), make_prompts(2)
    with torch.inference_mode():
        answers = net(views, prompts)
    for i in range(2):
        asked = SamPrompts(
            points=prompts.pixels[i, :3].numpy(), labels=prompts.kind[i, :3].numpy() == 1
        )
        (expected,) = sam.predict([views.features[i].numpy()], [asked])
        np.testing.assert_allclose(answers.logits[i].numpy(), expected.logits, atol=2e-3)
        np.testing.assert_allclose(answers.ious[i].numpy(), expected.scores, atol=2e-4)
    assert (answers.presence > 0).all()


def test_a_mask_prompt_is_sams_too(sam):
    net, views, prompts = make(sam), make_views(1), make_prompts(1)
    mask = torch.zeros(1, 256, 256)
    mask[:, 64:128, 64:160] = 8.0
    prompts = replace(prompts, masks=mask, masked=torch.ones(1, dtype=torch.bool))
    with torch.inference_mode():
        answers = net(views, prompts)
    asked = SamPrompts(
        prompts.pixels[0, :3].numpy(), prompts.kind[0, :3].numpy() == 1, mask=mask[0].numpy()
    )
    (expected,) = sam.predict([views.features[0].numpy()], [asked])
    np.testing.assert_allclose(answers.logits[0].numpy(), expected.logits, atol=2e-3)


def shake(net):
    """Give every weight that starts at zero something to say."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in (net.space_mix.weight, net.confidence.weight, net.elsewhere.weight):
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net


def test_views_do_not_see_one_another(sam):
    net, views, prompts = shake(make(sam)), make_views(3), make_prompts(3)
    with torch.inference_mode():
        together = net(views, prompts)
        alone = net(take(views, [1]), take(prompts, [1]))
        reversed_ = net(take(views, [2, 1, 0]), take(prompts, [2, 1, 0]))
    torch.testing.assert_close(together.logits[1:2], alone.logits, atol=2e-3, rtol=1e-3)
    torch.testing.assert_close(together.logits, reversed_.logits.flip(0), atol=2e-3, rtol=1e-3)


def test_full_view_attention_lets_them(sam):
    net, views, prompts = make(sam, views="full"), make_views(2), make_prompts(2)
    prompts = take(prompts, [0, 0])
    with torch.inference_mode():
        together = net(views, prompts)
        alone = net(take(views, [0]), take(prompts, [0]))
    assert together.logits.shape == (2, 4, 256, 256)
    assert (together.logits[0] - alone.logits[0]).abs().max() > 0.1


def test_padding_changes_nothing(sam):
    net, views, prompts = shake(make(sam)), make_views(1), make_prompts(1)
    longer = make_prompts(1, number=5, seed=9)
    padded = replace(
        longer,
        **{
            name: torch.cat([getattr(prompts, name), getattr(longer, name)[:, 4:]], dim=1)
            for name in ("kind", "pixels", "seen", "points", "located", "low")
        },
        valid=torch.tensor([[True] * 4 + [False] * 2]),
    )
    with torch.inference_mode():
        expected, found = net(views, prompts), net(views, padded)
    torch.testing.assert_close(found.logits, expected.logits, atol=2e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("code", "moves_2d", "moves_3d"),
    [("2d+3d", True, True), ("3d", False, True), ("2d", True, False), ("none", False, False)],
)
def test_each_code_reads_the_positions_it_should(sam, code, moves_2d, moves_3d):
    net, views, prompts = shake(make(sam, code=code)), make_views(1), make_prompts(1)
    with torch.inference_mode():
        before = net(views, prompts).logits
        flat = net(views, replace(prompts, pixels=prompts.pixels.flip(1))).logits
        deep = net(views, replace(prompts, points=prompts.points + 0.4)).logits
    assert bool((before - flat).abs().max() > 1e-3) == moves_2d
    assert bool((before - deep).abs().max() > 1e-3) == moves_3d


def test_prompts_without_a_place_do_not_use_it(sam):
    net, views, prompts = shake(make(sam)), make_views(1), make_prompts(1)
    lost = replace(prompts, located=torch.zeros_like(prompts.located))
    hidden = replace(prompts, seen=torch.zeros_like(prompts.seen))
    nan = replace(lost, points=torch.full_like(lost.points, torch.nan))
    with torch.inference_mode():
        torch.testing.assert_close(net(views, lost).logits, net(views, nan).logits)
        moved = replace(hidden, pixels=hidden.pixels + 200)
        torch.testing.assert_close(net(views, hidden).logits, net(views, moved).logits)


def test_every_trained_weight_learns(sam):
    net, views, prompts = make(sam).train(), make_views(2), make_prompts(2)
    prompts = replace(
        prompts,
        masks=torch.randn(2, 256, 256),
        masked=torch.tensor([True, False]),
        seen=torch.tensor([[True] * 4, [False, True, True, True]]),
    )
    shake(net)
    answers = net(views, prompts)
    (answers.logits.square().mean() + answers.ious.sum() + answers.presence.sum()).backward()
    # Boxes were not asked about.
    silent = {
        "prompt_encoder.point_embeddings.2.weight",
        "prompt_encoder.point_embeddings.3.weight",
    }
    without = {
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().any()
    }
    assert without <= silent | {"presence_head.0.weight", "presence_head.0.bias"}


def test_standardise_follows_the_world():
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(4000, 3, generator=generator, dtype=torch.float64)
    points[:400] *= 1000.0  # a sky that was measured somewhere
    confident = torch.ones(4000, dtype=torch.bool)
    confident[:400] = False
    middle, scale = standardise(points, confident)
    assert abs(float(scale) - 1.0) < 0.05
    assert float(middle.abs().max()) < 0.1
    moved_middle, moved_scale = standardise(points * 7.0 + 3.0, confident)
    torch.testing.assert_close(moved_middle, middle * 7.0 + 3.0)
    torch.testing.assert_close(moved_scale, scale * 7.0)


def test_space_code_tells_distance_not_direction():
    code = SpaceCode(128, 0.6, 4.0)
    generator = torch.Generator().manual_seed(4)
    directions = torch.nn.functional.normalize(torch.randn(200, 3, generator=generator), dim=-1)

    def likeness(distance):
        return (code(directions * distance) @ code(torch.zeros(3))) / 128

    near, far = likeness(0.1), likeness(0.6)
    assert (near > far + 0.3).all()
    assert float(near.std()) < 0.05
    torch.testing.assert_close(likeness(0.0), torch.ones(200), atol=1e-5, rtol=0)


def test_grid_code_is_the_mean_over_known_points():
    code = SpaceCode(128, 0.6, 4.0)
    generator = torch.Generator().manual_seed(5)
    points = torch.randn(8, 8, 3, generator=generator)
    known = torch.rand(8, 8, generator=generator) > 0.4
    known[:4, :4] = False
    points[~known] = torch.nan
    grid, share = code.of_grid(points, known, 4)
    assert grid.shape == (2, 2, 256)
    for i in range(2):
        for j in range(2):
            block = (slice(4 * i, 4 * i + 4), slice(4 * j, 4 * j + 4))
            chosen = points[block][known[block]]
            expected = code(chosen).mean(dim=0) if len(chosen) else torch.zeros(256)
            torch.testing.assert_close(grid[i, j], expected, atol=1e-5, rtol=1e-5)
            assert float(share[i, j]) == pytest.approx(float(known[block].float().mean()))


def test_config_travels_and_refuses_the_unknown():
    config = Config(code="3d", presence=False)
    assert Config.from_dict(asdict(config)) == config
    with pytest.raises(ValueError, match="colour"):
        Config.from_dict({"colour": 1})
    with pytest.raises(ValueError, match="channels"):
        Config(frequencies=64)


def test_networks_start_alike_whatever_was_drawn_before(sam):
    torch.manual_seed(1)
    first = MVSam.from_sam(sam)
    torch.manual_seed(2)
    second = MVSam.from_sam(sam)
    for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other), name
