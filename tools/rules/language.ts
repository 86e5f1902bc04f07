// Which parts of the language the engine does without.

import { findInCode, type Rule } from './rule.ts';

const interfacesRule: Rule = {
  name: 'interfaces',
  *find(file) {
    if (file.layer === undefined || file.layer.folder === 'ports') return;
    yield* findInCode(
      file,
      /^\s*(export\s+)?(default\s+)?(declare\s+)?interface\s+\w/gm,
      () => 'an interface is a port and lives in src/ports; a shape of data is a `type`',
    );
  },
};

const erasableRule: Rule = {
  name: 'erasable',
  *find(file) {
    yield* findInCode(
      file,
      /^\s*(export\s+)?(declare\s+)?((const\s+)?enum|namespace)\s+\w+/gm,
      (match) => `no ${match}: a union of literals, or a module`,
    );
    yield* findInCode(file, /^\s*@\w+/gm, (match) => `no decorator ${match}`);
  },
};

const dynamicCodeRule: Rule = {
  name: 'dynamic-code',
  *find(file) {
    if (file.layer === undefined || file.layer.folder === 'data/codegen') return;
    yield* findInCode(
      file,
      /\bnew\s+Function\b|(?<![.\w$#])eval\s*\(/g,
      () => 'only data/codegen makes functions of text',
    );
  },
};

export const languageRules: readonly Rule[] = [interfacesRule, erasableRule, dynamicCodeRule];
