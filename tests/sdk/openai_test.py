"""The unmodified SDK of OpenAI for Python against `lb serve` over `lb mock`.

openai_test.py LB      LB: the program. Prints "ok NAME" or "not ok NAME" for each test. world.json has the mocks and
the routes.
"""
import asyncio
import json
import statistics
import sys
import time

import openai

from world import CLIENT_KEY, raised, run, until

ASK = [{"role": "user", "content": "Say something."}]


def chat(client, model, **more):
    return client.chat.completions.create(model=model, messages=ASK, **more)


def plain(world, client):
    answer = chat(client, "chat")
    assert answer.object == "chat.completion" and answer.model == "chat"
    assert answer.choices[0].message.content.startswith("east: a mock answers")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 12 and answer.usage.total_tokens > 12
    raw = client.chat.completions.with_raw_response.create(model="chat", messages=ASK)
    assert raw.headers["x-lb-served-by"] == "east" and raw.headers["x-lb-attempts"] == "1"
    assert raw.parse().choices[0].message.role == "assistant"


def streamed(world, client):
    whole = chat(client, "chat").choices[0].message.content
    chunks = list(chat(client, "chat", stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole, text
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == 12 and not chunks[-1].choices
    assert len({c.id for c in chunks}) == 1
    assert all(c.usage is None for c in chat(client, "chat", stream=True))


def completions(world, client):
    answer = client.completions.create(model="chat", prompt="Say")
    assert answer.choices[0].text.startswith("east:")
    stream = client.completions.create(model="chat", prompt="Say", stream=True)
    assert "".join(c.choices[0].text for c in stream) == answer.choices[0].text


def renamed(world, client):
    assert chat(client, "renamed").choices[0].message.content.startswith("east:")
    assert len(world.calls("east", "name-upstream")) == 1 and not world.calls("east", "renamed")


def embeddings(world, client):
    packed = client.embeddings.create(model="chat", input=["a", "b"], dimensions=5)  # The SDK asks for base64.
    floats = client.embeddings.create(model="chat", input=["a", "b"], dimensions=5, encoding_format="float")
    assert len(packed.data) == len(floats.data) == 2
    for left, right in zip(packed.data, floats.data):
        assert len(left.embedding) == len(right.embedding) == 5
        assert all(abs(a - b) < 1e-6 for a, b in zip(left.embedding, right.embedding))
    assert packed.usage.prompt_tokens > 0


def responses(world, client):
    answer = client.responses.create(model="chat", input="Say something.")
    assert answer.status == "completed" and answer.output_text.startswith("east:")
    assert answer.usage.output_tokens == 12
    events = list(client.responses.create(model="chat", input="Say something.", stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == answer.output_text
    assert [e.sequence_number for e in events] == list(range(len(events)))


def models(world, client):
    names = {model.id for model in client.models.list()}
    assert {"chat", "renamed", "limited", "locked"} <= names and "name-upstream" not in names


def bad_request(world, client):
    error = raised(openai.BadRequestError, lambda: chat(client, "bad"))
    assert error.status_code == 400 and error.code == "context_length_exceeded" and "too long" in error.message
    raised(openai.BadRequestError, lambda: chat(client, "bad", stream=True))


def unknown_model(world, client):
    error = raised(openai.NotFoundError, lambda: chat(client, "no-such-model"))
    assert error.code == "model_not_found" and "no-such-model" in error.message


def all_limited(world, client):
    error = raised(openai.RateLimitError, lambda: chat(client, "limited"))
    assert 1 <= float(error.response.headers["retry-after"]) <= 7
    assert len(world.calls("east", "limited")) == len(world.calls("west", "limited")) == 1
    raised(openai.RateLimitError, lambda: chat(client, "limited", stream=True))
    assert len(world.calls("east", "limited")) == 1  # It cools; nobody was asked again.


def all_down(world, client):
    error = raised(openai.InternalServerError, lambda: chat(client, "down"))
    assert error.status_code >= 500
    assert world.calls("east", "down") and world.calls("west", "down")


def upstream_key_refused(world, client):
    """The upstream's last answer is passed on, and no key with it."""
    error = raised(openai.AuthenticationError, lambda: chat(client, "locked"))
    assert error.response.headers["x-lb-attempts"] == "1"
    assert "key-of-frail" not in str(error) + str(error.response.headers)


def cut_before_the_head(world, client):
    raised(openai.InternalServerError, lambda: chat(client, "cut"))


def broken_stream(world, client):
    seen = []
    error = raised(openai.APIError, lambda: [seen.append(chunk) for chunk in chat(client, "broken", stream=True)])
    text = "".join(c.choices[0].delta.content or "" for c in seen)
    assert text == "frail: a mock", text
    assert error.message


def complaint_in_a_stream(world, client):
    seen = []
    error = raised(openai.APIError, lambda: [seen.append(chunk) for chunk in chat(client, "complaint", stream=True)])
    assert "".join(c.choices[0].delta.content or "" for c in seen) == "frail: a mock"
    assert "overloaded (mock)" in error.message, error.message


def failover(world, client):
    raw = client.chat.completions.with_raw_response.create(model="failover", messages=ASK)
    assert raw.headers["x-lb-served-by"] == "west"
    assert raw.parse().choices[0].message.content.startswith("west:")
    assert int(raw.headers["x-lb-attempts"]) == 2
    for _ in range(5):
        text = "".join(c.choices[0].delta.content or "" for c in chat(client, "failover", stream=True))
        assert text.startswith("west:"), text
    assert world.calls("east", "failover")


def nobody_listens(world, client):
    lost = openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key=CLIENT_KEY, max_retries=0)
    raised(openai.APIConnectionError, lambda: chat(lost, "chat"))


def closed_after_ms(world, left_ms):
    """How long after `left_ms` the mock saw the last call for "long" or "silent" end by its client's close."""
    def ended():
        calls = [c for c in world.journal("east")["calls"] if c["model"] in ("long", "silent")]
        return calls and calls[-1]["end"] == "client_closed" and calls[-1]
    return until(ended)["end_ms"] - left_ms


def abort_in_mid_stream(world, client):
    took = []
    for _ in range(5):
        stream = chat(client, "long", stream=True)
        for _ in range(3):
            next(stream)
        left_ms = time.monotonic() * 1000
        stream.close()
        took.append(closed_after_ms(world, left_ms))
    assert statistics.median(took) <= 100, took
    print(f"# the mock saw the close {statistics.median(took):.1f} ms after the abort (median of {len(took)})")


def timeout_before_the_head(world, client):
    raised(openai.APITimeoutError, lambda: chat(client, "silent", timeout=0.2))
    call = world.calls("east", "silent")[-1]
    took = closed_after_ms(world, call["start_ms"] + 200)
    assert took <= 2000, took  # From the start of the call; the SDK itself is in this.


def many_at_once(world, client):
    async def one(many, index):
        if index % 2 == 0:
            return (await chat(many, "chat")).choices[0].message.content
        stream = await chat(many, "chat", stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream])

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=world.url + "/v1", api_key=CLIENT_KEY, max_retries=0) as many:
            return await asyncio.gather(*(one(many, i) for i in range(60)))

    answers = asyncio.run(all_of_them())
    assert len(answers) == 60 and len(set(answers)) == 1 and answers[0].startswith("east:")


def large_body(world, client):
    size = 3_000_000
    answer = client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "x" * size}])
    assert answer.usage.prompt_tokens >= size // 4
    assert max(call["body_bytes"] for call in world.calls("east", "chat")) > size


def callers_key_stays_here(world, client):
    """Over everything that the tests before have sent: no field holds what is the caller's."""
    named = openai.OpenAI(base_url=world.url + "/v1", api_key=CLIENT_KEY, max_retries=0,
                          organization="org-of-the-caller", project="proj-of-the-caller",
                          default_headers={"cookie": "session=of-the-caller"})
    chat(named, "chat")
    seen = 0
    for mock, keys in (("east", "key-of-east"), ("west", "key-of-west"), ("frail", "key-of-frail")):
        for call in world.journal(mock)["calls"]:
            seen += 1
            text = json.dumps(call["headers"])
            assert CLIENT_KEY not in text and "of-the-caller" not in text, text
            assert "cookie" not in call["headers"]
            refused = "-refused" if call["model"] == "locked" else ""
            assert call["headers"]["authorization"] == "Bearer " + keys + refused
    assert seen > 60


TESTS = [
    plain, streamed, completions, renamed, embeddings, responses, models, bad_request, unknown_model, all_limited,
    all_down, upstream_key_refused, cut_before_the_head, broken_stream, complaint_in_a_stream, failover,
    nobody_listens, abort_in_mid_stream, timeout_before_the_head, many_at_once, large_body, callers_key_stays_here,
]


if __name__ == "__main__":
    sys.exit(run("python openai", sys.argv[1], "world.json", {test.__name__: test for test in TESTS}, lambda world:
                 openai.OpenAI(base_url=world.url + "/v1", api_key=CLIENT_KEY, max_retries=0, timeout=30)))
