"""The chunked cross-entropy beside full logits: the same loss and gradients, and never more logits than a chunk's."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from unicorn.model import loss as chunked

POSITIONS, HIDDEN, VOCABULARY = 37, 16, 50


class Tied(nn.Module):
    """An embedding whose weight the head is."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.head = nn.Linear(HIDDEN, VOCABULARY, bias=False)
        self.head.weight = self.embedding.weight


def linear(bias: bool, learns: bool) -> nn.Module:
    return nn.ModuleDict({"head": nn.Linear(HIDDEN, VOCABULARY, bias=bias).requires_grad_(learns)})


def adapted() -> nn.Module:
    config = LoraConfig(r=2, target_modules=["head"], init_lora_weights=False)
    return get_peft_model(linear(bias=False, learns=True), config).base_model.model  # type: ignore[return-value, arg-type]


HEADS = {
    "frozen": lambda: linear(bias=False, learns=False),
    "trained": lambda: linear(bias=False, learns=True),
    "with bias": lambda: linear(bias=True, learns=True),
    "adapted": adapted,
    "tied": Tied,
}


class Largest(TorchDispatchMode):
    """Notes the most elements of any tensor that is made."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else [made]:
            if isinstance(each, Tensor):
                self.elements = max(self.elements, each.numel())
        return made


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK_BYTES", 5 * VOCABULARY * 4)  # 5 positions


def full(head: nn.Module, hidden: Tensor, targets: Tensor) -> Tensor:
    return functional.cross_entropy(head(hidden).float(), targets, reduction="sum")


def summed(head: nn.Module, hidden: Tensor, targets: Tensor) -> Tensor:
    return chunked.summed_cross_entropy(head, hidden, targets)[0]


def run(way, module: nn.Module, start: Tensor, targets: Tensor, scale: float = 0.01):  # type: ignore[no-untyped-def]
    """The loss, and the gradients of everything that learns."""
    start = start.clone().requires_grad_()
    hidden = start * 2  # what comes before the head learns
    if isinstance(module, Tied):
        hidden = hidden + module.embedding(targets)
    loss = way(module.head if isinstance(module, Tied) else module["head"], hidden, targets)  # type: ignore[index]
    (loss * scale).backward()
    learned = {name: weight.grad for name, weight in module.named_parameters() if weight.requires_grad}
    return loss.detach(), {"hidden": start.grad, **learned}


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", HEADS)
@pytest.mark.parametrize("positions", [0, 1, 5, POSITIONS])
def test_loss_and_gradients_are_those_of_full_logits(kind: str, positions: int) -> None:
    torch.manual_seed(0)
    module = HEADS[kind]()
    start, targets = torch.randn(positions, HIDDEN), torch.randint(VOCABULARY, (positions,))
    expected, expected_gradients = run(full, copy.deepcopy(module), start, targets)
    loss, gradients = run(summed, module, start, targets)
    torch.testing.assert_close(loss, expected, atol=1e-6, rtol=1e-6)
    assert gradients.keys() == expected_gradients.keys()
    for name, gradient in gradients.items():
        assert gradient is not None, name
        torch.testing.assert_close(gradient, expected_gradients[name], atol=1e-6, rtol=1e-6)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", ["frozen", "trained"])
def test_the_logits_of_all_positions_never_exist(kind: str) -> None:
    start, targets = torch.randn(POSITIONS, HIDDEN), torch.randint(VOCABULARY, (POSITIONS,))
    with Largest() as largest:
        run(summed, HEADS[kind](), start, targets)
    assert largest.elements == VOCABULARY * HIDDEN  # the head itself
    with Largest() as largest:
        run(full, HEADS[kind](), start, targets)
    assert largest.elements == POSITIONS * VOCABULARY


@pytest.mark.usefixtures("small_chunks")
def test_without_gradients_none_are_taken() -> None:
    module = HEADS["trained"]()
    hidden, targets = torch.randn(POSITIONS, HIDDEN), torch.randint(VOCABULARY, (POSITIONS,))
    with torch.no_grad():
        loss, each = chunked.summed_cross_entropy(module["head"], hidden, targets)
    assert not loss.requires_grad
    torch.testing.assert_close(
        each, functional.cross_entropy(module["head"](hidden), targets, reduction="none").detach()
    )
    torch.testing.assert_close(loss, full(module["head"], hidden, targets).detach())


@pytest.mark.usefixtures("small_chunks")
def test_under_autocast_it_computes_in_bfloat16_and_sums_in_float32() -> None:
    torch.manual_seed(0)
    module = HEADS["trained"]()
    start, targets = torch.randn(POSITIONS, HIDDEN), torch.randint(VOCABULARY, (POSITIONS,))
    with torch.autocast("cpu", torch.bfloat16):
        expected, expected_gradients = run(full, copy.deepcopy(module), start, targets)
        loss, gradients = run(summed, module, start, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    assert gradients["head.weight"].dtype == torch.float32
    torch.testing.assert_close(gradients["hidden"], expected_gradients["hidden"], atol=1e-4, rtol=1e-2)
    exact, exact_gradients = run(full, copy.deepcopy(module), start, targets)
    torch.testing.assert_close(gradients["head.weight"], exact_gradients["head.weight"], atol=2e-3, rtol=2e-2)
    assert loss != exact


def test_the_head_s_gradients_are_summed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK_BYTES", 1)  # a chunk for each position
    torch.manual_seed(0)
    head, state = nn.Linear(HIDDEN, VOCABULARY, bias=False).bfloat16(), torch.randn(1, HIDDEN).bfloat16()
    gradients: list[Tensor] = []
    for times in (1, 1000):  # in bfloat16 a sum of equal terms stands still after 256 of them
        head.weight.grad = None
        summed(head, state.expand(times, -1), torch.zeros(times, dtype=torch.int64)).backward()
        assert head.weight.grad is not None
        gradients.append(head.weight.grad.float())
    assert head.weight.grad.dtype == torch.bfloat16
    torch.testing.assert_close(gradients[1], 1000 * gradients[0], rtol=1e-2, atol=0)


def test_a_gpu_is_given_larger_chunks_in_whole_tiles() -> None:
    llama, smollm = 128_256, 49_152
    assert [chunked.chunk_positions(each, "cpu") for each in (llama, smollm)] == [261, 682]
    assert [chunked.chunk_positions(each, "cuda") for each in (llama, smollm, 10**9)] == [1024, 2688, 128]
