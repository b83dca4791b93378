"""What is measured on held-out samples as training goes on: losses, retrieval by likelihood, answers to be read."""

from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from lightning.pytorch import Callback, LightningModule, Trainer

from unicorn.data.batch import PackTensors, Step
from unicorn.errors import UserError
from unicorn.report.figures import Figure, matrix
from unicorn.training.validation_settings import ValidationSettings

if TYPE_CHECKING:
    from unicorn.training.module import UnicornModule

GENERATIONS = "generations"
RETRIEVAL_CAPTION = "How much likelier held-out texts are with an image than with others; their own on the diagonal."
COLUMNS = ("id", "asked", "reference", "generated")


@runtime_checkable
class KeepsPages(Protocol):
    """A logger that keeps more than numbers."""

    def log_table(self, key: str, columns: list[str], data: list[list[Any]], *, step: int) -> None:
        """Keep a step's table."""
        ...

    def log_figure(self, figure: Figure, *, step: int) -> None:
        """Keep a step's figure."""
        ...


class Validation(Callback):
    """Looks at held-out samples. Every rank takes part, since a forward pass may need them all."""

    def __init__(self, settings: ValidationSettings) -> None:
        self.settings = settings

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Validate, if it is time to. Raises UserError if the loss is not finite."""
        module = cast("UnicornModule", pl_module)
        every = self.settings.every
        due = trainer.is_last_batch or (every is not None and trainer.global_step % every == 0)
        if not due or not len(module.data.held_out):
            return
        module.model.eval()
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            numbers, likelihood = self._held_out(module)
            rows = self._generations(module)
        module.model.train()
        module.record(numbers)
        if not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            if isinstance(logger, KeepsPages):
                if rows:
                    logger.log_table(GENERATIONS, list(COLUMNS), rows, step=trainer.global_step)
                if len(likelihood):
                    logger.log_figure(likelihood_figure(likelihood), step=trainer.global_step)

    def _held_out(self, module: "UnicornModule") -> tuple[dict[str, float], Float[np.ndarray, "texts images"]]:
        """The mean cross-entropy of all held-out tokens, with their own images and with those of others; retrieval.

        A model that does not look at the image has the same loss twice, and finds a caption by chance. Beside the
        numbers comes the log-likelihood of each text of the gallery with each of its images.
        """
        data = module.data
        held_out = data.held_out
        size = self.settings.gallery if len(held_out) >= self.settings.gallery else 0
        texts = np.arange(size)
        turned = [np.roll(texts, -turn) for turn in range(size)]
        samples = np.concatenate([held_out, held_out, *(held_out[texts] for _ in turned)])
        shown = np.concatenate([held_out, np.roll(held_out, -1), *(held_out[images] for images in turned)])
        losses = losses_of(module, samples, shown)
        own, others, by_turn = np.split(losses, [len(held_out), 2 * len(held_out)])
        tokens = float(data.samples.answer_lengths[held_out].sum())
        loss = float(own.sum()) / tokens
        if not np.isfinite(loss):
            raise UserError(f"the validation loss of {module.stage.name} is {loss}. Lower its learning rate.")
        numbers = {"validation/loss": loss, "validation/loss_shuffled": float(others.sum()) / tokens}
        likelihood = np.empty((size, size))
        for images, row in zip(turned, by_turn.reshape(size, size), strict=True):
            likelihood[texts, images] = -row
        if size:
            numbers["validation/retrieval"] = retrieval(likelihood)
        return numbers, likelihood

    def _generations(self, module: "UnicornModule") -> list[list[Any]]:
        """A row for each sample: its id, what was asked, what its first answer is, and what the model says."""
        data = module.data
        chosen = data.held_out[: self.settings.generations]
        prompts: list[list[int]] = []
        references: list[list[int]] = []
        for ids, supervised in data.samples.tokens(chosen) if len(chosen) else ():
            begin = int(supervised.argmax())
            length = int((~supervised[begin:]).argmax()) or len(ids) - begin
            prompts.append(ids[:begin].tolist())
            references.append(ids[begin : begin + length].tolist())
        said = continued(module, prompts, chosen, self.settings.max_new_tokens) if prompts else []
        decode = data.tokenizer.tokenizer.decode
        rows: list[list[Any]] = []
        for name, prompt, reference, tokens in zip(data.samples.ids(chosen), prompts, references, said, strict=True):
            end = tokens.index(reference[-1]) if reference[-1] in tokens else len(tokens)  # the token that closes it
            texts = (cast("str", decode(each, skip_special_tokens=True)) for each in (prompt, reference, tokens[:end]))
            rows.append([name, *(text.strip() for text in texts)])
        return rows


def losses_of(
    module: "UnicornModule", samples: Int64[np.ndarray, " n"], shown: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """The summed cross-entropy of each sample's answers with the image of the sample beside it in `shown`."""
    data = module.data
    lengths = data.samples.answer_lengths[samples]
    losses = np.zeros(len(samples))
    for step in data.shown(samples, data.samples.rows[shown]):
        moved: Step = module.on_device(step)
        tokens = [
            module.forward_wrapped(pack, labels=pack.labels).token_losses.cpu().double().numpy() for pack in moved.packs
        ]
        begins = np.cumsum([0, *lengths[step.samples]])[:-1]
        if len(begins):
            losses[step.samples] = np.add.reduceat(np.concatenate(tokens), begins)
    return np.array(module.strategy.all_reduce_sum(losses.tolist()))


def continued(
    module: "UnicornModule", prompts: list[list[int]], samples: Int64[np.ndarray, " n"], count: int
) -> list[list[int]]:
    """The `count` likeliest next tokens of each prompt, one after the other, about the image of its sample.

    Without a cache, and as many for all: so it is the same forward pass as in training, whatever the strategy. As in
    `generate`, no image is among them.
    """
    rows = torch.arange(len(prompts), device=module.device)
    ends = torch.tensor([len(prompt) for prompt in prompts], device=module.device)
    ids = torch.zeros(len(prompts), int(ends.max()) + count, dtype=torch.int64, device=module.device)
    for row, prompt in enumerate(prompts):
        ids[row, : len(prompt)] = torch.tensor(prompt)
    images = module.on_device(module.data.images(samples))
    image: int = cast("Any", module.model).config.image_token_id
    for _ in range(count):
        seen = ids[:, : int(ends.max())]
        positions = torch.arange(seen.shape[1], device=module.device).expand_as(seen)
        pack = PackTensors(input_ids=seen, position_ids=positions, labels=seen, image_embeds=images)
        logits = module.forward_wrapped(pack, logits_to_keep=ends - 1).logits
        scores = logits[rows, rows]
        scores[:, image : image + 1] = -torch.inf  # where the head knows it at all
        ids[rows, ends] = scores.argmax(dim=-1)
        ends += 1
    return [ids[row, len(prompt) : len(prompt) + count].tolist() for row, prompt in enumerate(prompts)]


def retrieval(likelihood: Float[np.ndarray, "texts images"]) -> float:
    """The share of images whose own text, that of the same number, is the likeliest; texts that tie share the hit."""
    score = above_mean(likelihood)
    best = score == score.max(axis=0)
    return float((best.diagonal() / best.sum(axis=0)).mean())


def above_mean(likelihood: Float[np.ndarray, "texts images"]) -> Float[np.ndarray, "texts images"]:
    """Log-likelihoods of texts with images, less the mean of each text over the images.

    Texts that are likely anyway, as short ones are, would win otherwise (arXiv 2306.01879, with alpha = 1).
    """
    return likelihood - likelihood.mean(axis=1, keepdims=True)


def likelihood_figure(likelihood: Float[np.ndarray, "texts images"]) -> Figure:
    """What retrieval is read from: a model that sees has a dark diagonal."""
    return matrix("retrieval", RETRIEVAL_CAPTION, above_mean(likelihood), across="images", up="texts")
