"""How the world's models are trained: Muon for the matrices of their layers, AdamW for everything else.

Muon (https://kellerjordan.github.io/posts/muon) learns to look a fact up in a caption in a small part of the steps
that AdamW alone needs.
"""

import torch
from torch import Tensor, nn
from transformers import get_cosine_schedule_with_warmup


class Optimization:
    """Both optimizers on all weights of a model, with warm-up and a cosine decay."""

    def __init__(
        self, model: nn.Module, steps: int, learning_rate: float, matrix_learning_rate: float, warm_up: float
    ) -> None:
        embeddings = {id(part.weight) for part in model.modules() if isinstance(part, nn.Embedding)}
        self.weights = list(model.parameters())
        matrices = [weight for weight in self.weights if weight.ndim == 2 and id(weight) not in embeddings]
        chosen = {id(weight) for weight in matrices}
        others = [weight for weight in self.weights if id(weight) not in chosen]
        self.optimizers = [
            torch.optim.AdamW(others, learning_rate, betas=(0.9, 0.98), weight_decay=0.01),
            torch.optim.Muon(matrices, matrix_learning_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        ]
        self.schedules = [
            get_cosine_schedule_with_warmup(optimizer, round(warm_up * steps), steps) for optimizer in self.optimizers
        ]

    def step(self, loss: Tensor) -> None:
        """One step down the gradient of `loss`, clipped at norm one."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        for optimizer, schedule in zip(self.optimizers, self.schedules, strict=True):
            optimizer.step()
            schedule.step()
