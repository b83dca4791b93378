"""Any server that speaks OpenAI's chat completions: vLLM, SGLang, llama.cpp, a provider; several of them at once."""

import asyncio
import logging
import os
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.utils import mktime_tz, parsedate_tz
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from unicorn.errors import UserError, in_a_line
from unicorn.llm.chat import TooManyError, UnavailableError, read_answer, read_complaint, request_body
from unicorn.llm.endpoint import Endpoint, Endpoints
from unicorn.llm.flight import Flight
from unicorn.llm.generator import Request, Result
from unicorn.llm.sampling import SamplingSettings

if TYPE_CHECKING:  # it takes a third of a second
    import aiohttp

CONNECT_SECONDS = 30.0
LONGEST_PAUSE = 30.0  # seconds before a request is sent again
MOST_TURNED_AWAY = 100  # times that a request is one too many, before it counts as unanswered

AGAIN = {408, 409, 425}  # and all from 500: the request may be sent again as it is
REFUSED = {400, 413, 422}  # this request, and no other; or its schema

_log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class PriceSettings:
    """Dollars for a million tokens."""

    prompt: float = 0.0
    completion: float = 0.0


@dataclass(kw_only=True)
class OpenAISettings(SamplingSettings):
    """The servers, each at its base address, and how patient one is with them."""

    endpoints: list[str] = field(default_factory=lambda: ["https://api.openai.com/v1"])
    api_key_env: str = "OPENAI_API_KEY"  # the environment variable that holds the key; without it none is sent
    concurrency: int = 256  # requests in flight at each endpoint
    timeout: float = 300.0  # seconds for an answer
    max_tries: int = 6  # of a request that fails on its way, before it counts as unanswered
    patience: float = 300.0  # seconds without an answer of any endpoint, before all is stopped
    extra_body: dict[str, Any] = field(default_factory=dict[str, Any])  # what else each request says; null: says not
    price: PriceSettings = field(default_factory=PriceSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("concurrency", "max_tries", "timeout", "patience"):
            if getattr(self, key) <= 0:
                raise UserError(f"llm.{key}={getattr(self, key)}: must be more than 0.")
        if not self.endpoints:
            raise UserError("llm.endpoints=[]: name at least one, such as http://localhost:8000/v1.")
        for number, endpoint in enumerate(self.endpoints):
            url = urlsplit(endpoint)
            if url.username or url.password or url.query:  # not shown: it may hold a key
                raise UserError(
                    f"llm.endpoints[{number}] holds a user, a password or a query. "
                    "Put the key into the environment variable that llm.api_key_env names."
                )
            if url.scheme not in ("http", "https") or not url.netloc:
                raise UserError(f"llm.endpoints[{number}]={endpoint}: not an address such as http://localhost:8000/v1.")

    def build(self) -> "OpenAIGenerator":
        """Nothing is asked before the first request."""
        return OpenAIGenerator(self, os.environ.get(self.api_key_env, ""))


class OpenAIGenerator:
    """Keeps every endpoint full, in one thread: the loop of asyncio runs while an answer is waited for.

    A request that fails on its way is sent again, to another endpoint if there is one, after a pause that is drawn at
    random and grows with each try.
    """

    def __init__(self, settings: OpenAISettings, key: str) -> None:
        self._settings = settings
        self._key = key
        endpoints = [Endpoint(address, settings.concurrency) for address in settings.endpoints]
        self._endpoints = Endpoints(endpoints, settings.patience)
        self._fixed = {"model": settings.model} | settings.sampling | settings.extra_body

    @property
    def name(self) -> str:
        """The model, as the servers name it."""
        return self._settings.model

    @property
    def made_by(self) -> dict[str, Any]:
        """How answers are drawn; which server drew one is no matter."""
        return self._settings.sampling | {"extra_body": self._settings.extra_body}

    @property
    def health(self) -> str:
        """What each endpoint has in flight, how often it has failed, and whether it rests."""
        return self._endpoints.health

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        """At the price of the settings."""
        price = self._settings.price
        dollars = (price.prompt * prompt_tokens + price.completion * completion_tokens) / 1e6
        return dollars if price.prompt or price.completion else None

    def close(self) -> None:
        """Connections live as long as `generate` does."""

    def generate(self, requests: Iterable[Request]) -> Iterator[Result]:
        """See Generator. Raises UserError if no endpoint answers, or one refuses the key or the model."""
        self._endpoints.begin()
        with asyncio.Runner() as runner:
            session = runner.run(self._connect())
            size = self._settings.concurrency * len(self._endpoints.all)
            flight = Flight(iter(requests), partial(self._answer, session), size)
            try:
                while results := runner.run(flight.land()):
                    yield from results
            finally:
                runner.run(flight.end())
                runner.run(session.close())

    async def _connect(self) -> "aiohttp.ClientSession":
        import aiohttp

        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Content-Type": "application/json"} | key,
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout, sock_connect=CONNECT_SECONDS),
        )

    async def _answer(self, session: "aiohttp.ClientSession", request: Request) -> Result:
        """The answer to one request, after as many tries as it may take. Raises UserError."""
        tries = turned_away = 0
        reason = ""
        while tries < self._settings.max_tries and turned_away < MOST_TURNED_AWAY:
            if pauses := tries + turned_away:
                await asyncio.sleep(random.uniform(0.0, min(0.5 * 2**pauses, LONGEST_PAUSE)))
            endpoint = await self._endpoints.choose()
            began = time.monotonic()
            endpoint.in_flight += 1
            try:
                result = await self._try(session, endpoint, request)
            except TooManyError as error:  # which says nothing of this request: it is no try of it
                turned_away += 1
                reason = f"{endpoint.host}: {error}"
                endpoint.asks_for_less(str(error), began, error.seconds)
                self._endpoints.require_life()
            except UnavailableError as error:
                tries += 1
                reason = f"{endpoint.host}: {error}"
                endpoint.failed(str(error), began)
                self._endpoints.require_life()
            else:
                self._endpoints.answered(endpoint)
                return result
            finally:
                endpoint.in_flight -= 1
        return Result(id=request.id, error=reason)

    async def _try(self, session: "aiohttp.ClientSession", endpoint: Endpoint, request: Request) -> Result:
        """One try, in which a server that refuses a schema is asked without.

        Raises UnavailableError, TooManyError and UserError.
        """
        structured = request.schema is not None and endpoint.takes_schemas is not False
        status, content, after = await self._post(session, endpoint, request, structured=structured)
        if status in REFUSED and structured and endpoint.takes_schemas is None:
            status, content, after = await self._post(session, endpoint, request, structured=False)
            if status == HTTPStatus.OK:
                endpoint.takes_schemas = False
                _log.info("%s takes no JSON schema: its answers are checked, and not bound to it", endpoint.host)
        elif status == HTTPStatus.OK and structured:
            endpoint.takes_schemas = True
        if status == HTTPStatus.OK:
            return read_answer(request.id, content)
        complaint = self._without_key(read_complaint(status, content))
        if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and after is not None):
            raise TooManyError(complaint, after)
        if status in AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise UnavailableError(complaint)
        if status in REFUSED:
            return Result(id=request.id, error=complaint, refused=True)
        if endpoint.answers:  # it knew key and model before: what stands in front of it does not
            raise UnavailableError(complaint)
        raise UserError(
            f"{endpoint.host} does not take requests for {self.name} ({complaint}). "
            f"Mend llm.endpoints, llm.model or the key in {self._settings.api_key_env}."
        )

    async def _post(
        self, session: "aiohttp.ClientSession", endpoint: Endpoint, request: Request, *, structured: bool
    ) -> tuple[int, bytes, float | None]:
        """Status, content, and in how many seconds the server wants to be asked again. Raises UnavailableError."""
        from aiohttp import ClientError

        data = request_body(self._fixed, request, structured=structured)
        try:
            async with session.post(endpoint.url, data=data, allow_redirects=False) as response:
                return response.status, await response.read(), _seconds(response.headers.get("Retry-After"))
        except TimeoutError as error:
            raise UnavailableError(f"no answer in {self._settings.timeout:g} s") from error
        except (ClientError, OSError) as error:
            raise UnavailableError(self._without_key(in_a_line(error))) from error

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "...") if self._key else text


def _seconds(retry_after: str | None) -> float | None:
    """The header, in seconds from now; None where there is none that can be read."""
    if not retry_after:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        date = parsedate_tz(retry_after)
        return max(0.0, mktime_tz(date) - time.time()) if date else None
