'use strict';
// lb_balancer_*: for those who keep their HTTP client. lb.d.ts says what there is.
const native = require('./load.js');
const { Ask, Engine, Known, Next, Outcome } = require('./constants.js');

const KNOWN = { tokensIn: Known.TOKENS_IN, tokensOut: Known.TOKENS_OUT, tokensCached: Known.TOKENS_CACHED,
                firstContentMs: Known.FIRST_CONTENT };

const textOf = (config) => (typeof config === 'string' ? config : JSON.stringify(config));

/** As the addon takes it. */
const packed = (ask) => [ask.model, ask.caller ?? '', ask.affinity ?? '', Float64Array.of(ask.retry ? Ask.RETRY : 0,
  ask.characters ?? 0, ask.tokensIn ?? 0, ask.tokensOutMax ?? 0, ask.choices ?? 0, ask.images ?? 0, ask.attempts ?? 0,
  ask.deadlineMs ?? 0), Uint32Array.from(ask.tried ?? [])];

class Balancer {
  #balancer;

  constructor(config, options = {}) {
    this.#balancer = native.balancerOpen(textOf(config), options.secrets ? Engine.SECRETS : 0, options.seed ?? 0,
      options.picksMax ?? 0);
  }

  configure(config) { native.balancerConfigure(this.#balancer, textOf(config)); }

  pick(ask) {
    const [code, ...rest] = native.balancerPick(this.#balancer, packed(ask));
    const status = native.status(code)[0];
    if (code !== 0) return { status, waitMs: rest[0] < 0 ? Infinity : rest[0], again: rest[1] === 1 };
    const [pick, target, deployment, url, key, model] = rest;
    return { status, pick, target, deployment, url, key, model: model ?? ask.model };
  }

  report(pick, outcome) {
    let known = 0;
    for (const name in KNOWN) if (outcome[name] !== undefined) known |= KNOWN[name];
    const [next, outMs] = native.balancerReport(this.#balancer, pick.pick ?? pick, outcome.head ?? '',
      outcome.body ?? '', Float64Array.of(Outcome[outcome.kind.toUpperCase()], outcome.httpStatus ?? 0, known, outcome.tokensIn ?? 0,
        outcome.tokensOut ?? 0, outcome.tokensCached ?? 0, outcome.firstContentMs ?? 0, outcome.delivered ? 1 : 0));
    return { next: next === Next.STOP ? 'stop' : 'elsewhere', outMs };
  }

  explain(ask) { return JSON.parse(native.balancerExplain(this.#balancer, packed(ask))); }
  stats() { return JSON.parse(native.balancerStats(this.#balancer)); }
  mark(deployment, ms, model = '') { native.balancerMark(this.#balancer, deployment, model, ms); }
  close() { native.balancerFree(this.#balancer); }
  [Symbol.dispose]() { this.close(); }
}

module.exports = { Balancer };
