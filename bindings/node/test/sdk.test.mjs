// The real SDKs, as they come from the registry, with lb's fetch below them: plain, streamed, with tools, aborted, and
// with an upstream that dies in the middle. LB_SDK: the folder where they are installed.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { lb, until, usuallyWithin } from './world.mjs';
import { Upstream } from './sdk/upstream.mjs';

const sdk = createRequire(join(process.env.LB_SDK, 'x.js'));
const load = (name) => import(pathToFileURL(sdk.resolve(name)).href);
const OpenAI = sdk('openai').OpenAI;
const Anthropic = sdk('@anthropic-ai/sdk').Anthropic;
const { generateText, stepCountIs, streamText, tool } = await load('ai');
const { createOpenAI } = await load('@ai-sdk/openai');
const { z } = await load('zod');

const ASK = [{ role: 'user', content: 'How is the weather?' }];
const PARAMETERS = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const weather = ({ city }) => `${city}: rain`;
const text = async (iterable) => { let all = ''; for await (const part of iterable) all += part; return all; };

let east, west, client;

// Same deployments, by turns: what fails here must be no event there.
async function open(more = {}) {
  [east, west] = [await Upstream.start('east'), await Upstream.start('west')];
  const deployment = ({ name, url }) => ({ name, url, key: `key-of-${name}`, models: ['m', 'slow'], ...more });
  client = new lb.Client({
    deployments: [deployment(east), deployment(west)],
    routes: [{ model: 'm', tiers: [['east'], ['west']] }, { model: 'slow', tiers: [['west']] }],
  });
}

async function close() {
  await client.close();
  await Promise.all([east.stop(), west.stop()]);
}

/** Ten calls; the first deployment dies after the third: the caller sees only who answers. */
async function failover(say) {
  const said = [];
  for (let i = 0; i < 10; i++) {
    if (i === 3) east.dead = true;
    said.push((await say()).split(' ')[0]);
  }
  east.dead = false;
  client.mark('east', 0);
  assert.deepEqual(said, [...Array(3).fill('east'), ...Array(7).fill('west')]);
}

/** The upstream's socket is closed soon after `leave`. */
const closes = (start) => usuallyWithin(100, async () => {
  west.closedAt = undefined;
  const leave = await start();
  const since = performance.now();
  await leave();
  await until(() => west.closedAt !== undefined);
  return west.closedAt - since;
});

describe('openai', () => {
  let openai;
  before(async () => {
    await open();
    openai = new OpenAI({ baseURL: 'http://lb/v1', apiKey: 'key-of-the-caller', maxRetries: 0, fetch: client.fetch });
  });
  after(close);
  const chat = (more = {}, options) => openai.chat.completions.create({ model: 'm', messages: ASK, ...more }, options);
  const content = async (more) => (await chat(more)).choices[0].message.content;
  const deltas = async function* (stream) { for await (const chunk of await stream) yield chunk.choices[0]?.delta.content ?? ''; };

  test('plain', async () => {
    const { data, response } = await chat().withResponse();
    assert.equal(data.choices[0].message.content, 'east says hello');
    assert.equal(data.usage.total_tokens, 12);
    assert.equal(response.headers.get('x-lb-served-by'), 'east');
    assert.equal(east.headers.authorization, 'Bearer key-of-east'); // And not the caller's.
    assert.equal(JSON.parse(await (await chat().asResponse()).text()).object, 'chat.completion');
  });

  test('streamed', async () => {
    assert.equal(await text(deltas(chat({ stream: true }))), 'east says hello');
    const whole = await openai.chat.completions.stream({ model: 'm', messages: ASK }).finalChatCompletion();
    assert.equal(whole.choices[0].message.content, 'east says hello');
  });

  test('tools', async () => {
    const tools = [{ type: 'function', function: { name: 'weather', parameters: PARAMETERS, parse: JSON.parse, function: weather } }];
    const runner = openai.chat.completions.runTools({ model: 'm', messages: ASK, tools });
    assert.equal(await runner.finalContent(), 'east was told: Oslo: rain');
    const streamed = openai.chat.completions.runTools({ model: 'm', messages: ASK, tools, stream: true });
    assert.equal(await streamed.finalContent(), 'east was told: Oslo: rain');
  });

  test('aborted before the head', () => closes(async () => {
    const control = new AbortController();
    const before = west.served;
    const call = chat({ model: 'slow' }, { signal: control.signal }).catch((error) => error);
    await until(() => west.served > before);
    return async () => {
      control.abort();
      assert.ok((await call) instanceof sdk('openai').APIUserAbortError, String(await call));
    };
  }));

  test('aborted in mid-stream', () => closes(async () => {
    const stream = await chat({ model: 'slow', stream: true });
    const chunks = stream[Symbol.asyncIterator]();
    await chunks.next();
    return () => stream.controller.abort();
  }));

  test('left in mid-stream', () => closes(async () => {
    for await (const _ of await chat({ model: 'slow', stream: true })) break;
    return () => {};
  }));

  test('timed out', async () => {
    const error = await chat({ model: 'slow' }, { timeout: 50 }).catch((it) => it);
    assert.ok(error instanceof sdk('openai').APIConnectionTimeoutError, String(error));
  });

  test('lb’s own errors', async () => {
    const error = await chat({ model: 'nobody-has-this' }).catch((it) => it);
    assert.ok(error instanceof sdk('openai').APIConnectionError);
    assert.equal(error.cause.status, 'INVALID');
  });

  test('failover', async () => {
    await failover(() => content());
    await failover(() => text(deltas(chat({ stream: true }))));
  });
});

describe('ai', () => {
  let model;
  before(async () => {
    await open();
    const provider = createOpenAI({ baseURL: 'http://lb/v1', apiKey: 'key-of-the-caller', fetch: client.fetch });
    model = (name = 'm') => provider.chat(name);
  });
  after(close);
  const options = (more) => ({ model: model(), prompt: 'How is the weather?', maxRetries: 0, ...more });
  const tools = { weather: tool({ description: 'weather', inputSchema: z.object({ city: z.string() }), execute: async (it) => weather(it) }) };

  test('plain', async () => {
    const result = await generateText(options());
    assert.equal(result.text, 'east says hello');
    assert.equal(result.usage.totalTokens, 12);
    assert.equal(result.response.headers['x-lb-served-by'], 'east');
  });

  test('streamed', async () => {
    assert.equal(await text(streamText(options()).textStream), 'east says hello');
  });

  test('tools', async () => {
    const more = { tools, stopWhen: stepCountIs(3) };
    assert.equal((await generateText(options(more))).text, 'east was told: Oslo: rain');
    assert.equal(await text(streamText(options(more)).textStream), 'east was told: Oslo: rain');
  });

  test('aborted before the head', () => closes(async () => {
    const control = new AbortController();
    const before = west.served;
    const call = generateText(options({ model: model('slow'), abortSignal: control.signal })).catch((error) => error);
    await until(() => west.served > before);
    return async () => {
      control.abort();
      assert.equal((await call).name, 'AbortError');
    };
  }));

  test('aborted in mid-stream', () => closes(async () => {
    const control = new AbortController();
    const parts = streamText(options({ model: model('slow'), abortSignal: control.signal })).textStream[Symbol.asyncIterator]();
    await parts.next();
    return () => control.abort();
  }));

  test('failover', async () => {
    await failover(async () => (await generateText(options())).text);
    await failover(() => text(streamText(options()).textStream));
  });
});

const anthropicHere = await new lb.Client({ deployments: [{ name: 'e', kind: 'echo', models: ['m'] }] })
  .fetch('http://lb/v1/messages', { method: 'POST', body: '{"model":"m"}' })
  .then(() => true, (error) => !/no such operation/.test(error.message));

describe('@anthropic-ai/sdk', { skip: !anthropicHere && 'this lb has no /v1/messages' }, () => {
  let anthropic;
  before(async () => {
    await open({ dialect: 'anthropic' });
    anthropic = new Anthropic({ baseURL: 'http://lb', apiKey: 'key-of-the-caller', maxRetries: 0, fetch: client.fetch });
  });
  after(close);
  const create = (more = {}, options) => anthropic.messages.create({ model: 'm', max_tokens: 100, messages: ASK, ...more }, options);
  const tools = [{ name: 'weather', input_schema: PARAMETERS }];

  test('plain', async () => {
    const answer = await create();
    assert.equal(answer.content[0].text, 'east says hello');
    assert.equal(answer.usage.output_tokens, 7);
    assert.equal(east.headers['x-api-key'], 'key-of-east');
  });

  test('streamed', async () => {
    const whole = await anthropic.messages.stream({ model: 'm', max_tokens: 100, messages: ASK }).finalMessage();
    assert.equal(whole.content[0].text, 'east says hello');
    assert.equal(whole.stop_reason, 'end_turn');
  });

  test('tools', async () => {
    for (const stream of [false, true]) {
      const ask = (messages) => stream
        ? anthropic.messages.stream({ model: 'm', max_tokens: 100, messages, tools }).finalMessage()
        : create({ messages, tools });
      const first = await ask(ASK);
      assert.equal(first.stop_reason, 'tool_use');
      const { id, input } = first.content[0];
      const second = await ask([...ASK, { role: 'assistant', content: first.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: weather(input) }] }]);
      assert.equal(second.content[0].text, 'east was told: Oslo: rain');
    }
  });

  test('aborted before the head', () => closes(async () => {
    const control = new AbortController();
    const before = west.served;
    const call = create({ model: 'slow' }, { signal: control.signal }).catch((error) => error);
    await until(() => west.served > before);
    return async () => {
      control.abort();
      assert.ok((await call) instanceof sdk('@anthropic-ai/sdk').APIUserAbortError);
    };
  }));

  test('aborted in mid-stream', () => closes(async () => {
    const stream = await create({ model: 'slow', stream: true });
    await stream[Symbol.asyncIterator]().next();
    return () => stream.controller.abort();
  }));

  test('failover', async () => {
    await failover(async () => (await create()).content[0].text);
    await failover(async () => (await anthropic.messages.stream({ model: 'm', max_tokens: 9, messages: ASK }).finalText()));
  });
});
