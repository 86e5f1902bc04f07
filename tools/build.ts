// Emits the package's JavaScript and declarations: `node tools/build.ts [--out DIR]`, default dist.

import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const root = join(import.meta.dirname, '..');

export function build(outputFolder: string): void {
  rmSync(outputFolder, { recursive: true, force: true });
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const result = spawnSync(
    process.execPath,
    [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', outputFolder],
    { stdio: ['ignore', 2, 2] },
  );
  if (result.status !== 0) throw new Error(`could not build: tsc ended with ${result.status}`);
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: 'string', default: 'dist' } } });
  build(resolve(root, values.out));
}
