// The unmodified SDK of OpenAI for Node against `lb serve` over `lb mock`.
//
// openai_test.mjs LB HERE     LB: the program. HERE: where world.json is, with the mocks and the routes. Prints
// "ok NAME" or "not ok NAME" for each test. It has to lie in a folder with the SDK: modules are looked for beside the
// script.
import assert from "node:assert/strict";
import OpenAI from "openai";
import { CLIENT_KEY, now, raised, run, until } from "./world.mjs";

const ASK = [{ role: "user", content: "Say something." }];

const chat = (client, model, more = {}, options = {}) =>
  client.chat.completions.create({ model, messages: ASK, ...more }, options);

async function text(stream, seen = { text: "" }) {
  for await (const chunk of await stream) seen.text += chunk.choices[0]?.delta.content ?? "";
  return seen.text;
}

async function closedAfterMs(world, leftMs) {
  const call = await until(async () => {
    const calls = (await world.journal("east")).calls.filter((c) => c.model === "long" || c.model === "silent");
    return calls.at(-1)?.end === "client_closed" && calls.at(-1);
  });
  return call.end_ms - leftMs;
}

const tests = {
  async plain(world, client) {
    const { data, response } = await chat(client, "chat").withResponse();
    assert.match(data.choices[0].message.content, /^east: a mock answers/);
    assert.equal(data.choices[0].finish_reason, "stop");
    assert.equal(data.usage.completion_tokens, 12);
    assert.equal(response.headers.get("x-lb-served-by"), "east");
  },

  async streamed(world, client) {
    const whole = (await chat(client, "chat")).choices[0].message.content;
    const chunks = [];
    const options = { stream: true, stream_options: { include_usage: true } };
    for await (const chunk of await chat(client, "chat", options)) chunks.push(chunk);
    assert.equal(chunks.map((c) => c.choices[0]?.delta.content ?? "").join(""), whole);
    assert.equal(chunks.at(-1).usage.completion_tokens, 12);
    assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
  },

  async accumulated(world, client) {
    const stream = client.chat.completions.stream({ model: "chat", messages: ASK });
    const whole = await stream.finalChatCompletion();
    assert.match(whole.choices[0].message.content, /^east: a mock answers/);
  },

  async completions(world, client) {
    const answer = await client.completions.create({ model: "chat", prompt: "Say" });
    assert.match(answer.choices[0].text, /^east:/);
  },

  async renamed(world, client) {
    await chat(client, "renamed");
    assert.equal((await world.calls("east", "name-upstream")).length, 1);
    assert.equal((await world.calls("east", "renamed")).length, 0);
  },

  async embeddings(world, client) {
    const ask = { model: "chat", input: ["a", "b"], dimensions: 5 };
    const packed = await client.embeddings.create(ask); // The SDK asks for base64.
    const floats = await client.embeddings.create({ ...ask, encoding_format: "float" });
    assert.equal(packed.data.length, 2);
    packed.data.forEach((item, i) => {
      assert.equal(item.embedding.length, 5);
      item.embedding.forEach((value, k) => assert.ok(Math.abs(value - floats.data[i].embedding[k]) < 1e-6));
    });
  },

  async responses(world, client) {
    const ask = { model: "chat", input: "Say something." };
    const answer = await client.responses.create(ask);
    assert.equal(answer.status, "completed");
    assert.match(answer.output_text, /^east:/);
    const events = [];
    for await (const event of await client.responses.create({ ...ask, stream: true })) events.push(event);
    assert.equal(events[0].type, "response.created");
    assert.equal(events.at(-1).type, "response.completed");
    const deltas = events.filter((event) => event.type === "response.output_text.delta");
    assert.equal(deltas.map((event) => event.delta).join(""), answer.output_text);
  },

  async models(world, client) {
    const names = (await client.models.list()).data.map((model) => model.id);
    for (const name of ["chat", "renamed", "limited", "locked"]) assert.ok(names.includes(name), name);
    assert.ok(!names.includes("name-upstream"));
  },

  async bad_request(world, client) {
    const error = await raised(OpenAI.BadRequestError, () => chat(client, "bad"));
    assert.equal(error.code, "context_length_exceeded");
    await raised(OpenAI.BadRequestError, () => chat(client, "bad", { stream: true }));
  },

  async unknown_model(world, client) {
    const error = await raised(OpenAI.NotFoundError, () => chat(client, "no-such-model"));
    assert.equal(error.code, "model_not_found");
  },

  async all_limited(world, client) {
    const error = await raised(OpenAI.RateLimitError, () => chat(client, "limited"));
    const wait = Number(error.headers.get("retry-after"));
    assert.ok(wait >= 1 && wait <= 7, String(wait));
    for (const mock of ["east", "west"]) assert.equal((await world.calls(mock, "limited")).length, 1);
    await raised(OpenAI.RateLimitError, () => chat(client, "limited", { stream: true }));
    assert.equal((await world.calls("east", "limited")).length, 1); // It cools; nobody was asked again.
  },

  async all_down(world, client) {
    await raised(OpenAI.InternalServerError, () => chat(client, "down"));
    for (const mock of ["east", "west"]) assert.ok((await world.calls(mock, "down")).length > 0);
  },

  // The upstream's last answer is passed on, and no key with it.
  async upstream_key_refused(world, client) {
    const error = await raised(OpenAI.AuthenticationError, () => chat(client, "locked"));
    assert.ok(!String(error).includes("key-of-frail"));
  },

  async cut_before_the_head(world, client) {
    await raised(OpenAI.InternalServerError, () => chat(client, "cut"));
  },

  async broken_stream(world, client) {
    const seen = { text: "" };
    const error = await raised(OpenAI.APIError, () => text(chat(client, "broken", { stream: true }), seen));
    assert.equal(seen.text, "frail: a mock");
    assert.ok(error.message);
  },

  async complaint_in_a_stream(world, client) {
    const seen = { text: "" };
    const error = await raised(OpenAI.APIError, () => text(chat(client, "complaint", { stream: true }), seen));
    assert.equal(seen.text, "frail: a mock");
    assert.match(error.message, /overloaded \(mock\)/);
  },

  async failover(world, client) {
    const { data, response } = await chat(client, "failover").withResponse();
    assert.match(data.choices[0].message.content, /^west:/);
    assert.equal(response.headers.get("x-lb-attempts"), "2");
    for (let i = 0; i < 5; i++) assert.match(await text(chat(client, "failover", { stream: true })), /^west:/);
    assert.ok((await world.calls("east", "failover")).length > 0);
  },

  async nobody_listens() {
    const lost = new OpenAI({ baseURL: "http://127.0.0.1:9/v1", apiKey: CLIENT_KEY, maxRetries: 0 });
    await raised(OpenAI.APIConnectionError, () => chat(lost, "chat"));
  },

  async abort_in_mid_stream(world, client) {
    const took = [];
    for (let i = 0; i < 5; i++) {
      const stream = await chat(client, "long", { stream: true });
      let seen = 0;
      let leftMs = 0;
      for await (const chunk of stream) {
        assert.equal(chunk.object, "chat.completion.chunk");
        if (++seen < 3) continue;
        leftMs = now();
        stream.controller.abort();
        break;
      }
      took.push(await closedAfterMs(world, leftMs));
    }
    const median = took.sort((a, b) => a - b)[2];
    assert.ok(median <= 100, took.join(" "));
    console.log(`# the mock saw the close ${median.toFixed(1)} ms after the abort (median of ${took.length})`);
  },

  async abort_before_the_head(world, client) {
    const controller = new AbortController();
    const call = raised(OpenAI.APIUserAbortError, () => chat(client, "silent", {}, { signal: controller.signal }));
    await until(async () => (await world.calls("east", "silent")).length > 0);
    const leftMs = now();
    controller.abort();
    await call;
    const took = await closedAfterMs(world, leftMs);
    assert.ok(took <= 1000, String(took));
  },

  async timeout_before_the_head(world, client) {
    await raised(OpenAI.APIConnectionTimeoutError, () => chat(client, "silent", {}, { timeout: 200 }));
    await closedAfterMs(world, 0);
  },

  async many_at_once(world, client) {
    const one = async (i) =>
      i % 2 ? text(chat(client, "chat", { stream: true })) : (await chat(client, "chat")).choices[0].message.content;
    const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => one(i)));
    assert.equal(new Set(answers).size, 1);
  },

  async large_body(world, client) {
    const size = 3_000_000;
    const messages = [{ role: "user", content: "x".repeat(size) }];
    const answer = await client.chat.completions.create({ model: "chat", messages });
    assert.ok(answer.usage.prompt_tokens >= size / 4);
  },

  // Over everything that the tests before have sent: no field holds what is the caller's.
  async callers_key_stays_here(world) {
    const named = new OpenAI({
      baseURL: world.url + "/v1", apiKey: CLIENT_KEY, maxRetries: 0, organization: "org-of-the-caller",
      project: "proj-of-the-caller", defaultHeaders: { cookie: "session=of-the-caller" },
    });
    await chat(named, "chat");
    let seen = 0;
    for (const mock of ["east", "west", "frail"]) {
      for (const call of (await world.journal(mock)).calls) {
        seen++;
        const headers = JSON.stringify(call.headers);
        assert.ok(!headers.includes(CLIENT_KEY) && !headers.includes("of-the-caller"), headers);
        const refused = call.model === "locked" ? "-refused" : "";
        assert.equal(call.headers.authorization, `Bearer key-of-${mock}${refused}`);
      }
    }
    assert.ok(seen > 60);
  },
};

const open = (world) =>
  new OpenAI({ baseURL: world.url + "/v1", apiKey: CLIENT_KEY, maxRetries: 0, timeout: 30_000 });
await run("node openai", "world.json", tests, open);
