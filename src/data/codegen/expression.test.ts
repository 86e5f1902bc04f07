// What random trees do not show: what is not evaluated, what a lambda gets and may give, names that
// mean something in JavaScript, and the code itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamError } from '../../base/stream-error.ts';
import type { Expr, FunctionId } from '../../expr/expr.ts';
import type { UserFunction } from '../../plan/bindings.ts';
import type { DataType, RowObject, RowSchema, RowValue } from '../../schema/data-type.ts';
import { BatchBuilder } from '../columnar/batch-builder.ts';
import { batchToRows, rowsToBatch } from '../columnar/rows.ts';
import { CodeWriter } from './code.ts';
import { appendCode, bindBatchColumns, rowColumns } from './columns.ts';
import { evaluateSource } from './evaluate.ts';
import { compileExpression } from './expression.ts';
import { rowLiteral } from './row-literal.ts';
import { arenaOf } from './scratch-arena.ts';

const boolean: DataType = { kind: 'boolean' };
const string: DataType = { kind: 'string' };

function column(name: string, type: DataType): Expr {
  return { kind: 'column', name, type, nullable: false };
}

function literal(value: RowValue, type: DataType): Expr {
  return { kind: 'literal', value, type, nullable: false };
}

function lambda(type: DataType, columns: readonly string[] = []): Expr {
  return { kind: 'lambda', id: 'f' as FunctionId, columns, type, nullable: true };
}

function call(fn: Extract<Expr, { kind: 'call' }>['fn'], ...args: readonly Expr[]): Expr {
  return { kind: 'call', fn, args, type: boolean, nullable: true };
}

type Job = {
  readonly expr: Expr;
  readonly schema?: RowSchema;
  readonly rows?: readonly RowObject[];
  readonly fn?: (row: RowObject) => RowValue;
};

const no = { nowMs: 0, timeAheadMsMax: 0, timeField: -1, onBad: () => assert.fail() };

function run(job: Job): { readonly values: readonly unknown[]; readonly text: string } {
  const { expr, schema = { fields: [] }, rows = [{}], fn = () => null } = job;
  const user: UserFunction = { kind: 'scalar', fn };
  const writer = new CodeWriter();
  const arena = arenaOf(writer);
  writer.block('return (batch, out) =>', () => {
    const columns = bindBatchColumns(writer, schema.fields, 'batch.vectors');
    writer.block('for (let row = 0; row < batch.rowCount; row++)', () => {
      writer.line(`${arena}.reset();`);
      const load = rowColumns(writer, columns, 'row');
      const value = compileExpression(expr, {
        writer,
        column: load,
        functions: new Map([['f' as FunctionId, user]]),
        row: (names, at) => rowLiteral(at, names, load),
        ctx: 'null',
      });
      appendCode(writer, 'out', value);
    });
  });
  const text = writer.text();
  const kernel = evaluateSource<(batch: unknown, out: unknown) => void>(
    text,
    Object.fromEntries(writer.scope),
  );
  const field = { name: 'out', path: ['out'], type: expr.type, nullable: true };
  const builder = new BatchBuilder({ fields: [field] });
  kernel(rowsToBatch(schema, rows, no), builder.columns[0]);
  builder.rowCount = rows.length;
  return { values: batchToRows(builder.finish()).map((row) => row['out']), text };
}

function schemaOf(columns: { readonly [name: string]: DataType }): RowSchema {
  return {
    fields: Object.entries(columns).map(([name, type]) => {
      return { name, path: [name], type, nullable: false };
    }),
  };
}

test('compileExpression does not call a lambda whose value is not needed', () => {
  const fail = (): never => assert.fail('called');
  const values = (expr: Expr): readonly unknown[] => run({ expr, fn: fail }).values;
  const f = lambda(boolean);
  const yes = literal(true, boolean);
  const not = literal(false, boolean);
  assert.deepEqual(values(call('and', not, f)), [false]);
  assert.deepEqual(values(call('or', yes, f)), [true]);
  assert.deepEqual(values(call('if', yes, not, f)), [false]);
  assert.deepEqual(values(call('if', not, f)), [null]);
  assert.deepEqual(values(call('coalesce', not, f)), [false]);
  assert.deepEqual(values(call('in', yes, yes, f)), [true]);
  assert.deepEqual(values(call('in', literal(null, boolean), f)), [null]);
});

test('compileExpression calls a lambda once a row with the columns it may read', () => {
  const seen: RowObject[] = [];
  const expr = call('not', call('not', lambda(boolean, ['b'])));
  const rows = [
    { a: 'x', b: 'y' },
    { a: 'é', b: 'ö' },
  ];
  const fn = (row: RowObject): RowValue => seen.push({ ...row }) > 1;
  const { values } = run({ expr, schema: schemaOf({ a: string, b: string }), rows, fn });
  assert.deepEqual(values, [false, true]);
  assert.deepEqual(seen, [{ b: 'y' }, { b: 'ö' }]);
});

test('compileExpression refuses what a lambda gives when it is not of the type', () => {
  const wrong: readonly (readonly [DataType, unknown])[] = [
    [boolean, 1],
    [{ kind: 'int32' }, 1.5],
    [{ kind: 'int64' }, 5],
    [{ kind: 'int64' }, 2n ** 63n],
    [{ kind: 'float64' }, '1'],
    [{ kind: 'timestamp', encoding: 'ms' }, NaN],
    [string, 5],
    [{ kind: 'json' }, () => 1],
    [{ kind: 'json' }, { nested: 5n }],
    [string, { nested: 5n }],
  ];
  for (const [type, value] of wrong) {
    const attempt = (): unknown => run({ expr: lambda(type), fn: () => value as RowValue });
    assert.throws(attempt, (error) => error instanceof StreamError && error.code === 'lambda-type');
  }
  const undefinedValue = undefined as unknown as RowValue;
  assert.deepEqual(run({ expr: lambda(string), fn: () => undefinedValue }).values, [null]);
});

test('compileExpression takes column names that mean something in JavaScript', () => {
  const names = [
    'if',
    'Math',
    'row',
    'out',
    'a b',
    '"',
    '__proto__',
    'x_1',
    'x',
    '1',
    '日本',
    'c_x',
  ];
  const schema: RowSchema = {
    fields: names.map((name, index) => {
      return { name, path: [`p${index}`], type: string, nullable: true };
    }),
  };
  const rows = [Object.fromEntries(names.map((name, index) => [`p${index}`, `<${name}>`]))];
  for (const name of names) {
    const others: readonly Expr[] = names.map((other) => call('is-null', column(other, string)));
    const expr: Expr = {
      kind: 'call',
      fn: 'if',
      args: [call('or', ...others), literal('none', string), column(name, string)],
      type: string,
      nullable: true,
    };
    assert.deepEqual(run({ expr, schema, rows }).values, [`<${name}>`]);
  }
  const expr = lambda(string, names);
  const fn = (row: RowObject): string => Object.entries(row).join(';');
  const all = names.map((name) => `${name},<${name}>`).sort();
  assert.deepEqual(String(run({ expr, schema, rows, fn }).values[0]).split(';').sort(), all);
});

test('compileExpression compares with a literal byte by byte, the last byte first', () => {
  const expr = call('eq', column('type', string), literal('view', string));
  const { values, text } = run({
    expr,
    schema: schemaOf({ type: string }),
    rows: [{ type: 'view' }, { type: 'views' }, { type: 'vie' }, { type: 'click' }],
  });
  assert.deepEqual(values, [true, false, false, false]);
  const at = (index: number, byte: number): string =>
    `c_type_bytes[c_type_start + ${index}] === ${byte}`;
  const bytes = [at(3, 119), at(0, 118), at(1, 105), at(2, 101)].join(' && ');
  assert.ok(text.includes(`c_type_end - c_type_start === 4 && ${bytes}`), text);
});
