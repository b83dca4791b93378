"""vLLM's engine as a process of its own; unicorn.llm.vllm starts it, speaks to it and says what the lines hold.

The environment that it runs in has vLLM and need not have Unicorn. It takes requests from its standard input, line by
line, and writes answers to its standard output as they are finished. It ends with its standard input: whatever way its
parent ends, the system closes that.
"""
# vLLM is of another environment.
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

import json
import os
import queue
import sys
import threading
from typing import IO, Any

from vllm import EngineArgs, LLMEngine, RequestOutput, SamplingParams
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams


def main() -> None:
    """Answer until the standard input ends."""
    settings = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # vLLM logs to both
    engine = LLMEngine.from_engine_args(EngineArgs(**settings["engine"]))
    tokenizer = engine.get_tokenizer()
    write(out, {"ready": True})
    asked = queue.SimpleQueue[Any]()
    threading.Thread(target=read, args=(asked,), daemon=True).start()
    while True:
        idle = not engine.has_unfinished_requests()
        while idle or not asked.empty():
            if (request := asked.get()) is None:
                return
            idle = False
            try:
                engine.add_request(request["id"], prompt(tokenizer, request), parameters(request, settings["sampling"]))
            except Exception as error:  # of vLLM or of the chat template; the others are answered all the same
                kind = type(error).__name__
                refused = kind != "EngineDeadError"  # which the next step raises, too
                write(out, {"id": request["id"], "error": str(error) or kind, "refused": refused})
        if engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    write(out, answer(output))


def read(asked: queue.SimpleQueue[Any]) -> None:
    """Take requests as they come, None at their end."""
    for line in sys.stdin:
        asked.put(json.loads(line))
    asked.put(None)


def write(out: IO[str], line: dict[str, Any]) -> None:
    """Give a line."""
    print(json.dumps(line), file=out, flush=True)


def prompt(tokenizer: Any, request: dict[str, Any]) -> Any:
    """A conversation as the model reads it."""
    return {
        "prompt_token_ids": tokenizer.apply_chat_template(
            request["messages"], add_generation_prompt=True, return_dict=False
        )
    }


def parameters(request: dict[str, Any], sampling: dict[str, Any]) -> SamplingParams:
    """How a request is answered."""
    schema = request["schema"]
    return SamplingParams(
        **sampling,
        seed=request["seed"],
        structured_outputs=StructuredOutputsParams(json=schema) if schema else None,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def answer(output: RequestOutput) -> dict[str, Any]:
    """What is told of an answer."""
    (completion,) = output.outputs
    told = {
        "id": output.request_id,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "prompt_tokens": len(output.prompt_token_ids or ()),
        "completion_tokens": len(completion.token_ids),
    }
    if completion.finish_reason not in ("stop", "length"):
        told["error"] = f"vLLM ended the answer: {completion.finish_reason}"
    return told


if __name__ == "__main__":
    main()
