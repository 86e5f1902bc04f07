// Job code names the engine's modules by `mizzle-engine:` and their path; each process resolves
// them to its own copy. So the engine is never sent, and a job's errors and schemas are of the
// classes that the engine knows.

import { registerHooks } from 'node:module';
import { posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const engineScheme = 'mizzle-engine:';

const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const engineFolder = new URL('../../', import.meta.url);

/** The name of an engine module in job code, or null for a file that is none of the engine's. */
export function engineSpecifier(path: string): string | null {
  const folder = fileURLToPath(engineFolder);
  if (!path.startsWith(folder)) return null;
  const inside = path.slice(folder.length).split(sep).join(posix.sep);
  return engineScheme + inside.replace(/\.(ts|js)$/, '');
}

let registered = false;

/** From now on this thread can import job code. */
export function resolveEngineModules(): void {
  if (registered) return;
  registered = true;
  registerHooks({
    resolve: (specifier, context, next) => {
      if (!specifier.startsWith(engineScheme)) return next(specifier, context);
      const path = specifier.slice(engineScheme.length) + extension;
      return { url: new URL(path, engineFolder).href, shortCircuit: true };
    },
  });
}
