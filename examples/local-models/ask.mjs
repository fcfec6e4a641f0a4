// The unmodified SDK of OpenAI for Node against lb: ask.mjs BASE_URL MODEL.
import OpenAI from 'openai';

const [baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'unused', maxRetries: 0 });
const question = { model, max_tokens: 16, temperature: 0, messages: [{ role: 'user', content: 'A load balancer is' }] };

const models = [];
for await (const each of client.models.list()) models.push(each.id);
if (!models.includes(model)) throw new Error(`models.list() has ${models}`);
console.log(`  models:   ${models}`);

const plain = await client.chat.completions.create(question);
const text = plain.choices[0].message.content;
if (!text || plain.usage.completion_tokens !== 16) throw new Error('the plain answer is not whole');
console.log(`  plain:    ${JSON.stringify(text)}`);

let streamed = '';
let finished;
for await (const chunk of await client.chat.completions.create({ ...question, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
  finished = chunk.choices[0]?.finish_reason ?? finished;
}
if (!streamed || finished !== 'length') throw new Error('the stream is not whole');
console.log(`  streamed: ${JSON.stringify(streamed)}`);
