# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network is punished for.

Masks: focal loss and dice. MV-SAM's paper states 1.0 focal (alpha 0.9, gamma 1.5) + 0.05 dice
(`PAPER`); with alpha 0.9 a pixel that is object one time in ten is already called object, which
draws masks over their edges, so ours is even-handed (`OURS`). Of the three choices only the best
one learns, as in SAM, so that they stay different; the single mask always learns. IoU head: squared
error to the true IoU of each mask, as in SAM. Presence: cross-entropy. In views that do not show
the object, masks are not punished (presence says so), except the single mask, which should be
empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mvsam_engine.segment.network import Answers


@dataclass(frozen=True, slots=True)
class MaskLoss:
    """Weights of what masks are punished for.

    Attributes:
        alpha: what a missed pixel of the object counts, against 1 - alpha for one too much.
        gamma: how much less pixels count that are nearly right.
        focal: weight of the focal loss.
        dice: weight of the dice loss.
    """

    alpha: float
    gamma: float
    focal: float
    dice: float


PAPER = MaskLoss(0.9, 1.5, 1.0, 0.05)
OURS = MaskLoss(0.5, 1.5, 1.0, 0.1)
IOU_WEIGHT, PRESENCE_WEIGHT = 0.05, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """The sum that is minimised, and its parts for the record (all scalars)."""

    total: Tensor
    focal: Tensor
    dice: Tensor
    iou: Tensor
    presence: Tensor


def focal_loss(logits: Tensor, truth: Tensor, weight: Tensor, alpha: float, gamma: float) -> Tensor:
    """Focal loss (Lin et al., ICCV 2017) per mask, [...] of logits [..., H, W].

    Args:
        logits: [..., H, W].
        truth: [..., H, W] 0 or 1.
        weight: [..., H, W] 1 inside the photo, 0 in its padding.
        alpha: see `MaskLoss`.
        gamma: see `MaskLoss`.
    """
    entropy = binary_cross_entropy_with_logits(logits, truth, reduction="none")
    right = torch.exp(-entropy)
    balance = torch.where(truth > 0.5, alpha, 1 - alpha)
    lost = balance * (1 - right) ** gamma * entropy * weight
    return lost.sum(dim=(-2, -1)) / weight.sum(dim=(-2, -1)).clamp_min(1)


def dice_loss(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """1 - Dice coefficient per mask, [...] of logits [..., H, W]."""
    chance = torch.sigmoid(logits) * weight
    shared = (chance * truth).sum(dim=(-2, -1))
    total = chance.sum(dim=(-2, -1)) + (truth * weight).sum(dim=(-2, -1))
    return 1 - (2 * shared + 1) / (total + 1)


def true_ious(logits: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """IoU [...] of masks ``logits > 0`` [..., H, W]; 1 when both are empty."""
    found, truth = (logits > 0) & (weight > 0), (truth > 0.5) & (weight > 0)
    union = (found | truth).sum(dim=(-2, -1))
    return torch.where(union > 0, (found & truth).sum(dim=(-2, -1)) / union.clamp_min(1), 1.0)


def losses(answers: Answers, truth: Tensor, weight: Tensor, masks: MaskLoss = OURS) -> Losses:
    """Losses of B rows.

    Args:
        answers: of the network.
        truth: [B, H, W] 0 or 1.
        weight: [B, H, W] 1 inside the photo.
        masks: what they are punished for.
    """
    present = (truth * weight).sum(dim=(-2, -1)) > 0
    target, inside = truth[:, None].expand_as(answers.logits), weight[:, None]
    area = inside.expand_as(answers.logits)
    focal = focal_loss(answers.logits, target, area, masks.alpha, masks.gamma)  # [B, 4]
    dice = dice_loss(answers.logits, target, inside)
    each = masks.focal * focal + masks.dice * dice
    best = 1 + each[:, 1:].detach().argmin(dim=1)
    rows = torch.arange(len(best), device=best.device)

    def learnt(values: Tensor) -> Tensor:
        chosen = torch.where(present, values[rows, best], 0.0)
        return (values[:, 0] + chosen).mean()

    iou = (answers.ious - true_ious(answers.logits, target, inside)).square()
    iou = (iou.mean(dim=1) * present).sum() / present.sum().clamp_min(1)
    presence = binary_cross_entropy_with_logits(answers.presence, present.float())
    mask_focal, mask_dice = learnt(focal), learnt(dice)
    total = masks.focal * mask_focal + masks.dice * mask_dice
    total = total + IOU_WEIGHT * iou + PRESENCE_WEIGHT * presence
    return Losses(total, mask_focal, mask_dice, iou, presence)
