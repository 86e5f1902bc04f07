// How files and folders are called.

import { posix } from 'node:path';
import type { Rule } from './rule.ts';

const kebabCase = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const fileName = /^([^.]+)((?:\.(?:test|prop|types|fuzz|fixture))*)\.(ts|mjs|js|json)$/;
/** They say nothing about what is inside, so everything ends up inside. */
const emptyWords = /(^|-)(utils?|helpers?|common|misc|managers?)$|^types$/;

const namesRule: Rule = {
  name: 'names',
  *find(file) {
    const match = fileName.exec(posix.basename(file.path));
    if (match === null) {
      yield {
        line: 1,
        message: 'a file is called name[.test|.prop.test|.types.test|.fuzz|.fixture].ts',
      };
      return;
    }
    const folders = posix.dirname(file.path).split('/');
    for (const name of [...folders, match[1] ?? '']) {
      if (name === '.') continue;
      if (!kebabCase.test(name)) yield { line: 1, message: `"${name}" is not kebab-case` };
      if (emptyWords.test(name)) {
        yield { line: 1, message: `"${name}" does not say what is inside` };
      }
    }
  },
};

export const nameRules: readonly Rule[] = [namesRule];
