"""What unicorn/llm/engines/vllm_engine.py uses of vLLM 0.33.0, with its signatures, and answers out of thin air.

It answers a text with what it was asked, a schema with the least that follows it, and the last request first.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams


class VLLMValidationError(Exception):
    pass


class EngineDeadError(Exception):
    pass


@dataclass
class EngineArgs:
    model: str = "Qwen/Qwen3-0.6B"
    dtype: str = "auto"
    max_model_len: int | None = None
    tensor_parallel_size: int = 1
    enable_prefix_caching: bool | None = None
    gpu_memory_utilization: float = 0.9
    max_num_seqs: int | None = None
    disable_log_stats: bool = False
    revision: str | None = None


@dataclass(kw_only=True)
class SamplingParams:
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int | None = None
    max_tokens: int | None = 16
    output_kind: RequestOutputKind = RequestOutputKind.CUMULATIVE
    structured_outputs: StructuredOutputsParams | None = None


@dataclass
class CompletionOutput:
    index: int
    text: str
    token_ids: list[int]
    cumulative_logprob: float | None
    logprobs: None
    finish_reason: str | None = None


@dataclass
class RequestOutput:
    request_id: str
    prompt: str | None
    prompt_token_ids: list[int] | None
    prompt_logprobs: None
    outputs: list[CompletionOutput]
    finished: bool


class Tokenizer:
    def apply_chat_template(
        self, messages: list[dict[str, str]], tools: list[dict[str, Any]] | None = None, **kwargs: Any
    ) -> str | list[int]:
        assert kwargs == {"add_generation_prompt": True, "return_dict": False}
        return list(messages[-1]["content"].encode())


@dataclass
class LLMEngine:
    arguments: EngineArgs
    waiting: dict[str, tuple[list[int], SamplingParams]] = field(default_factory=dict)

    @classmethod
    def from_engine_args(cls, engine_args: EngineArgs) -> "LLMEngine":
        print("INFO: a model is loaded")  # as vLLM does, to where the answers go
        if engine_args.model == "too-large":
            print("(EngineCore pid=7) ERROR [core.py:9] torch.OutOfMemoryError: CUDA out of memory.")
            raise RuntimeError("Engine core initialization failed. See root cause above.")
        if path := os.environ.get("RECORD"):
            Path(path).write_text(json.dumps({"pid": os.getpid(), "engine": vars(engine_args)}))
        return cls(engine_args)

    def get_tokenizer(self) -> Tokenizer:
        return Tokenizer()

    def has_unfinished_requests(self) -> bool:
        return bool(self.waiting)

    def add_request(
        self,
        request_id: str,
        prompt: dict[str, Any],
        params: SamplingParams,
        arrival_time: float | None = None,
        lora_request: None = None,
        tokenization_kwargs: dict[str, Any] | None = None,
        trace_headers: Mapping[str, str] | None = None,
        priority: int = 0,
    ) -> str:
        tokens = prompt["prompt_token_ids"]
        if len(tokens) >= (self.arguments.max_model_len or 1000):
            raise VLLMValidationError(f"The decoder prompt (length {len(tokens)}) is longer than the maximum.")
        if bytes(tokens) == b"dead":
            raise EngineDeadError("EngineCore encountered an issue.")
        assert params.output_kind is RequestOutputKind.FINAL_ONLY
        assert params.max_tokens is not None
        assert request_id not in self.waiting
        self.waiting[request_id] = tokens, params
        return request_id

    def step(self) -> list[RequestOutput]:
        assert self.waiting  # where there is nothing to be done, vLLM waits for ever
        request_id, (tokens, params) = self.waiting.popitem()
        text = bytes(tokens).decode()
        if text == "die":
            print("(EngineCore pid=7) ERROR [core.py:9] RuntimeError: CUDA error: an illegal memory access.")
            raise RuntimeError("EngineCore encountered an issue.")
        reason = "error" if text == "fail" else "stop"
        if schema := params.structured_outputs:
            assert isinstance(schema.json, dict)
            text = json.dumps(least(schema.json))
        elif text == "seed":
            text = str(params.seed)
        if len(text) > (params.max_tokens or 0):
            text, reason = text[: params.max_tokens], "length"
        completion = CompletionOutput(0, text, list(text.encode()), None, None, finish_reason=reason)
        return [RequestOutput(request_id, None, tokens, None, [completion], finished=True)]


def least(schema: dict[str, Any]) -> Any:
    """The smallest value of a schema."""
    match schema.get("type"):
        case "object":
            return {key: least(value) for key, value in schema["properties"].items()}
        case "array":
            return [least(schema["items"])] * schema.get("minItems", 0)
        case "string":
            return "x" * schema.get("minLength", 0)
        case _:
            return schema["enum"][0]
