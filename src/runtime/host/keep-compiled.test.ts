// What was compiled is there for the next process although this one never ends by itself.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const module = pathToFileURL(join(import.meta.dirname, 'keep-compiled.ts')).href;

test('keepCompiled leaves compiled code behind before the process is killed', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mizzle-compiled-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = `
    const { keepCompiled } = await import('${module}');
    keepCompiled(1);
    setTimeout(() => console.log('now'), 100);
    setInterval(() => {}, 1000);
  `;
  const args = ['--input-type=module', '--eval', program];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, NODE_COMPILE_CACHE: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGKILL');
  await ended;
  const files = readdirSync(folder, { recursive: true, withFileTypes: true });
  assert.ok(files.some((file) => file.isFile()));
});
