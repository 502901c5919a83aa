"""A course of training that stops and goes on exactly where it stopped.

Every draw of chance comes from a generator seeded with the course's name and the step's number, so
that nothing but weights, their running means and the optimiser's state needs to be kept.
"""

from __future__ import annotations

import copy
import json
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Course:
    """How a network is trained. The rate rises over `warm_up` steps, holds, and falls to zero over
    the last `fall` share of all steps."""

    name: str
    steps: int
    batch: int
    rate: float
    warm_up: int = 100
    fall: float = 0.25
    decay: float = 0.01
    mean_of: int = 1000  # steps that the running mean of the weights looks back on
    seed: int = 0

    def rate_at(self, step: int) -> float:
        falling = (self.steps - step) / max(self.steps * self.fall, 1)
        return self.rate * max(min(1.0, (step + 1) / self.warm_up, falling), 0.0)

    def chance(self, step: int) -> tuple[np.random.Generator, torch.Generator]:
        """The draws of one step, for pictures and for tensors."""
        key = [self.seed, zlib.crc32(self.name.encode()), step]
        rng = np.random.default_rng(key)
        return rng, torch.Generator().manual_seed(int(rng.integers(2**62)))


Loss = Callable[[nn.Module, np.random.Generator, torch.Generator], Tensor]


def device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


class Training:
    """A network on its course; `mean` is the network with the running mean of its weights."""

    def __init__(self, network: nn.Module, course: Course, loss: Loss, folder: Path) -> None:
        self.network, self.course, self.loss = network, course, loss
        self.mean = copy.deepcopy(network).requires_grad_(False)
        trained = [p for p in network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            trained, lr=course.rate, betas=(0.9, 0.99), weight_decay=course.decay, fused=True
        )
        self.step = 0
        self.file = folder / f"{course.name}.pt"
        self.log = folder / f"{course.name}.jsonl"
        if self.file.is_file():
            self._load()

    def run(self, until: float | None = None, every: int = 50, keep: int = 200) -> bool:
        """Train to the end, or until that time (of time.monotonic); whether the end is reached.

        Writes a line to the log each `every` steps and a checkpoint each `keep` steps.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        total, start, since = 0.0, time.perf_counter(), self.step
        while self.step < self.course.steps:
            total += self._one_step()
            if self.step % every == 0:
                seconds = (time.perf_counter() - start) / max(self.step - since, 1)
                self._say(step=self.step, loss=total / (self.step - since), seconds=seconds)
                total, start, since = 0.0, time.perf_counter(), self.step
            if self.step % keep == 0:
                self.save()
            if until is not None and time.monotonic() > until:
                break
        self.save()
        return self.step >= self.course.steps

    def _one_step(self) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.course.rate_at(self.step)
        loss = self.loss(self.network, *self.course.chance(self.step))
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.optimizer.param_groups[0]["params"], 1.0)
        self.optimizer.step()
        self.step += 1
        share = 1 / min(self.course.mean_of, self.step / 10 + 1)
        with torch.no_grad():
            pairs = zip(self.mean.parameters(), self.network.parameters(), strict=True)
            for mean, now in pairs:
                if now.requires_grad:
                    mean.lerp_(now, share)
        return float(loss.detach())

    def _say(self, **values: float) -> None:
        line = json.dumps(values)
        print(f"{self.course.name}: {line}", flush=True)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def save(self) -> None:
        part = self.file.with_suffix(f".{os.getpid()}.part")
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        torch.save(state, part)
        part.replace(self.file)

    def _load(self) -> None:
        device = device_of(self.network)
        state = torch.load(self.file, weights_only=True, map_location=device)
        self.step = state["step"]
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self.optimizer.load_state_dict(state["optimizer"])
