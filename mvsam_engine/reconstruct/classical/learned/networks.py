# SPDX-License-Identifier: GPL-3.0-or-later
"""Learned features and matchers: kornia's networks with trained weights of installed packages.

Convention: keypoints are (x, y) in pixels of the image that was given, corner origin (the centre
of the first pixel is (0.5, 0.5)); kornia's detectors put that centre at (0, 0).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from kornia.feature import ALIKED, DISK, LightGlue, XFeat
from numpy.typing import NDArray
from torch import Tensor

from mvsam_engine.weights import find_packaged, load_packaged

# Keypoints of a photo at most: the time of a pair grows with their square.
MOST_KEYPOINTS = 2048


@dataclass(frozen=True, slots=True, eq=False)
class LearnedFeatures:
    """Features of one image.

    Attributes:
        keypoints: [n, 2] float32, pixels of the image, corner origin.
        descriptors: [n, d] float32 unit vectors.
        size: width and height of the image.
    """

    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32]
    size: tuple[float, float]

    def keep(self, chosen: NDArray[np.bool_]) -> LearnedFeatures:
        """Only the features `chosen` [n]."""
        return LearnedFeatures(self.keypoints[chosen], self.descriptors[chosen], self.size)


class LearnedMatcher(ABC):
    """A detector and the matcher that was trained for it."""

    name: str
    weights: tuple[str, ...]
    _matcher: LightGlue

    @abstractmethod
    def detect(self, image: NDArray[np.uint8]) -> LearnedFeatures:
        """Features of an image [H, W, 3] uint8 RGB."""

    @torch.inference_mode()
    def match(self, first: LearnedFeatures, second: LearnedFeatures) -> NDArray[np.int64]:
        """Pairs [m, 2] of indices of features that show the same point."""
        if not len(first.keypoints) or not len(second.keypoints):
            return np.zeros((0, 2), np.int64)
        data = {"image0": _batch(first), "image1": _batch(second)}
        return self._matcher(data)["matches"][0].numpy().astype(np.int64).reshape(-1, 2)


class XFeatMatcher(LearnedMatcher):
    """XFeat with LighterGlue (Potje et al. 2024)."""

    name = "xfeat"
    weights = ("xfeat", "xfeat-lighterglue")

    def __init__(self) -> None:
        self._detector = XFeat(top_k=MOST_KEYPOINTS).eval()
        self._detector.net.load_state_dict(_state("xfeat"))
        self._matcher = _lightglue(
            _state("xfeat-lighterglue"),
            input_dim=64,
            descriptor_dim=96,
            n_layers=6,
            num_heads=1,
            depth_confidence=-1,
            width_confidence=0.95,
        )

    @torch.inference_mode()
    def detect(self, image: NDArray[np.uint8]) -> LearnedFeatures:
        """See `LearnedMatcher.detect`."""
        height, width = image.shape[:2]
        found = self._detector.detectAndCompute(_tensor(image))[0]
        # XFeat looks at the image resized to multiples of 32 and scales pixel numbers back.
        half = [0.5 * width / _below(width), 0.5 * height / _below(height)]
        keypoints = found["keypoints"].float() + torch.tensor(half)
        return _features(keypoints, found["descriptors"], (width, height))


class DiskMatcher(LearnedMatcher):
    """DISK (Tyszkiewicz et al. 2020) with LightGlue (Lindenberger et al. 2023)."""

    name = "disk"
    weights = ("disk-depth", "disk-lightglue")

    def __init__(self) -> None:
        self._detector = DISK().eval()
        self._detector.load_state_dict(_state("disk-depth")["extractor"])
        self._matcher = _lightglue(_state("disk-lightglue"), input_dim=128)

    @torch.inference_mode()
    def detect(self, image: NDArray[np.uint8]) -> LearnedFeatures:
        """See `LearnedMatcher.detect`."""
        height, width = image.shape[:2]
        found = self._detector(_tensor(image), n=MOST_KEYPOINTS, pad_if_not_divisible=True)[0]
        return _features(found.keypoints + 0.5, found.descriptors, (width, height))


class AlikedMatcher(LearnedMatcher):
    """ALIKED (Zhao et al. 2023) with LightGlue (Lindenberger et al. 2023)."""

    name = "aliked"
    weights = ("aliked-n16", "aliked-lightglue")

    def __init__(self) -> None:
        self._detector = ALIKED("aliked-n16", max_num_keypoints=MOST_KEYPOINTS).eval()
        grid = {"dkd.hw_grid": self._detector.state_dict()["dkd.hw_grid"]}  # not in the file
        self._detector.load_state_dict(_state("aliked-n16") | grid)
        self._matcher = _lightglue(_state("aliked-lightglue"), input_dim=128)

    @torch.inference_mode()
    def detect(self, image: NDArray[np.uint8]) -> LearnedFeatures:
        """See `LearnedMatcher.detect`."""
        height, width = image.shape[:2]
        found = self._detector(_tensor(image))[0]
        return _features(found.keypoints + 0.5, found.descriptors, (width, height))


def _state(name: str) -> dict[str, Tensor]:
    return load_packaged(find_packaged(name))


def _lightglue(state: dict[str, Tensor], **settings: float) -> LightGlue:
    """A LightGlue with trained weights; old releases name the layers in another order."""
    matcher = LightGlue(None, **settings)
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        name = key.removeprefix("matcher.")
        for kind in ("self_attn", "cross_attn"):
            if name.startswith(f"{kind}."):
                _, layer, rest = name.split(".", 2)
                name = f"transformers.{layer}.{kind}.{rest}"
        renamed[name] = value
    wanted = matcher.state_dict()
    # Derived from the settings, absent from the files.
    renamed["confidence_thresholds"] = wanted["confidence_thresholds"]
    matcher.load_state_dict({name: renamed[name] for name in wanted})
    return matcher.eval()


def _tensor(image: NDArray[np.uint8]) -> Tensor:
    return torch.tensor(image).permute(2, 0, 1)[None].float() / 255.0  # [1, 3, H, W]


def _below(length: int) -> int:
    """The multiple of 32 that XFeat shrinks a side to."""
    return max(32, length // 32 * 32)


def _features(keypoints: Tensor, descriptors: Tensor, size: tuple[int, int]) -> LearnedFeatures:
    limit = torch.tensor(size, dtype=torch.float32)
    inside = torch.minimum(keypoints.float().clamp(min=0.0), limit)
    return LearnedFeatures(inside.numpy(), descriptors.float().numpy(), size)


def _batch(features: LearnedFeatures) -> dict[str, Tensor]:
    return {
        "keypoints": torch.from_numpy(features.keypoints)[None],
        "descriptors": torch.from_numpy(features.descriptors)[None],
        "image_size": torch.tensor([features.size], dtype=torch.float32),
    }
