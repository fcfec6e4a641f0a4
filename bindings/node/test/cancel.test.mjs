// Cancelling, in each phase, as far as the upstream's socket; back-pressure as far as TCP; failover; large bodies.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Mock, URL_CHAT, ask, lb, now, sleep, until, usuallyWithin } from './world.mjs';

let mock, other, client;

before(async () => {
  mock = await Mock.start({
    tokens: 12,
    per_model: {
      long: { tokens: 100_000, event_gap_ms: 5 },
      flood: { tokens: 60_000, token_bytes: 1000 },
      silent: { stall: { before_head: true } },
      half: { tokens: 12, stall: { after_events: 4 } },
      broken: { cut: { after_events: 3 } },
      failing: { error: { status: 503 } },
      refused: { error: { status: 400, message: 'too long (mock)' } },
    },
  });
  other = await Mock.start({ name: 'other', tokens: 12 });
  const models = ['chat', 'long', 'flood', 'silent', 'half', 'broken', 'failing', 'refused'];
  client = new lb.Client({
    deployments: [{ name: 'mock', url: mock.url, models }, { name: 'other', url: other.url, models: ['failing'] }],
    routes: [{ model: 'failing', tiers: [['mock'], ['other']] }],
  });
});

after(async () => {
  await client.close();
  mock.stop();
  other.stop();
});

const stream = (model, init) => client.fetch(URL_CHAT, ask({ model, stream: true }, init));
const closedBy = async (leave) => {
  const since = now();
  await leave();
  return mock.closedAfter(since);
};

test('aborted before it starts', async () => {
  const count = (await mock.calls()).length;
  await assert.rejects(stream('chat', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  const reason = new Error('mine');
  await assert.rejects(stream('chat', { signal: AbortSignal.abort(reason) }), reason);
  await assert.rejects(client.fetch(new Request(URL_CHAT, ask({}, { signal: AbortSignal.abort() }))), { name: 'AbortError' });
  assert.equal((await mock.calls()).length, count);
});

test('aborted before the head', () => usuallyWithin(100, async () => {
  const control = new AbortController();
  const count = (await mock.calls()).length;
  const call = stream('silent', { signal: control.signal });
  await mock.seen(count + 1);
  return closedBy(async () => {
    control.abort();
    const error = await call.catch((reason) => reason);
    assert.ok(error instanceof DOMException && error.name === 'AbortError');
  });
}));

test('aborted between events', () => usuallyWithin(100, async () => {
  const control = new AbortController();
  const reader = (await stream('long', { signal: control.signal })).body.getReader();
  await reader.read();
  return closedBy(async () => {
    control.abort();
    await assert.rejects(reader.read(), { name: 'AbortError' });
    await assert.rejects(reader.closed, { name: 'AbortError' });
  });
}));

test('aborted while a method reads the body', () => usuallyWithin(100, async () => {
  const control = new AbortController();
  const text = (await stream('long', { signal: control.signal })).text();
  return closedBy(async () => {
    control.abort();
    await assert.rejects(text, { name: 'AbortError' });
  });
}));

test('the signal of a Request', () => usuallyWithin(100, async () => {
  const control = new AbortController();
  const response = await client.fetch(new Request(URL_CHAT, ask({ model: 'long', stream: true }, { signal: control.signal })));
  return closedBy(async () => {
    control.abort();
    await assert.rejects(response.text(), { name: 'AbortError' });
  });
}));

test('aborted with all of it here, but not read', async () => {
  const control = new AbortController();
  const response = await client.fetch(URL_CHAT, ask({ model: 'chat' }, { signal: control.signal }));
  control.abort();
  await assert.rejects(response.text(), { name: 'AbortError' });
  const read = new AbortController();
  const text = await (await client.fetch(URL_CHAT, ask({ model: 'chat' }, { signal: read.signal }))).text();
  read.abort();
  assert.ok(text.length > 0);
});

test('AbortSignal.timeout', async () => {
  await assert.rejects(stream('silent', { signal: AbortSignal.timeout(50) }), { name: 'TimeoutError' });
  await until(async () => (await mock.calls()).at(-1).end === 'client_closed');
});

test('one signal for many calls', async () => {
  const control = new AbortController();
  const all = await Promise.all(Array.from({ length: 50 }, () => stream('long', { signal: control.signal })));
  const texts = all.map((response) => response.text().catch((error) => error.name));
  control.abort();
  assert.deepEqual([...new Set(await Promise.all(texts))], ['AbortError']);
});

test('the body cancelled', () => usuallyWithin(100, async () => {
  const response = await stream('long');
  return closedBy(() => response.body.cancel());
}));

test('breaking out of for await', () => usuallyWithin(100, async () => {
  const response = await stream('long');
  return closedBy(async () => { for await (const _ of response.body) break; });
}));

test('breaking out of events', () => usuallyWithin(100, async () => {
  let seen = 0;
  const events = client.events(URL_CHAT, ask({ model: 'long', stream: true }));
  for await (const _ of events) if (++seen === 3) break;
  return closedBy(() => {});
}));

test('throwing out of events', () => usuallyWithin(100, async () => {
  const since = now();
  await assert.rejects(async () => {
    for await (const _ of client.events(URL_CHAT, ask({ model: 'long', stream: true }))) throw new Error('mine');
  }, { message: 'mine' });
  return mock.closedAfter(since);
}));

// Nothing refers to what these made once they have returned.
const dropped = {
  'a response': async () => { await stream('long'); },
  'a response with its body looked at': async () => { (await stream('long')).body.locked; },
  'a body in use': async () => { await (await stream('long')).body.getReader().read(); },
  'a tee': async () => { await (await stream('long')).body.tee()[0].getReader().read(); },
  'a clone': async () => { (await stream('long')).clone(); },
  'a response with a signal': async () => { await stream('long', { signal: lasting.signal }); },
  'a loop over events': async () => {
    const loop = client.events(URL_CHAT, ask({ model: 'long', stream: true }));
    await loop.next();
  },
};
const lasting = new AbortController();

for (const [name, make] of Object.entries(dropped)) {
  test(`collected: ${name}`, { skip: !globalThis.gc && 'no --expose-gc' }, () => usuallyWithin(100, async () => {
    const count = (await mock.calls()).length;
    await make();
    await mock.seen(count + 1);
    // What finalizers there are runs when the loop turns; some garbage is found by the second collection only.
    const collecting = setInterval(globalThis.gc, 1);
    try { return await mock.closedAfter(now()); } finally { clearInterval(collecting); }
  }));
}

test('not collected: what somebody still waits for', async () => {
  const response = stream('half');
  const text = response.then((it) => it.text()).catch((error) => error);
  const body = (await stream('half')).body; // The response is gone, its body is not.
  const reader = body.getReader();
  await reader.read();
  for (let i = 0; i < 20; i++) {
    globalThis.gc?.();
    await sleep(5);
  }
  const calls = (await mock.calls()).slice(-2);
  assert.deepEqual(calls.map((call) => call.end === 'client_closed'), [false, false]);
  await reader.cancel();
  (await response).body; // Locked: the text is being read.
  void text;
});

test('back-pressure reaches TCP', async () => {
  const response = await stream('flood');
  const reader = response.body.getReader();
  await reader.read();
  let sent = -1;
  // What sockets and a window hold is some MiB; the answer is 75 MB.
  await until(async () => {
    const before = sent;
    await sleep(200);
    sent = (await mock.calls()).at(-1).sent_bytes;
    return sent === before;
  });
  assert.ok(sent < 40_000_000, String(sent));
  let more = 0;
  while (more < 20_000_000) more += (await reader.read()).value.length;
  const since = now();
  await reader.cancel();
  assert.ok((await mock.closedAfter(since)) < 5000);
});

test('a request body of 8 MiB, streamed', async () => {
  const piece = new Uint8Array(65536).fill(120);
  let given = 0;
  const body = new ReadableStream({
    pull(controller) {
      const at = given++;
      if (at === 0) controller.enqueue(Buffer.from('{"model":"chat","messages":[{"role":"user","content":"'));
      else if (at <= 128) controller.enqueue(piece.slice());
      else { controller.enqueue(Buffer.from('"}]}')); controller.close(); }
    },
  });
  const response = await client.fetch(URL_CHAT, { ...ask(), body, duplex: 'half' });
  const answer = await response.json();
  assert.ok(answer.usage.prompt_tokens >= 2 * 1024 * 1024, JSON.stringify(answer.usage));
  assert.equal((await mock.calls()).at(-1).body_bytes, 8 * 1024 * 1024 + 58);
});

test('a request body whose source fails, or is aborted, or is not wanted', async () => {
  const failing = new ReadableStream({ pull(controller) { controller.error(new Error('mine')); } });
  await assert.rejects(client.fetch(URL_CHAT, { ...ask(), body: failing, duplex: 'half' }), { message: 'mine' });
  const control = new AbortController();
  let cancelled;
  const endless = new ReadableStream({
    start(controller) { controller.enqueue(Buffer.from('{"model":"chat","messages":"')); },
    pull(controller) { controller.enqueue(new Uint8Array(1000).fill(120)); return sleep(1); },
    cancel(reason) { cancelled = reason; },
  });
  const call = client.fetch(URL_CHAT, { ...ask(), body: endless, duplex: 'half', signal: control.signal });
  setTimeout(() => control.abort(), 20);
  await assert.rejects(call, { name: 'AbortError' });
  await until(() => cancelled?.name === 'AbortError');
  let left = false;
  const unwanted = new ReadableStream({
    pull(controller) { controller.enqueue(Buffer.from('{"model":"nobody has this","x":"')); return sleep(1); },
    cancel() { left = true; },
  });
  await assert.rejects(client.fetch(URL_CHAT, { ...ask(), body: unwanted, duplex: 'half' }), { status: 'INVALID' });
  await until(() => left);
});

test('an answer that comes before its request is whole', async () => {
  const server = createServer((request, response) => {
    response.writeHead(400, { 'content-type': 'application/json' });
    response.end('{"error":{"message":"not wanted"}}');
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const hasty = new lb.Client({ deployments: [{ name: 'hasty', url: `http://127.0.0.1:${server.address().port}/v1`, models: ['m'] }] });
  for (const end of [async (it) => assert.equal((await it.json()).error.message, 'not wanted'), (it) => it.body.cancel()]) {
    let left = false;
    const endless = new ReadableStream({
      start(controller) { controller.enqueue(Buffer.from('{"model":"m","messages":"')); },
      pull(controller) { controller.enqueue(new Uint8Array(100_000).fill(120)); return sleep(1); },
      cancel() { left = true; },
    });
    const response = await hasty.fetch(URL_CHAT, { ...ask(), body: endless, duplex: 'half' });
    assert.equal(response.status, 400);
    await end(response);
    await until(() => left);
  }
  await hasty.close();
  server.closeAllConnections();
  server.close();
});

test('a status that no Response may have', async () => {
  const server = createServer((request, response) => response.writeHead(999, { 'content-type': 'application/json' }).end('{}'));
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const odd = new lb.Client({ deployments: [{ name: 'odd', url: `http://127.0.0.1:${server.address().port}/v1`, models: ['m'] }] });
  await assert.rejects(odd.fetch(URL_CHAT, ask()));
  await odd.close();
  server.closeAllConnections();
  server.close();
});

test('a stream that breaks is no success', async () => {
  const response = await stream('broken');
  await assert.rejects(response.text(), (error) => error instanceof lb.LbError && error.status === 'BROKEN');
  const parts = [];
  const reader = (await stream('broken')).body.getReader();
  await assert.rejects(async () => {
    for (let got; !(got = await reader.read()).done;) parts.push(Buffer.from(got.value).toString());
  }, { status: 'BROKEN' });
  assert.match(parts.join(''), /stream_broken/); // The protocol's own error event has come through.
});

test('an upstream’s refusal is a response', async () => {
  const response = await client.fetch(URL_CHAT, ask({ model: 'refused' }));
  assert.equal(response.status, 400);
  assert.equal(response.ok, false);
  assert.match(JSON.stringify(await response.json()), /too long/);
  const error = await client.events(URL_CHAT, ask({ model: 'refused', stream: true })).next().catch((it) => it);
  assert.ok(error instanceof lb.LbError);
  assert.deepEqual([error.status, error.code, error.response.status], ['UPSTREAM', 400, 400]);
  assert.match(await error.response.text(), /too long/);
});

test('failover, and what it says', async () => {
  const attempts = [];
  const response = await client.fetch(URL_CHAT, ask({ model: 'failing' }, { lb: { onAttempt: (it) => attempts.push(it) } }));
  assert.equal(response.headers.get('x-lb-served-by'), 'other');
  assert.equal(response.headers.get('x-lb-attempts'), '2');
  assert.match((await response.json()).choices[0].message.content, /^other:/);
  assert.equal(attempts.length, 1);
  assert.deepEqual([attempts[0].code, attempts[0].upstream], [503, 'mock']);
});
