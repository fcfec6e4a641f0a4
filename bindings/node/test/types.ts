// What tsc must accept of lb.d.ts, and (by @ts-expect-error) what not. Nothing here runs.
import Anthropic from '@anthropic-ai/sdk';
import { createOpenAI } from '@ai-sdk/openai';
import OpenAI from 'openai';
import { Balancer, Client, LbError, buildInfo, check, schema, type Config, type Outcome } from '../lb';

const config: Config = { deployments: [{ name: 'e', url: 'https://e.example/v1', key: { env: 'KEY' }, models: ['m'] }] };
// @ts-expect-error: no such key
const wrong: Config = { deployments: [], rotues: [] };

async function use(): Promise<void> {
  await using client = new Client(config, { secrets: true, seed: 1n, log: (level: number, line: string) => void [level, line] });
  const everywhere: typeof fetch = client.fetch;
  new OpenAI({ baseURL: 'http://lb/v1', apiKey: '', fetch: client.fetch });
  new Anthropic({ baseURL: 'http://lb', apiKey: '', fetch: client.fetch });
  createOpenAI({ baseURL: 'http://lb/v1', apiKey: '', fetch: client.fetch });
  const done = (outcome: Outcome): string | undefined => outcome.upstream;
  const response: Response = await client.fetch('http://lb/v1/chat/completions', {
    method: 'POST', body: '{}', signal: AbortSignal.timeout(1), lb: { deadlineMs: 1, onDone: done, delivery: 'events' },
  });
  // @ts-expect-error: no such delivery
  client.fetch('', { lb: { delivery: 'lines' } });
  for await (const event of client.events(new URL(response.url), { method: 'POST' })) event.toUpperCase();
  const text: string = client.stats('prometheus');
  client.stats().calls;
  client.mark('e', 0);
  client.mark('e', 0, 'm');
  client.configure('deployments: []');
  client.address().split(':');
  await client.close(100);
  check(config);
  void [everywhere, text, schema(), buildInfo().libuv, wrong];
}

function pick(): void {
  using balancer = new Balancer(config);
  const got = balancer.pick({ model: 'm', tried: [1] });
  // @ts-expect-error: only when there is one
  got.url;
  if (got.status !== 'OK') return void (got.waitMs + Number(got.again));
  const { next } = balancer.report(got, { kind: 'error', httpStatus: 429 });
  if (next === 'elsewhere') balancer.pick({ model: 'm', tried: [got.target], retry: true });
}

try { void [use(), pick()]; } catch (error) {
  if (error instanceof LbError && error.status === 'LIMITED') void error.retryAfterMs;
}
