// Mizzle as a user has it: the package, built, packed and installed into an empty folder, with the
// benchmark's program beside it.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installPackage } from '../../test/packaging/installed-package.ts';

export type MizzlePackage = {
  readonly program: string;
  remove(): void;
};

/** By their names in a checkout: what the package calls them. */
const entries: Readonly<Record<string, string>> = {
  '../../src/index.ts': 'mizzle',
  '../../src/connectors/kafka/sockets/kafka.ts': 'mizzle/kafka',
};

export async function installMizzle(): Promise<MizzlePackage> {
  const installed = await installPackage();
  for (const file of ['mizzle-pipeline.ts', 'mizzle-ysb.ts']) {
    const text = readFileSync(join(import.meta.dirname, file), 'utf8');
    installed.write(file, text.replaceAll(/'(\.\.\/\.\.\/src\/[^']+)'/g, inPackage));
  }
  return {
    program: join(installed.folder, 'mizzle-ysb.ts'),
    remove: () => installed.remove(),
  };
}

function inPackage(_text: string, path: string): string {
  const entry = entries[path];
  if (entry === undefined) throw new Error(`the package has no entry for ${path}`);
  return `'${entry}'`;
}
