"""llm=openai beside a server that answers, fails, refuses and vanishes: one result a request, whatever happens."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

import orjson
import pytest

from bench.mock_server import MockServer, Model, Reply, completion
from unicorn.errors import UserError
from unicorn.llm import Request, Result
from unicorn.llm.openai import OpenAISettings, PriceSettings
from unicorn.records import Message, Role

SCHEMA = {"title": "thing", "type": "object", "properties": {"a": {"type": "string"}}}
KEY = "sk-very-secret"


def requests(count: int, schema: dict[str, Any] | None = None) -> Iterator[Request]:
    for number in range(count):
        message = Message(role=Role.USER, content=f"thing {number}")
        yield Request(id=f"id-{number}", messages=(message,), seed=number, schema=schema)


def ask(*servers: MockServer, count: int = 40, schema: dict[str, Any] | None = None, **settings: Any) -> list[Result]:
    """The results, checked to be one a request."""
    chosen = {"model": "mock", "concurrency": 8, "timeout": 5.0} | settings
    generator = OpenAISettings(endpoints=[server.address for server in servers], **chosen).build()
    results = list(generator.generate(requests(count, schema)))
    assert sorted(result.id for result in results) == sorted(f"id-{number}" for number in range(count))
    return results


class Kept:
    """Answers, and keeps the bodies that it answered; what `replies` gives comes before."""

    def __init__(self, *replies: Reply) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._replies = iter(replies)

    def __call__(self, body: dict[str, Any]) -> Reply:
        self.bodies.append(body)
        return next(self._replies, Reply(body=completion("Yes.")))


def test_a_request_says_all_that_a_server_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    kept = Kept()
    with MockServer(kept) as server:
        ask(server, count=1, schema=SCHEMA, temperature=0.5, top_p=1.0, max_tokens=9, extra_body={"top_k": 20})
        heads = server.heads
    assert kept.bodies == [
        {
            "model": "mock",
            "messages": [{"role": "user", "content": "thing 0"}],
            "seed": 0,
            "temperature": 0.5,
            "top_p": 1.0,
            "max_tokens": 9,
            "top_k": 20,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "thing", "schema": SCHEMA, "strict": True},
            },
        }
    ]
    assert f"Authorization: Bearer {KEY}".encode() in heads[0]
    assert heads[0].startswith(b"POST /v1/chat/completions HTTP/1.1")


def test_without_a_key_none_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with MockServer(Kept()) as server:
        ask(server, count=1)
        assert b"authorization" not in server.heads[0].lower()


def test_an_answer_is_read_with_its_end_and_its_tokens() -> None:
    with MockServer(Kept(Reply(body=completion("A long answer that was", "length")))) as server:
        (result,) = ask(server, count=1)
    tokens = {"prompt_tokens": 100, "completion_tokens": 5}
    assert result == Result(id="id-0", text="A long answer that was", finish_reason="length", **tokens)


@pytest.mark.parametrize(
    "fault",
    [
        Reply(status=429, headers={"Retry-After": "0"}),
        Reply(status=500, body=b"<html>oh no</html>"),
        Reply(status=503),
        Reply(status=0),
        Reply(status=-1),
        Reply(body=completion("cut")[:-9]),
        Reply(body=b'{"choices": []}'),
        Reply(body=b"[]"),
        Reply(body=b""),
    ],
)
def test_what_fails_on_the_way_is_sent_again(fault: Reply) -> None:
    kept = Kept(fault, fault)
    with MockServer(kept) as server:
        results = ask(server, timeout=0.3)
    assert {result.text for result in results} == {"Yes."}
    assert len(kept.bodies) == 42


def test_a_request_that_fails_every_time_is_a_result_with_the_reason() -> None:
    def hates_three(body: dict[str, Any]) -> Reply:
        if body["messages"][0]["content"] == "thing 3":
            return Reply(status=500, body=b'{"error": {"message": "not that one"}}')
        return Reply(body=completion("Yes."))

    with MockServer(hates_three) as server:
        results = ask(server, max_tries=2)
        port = server.port
    assert {result.id: result.error for result in results if result.error} == {
        "id-3": f"127.0.0.1:{port}: 500: not that one"
    }


@pytest.mark.parametrize("after", ["1", lambda: formatdate(time.time() + 2, usegmt=True)])
def test_a_server_that_says_when_to_come_back_is_left_alone_until_then(after: Any) -> None:
    times: list[float] = []

    def answer(body: dict[str, Any]) -> Reply:
        times.append(time.monotonic())
        seconds = after if isinstance(after, str) else after()
        return (
            Reply(status=429, headers={"Retry-After": seconds}) if len(times) == 1 else Reply(body=completion("Yes."))
        )

    with MockServer(answer) as server:
        ask(server, count=1)
    assert times[1] - times[0] > 0.9


class Bucket:
    """Answers so many requests a second, and turns the others away."""

    def __init__(self, rate: float, headers: dict[str, str]) -> None:
        self._rate, self._headers = rate, headers
        self._tokens, self._at = 1.0, time.monotonic()
        self.turned_away = 0

    def __call__(self, body: dict[str, Any]) -> Reply:
        now = time.monotonic()
        self._tokens, self._at = min(10.0, self._tokens + self._rate * (now - self._at)), now
        if self._tokens < 1:
            self.turned_away += 1
            return Reply(status=429, headers=self._headers)
        self._tokens -= 1
        return Reply(body=completion("Yes."), seconds=0.05)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0.2"}])
def test_a_rate_limit_costs_time_and_no_answers(headers: dict[str, str]) -> None:
    bucket = Bucket(100.0, headers)
    with MockServer(bucket) as server:
        results = ask(server, count=300, concurrency=128, max_tries=2)
    assert {result.error for result in results} == {None}
    assert bucket.turned_away > 50


def test_a_server_that_wants_to_be_left_alone_for_a_day_ends_it_in_a_line() -> None:
    busy = Reply(status=429, headers={"Retry-After": "86400"})
    began = time.monotonic()
    with (
        MockServer(lambda _: busy) as server,
        pytest.raises(UserError, match=r"and none will for 8\d+ s more .*429"),
    ):
        ask(server, patience=60.0)
    assert time.monotonic() - began < 10


def test_answers_in_parts_and_tokens_that_nobody_counts_are_read() -> None:
    said = {"content": [{"type": "text", "text": "Yes"}, {"type": "text", "text": "."}]}
    usage = {"prompt_tokens": None, "completion_tokens": 7.0}
    with MockServer(lambda _: Reply(body=orjson.dumps({"choices": [{"message": said}], "usage": usage}))) as server:
        (result,) = ask(server, count=1)
    assert result == Result(id="id-0", text="Yes.", completion_tokens=7)


def test_what_extra_body_makes_null_is_not_said() -> None:
    kept = Kept()
    with MockServer(kept) as server:
        ask(server, count=1, extra_body={"max_tokens": None, "max_completion_tokens": 9})
    assert "max_tokens" not in kept.bodies[0]
    assert kept.bodies[0]["max_completion_tokens"] == 9


def test_the_endpoint_with_the_fewest_in_flight_is_asked_most() -> None:
    fast, slow = MockServer(Model(0.01)), MockServer(Model(0.3))
    with fast, slow:
        ask(fast, slow, count=200)
        assert len(fast.heads) > 3 * len(slow.heads) > 0


def test_an_endpoint_that_vanishes_rests_while_others_work_and_comes_back() -> None:
    steady, fragile = MockServer(Model(0.02)), MockServer(Model(0.02))
    settings = {"endpoints": [], "model": "mock", "concurrency": 8}
    with steady:
        with fragile:
            settings["endpoints"] = [steady.address, fragile.address]
            generator = OpenAISettings(**settings).build()
            stream = generator.generate(requests(2000))
            results = list(itertools.islice(stream, 100))
        results += itertools.islice(stream, 300)
        assert "rests for" in generator.health
        asked = len(fragile.heads)
        with fragile:  # at the port that it had
            results += stream
            assert len(fragile.heads) > asked + 100
    assert Counter(result.error for result in results) == {None: 2000}
    assert len({result.id for result in results}) == 2000


def test_a_server_that_takes_no_schema_is_asked_without() -> None:
    def takes_no_schema(body: dict[str, Any]) -> Reply:
        refused = "response_format" in body
        return Reply(status=400, body=b'{"error": "response_format?"}') if refused else Reply(body=completion("{}"))

    with MockServer(takes_no_schema) as server:
        results = ask(server, schema=SCHEMA)
        assert {result.text for result in results} == {"{}"}
        assert len(server.heads) < 40 + 8 + 1  # those in flight until the first answer, and no more


def test_a_request_that_is_refused_is_a_result_and_no_reason_to_drop_the_schema() -> None:
    def takes_no_three(body: dict[str, Any]) -> Reply:
        bad = body["messages"][0]["content"] == "thing 3"
        bound = "response_format" in body
        return Reply(status=400, body=b'{"message": "too long"}') if bad else Reply(body=completion(f"{bound}"))

    with MockServer(takes_no_three) as server:
        results = ask(server, schema=SCHEMA)
    assert Counter(result.error or result.text for result in results) == {"True": 39, "400: too long": 1}
    assert [result.id for result in results if result.refused] == ["id-3"]


@pytest.mark.parametrize("status", [401, 403, 404, 301])
def test_a_server_that_refuses_key_or_model_ends_it_in_a_line_without_the_key(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    refusal = Reply(status=status, body=orjson.dumps({"error": {"message": f"no {KEY} here"}}))
    with (
        MockServer(lambda _: refusal) as server,
        pytest.raises(
            UserError, match=rf"does not take requests for mock \({status}: no \.\.\. here\). Mend .* MY_KEY"
        ),
    ):
        ask(server, api_key_env="MY_KEY")


def test_a_proxy_that_loses_a_server_for_a_moment_is_no_reason_to_end() -> None:
    kept = Kept(*[Reply(body=completion("Yes."))] * 10, *[Reply(status=404)] * 3)
    with MockServer(kept) as server:
        assert {result.text for result in ask(server)} == {"Yes."}


def test_no_server_at_all_ends_it_in_a_line() -> None:
    with MockServer(Model()) as server:
        pass
    with pytest.raises(UserError, match=r"no endpoint of llm\.endpoints has answered for \d+ s .*Start the servers"):
        ask(server, patience=0.3)


def test_no_more_is_taken_than_is_in_flight_or_handed_on() -> None:
    taken = 0

    def counted() -> Iterator[Request]:
        nonlocal taken
        for request in requests(1000):
            taken += 1
            yield request

    with MockServer(Model(0.02)) as server:
        settings = OpenAISettings(model="mock", endpoints=[server.address], concurrency=8)
        for number, _ in enumerate(settings.build().generate(counted())):
            assert taken <= number + 1 + 8 + 40  # a few rounds land while the first is waited for


def test_an_abandoned_stream_lets_go_of_its_connections() -> None:
    threads = threading.active_count()
    with MockServer(Model(0.05)) as server:
        stream = OpenAISettings(model="mock", endpoints=[server.address], concurrency=8).build().generate(requests(100))
        next(stream)
        stream.close()
        deadline = time.monotonic() + 5
        while server.transports and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not server.transports
    assert threading.active_count() == threads


def test_tokens_have_a_price_where_there_is_one() -> None:
    assert OpenAISettings(model="mock").build().cost(10, 10) is None
    priced = OpenAISettings(model="mock", price=PriceSettings(prompt=0.5, completion=1.5)).build()
    assert priced.cost(2_000_000, 1_000_000) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"endpoints": []}, r"llm\.endpoints=\[\]: name at least one"),
        ({"endpoints": ["localhost:8000"]}, r"llm\.endpoints\[0\]=localhost:8000: not an address"),
        ({"endpoints": [f"http://me:{KEY}@host/v1"]}, r"llm\.endpoints\[0\] holds a user, a password or a query"),
        ({"endpoints": [f"http://host/v1?key={KEY}"]}, r"llm\.endpoints\[0\] holds a user, a password or a query"),
        ({"concurrency": 0}, r"llm\.concurrency=0: must be more than 0"),
        ({"temperature": -1.0}, r"llm\.temperature=-1\.0: must be 0 or more"),
        ({"top_p": 0.0}, r"llm\.top_p=0\.0: must be above 0, and 1 at most"),
        ({"max_tokens": 0}, r"llm\.max_tokens=0 is too few: one is the least"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], line: str) -> None:
    with pytest.raises(UserError, match=line) as raised:
        OpenAISettings(**{"model": "mock"} | settings)
    assert KEY not in str(raised.value)
