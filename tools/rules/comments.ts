// What comments have to hold, and what they cite.

import { lineAt } from '../source-text.ts';
import { isEngineCode, type Finding, type Rule } from './rule.ts';

/** The tags that a citation may have, and the sections that it may name. */
const sections: Readonly<Record<string, readonly string[]>> = {
  // "Drizzle: Fast and Adaptable Stream Processing at Scale", SOSP 2017.
  Drizzle: '1 2 2.1 2.2 2.3 3 3.1 3.2 3.3 3.4 3.5 3.6 4 4.1 4.2 5 5.1 5.2 5.3 5.4 6 7'.split(' '),
};

const openingRule: Rule = {
  name: 'opening',
  *find(file) {
    if (!isEngineCode(file) || /^\s*\/[/*]/.test(file.text)) return;
    yield { line: 1, message: 'a file opens with a comment: what it owns, its main invariant' };
  },
};

const todoRule: Rule = {
  name: 'todo',
  *find(file) {
    for (const { text, offset } of file.comments) {
      for (const match of text.matchAll(/\bFIXME\b|\bTODO\b(?!\(#\d+\))/g)) {
        const message =
          match[0] === 'FIXME' ? 'FIXME cannot be merged' : 'TODO names its issue: TODO(#12)';
        yield { line: lineAt(file.text, offset + match.index), message };
      }
    }
  },
};

const citationsRule: Rule = {
  name: 'citations',
  *find(file) {
    for (const { text, offset } of file.comments) yield* citations(text, file.text, offset);
  },
};

/** Findings in prose, a comment or a page, that begins at `offset` of a file's text. */
export function* citations(prose: string, text: string, offset: number): Iterable<Finding> {
  // A citation may be broken over two lines of a comment.
  for (const match of prose.matchAll(/\[(\w[\w-]*)[\s/*]+§\s*([^\]]*)\]/g)) {
    const [, tag = '', rest = ''] = match;
    const line = lineAt(text, offset + match.index);
    const known = sections[tag];
    if (known === undefined) {
      yield { line, message: `unknown citation tag "${tag}"` };
      continue;
    }
    for (const part of rest.split(',').map((piece) => piece.trim().replace(/^§/, ''))) {
      if (!/^\d/.test(part) || known.includes(part)) continue;
      yield { line, message: `${tag} has no section ${part}` };
    }
  }
}

export const commentRules: readonly Rule[] = [openingRule, todoRule, citationsRule];
