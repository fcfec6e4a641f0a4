"""The unmodified SDK of OpenAI for Python, chat completions and responses, served by Anthropic-style and by
Gemini-style upstreams: `lb serve` over `lb mock`.

openai_translated_test.py LB      LB: the program. Prints "ok NAME" or "not ok NAME" for each test. dialects.json has
the mock and the deployments.
"""
import asyncio
import functools
import json
import sys

import openai
import pydantic

from world import CLIENT_KEY, raised, run, until

TEXT = "mock: a mock answers in words that mean little and cost nothing"
ASK = [{"role": "user", "content": "Say something."}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = "data:image/png;base64," + PIXEL
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
FUNCTIONS = [{"name": "weather", "description": "Of a city.", "parameters": SCHEMA},
             {"name": "clock", "parameters": {"type": "object", "properties": {}}}]
TOOLS = [{"type": "function", "function": function} for function in FUNCTIONS]
FLAT_TOOLS = [{"type": "function", **function} for function in FUNCTIONS]
WEATHER = {"city": "mock city", "days": 7}
CALLS = [("weather", WEATHER), ("clock", {}), ("weather", WEATHER)]


def chat(client, model, **more):
    return client.chat.completions.create(**{"model": model, "messages": ASK, **more})


def respond(client, model, **more):
    return client.responses.create(**{"model": model, "input": "Say something.", **more})


def plain(up, world, client):
    raw = client.chat.completions.with_raw_response.create(model=f"{up}-talk", messages=ASK)
    assert raw.headers["x-lb-served-by"] == up and raw.headers["x-lb-attempts"] == "1"
    answer = raw.parse()
    assert answer.object == "chat.completion" and answer.model == f"{up}-talk" and answer.id.startswith("chatcmpl-")
    assert answer.choices[0].message.content == TEXT and answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens == 12
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 12 > 13


def stream(up, world, client):
    chunks = list(chat(client, f"{up}-talk", stream=True, stream_options={"include_usage": True}))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert not chunks[-1].choices and chunks[-1].usage.completion_tokens == 12 and chunks[-1].usage.prompt_tokens > 1
    assert all(c.usage is None for c in chunks[:-1]) and len({c.id for c in chunks}) == 1
    assert all(c.usage is None for c in chat(client, f"{up}-talk", stream=True))


def system_and_settings(up, world, client):
    turns = [{"role": "system", "content": "Be brief."}, {"role": "developer", "content": "Be kind."}, *ASK]
    raw = client.chat.completions.with_raw_response.create(
        model=f"{up}-talk", messages=turns, max_completion_tokens=77, temperature=0.5, stop=["STOP"],
        logit_bias={"1": 1})
    assert "logit_bias" in raw.headers["x-lb-lossy"], raw.headers  # What could not be carried is said.
    asked = world.last_body("mock", "talk")
    if up == "anthropic":
        assert [block["text"] for block in asked["system"]] == ["Be brief.", "Be kind."], asked
        assert asked["max_tokens"] == 77 and asked["temperature"] == 0.5 and asked["stop_sequences"] == ["STOP"], asked
    else:
        assert [part["text"] for part in asked["systemInstruction"]["parts"]] == ["Be brief.", "Be kind."], asked
        settings = asked["generationConfig"]
        assert (settings["maxOutputTokens"], settings["temperature"], settings["stopSequences"]) == (77, 0.5, ["STOP"])


def image(up, world, client):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": URL}}]
    answer = chat(client, f"{up}-talk", messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == TEXT
    flat = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": URL}]
    for asks in (lambda: chat(client, f"{up}-talk", messages=[{"role": "user", "content": content}]),
                 lambda: respond(client, f"{up}-talk", input=[{"role": "user", "content": flat}])):
        asks()
        asked = world.last_body("mock", "talk")
        if up == "anthropic":
            assert asked["messages"][0]["content"][1]["source"] == {
                "type": "base64", "media_type": "image/png", "data": PIXEL}, asked
        else:
            assert asked["contents"][0]["parts"][1]["inlineData"] == {"mimeType": "image/png", "data": PIXEL}, asked


def tools(up, world, client):
    """Three calls in a stream, put together by the SDK; then the results, and the answer."""
    with client.chat.completions.stream(model=f"{up}-tools", messages=ASK, tools=TOOLS) as stream:
        message = stream.get_final_completion().choices[0]
    assert message.finish_reason == "tool_calls" and message.message.content == "mock: a"
    calls = message.message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == CALLS
    assert len({call.id for call in calls}) == 3
    whole = chat(client, f"{up}-tools", tools=TOOLS).choices[0]
    assert [(c.function.name, json.loads(c.function.arguments)) for c in whole.message.tool_calls] == CALLS
    assert whole.finish_reason == "tool_calls"
    turns = [*ASK, whole.message,
             *({"role": "tool", "tool_call_id": call.id, "content": f"result {i}"}
               for i, call in enumerate(whole.message.tool_calls))]
    answer = chat(client, f"{up}-tools", tools=TOOLS, messages=turns)
    assert answer.choices[0].message.content == "mock: a" and answer.choices[0].finish_reason == "stop"
    check_results(up, world)


def check_results(up, world):
    """All results stand in one turn, in order, each with the call that it belongs to."""
    asked = world.last_body("mock", "tools")
    if up == "anthropic":
        assert [turn["role"] for turn in asked["messages"]] == ["user", "assistant", "user"], asked
        made = [block["id"] for block in asked["messages"][1]["content"] if block["type"] == "tool_use"]
        assert [block["tool_use_id"] for block in asked["messages"][2]["content"]] == made and len(set(made)) == 3
    else:
        assert [turn["role"] for turn in asked["contents"]] == ["user", "model", "user"], asked
        results = [part["functionResponse"] for part in asked["contents"][2]["parts"]]
        assert [result["name"] for result in results] == ["weather", "clock", "weather"], results
        assert [result["response"]["result"] for result in results] == ["result 0", "result 1", "result 2"], results


def tool_choice(up, world, client):
    named = {"type": "function", "function": {"name": "clock"}}
    chat(client, f"{up}-tools", tools=TOOLS, tool_choice=named)
    asked = world.last_body("mock", "tools")
    if up == "anthropic":
        assert asked["tool_choice"] == {"type": "tool", "name": "clock"}, asked
    else:
        assert asked["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": ["clock"]}, asked


def thinking(up, world, client):
    """Thoughts are reasoning_content, which the SDK keeps as it keeps all that it does not know."""
    wanted = {"tools": TOOLS, "reasoning_effort": "low"}
    chunks = [c.choices[0].delta for c in chat(client, f"{up}-think-tools", stream=True, **wanted) if c.choices]
    assert "".join(getattr(c, "reasoning_content", None) or "" for c in chunks) == " a mock answers in"
    message = chat(client, f"{up}-think-tools", **wanted).choices[0].message
    assert message.reasoning_content == " a mock answers in" and message.content == "It is warm."
    assert len(message.tool_calls) == 2
    turns = [*ASK, message.to_dict(), *({"role": "tool", "tool_call_id": call.id, "content": "20"}
                                        for call in message.tool_calls)]
    assert chat(client, f"{up}-think-tools", messages=turns, **wanted).choices[0].message.content == "It is warm."
    # Where it was signed it is signed again.
    asked = world.last_body("mock", "think-tools")
    if up == "anthropic":
        first = asked["messages"][1]["content"][0]
        assert first["type"] == "thinking" and first["signature"] == "bW9jayBzaWduYXR1cmU=", asked
    else:
        calls = [part for part in asked["contents"][1]["parts"] if "functionCall" in part]
        assert calls[0]["thoughtSignature"] == "bW9jayBzaWduYXR1cmU=", calls


def schema(up, world, client):
    """A schema for the answer goes along."""
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": {
        **SCHEMA, "required": ["city", "days"], "additionalProperties": False}}}
    chat(client, f"{up}-talk", response_format=wanted)
    asked = world.last_body("mock", "talk")
    place = asked["output_config"]["format"] if up == "anthropic" else asked["generationConfig"]
    seen = place["schema"] if up == "anthropic" else place["responseJsonSchema"]
    assert seen["properties"] == SCHEMA["properties"], asked


def errors(up, world, client):
    for how in ({}, {"stream": True}):
        error = raised(openai.BadRequestError, lambda: chat(client, f"{up}-bad", **how))
        assert error.status_code == 400 and "too long (mock)" in error.message, error
        error = raised(openai.RateLimitError, lambda: chat(client, f"{up}-limited", **how))
        assert 1 <= float(error.response.headers["retry-after"]) <= 7
        error = raised(openai.NotFoundError, lambda: chat(client, "no-such-model", **how))
        assert error.code == "model_not_found"
        raised(openai.InternalServerError, lambda: chat(client, f"{up}-down", **how))
        raised(openai.BadRequestError, lambda: respond(client, f"{up}-bad", **how))
    error = raised(openai.AuthenticationError, lambda: chat(client, f"{up}-locked"))
    assert "key-of" not in str(error)


def refused(up, world, client):
    """What would change the meaning is refused, with its place, before anything is sent."""
    turns = [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]
    error = raised(openai.BadRequestError, lambda: chat(client, f"{up}-talk", messages=turns))
    assert "messages.0.content.0" in error.message, error


def broken_stream(up, world, client):
    for model, word in ((f"{up}-broken", ""), (f"{up}-complaint", "overloaded (mock)")):
        seen = []
        error = raised(openai.APIError, lambda: [seen.append(c) for c in chat(client, model, stream=True)])
        assert "".join(c.choices[0].delta.content or "" for c in seen if c.choices) == "mock: a mock", seen
        assert word in error.message and not any(c.choices[0].finish_reason for c in seen)


def abort(up, world, client):
    stream = chat(client, f"{up}-long", stream=True)
    for _ in range(5):
        next(stream)
    assert world.calls("mock", "long")[-1]["end"] == "open"
    stream.close()
    until(lambda: world.calls("mock", "long")[-1]["end"] == "client_closed")


def responses(up, world, client):
    answer = respond(client, f"{up}-talk", instructions="Be brief.", max_output_tokens=50)
    assert answer.status == "completed" and answer.output_text == TEXT and answer.model == f"{up}-talk"
    assert answer.usage.output_tokens == 12 and answer.usage.total_tokens == answer.usage.input_tokens + 12
    assert "Be brief." in str(world.last_body("mock", "talk"))
    events = list(respond(client, f"{up}-talk", stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed"
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == TEXT
    assert [e.sequence_number for e in events] == list(range(len(events)))
    assert events[-1].response.output_text == TEXT and events[-1].response.usage.output_tokens == 12


def responses_tools(up, world, client):
    with client.responses.stream(model=f"{up}-tools", input="Say something.", tools=FLAT_TOOLS) as stream:
        answer = stream.get_final_response()
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [(call.name, json.loads(call.arguments)) for call in calls] == CALLS
    assert answer.output_text == "mock: a" and len({call.call_id for call in calls}) == 3
    whole = respond(client, f"{up}-tools", tools=FLAT_TOOLS)
    turns = [*ASK, *(item.to_dict() for item in whole.output)]
    turns += [{"type": "function_call_output", "call_id": item.call_id, "output": f"result {i}"}
              for i, item in enumerate(item for item in whole.output if item.type == "function_call")]
    answer = respond(client, f"{up}-tools", input=turns, tools=FLAT_TOOLS)
    assert answer.output_text == "mock: a" and len(answer.output) == 1
    check_results(up, world)


def responses_thinking(up, world, client):
    wanted = {"tools": FLAT_TOOLS, "reasoning": {"effort": "low", "summary": "auto"},
              "include": ["reasoning.encrypted_content"], "store": False}
    events = list(respond(client, f"{up}-think-tools", stream=True, **wanted))
    thought = "".join(e.delta for e in events if e.type == "response.reasoning_summary_text.delta")
    assert thought == " a mock answers in", thought
    answer = events[-1].response
    assert answer.output[0].type == "reasoning" and answer.output[0].summary[0].text == thought
    turns = [*ASK, *(item.to_dict() for item in answer.output)]
    turns += [{"type": "function_call_output", "call_id": item.call_id, "output": "20"}
              for item in answer.output if item.type == "function_call"]
    assert respond(client, f"{up}-think-tools", input=turns, **wanted).output_text == "It is warm."
    asked = json.dumps(world.last_body("mock", "think-tools"))
    assert asked.count("bW9jayBzaWduYXR1cmU=") == 1, asked


class Place(pydantic.BaseModel):
    city: str
    days: int


def parsed(up, world, client):
    """The SDK asks for a schema, and makes an object of what comes; in both of its APIs."""
    answer = client.chat.completions.parse(model=f"{up}-json", messages=ASK, response_format=Place)
    assert answer.choices[0].message.parsed == Place(city="Oslo", days=7)
    answer = client.responses.parse(model=f"{up}-json", input="Where?", text_format=Place)
    assert answer.output_parsed == Place(city="Oslo", days=7)


def many_at_once(up, world, client):
    async def one(many, index):
        if index % 2 == 0:
            return (await chat(many, f"{up}-talk")).choices[0].message.content
        stream = await chat(many, f"{up}-talk", stream=True)
        return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=world.url + "/v1", api_key=CLIENT_KEY, max_retries=0) as many:
            return await asyncio.gather(*(one(many, i) for i in range(60)))

    assert set(asyncio.run(all_of_them())) == {TEXT}


def large_body(up, world, client):
    size = 3_000_000
    answer = chat(client, f"{up}-talk", messages=[{"role": "user", "content": "x" * size}])
    assert answer.usage.prompt_tokens >= size // 4


def azure(up, world, client):
    """Azure's paths name the model."""
    with openai.AzureOpenAI(azure_endpoint=world.url, api_key=CLIENT_KEY, api_version="2024-10-21",
                            max_retries=0) as other:
        assert chat(other, f"{up}-talk").choices[0].message.content == TEXT
        chunks = chat(other, f"{up}-talk", stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT


def embeddings(world, client):
    """Gemini's, as numbers and as base64; in order."""
    packed = client.embeddings.create(model="gemini-talk", input=["a", "b"], dimensions=5)  # The SDK asks for base64.
    floats = client.embeddings.create(model="gemini-talk", input=["a", "b"], dimensions=5, encoding_format="float")
    own = client.embeddings.create(model="openai-talk", input=["a", "b"], dimensions=5)
    for item, other, same in zip(packed.data, floats.data, own.data, strict=True):
        assert len(item.embedding) == len(other.embedding) == 5 and item.index == other.index
        for vector in (other.embedding, same.embedding):
            assert all(abs(a - b) < 1e-6 for a, b in zip(item.embedding, vector, strict=True))
    error = raised(openai.BadRequestError, lambda: client.embeddings.create(model="anthropic-talk", input="a"))
    assert "anthropic" in error.message.lower(), error


def failover(world, client):
    """The first one fails, by status, by silence, in mid-answer; the second one speaks another dialect."""
    for model, by in (("openai-to-anthropic", "second-anthropic"), ("anthropic-to-gemini", "second-gemini"),
                      ("gemini-to-openai", "second-openai")):
        raw = client.chat.completions.with_raw_response.create(model=model, messages=ASK)
        assert raw.headers["x-lb-served-by"] == by and raw.headers["x-lb-attempts"] == "2", raw.headers
        assert raw.parse().choices[0].message.content == TEXT
        chunks = chat(client, model, stream=True)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
        assert respond(client, model).output_text == TEXT


EACH = [plain, stream, system_and_settings, image, tools, tool_choice, thinking, schema, errors, refused, broken_stream,
        abort, responses, responses_tools, responses_thinking, parsed,
        many_at_once, large_body, azure]


def main():
    tests = {f"{up} {test.__name__}": functools.partial(test, up) for up in ("anthropic", "gemini") for test in EACH}
    tests |= {"embeddings": embeddings, "failover": failover}
    return run("python openai translated", sys.argv[1], "dialects.json", tests, lambda world: openai.OpenAI(
        base_url=world.url + "/v1", api_key=CLIENT_KEY, max_retries=0, timeout=30))


if __name__ == "__main__":
    sys.exit(main())
