"""Cross-entropy from hidden states, the logits of a chunk of positions at a time."""

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

CHUNK_BYTES = 1 << 27
"""Of the float32 logits that exist at a time: 261 positions of Llama 3's vocabulary, 682 of SmolLM2's."""
CUDA_CHUNK_BYTES = 1 << 29
"""On a GPU, where a chunk must be large to keep it busy: 1,024 positions of Llama 3's vocabulary."""
CUDA_MULTIPLE = 128
"""The rows of a tile of its matrix products: a multiple leaves none half empty."""


def chunk_positions(vocabulary: int, device_type: str) -> int:
    """How many positions' logits exist at a time on a kind of device."""
    if device_type != "cuda":
        return max(1, CHUNK_BYTES // (4 * vocabulary))
    return max(1, CUDA_CHUNK_BYTES // (4 * vocabulary) // CUDA_MULTIPLE) * CUDA_MULTIPLE


def summed_cross_entropy(
    head: nn.Module,
    hidden: Float[Tensor, "positions hidden"],
    targets: Int[Tensor, " positions"],
    at_a_time: int | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, " positions"]]:
    """The summed cross-entropy of `targets` under the logits that `head` makes of `hidden`, in float32.

    And beside it that of each position, which is to be read and passes no gradient back.

    Never do logits or their gradient exist for more positions than `at_a_time`, by default what suits the device.
    A chunk's gradients, of its hidden states and of the head's weights that learn, are taken with its loss and
    kept for the backward pass, which merely scales them (as Liger's fused linear cross-entropy does, arXiv
    2410.10989): nothing is computed twice. Those of the head are summed in float32.
    """
    positions = at_a_time or chunk_positions(cast("nn.Linear", head).out_features, hidden.device.type)
    project, weights = _parts(head)
    learn = torch.is_grad_enabled()
    return cast("Any", _SummedCrossEntropy).apply(project, positions, learn, targets, hidden, *weights)


def _parts(head: nn.Module) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """A head as a function of hidden states and weights, and its weights.

    A linear head is asked for its weights once, not called chunk by chunk: where they are sharded (ZeRO-3) every
    call gathers them from all ranks, and ranks have different numbers of chunks.
    """
    if type(head) is nn.Linear:
        return functional.linear, [head.weight] if cast("Any", head.bias) is None else [head.weight, head.bias]
    return lambda hidden, *_: head(hidden), [weight for weight in head.parameters() if weight.requires_grad]


class _SummedCrossEntropy(torch.autograd.Function):
    """Loss and gradients in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        project: Callable[..., Tensor],
        positions: int,
        learn: bool,
        targets: Int[Tensor, " positions"],
        hidden: Float[Tensor, "positions hidden"],
        *weights: Tensor,
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " positions"]]:
        learns, *weights_learn = (learn and needed for needed in ctx.needs_input_grad[4:])
        learning = [weight for weight, needed in zip(weights, weights_learn, strict=True) if needed]
        sums = [torch.zeros_like(weight, dtype=torch.float32) for weight in learning]
        parts: list[Tensor] = []
        losses: list[Tensor] = []
        for states, words in zip(hidden.split(positions), targets.split(positions), strict=True):
            leaf = states.detach().requires_grad_(learns)
            with torch.set_grad_enabled(learn):
                each = functional.cross_entropy(project(leaf, *weights).float(), words, reduction="none")
                loss = each.sum()
            losses.append(each.detach())
            if loss.requires_grad:
                gradients = list(torch.autograd.grad(loss, [leaf, *learning] if learns else learning))
                if learns:
                    parts.append(gradients.pop(0))
                for whole, part in zip(sums, gradients, strict=True):
                    whole += part
        ctx.weights_learn = weights_learn
        summed = [whole.to(weight.dtype) for whole, weight in zip(sums, learning, strict=True)]
        ctx.save_for_backward(*([torch.cat(parts)] if learns else []), *summed)
        ctx.learns = learns
        every = torch.cat(losses)
        ctx.mark_non_differentiable(every)
        return every.sum(), every

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # as the decorator types it
        ctx: Any, scale: Float[Tensor, ""], _: Tensor
    ) -> tuple[Tensor | None, ...]:
        gradients = iter([gradient * scale for gradient in ctx.saved_tensors])
        needed = [ctx.learns, *ctx.weights_learn]
        return (None, None, None, None, *(next(gradients) if each else None for each in needed))
