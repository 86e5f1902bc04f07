// The list of known bugs keeps up with the engine: each text stands where it says, once; and the
// simulator does find one that is put in, in a process of its own.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Hunt } from './hunt.ts';
import { allMutations } from './all-mutations.ts';

const mutations = allMutations.map(({ mutation }) => mutation);
const root = join(import.meta.dirname, '../..');

test('every known bug has its place in the engine, and a name of its own', () => {
  for (const { name, file, text, replacement } of mutations) {
    const parts = readFileSync(join(root, file), 'utf8').split(text);
    assert.equal(parts.length, 2, `${name}: its text stands ${parts.length - 1} times in ${file}`);
    assert.notEqual(text, replacement, name);
  }
  assert.equal(new Set(mutations.map(({ name }) => name)).size, mutations.length);
  assert.ok(mutations.length >= 15);
});

test('the simulator finds a bug that is put in, and says by which seed', () => {
  const hunt = join(import.meta.dirname, 'hunt.ts');
  const options = { encoding: 'utf8', cwd: root } as const;
  const { stdout } = spawnSync(process.execPath, [hunt, 'take-copies', '20'], options);
  const found = JSON.parse(stdout) as Hunt;
  assert.match(found.error ?? '', /lost a part/);
  assert.ok(found.seeds <= 20);
  const unknown = spawnSync(process.execPath, [hunt, 'no-such-bug', '1'], options);
  assert.notEqual(unknown.status, 0);
});
