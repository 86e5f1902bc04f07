// Where the engine's own files are: in a checkout each module at its place below src/, in the
// package those that somebody starts or imports by name side by side in dist/, with what they share
// in chunks beside them (tools/build.ts). A few large files load in half the time of hundreds.

const isCheckout = import.meta.url.endsWith('.ts');

/** Chunks lie there, too, so the package's folder is found from whichever holds this code. */
const folder = new URL(isCheckout ? '../../' : './', import.meta.url);

/** By their names in dist/: the modules below src/. */
export const engineEntries = {
  index: 'index',
  kafka: 'connectors/kafka/sockets/kafka',
  postgres: 'connectors/postgres/postgres',
  testing: 'testing/index',
  cli: 'cli/main',
  'embedded-thread': 'runtime/embedded/worker-thread',
  'host-thread': 'runtime/cluster/worker-thread',
  'local-host': 'runtime/cluster/local-host',
} as const;

export type EngineEntry = keyof typeof engineEntries;

/** Above src/ in a checkout and above dist/ in the package. */
export const packageManifest = new URL('../package.json', folder);

export function engineFile(entry: EngineEntry): URL {
  return new URL(isCheckout ? `${engineEntries[entry]}.ts` : `${entry}.js`, folder);
}

/** In a checkout: the path of a module below src/, without its extension. Null: it is not there. */
export function enginePath(url: URL): string | null {
  if (!isCheckout || !url.href.startsWith(folder.href)) return null;
  return url.href.slice(folder.href.length).replace(/\.ts$/, '');
}

/** Whatever module of the engine has the path; in the package, of entries only. */
export function engineModule(path: string): URL {
  const entry = Object.entries(engineEntries).find(([, module]) => module === path)?.[0];
  if (entry !== undefined) return engineFile(entry as EngineEntry);
  return new URL(`${path}.ts`, folder);
}
