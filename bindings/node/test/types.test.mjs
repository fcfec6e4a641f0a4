// lb.d.ts, with the generated types that it takes in, as tsc sees it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const modules = join(process.env.LB_SDK, 'node_modules');

test('tsc accepts what it should, and refuses what it should not', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lb-types-'));
  const project = join(folder, 'tsconfig.json');
  writeFileSync(project, JSON.stringify({
    files: [join(here, 'types.ts')],
    compilerOptions: {
      noEmit: true, strict: true, skipLibCheck: false, exactOptionalPropertyTypes: false, target: 'es2022',
      lib: ['es2023', 'esnext.disposable'], module: 'preserve', moduleResolution: 'bundler', esModuleInterop: true,
      types: ['node'], typeRoots: [join(modules, '@types')], paths: { '*': [`${modules}/*`] },
    },
  }));
  const { status, stdout } = spawnSync(process.execPath, [join(modules, 'typescript/bin/tsc'), '-p', project], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  // Of the SDKs' own types nothing is said here.
  const ours = stdout.split('\n').filter((line) => /error TS/.test(line) && !line.includes('node_modules'));
  assert.deepEqual(ours, []);
  assert.ok(status === 0 || stdout.includes('node_modules'), stdout);
});
