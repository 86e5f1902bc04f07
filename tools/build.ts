// Emits the package's JavaScript and declarations: `node tools/build.ts [--out DIR]`, default dist.
// The JavaScript is bundled into a file for each entry and chunks that entries share, so that a
// class exists once in a process and a start reads tens of files instead of hundreds.

import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildSync } from 'esbuild';
import { engineEntries } from '../src/runtime/host/engine-files.ts';

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
  buildSync({
    entryPoints: Object.entries(engineEntries).map(([name, module]) => {
      return { in: join(root, 'src', `${module}.ts`), out: name };
    }),
    outdir: outputFolder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22.18',
    packages: 'external',
  });
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: 'string', default: 'dist' } } });
  build(resolve(root, values.out));
}
