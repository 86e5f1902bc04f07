import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { stateFromText, stateToText } from './custom-state.ts';

function copyOf(state: unknown): unknown {
  return stateFromText(stateToText(state, 'own'));
}

test('custom state comes back as it was, with every number and bigint', () => {
  const leaf = fc.oneof(
    fc.double(),
    fc.bigInt(),
    fc.string(),
    fc.boolean(),
    fc.constantFrom(null, NaN, Infinity, -Infinity, -0),
  );
  const { state } = fc.letrec((tie) => ({
    state: fc.oneof(
      leaf,
      fc.array(tie('state')),
      fc.dictionary(fc.oneof(fc.string(), fc.constant('$mizzle')), tie('state'), {
        minKeys: 2,
        noNullPrototype: true,
      }),
    ),
  }));
  fc.assert(fc.property(state, (value) => assert.deepEqual(copyOf(value), value)));
});

test('custom state that would come back as something else is refused by name', () => {
  class Range {
    least = 0;
  }
  const cases = [
    new Map(),
    new Set([1]),
    new Date(0),
    new Range(),
    () => 1,
    { inner: [new Map()] },
    { $mizzle: 1 },
  ];
  for (const state of cases) {
    assert.throws(() => stateToText(state, 'own'), { code: 'user-function', message: /"own"/ });
  }
});
