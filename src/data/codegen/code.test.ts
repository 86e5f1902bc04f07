// Names in generated code.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CodeWriter } from './code.ts';

test('CodeWriter.fresh never gives a name twice, whatever the hints look like', () => {
  const hints = fc.array(fc.constantFrom('a', 'a_1', 'a_1_1', 'a_2', 'a-1', 'a.1'), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(hints, (list) => {
      const writer = new CodeWriter();
      const child = new CodeWriter(writer);
      const names = list.map((hint, index) => (index % 2 === 0 ? writer : child).fresh(hint));
      assert.equal(new Set(names).size, names.length);
    }),
  );
});
