"""Smaller weights and faster layers from packages that are extras of this one and work on CUDA alone."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from unicorn.errors import UserError

if TYPE_CHECKING:
    from transformers import BitsAndBytesConfig, PreTrainedModel


def four_bit_weights() -> "BitsAndBytesConfig":
    """NF4 with double quantisation, computed in bfloat16 (QLoRA, arXiv 2305.14314).

    Raises UserError where bitsandbytes or a CUDA device is missing.
    """
    import torch
    from transformers import BitsAndBytesConfig

    _require("model.load_in_4bit", "bitsandbytes", "4bit")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def apply_liger_kernels(language_model: "PreTrainedModel") -> None:
    """Liger's RMSNorm, rotary embedding and MLP in this language model; the loss stays ours (arXiv 2410.10989).

    Raises UserError where Liger or a CUDA device is missing, or Liger does not know the family.
    """
    _require("model.liger_kernels", "liger_kernel", "liger")
    from liger_kernel.transformers import (  # pyright: ignore[reportMissingImports]
        _apply_liger_kernel_to_instance,  # pyright: ignore[reportPrivateUsage]
    )
    from liger_kernel.transformers.monkey_patch import (  # pyright: ignore[reportMissingImports]
        MODEL_TYPE_TO_APPLY_LIGER_FN,
    )

    family = cast("Any", language_model.config).model_type
    if family not in MODEL_TYPE_TO_APPLY_LIGER_FN:
        raise UserError(f"model.liger_kernels=true: Liger has no kernels for {family}. Set it to false.")
    _apply_liger_kernel_to_instance(model=language_model, cross_entropy=False, fused_linear_cross_entropy=False)


def _require(key: str, package: str, extra: str) -> None:
    """Raise UserError unless the package and a CUDA device are there."""
    import torch

    if find_spec(package) is None:
        raise UserError(f"{key}=true needs a package that is not here, {package}: pip install 'unicorn-vlm[{extra}]'.")
    if not torch.cuda.is_available():
        raise UserError(f"{key}=true needs a CUDA device, and there is none here. Set it to false.")
