"""The unmodified SDK of Anthropic for Python, served by OpenAI-style and by Gemini-style upstreams: `lb serve` over
`lb mock`.

anthropic_test.py LB      LB: the program. Prints "ok NAME" or "not ok NAME" for each test. dialects.json has the mock
and the deployments.
"""
import asyncio
import functools
import sys

import anthropic
import pydantic

from world import CLIENT_KEY, raised, run, until

TEXT = "mock: a mock answers in words that mean little and cost nothing"
ASK = [{"role": "user", "content": "Say something."}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOLS = [
    {"name": "weather", "description": "Of a city.", "input_schema": {
        "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}},
    {"name": "clock", "input_schema": {"type": "object", "properties": {}}},
]
WEATHER = {"city": "mock city", "days": 7}


def say(client, model, **more):
    return client.messages.create(**{"model": model, "max_tokens": 2000, "messages": ASK, **more})


def streamed(client, model, **more):
    """The events, and the message that the SDK makes of them."""
    with client.messages.stream(**{"model": model, "max_tokens": 2000, "messages": ASK, **more}) as stream:
        events = list(stream)
        return events, stream.get_final_message()


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def plain(up, world, client):
    raw = client.messages.with_raw_response.create(model=f"{up}-talk", max_tokens=100, messages=ASK)
    assert raw.headers["x-lb-served-by"] == up and raw.headers["x-lb-attempts"] == "1"
    message = raw.parse()
    # What is passed through stays as it is, the model's name too.
    assert message.model == ("talk" if up == "anthropic" else f"{up}-talk")
    assert message.type == "message" and message.role == "assistant"
    assert message.id.startswith("msg_") and [block.type for block in message.content] == ["text"]
    assert text_of(message) == TEXT and message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 12 and message.usage.input_tokens > 1


def stream(up, world, client):
    events, message = streamed(client, f"{up}-talk")
    assert text_of(message) == TEXT and message.stop_reason == "end_turn"
    assert "".join(event.text for event in events if event.type == "text") == TEXT
    assert message.usage.output_tokens == 12 and message.usage.input_tokens > 1, message.usage
    kinds = [event.type for event in say(client, f"{up}-talk", stream=True)]
    assert kinds[:2] == ["message_start", "content_block_start"] and kinds.count("content_block_delta") == 12, kinds
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"], kinds


def system_and_settings(up, world, client):
    blocks = [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    say(client, f"{up}-talk", system=blocks, extra_body={"temperature": 0.5, "top_p": None}, stop_sequences=["STOP"])
    asked = world.last_body("mock", "talk")
    if up == "openai":
        assert [message["role"] for message in asked["messages"]] == ["system", "user"], asked
        assert "Be brief." in str(asked["messages"][0]) and "Be kind." in str(asked["messages"][0]), asked
        assert asked["temperature"] == 0.5 and asked["stop"] == ["STOP"] and asked["max_completion_tokens"] == 2000
    else:
        assert [part["text"] for part in asked["systemInstruction"]["parts"]] == ["Be brief.", "Be kind."], asked
        settings = asked["generationConfig"]
        assert settings["temperature"] == 0.5 and settings["stopSequences"] == ["STOP"], asked
        assert settings["maxOutputTokens"] == 2000


def image(up, world, client):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    assert text_of(say(client, f"{up}-talk", messages=[{"role": "user", "content": content}])) == TEXT
    asked = world.last_body("mock", "talk")
    if up == "openai":
        assert asked["messages"][0]["content"][0]["image_url"]["url"] == "data:image/png;base64," + PIXEL
    else:
        assert asked["contents"][0]["parts"][0]["inlineData"] == {"mimeType": "image/png", "data": PIXEL}


def tools(up, world, client):
    """Three calls in a stream, whose fragments take turns upstream; then the results, and the answer."""
    events, message = streamed(client, f"{up}-tools", tools=TOOLS)
    calls = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use" and message.content[0].text == "mock: a"
    assert [(call.name, call.input) for call in calls] == [("weather", WEATHER), ("clock", {}), ("weather", WEATHER)]
    assert len({call.id for call in calls}) == 3
    # Blocks are never interleaved.
    opened = [event.index for event in events if event.type == "content_block_start"]
    closed = [event.index for event in events if event.type == "content_block_stop"]
    assert opened == closed == [0, 1, 2, 3]
    whole = say(client, f"{up}-tools", tools=TOOLS)
    assert [block.model_dump(include={"name", "input"}) for block in whole.content] == [
        block.model_dump(include={"name", "input"}) for block in message.content]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": f"result {i}"}
               for i, call in enumerate(calls)]
    results[2]["is_error"] = True
    turns = ASK + [{"role": "assistant", "content": message.content},
                   {"role": "user", "content": results + [{"type": "text", "text": "And now?"}]}]
    _, answer = streamed(client, f"{up}-tools", tools=TOOLS, messages=turns)
    assert text_of(answer) == "mock: a" and answer.stop_reason == "end_turn"
    asked = world.last_body("mock", "tools")
    if up == "openai":
        assert [turn["role"] for turn in asked["messages"]] == ["user", "assistant", "tool", "tool", "tool", "user"]
        made = [call["id"] for call in asked["messages"][1]["tool_calls"]]
        assert made == [turn["tool_call_id"] for turn in asked["messages"][2:5]] and len(set(made)) == 3
    else:
        assert [turn["role"] for turn in asked["contents"]] == ["user", "model", "user", "user"], asked["contents"]
        results = [part["functionResponse"] for part in asked["contents"][2]["parts"]]
        assert [result["name"] for result in results] == ["weather", "clock", "weather"], results
        assert results[2]["response"] == {"error": "result 2"}, results


def tool_choice(up, world, client):
    choice = {"type": "tool", "name": "clock", "disable_parallel_tool_use": True}
    say(client, f"{up}-tools", tools=TOOLS, tool_choice=choice)
    asked = world.last_body("mock", "tools")
    if up == "openai":
        assert asked["tool_choice"] == {"type": "function", "function": {"name": "clock"}}, asked
        assert asked["parallel_tool_calls"] is False
    else:
        assert asked["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["clock"]}, asked
    message = say(client, f"{up}-tools", tools=TOOLS, tool_choice={"type": "none"})
    assert message.stop_reason == "end_turn"


def thinking(up, world, client):
    """What was thought goes back with the calls, and is no reason to refuse; what was signed is signed again."""
    wanted = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "tools": TOOLS}
    _, message = streamed(client, f"{up}-think-tools", **wanted)
    # What Gemini signed is a call; the signature travels in a block of its own.
    signed = ["thinking"] if up == "gemini" else []
    assert [b.type for b in message.content] == ["thinking", "text", *signed, "tool_use", "tool_use"], message.content
    assert message.content[0].thinking == " a mock answers in" and message.content[1].text == "It is warm."
    whole = say(client, f"{up}-think", **wanted)
    assert whole.content[0].thinking == " a mock answers in" and text_of(whole) == TEXT
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "20"}
               for block in message.content if block.type == "tool_use"]
    turns = ASK + [{"role": "assistant", "content": message.content}, {"role": "user", "content": results}]
    assert text_of(say(client, f"{up}-think-tools", messages=turns, **wanted)) == "It is warm."
    asked = world.last_body("mock", "think-tools")
    if up == "openai":
        assert "thinking" not in str(asked["messages"]) and "signature" not in str(asked), asked
    else:
        calls = [part for part in asked["contents"][1]["parts"] if "functionCall" in part]
        assert calls[0]["thoughtSignature"] == "bW9jayBzaWduYXR1cmU=", calls


def errors(up, world, client):
    for how in ({}, {"stream": True}):
        error = raised(anthropic.BadRequestError, lambda: say(client, f"{up}-bad", **how))
        assert error.status_code == 400 and error.body["type"] == "error", error.body
        assert error.body["error"]["type"] == "invalid_request_error" and "too long (mock)" in str(error), error.body
        error = raised(anthropic.RateLimitError, lambda: say(client, f"{up}-limited", **how))
        assert 1 <= float(error.response.headers["retry-after"]) <= 7
        assert error.body["error"]["type"] == "rate_limit_error", error.body
        error = raised(anthropic.NotFoundError, lambda: say(client, "no-such-model", **how))
        assert "no-such-model" in str(error) and error.body["error"]["type"] == "not_found_error", error.body
        error = raised(anthropic.InternalServerError, lambda: say(client, f"{up}-down", **how))
        assert error.body["error"]["type"] == "api_error", error.body
    # Once: then the key is known to be refused.
    error = raised(anthropic.AuthenticationError, lambda: say(client, f"{up}-locked", stream=True))
    assert error.body["error"]["type"] == "authentication_error" and "key-of" not in str(error), error.body
    if up != "anthropic":  # Which would say so itself.
        turns = [{"role": "x", "content": ""}]
        error = raised(anthropic.BadRequestError, lambda: say(client, f"{up}-talk", messages=turns))
        assert "messages.0" in str(error), error


def overloaded(up, world, client):
    error = raised(anthropic.OverloadedError, lambda: say(client, f"{up}-overloaded"))
    assert error.status_code == 529 and error.body["error"]["type"] == "overloaded_error", error.body


def broken_stream(up, world, client):
    for model, word in ((f"{up}-broken", ""), (f"{up}-complaint", "overloaded (mock)")):
        seen = []
        stream = say(client, model, stream=True)
        error = raised(anthropic.APIStatusError, lambda: [seen.append(event) for event in stream])
        text = "".join(event.delta.text for event in seen if event.type == "content_block_delta")
        assert text == "mock: a mock" and word in str(error), (text, error)
        assert seen[-1].type != "message_stop"


def abort(up, world, client):
    stream = say(client, f"{up}-long", stream=True)
    for _ in range(5):
        next(stream)
    assert world.calls("mock", "long")[-1]["end"] == "open"
    stream.close()
    until(lambda: world.calls("mock", "long")[-1]["end"] == "client_closed")


def documents(up, world, client):
    """A document beside an image that a tool gave."""
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}}
    shot = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    turns = [{"role": "user", "content": [pdf, {"type": "text", "text": "Look it up."}]},
             {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {}}]},
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                 {"type": "text", "text": "as shown"}, shot]}]}]
    assert text_of(say(client, f"{up}-talk", tools=TOOLS, messages=turns)) == TEXT
    asked = world.last_body("mock", "talk")
    if up == "openai":
        assert asked["messages"][0]["content"][0]["file"]["file_data"] == "data:application/pdf;base64,JVBERi0xLjQK"
        assert [turn["role"] for turn in asked["messages"]] == ["user", "assistant", "tool", "user"]
        assert asked["messages"][3]["content"][0]["image_url"]["url"].endswith(PIXEL), asked
    else:
        assert asked["contents"][0]["parts"][0]["inlineData"]["mimeType"] == "application/pdf"
        assert PIXEL in str(asked["contents"][2]), asked


class Place(pydantic.BaseModel):
    city: str
    days: int


def parsed(up, world, client):
    """The SDK asks for a schema, and makes an object of what comes."""
    message = client.messages.parse(model=f"{up}-json", max_tokens=100, messages=ASK, output_format=Place)
    assert message.parsed_output == Place(city="Oslo", days=7)
    asked = world.last_body("mock", "json")
    place = asked["response_format"]["json_schema"]["schema"] if up == "openai" else (
        asked["generationConfig"]["responseJsonSchema"])
    assert set(place["properties"]) == {"city", "days"}, asked


def beta(up, world, client):
    """The SDK's beta has a query behind the path, and a field that means nothing to others."""
    message = client.beta.messages.create(model=f"{up}-talk", max_tokens=100, messages=ASK, betas=["some-2026-01-01"])
    assert text_of(message) == TEXT
    call = world.calls("mock", "talk")[-1]
    assert "anthropic-beta" not in call["headers"] and "beta" not in call["path"], call


def tools_run_by_the_sdk(up, world, client):
    """The SDK itself calls the functions and sends their results back."""
    called = []

    @anthropic.beta_tool
    def weather(city: str, days: int) -> str:
        """Of a city."""
        called.append((city, days))
        return "warm"

    runner = client.beta.messages.tool_runner(model=f"{up}-tools", max_tokens=100, messages=ASK, tools=[weather])
    assert text_of(runner.until_done()) == "mock: a" and called == [("mock city", 7)] * 3, called


def many_at_once(up, world, client):
    async def one(many, index):
        if index % 2 == 0:
            return text_of(await say(many, f"{up}-talk"))
        async with many.messages.stream(model=f"{up}-talk", max_tokens=100, messages=ASK) as stream:
            return text_of(await stream.get_final_message())

    async def all_of_them():
        async with anthropic.AsyncAnthropic(base_url=world.url, api_key=CLIENT_KEY, max_retries=0) as many:
            return await asyncio.gather(*(one(many, i) for i in range(60)))

    assert set(asyncio.run(all_of_them())) == {TEXT}


def large_body(up, world, client):
    size = 3_000_000
    answer = say(client, f"{up}-talk", messages=[{"role": "user", "content": "x" * size}])
    assert answer.usage.input_tokens >= size // 4
    assert max(call["body_bytes"] for call in world.calls("mock", "talk")) > size


def count_tokens(up, world, client):
    """Gemini is asked; for a chat it is an estimate, and said to be one."""
    raw = client.messages.with_raw_response.count_tokens(model=f"{up}-talk", messages=ASK)
    assert raw.parse().input_tokens > 1
    counted = [call["path"] for call in world.calls("mock", "talk") if "ount" in call["path"]]
    assert (raw.headers.get("x-lb-token-count") == "estimate") == (up == "openai"), raw.headers
    assert counted == ([] if up == "openai" else ["/v1/models/talk:countTokens"]), counted


def models(world, client):
    names = [model.id for model in client.models.list()]
    assert {"openai-talk", "gemini-talk", "openai-to-anthropic"} <= set(names) and "talk" not in names, names


def failover(world, client):
    """The first one fails, by status, by silence, in mid-answer; the second one speaks another dialect."""
    for model, by in (("openai-to-anthropic", "second-anthropic"), ("anthropic-to-gemini", "second-gemini"),
                      ("gemini-to-openai", "second-openai")):
        raw = client.messages.with_raw_response.create(model=model, max_tokens=100, messages=ASK)
        assert raw.headers["x-lb-served-by"] == by and raw.headers["x-lb-attempts"] == "2", raw.headers
        assert text_of(raw.parse()) == TEXT
        _, message = streamed(client, model)
        assert text_of(message) == TEXT and message.stop_reason == "end_turn"


def keys(world, client):
    """Each upstream saw its own key, in its own field, and nobody the caller's."""
    fields = {"openai": "authorization", "anthropic": "x-api-key", "gemini": "x-goog-api-key"}
    seen = world.journal("mock")["calls"]
    for call in seen:
        path = call["path"]
        dialect = "anthropic" if path.endswith("/messages") else "gemini" if ":" in path else "openai"
        assert "key-of-" in call["headers"][fields[dialect]], call
        assert CLIENT_KEY not in str(call), call
        assert all(other == dialect or field not in call["headers"] for other, field in fields.items()), call
    assert len(seen) > 40


EACH = [plain, stream, system_and_settings, image, tools, tool_choice, thinking, errors, overloaded, broken_stream,
        abort, documents, parsed, beta, tools_run_by_the_sdk, many_at_once, large_body, count_tokens]
# Passed through, where nothing is translated.
OWN = [plain, stream, errors, overloaded, broken_stream, abort, tools_run_by_the_sdk, many_at_once]


def main():
    tests = {f"{up} {test.__name__}": functools.partial(test, up) for up in ("openai", "gemini") for test in EACH}
    tests |= {f"anthropic {test.__name__}": functools.partial(test, "anthropic") for test in OWN}
    tests |= {"models": models, "failover": failover, "keys": keys}
    return run("python anthropic", sys.argv[1], "dialects.json", tests, lambda world: anthropic.Anthropic(
        base_url=world.url, api_key=CLIENT_KEY, max_retries=0, timeout=30))


if __name__ == "__main__":
    sys.exit(main())
