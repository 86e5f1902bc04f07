// How wide and how long a file is.

import type { Rule } from './rule.ts';

const columnsMax = 100;
const linesAdvised = 400;

const columnsRule: Rule = {
  name: 'columns',
  *find(file) {
    for (const [index, line] of file.text.split('\n').entries()) {
      const columns = [...line].length;
      // An address cannot be broken.
      if (columns <= columnsMax || /https?:\/\/\S{40}/.test(line)) continue;
      yield { line: index + 1, message: `${columns} columns, more than ${columnsMax}` };
    }
  },
};

const linesRule: Rule = {
  name: 'lines',
  *find(file) {
    const lines = file.text.split('\n').length;
    if (lines <= linesAdvised) return;
    const message = `${lines} lines; is it still one concern?`;
    yield { line: linesAdvised, message, advice: true };
  },
};

export const sizeRules: readonly Rule[] = [columnsRule, linesRule];
