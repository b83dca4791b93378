"""vLLM on the GPUs of this machine: no server, schemas held to, and what prompts have in common computed once."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from shutil import which
from typing import Any

import orjson

from unicorn.errors import UserError, in_a_line
from unicorn.files import locate
from unicorn.llm.child import Child
from unicorn.llm.generator import Request, Result
from unicorn.llm.local import LocalSettings

_ENGINE = Path(__file__).with_name("engines") / "vllm_engine.py"
_ERROR = r"(\w+Error: (?!Engine).*)"  # one that its engine has ended is vLLM's way to say that there is another


@dataclass(kw_only=True)
class VLLMSettings(LocalSettings):
    """`model` is a folder, or a name on the Hub.

    vLLM wants its own versions of torch and transformers, other than those of Unicorn at most times. So it runs as a
    process, of the environment that `python` is of.
    """

    python: str | None = None
    """The interpreter of an environment that has vLLM; null: this one."""
    dtype: str = "auto"
    """As vLLM names it: auto (the checkpoint's own), bfloat16, float16, float32."""
    gpus: int = 1
    """Over which the model is split."""
    gpu_memory: float = 0.9
    """The share of each GPU's memory that vLLM takes."""
    context: int | None = None
    """Tokens of a request and its answer together; null: as many as the model reads."""
    concurrency: int = 256
    """Requests that are answered at once."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_one_or_more("gpus", "context", "concurrency")
        self.require_share("gpu_memory")

    def build(self) -> "VLLMGenerator":
        """The generator, which starts vLLM when it is first asked. Raises UserError where there is none."""
        if self.python is None and find_spec("vllm") is None:
            raise UserError(
                "llm=vllm needs vLLM, which has an environment of its own: python -m venv vllm && vllm/bin/pip install "
                "'vllm>=0.33'. Then set llm.python=vllm/bin/python."
            )
        if self.python is not None and which(self.python) is None:
            raise UserError(
                f"llm.python={self.python} is no program here. Set it to the python of an environment with vLLM."
            )
        return VLLMGenerator(self)

    @property
    def engine(self) -> dict[str, Any]:
        """The arguments of vLLM's engine."""
        return {
            "model": locate(self.model),
            "revision": self.revision,
            "dtype": self.dtype,
            "tensor_parallel_size": self.gpus,
            "gpu_memory_utilization": self.gpu_memory,
            "max_model_len": self.context,
            "max_num_seqs": self.concurrency,
            "enable_prefix_caching": True,
            "disable_log_stats": True,
        }


class VLLMGenerator:
    """Keeps `concurrency` requests with the engine and gives answers as they are finished."""

    def __init__(self, settings: VLLMSettings) -> None:
        self._settings = settings
        self._child: Child | None = None
        self._keys = count()
        self._health = ""

    @property
    def name(self) -> str:
        """The model."""
        return self._settings.name()

    @property
    def made_by(self) -> dict[str, Any]:
        """How answers are sampled, of which revision, and in which type they are computed."""
        settings = self._settings
        return {"revision": settings.revision, "dtype": settings.dtype, **settings.sampling}

    @property
    def health(self) -> str:
        """The speed since it was last asked for a stream of answers."""
        return self._health

    def cost(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Nothing is paid for it."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        """One result for each request, as they are finished. Raises UserError where vLLM does not start, or ends."""
        requests = iter(requests)
        waiting: dict[str, str] = {}  # the ids of requests by the keys that they are given, which never come twice
        began, tokens = time.monotonic(), 0
        while True:
            while len(waiting) < self._settings.concurrency and (request := next(requests, None)) is not None:
                key = str(next(self._keys))
                waiting[key] = request.id
                self._engine().write(orjson.dumps(asdict(request) | {"id": key}))
            if not waiting:
                return
            told = self._answer()
            key = told.pop("id")
            if key not in waiting:  # of a stream that was left before its end
                continue
            result = Result(id=waiting.pop(key), **told)
            tokens += result.completion_tokens
            self._health = f"{tokens / (time.monotonic() - began):,.0f} tokens/s, {len(waiting)} in flight"
            yield result

    def close(self) -> None:
        """End vLLM, whatever it is answering."""
        if self._child:
            self._child.close()
            self._child = None

    def _engine(self) -> Child:
        """The running engine, which has loaded the model."""
        if self._child is None:
            settings = self._settings
            told = {"engine": settings.engine, "sampling": settings.sampling}
            python = {"python": settings.python} if settings.python else {}
            self._child = Child(_ENGINE, told, errors=_ERROR, **python)
            if not self._child.read():
                raise UserError(
                    f"vLLM cannot run llm.model={settings.model}: {self._child.last_words()}. Mend what it names; of "
                    "memory it takes less with a lower llm.context, llm.concurrency, or more llm.gpus."
                )
        return self._child

    def _answer(self) -> dict[str, Any]:
        engine = self._engine()
        if not (line := engine.read()):
            raise UserError(f"vLLM has ended: {engine.last_words()}. Run the command again to go on from here.")
        told = orjson.loads(line)
        if "error" in told:
            refused = told.get("refused", False)
            told = {"id": told["id"], "error": in_a_line(told["error"]), "refused": refused}
        return told
