// An upstream that calls tools, in the dialects of OpenAI and Anthropic. `lb mock` is faster and has more faults, but
// knows no tools. It asks for the tool `weather` once, and then says what that has said.
import { createServer } from 'node:http';

const sleep = (ms) => new Promise((done) => setTimeout(done, ms).unref()); // A client that leaves is not waited for.

export class Upstream {
  served = 0;
  closedAt = undefined; // When a client last left before the end of its answer.
  dead = false;         // Connections break without an answer.

  static async start(name) {
    const upstream = new Upstream();
    upstream.name = name;
    upstream.server = createServer((request, response) => upstream.take(request, response));
    await new Promise((done) => upstream.server.listen(0, '127.0.0.1', done));
    upstream.url = `http://127.0.0.1:${upstream.server.address().port}/v1`;
    return upstream;
  }

  stop() {
    this.server.closeAllConnections();
    return new Promise((done) => this.server.close(done));
  }

  async take(request, response) {
    if (this.dead) return request.socket.resetAndDestroy();
    let text = '';
    for await (const part of request) text += part;
    const body = JSON.parse(text);
    this.headers = request.headers;
    this.served++;
    response.on('close', () => { if (!response.writableEnded) this.closedAt = performance.now(); });
    const answer = request.url === '/v1/messages' ? this.messages(body) : this.chat(body);
    if (!body.stream) {
      if (body.model === 'slow') await sleep(60_000);
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify(answer.whole));
    }
    response.setHeader('content-type', 'text/event-stream');
    for (const [event, data] of answer.events) {
      if (response.destroyed) return;
      response.write(`${event ? `event: ${event}\n` : ''}data: ${JSON.stringify(data)}\n\n`);
      if (body.model === 'slow') await sleep(20);
    }
    response.end(request.url === '/v1/messages' ? '' : 'data: [DONE]\n\n');
  }

  words(body) {
    const last = body.messages.at(-1);
    const told = last.role === 'tool' ? last.content : last.content?.[0]?.content?.[0]?.text ?? last.content?.[0]?.content;
    const text = typeof told === 'string' ? `${this.name} was told: ${told}` : `${this.name} says hello`;
    return body.model === 'slow' ? Array(1000).fill('word ') : text.split(/(?<= )/);
  }

  chat(body) {
    const head = { id: 'chatcmpl-1', created: 1, model: body.model };
    const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
    const asks = body.tools && body.messages.at(-1).role === 'user';
    const call = { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } };
    const words = this.words(body);
    const message = asks ? { role: 'assistant', content: null, tool_calls: [call] }
                         : { role: 'assistant', content: words.join('') };
    const finish_reason = asks ? 'tool_calls' : 'stop';
    const chunk = (delta, finish = null, more = {}) =>
      [undefined, { ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }], ...more }];
    const deltas = asks
      ? [{ role: 'assistant', tool_calls: [{ index: 0, ...call, function: { name: 'weather', arguments: '' } }] },
         ...['{"city"', ':"Oslo"}'].map((text) => ({ tool_calls: [{ index: 0, function: { arguments: text } }] }))]
      : words.map((content, i) => ({ ...(i === 0 ? { role: 'assistant' } : {}), content }));
    return {
      whole: { ...head, object: 'chat.completion', choices: [{ index: 0, message, finish_reason }], usage },
      events: [...deltas.map((delta) => chunk(delta)), chunk({}, finish_reason), [undefined, { ...head,
        object: 'chat.completion.chunk', choices: [], usage }]],
    };
  }

  messages(body) {
    const asks = body.tools && typeof body.messages.at(-1).content === 'string';
    const words = this.words(body);
    const content = asks ? { type: 'tool_use', id: 'toolu_1', name: 'weather', input: { city: 'Oslo' } }
                         : { type: 'text', text: words.join('') };
    const stop_reason = asks ? 'tool_use' : 'end_turn';
    const message = { id: 'msg_1', type: 'message', role: 'assistant', model: body.model, stop_sequence: null };
    const usage = { input_tokens: 5, output_tokens: 7 };
    const deltas = asks ? ['{"city"', ':"Oslo"}'].map((partial_json) => ({ type: 'input_json_delta', partial_json }))
                        : words.map((text) => ({ type: 'text_delta', text }));
    const events = [
      { type: 'message_start', message: { ...message, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } } },
      { type: 'content_block_start', index: 0, content_block: asks ? { ...content, input: {} } : { type: 'text', text: '' } },
      ...deltas.map((delta) => ({ type: 'content_block_delta', index: 0, delta })),
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 7 } },
      { type: 'message_stop' },
    ];
    return { whole: { ...message, content: [content], stop_reason, usage }, events: events.map((it) => [it.type, it]) };
  }
}
