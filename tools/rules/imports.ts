// Who may import whom, and how an import is written.

import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { forbidden, layerOf } from '../layers.ts';
import { lineAt } from '../source-text.ts';
import { findInCode, isEngineCode, isTestCode, type Rule, type SourceFile } from './rule.ts';

type Import = { readonly specifier: string; readonly line: number };

type Manifest = {
  readonly exports: Readonly<Record<string, string | { readonly types: string }>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
};

const manifest: Manifest = JSON.parse(
  readFileSync(join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'),
);

/** The modules that package.json exports, by their declarations: bundled code has other places. */
const entries = Object.values(manifest.exports).map((target) =>
  (typeof target === 'string' ? target : target.types)
    .replace('./dist/', 'src/')
    .replace(/\.d\.ts$/, '.ts'),
);

const runtimePackages: readonly string[] = [
  ...Object.keys(manifest.dependencies ?? {}),
  ...Object.keys(manifest.peerDependencies ?? {}),
];

const layersRule: Rule = {
  name: 'layers',
  *find(file) {
    if (!isEngineCode(file)) return;
    if (file.layer === undefined) {
      yield { line: 1, message: 'this folder is not in tools/layers.ts' };
      return;
    }
    for (const { specifier, line } of imports(file)) {
      if (!specifier.startsWith('.')) continue;
      const target = posix.join(posix.dirname(file.path), specifier);
      const to = layerOf(target);
      const reason =
        to === undefined ? `it is in no layer of tools/layers.ts` : forbidden(file.layer, to);
      if (isTestCode(target))
        yield { line, message: `may not import ${target}, which is for tests` };
      if (reason !== null) yield { line, message: `may not import ${target}: ${reason}` };
    }
  },
};

const packagesRule: Rule = {
  name: 'packages',
  *find(file) {
    if (!isEngineCode(file)) return;
    for (const { specifier, line } of imports(file)) {
      if (specifier.startsWith('.')) continue;
      if (specifier.startsWith('node:')) {
        if (file.layer?.pure) yield { line, message: `pure code may not import ${specifier}` };
        continue;
      }
      const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
      if (!runtimePackages.includes(name)) {
        yield { line, message: `${name} is not a dependency of the package (package.json)` };
      }
    }
  },
};

const extensionsRule: Rule = {
  name: 'extensions',
  *find(file) {
    for (const { specifier, line } of imports(file)) {
      if (!specifier.startsWith('.') || /\.(ts|mjs|json)$/.test(specifier)) continue;
      if (!file.path.endsWith('.ts')) continue;
      yield { line, message: `import of ${specifier} needs its file extension (.ts)` };
    }
  },
};

const barrelsRule: Rule = {
  name: 'barrels',
  *find(file) {
    const isEntry = entries.includes(file.path);
    if (posix.basename(file.path) === 'index.ts' && !isEntry) {
      yield { line: 1, message: 'index.ts is for entries in package.json exports only' };
    }
    yield* findInCode(file, /^\s*export\s+(type\s+)?\*/gm, () => 'no `export *`: name each export');
    if (isEntry) return;
    yield* findInCode(
      file,
      /^\s*export\s+(type\s+)?\{[^}]*\}\s*from\b/gm,
      () => 'no re-export: import from the file that defines the thing',
    );
  },
};

export const importRules: readonly Rule[] = [layersRule, packagesRule, extensionsRule, barrelsRule];

/** Static and dynamic imports and re-exports that name their module by a literal. */
function imports(file: SourceFile): readonly Import[] {
  const pattern = /(?<![.\w$])(?:from|import)\s*\(?\s*(['"])( *)\1/g;
  return [...file.code.matchAll(pattern)].map((match) => {
    const end = match.index + match[0].length - 1;
    const specifier = file.text.slice(end - (match[2] ?? '').length, end);
    return { specifier, line: lineAt(file.text, match.index) };
  });
}
