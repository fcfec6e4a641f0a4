'use strict';
// lb_balancer_*: for those who keep their HTTP client. lb.d.ts says what there is.
const native = require('./load.js');

const SECRETS = 2, RETRY = 1; // LB_ENGINE_SECRETS, LB_ASK_RETRY
const KINDS = { ok: 0, error: 1, connect: 2, timeout: 3, broken: 4, cancelled: 5, not_sent: 6 }; // LB_OUTCOME_*
const KNOWN = { tokensIn: 1, tokensOut: 2, tokensCached: 4, firstContentMs: 8 };                 // LB_KNOWN_*

const textOf = (config) => (typeof config === 'string' ? config : JSON.stringify(config));

/** As the addon takes it. */
const packed = (ask) => [ask.model, ask.caller ?? '', ask.affinity ?? '', Float64Array.of(ask.retry ? RETRY : 0,
  ask.characters ?? 0, ask.tokensIn ?? 0, ask.tokensOutMax ?? 0, ask.choices ?? 0, ask.images ?? 0, ask.attempts ?? 0,
  ask.deadlineMs ?? 0), Uint32Array.from(ask.tried ?? [])];

class Balancer {
  #balancer;

  constructor(config, options = {}) {
    this.#balancer = native.balancerOpen(textOf(config), options.secrets ? SECRETS : 0, options.seed ?? 0,
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
      outcome.body ?? '', Float64Array.of(KINDS[outcome.kind], outcome.httpStatus ?? 0, known, outcome.tokensIn ?? 0,
        outcome.tokensOut ?? 0, outcome.tokensCached ?? 0, outcome.firstContentMs ?? 0, outcome.delivered ? 1 : 0));
    return { next: next === 0 ? 'stop' : 'elsewhere', outMs };
  }

  explain(ask) { return JSON.parse(native.balancerExplain(this.#balancer, packed(ask))); }
  stats() { return JSON.parse(native.balancerStats(this.#balancer)); }
  mark(deployment, ms, model = '') { native.balancerMark(this.#balancer, deployment, model, ms); }
  close() { native.balancerFree(this.#balancer); }
  [Symbol.dispose]() { this.close(); }
}

module.exports = { Balancer };
