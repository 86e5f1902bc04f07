// The package works where nothing but Node is: what it holds, its command line, its declarations,
// and what it says on a Node that is too old.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { Script } from 'node:vm';
import { installPackage, type InstalledPackage } from './installed-package.ts';

const root = join(import.meta.dirname, '..', '..');
const bin = join(root, 'bin', 'mizzle.js');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const run = promisify(execFile);

let installed: InstalledPackage;

before(async () => {
  installed = await installPackage();
});

after(() => installed?.remove());

test('the package holds what it needs to run and nothing else', () => {
  const tops = new Set(installed.files.map((path) => path.split('/')[0]));
  const allowed = ['bin', 'dist', 'package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'];
  assert.deepEqual(
    [...tops].filter((top) => !allowed.includes(top ?? '')),
    [],
  );
  for (const path of ['bin/mizzle.js', 'dist/index.js', 'dist/index.d.ts', 'LICENSE']) {
    assert.ok(installed.files.includes(path), path);
  }
  assert.deepEqual(
    installed.files.filter((path) => /\.(test|fixture|fuzz)\.|(?<!\.d)\.ts$/.test(path)),
    [],
  );
});

test('mizzle version says the version of the package', async () => {
  const { stdout } = await installed.npx('mizzle', 'version');
  assert.ok(stdout.includes(version), stdout);
});

test('each entry loads, and its declarations need nothing beside them', async () => {
  const entries = ['mizzle', 'mizzle/testing'];
  installed.write(
    'entries.ts',
    entries.map((entry, index) => `export * as entry${index} from '${entry}';\n`).join(''),
  );
  await installed.node('entries.ts');
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2024'];
  await installed
    .node(compiler, ...flags, 'entries.ts')
    .catch((error: { stdout: string }) => assert.fail(error.stdout));
});

test('on a Node that is too old the command line says so, with the remedy', async () => {
  const old = `Object.defineProperty(process, 'versions', { value: { node: '20.1.0' } })`;
  const args = ['--import', `data:text/javascript,${encodeURIComponent(old)}`, bin, 'version'];
  await assert.rejects(
    run(process.execPath, args),
    (error: Error & { code: number; stderr: string }) =>
      error.code === 1 && /needs Node 22\.18 or newer[^]*nodejs\.org/.test(error.stderr),
  );
});

test('the command line is parsed by a Node that takes it for CommonJS', () => {
  const text = readFileSync(bin, 'utf8');
  assert.doesNotThrow(() => new Script(text));
  assert.doesNotMatch(text.replace(/\/\/.*/g, ''), /=>|\?\.|\?\?|\b(const|let|await|async)\b|`/);
});
