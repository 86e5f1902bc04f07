// Switches known bugs on, one at a time, and shows after how many seeds the simulator finds each.

import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Hunt } from './hunt.ts';
import type { Mutation } from './mutations.ts';
import type { Finder } from './all-mutations.ts';
import { allMutations } from './all-mutations.ts';

export type MutationOptions = {
  /** Part of their names. */
  readonly only?: string | undefined;
  /** Who looks for them, where it is not who is to find them; and then for all of them. */
  readonly finder: Finder | null;
};

/** True when all that were asked for were found. */
export async function runMutations(
  seedsMax: number,
  { only = '', finder }: MutationOptions,
): Promise<boolean> {
  const all = allMutations.map(({ mutation }) => mutation);
  const wanted = all.filter(({ name }) => name.includes(only));
  const left = [...wanted];
  let missed = 0;
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const found = await huntFor(next, { seedsMax, finder });
      if (found.error === null) missed++;
      report(next, found);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  console.log(`${wanted.length - missed} of ${wanted.length} mutations found`);
  return missed === 0;
}

async function huntFor(
  { name }: Mutation,
  { seedsMax, finder }: { readonly seedsMax: number; readonly finder: Finder | null },
): Promise<Hunt> {
  const hunt = join(import.meta.dirname, 'hunt.ts');
  const by = finder === null ? [] : [finder];
  const child = spawn(process.execPath, [hunt, name, String(seedsMax), ...by], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const output = await text(child.stdout);
  if (output === '') throw new Error(`could not hunt for mutation "${name}"`);
  return JSON.parse(output) as Hunt;
}

function report({ name, breaks }: Mutation, { seeds, seconds, error }: Hunt): void {
  const result = error === null ? `NOT FOUND in ${seeds} seeds` : `found by seed ${seeds - 1}`;
  console.log(`${name}: ${result}, ${seconds.toFixed(1)} s (${breaks})`);
  if (error !== null) console.log(`  ${error}`);
}
