// Four workers, each with an engine and calls, while the main thread has its own; twice, so that the addon is loaded
// into threads after others have ended. The last of each round are terminated in the middle of their calls.
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const lb = require('../lb.js');

const url = 'http://lb/v1/chat/completions';
const ask = { method: 'POST', body: JSON.stringify({ model: 'm', stream: true, messages: [] }) };
const open = () => new lb.Client({ deployments: [{ name: 'echo', kind: 'echo', models: ['m'], events: 40 }] });

async function calls(client, count) {
  let whole;
  for (let i = 0; i < count; i++) {
    const texts = await Promise.all(Array.from({ length: 8 }, async () => (await client.fetch(url, ask)).text()));
    whole ??= texts[0];
    if (!whole.endsWith('data: [DONE]\n\n') || texts.some((text) => text !== whole)) throw new Error('not the same');
  }
}

async function main() {
  const client = open();
  for (let round = 0; round < 2; round++) {
    const workers = Array.from({ length: 4 }, (_, i) => new Worker(__filename, { workerData: i < 3 ? 30 : Infinity }));
    const ended = workers.map((worker) => new Promise((done, fail) => worker.on('exit', done).on('error', fail)));
    await Promise.all([calls(client, 30), ...ended.slice(0, 3)]);
    await workers[3].terminate();
    await ended[3];
  }
  await client.close();
  console.log('ok');
}

if (isMainThread) {
  main();
} else {
  calls(open(), workerData).then(() => parentPort.postMessage('done'));
}
