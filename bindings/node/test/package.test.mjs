// What a user has: the packages, as npm installs them, and the example.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Mock } from './world.mjs';

const here = dirname(fileURLToPath(import.meta.url));

test('packages: no script, no dependency but the addon, found without being told where', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'lb-package-'));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync(process.execPath, [join(here, '../pack'), process.env.LB_NODE_ADDON, folder]);
  const packages = readdirSync(folder);
  assert.equal(packages.length, 2);
  for (const name of packages) {
    const described = JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8'));
    assert.deepEqual([described.scripts, described.dependencies], [undefined, undefined]);
  }
  const app = join(folder, 'app');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{"private": true}');
  const npm = spawnSync('npm', ['install', '--offline', '--install-links', '--no-audit', '--no-fund',
    ...packages.map((name) => join(folder, name))], { cwd: app, encoding: 'utf8' });
  if (npm.error) return t.skip('no npm');
  assert.equal(npm.status, 0, npm.stderr);
  const { LB_NODE_ADDON: _, ...env } = process.env;
  const script = `
    const lb = require('lb');
    const client = new lb.Client('deployments: [{name: e, kind: echo, models: [m], events: 2}]');
    client.fetch('http://lb/v1/chat/completions', { method: 'POST', body: '{"model":"m","messages":[]}' })
      .then((response) => response.json()).then((answer) => console.log(answer.choices[0].message.content));`;
  assert.equal(execFileSync(process.execPath, ['-e', script], { cwd: app, env, encoding: 'utf8' }), 'tok 0 tok 1 \n');
});

test('the first token, as the README has it', async () => {
  const mock = await Mock.start({ tokens: 8 });
  const [script] = readFileSync(join(here, '../README.md'), 'utf8').match(/(?<=```js\n)[^`]*/);
  const said = execFileSync(process.execPath, ['-e', script.replace('http://127.0.0.1:4010', mock.origin)],
    { cwd: join(here, '../../..'), encoding: 'utf8' });
  mock.stop();
  assert.equal(said, 'mock: a mock answers in words that mean');
});

test('examples/node', () => {
  const said = execFileSync(process.execPath, [join(here, '../../../examples/node/chat.mjs')], { encoding: 'utf8' });
  assert.match(said, /^> Say hello\.\nworking: .*\n  \(working, attempts: 2, tokens: 8\)\n> Why\?\n/);
  assert.equal(said.match(/tokens: 8\)/g).length, 3);
});
