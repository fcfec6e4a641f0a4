// What fetch takes and gives, on an upstream that answers in process.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, test } from 'node:test';
import { URL_CHAT, ask, echo, lb, sleep, until } from './world.mjs';

const client = new lb.Client(echo({ events: 20 }));
after(() => client.close());

const content = (answer) => answer.choices[0].message.content;
const tokensOf = async (init) => (await (await client.fetch(URL_CHAT, init)).json()).usage.prompt_tokens;
const size = (init) => Math.floor(new TextEncoder().encode(init.body).length / 4); // The echo counts four bytes a token.

/** As ReadableStream.from, which is newer than Node 18. */
const streamOf = (iterable) => Readable.toWeb(Readable.from(iterable));

async function* pieces(text, length) {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += length) yield bytes.slice(at, at + length);
}

test('forms of a request', async () => {
  const init = ask();
  const bytes = new TextEncoder().encode(init.body);
  const form = { ...init, duplex: 'half' };
  const forms = {
    'string and init': () => client.fetch(URL_CHAT, init),
    'URL and init': () => client.fetch(new URL(URL_CHAT), init),
    'URL as a string with query and hash': () => client.fetch(`${URL_CHAT}?api-version=1#x`, init),
    'Request': () => client.fetch(new Request(URL_CHAT, init)),
    'Request and init': () => client.fetch(new Request(URL_CHAT, { ...init, body: 'not this' }), { body: init.body }),
    'Uint8Array': () => client.fetch(URL_CHAT, { ...init, body: bytes }),
    'part of a buffer': () => client.fetch(URL_CHAT, { ...init, body: Buffer.from(`xx${init.body}`).subarray(2) }),
    'ArrayBuffer': () => client.fetch(URL_CHAT, { ...init, body: bytes.buffer }),
    'DataView': () => client.fetch(URL_CHAT, { ...init, body: new DataView(bytes.buffer) }),
    'Blob': () => client.fetch(URL_CHAT, { ...init, body: new Blob([bytes]) }),
    'ReadableStream': () => client.fetch(URL_CHAT, { ...form, body: streamOf(pieces(init.body, 7)) }),
    'AsyncIterable': () => client.fetch(URL_CHAT, { ...form, body: pieces(init.body, 1000) }),
    'stream of known length': () => client.fetch(URL_CHAT, {
      ...form, body: streamOf(pieces(init.body, 50)), headers: { 'content-length': String(bytes.length) } }),
    'Headers': () => client.fetch(URL_CHAT, { ...init, headers: new Headers(init.headers) }),
    'pairs': () => client.fetch(URL_CHAT, { ...init, headers: Object.entries(init.headers) }),
    'no headers': () => client.fetch(URL_CHAT, { ...init, headers: undefined }),
    'lower case method': () => client.fetch(URL_CHAT, { ...init, method: 'post' }),
    'null signal': () => client.fetch(URL_CHAT, { ...init, signal: null }),
  };
  for (const [name, start] of Object.entries(forms)) {
    const response = await start();
    assert.equal(response.status, 200, name);
    const answer = await response.json();
    assert.match(content(answer), /^tok 0 tok 1/, name);
    assert.equal(answer.usage.prompt_tokens, size(init), name);
  }
});

test('unbound, as SDKs call it', async () => {
  const { fetch } = client;
  assert.equal((await fetch.call(undefined, URL_CHAT, ask())).status, 200);
});

test('text of any kind goes as UTF-8', async () => {
  for (const text of ['é', 'ÿ'.repeat(1000), '€', '𝄞', '\ud800', 'x'.repeat(3_000_000), '€'.repeat(1_000_000)]) {
    const init = ask({ messages: [{ role: 'user', content: text }] });
    assert.equal(await tokensOf(init), size(init));
  }
});

test('what a request may not be', async () => {
  const refused = [
    ['/v1/chat/completions', ask()],
    ['http://user:pass@lb/v1/chat/completions', ask()],
    [URL_CHAT, ask({}, { headers: { 'x\r\ny': '1' } })],
    [URL_CHAT, ask({}, { headers: { x: 'a\r\nhost: b' } })],
    [URL_CHAT, ask({}, { headers: { x: '€' } })],
    [URL_CHAT, ask({}, { headers: [['x']] })],
    [URL_CHAT, ask({}, { method: 'GET' })],
    [URL_CHAT, ask({}, { method: 'A B' })],
    [URL_CHAT, ask({}, { signal: {} })],
    [URL_CHAT, { ...ask(), body: streamOf(pieces('{}', 1)) }], // Without duplex.
    [URL_CHAT, { ...ask(), body: streamOf(['text', 'is not bytes']), duplex: 'half' }],
  ];
  for (const [url, init] of refused) {
    const ours = await client.fetch(url, init).catch((error) => error);
    assert.ok(ours instanceof TypeError, `${url} ${JSON.stringify(init)}: ${ours}`);
  }
});

test('header values of all kinds', async () => {
  const headers = { 'x-number': 5, 'x-latin': 'ÿ', 'x-empty': '', 'x-list': ['a', 'b'] };
  assert.equal((await client.fetch(URL_CHAT, ask({}, { headers }))).status, 200);
});

test('errors of lb', async () => {
  const unknown = await client.fetch(URL_CHAT, ask({ model: 'other' })).catch((error) => error);
  assert.ok(unknown instanceof lb.LbError && unknown instanceof TypeError);
  assert.equal(unknown.name, 'LbError');
  assert.equal(unknown.status, 'INVALID');
  assert.equal(unknown.code, 404);
  assert.equal(unknown.retryable, false);
  assert.equal(unknown.model, 'other');
  assert.match(unknown.message, /no route serves/);
  assert.ok(!('upstream' in unknown)); // What is not known is not there.
  const nowhere = await client.fetch('http://lb/v1/nowhere', ask()).catch((error) => error);
  assert.equal(nowhere.status, 'INVALID');
  assert.match(nowhere.message, /no such operation/);
  const config = (() => { try { return new lb.Client({ deployments: [{ nam: 1 }] }); } catch (error) { return error; } })();
  assert.equal(config.status, 'CONFIG');
  assert.match(config.where, /^\/deployments\/0/);
  assert.throws(() => lb.check({ deployment: [] }), { status: 'CONFIG' });
  lb.check('deployments: [{name: echo, kind: echo, models: [m]}]');
  assert.ok(lb.schema().properties.deployments);
});

test('members of a response', async () => {
  const response = await client.fetch(`${URL_CHAT}?a=b#c`, ask());
  assert.ok(response instanceof Response);
  assert.equal(Object.prototype.toString.call(response), '[object Response]');
  assert.deepEqual([response.status, response.ok, response.statusText, response.type, response.redirected],
    [200, true, '', 'basic', false]);
  assert.equal(response.url, `${URL_CHAT}?a=b`);
  assert.ok(response.headers instanceof Headers);
  assert.equal(response.headers, response.headers);
  assert.equal(response.headers.get('Content-Type'), 'application/json');
  assert.match(response.headers.get('x-lb-request-id'), /^lb-/);
  assert.deepEqual(new Headers(response.headers).get('x-lb-served-by'), 'echo');
  for (const change of ['append', 'set', 'delete']) assert.throws(() => response.headers[change]('a', 'b'), TypeError);
  assert.equal(response.bodyUsed, false);
  await response.text();
  assert.equal(response.bodyUsed, true);
});

test('every way to read a body, once', async () => {
  const texts = {
    text: (r) => r.text(),
    json: async (r) => JSON.stringify(await r.json()),
    arrayBuffer: async (r) => new TextDecoder().decode(await r.arrayBuffer()),
    bytes: async (r) => new TextDecoder().decode(await r.bytes()),
    blob: async (r) => (await r.blob()).text(),
    stream: async (r) => { let all = ''; for await (const part of r.body) all += Buffer.from(part); return all; },
    byob: async (r) => {
      const reader = r.body.getReader({ mode: 'byob' });
      let all = '';
      for (let got; !(got = await reader.read(new Uint8Array(11))).done;) all += Buffer.from(got.value);
      return all;
    },
    clone: (r) => r.clone().text(),
    piped: async (r) => new Response(r.body.pipeThrough(new TransformStream())).text(),
    rewrapped: (r) => new Response(r.body, r).text(),
    'after looking at body': (r) => r.body && r.text(),
  };
  const whole = await (await client.fetch(URL_CHAT, ask())).text();
  assert.equal(JSON.parse(whole).object, 'chat.completion');
  for (const [name, read] of Object.entries(texts)) {
    const response = await client.fetch(URL_CHAT, ask());
    assert.equal(await read(response), whole, name);
    if (name === 'clone') continue;
    assert.equal(response.bodyUsed, true, name);
    for (const again of ['text', 'json', 'arrayBuffer', 'blob']) await assert.rejects(response[again](), TypeError, name);
    assert.throws(() => response.clone(), TypeError, name);
    if (name !== 'piped' && name !== 'stream') assert.ok(response.body.locked, name);
  }
  const buffer = await (await client.fetch(URL_CHAT, ask())).arrayBuffer();
  assert.ok(buffer instanceof ArrayBuffer);
  assert.equal(buffer.byteLength, Buffer.byteLength(whole)); // And no piece of a slab.
  const blob = await (await client.fetch(URL_CHAT, ask())).blob();
  assert.equal(blob.type, 'application/json');
  await assert.rejects((await client.fetch(URL_CHAT, ask({ stream: true }))).json(), SyntaxError);
});

test('clone and tee', async () => {
  const response = await client.fetch(URL_CHAT, ask({ stream: true }));
  const copy = response.clone();
  const third = copy.clone();
  assert.notEqual(copy.body, response.body);
  const [a, b, c] = await Promise.all([response.text(), copy.text(), third.text()]);
  assert.ok(a.endsWith('data: [DONE]\n\n') && a === b && b === c);
  assert.equal(copy.headers.get('content-type'), 'text/event-stream');
  const [left, right] = (await client.fetch(URL_CHAT, ask({ stream: true }))).body.tee();
  assert.equal(await new Response(left).text(), a);
  assert.equal(await new Response(right).text(), a);
});

test('chunks are the reader’s own', async () => {
  const response = await client.fetch(URL_CHAT, ask({ stream: true }));
  let all = '';
  for await (const chunk of response.body) {
    assert.ok(chunk instanceof Uint8Array && chunk.byteOffset === 0 && chunk.buffer.byteLength === chunk.length);
    all += Buffer.from(chunk);
    structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
  }
  assert.ok(all.endsWith('data: [DONE]\n\n'));
});

test('nothing is taken ahead of the reader', async () => {
  const small = new lb.Client(echo({ events: 100_000 }, { routes: [{ model: 'm', window_bytes: 4096 }] }));
  let done = false;
  const response = await small.fetch(URL_CHAT, ask({ stream: true }, { lb: { onDone: () => { done = true; } } }));
  const reader = response.body.getReader();
  let bytes = (await reader.read()).value.length;
  await sleep(50);
  assert.equal(done, false);
  assert.equal(small.stats().calls.in_flight, 1);
  while (bytes < 1_000_000) bytes += (await reader.read()).value.length; // Windows of credit go back and forth.
  await reader.cancel();
  await until(() => done);
  await small.close();
});

test('events', async () => {
  const seen = [];
  for await (const event of client.events(URL_CHAT, ask({ stream: true }))) seen.push(JSON.parse(event));
  assert.equal(seen.length, 22);
  assert.equal(seen.slice(0, 20).map((event) => event.choices[0].delta.content).join(''),
    Array.from({ length: 20 }, (_, i) => `tok ${i} `).join(''));
  assert.ok(seen.at(-1).usage);
  const iterator = client.events(URL_CHAT, ask({ stream: true }));
  assert.equal((await iterator.next()).done, false);
  assert.deepEqual(await iterator.return('x'), { done: true, value: 'x' });
  await assert.rejects(client.events(URL_CHAT, ask({ model: 'other' })).next(), { status: 'INVALID' });
  const chunks = [];
  const response = await client.fetch(URL_CHAT, ask({ stream: true }, { lb: { delivery: 'events' } }));
  for await (const chunk of response.body) chunks.push(JSON.parse(Buffer.from(chunk)));
  assert.deepEqual(chunks, seen);
});

test('what DONE says', async () => {
  const outcome = await new Promise((onDone) => {
    client.fetch(URL_CHAT, ask({}, { lb: { onDone } })).then((response) => response.text());
  });
  assert.equal(outcome.status, 'OK');
  assert.equal(outcome.tokensIn, size(ask()));
  assert.equal(outcome.tokensOut, 20);
  assert.equal(outcome.upstream, 'echo');
  assert.equal(outcome.attempts, 1);
  assert.match(outcome.requestId, /^lb-/);
});

test('deadlines, and windows of one call', async () => {
  const slow = new lb.Client(echo({ events: 3, delay_ms: 60_000 }));
  const late = await slow.fetch(URL_CHAT, ask({}, { lb: { deadlineMs: 20 } })).catch((error) => error);
  assert.equal(late.status, 'DEADLINE');
  assert.equal(late.retryable, true);
  const response = await client.fetch(URL_CHAT, ask({ stream: true }, { lb: { windowBytes: 1 } }));
  assert.ok((await response.text()).endsWith('data: [DONE]\n\n'));
  await slow.close();
});

test('configure, mark, stats, address, logs', async () => {
  const lines = [];
  const own = new lb.Client(JSON.stringify(echo({}, { listen: [{ address: '127.0.0.1:0' }] })),
    { logLevel: 4, log: (level, line) => lines.push([level, JSON.parse(line)]), seed: 7 });
  const at = own.address();
  assert.match(at, /^127\.0\.0\.1:\d+$/);
  assert.equal((await fetch(`http://${at}/v1/chat/completions`, ask())).status, 200);
  assert.throws(() => own.address('other'), { status: 'GONE' });
  assert.ok(own.stats().deployments);
  assert.match(own.stats('prometheus'), /^# /);
  own.mark('echo', 60_000);
  await assert.rejects(own.fetch(URL_CHAT, ask({}, { lb: { deadlineMs: 50 } })));
  own.mark('echo', 0, 'm');
  assert.equal((await own.fetch(URL_CHAT, ask())).status, 200);
  assert.throws(() => own.mark('nobody', 1), { status: 'INVALID' });
  own.configure(echo({ models: ['n'] }));
  assert.equal((await own.fetch(URL_CHAT, ask({ model: 'n' }))).status, 200);
  await assert.rejects(own.fetch(URL_CHAT, ask()), { status: 'INVALID' });
  assert.throws(() => own.configure('{'), { status: 'CONFIG' });
  await until(() => lines.length > 0);
  await own.close();
  const deaf = new lb.Client(echo({}, { listen: [{ address: '127.0.0.1:0' }] }), { listen: false });
  assert.throws(() => deaf.address(), { status: 'GONE' });
  await deaf.close();
});

test('closing', async () => {
  const slow = new lb.Client(echo({ events: 3, delay_ms: 60_000 }));
  const call = slow.fetch(URL_CHAT, ask()).catch((error) => error);
  await Promise.all([slow.close(), slow.close()]);
  assert.equal((await call).status, 'CANCELLED');
  await slow.close();
  assert.equal((await slow.fetch(URL_CHAT, ask()).catch((error) => error)).status, 'CLOSED');
  for (const use of [() => slow.stats(), () => slow.mark('echo', 1), () => slow.configure('{}')]) assert.throws(use, lb.LbError);
  const brief = new lb.Client(echo({ events: 3, delay_ms: 20 }));
  const answer = brief.fetch(URL_CHAT, ask({ stream: true })).then((response) => response.text());
  await brief.close(10_000);
  assert.ok((await answer).endsWith('data: [DONE]\n\n'));
});

test('many at once', async () => {
  const whole = await (await client.fetch(URL_CHAT, ask({ stream: true }))).text();
  const all = await Promise.all(Array.from({ length: 1000 }, async (_, i) => {
    const response = await client.fetch(URL_CHAT, ask({ stream: true }));
    if (i % 2) return response.text();
    let text = '';
    for await (const chunk of response.body) text += Buffer.from(chunk);
    return text;
  }));
  assert.ok(all.every((text) => text === whole));
});
