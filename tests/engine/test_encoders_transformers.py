# SPDX-License-Identifier: GPL-3.0-or-later
"""SAM's ViT and SAM 2.1's Hiera against the transformers library, where it is installed.

transformers is no part of MV-SAM; its classes are proven on the published weights, so a network of
chance that gives the same through both is the published network. It is not installed by default:
`pip install transformers torch==2.13.0` in an environment of its own.
"""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from mvsam_engine.segment.encoders.hiera import HieraConfig, HieraEncoder
from mvsam_engine.segment.encoders.vit import SamVit

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

SIDE = 256
HIERAS = {
    "tiny": HieraConfig(16, 1, (1, 2, 7, 2), (5, 7, 9), embedding=64),
    "base": HieraConfig(16, 2, (2, 3, 4, 3), (6, 7), background=14, embedding=64),
    "large": HieraConfig(16, 2, (2, 2, 4, 1), (5, 7), windows=(8, 4, 16, 8), embedding=64),
}


def shaken(module: nn.Module) -> nn.Module:
    """The module with all parameters drawn anew: nothing is 0 or 1 by default."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, 0, 0.2)
    return module.eval()


def renamed(state: dict[str, Tensor], rules: list[tuple[str, str]]) -> dict[str, Tensor]:
    result = {}
    for name, value in state.items():
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)  # noqa: PLW2901
        result[name] = value
    return result


@pytest.mark.parametrize("config", HIERAS.values(), ids=HIERAS)
def test_hiera_equals_transformers(config: HieraConfig) -> None:
    from transformers.models.sam2.modeling_sam2 import Sam2VisionModel

    widths = [config.width * 2**stage for stage in range(4)]
    trunk = transformers.Sam2HieraDetConfig(
        hidden_size=config.width,
        num_attention_heads=config.heads,
        image_size=[SIDE, SIDE],
        blocks_per_stage=list(config.blocks),
        embed_dim_per_stage=widths,
        num_attention_heads_per_stage=[config.heads * 2**stage for stage in range(4)],
        window_size_per_stage=list(config.windows),
        global_attention_blocks=list(config.global_blocks),
        window_positional_embedding_background_size=[config.background] * 2,
    )
    theirs = shaken(
        Sam2VisionModel(
            transformers.Sam2VisionConfig(
                backbone_config=trunk,
                backbone_channel_list=widths[::-1],
                fpn_hidden_size=config.embedding,
                backbone_feature_sizes=[[SIDE // stride] * 2 for stride in (4, 8, 16)],
            )
        )
    )
    ours = HieraEncoder(config).eval()
    state = renamed(
        theirs.state_dict(),
        [
            ("^backbone", "trunk"),
            ("patch_embed.projection", "patch_embed.proj"),
            ("layer_norm", "norm"),
            ("mlp.proj_in", "mlp.layers.0"),
            ("mlp.proj_out", "mlp.layers.1"),
            (r"(neck\.convs\.\d)", r"\1.conv"),
        ],
    )
    rest = {k: v for k, v in ours.state_dict().items() if not k.startswith(("trunk", "neck"))}
    ours.load_state_dict(state | rest)
    image = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        expected = theirs(image).fpn_hidden_states
        found = ours.neck(ours.trunk(image))
    for one, other in zip(found, expected, strict=True):
        assert other.std() > 0.1
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_vit_equals_transformers() -> None:
    from kornia.models.sam import Sam, SamConfig
    from transformers.models.sam.modeling_sam import SamVisionModel

    sizes = transformers.SamVisionConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, mlp_dim=128,
        global_attn_indexes=[1], image_size=1024,
    )  # fmt: skip
    theirs = shaken(SamVisionModel(sizes))
    ours = Sam.from_config(
        SamConfig(
            encoder_embed_dim=32,
            encoder_depth=3,
            encoder_num_heads=4,
            encoder_global_attn_indexes=(1,),
        )
    ).image_encoder.eval()
    rules = [
        (r"^vision_encoder\.", ""),
        ("patch_embed.projection", "patch_embed.proj"),
        (r"^layers", "blocks"),
        ("layer_norm", "norm"),
        *((f"neck.{theirs_}", f"neck.{i}")
          for i, theirs_ in enumerate(("conv1", "norm1", "conv2", "norm2"))),
    ]  # fmt: skip
    ours.load_state_dict(renamed(theirs.state_dict(), rules))
    image = torch.randn(1, 3, 1024, 1024)
    with torch.no_grad():
        expected, found = theirs(image)[0], SamVit(ours)(image)
    assert expected.std() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
