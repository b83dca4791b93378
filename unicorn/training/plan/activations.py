"""The memory of one pack's forward and backward pass: the very step of training, on tensors without content."""

import weakref
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from unicorn.model.loss import chunk_positions
from unicorn.model.modeling import UnicornForConditionalGeneration
from unicorn.records import IGNORED
from unicorn.training.layers import prepare_layers
from unicorn.training.plan.workload import PackShape

aten = torch.ops.aten


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """Bytes beside weights, gradients and optimiser state, at the moment at which they are most."""

    kept: int
    """From the forward pass of projector and language model for the backward pass."""
    logits: int
    """More of it, for the logits and the loss."""
    transient: int
    """More than both, for a moment of the backward pass."""

    def deeper(self, other: "Activations", layers: float) -> "Activations":
        """Of a deeper model: as `other` and beyond, by `layers` times the difference between `self` and `other`."""
        kept, logits, peak = (
            round(second + layers * (second - first))
            for first, second in zip(self._moments(), other._moments(), strict=True)
        )
        return Activations.of(kept, logits, peak)

    @classmethod
    def of(cls, kept: int, at_loss: int, peak: int) -> "Activations":
        """From the bytes alive after the language model, at most around the loss, and at most in all."""
        return cls(kept=kept, logits=at_loss - kept, transient=max(0, peak - at_loss))

    def _moments(self) -> tuple[int, int, int]:
        return self.kept, self.kept + self.logits, self.kept + self.logits + self.transient


class Ledger(TorchDispatchMode):
    """Counts the bytes of all tensors alive that are made under it, those of `state` left out."""

    def __init__(self, state: Iterable[Tensor] = ()) -> None:
        super().__init__()
        self.live = 0
        self.peak = 0
        self._entries: WeakIdKeyDictionary = WeakIdKeyDictionary()  # of each storage a list that holds its size
        for tensor in state:
            self._entries[tensor.untyped_storage()] = [0]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do the operation, and enter what it made."""
        if func is aten.index.Tensor:
            args = (args[0], [index for mask in args[1] for index in _positions(mask)])
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._enter(tensor, 1 if func is aten.bernoulli_.float else tensor.itemsize)
        return result

    def _enter(self, tensor: Tensor, itemsize: int) -> None:
        storage = tensor.untyped_storage()
        size = storage.nbytes() * itemsize // tensor.itemsize
        entry = self._entries.get(storage)
        if entry is None:
            entry = self._entries[storage] = [0]
            weakref.finalize(storage, self._leave, entry)
        elif entry[0] <= size:
            return
        self.live += size - entry[0]  # less where dropout drew its mask into a tensor: a GPU keeps it in bytes
        self.peak = max(self.peak, self.live)
        entry[0] = size

    def _leave(self, entry: list[int]) -> None:
        self.live -= entry[0]


def _positions(index: Tensor | None) -> tuple[Tensor | None, ...]:
    """A mask as the positions that it chooses: their number is known, since masks of labels have a content."""
    if index is None or index.dtype is not torch.bool or isinstance(index, FakeTensor):
        return (index,)
    return index.nonzero(as_tuple=True)


def trace(module: nn.Module, shape: PackShape, *, mixed: bool, checkpointing: bool, packed: bool) -> Activations:
    """What a pack of `shape` takes in `module`, whose weights lie on the meta device and are replaced here.

    `mixed` computes by autocast to bfloat16; `packed` has attention keep the samples of a row apart by a mask.
    """
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    _replace(module, fake)
    model = next(each for each in module.modules() if isinstance(each, UnicornForConditionalGeneration))
    model.logits_at_a_time = chunk_positions(cast("nn.Linear", model.get_output_embeddings()).out_features, "cuda")
    prepare_layers(module, checkpointing=checkpointing, compiling=False)
    state = [*module.parameters(), *module.buffers()]
    for weight in module.parameters():
        if weight.requires_grad:
            with fake:
                weight.grad = torch.empty_like(weight)  # of an earlier pack
            state.append(weight.grad)
    inputs = _pack(shape, model.config.image_token_id, model.config.visual_tokens)
    with fake:
        images = torch.empty(shape.images, model.config.embedding_dimension)
        if packed:
            inputs["position_ids"] = torch.empty_like(inputs["input_ids"])
    ledger = Ledger(state)
    moments: dict[str, int] = {}

    def on_hidden(_module: nn.Module, _inputs: Any, output: Any) -> None:
        moments["kept"] = ledger.peak = ledger.live
        output.last_hidden_state.register_hook(on_gradient)

    def on_gradient(_gradient: Tensor) -> None:
        moments["loss"] = ledger.peak

    handle = model.language_model.get_decoder().register_forward_hook(on_hidden)
    with ledger:
        with torch.autocast("cpu", torch.bfloat16) if mixed else nullcontext():
            loss = module(**inputs, image_embeds=images, num_items_in_batch=1, use_cache=False).loss
        loss.backward()
    handle.remove()
    return Activations.of(moments["kept"], moments["loss"], ledger.peak)


def _replace(module: nn.Module, fake: FakeTensorMode) -> None:
    """Put tensors that pass for ones of a device in the place of those on the meta device, for which kernels differ."""
    made: dict[Tensor, Tensor] = {}
    for each in module.modules():
        own = [*each.named_parameters(recurse=False), *each.named_buffers(recurse=False)]
        for name, tensor in own:
            if tensor not in made:
                with fake:
                    empty = torch.empty(tensor.shape, dtype=tensor.dtype)
                made[tensor] = nn.Parameter(empty, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
            setattr(each, name, made[tensor])


def _pack(shape: PackShape, image_token_id: int, visual_tokens: int) -> dict[str, Tensor]:
    """Ids and labels with as many images and supervised tokens as the pack holds; where they are does not matter."""
    ids = torch.zeros(shape.rows, shape.length, dtype=torch.long)
    ids.view(-1)[: shape.images * visual_tokens] = image_token_id
    labels = torch.full((shape.rows, shape.length - 1), IGNORED)
    labels.view(-1)[: shape.supervised] = 0
    return {
        "input_ids": ids,
        "labels": nn.functional.pad(labels, (1, 0), value=IGNORED),
        "position_ids": torch.arange(shape.length).expand(shape.rows, -1),
    }
