'use strict';
// The Response of fetch. It is one (`instanceof`, all its members, the standard's errors), but makes nothing before it
// is asked for: of the microseconds that a request takes, most would go into a ReadableStream that nobody reads.
const { isDisturbed } = require('node:stream');
const { bytesOf, textOf } = require('./call.js');

/** Bodies that nobody can read any more: their calls are cancelled. */
const dropped = new FinalizationRegistry((call) => call.cancel());

function streamOf(call) {
  let controller;
  // Events one by one are no bytes that may be cut elsewhere; all else is a byte stream, as from any fetch.
  const events = call.options.delivery === 'events';
  const deliver = () => {
    const chunk = call.take();
    if (chunk === undefined) {
      if (!call.ended) return call.wait().then(deliver);
      if (call.error !== undefined) return controller.error(call.error);
      controller.close();
      controller.byobRequest?.respond(0);
      return;
    }
    controller.enqueue(new Uint8Array(chunk.bytes())); // A copy: the stream gives its buffer away.
  };
  const stream = new ReadableStream({
    type: events ? undefined : 'bytes',
    start(given) { controller = given; },
    pull: deliver,
    cancel() { call.cancel(); },
  }, { highWaterMark: 0 });
  call.stream = new WeakRef(controller);
  dropped.register(stream, call);
  return stream;
}

/** As the standard gives them: not to be changed. */
class FetchHeaders extends Headers {
  constructor(lines) {
    super();
    for (const line of lines.split('\r\n')) {
      const at = line.indexOf(':');
      if (at > 0) super.append(line.slice(0, at), line.slice(at + 1));
    }
  }

  append() { throw new TypeError('immutable'); }
  delete() { throw new TypeError('immutable'); }
  set() { throw new TypeError('immutable'); }
}

class FetchResponse extends Response {
  #call;
  #url;
  #headers;
  #stream;        // Once it was asked for; null: there is no body.
  #read = false;  // Without one, by a method below.

  constructor(call, url, stream) {
    super(null, { status: call.code });
    this.#call = call;
    this.#url = url;
    this.#stream = stream;
    if (stream === undefined && !(call.ended && call.signal === undefined)) dropped.register(this, call, this);
  }

  get type() { return 'basic'; }
  get url() { return this.#url; }
  get headers() { return (this.#headers ??= new FetchHeaders(this.#call.head)); }
  get bodyUsed() { return this.#read || (this.#stream ? isDisturbed(this.#stream) : false); }

  get body() {
    if (this.#stream !== undefined) return this.#stream;
    if (this.#read) { // What was read is left locked, as the standard's reading leaves it.
      this.#stream = new ReadableStream({ start(controller) { controller.close(); } });
      this.#stream.getReader().read();
    } else {
      this.#stream = NO_BODY.has(this.status) ? null : streamOf(this.#call);
    }
    dropped.unregister(this);
    return this.#stream;
  }

  /** The call, if its body can be read without a stream: it is now. */
  static direct(response) {
    if (response.#read || response.#stream !== undefined) return undefined;
    response.#read = true;
    dropped.unregister(response);
    return response.#call;
  }

  /** The standard's own: it refuses a body that was used, in its own words. */
  #standard() { return new Response(this.body, { headers: this.headers }); }

  async #whole(method, make) {
    const call = FetchResponse.direct(this);
    return call === undefined ? this.#standard()[method]() : make(await call.rest());
  }

  text() { return this.#whole('text', textOf); }
  json() { return this.#whole('json', (chunks) => JSON.parse(textOf(chunks))); }
  bytes() { return this.#whole('bytes', (chunks) => new Uint8Array(bytesOf(chunks).buffer)); }
  arrayBuffer() { return this.#whole('arrayBuffer', (chunks) => bytesOf(chunks).buffer); }
  async blob() { return this.#standard().blob(); }
  async formData() { return this.#standard().formData(); }

  clone() {
    let branch = null;
    if (this.body !== null) {
      if (this.bodyUsed || this.#stream.locked) this.#standard();
      [this.#stream, branch] = this.#stream.tee();
    }
    return new FetchResponse(this.#call, this.#url, branch);
  }
}
const NO_BODY = new Set([204, 205, 304]);

module.exports = { FetchResponse };
