// lb beside Node's global fetch and undici.request: the same calls to the same upstream (`lb mock`, a process of its
// own), interleaved in one run. It prints a line of JSON a figure:
// {"lang":"node","case":"plain lb","what":"cpu_us","value":31.2}.
//
//   LB=PROGRAM LB_NODE_ADDON=FILE [LB_SDK=FOLDER] node --expose-gc bench.mjs [--rounds N] [--scale F] [--only CASE]
//
// LB_SDK is where undici is installed; without it that side is missing. CPU is that of the whole process, so of lb the
// engine's thread is in it; "main" is the thread of JS alone. Memory is that of a process of its own for each side.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const require = createRequire(import.meta.url);
const { Client } = require('../../../../bindings/node/lb.js');
const { values: given } = parseArgs({ options: {
  rounds: { type: 'string', default: '7' },
  scale: { type: 'string', default: '1' },
  only: { type: 'string', default: '' },
  hold: { type: 'string' }, origin: { type: 'string' },
} });
const CONCURRENCY = 32;
const ROUNDS = Number(given.rounds);
const EVENTS = 1000;
const HELD = 1000;
const scaled = (count) => Math.max(CONCURRENCY, Math.round(count * Number(given.scale)));

const print = (name, what, value) => console.log(JSON.stringify({ lang: 'node', case: name, what, value }));
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
/** Nanoseconds that this thread has run. */
const mainNs = () => Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]);
const residentKib = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]);

async function startMock() {
  const options = { tokens: 16, journal_calls: 0, per_model: {
    large: { body_bytes: 2048 }, stream: { tokens: EVENTS }, short: { tokens: 20 },
    held: { tokens: 100, stall: { after_events: 3 } },
  } };
  const stdio = ['ignore', 'pipe', 'inherit'];
  const child = spawn(process.env.LB, ['mock', '--options', JSON.stringify(options)], { stdio });
  process.on('exit', () => child.kill('SIGKILL'));
  for await (const line of createInterface({ input: child.stdout })) {
    return { origin: line.match(/http:\/\/\S+(?=\/v1)/)[0], stop: () => child.kill('SIGKILL') };
  }
}

const init = (model, stream, more) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', authorization: 'Bearer sk-of-the-caller', 'user-agent': 'bench/1' },
  body: JSON.stringify({ model, stream, messages: [{ role: 'user', content: 'Say something.' }] }),
  ...more,
});

/** Sends one call and reads its answer to the end. */
const viaFetch = (fetch, url) => ({
  async plain(model) {
    const response = await fetch(url, init(model, false));
    if (response.status !== 200) throw new Error(`status ${response.status}`);
    return response.text();
  },
  async stream(model) {
    const response = await fetch(url, init(model, true));
    for await (const _ of response.body);
  },
  async hold(model) {
    const response = await fetch(url, init(model, true));
    const reader = response.body.getReader();
    await reader.read();
    return () => reader.cancel();
  },
});

function viaUndici({ request }, url) {
  return {
    async plain(model) {
      const { statusCode, body } = await request(url, init(model, false));
      if (statusCode !== 200) throw new Error(`status ${statusCode}`);
      return body.text();
    },
    async stream(model) {
      const { body } = await request(url, init(model, true));
      for await (const _ of body);
    },
    async hold(model) {
      const { body } = await request(url, init(model, true));
      await body[Symbol.asyncIterator]().next();
      return () => body.destroy();
    },
  };
}

/** Server-sent events, one by one: more than the others do, which give bytes. */
const viaEvents = (client, url) => ({
  async stream(model) { for await (const _ of client.events(url, init(model, true))); },
});

/** What it takes to bring them over: they are drained and told apart, and joined at the end instead of handed out. */
const crossing = (client, url) => ({
  async stream(model) {
    const response = await client.fetch(url, init(model, true, { lb: { delivery: 'events', windowBytes: 1 << 20 } }));
    await response.arrayBuffer();
  },
});

async function round(send, model, count) {
  const took = new Float64Array(count);
  let next = 0;
  globalThis.gc();
  const cpu = process.cpuUsage(), main = mainNs(), start = performance.now();
  await Promise.all(Array.from({ length: CONCURRENCY }, async () => {
    for (let at; (at = next++) < count;) {
      const began = performance.now();
      await send(model);
      took[at] = performance.now() - began;
    }
  }));
  const seconds = (performance.now() - start) / 1000, used = process.cpuUsage(cpu);
  took.sort();
  return {
    requests_per_s: count / seconds,
    cpu_us: (used.user + used.system) / count,
    main_us: (mainNs() - main) / 1000 / count,
    p50_us: took[count >> 1] * 1000,
    p99_us: took[Math.floor(count * 0.99)] * 1000,
  };
}

async function measure({ name, model, how, count, events }, sides) {
  const taking = Object.entries(sides).filter(([, side]) => side[how]);
  const all = Object.fromEntries(taking.map(([side]) => [side, []]));
  for (let i = -1; i < ROUNDS; i++) {
    for (const [side, via] of taking) {
      const got = await round(via[how], model, count);
      if (i >= 0) all[side].push(got); // What was compiled, connected and cached in the first is warm behind it.
    }
  }
  for (const [side] of taking) {
    for (const what of Object.keys(all[side][0])) {
      print(`${name} ${side}`, what, median(all[side].map((got) => got[what])));
    }
    if (!events) continue;
    const main = side === 'crossing' ? 'crossing_ns_per_event' : 'main_ns_per_event';
    for (const [from, to] of [['cpu_us', 'cpu_ns_per_event'], ['main_us', main]]) {
      print(`${name} ${side}`, to, median(all[side].map((got) => got[from])) * 1000 / events);
    }
  }
  for (const side of ['fetch', 'undici']) { // Of rounds side by side, so that what disturbs both cancels out.
    if (!all.lb || !all[side]) continue;
    for (const what of ['requests_per_s', 'cpu_us']) {
      print(`${name} lb : ${side}`, `${what}_ratio`, median(all.lb.map((got, i) => got[what] / all[side][i][what])));
    }
  }
}

/** What a thousand streams hold that have begun and wait for more: `--hold SIDE`, a process of its own. */
async function hold(name, side) {
  for (let i = 0; i < 50; i++) await side.plain('plain'); // What the first call loads is not what a stream holds.
  globalThis.gc();
  const before = residentKib();
  const open = [];
  while (open.length < HELD) open.push(...await Promise.all(Array.from({ length: 50 }, () => side.hold('held'))));
  globalThis.gc();
  print(`memory ${name}`, 'kib_per_stream', (residentKib() - before) / HELD);
  await Promise.all(open.map((leave) => leave()));
}

async function holdEach(names, origin) {
  for (const name of names) {
    const argv = [...process.execArgv, process.argv[1], '--hold', name, '--origin', origin];
    await once(spawn(process.execPath, argv, { stdio: 'inherit' }), 'exit');
  }
}

const mock = given.origin ? { origin: given.origin, stop() {} } : await startMock();
const url = `${mock.origin}/v1/chat/completions`;
const deployment = { name: 'mock', url: `${mock.origin}/v1`, connections_max: 4096 };
const client = new Client({ deployments: [deployment] });
const sides = { fetch: viaFetch(fetch, url), lb: viaFetch(client.fetch, url) };
try {
  sides.undici = viaUndici(createRequire(join(process.env.LB_SDK, 'x.js'))('undici'), url);
} catch {
  console.error('undici is left out: install it, and say where by LB_SDK');
}
const cases = [
  { name: 'plain', model: 'plain', how: 'plain', count: scaled(9600) },
  { name: 'body 2 KiB', model: 'large', how: 'plain', count: scaled(9600) },
  { name: 'stream', model: 'stream', how: 'stream', count: scaled(640), events: EVENTS },
  { name: 'stream of 20', model: 'short', how: 'stream', count: scaled(1600), events: 20 },
];
if (given.hold) {
  await hold(given.hold, sides[given.hold]);
} else {
  for (const one of cases) {
    if (!one.name.startsWith(given.only)) continue;
    const more = one.how === 'stream' ? { events: viaEvents(client, url) } : {};
    if (one.events === EVENTS) more.crossing = crossing(client, url); // Of few events the call itself is the most.
    await measure(one, { ...sides, ...more });
  }
  if ('memory'.startsWith(given.only)) await holdEach(Object.keys(sides), mock.origin);
}
await client.close();
mock.stop();
