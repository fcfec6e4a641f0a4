// The unmodified SDK of Google (Gemini) for Node, served by OpenAI-style and by Anthropic-style upstreams: `lb serve`
// over `lb mock`.
//
// genai_test.mjs LB HERE     LB: the program. HERE: where dialects.json is, with the mock and the deployments. Prints
// "ok NAME" or "not ok NAME" for each test. It has to lie in a folder with the SDK.
import assert from "node:assert/strict";
import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from "@google/genai";
import { CLIENT_KEY, raised, run, until } from "./world.mjs";

const TEXT = "mock: a mock answers in words that mean little and cost nothing";
const ASK = "Say something.";
const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const DECLARED = [
  {
    name: "weather",
    description: "Of a city.",
    parametersJsonSchema: { type: "object", properties: { city: { type: "string" }, days: { type: "integer" } } },
  },
  { name: "clock", parameters: { type: "OBJECT", properties: {} } }, // The API's own kind of schema.
];
const TOOLS = [{ functionDeclarations: DECLARED }];
const WEATHER = { city: "mock city", days: 7 };
const CALLS = [["weather", WEATHER], ["clock", {}], ["weather", WEATHER]];

const asking = (model, config = {}, contents = ASK) => ({ model, contents, config });
const say = (client, ...what) => client.models.generateContent(asking(...what));

async function streamed(client, ...what) {
  const chunks = [];
  for await (const chunk of await client.models.generateContentStream(asking(...what))) chunks.push(chunk);
  return chunks;
}

// Parts of all chunks, as a client sends them back: a content for each.
const contentsOf = (chunks) => chunks.map((chunk) => chunk.candidates?.[0].content).filter((content) => content?.parts);
const partsOf = (chunks) => contentsOf(chunks).flatMap((content) => content.parts);
const textOf = (chunks) => partsOf(chunks).filter((part) => !part.thought).map((part) => part.text ?? "").join("");

const each = {
  async plain(up, world, client) {
    const answer = await say(client, `${up}-talk`);
    assert.equal(answer.text, TEXT);
    assert.equal(answer.candidates[0].finishReason, "STOP");
    assert.equal(answer.usageMetadata.candidatesTokenCount, 12);
    assert.equal(answer.usageMetadata.totalTokenCount, answer.usageMetadata.promptTokenCount + 12);
    assert.equal(answer.modelVersion, `${up}-talk`);
    assert.equal(answer.sdkHttpResponse.headers["x-lb-served-by"], up);
  },

  async stream(up, world, client) {
    const chunks = await streamed(client, `${up}-talk`);
    assert.equal(textOf(chunks), TEXT);
    assert.ok(chunks.length > 10);
    assert.equal(chunks.at(-1).candidates[0].finishReason, "STOP");
    assert.equal(chunks.at(-1).usageMetadata.candidatesTokenCount, 12);
  },

  async system_settings_and_image(up, world, client) {
    const config = { systemInstruction: "Be brief.", temperature: 0.5, maxOutputTokens: 77, stopSequences: ["STOP"] };
    const contents = [{
      role: "user",
      parts: [{ text: "What is this?" }, { inlineData: { mimeType: "image/png", data: PIXEL } }],
    }];
    assert.equal((await say(client, `${up}-talk`, config, contents)).text, TEXT);
    const asked = await world.lastBody("mock", "talk");
    if (up === "openai") {
      assert.deepEqual(asked.messages[0], { role: "system", content: "Be brief." });
      assert.equal(asked.messages[1].content[1].image_url.url, `data:image/png;base64,${PIXEL}`);
      assert.deepEqual([asked.temperature, asked.max_completion_tokens, asked.stop], [0.5, 77, ["STOP"]]);
    } else {
      assert.ok(JSON.stringify(asked.system).includes("Be brief."));
      assert.deepEqual(asked.messages[0].content[1].source, { type: "base64", media_type: "image/png", data: PIXEL });
      assert.deepEqual([asked.temperature, asked.max_tokens, asked.stop_sequences], [0.5, 77, ["STOP"]]);
    }
  },

  // Three calls in a stream, then the results, and the answer. Here calls have no ids: results find theirs by order.
  async function_calls(up, world, client) {
    const chunks = await streamed(client, `${up}-tools`, { tools: TOOLS });
    const calls = chunks.flatMap((chunk) => chunk.functionCalls ?? []);
    assert.deepEqual(calls.map((call) => [call.name, call.args]), CALLS);
    assert.equal(textOf(chunks), "mock: a");
    const plain = await say(client, `${up}-tools`, { tools: TOOLS });
    assert.deepEqual(plain.functionCalls.map((call) => call.args), calls.map((call) => call.args));
    const results = calls.map(({ name }, i) => ({ functionResponse: { name, response: { result: `result ${i}` } } }));
    const unnamed = contentsOf(chunks).map((content) => ({
      ...content,
      parts: content.parts.map((part) =>
        part.functionCall ? { functionCall: { name: part.functionCall.name, args: part.functionCall.args } } : part),
    }));
    const contents = [{ role: "user", parts: [{ text: ASK }] }, ...unnamed, { role: "user", parts: results }];
    assert.equal(textOf(await streamed(client, `${up}-tools`, { tools: TOOLS }, contents)), "mock: a");
    const asked = await world.lastBody("mock", "tools");
    if (up === "openai") {
      const turns = asked.messages.filter((turn) => turn.role === "tool");
      const made = asked.messages.flatMap((turn) => turn.tool_calls ?? []).map((call) => call.id);
      assert.deepEqual(turns.map((turn) => turn.tool_call_id), made);
      assert.deepEqual(turns.map((turn) => turn.content), ["result 0", "result 1", "result 2"]);
    } else {
      assert.deepEqual(asked.messages.map((turn) => turn.role), ["user", "assistant", "user"]);
      const made = asked.messages[1].content.filter((block) => block.type === "tool_use").map((block) => block.id);
      assert.deepEqual(asked.messages[2].content.map((block) => block.tool_use_id), made);
      assert.equal(new Set(made).size, 3);
    }
  },

  async chat_with_function_calls(up, world, client) {
    const chat = client.chats.create({ model: `${up}-tools`, config: { tools: TOOLS } });
    const first = await chat.sendMessage({ message: ASK });
    const results = first.functionCalls.map((call) => ({
      functionResponse: { id: call.id, name: call.name, response: { result: "20" } },
    }));
    assert.equal((await chat.sendMessage({ message: results })).text, "mock: a");
  },

  async mode_of_calling(up, world, client) {
    const functionCallingConfig = { mode: FunctionCallingConfigMode.ANY, allowedFunctionNames: ["clock"] };
    await say(client, `${up}-tools`, { tools: TOOLS, toolConfig: { functionCallingConfig } });
    const asked = await world.lastBody("mock", "tools");
    if (up === "openai") assert.deepEqual(asked.tool_choice, { type: "function", function: { name: "clock" } });
    else assert.deepEqual(asked.tool_choice, { type: "tool", name: "clock" });
    const none = { functionCallingConfig: { mode: FunctionCallingConfigMode.NONE } };
    assert.equal((await say(client, `${up}-tools`, { tools: TOOLS, toolConfig: none })).functionCalls, undefined);
  },

  async thinking(up, world, client) {
    const config = { tools: TOOLS, thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } };
    const chunks = await streamed(client, `${up}-think-tools`, config);
    const thoughts = partsOf(chunks).filter((part) => part.thought).map((part) => part.text ?? "").join("");
    assert.equal(thoughts, " a mock answers in");
    assert.equal(textOf(chunks), "It is warm.");
    const calls = chunks.flatMap((chunk) => chunk.functionCalls ?? []);
    assert.equal(calls.length, 2);
    const results = calls.map(({ id, name }) => ({ functionResponse: { id, name, response: { result: "20" } } }));
    const first = { role: "user", parts: [{ text: ASK }] };
    const contents = [first, ...contentsOf(chunks), { role: "user", parts: results }];
    assert.equal((await say(client, `${up}-think-tools`, config, contents)).text, "It is warm.");
    const asked = JSON.stringify(await world.lastBody("mock", "think-tools"));
    // Anthropic's signature comes back to where it was made.
    assert.equal(asked.split("bW9jayBzaWduYXR1cmU=").length, up === "anthropic" ? 2 : 1);
  },

  async schema(up, world, client) {
    const responseJsonSchema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    await say(client, `${up}-talk`, { responseMimeType: "application/json", responseJsonSchema });
    const asked = await world.lastBody("mock", "talk");
    const seen = up === "openai" ? asked.response_format.json_schema.schema : asked.output_config.format.schema;
    assert.deepEqual(seen.properties, responseJsonSchema.properties);
  },

  async errors(up, world, client) {
    for (const act of [say, streamed]) {
      for (const [model, status, name] of [["bad", 400, "INVALID_ARGUMENT"], ["limited", 429, "RESOURCE_EXHAUSTED"],
        ["down", 500, "INTERNAL"]]) {
        const error = await raised(ApiError, () => act(client, `${up}-${model}`));
        assert.equal(error.status, status);
        assert.equal(JSON.parse(error.message).error.status, name, error.message);
      }
      assert.equal((await raised(ApiError, () => act(client, "no-such-model"))).status, 404);
    }
    const locked = await raised(ApiError, () => say(client, `${up}-locked`));
    assert.equal(locked.status, 401);
    assert.ok(!locked.message.includes("key-of"));
  },

  async broken_stream(up, world, client) {
    for (const [model, message] of [[`${up}-broken`, /./], [`${up}-complaint`, /overloaded \(mock\)/]]) {
      let seen = "";
      const error = await raised(ApiError, async () => {
        for await (const chunk of await client.models.generateContentStream(asking(model))) seen += chunk.text;
      });
      assert.equal(seen, "mock: a mock");
      assert.match(error.message, message);
    }
  },

  async abort(up, world, client) {
    const controller = new AbortController();
    const stream = await client.models.generateContentStream(asking(`${up}-long`, { abortSignal: controller.signal }));
    let seen = 0;
    try {
      for await (const chunk of stream) if (chunk.text && ++seen === 3) controller.abort();
    } catch (error) {
      assert.match(String(error), /abort/i);
    }
    assert.ok(seen >= 3 && seen < 1000, String(seen));
    await until(async () => (await world.calls("mock", "long")).at(-1).end === "client_closed");
  },

  async count_tokens(up, world, client) {
    const { totalTokens } = await client.models.countTokens({ model: `${up}-talk`, contents: ASK });
    assert.ok(totalTokens > 1);
    const asked = (await world.calls("mock", "talk")).filter((call) => call.path.endsWith("/count_tokens"));
    assert.equal(asked.length, up === "anthropic" ? 1 : 0); // A chat cannot be asked: it is an estimate.
  },
};

const tests = {};
for (const up of ["openai", "anthropic"])
  for (const [name, test] of Object.entries(each)) tests[`${up} ${name}`] = (...given) => test(up, ...given);
// Passed through, where nothing is translated.
for (const name of ["stream", "chat_with_function_calls", "errors", "broken_stream", "abort"])
  tests[`gemini ${name}`] = (...given) => each[name]("gemini", ...given);

tests.embeddings = async (world, client) => {
  const ask = { model: "openai-talk", contents: ["a", "b"], config: { outputDimensionality: 5 } };
  const { embeddings } = await client.models.embedContent(ask);
  assert.deepEqual(embeddings.map((one) => one.values.length), [5, 5]);
  const own = await client.models.embedContent({ ...ask, model: "gemini-talk" });
  assert.deepEqual(embeddings.map((one) => one.values), own.embeddings.map((one) => one.values));
};

tests.models = async (world, client) => {
  const names = [];
  for await (const model of await client.models.list()) names.push(model.name);
  for (const name of ["models/openai-talk", "models/anthropic-talk"]) assert.ok(names.includes(name), String(names));
};

// The first one fails, by status, by silence, in mid-answer; the second one speaks another dialect.
tests.failover = async (world, client) => {
  for (const [model, by] of [["openai-to-anthropic", "second-anthropic"], ["anthropic-to-gemini", "second-gemini"],
    ["gemini-to-openai", "second-openai"]]) {
    const answer = await say(client, model);
    assert.equal(answer.sdkHttpResponse.headers["x-lb-served-by"], by);
    assert.equal(answer.text, TEXT);
    assert.equal(textOf(await streamed(client, model)), TEXT);
  }
};

const open = (world) => new GoogleGenAI({ apiKey: CLIENT_KEY, httpOptions: { baseUrl: world.url, timeout: 30_000 } });
await run("node genai", "dialects.json", tests, open);
