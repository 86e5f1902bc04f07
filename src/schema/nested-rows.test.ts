import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rowNester } from './nested-rows.ts';

test('rowNester: puts columns where records hold them', () => {
  const type = { kind: 'string' } as const;
  const field = (name: string, ...path: string[]) => ({ name, path, type, nullable: true });
  const fields = [
    field('user.id', 'user', 'id'),
    field('user.age', 'user', 'age'),
    field('k', 'q'),
  ];
  const nest = rowNester({ fields });
  assert.deepEqual(nest({ 'user.id': 'a', k: null }), { user: { id: 'a' }, q: null });
  const row = { k: 'v' };
  assert.equal(rowNester({ fields: [field('k', 'k')] })(row), row);
});
