'use strict';
// The driver of tests/conformance for Node, by the protocol in its README: one command a line, one answer a line.
const { createInterface } = require('node:readline');
const { setFlagsFromString } = require('node:v8');
const { runInNewContext } = require('node:vm');
const { Balancer, Client, LbError } = require('./lb.js');

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc');
const engines = {}, calls = {}, balancers = {}, picks = {};
const escape = (text) => Buffer.from(String(text)).toString('latin1')
  .replace(/[^!-$&-~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
const unescape = (text) => Buffer.from(
  text.replace(/%(..)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16))), 'latin1').toString();
const number = (text) => (text === undefined ? undefined : Number(text));
const yes = (value) => (value ? 'yes' : 'no');
const known = (value) => (value == null ? '-' : escape(value));

class Hash { // FNV-1a
  value = 0x811c9dc5;
  bytes = 0;
  add(chunk) {
    this.bytes += chunk.length;
    for (const byte of chunk) this.value = Math.imul(this.value ^ byte, 0x01000193);
  }
  toString() { return `bytes=${this.bytes} fnv=${(this.value >>> 0).toString(16).padStart(8, '0')}`; }
}

/** How a call went wrong: an abort is the host's word for CANCELLED. */
function errorOf(error, bytes) {
  const more = bytes === undefined ? '' : ` bytes=${bytes}`;
  if (!(error instanceof LbError)) {
    if (error.name === 'AbortError') return 'error status=CANCELLED';
    throw error;
  }
  if (error.status === 'CANCELLED') return 'error status=CANCELLED';
  if (error.status === 'DEADLINE') return `error status=DEADLINE${more}`;
  const retry = yes(error.retryAfterMs !== undefined);
  return `error status=${error.status} code=${error.code ?? 0} retry_after=${retry}${more}`;
}

class DriverCall {
  constructor(engine, word) {
    this.control = new AbortController();
    this.attempts = [];
    this.sent = 0;
    this.outcome = new Promise((resolve) => { this.ended = resolve; });
    const init = {
      method: 'POST',
      headers: [['content-type', 'application/json'], ...(word.headers ?? [])],
      body: (word.body ?? '') + 'x'.repeat(number(word.fill) ?? 0) + (word.tail ?? ''),
      signal: this.control.signal,
      lb: {
        delivery: word.delivery,
        deadlineMs: number(word.deadline_ms),
        windowBytes: number(word.window),
        onAttempt: word.attempts ? (outcome) => this.attempts.push(outcome) : undefined,
        onDone: this.ended,
      },
    };
    if (word.pieces) this.stream(init, number(word.pieces), word.length === 'known');
    this.promise = engine.fetch(`http://lb${word.path}`, init);
    this.promise.catch((error) => this.ended({ status: error.status, error })); // If it never began.
  }

  stream(init, size, known) {
    const bytes = new TextEncoder().encode(init.body);
    if (known) init.headers.push(['content-length', String(bytes.length)]);
    init.duplex = 'half';
    init.body = new ReadableStream({
      pull: (controller) => {
        if (this.sent >= bytes.length) return controller.close();
        controller.enqueue(bytes.slice(this.sent, this.sent + size));
        this.sent = Math.min(bytes.length, this.sent + size);
      },
    }, { highWaterMark: 0 });
  }

  /** Bytes of the body: up to `limit`, less at its end. */
  async read(limit) {
    if (this.left) throw this.left;
    this.reader ??= (await this.promise).body.getReader();
    const hash = new Hash();
    try {
      while (hash.bytes < limit) {
        const chunk = this.rest?.length ? { value: this.rest } : await this.reader.read();
        if (chunk.done) return [hash, true];
        const part = chunk.value.subarray(0, limit - hash.bytes);
        this.rest = chunk.value.subarray(part.length);
        hash.add(part);
      }
    } catch (error) {
      throw Object.assign(error, { bytesBefore: hash.bytes });
    }
    return [hash, false];
  }

  /** The host's way to go away. */
  gone() { this.left = new DOMException('', 'AbortError'); }
}

const commands = {
  async open(word) {
    engines[word.engine] = new Client(word.config, { secrets: word.secrets === 'yes', seed: number(word.seed),
      callsMax: number(word.calls_max) });
    return 'ok';
  },
  async configure(word) { engines[word.engine].configure(word.config); return 'ok'; },
  async mark(word) { engines[word.engine].mark(word.name, number(word.ms), word.model); return 'ok'; },
  async address(word) { return `address at=${escape(engines[word.engine].address(word.name))}`; },
  async stats(word) {
    const stats = engines[word.engine].stats(word.format);
    return `stats bytes=${(typeof stats === 'string' ? stats : JSON.stringify(stats)).length}`;
  },
  async close(word) { await engines[word.engine].close(number(word.drain_ms)); return 'ok'; },

  async call(word) { calls[word.call] = new DriverCall(engines[word.engine], word); return 'ok'; },
  async head(word) {
    const call = calls[word.call];
    if (call.left) throw call.left;
    const { status, headers } = await call.promise;
    const show = word.show ? word.show.split(',') : [];
    return ['head', `code=${status}`, ...show.map((name) => `${name}=${known(headers.get(name))}`)].join(' ');
  },
  async read(word) { return `data ${(await calls[word.call].read(number(word.bytes)))[0]}`; },
  async rest(word) {
    try {
      return `end ${(await calls[word.call].read(Infinity))[0]}`;
    } catch (error) {
      return errorOf(error, error.bytesBefore ?? 0);
    }
  },
  async event(word) {
    const call = calls[word.call];
    if (call.left) throw call.left;
    call.reader ??= (await call.promise).body.getReader();
    const { done, value } = await call.reader.read();
    if (done) return 'end';
    const hash = new Hash();
    hash.add(value);
    return `event ${hash}`;
  },
  async cancel(word) { calls[word.call].gone(); calls[word.call].control.abort(); return 'ok'; },
  async leave(word) {
    const call = calls[word.call];
    call.gone();
    await (call.reader ?? (await call.promise).body).cancel();
    return 'ok';
  },
  async collect(word) {
    const call = calls[word.call];
    call.gone();
    await call.promise;
    call.promise = call.reader = call.rest = undefined;
    for (let i = 0; i < 3; i++) {
      await new Promise((done) => setTimeout(done, 1));
      gc();
    }
    return 'ok';
  },
  async done(word) {
    const outcome = await calls[word.call].outcome;
    if (outcome.error) throw outcome.error;
    if (outcome.status !== 'OK') return errorOf(Object.assign(Object.create(LbError.prototype), outcome));
    const { tokensIn, tokensOut, attempts, upstream } = outcome;
    return `done tokens_in=${known(tokensIn)} tokens_out=${known(tokensOut)} attempts=${known(attempts)} ` +
      `upstream=${known(upstream)}`;
  },
  async attempts(word) {
    await calls[word.call].outcome;
    return `attempts list=${calls[word.call].attempts.map((it) => `${it.status}:${it.code ?? 0}`).join(',') || '-'}`;
  },
  async sent(word) { return `sent bytes=${calls[word.call].sent}`; },

  async balancer(word) {
    balancers[word.balancer] = new Balancer(word.config, { seed: number(word.seed) });
    return 'ok';
  },
  async pick(word) {
    const tried = word.tried ? word.tried.split(',').map((name) => picks[name].target) : undefined;
    const ask = { model: word.model, caller: word.caller, tried, retry: word.retry === 'yes' };
    const pick = balancers[word.balancer].pick(ask);
    const { status, waitMs, again, deployment, url, key, model } = pick;
    if (status !== 'OK') return `error status=${status} wait=${yes(waitMs > 0)} again=${yes(again)}`;
    picks[word.pick] = pick;
    return `pick deployment=${escape(deployment)} url=${escape(url)} key=${escape(key)} model=${known(model)}`;
  },
  async report(word) {
    const next = balancers[word.balancer].report(picks[word.pick], { kind: word.kind.toLowerCase(),
      httpStatus: number(word.http_status), head: word.head, body: word.body, tokensIn: number(word.tokens_in),
      tokensOut: number(word.tokens_out), delivered: word.delivered === 'yes' });
    return `next kind=${next.next.toUpperCase()} out=${yes(next.outMs > 0)}`;
  },
  async free(word) { balancers[word.balancer].close(); return 'ok'; },
};
// What errors of these say beyond their status; all others are of calls.
const nothing = () => '';
const where = (error) => ` where=${escape(error.where ?? '')}`;
const MORE = { mark: nothing, address: nothing, report: nothing, pick: () => ' wait=no again=no',
               open: where, configure: where, balancer: where };

async function answer(line) {
  const [name, ...words] = line.split(' ');
  const word = {};
  for (const item of words) {
    const at = item.indexOf('=');
    const key = item.slice(0, at), value = unescape(item.slice(at + 1));
    const colon = value.indexOf(':');
    if (key === 'header') (word.headers ??= []).push([value.slice(0, colon), value.slice(colon + 1)]);
    else word[key] = value;
  }
  if (!commands[name]) return `bad ${escape(name)}`;
  try {
    return await commands[name](word);
  } catch (error) {
    const more = MORE[name];
    if (more && error instanceof LbError) return `error status=${error.status}${more(error)}`;
    try { return errorOf(error); } catch { return `bad ${escape(error.stack ?? error)}`; }
  }
}

async function main() {
  const say = (line) => process.stdout.write(`${line}\n`);
  say('driver lang=node has=events,whole,done,attempts,window,balancer,collect,seed');
  for await (const line of createInterface({ input: process.stdin })) say(await answer(line));
  await Promise.all(Object.values(engines).map((engine) => engine.close()));
  for (const balancer of Object.values(balancers)) balancer.close();
}

main();
