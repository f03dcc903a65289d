# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop: seeded, resumable at every checkpoint, on a CPU or a GPU.

Every step draws its random numbers from the seed and its own number, so a run that was stopped and
resumed sees the same examples as one that was not.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mvsam_engine.capture.files import write_atomic
from mvsam_engine.errors import CaptureError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.network import Answers, MVSam
from mvsam_engine.segment.tokens import make_prompts, make_scene
from mvsam_engine.train.episodes import (
    Episode,
    EpisodeOptions,
    TrainingScene,
    episodes,
)
from mvsam_engine.train.losses import losses, true_ious
from mvsam_engine.train.noise import NoiseOptions, disturb

CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How it is trained.

    Attributes:
        steps: how many in all.
        episodes: examples of each step; each is a few views of one object.
        rate: highest learning rate (AdamW), reached after `warm` steps, then falling as a cosine.
        warm: steps until then.
        decay: weight decay.
        clip: greatest norm of the gradient.
        seed: of all random numbers.
        save_every: steps between checkpoints.
        validate_every: steps between validations.
        examples: how many validation examples there are.
    """

    steps: int = 20_000
    episodes: int = 4
    rate: float = 1e-4
    warm: int = 200
    decay: float = 1e-4
    clip: float = 1.0
    seed: int = 0
    save_every: int = 200
    validate_every: int = 500
    examples: int = 48


class Trainer:
    """Trains one network on scenes in memory.

    Args:
        network: trained in place; its device is where the work is done.
        training: scenes to learn from.
        validation: scenes to judge by; none of them among `training`.
        folder: for checkpoints and the log; a checkpoint in it is continued.
        options: how.
        noise: errors put into the pointmaps.
    """

    def __init__(
        self,
        network: MVSam,
        training: Sequence[TrainingScene],
        validation: Sequence[TrainingScene],
        folder: Path,
        options: TrainOptions,
        noise: NoiseOptions | None = None,
    ) -> None:
        self._network, self._folder, self._options = network, folder, options
        self._training, self._validation = training, validation
        self._noise, self._drawing = noise or NoiseOptions(), EpisodeOptions()
        self._optimizer = torch.optim.AdamW(
            network.parameters(), lr=options.rate, weight_decay=options.decay
        )
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).is_file():
            self._resume()

    def run(self, progress: Progress) -> None:
        """Train until the last step; a checkpoint is there whenever this ends.

        Raises:
            Cancelled: asked for; the last checkpoint is at most `save_every` steps old.
        """
        options = self._options
        progress.stage("Training", options.steps)
        progress.step(self.step)
        began, seen = time.monotonic(), self.step
        while self.step < options.steps:
            record = self._train_step()
            self.step += 1
            if self.step % 20 == 0:
                record["seconds_per_step"] = (time.monotonic() - began) / (self.step - seen)
                self._log("train", record)
            if self.step % options.validate_every == 0 or self.step == options.steps:
                self._log("validation", self.validate())
            if self.step % options.save_every == 0 or self.step == options.steps:
                self._save()
            progress.step()

    def validate(self) -> dict[str, float]:
        """IoU by kind of prompt and accuracy of presence, on examples that are always the same."""
        self._network.eval()
        results: dict[str, list[float]] = {}
        rng = np.random.default_rng([self._options.seed, 999_999])
        drawn = episodes(self._validation, rng, self._drawing)
        with torch.inference_mode():
            for _, episode in zip(range(self._options.examples), drawn, strict=False):
                for key, value in self._judge(episode, rng):
                    results.setdefault(key, []).append(value)
        self._network.train()
        return {key: float(np.mean(values)) for key, values in sorted(results.items())}

    def _judge(self, episode: Episode, rng: np.random.Generator) -> list[tuple[str, float]]:
        answers, truth, inside = self._answer(episode, self._validation, rng)
        scores = true_ious(answers.logits, truth[:, None], inside[:, None])
        chosen = answers.ious[:, 1:].argmax(dim=1) + 1
        found: list[tuple[str, float]] = []
        for row, view in enumerate(episode.rows):
            seen = bool((truth[row] * inside[row]).sum() > 0)
            found.append(("presence", float(bool(answers.presence[row] > 0) == seen)))
            if not seen:
                continue
            where = "own" if view in episode.hints else "other"
            how = "dense" if view in episode.dense else "points"
            found.append((f"iou_{where}_{how}", float(scores[row, chosen[row]])))
            found.append((f"best_iou_{where}_{how}", float(scores[row, 1:].max())))
        return found

    def _train_step(self) -> dict[str, float]:
        options = self._options
        rng = np.random.default_rng([options.seed, self.step])
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.step, options)
        self._optimizer.zero_grad(set_to_none=True)
        drawn = episodes(self._training, rng, self._drawing)
        sums: dict[str, float] = {}
        for _, episode in zip(range(options.episodes), drawn, strict=False):
            answers, truth, inside = self._answer(episode, self._training, rng)
            found = losses(answers, truth, inside)
            (found.total / options.episodes).backward()
            for name in found.__slots__:
                sums[name] = (
                    sums.get(name, 0.0) + float(getattr(found, name).detach()) / options.episodes
                )
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), options.clip)
        if bool(torch.isfinite(norm)):
            self._optimizer.step()
        return sums | {"gradient": float(norm)}

    def _answer(
        self, episode: Episode, scenes: Sequence[TrainingScene], rng: np.random.Generator
    ) -> tuple[Answers, Tensor, Tensor]:
        """The network's answer to an example, the true masks, and where the photos are."""
        scene = scenes[episode.scene]
        # Prompted views must be among the views that give the tokens their frame.
        used = [*episode.rows, *(i for i in episode.hints if i not in episode.rows)]
        views = disturb([scene.views[i] for i in used], rng, self._noise)
        place = {view: k for k, view in enumerate(used)}
        tokens = make_scene(views, self._network.space_code)
        hints = {place[i]: hint for i, hint in episode.hints.items()}
        dense = {place[i]: mask for i, mask in episode.dense.items()}
        rows = [place[i] for i in episode.rows]
        prompts = make_prompts(tokens, hints, rows, dense)
        image = type(tokens.tokens)(
            **{name: getattr(tokens.tokens, name)[rows] for name in tokens.tokens.__slots__}
        )
        device = image.features.device
        truth = torch.from_numpy(scene.masks[episode.object][list(episode.rows)]).to(device)
        inside = torch.from_numpy(scene.inside()[list(episode.rows)]).to(device)
        return self._network(image, prompts), truth.float(), inside

    def _log(self, kind: str, values: dict[str, float]) -> None:
        line = {"step": self.step, "kind": kind, **{k: round(v, 5) for k, v in values.items()}}
        with (self._folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def _save(self) -> None:
        """Write the checkpoint whole: a run that is killed leaves the last one."""
        state: dict[str, Any] = {
            "step": self.step,
            "options": asdict(self._options),
            "config": asdict(self._network.config),
            "network": self._network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        temporary = self._folder / f"{CHECKPOINT}.new"
        torch.save(state, temporary)
        os.replace(temporary, self._folder / CHECKPOINT)  # noqa: PTH105

    def _resume(self) -> None:
        path = self._folder / CHECKPOINT
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds on a damaged file
            raise CaptureError(
                "train.checkpoint",
                f"The checkpoint {path.name} cannot be read: {error}.",
                "Remove it to start anew.",
            ) from error
        if state["config"] != asdict(self._network.config):
            raise CaptureError(
                "train.checkpoint",
                "The checkpoint belongs to a network with other settings.",
                "Train into another folder.",
            )
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])


def learning_rate(step: int, options: TrainOptions) -> float:
    """Rises in a line for `warm` steps, then falls as half a cosine to a fiftieth."""
    if step < options.warm:
        return options.rate * (step + 1) / options.warm
    share = (step - options.warm) / max(1, options.steps - options.warm)
    return options.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def write_network(network: MVSam, path: Path, about: dict[str, str]) -> None:
    """Write a network as float16 safetensors with its settings.

    Args:
        network: trained.
        path: file to write, whole or not at all.
        about: what it was trained on and how, for its model card.
    """
    from safetensors.torch import save

    state = {
        name: value.detach().cpu().half().contiguous()
        for name, value in network.state_dict().items()
    }
    metadata = {"config": json.dumps(asdict(network.config)), **about}
    write_atomic(path, save(state, metadata=metadata))


__all__ = ["TrainOptions", "Trainer", "learning_rate", "write_network"]
