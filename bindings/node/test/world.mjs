// What the tests of this folder share: mocks (LB is the program), questions, and waiting.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

export const lb = createRequire(import.meta.url)('../lb.js');
export const URL_CHAT = 'http://lb/v1/chat/completions';
const WAIT_MS = 10_000; // For what happens soon on any machine.

export const echo = (more = {}, rest = {}) =>
  ({ deployments: [{ name: 'echo', kind: 'echo', models: ['m'], ...more }], ...rest });

export const ask = (more = {}, init = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Say something.' }], ...more }),
  ...init,
});

/** A scripted upstream in a process of its own. */
export class Mock {
  static async start(options = {}) {
    const mock = new Mock();
    const text = JSON.stringify({ journal_calls: 4096, ...options });
    mock.child = spawn(process.env.LB, ['mock', '--options', text], { stdio: ['ignore', 'pipe', 'inherit'] });
    process.on('exit', () => mock.stop());
    for await (const line of createInterface({ input: mock.child.stdout })) {
      mock.origin = line.match(/http:\/\/\S+(?=\/v1)/)[0];
      mock.url = `${mock.origin}/v1`;
      return mock;
    }
    throw new Error('the mock did not start');
  }

  /** A configuration with this upstream and nothing else. */
  config(more = {}, rest = {}) {
    return { deployments: [{ name: 'mock', url: this.url, models: ['m'], ...more }], ...rest };
  }

  async journal() { return (await fetch(`${this.origin}/mock/journal`)).json(); }
  async calls() { return (await this.journal()).calls; }

  /** Until the mock has seen `count` calls. */
  seen(count) { return until(async () => (await this.calls()).length >= count); }

  /** When its last call was closed by the client, in milliseconds after `since`. */
  async closedAfter(since) {
    const call = await until(async () => {
      const last = (await this.calls()).at(-1);
      return last?.end === 'client_closed' && last;
    });
    return call.end_ms - since;
  }

  stop() { this.child.kill('SIGKILL'); }
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
/** The clock of the journal. */
export const now = () => Number(process.hrtime.bigint()) / 1e6;

export async function until(what) {
  for (const end = now() + WAIT_MS; now() < end; await sleep(10)) {
    const value = await what();
    if (value) return value;
  }
  throw new Error('did not happen in time');
}

/** The median of five tries is below `limit`, within three rounds of them: the machine may be busy, but not always. */
export async function usuallyWithin(limit, once) {
  const medians = [];
  do {
    assert.ok(medians.length < 3, medians.map((ms) => ms.toFixed(1)).join(' '));
    const took = [];
    for (let i = 0; i < 5; i++) took.push(await once());
    medians.push(took.sort((a, b) => a - b)[2]);
  } while (medians.at(-1) > limit);
}
