// How long the compiler takes to check the examples, so that the fluent types stay cheap.

import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import type { BenchOptions } from './main.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';

export async function run({ json, args }: BenchOptions): Promise<void> {
  const rounds = numberArgument(args, 'rounds', 5);
  const config = join(mkdtempSync(join(tmpdir(), 'mizzle-typecheck-')), 'tsconfig.json');
  const include = readdirSync('examples')
    .filter((name) => name.endsWith('.ts'))
    .map((name) => resolve('examples', name));
  writeFileSync(
    config,
    JSON.stringify({
      extends: resolve('tsconfig.json'),
      compilerOptions: { noEmit: true, typeRoots: [resolve('node_modules/@types')] },
      files: include,
      include: [],
    }),
  );
  const compiler = resolve('node_modules/typescript/bin/tsc');
  const seconds = Array.from({ length: rounds }, () => {
    const startMs = performance.now();
    execFileSync(process.execPath, [compiler, '-p', config], { stdio: 'inherit' });
    return (performance.now() - startMs) / 1000;
  });
  const result = spread(seconds);
  print(
    [`${include.length} examples and all they import: ${spreadText(result)} s, ${rounds} rounds`],
    json ? { seconds: result, examples: include.length } : null,
  );
  await Promise.resolve();
}
