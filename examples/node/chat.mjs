// chat.mjs: three questions to two deployments by way of `client.events`, in words that arrive one by one. Run it as it
// is and it starts two mocks of its own, of which one fails:
//
//   LB=build/bindings/cli/lb node examples/node/chat.mjs
//
// or name a configuration and a model: node examples/node/chat.mjs lb.yaml gpt-4o-mini
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import lb from '../../bindings/node/lb.js'; // import lb from 'lb'

const [file, model = 'gpt-4o-mini'] = process.argv.slice(2);
const mocks = [];

async function mock(options) {
  const stdio = ['ignore', 'pipe', 'inherit'];
  const child = spawn(process.env.LB ?? 'lb', ['mock', '--options', JSON.stringify(options)], { stdio });
  mocks.push(child);
  for await (const line of createInterface({ input: child.stdout })) return line.match(/http:\S+/)[0];
}

const config = file ? readFileSync(file, 'utf8') : {
  deployments: [
    { name: 'failing', url: await mock({ name: 'failing', error: { status: 503 } }), models: [model] },
    { name: 'working', url: await mock({ name: 'working', tokens: 8, event_gap_ms: 30 }), models: [model] },
  ],
  routes: [{ model, tiers: [['failing'], ['working']] }],
};
const client = new lb.Client(config, { secrets: true, listen: false });
try {
  for (const question of ['Say hello.', 'Why?', 'And then?']) {
    console.log(`> ${question}`);
    let ended;
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model, stream: true, stream_options: { include_usage: true }, messages: [{ role: 'user', content: question }],
      }),
      lb: { onDone: (outcome) => { ended = outcome; } },
    };
    for await (const data of client.events('http://lb/v1/chat/completions', init)) {
      process.stdout.write(JSON.parse(data).choices[0]?.delta.content ?? '');
    }
    console.log(`\n  (${ended.upstream}, attempts: ${ended.attempts}, tokens: ${ended.tokensOut})`);
  }
} finally {
  await client.close();
  for (const child of mocks) child.kill();
}
