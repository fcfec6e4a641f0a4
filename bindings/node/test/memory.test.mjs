// Many calls of every kind, and what the process holds afterwards. LB_CALLS: how many, if not 100,000. In a build with ASan
// `run` looks at what LeakSanitizer says at the end.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { URL_CHAT, ask, echo, lb, sleep, until } from './world.mjs';

const CALLS = Number(process.env.LB_CALLS ?? 100_000);
const MIB = 1024 * 1024;
const sanitized = process.env.LB_SANITIZE && process.env.LB_SANITIZE !== 'none'; // Which keeps what is freed.
const client = new lb.Client(echo({ events: 10 }));
after(() => client.close());

const kinds = [
  async () => { await (await client.fetch(URL_CHAT, ask())).json(); },
  async () => { await (await client.fetch(URL_CHAT, ask({ stream: true }))).text(); },
  async () => { for await (const _ of (await client.fetch(URL_CHAT, ask({ stream: true }))).body); },
  async () => { for await (const _ of client.events(URL_CHAT, ask({ stream: true }))); },
  async () => { await (await client.fetch(URL_CHAT, ask({ stream: true }))).body.cancel(); },
  async () => { await client.fetch(URL_CHAT, ask({ stream: true })); }, // Never read: collected.
  async () => { await client.fetch(URL_CHAT, ask({ model: 'nobody' })).catch(() => {}); },
  async () => { await (await client.fetch(URL_CHAT, ask({}, { signal: lasting.signal }))).text(); },
  async () => {
    const control = new AbortController();
    const call = client.fetch(URL_CHAT, ask({}, { signal: control.signal })).then((it) => it.text());
    control.abort();
    await call.catch(() => {});
  },
  async () => { await (await client.fetch(new Request(URL_CHAT, ask()))).arrayBuffer(); },
];
const lasting = new AbortController();

async function run(count) {
  let next = 0;
  await Promise.all(Array.from({ length: 32 }, async () => { while (next < count) await kinds[next++ % kinds.length](); }));
}

async function held() {
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await sleep(10);
  }
  const { rss, heapTotal, heapUsed, arrayBuffers } = process.memoryUsage();
  return { outside: rss - heapTotal, heapUsed, arrayBuffers }; // What V8 keeps in reserve differs by its version.
}

test(`${CALLS} calls leave nothing behind`, { skip: !globalThis.gc && 'no --expose-gc' }, async () => {
  await run(CALLS / 4); // What is compiled and pooled grows with use, for a while.
  const before = await held();
  await run(CALLS);
  await until(async () => { globalThis.gc(); return client.stats().calls.in_flight === 0; });
  const now = await held();
  const grown = Object.fromEntries(Object.entries(now).map(([name, value]) => [name, (value - before[name]) / MIB]));
  const said = JSON.stringify(grown);
  assert.ok(grown.heapUsed < 4 && grown.arrayBuffers < 4, said);
  if (!sanitized) assert.ok(grown.outside < 24, said);
});
