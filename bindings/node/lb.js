'use strict';
// lb for Node: `client.fetch` is a WHATWG fetch whose other end is lb. What there is, and how it is called, says
// lb.d.ts; this file checks no more than the standard's fetch does.
const native = require('./load.js');
const { Balancer } = require('./balancer.js');
const { Call, LbError, engines } = require('./call.js');
const { FetchResponse } = require('./response.js');
const { Call: CallFlag, Engine, Status } = require('./constants.js');

// RFC 9110, 5.6.2 and 5.5, as fetch checks them. What does not match goes to the standard's own classes, which say why.
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const textOf = (config) => (typeof config === 'string' ? config : JSON.stringify(config));

/** Header lines of a plain object or a Headers; undefined: it takes the standard's own to say what is wrong. */
function linesOf(headers, body) {
  let lines = '';
  let typed = typeof body !== 'string';
  if (headers !== undefined) {
    if (headers === null || typeof headers !== 'object' || Array.isArray(headers)) return undefined;
    const pairs = headers instanceof Headers;
    for (const item of pairs ? headers : Object.keys(headers)) {
      const name = pairs ? item[0] : item;
      const value = pairs ? item[1] : headers[item];
      if (typeof value !== 'string' || !VALUE.test(value) || !NAME.test(name)) return undefined;
      if (name.length === 12 && name.toLowerCase() === 'content-type') typed = true;
      lines += `${name}: ${value}\r\n`;
    }
  }
  return typed ? lines : `${lines}content-type: text/plain;charset=UTF-8\r\n`;
}

let last = { url: undefined, path: '', href: '' }; // Callers ask for the same URL again and again.

function locate(url) {
  if (url === last.url) return last;
  const parsed = new URL(url);
  if (parsed.username || parsed.password) return undefined; // Which the standard refuses.
  parsed.hash = '';
  last = { url, path: parsed.pathname + parsed.search, href: parsed.href };
  return last;
}

/** Method, place, header lines, body and signal, where no Request is needed to find them; undefined where one is. */
function simple(input, init) {
  if (typeof input !== 'string' || init === undefined || init.method !== 'POST') return undefined;
  const { body, signal } = init;
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return undefined;
  if (signal !== undefined && signal !== null && !(signal instanceof AbortSignal)) return undefined;
  const place = locate(input);
  const lines = place && linesOf(init.headers, body);
  return lines === undefined ? undefined : { method: 'POST', place, lines, body, signal };
}

/** The same of anything that fetch takes; the body is a stream then. */
function general(input, init) {
  const request = new Request(input, init);
  return { method: request.method, place: locate(request.url), lines: linesOf(request.headers), body: request.body,
           signal: init?.signal ?? request.signal };
}

/** Hands a request's body over, as fast as lb has room for it. */
async function send(call, body) {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (call.ended) break;
      native.append(call.slot, value, done);
      if (done) return;
      while (!call.room && !call.ended) await call.wait();
      call.room = false;
    }
    reader.cancel(call.error).catch(() => {});
  } catch (error) {
    call.fail(error);
    reader.cancel(error).catch(() => {});
  }
}

/** One engine: `new Client(config).fetch`. */
class Client {
  #engine;
  #record;
  #closed;

  constructor(config, options = {}) {
    const flags = (options.secrets ? Engine.SECRETS : 0) | (options.listen === false ? Engine.NO_LISTEN : 0);
    const [engine, id] = native.open(textOf(config), flags, options.seed ?? 0, options.callsMax ?? 0,
      options.logLevel ?? 0);
    this.#engine = engine;
    this.#record = { id, log: options.log, closed: undefined };
    engines.set(id, this.#record);
    leftovers.register(this, id);
  }

  fetch = async (input, init) => {
    const { method, place, lines, body, signal } = simple(input, init) ?? general(input, init);
    if (signal?.aborted) throw signal.reason;
    const call = new Call(this, init?.lb);
    const streamed = body instanceof ReadableStream;
    call.start(this.#engine, `${method} ${place.path} HTTP/1.1\r\n${lines}`, streamed ? undefined : body,
      streamed ? CallFlag.APPEND : 0);
    if (signal) call.listen(signal);
    if (streamed) send(call, body);
    while (call.code === 0 && !call.ended) await call.wait();
    if (call.code === 0) throw call.error;
    try {
      return new FetchResponse(call, place.href);
    } catch (error) { // Response takes no status above 599, say.
      call.fail(error);
      throw error;
    }
  };

  events(input, init) {
    const held = { call: undefined };
    const iterator = this.#events(held, input, init);
    leftovers.register(iterator, held);
    return iterator;
  }

  async *#events(held, input, init) {
    const response = await this.fetch(input, { ...init, lb: { ...init?.lb, delivery: 'events' } });
    if (!response.ok) throw new LbError(Status.UPSTREAM, '', '', { code: response.status, response });
    const call = held.call = FetchResponse.direct(response);
    try {
      for (;;) {
        for (let chunk; (chunk = call.take()) !== undefined;) yield chunk.text();
        if (call.error !== undefined) throw call.error;
        if (call.ended) return;
        await call.wait();
      }
    } finally {
      call.cancel();
    }
  }

  address(name = '') { return native.address(this.#engine, name); }
  configure(config) { native.configure(this.#engine, textOf(config)); }
  mark(deployment, ms, model = '') { native.mark(this.#engine, deployment, model, ms); }

  stats(format = 'json') {
    const text = native.stats(this.#engine, format === 'prometheus' ? 1 : 0);
    return format === 'prometheus' ? text : JSON.parse(text);
  }

  close(drainMs = 0) {
    native.close(this.#engine, drainMs);
    return (this.#closed ??= new Promise((resolve) => {
      this.#record.closed = () => {
        engines.delete(this.#record.id);
        native.free(this.#engine);
        resolve();
      };
    }));
  }

  [Symbol.asyncDispose]() { return this.close(); }
}

/** Clients and loops over events that nobody has any more. */
const leftovers = new FinalizationRegistry((held) =>
  (typeof held === 'number' ? engines.delete(held) : held.call?.cancel()));

module.exports = {
  Client, Balancer, LbError,
  check(config) { native.check(textOf(config)); },
  schema() { return JSON.parse(native.schema()); },
  buildInfo() { return JSON.parse(native.buildInfo()); },
};
