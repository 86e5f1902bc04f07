// Makes one file of a pipeline's module and all it imports, the engine excepted: that file is what
// hosts run. It is made once, at the driver, and known by its hash.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { BuildFailure, Loader, Message, Plugin } from 'esbuild';
import { StreamError } from '../../base/stream-error.ts';
import { codeBytesMax } from '../../control/limits.ts';
import { engineSpecifier, packageSpecifier } from './engine-modules.ts';

export type JobBundle = {
  /** SHA-256 of `code`, hex. */
  readonly hash: string;
  readonly code: Uint8Array;
};

/** Packages of CommonJS call `require`, which a module does not have by itself. */
const banner =
  "import { createRequire as mizzleCreateRequire } from 'node:module'; " +
  'globalThis.require ??= mizzleCreateRequire(import.meta.url);';

/** Rejects with `bundle-failed`, which lists everything that could not be bundled. */
export async function bundleJob(moduleUrl: string): Promise<JobBundle> {
  const entry = fileURLToPath(moduleUrl);
  const { build } = await import('esbuild');
  let code: Uint8Array;
  try {
    const result = await build({
      entryPoints: [entry],
      absWorkingDir: dirname(entry),
      bundle: true,
      write: false,
      format: 'esm',
      platform: 'node',
      target: 'node22',
      sourcemap: 'inline',
      logLevel: 'silent',
      banner: { js: banner },
      define: {
        'import.meta.url': ownNames.url,
        'import.meta.filename': ownNames.filename,
        'import.meta.dirname': ownNames.dirname,
        'import.meta.main': 'false',
      },
      plugins: [engineOutside, ownPlaces],
    });
    code = result.outputFiles[0]!.contents;
  } catch (error) {
    throw bundleError(moduleUrl, error);
  }
  if (code.length > codeBytesMax) {
    throw new StreamError({
      code: 'bundle-failed',
      message: `could not bundle "${entry}": it makes ${code.length} bytes`,
      hint: `job code may have ${codeBytesMax} bytes: read large tables from files instead`,
      fields: { module: moduleUrl },
    });
  }
  return { hash: codeHash(code), code };
}

export function codeHash(code: Uint8Array): string {
  return createHash('sha256').update(code).digest('hex');
}

const engineOutside: Plugin = {
  name: 'engine-outside',
  setup: (build) => {
    build.onResolve({ filter: /^mizzle(\/|$)/ }, ({ path }) => {
      const specifier = packageSpecifier(path);
      return specifier === null ? null : { path: specifier, external: true };
    });
    build.onResolve({ filter: /^(\.{1,2})?\// }, async ({ path, pluginData, ...context }) => {
      if (pluginData === resolving) return null;
      const found = await build.resolve(path, { ...context, pluginData: resolving });
      const specifier = engineSpecifier(found.path);
      if (found.errors.length > 0 || specifier === null) return null;
      return { path: specifier, external: true };
    });
  },
};

/** Marks a question of our own, which must not be answered by asking again. */
const resolving = Symbol('resolving');

const ownNames = {
  url: 'mizzleModuleUrl',
  filename: 'mizzleModuleFilename',
  dirname: 'mizzleModuleDirname',
} as const;

/** A module goes on to see the place it came from, not that of the bundle. */
const ownPlaces: Plugin = {
  name: 'own-places',
  setup: (build) => {
    build.onLoad({ filter: /\.(ts|mts|js|mjs)$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes('import.meta')) return null;
      const { url, filename, dirname: folder } = ownNames;
      const names =
        `const ${url} = ${JSON.stringify(pathToFileURL(path).href)}, ` +
        `${filename} = ${JSON.stringify(path)}, ` +
        `${folder} = ${JSON.stringify(dirname(path))}; `;
      const loader: Loader = /\.m?ts$/.test(path) ? 'ts' : 'js';
      return { contents: names + text.replace(/^#!/, '//'), loader, resolveDir: dirname(path) };
    });
  },
};

function bundleError(moduleUrl: string, error: unknown): StreamError {
  const { errors = [] } = error as Partial<BuildFailure>;
  const mistakes = errors.map(mistakeText);
  const first = mistakes.length > 0 ? mistakes.join('; ') : String(error);
  const native = errors.some(({ text }) => text.includes('.node"'));
  return new StreamError({
    code: 'bundle-failed',
    message: `could not bundle "${fileURLToPath(moduleUrl)}" for the hosts: ${first}`,
    hint: native
      ? 'native add-ons cannot be sent to hosts: move what needs them out of the pipeline'
      : 'a pipeline may import files and packages that one file can hold',
    fields: { module: moduleUrl },
    cause: error,
  });
}

function mistakeText({ text, location }: Message): string {
  return location === null ? text : `${location.file}:${location.line}: ${text}`;
}
