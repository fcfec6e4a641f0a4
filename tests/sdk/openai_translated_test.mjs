// The unmodified SDK of OpenAI for Node, chat completions and responses, served by Anthropic-style and by Gemini-style
// upstreams: `lb serve` over `lb mock`.
//
// openai_translated_test.mjs LB HERE     LB: the program. HERE: where dialects.json is, with the mock and the
// deployments. Prints "ok NAME" or "not ok NAME" for each test. It has to lie in a folder with the SDK.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { CLIENT_KEY, raised, run, until } from "./world.mjs";

const TEXT = "mock: a mock answers in words that mean little and cost nothing";
const ASK = [{ role: "user", content: "Say something." }];
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const URL = `data:image/png;base64,${PIXEL}`;
const FUNCTIONS = [
  {
    name: "weather",
    description: "Of a city.",
    parameters: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } },
  },
  { name: "clock", parameters: { type: "object", properties: {} } },
];
const TOOLS = FUNCTIONS.map((one) => ({ type: "function", function: one }));
const FLAT_TOOLS = FUNCTIONS.map((one) => ({ type: "function", ...one }));
const WEATHER = { city: "mock city", days: 7 };
const CALLS = [["weather", WEATHER], ["clock", {}], ["weather", WEATHER]];

const chat = (client, model, more = {}) => client.chat.completions.create({ model, messages: ASK, ...more });
const respond = (client, model, more = {}) => client.responses.create({ model, input: "Say something.", ...more });
const delta = (chunk) => chunk.choices[0]?.delta ?? {};

async function all(stream) {
  const out = [];
  for await (const one of await stream) out.push(one);
  return out;
}

// All results stand in one turn, in order, each with the call that it belongs to.
async function checkResults(up, world) {
  const asked = await world.lastBody("mock", "tools");
  if (up === "anthropic") {
    assert.deepEqual(asked.messages.map((turn) => turn.role), ["user", "assistant", "user"]);
    const made = asked.messages[1].content.filter((block) => block.type === "tool_use").map((block) => block.id);
    assert.deepEqual(asked.messages[2].content.map((block) => block.tool_use_id), made);
  } else {
    assert.deepEqual(asked.contents.map((turn) => turn.role), ["user", "model", "user"]);
    const results = asked.contents[2].parts.map((part) => part.functionResponse);
    assert.deepEqual(results.map((result) => result.name), ["weather", "clock", "weather"]);
    assert.deepEqual(results.map((result) => result.response.result), ["result 0", "result 1", "result 2"]);
  }
}

const each = {
  async plain(up, world, client) {
    const { data, response } = await chat(client, `${up}-talk`).withResponse();
    assert.equal(response.headers.get("x-lb-served-by"), up);
    assert.equal(data.choices[0].message.content, TEXT);
    assert.equal(data.choices[0].finish_reason, "stop");
    assert.equal(data.usage.completion_tokens, 12);
  },

  async stream(up, world, client) {
    const chunks = await all(chat(client, `${up}-talk`, { stream: true, stream_options: { include_usage: true } }));
    assert.equal(chunks.map((chunk) => delta(chunk).content ?? "").join(""), TEXT);
    assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
    assert.equal(chunks.at(-1).choices.length, 0);
    assert.equal(chunks.at(-1).usage.completion_tokens, 12);
    assert.equal(new Set(chunks.map((chunk) => chunk.id)).size, 1);
  },

  async system_and_image(up, world, client) {
    const content = [{ type: "text", text: "What is this?" }, { type: "image_url", image_url: { url: URL } }];
    const messages = [{ role: "system", content: "Be brief." }, { role: "user", content }];
    assert.equal((await chat(client, `${up}-talk`, { messages })).choices[0].message.content, TEXT);
    const asked = await world.lastBody("mock", "talk");
    if (up === "anthropic") {
      assert.ok(JSON.stringify(asked.system).includes("Be brief."));
      assert.deepEqual(asked.messages[0].content[1].source, { type: "base64", media_type: "image/png", data: PIXEL });
    } else {
      assert.deepEqual(asked.systemInstruction.parts, [{ text: "Be brief." }]);
      assert.deepEqual(asked.contents[0].parts[1].inlineData, { mimeType: "image/png", data: PIXEL });
    }
  },

  // Three calls in a stream, put together by the SDK; then the results, and the answer.
  async tools(up, world, client) {
    const stream = client.chat.completions.stream({ model: `${up}-tools`, messages: ASK, tools: TOOLS });
    const { message, finish_reason } = (await stream.finalChatCompletion()).choices[0];
    assert.equal(finish_reason, "tool_calls");
    assert.equal(message.content, "mock: a");
    const calls = message.tool_calls;
    assert.deepEqual(calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]), CALLS);
    assert.equal(new Set(calls.map((call) => call.id)).size, 3);
    const results = calls.map((call, i) => ({ role: "tool", tool_call_id: call.id, content: `result ${i}` }));
    const messages = [...ASK, { role: "assistant", content: message.content, tool_calls: calls }, ...results];
    const chunks = await all(chat(client, `${up}-tools`, { messages, tools: TOOLS, stream: true }));
    assert.equal(chunks.map((chunk) => delta(chunk).content ?? "").join(""), "mock: a");
    await checkResults(up, world);
  },

  // The SDK itself calls the functions and sends their results back.
  async tools_run_by_the_sdk(up, world, client) {
    const called = [];
    const tools = FUNCTIONS.map((one) => ({
      type: "function",
      function: { ...one, parse: JSON.parse, function: (given) => `result ${called.push(given) - 1}` },
    }));
    const runner = client.chat.completions.runTools({ model: `${up}-tools`, messages: ASK, tools, stream: true });
    assert.equal(await runner.finalContent(), "mock: a");
    assert.deepEqual(called, [WEATHER, {}, WEATHER]);
    await checkResults(up, world);
  },

  async thinking(up, world, client) {
    const wanted = { tools: TOOLS, reasoning_effort: "low" };
    const chunks = await all(chat(client, `${up}-think-tools`, { ...wanted, stream: true }));
    assert.equal(chunks.map((chunk) => delta(chunk).reasoning_content ?? "").join(""), " a mock answers in");
    const { message } = (await chat(client, `${up}-think-tools`, wanted)).choices[0];
    assert.equal(message.reasoning_content, " a mock answers in");
    const results = message.tool_calls.map((call) => ({ role: "tool", tool_call_id: call.id, content: "20" }));
    const answer = await chat(client, `${up}-think-tools`, { ...wanted, messages: [...ASK, message, ...results] });
    assert.equal(answer.choices[0].message.content, "It is warm.");
    const asked = JSON.stringify(await world.lastBody("mock", "think-tools"));
    assert.equal(asked.split("bW9jayBzaWduYXR1cmU=").length, 2); // Signed as it was.
  },

  async errors(up, world, client) {
    for (const how of [{}, { stream: true }]) {
      const bad = await raised(OpenAI.BadRequestError, () => chat(client, `${up}-bad`, how));
      assert.match(bad.message, /too long \(mock\)/);
      const limited = await raised(OpenAI.RateLimitError, () => chat(client, `${up}-limited`, how));
      const wait = Number(limited.headers.get("retry-after"));
      assert.ok(wait >= 1 && wait <= 7, String(wait));
      await raised(OpenAI.NotFoundError, () => chat(client, "no-such-model", how));
      await raised(OpenAI.InternalServerError, () => chat(client, `${up}-down`, how));
      await raised(OpenAI.BadRequestError, () => respond(client, `${up}-bad`, how));
    }
    const locked = await raised(OpenAI.AuthenticationError, () => chat(client, `${up}-locked`));
    assert.ok(!locked.message.includes("key-of"));
  },

  async broken_stream(up, world, client) {
    for (const [model, message] of [[`${up}-broken`, /./], [`${up}-complaint`, /overloaded \(mock\)/]]) {
      let seen = "";
      const error = await raised(OpenAI.APIError, async () => {
        for await (const chunk of await chat(client, model, { stream: true })) seen += delta(chunk).content ?? "";
      });
      assert.equal(seen, "mock: a mock");
      assert.match(error.message, message);
    }
  },

  async abort(up, world, client) {
    const stream = await chat(client, `${up}-long`, { stream: true });
    let seen = 0;
    for await (const chunk of stream) if (delta(chunk).content && ++seen === 3) break;
    await until(async () => (await world.calls("mock", "long")).at(-1).end === "client_closed");
  },

  async responses(up, world, client) {
    const answer = await respond(client, `${up}-talk`, { instructions: "Be brief." });
    assert.equal(answer.status, "completed");
    assert.equal(answer.output_text, TEXT);
    assert.equal(answer.usage.output_tokens, 12);
    const events = await all(respond(client, `${up}-talk`, { stream: true }));
    assert.equal(events[0].type, "response.created");
    assert.equal(events.at(-1).type, "response.completed");
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    assert.equal(deltas.map((event) => event.delta).join(""), TEXT);
    assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, i) => i));
  },

  async responses_tools(up, world, client) {
    const stream = client.responses.stream({ model: `${up}-tools`, input: ASK, tools: FLAT_TOOLS });
    const { output } = await stream.finalResponse();
    const calls = output.filter((item) => item.type === "function_call");
    assert.deepEqual(calls.map((call) => [call.name, JSON.parse(call.arguments)]), CALLS);
    const results = calls.map(({ call_id }, i) => ({ type: "function_call_output", call_id, output: `result ${i}` }));
    const said = output.map(({ parsed, parsed_arguments, ...item }) => item); // What the SDK has added.
    const answer = await respond(client, `${up}-tools`, { input: [...ASK, ...said, ...results], tools: FLAT_TOOLS });
    assert.equal(answer.output_text, "mock: a");
    await checkResults(up, world);
  },
};

const tests = {};
for (const up of ["anthropic", "gemini"])
  for (const [name, test] of Object.entries(each)) tests[`${up} ${name}`] = (...given) => test(up, ...given);

// The first one fails, by status, by silence, in mid-answer; the second one speaks another dialect.
tests.failover = async (world, client) => {
  for (const [model, by] of [["openai-to-anthropic", "second-anthropic"], ["anthropic-to-gemini", "second-gemini"],
    ["gemini-to-openai", "second-openai"]]) {
    const { data, response } = await chat(client, model).withResponse();
    assert.equal(response.headers.get("x-lb-served-by"), by);
    assert.equal(data.choices[0].message.content, TEXT);
    const chunks = await all(chat(client, model, { stream: true }));
    assert.equal(chunks.map((chunk) => delta(chunk).content ?? "").join(""), TEXT);
    assert.equal((await respond(client, model)).output_text, TEXT);
  }
};

const open = (world) =>
  new OpenAI({ baseURL: world.url + "/v1", apiKey: CLIENT_KEY, maxRetries: 0, timeout: 30_000 });
await run("node openai translated", "dialects.json", tests, open);
