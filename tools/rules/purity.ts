// What pure code may not touch: anything that can differ between two runs of the same input.

import { findInCode, type Rule } from './rule.ts';

// A call or a member of the global, not a property or a method of the same name. `new Date(ms)` and
// `Date.UTC` are pure.
const impure: readonly RegExp[] = [
  /(?<![.\w$#])Date\s*\.\s*(now|parse)\b/g,
  /(?<![.\w$#]|\bnew\s+)Date\s*\(/g,
  /\bnew\s+Date\s*(\(\s*\)|;|,|\))/g,
  // These depend on the time zone; their UTC twins do not.
  /\.\s*[gs]et(FullYear|Month|Date|Day|Hours|Minutes)\s*\(/g,
  /\bMath\s*\.\s*random\b/g,
  /(?<![.\w$#])(performance|process|console|crypto)\s*\??[.[]/g,
  /(?<![.\w$#])(setTimeout|setInterval|setImmediate|queueMicrotask|fetch)\s*\(/g,
  /(?<![.\w$#])globalThis\b/g,
];

const purityRule: Rule = {
  name: 'purity',
  *find(file) {
    if (!file.layer?.pure) return;
    for (const pattern of impure) {
      yield* findInCode(
        file,
        pattern,
        (match) => `pure code may not use ${match.replace(/\s*[([.;,)]*$/, '')}`,
      );
    }
  },
};

const synchronousRule: Rule = {
  name: 'synchronous',
  *find(file) {
    if (file.layer?.plane !== 'control' && file.layer?.plane !== 'data') return;
    yield* findInCode(
      file,
      /(?<![.\w$#])(async|await|Promise)\b/g,
      (match) => `${match} has no place in the ${file.layer?.plane} plane, which is synchronous`,
    );
  },
};

export const purityRules: readonly Rule[] = [purityRule, synchronousRule];
