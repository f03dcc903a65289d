# SPDX-License-Identifier: GPL-3.0-or-later
"""DUSt3R and MASt3R through the person's own copy of their code, which is non-commercial.

Their networks see two photos at a time; bringing the pairs into one world is ours (`pairs`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mvsam_engine.reconstruct.neural.answer import Answer, MemoryNeeds
from mvsam_engine.reconstruct.neural.backends.checkout import load_module, quiet
from mvsam_engine.reconstruct.neural.backends.torch_model import PRECISIONS, laplace_prior
from mvsam_engine.reconstruct.neural.framing import InputNeeds
from mvsam_engine.reconstruct.neural.pairs import PairAnswer, choose_pairs, into_one_world
from mvsam_engine.weights.checkpoint import fill, read_official
from mvsam_engine.weights.official import find_checkpoint

_INFINITY = float("inf")
# The published networks' arguments, as their authors' demo prints them.
_LARGE: Mapping[str, Any] = MappingProxyType(
    {
        "pos_embed": "RoPE100",
        "img_size": (512, 512),
        "depth_mode": ("exp", -_INFINITY, _INFINITY),
        "conf_mode": ("exp", 1, _INFINITY),
        "enc_embed_dim": 1024,
        "enc_depth": 24,
        "enc_num_heads": 16,
        "dec_embed_dim": 768,
        "dec_depth": 12,
        "dec_num_heads": 12,
        "patch_embed_cls": "PatchEmbedDust3R",
        "landscape_only": False,
    }
)
NEEDS = InputNeeds(long_side=512, multiple=16, unequal="crop")
ALPHA = 0.2


@dataclass(frozen=True, slots=True)
class PairModel:
    """One of the two.

    Attributes:
        package: name of its code, and of its checkpoint.
        site: where its authors publish the code.
        module: that holds the class.
        network: name of the class.
        arguments: of the published network.
        memory: what a run takes; the photos' points wait in memory, the network sees two.
        metric: whether its unit is a metre.
    """

    package: str
    site: str
    module: str
    network: str
    arguments: Mapping[str, Any]
    memory: MemoryNeeds
    metric: bool = False


MODELS: Mapping[str, PairModel] = MappingProxyType(
    {
        "dust3r": PairModel(
            "dust3r",
            "https://github.com/naver/dust3r",
            "dust3r.model",
            "AsymmetricCroCo3DStereo",
            {**_LARGE, "head_type": "dpt", "output_mode": "pts3d"},
            MemoryNeeds(2285, 1500, 60, 512 * 384),
        ),
        "mast3r": PairModel(
            "mast3r",
            "https://github.com/naver/mast3r",
            "mast3r.model",
            "AsymmetricMASt3R",
            {
                **_LARGE,
                "head_type": "catmlp+dpt",
                "output_mode": "pts3d+desc24",
                "two_confs": True,
                "desc_conf_mode": ("exp", 0, _INFINITY),
            },
            MemoryNeeds(2755, 1700, 60, 512 * 384),
            metric=True,
        ),
    }
)


class PairGeometry:
    """A network for two photos, for any number of them; see `GeometryModel`.

    Args:
        model: which.
        network: with its weights; called with two views as its authors do.
    """

    def __init__(self, model: PairModel, network: nn.Module) -> None:
        self.name, self.needs, self.memory = model.package, NEEDS, model.memory
        self.prior = laplace_prior(ALPHA)
        self._metric = model.metric
        self._network = network.eval()
        self._device, self._precision = "cpu", torch.float32

    def to(self, device: str, precision: str) -> None:
        """See `GeometryModel`."""
        self._device, self._precision = device, PRECISIONS[precision]
        self._network.to(device)

    def answer(self, images: NDArray[np.uint8]) -> Answer:
        """See `GeometryModel`: every pair both ways, then one world."""
        with torch.inference_mode(), quiet():
            pairs = [self._pair(images, a, b) for a, b in choose_pairs(len(images))]
        points, confidence = into_one_world(pairs, len(images))
        return Answer(points, "world", confidence, metric=self._metric)

    def _pair(self, images: NDArray[np.uint8], first: int, second: int) -> PairAnswer:
        half = self._precision != torch.float32
        with torch.autocast(self._device, self._precision, enabled=half):
            one, two = self._network(self._view(images, first, 0), self._view(images, second, 1))
        points = (one["pts3d"], two["pts3d_in_other_view"])
        sure = (one["conf"], two["conf"])
        return PairAnswer(
            (first, second),
            (points[0][0].float().cpu().numpy(), points[1][0].float().cpu().numpy()),
            (sure[0][0].float().cpu().numpy(), sure[1][0].float().cpu().numpy()),
        )

    def _view(self, images: NDArray[np.uint8], index: int, side: int) -> dict[str, Any]:
        """A photo as the network takes it."""
        image = torch.from_numpy(images[index]).permute(2, 0, 1)[None].float() / 127.5 - 1
        return {
            "img": image.to(self._device),
            "true_shape": torch.tensor([images.shape[1:3]]),
            "idx": side,
            "instance": str(side),
        }


def load(name: str) -> PairGeometry:
    """With its published weights and the person's copy of its code.

    Args:
        name: dust3r or mast3r.

    Raises:
        WeightsError: the code or the weights are not here, or the weights are damaged.
    """
    model = MODELS[name]
    module = load_module(model.package, model.module, model.site)
    entry = find_checkpoint(name)
    state = read_official(entry)
    with torch.device("meta"), quiet():
        network = getattr(module, model.network)(**model.arguments)
    needed = network.state_dict()
    if not any(key.startswith("dec_blocks2") for key in state):
        # The second decoder may start as a copy of the first.
        copies = {k.replace("dec_blocks", "dec_blocks2"): v for k, v in state.items()}
        state = {**state, **{k: v for k, v in copies.items() if k.startswith("dec_blocks2")}}
    state = with_twins({k: v for k, v in state.items() if k in needed}, network)
    fill(network, state, entry.path.name)
    return PairGeometry(model, network)


def with_twins(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """`state` with every name of each tensor: safetensors keeps one where several share it."""
    names: dict[int, list[str]] = {}
    for name, value in network.named_parameters(remove_duplicate=False):
        names.setdefault(id(value), []).append(name)
    out = dict(state)
    for twins in names.values():
        there = next((name for name in twins if name in state), None)
        if there is not None:
            out.update(dict.fromkeys(twins, state[there]))
    return out
