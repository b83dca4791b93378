"""llama.cpp on a GGUF file: its own server, started when it is first asked and stopped at the end."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import Any

from unicorn.errors import UserError, in_a_line
from unicorn.files import locate
from unicorn.llm.child import Child
from unicorn.llm.generator import Generator, Request, Result
from unicorn.llm.local import LocalSettings
from unicorn.llm.openai import OpenAISettings

_SERVER = Path(__file__).with_name("engines") / "llamacpp_server.py"
_TOLD = ("parallel", "context", "threads")  # to the server
_DAY = 86_400.0  # seconds; a slow machine may take long to answer, and a server that has ended is seen at once


@dataclass(kw_only=True)
class LlamaCppSettings(LocalSettings):
    """`model` is a GGUF file, or a folder, a name on the Hub or `package:PACKAGE`, in which `gguf_file` is one."""

    gguf_file: str | None = None
    threads: int | None = None
    """Of the CPU; null: as many as llama.cpp finds good."""
    parallel: int = 4
    """Requests that are answered at once."""
    context: int = 4096
    """Tokens of a request and its answer together; memory grows with this times `parallel`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_one_or_more("threads", "parallel")
        if self.context <= self.max_tokens:
            raise UserError(
                f"llm.context={self.context} leaves no room for a question beside an answer of "
                f"llm.max_tokens={self.max_tokens}. Set context higher, or max_tokens lower."
            )

    def build(self) -> "LlamaCppGenerator":
        """The generator, which starts its server when it is first asked. Raises UserError without xllamacpp."""
        if find_spec("xllamacpp") is None:
            raise UserError("llm=llamacpp needs a package that is not here: pip install 'unicorn-vlm[llamacpp]'.")
        return LlamaCppGenerator(self)

    def path(self) -> Path:
        """The GGUF file, fetched from the Hub if need be. Raises UserError where there is none."""
        place = Path(locate(self.model)).expanduser()
        if self.gguf_file and not place.is_dir():
            return self._fetched(self.gguf_file)
        path = place / self.gguf_file if self.gguf_file else place
        if not path.is_file():
            raise UserError(
                f"no GGUF file at {path}. Set llm.model to one, or to a name on the Hub and llm.gguf_file to its file."
            )
        return path

    def _fetched(self, file: str) -> Path:
        from huggingface_hub import hf_hub_download

        try:
            return Path(hf_hub_download(self.model, file, revision=self.revision))
        except Exception as error:  # of its own, or of the client below it, which changes with its version
            raise UserError(
                f"cannot fetch {file} of llm.model={self.model}: {in_a_line(error)}. Mend the names, or connect to "
                "the Hub."
            ) from error


class LlamaCppGenerator:
    """Asks a server of its own as any OpenAI-compatible one."""

    def __init__(self, settings: LlamaCppSettings) -> None:
        self._settings = settings
        self._held = ExitStack()
        self._running: tuple[Child, Generator] | None = None  # the server, and the client that asks it

    @property
    def name(self) -> str:
        """The model, and the GGUF file of it."""
        return self._settings.name(self._settings.gguf_file)

    @property
    def made_by(self) -> dict[str, Any]:
        """How answers are sampled, and of which revision."""
        return {"revision": self._settings.revision, **self._settings.sampling}

    @property
    def health(self) -> str:
        """The client's word on the server."""
        return self._running[1].health if self._running else ""

    def cost(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Nothing is paid for it."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        """One result for each request. Raises UserError where the server does not start, or ends."""
        requests = iter(requests)
        if (first := next(requests, None)) is None:
            return
        server, client = self._running or self._start()
        for result in client.generate(chain([first], requests)):
            if result.error and server.ended():
                raise UserError(
                    f"the server of llama.cpp has ended: {server.last_words()}. Run the command again to go on."
                )
            yield result

    def close(self) -> None:
        """Stop the server, whatever it is answering."""
        self._held.close()
        self._running = None

    def _start(self) -> tuple[Child, Generator]:
        """Start the server, and wait until it has loaded the model."""
        settings = self._settings
        told = {"path": str(settings.path()), **{key: getattr(settings, key) for key in _TOLD}}
        server = Child(_SERVER, told, errors=r" E (.*)")
        self._held.callback(server.close)
        if not (address := server.read().decode()):
            raise UserError(
                f"llama.cpp cannot serve llm.model={settings.model}: {server.last_words()}. Mend or change it."
            )
        client = OpenAISettings(
            model=self.name,
            endpoints=[f"{address}/v1"],
            api_key_env="",
            concurrency=2 * settings.parallel,  # the next are there when one is answered
            timeout=_DAY,
            max_tries=2,
            extra_body={"samplers": ["temperature", "top_p"]},  # and none of llama.cpp's own, as everywhere
            **settings.sampling,
        ).build()
        self._held.callback(client.close)
        self._running = server, client
        return server, client
