// The balancer: what JS adds to it is the form of its arguments and results.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lb } from './world.mjs';

const two = (more = {}) => ({
  deployments: [
    { name: 'east', url: 'http://east.test/v1/', key: 'key-east', models: { m: { as: 'mini', ...more } } },
    { name: 'west', url: 'http://west.test/v1', models: { m: more } },
  ],
  routes: [{ model: 'm', tiers: [['east'], ['west']] }],
});

test('pick, report, pick again', () => {
  using_(new lb.Balancer(two()), (balancer) => {
    const first = balancer.pick({ model: 'm', characters: 40, tokensOutMax: 100 });
    assert.equal(typeof first.pick, 'bigint');
    assert.deepEqual({ ...first, pick: 0, target: 0 }, { status: 'OK', pick: 0, target: 0, deployment: 'east',
      url: 'http://east.test/v1', key: 'key-east', model: 'mini' });
    const next = balancer.report(first, { kind: 'error', httpStatus: 429, head: 'retry-after: 20\r\n' });
    assert.equal(next.next, 'elsewhere');
    assert.ok(next.outMs > 15_000 && next.outMs <= 20_000, String(next.outMs));
    const second = balancer.pick({ model: 'm', tried: [first.target], retry: true });
    assert.deepEqual([second.deployment, second.key, second.model], ['west', '', 'm']);
    assert.equal(new lb.Balancer({ deployments: [{ name: 'any', url: 'http://any.test/v1' }] }).pick({ model: 'x' }).model, null);
    assert.deepEqual(balancer.report(second.pick, { kind: 'ok', tokensIn: 10, tokensOut: 3, firstContentMs: 5 }),
      { next: 'stop', outMs: 0 });
    assert.throws(() => balancer.report(second, { kind: 'ok' }), { status: 'GONE' });
    assert.equal(balancer.pick({ model: 'm' }).deployment, 'west'); // East cools.
    const none = balancer.pick({ model: 'm', tried: [first.target, second.target] });
    assert.ok(['LIMITED', 'NO_UPSTREAM'].includes(none.status));
    assert.equal(typeof none.waitMs, 'number');
    assert.equal(typeof none.again, 'boolean');
    assert.equal(JSON.stringify(balancer.stats()).includes('key-east'), false);
    assert.ok(JSON.stringify(balancer.explain({ model: 'm' })).includes('west'));
    assert.throws(() => balancer.explain({ model: 'x' }), { status: 'INVALID' });
  });
});

test('limits, marks, other configurations', () => {
  using_(new lb.Balancer(two({ rpm: 1 }), { seed: 1, picksMax: 2 }), (balancer) => {
    const picks = [balancer.pick({ model: 'm', deadlineMs: 1000 }), balancer.pick({ model: 'm', affinity: 'é', caller: 'c' })];
    assert.deepEqual(picks.map((pick) => pick.deployment), ['east', 'west']);
    assert.throws(() => balancer.pick({ model: 'm' }), { status: 'FULL' });
    for (const pick of picks) balancer.report(pick, { kind: 'cancelled', delivered: true });
    const wait = balancer.pick({ model: 'm' });
    assert.equal(wait.status, 'LIMITED');
    assert.ok(wait.waitMs > 0 && wait.waitMs < 70_000);
    balancer.configure(two());
    balancer.mark('east', 60_000);
    assert.equal(balancer.pick({ model: 'm' }).deployment, 'west');
    balancer.mark('east', 0, 'm');
    assert.equal(balancer.pick({ model: 'm' }).deployment, 'east');
    assert.throws(() => balancer.pick({ model: 'other' }), { status: 'INVALID' });
    assert.throws(() => balancer.mark('north', 1), { status: 'INVALID' });
    assert.throws(() => balancer.configure('{}}'), { status: 'CONFIG' });
  });
  assert.throws(() => new lb.Balancer({ deployments: 1 }), { status: 'CONFIG' });
});

test('after closing', () => {
  const balancer = new lb.Balancer(two());
  balancer.close();
  balancer.close();
  assert.throws(() => balancer.pick({ model: 'm' }), lb.LbError);
  assert.throws(() => balancer.stats(), lb.LbError);
});

function using_(balancer, use) {
  try { use(balancer); } finally { balancer[Symbol.dispose](); }
}
