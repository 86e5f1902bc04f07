// Job code names the engine's modules by `mizzle-engine:` and their path; each process resolves
// them to its own copy. So the engine is never sent, and a job's errors and schemas are of the
// classes that the engine knows.

import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import type { EngineEntry } from '../host/engine-files.ts';
import { engineEntries, engineModule, enginePath } from '../host/engine-files.ts';

const engineScheme = 'mizzle-engine:';

/** What a pipeline imports from the package. */
const publicEntries: Readonly<Record<string, EngineEntry>> = {
  mizzle: 'index',
  'mizzle/kafka': 'kafka',
  'mizzle/postgres': 'postgres',
  'mizzle/testing': 'testing',
};

/** The name in job code of what is imported from the package, or null for another import. */
export function packageSpecifier(imported: string): string | null {
  const entry = publicEntries[imported];
  return entry === undefined ? null : engineScheme + engineEntries[entry];
}

/** The name of an engine module in job code, or null for a file that is none of the engine's. */
export function engineSpecifier(file: string): string | null {
  const path = enginePath(pathToFileURL(file));
  return path === null ? null : engineScheme + path;
}

let registered = false;

/** From now on this thread can import job code. */
export function resolveEngineModules(): void {
  if (registered) return;
  registered = true;
  registerHooks({
    resolve: (specifier, context, next) => {
      if (!specifier.startsWith(engineScheme)) return next(specifier, context);
      const { href } = engineModule(specifier.slice(engineScheme.length));
      return { url: href, shortCircuit: true };
    },
  });
}
