// How a process with lb in it ends; worker threads; the addon as a guest in Node.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lb } from './world.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const END_MS = 30_000; // A process that does not end by itself is killed, and the test fails.

/** Runs a script that has `lb`, `client`, `call` and `slow`; how it ended. */
function run(script, more = []) {
  const text = `
    const lb = require(${JSON.stringify(join(here, '../lb.js'))});
    const echo = (more) => ({ deployments: [{ name: 'echo', kind: 'echo', models: ['m'], ...more }] });
    const ask = (stream = true) => ({ method: 'POST', body: JSON.stringify({ model: 'm', stream, messages: [] }) });
    const url = 'http://lb/v1/chat/completions';
    const client = new lb.Client(echo({ events: 50 }));
    const slow = new lb.Client(echo({ delay_ms: 3600000 }));
    const call = (init) => client.fetch(url, { ...ask(), ...init });
    (async () => { ${script} })();`;
  const ended = spawnSync(process.execPath, [...more, '-e', text], { timeout: END_MS, encoding: 'utf8' });
  assert.equal(ended.signal, null, ended.stderr);
  return ended;
}

const endings = {
  'nothing was done': ['', 0, ''],
  'a call was made': ['console.log((await (await call()).text()).length > 0)', 0, 'true\n'],
  'the end comes while a call runs, which is waited for': ['call().then((r) => r.text()).then(() => console.log("done"))', 0, 'done\n'],
  'after close': ['await call(); await client.close(); await slow.close(); console.log("closed")', 0, 'closed\n'],
  'close is not waited for': ['call().catch(() => {}); client.close().then(() => console.log("closed"))', 0, 'closed\n'],
  'await using': [`{ const own = new lb.Client(echo()); await own[Symbol.asyncDispose](); }
    console.log("disposed")`, 0, 'disposed\n'],
  'process.exit with calls in flight': ['for (let i = 0; i < 50; i++) { call(); slow.fetch(url, ask()); } setImmediate(() => process.exit(3))', 3, ''],
  'process.exit at once': ['call(); process.exit(4)', 4, ''],
  'process.exit in a loop over a body': ['for await (const _ of (await call()).body) process.exit(5)', 5, ''],
  'process.exit in onDone': ['call({ lb: { onDone: () => process.exit(6) } }).then((r) => r.text()); setTimeout(() => {}, 1e6)', 6, ''],
  'an exception in a consumer': [`process.on("uncaughtException", (e) => console.log(e.message));
    setImmediate(async () => { await (await call()).text(); console.log("goes on"); });
    call({ lb: { onDone() { throw new Error("mine"); } } }).then((r) => r.text())`, 0, /^(mine\ngoes on|goes on\nmine)\n$/],
  'an exception that nobody catches': ['slow.fetch(url, ask()); setImmediate(() => { throw new Error("mine"); })', 1, ''],
  'a rejection that nobody catches': ['client.fetch("http://lb/v1/nowhere", ask()); setTimeout(() => {}, 1e6)', 1, ''],
  'an exception in a loop over events': ['for await (const _ of client.events(url, ask())) throw new Error("mine")', 1, ''],
  'clients are collected': [`for (let i = 0; i < 20; i++) { const c = new lb.Client(echo()); await (await c.fetch(url, ask())).text(); }
    const threads = () => require("fs").readdirSync("/proc/self/task").length;
    const before = threads();
    for (let i = 0; i < 200 && threads() > before - 10; i++) { gc(); await new Promise((r) => setTimeout(r, 10)); }
    console.log(before - threads() >= 10)`, 0, 'true\n'],
};

for (const [name, [script, status, output]] of Object.entries(endings)) {
  const skip = name === 'clients are collected' && process.platform !== 'linux' && 'counts threads by /proc';
  test(name, { skip }, () => {
    const ended = run(script, ['--expose-gc']);
    assert.equal(ended.status, status, ended.stderr);
    typeof output === 'string' ? assert.equal(ended.stdout, output) : assert.match(ended.stdout, output);
    if (status === 0) assert.equal(ended.stderr, '');
  });
}

test('four worker threads at once, some ended from outside', () => {
  const ended = spawnSync(process.execPath, [join(here, 'workers.cjs')], { timeout: 4 * END_MS, encoding: 'utf8' });
  assert.equal(ended.signal, null, ended.stderr);
  assert.equal(ended.status, 0, ended.stderr);
  assert.equal(ended.stdout, 'ok\n');
});

test('its own libuv, and not Node’s', () => {
  const info = lb.buildInfo();
  assert.match(info.libuv, /^1\.\d+\.\d+$/);
  // The one that was linked in; without knowledge of that, different at least.
  if (process.env.LB_LIBUV) assert.equal(info.libuv, process.env.LB_LIBUV);
  else assert.notEqual(info.libuv, process.versions.uv);
});

test('the addon exports what Node looks for, and asks of others only what Node-API and the C library have', (t) => {
  const addon = process.env.LB_NODE_ADDON;
  const nm = (...flags) => execFileSync('nm', ['-D', ...flags, addon], { encoding: 'utf8' });
  try { nm(); } catch { return t.skip('no nm'); }
  const names = (text) => text.split('\n').map((line) => line.trim().split(' ').at(-1).split('@')[0]).filter(Boolean);
  assert.deepEqual(names(nm('--defined-only')).sort(), ['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
  const wanted = names(nm('--undefined-only'));
  assert.deepEqual(wanted.filter((name) => /^(uv_|llhttp_|mbedtls_|nghttp2_|SSL_|lb_)/.test(name)), []);
  const needed = execFileSync('readelf', ['-d', addon], { encoding: 'utf8' });
  assert.doesNotMatch(needed, /NEEDED.*lib(lb|uv|node|stdc\+\+|mbed)/);
});
