// The unmodified SDK of Anthropic for Node, served by OpenAI-style and by Gemini-style upstreams: `lb serve` over
// `lb mock`.
//
// anthropic_test.mjs LB HERE     LB: the program. HERE: where dialects.json is, with the mock and the deployments.
// Prints "ok NAME" or "not ok NAME" for each test. It has to lie in a folder with the SDK.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { CLIENT_KEY, raised, run, until } from "./world.mjs";

const TEXT = "mock: a mock answers in words that mean little and cost nothing";
const ASK = [{ role: "user", content: "Say something." }];
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const TOOLS = [
  {
    name: "weather",
    description: "Of a city.",
    input_schema: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } },
  },
  { name: "clock", input_schema: { type: "object", properties: {} } },
];
const WEATHER = { city: "mock city", days: 7 };
const CALLS = [["weather", WEATHER], ["clock", {}], ["weather", WEATHER]];

const asking = (model, more) => ({ model, max_tokens: 2000, messages: ASK, ...more });
const say = (client, model, more = {}) => client.messages.create(asking(model, more));
const textOf = (message) => message.content.filter((b) => b.type === "text").map((b) => b.text).join("");

// The message that the SDK makes of a stream, and its events.
async function streamed(client, model, more = {}) {
  const stream = client.messages.stream(asking(model, more));
  const events = [];
  for await (const event of stream) events.push(event);
  return { events, message: await stream.finalMessage() };
}

const each = {
  async plain(up, world, client) {
    const { data, response } = await say(client, `${up}-talk`).withResponse();
    assert.equal(response.headers.get("x-lb-served-by"), up);
    assert.equal(textOf(data), TEXT);
    assert.equal(data.stop_reason, "end_turn");
    assert.equal(data.model, `${up}-talk`);
    assert.equal(data.usage.output_tokens, 12);
  },

  async stream(up, world, client) {
    const { events, message } = await streamed(client, `${up}-talk`);
    assert.equal(textOf(message), TEXT);
    assert.equal(message.stop_reason, "end_turn");
    assert.equal(message.usage.output_tokens, 12);
    assert.ok(message.usage.input_tokens > 1);
    assert.equal(events[0].type, "message_start");
    assert.equal(events.at(-1).type, "message_stop");
    assert.equal(events.filter((event) => event.type === "content_block_delta").length, 12);
  },

  async system(up, world, client) {
    await say(client, `${up}-talk`, { system: "Be brief." });
    const asked = await world.lastBody("mock", "talk");
    if (up === "openai") assert.deepEqual(asked.messages[0], { role: "system", content: "Be brief." });
    else assert.deepEqual(asked.systemInstruction.parts, [{ text: "Be brief." }]);
  },

  async image(up, world, client) {
    const source = { type: "base64", media_type: "image/png", data: PIXEL };
    const content = [{ type: "text", text: "What is this?" }, { type: "image", source }];
    assert.equal(textOf(await say(client, `${up}-talk`, { messages: [{ role: "user", content }] })), TEXT);
    const asked = await world.lastBody("mock", "talk");
    if (up === "openai") assert.equal(asked.messages[0].content[1].image_url.url, `data:image/png;base64,${PIXEL}`);
    else assert.deepEqual(asked.contents[0].parts[1].inlineData, { mimeType: "image/png", data: PIXEL });
  },

  // Three calls in a stream, whose fragments take turns upstream; then the results, and the answer.
  async tools(up, world, client) {
    const { events, message } = await streamed(client, `${up}-tools`, { tools: TOOLS });
    const calls = message.content.filter((block) => block.type === "tool_use");
    assert.equal(message.stop_reason, "tool_use");
    assert.deepEqual(calls.map((call) => [call.name, call.input]), CALLS);
    assert.equal(new Set(calls.map((call) => call.id)).size, 3);
    const opened = events.filter((event) => event.type === "content_block_start").map((event) => event.index);
    const closed = events.filter((event) => event.type === "content_block_stop").map((event) => event.index);
    assert.deepEqual(opened, [0, 1, 2, 3]);
    assert.deepEqual(closed, opened);
    const results = calls.map((call, i) => ({ type: "tool_result", tool_use_id: call.id, content: `result ${i}` }));
    const messages = [...ASK, { role: "assistant", content: message.content }, { role: "user", content: results }];
    const { message: answer } = await streamed(client, `${up}-tools`, { tools: TOOLS, messages });
    assert.equal(textOf(answer), "mock: a");
    assert.equal(answer.stop_reason, "end_turn");
    const asked = await world.lastBody("mock", "tools");
    if (up === "openai") {
      assert.deepEqual(asked.messages.map((turn) => turn.role), ["user", "assistant", "tool", "tool", "tool"]);
      const made = asked.messages[1].tool_calls.map((call) => call.id);
      assert.deepEqual(asked.messages.slice(2).map((turn) => turn.tool_call_id), made);
    } else {
      assert.deepEqual(asked.contents.map((turn) => turn.role), ["user", "model", "user"]);
      assert.deepEqual(asked.contents[2].parts.map((part) => part.functionResponse.response.result),
        ["result 0", "result 1", "result 2"]);
    }
  },

  async thinking(up, world, client) {
    const wanted = { thinking: { type: "enabled", budget_tokens: 1024 }, tools: TOOLS };
    const { message } = await streamed(client, `${up}-think-tools`, wanted);
    assert.deepEqual([message.content[0].type, message.content[0].thinking], ["thinking", " a mock answers in"]);
    assert.equal(textOf(message), "It is warm.");
    const results = message.content.filter((block) => block.type === "tool_use")
      .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: "20" }));
    assert.equal(results.length, 2);
    const messages = [...ASK, { role: "assistant", content: message.content }, { role: "user", content: results }];
    const answer = await say(client, `${up}-think-tools`, { ...wanted, messages });
    assert.equal(textOf(answer), "It is warm.");
    assert.equal(answer.content[0].type, "thinking");
  },

  async errors(up, world, client) {
    for (const how of [{}, { stream: true }]) {
      const bad = await raised(Anthropic.BadRequestError, () => say(client, `${up}-bad`, how));
      assert.equal(bad.error.error.type, "invalid_request_error");
      assert.match(bad.message, /too long \(mock\)/);
      const limited = await raised(Anthropic.RateLimitError, () => say(client, `${up}-limited`, how));
      const wait = Number(limited.headers.get("retry-after"));
      assert.ok(wait >= 1 && wait <= 7, String(wait));
      await raised(Anthropic.NotFoundError, () => say(client, "no-such-model", how));
      await raised(Anthropic.InternalServerError, () => say(client, `${up}-down`, how));
    }
    const locked = await raised(Anthropic.AuthenticationError, () => say(client, `${up}-locked`));
    assert.equal(locked.error.error.type, "authentication_error");
    assert.ok(!locked.message.includes("key-of"));
  },

  async broken_stream(up, world, client) {
    for (const [model, message] of [[`${up}-broken`, /./], [`${up}-complaint`, /overloaded \(mock\)/]]) {
      let seen = "";
      const error = await raised(Anthropic.APIError, async () => {
        for await (const event of await say(client, model, { stream: true })) seen += event.delta?.text ?? "";
      });
      assert.equal(seen, "mock: a mock");
      assert.match(error.message, message);
    }
  },

  async abort(up, world, client) {
    const stream = await say(client, `${up}-long`, { stream: true });
    let seen = 0;
    for await (const event of stream) if (event.type === "content_block_delta" && ++seen === 3) break;
    await until(async () => (await world.calls("mock", "long")).at(-1).end === "client_closed");
  },

  async count_tokens(up, world, client) {
    const { data, response } = await client.messages.countTokens({ model: `${up}-talk`, messages: ASK }).withResponse();
    assert.ok(data.input_tokens > 1);
    assert.equal(response.headers.get("x-lb-token-count") === "estimate", up === "openai"); // A chat cannot be asked.
  },
};

const tests = {};
for (const up of ["openai", "gemini"])
  for (const [name, test] of Object.entries(each)) tests[`${up} ${name}`] = (...given) => test(up, ...given);

// The first one fails, by status, by silence, in mid-answer; the second one speaks another dialect.
tests.failover = async (world, client) => {
  for (const [model, by] of [["openai-to-anthropic", "second-anthropic"], ["anthropic-to-gemini", "second-gemini"],
    ["gemini-to-openai", "second-openai"]]) {
    const { data, response } = await say(client, model).withResponse();
    assert.equal(response.headers.get("x-lb-served-by"), by);
    assert.equal(textOf(data), TEXT);
    assert.equal(textOf((await streamed(client, model)).message), TEXT);
  }
};

const open = (world) => new Anthropic({ baseURL: world.url, apiKey: CLIENT_KEY, maxRetries: 0, timeout: 30_000 });
await run("node anthropic", "dialects.json", tests, open);
