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
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mvsam_engine.errors import CaptureError
from mvsam_engine.progress import Progress
from mvsam_engine.segment.network import Answers, MVSam
from mvsam_engine.train.episodes import EpisodeOptions, TrainingScene, episodes
from mvsam_engine.train.examples import Example, make_example
from mvsam_engine.train.keeping import Keeper
from mvsam_engine.train.losses import losses, true_ious
from mvsam_engine.train.noise import NoiseOptions

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
        half: whether the network computes in bfloat16 (its weights stay float32).
        keep: weight of answering real photos as SAM does, where there are such.
        new_rate: rate of what SAM does not have, in shares of `rate`: it starts from nothing.
    """

    steps: int = 20_000
    episodes: int = 4
    rate: float = 4e-5
    warm: int = 60
    decay: float = 1e-4
    clip: float = 1.0
    seed: int = 0
    save_every: int = 200
    validate_every: int = 500
    examples: int = 48
    half: bool = True
    keep: float = 0.2
    new_rate: float = 10.0


class Trainer:
    """Trains one network on scenes in memory.

    Args:
        network: trained in place; its device is where the work is done.
        training: scenes to learn from.
        validation: scenes to judge by; none of them among `training`.
        folder: for checkpoints and the log; a checkpoint in it is continued.
        options: how.
        noise: errors put into the pointmaps.
        keeper: asks about real photos, where it should go on answering as SAM does.
    """

    def __init__(
        self,
        network: MVSam,
        training: Sequence[TrainingScene],
        validation: Sequence[TrainingScene],
        folder: Path,
        options: TrainOptions,
        noise: NoiseOptions | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._keeper = keeper
        self._network, self._folder, self._options = network, folder, options
        self._training, self._validation = training, validation
        self._noise, self._drawing = noise or NoiseOptions(), EpisodeOptions()
        old = [*network.prompt_encoder.parameters(), *network.mask_decoder.parameters()]
        known = {id(parameter) for parameter in old}
        new = [parameter for parameter in network.parameters() if id(parameter) not in known]
        self._optimizer = torch.optim.AdamW(
            [
                {"params": old, "share": 1.0},
                {"params": new, "share": options.new_rate},
            ],
            lr=options.rate,
            weight_decay=options.decay,
        )
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / CHECKPOINT).is_file():
            self._resume()

    def run(self, progress: Progress) -> None:
        """Train until the last step; a checkpoint is there whenever this ends.

        Raises:
            Cancelled: asked for, after a whole step; the last checkpoint is at most `save_every`
                steps old, and `save` writes one of now.
        """
        options = self._options
        progress.stage("Training", options.steps)
        progress.step(self.step)
        began, seen = time.monotonic(), self.step
        for examples in self._prepared():
            record = self._train_step(examples)
            self.step += 1
            if self.step % 20 == 0:
                record["seconds_per_step"] = (time.monotonic() - began) / (self.step - seen)
                self._log("train", record)
            if self.step % options.validate_every == 0 or self.step == options.steps:
                self._log("validation", self.validate())
            if self.step % options.save_every == 0 or self.step == options.steps:
                self.save()
            progress.step()

    def _prepared(self) -> Iterator[list[Example]]:
        """Examples of the steps to come, each made while the network works on the one before."""
        with ThreadPoolExecutor(max_workers=1) as maker:
            coming: Future[list[Example]] | None = None
            for step in range(self.step, self._options.steps):
                now = coming.result() if coming else self._examples(step)
                if step + 1 < self._options.steps:
                    coming = maker.submit(self._examples, step + 1)
                yield now

    def _examples(self, step: int) -> list[Example]:
        rng = np.random.default_rng([self._options.seed, step])
        return list(self._draw(self._training, self._options.episodes, rng))

    def _draw(
        self, scenes: Sequence[TrainingScene], count: int, rng: np.random.Generator
    ) -> Iterator[Example]:
        drawn = episodes(scenes, rng, self._drawing)
        for _, episode in zip(range(count), drawn, strict=False):
            scene = scenes[episode.scene]
            yield make_example(episode, scene, self._network.space_code, self._noise, rng)

    def validate(self) -> dict[str, float]:
        """IoU by kind of prompt and accuracy of presence, on examples that are always the same."""
        self._network.eval()
        results: dict[str, list[float]] = {}
        rng = np.random.default_rng([self._options.seed, 999_999])
        with torch.inference_mode():
            for example in self._draw(self._validation, self._options.examples, rng):
                for key, value in self._judge(example):
                    results.setdefault(key, []).append(value)
        self._network.train()
        return {key: float(np.mean(values)) for key, values in sorted(results.items())}

    def _judge(self, example: Example) -> list[tuple[str, float]]:
        answers, truth, inside = self._answer(example), example.truth, example.inside
        scores = true_ious(answers.logits, truth[:, None], inside[:, None])
        chosen = answers.ious[:, 1:].argmax(dim=1) + 1
        found: list[tuple[str, float]] = []
        for row, prompted in enumerate(example.prompted):
            seen = bool((truth[row] * inside[row]).sum() > 0)
            found.append(("presence", float(bool(answers.presence[row] > 0) == seen)))
            if not seen:
                continue
            where = "own" if prompted else "other"
            how = "dense" if bool(example.prompts.masked[row]) else "points"
            found.append((f"iou_{where}_{how}", float(scores[row, chosen[row]])))
            found.append((f"best_iou_{where}_{how}", float(scores[row, 1:].max())))
            found.append((f"single_iou_{where}_{how}", float(scores[row, 0])))
        return found

    def _train_step(self, examples: Sequence[Example]) -> dict[str, float]:
        options = self._options
        for group in self._optimizer.param_groups:
            group["lr"] = group["share"] * learning_rate(self.step, options)
        self._optimizer.zero_grad(set_to_none=True)
        sums: dict[str, float] = {}
        for example in examples:
            found = losses(self._answer(example), example.truth, example.inside)
            (found.total / len(examples)).backward()
            for name in found.__slots__:
                share = float(getattr(found, name).detach()) / len(examples)
                sums[name] = sums.get(name, 0.0) + share
        if self._keeper is not None:
            rng = np.random.default_rng([options.seed, self.step, 1])
            with torch.autocast(self._device, torch.bfloat16, enabled=options.half):
                kept = self._keeper.loss(self._network, rng)
            (options.keep * kept).backward()
            sums["keep"] = float(kept.detach())
        norm = torch.nn.utils.clip_grad_norm_(self._network.parameters(), options.clip)
        if bool(torch.isfinite(norm)):
            self._optimizer.step()
        return sums | {"gradient": float(norm)}

    def _answer(self, example: Example) -> Answers:
        with torch.autocast(self._device, torch.bfloat16, enabled=self._options.half):
            answers = self._network(example.views, example.prompts)
        return Answers(answers.logits.float(), answers.ious.float(), answers.presence.float())

    @property
    def _device(self) -> str:
        return self._network.space_code.matrix.device.type

    def _log(self, kind: str, values: dict[str, float]) -> None:
        line = {"step": self.step, "kind": kind, **{k: round(v, 5) for k, v in values.items()}}
        with (self._folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    def save(self) -> None:
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


__all__ = ["TrainOptions", "Trainer", "learning_rate"]
