import assert from 'node:assert/strict';
import { test } from 'node:test';
import { evaluateSource } from './evaluate.ts';

test('evaluateSource gives what the source returns, with the scope as variables', () => {
  assert.equal(evaluateSource<number>('return a + b;', { a: 1, b: 2 }), 3);
});

test('evaluateSource evaluates in strict mode', () => {
  assert.throws(() => evaluateSource('undeclared = 1;', {}), ReferenceError);
});
