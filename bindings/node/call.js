'use strict';
// Calls in flight: what the engine's events do to them, and what a body takes from them. One drain serves all engines
// of this thread; a call is known by its slot, from its start until its DONE.
const { defaultMaxListeners, getMaxListeners, setMaxListeners } = require('node:events');
const native = require('./load.js');
const { Call: CallFlag, Deliver, Event } = require('./constants.js');

const META = 6; // Numbers that drain writes of an event: kind, slot, code, status, at, size.
const BATCH = 256;
const SLAB = 65536; // Events' bytes are drained into slabs of this size; what is kept of them is slices.

const LISTENERS = 1500; // As Node's own fetch has it: many calls on one signal are no leak.

const camel = (name) => name.toLowerCase().replace(/_(.)/g, (_, letter) => letter.toUpperCase());

/** NAME=NUMBER and NAME:TEXT of an event, as an object: what is not known is not there. */
function fieldsOf(bytes) {
  const fields = {};
  for (const [, name, mark, value] of bytes.toString().matchAll(/([A-Z_]+)([=:])([^\0]*)\0/g)) {
    fields[camel(name)] = mark === '=' ? Number(value) : value;
  }
  return fields;
}

/** What lb says went wrong. A TypeError, as the standard has it for whatever makes a fetch fail. */
class LbError extends TypeError {
  constructor(status, message, where, fields) {
    const [name, text, retryable] = native.status(status);
    super(message || text);
    this.status = name;
    this.retryable = retryable;
    if (where) this.where = where;
    if (fields) for (const key in fields) if (key !== 'message') this[key] = fields[key];
  }
}
Object.defineProperty(LbError.prototype, 'name', { value: 'LbError', writable: true, configurable: true });

const calls = [];           // By slot.
const engines = new Map();  // By id: what to do with logs, and at CLOSED.
const meta = new Uint32Array(META * BATCH);
let slab = Buffer.allocUnsafeSlow(SLAB);
let used = 0;

/** A slice of a slab. */
class Chunk {
  constructor(slab, from, to, ascii) {
    this.slab = slab;
    this.from = from;
    this.to = to;
    this.ascii = ascii;
  }

  bytes() { return this.slab.subarray(this.from, this.to); }
  text() { return this.ascii ? this.slab.latin1Slice(this.from, this.to) : this.slab.utf8Slice(this.from, this.to); }
}

/** All of them, in memory of their own. */
function bytesOf(chunks) {
  let size = 0;
  for (const { from, to } of chunks) size += to - from;
  const whole = Buffer.allocUnsafeSlow(size);
  size = 0;
  for (let i = 0; i < chunks.length; i++) {
    const { slab, from } = chunks[i];
    while (chunks[i + 1]?.slab === slab && chunks[i + 1].from === chunks[i].to) i++; // Side by side: one copy.
    size += slab.copy(whole, size, from, chunks[i].to);
  }
  return whole;
}

/** As text, of which UTF-8's byte order mark is no part. */
function textOf(chunks) {
  const text = chunks.length === 1 ? chunks[0].text() : bytesOf(chunks).utf8Slice();
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

class Call {
  constructor(client, options = {}) {
    this.client = client;     // Until its end: an engine with calls in flight is not collected.
    this.options = options;   // init.lb
    this.joins = options.delivery !== 'events';
    this.slot = -1;
    this.code = 0;
    this.head = '';
    this.chunks = [];         // That have come; from
    this.next = 0;            // here on nobody has taken them.
    this.taken = 0;           // Not yet credited, up to
    this.enough = 0;          // half a window.
    this.ended = false;
    this.error = undefined;
    this.room = false;        // For more of the request's body.
    this.waiting = undefined; // The promise of those who wait for any of this, and
    this.wake = undefined;    // what resolves it.
    this.signal = undefined;
    this.onAbort = undefined;
    this.stream = undefined;  // Weak: a body that is dropped is to be collected, and the call cancelled.
  }

  /** Starts it; `body` is a string, a Uint8Array, or undefined. */
  start(engine, head, body, flags) {
    const { delivery = 'bytes', deadlineMs = 0, windowBytes = 0, priority = 0, onAttempt, onDone } = this.options;
    this.slot = native.start(engine, head, body, Deliver[delivery.toUpperCase()],
      onAttempt ? flags | CallFlag.ATTEMPTS : flags, deadlineMs, windowBytes, priority, onDone ? 1 : 0);
    calls[this.slot] = this;
  }

  listen(signal) {
    this.signal = signal;
    if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(LISTENERS, signal);
    this.onAbort = () => this.fail(signal.reason);
    signal.addEventListener('abort', this.onAbort, { once: true });
  }

  deafen() {
    this.signal?.removeEventListener('abort', this.onAbort);
    this.signal = undefined;
  }

  /** Ends it here and now, for `reason`, whatever has come. */
  fail(reason) {
    this.error = reason;
    this.cancel();
    this.stream?.deref()?.error(reason);
  }

  /** Nobody wants the rest. */
  cancel() {
    this.deafen();
    this.chunks.length = this.next = 0;
    if (this.ended) return;
    this.ended = true;
    native.cancel(this.slot);
    this.notify();
  }

  /** Bytes of the slab. Those that follow each other are one chunk: what is read of a stream costs by chunks. */
  add(from, to, ascii) {
    const { chunks } = this;
    const last = this.joins && chunks.length > 0 ? chunks[chunks.length - 1] : undefined;
    if (last !== undefined && last.slab === slab && last.to === from) {
      last.to = to;
      last.ascii &&= ascii;
      return;
    }
    chunks.push(new Chunk(slab, from, to, ascii));
    this.notify();
  }

  /** The next chunk; undefined: there is none now. */
  take() {
    const { chunks } = this;
    if (chunks.length === 0) return undefined;
    const chunk = chunks[this.next++];
    if (this.next === chunks.length) {
      chunks.length = this.next = 0;
      if (this.ended) this.deafen();
    }
    this.taken += chunk.to - chunk.from;
    if (this.taken >= this.enough && !this.ended) {
      native.credit(this.slot, this.taken);
      this.taken = 0;
    }
    return chunk;
  }

  /** For something to happen, which need not be what the caller waits for. */
  wait() {
    return (this.waiting ??= new Promise((resolve) => { this.wake = resolve; }));
  }

  notify() {
    const { wake } = this;
    if (wake === undefined) return;
    this.waiting = this.wake = undefined;
    wake();
  }

  /** The rest of the body. */
  async rest() {
    const all = [];
    for (;;) {
      for (let chunk; (chunk = this.take()) !== undefined;) all.push(chunk);
      if (this.ended) break;
      await this.wait();
    }
    this.deafen();
    if (this.error !== undefined) throw this.error;
    return all;
  }
}

/** Functions of the user's run behind the drain, so that what they throw is nobody else's. */
const later = (run, ...given) => queueMicrotask(() => run(...given));

/** What ATTEMPT and DONE say. */
const outcomeOf = (status, code, fields) =>
  ({ status: native.status(status)[0], ...(code ? { code } : {}), ...fields });

function done(call, status, code, fields) {
  call.client = undefined;
  if (call.options.onDone) later(call.options.onDone, outcomeOf(status, code, fields));
  if (call.ended) return;
  call.ended = true;
  if (status !== 0) call.error = new LbError(status, fields.message, '', { code, ...fields });
  if (call.chunks.length === 0) call.deafen();
  call.notify();
}

function apply(at) {
  const kind = meta[at], slot = meta[at + 1], code = meta[at + 2], from = meta[at + 4], to = from + meta[at + 5];
  const call = calls[slot]; // Of LOG and CLOSED, whose slot is the id of an engine, not looked at.
  switch (kind) {
    case Event.DATA:
      if (!call.ended && from !== to) call.add(from, to, code === 1);
      return;
    case Event.HEAD:
      if (call.ended) return;
      call.code = code;
      call.enough = meta[at + 3] / 2;
      call.head = slab.latin1Slice(from, to);
      return call.notify();
    case Event.DONE:
      calls[slot] = undefined;
      return done(call, meta[at + 3] | 0, code, from === to ? {} : fieldsOf(slab.subarray(from, to)));
    case Event.ATTEMPT:
      return later(call.options.onAttempt, outcomeOf(meta[at + 3] | 0, code, fieldsOf(slab.subarray(from, to))));
    case Event.ROOM:
      call.room = true;
      return call.notify();
    case Event.LOG: {
      const log = engines.get(slot)?.log;
      return log && later(log, code, slab.utf8Slice(from, to));
    }
    case Event.CLOSED:
      return engines.get(slot)?.closed?.();
  }
}

/** What the threadsafe function calls: all that there is, until lb has seen that nothing is left. Those who wait run
    behind it; many answers are whole by then. */
function drainAll() {
  for (;;) {
    const count = native.drain(meta, slab, used);
    if (!count) return;
    if (count < 0) {
      slab = Buffer.allocUnsafeSlow(Math.max(SLAB, -count));
      used = 0;
      continue;
    }
    const last = (count - 1) * META;
    for (let at = 0; at <= last; at += META) apply(at);
    used = meta[last + 4] + meta[last + 5];
  }
}

native.setup(drainAll, LbError);

module.exports = { Call, LbError, bytesOf, engines, textOf };
