'use strict';
// lb_balancer_*: for those who keep their HTTP client. lb.d.ts says what there is.
const native = require('./load.js');
const { Engine, Outcome } = require('./constants.js');

const textOf = (config) => (typeof config === 'string' ? config : JSON.stringify(config));
const triedOf = (ask) => Uint32Array.from(ask.tried ?? []);

class Balancer {
  #balancer;

  constructor(config, options = {}) {
    this.#balancer = native.balancerOpen(textOf(config), options.secrets ? Engine.SECRETS : 0, options.seed ?? 0,
      options.picksMax ?? 0);
  }

  configure(config) { native.balancerConfigure(this.#balancer, textOf(config)); }
  pick(ask) { return native.balancerPick(this.#balancer, ask, triedOf(ask)); }

  report(pick, outcome) {
    return native.balancerReport(this.#balancer, pick.pick ?? pick, Outcome[outcome.kind.toUpperCase()], outcome);
  }

  explain(ask) { return JSON.parse(native.balancerExplain(this.#balancer, ask, triedOf(ask))); }
  stats() { return JSON.parse(native.balancerStats(this.#balancer)); }
  mark(deployment, ms, model = '') { native.balancerMark(this.#balancer, deployment, model, ms); }
  close() { native.balancerFree(this.#balancer); }
  [Symbol.dispose]() { this.close(); }
}

module.exports = { Balancer };
