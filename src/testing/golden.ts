// Golden text: a test's output against a file beside it. `UPDATE_GOLDEN=1` writes the files anew;
// without it a missing file fails.

import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';

/** `file` by `new URL('./testdata/name.txt', import.meta.url)`. */
export function checkGolden(file: URL, actual: string): void {
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(new URL('.', file), { recursive: true });
    writeFileSync(file, actual);
    return;
  }
  assert.equal(actual, readGolden(file), `${file.pathname} differs; UPDATE_GOLDEN=1 renews it`);
}

function readGolden(file: URL): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new Error(`no golden file ${file.pathname}; UPDATE_GOLDEN=1 writes it`, { cause });
  }
}
