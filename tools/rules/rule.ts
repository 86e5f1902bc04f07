// What a rule of tidy.ts is: a pure function from a file to what is wrong with it.

import { layerOf, type Layer } from '../layers.ts';
import { lineAt, readSource, type Comment } from '../source-text.ts';

export type Rule = {
  /** Stable, kebab-case; shown with each finding. */
  readonly name: string;
  readonly find: (file: SourceFile) => Iterable<Finding>;
};

export type Finding = {
  /** From 1. */
  readonly line: number;
  readonly message: string;
  /** Shown, but does not fail. */
  readonly advice?: boolean;
};

export type SourceFile = {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
  /** The text with comments and the insides of strings blanked. */
  readonly code: string;
  readonly comments: readonly Comment[];
  /** Of the engine's own code; undefined for tests, tools and other folders. */
  readonly layer: Layer | undefined;
};

/** Code that the package does not ship and that the rules for the engine leave alone. */
export function isTestCode(path: string): boolean {
  return /\.(test|fixture|fuzz)\.ts$/.test(path);
}

export function sourceFile(path: string, text: string): SourceFile {
  const layer = isTestCode(path) ? undefined : layerOf(path);
  return { path, text, ...readSource(text), layer };
}

/** A finding for every match of a pattern (with flag g) in the code. */
export function* findInCode(
  file: SourceFile,
  pattern: RegExp,
  message: (match: string) => string,
): Iterable<Finding> {
  for (const match of file.code.matchAll(pattern)) {
    const found = match[0].trim();
    const offset = match.index + match[0].indexOf(found);
    yield { line: lineAt(file.text, offset), message: message(found.replace(/\s+/g, ' ')) };
  }
}

export function isEngineCode(file: SourceFile): boolean {
  return file.path.startsWith('src/') && !isTestCode(file.path);
}
