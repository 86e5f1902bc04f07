// Holds the sources against the repository's own rules (CONTRIBUTING.md): prints
// `path:line rule: message` for each finding and fails if one is more than advice.

import { globSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { citations, commentRules } from './rules/comments.ts';
import { importRules } from './rules/imports.ts';
import { languageRules } from './rules/language.ts';
import { drawMap, withFreshMap } from './layers.ts';
import { nameRules } from './rules/names.ts';
import { purityRules } from './rules/purity.ts';
import { sourceFile, type Finding, type SourceFile } from './rules/rule.ts';
import { sizeRules } from './rules/size.ts';

export type Report = Finding & { readonly path: string; readonly rule: string };

const rules = [
  ...importRules,
  ...purityRules,
  ...languageRules,
  ...nameRules,
  ...commentRules,
  ...sizeRules,
];

export function tidySource(file: SourceFile): readonly Report[] {
  return rules.flatMap((rule) =>
    [...rule.find(file)].map((finding) => ({ ...finding, path: file.path, rule: rule.name })),
  );
}

export function tidyPage(path: string, text: string): readonly Report[] {
  const found = [...citations(text, text, 0)].map((finding) => ({
    ...finding,
    path,
    rule: 'citations',
  }));
  const fresh = withFreshMap(text, drawMap());
  if (fresh === null || fresh === text) return found;
  const message = 'the map is stale: node tools/layers.ts --write';
  return [...found, { path, rule: 'map', line: 1, message }];
}

/** A recorded address would tie every checkout to one registry. */
export function tidyLock(path: string, text: string): readonly Report[] {
  if (!text.includes('"resolved":')) return [];
  const message = 'records download addresses: npm must read .npmrc when it writes this file';
  return [{ path, rule: 'lock-file', line: 1, message }];
}

function tidyTree(root: string): readonly Report[] {
  const read = (path: string) => readFileSync(join(root, path), 'utf8');
  const sources = globSync(
    '{src,test,tools,bench,examples,bin,dashboard}/**/*.{ts,mts,cts,js,mjs,cjs}',
    { cwd: root, exclude: ['**/node_modules/**', '**/dist/**'] },
  ).map((path) => path.replaceAll('\\', '/'));
  const pages = globSync(['*.md', 'docs/**/*.md'], { cwd: root });
  return [
    ...sources.toSorted().flatMap((path) => tidySource(sourceFile(path, read(path)))),
    ...pages.toSorted().flatMap((path) => tidyPage(path, read(path))),
    ...(existsSync(join(root, 'package-lock.json'))
      ? tidyLock('package-lock.json', read('package-lock.json'))
      : []),
  ];
}

function main(): void {
  const reports = tidyTree(join(import.meta.dirname, '..'));
  for (const { path, line, rule, message, advice } of reports) {
    console.log(`${path}:${line} ${advice ? 'advice, ' : ''}${rule}: ${message}`);
  }
  if (reports.some(({ advice }) => !advice)) process.exitCode = 1;
}

if (import.meta.main) main();
