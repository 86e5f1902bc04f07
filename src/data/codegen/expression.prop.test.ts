// Compiled expressions against the interpreter: random trees over random rows, from batches and
// from a scanner's columns.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StreamError } from '../../base/stream-error.ts';
import { buildCall } from '../../expr/call.ts';
import type { Expr, FunctionId, FunctionName } from '../../expr/expr.ts';
import { evaluate } from '../../expr/interpret.ts';
import type { OperatorContext, UserFunction } from '../../plan/bindings.ts';
import type { DataType, Field, RowObject, RowSchema, RowValue } from '../../schema/data-type.ts';
import { BatchBuilder } from '../columnar/batch-builder.ts';
import type { Batch } from '../columnar/batch.ts';
import { batchToRows, rowsToBatch } from '../columnar/rows.ts';
import { CodeWriter } from './code.ts';
import { appendCode, bindBatchColumns, bindScanColumns, rowColumns } from './columns.ts';
import type { BoundColumns } from './columns.ts';
import { evaluateSource } from './evaluate.ts';
import { compileExpression } from './expression.ts';
import { rowLiteral } from './row-literal.ts';
import type { ScanColumn } from './scanner.ts';
import { arenaOf } from './scratch-arena.ts';

const boolean: DataType = { kind: 'boolean' };
const int32: DataType = { kind: 'int32' };
const int64: DataType = { kind: 'int64' };
const float64: DataType = { kind: 'float64' };
const timestamp: DataType = { kind: 'timestamp', encoding: 'ms' };
const string: DataType = { kind: 'string' };
const json: DataType = { kind: 'json' };

const types: readonly DataType[] = [boolean, int32, int64, float64, timestamp, string, json];

/** Two columns a type: one that may be null and one that may not. */
const fields: readonly Field[] = types.flatMap((type) =>
  [true, false].map((nullable) => {
    const name = `${type.kind}${nullable ? '?' : ''}`;
    return { name, path: [name], type, nullable };
  }),
);
const schema: RowSchema = { fields };

const words = [
  '',
  'a',
  'A',
  ' view\u3000',
  'view',
  'views',
  'é',
  '日本',
  '😀x',
  '12',
  '-7',
  '1.5e3',
];
const texts = fc.oneof(
  fc.constantFrom(...words, '2024-02-29T12:00:00Z', 'x'.repeat(60), '99999999999999999999'),
  fc.string({ unit: 'grapheme', maxLength: 8 }).filter((text) => text.isWellFormed()),
);
const smalls = fc.integer({ min: -3, max: 3 });

function valueOf(type: DataType): fc.Arbitrary<RowValue> {
  switch (type.kind) {
    case 'boolean':
      return fc.boolean();
    case 'int32':
      return fc.oneof(smalls, fc.integer());
    case 'int64':
      return fc.oneof(
        smalls.map(BigInt),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n),
      );
    case 'float64':
      return fc.oneof(
        smalls.map((value) => value / 2),
        fc.double(),
        fc.constantFrom(9.3e18, -9223372036854775808, 9223372036854774784),
      );
    case 'timestamp':
      return fc.oneof(smalls, fc.integer({ min: 0, max: 4e12 }));
    case 'string':
      return texts;
    case 'json':
      return (
        fc
          .oneof(texts, smalls, fc.jsonValue({ maxDepth: 1 }))
          .filter((value) => value !== null && text(value).isWellFormed())
          // JSON has no -0.
          .map((value) => JSON.parse(JSON.stringify(value)) as RowValue)
      );
  }
}

function text(value: unknown): string {
  return JSON.parse(`"${JSON.stringify(value).replaceAll(/[\\"]/g, '')}"`) as string;
}

const rows = fc.array(
  fc.record(
    Object.fromEntries(
      fields.map((field) => {
        const value = valueOf(field.type);
        return [field.name, field.nullable ? fc.option(value) : value];
      }),
    ),
  ) as fc.Arbitrary<RowObject>,
  { minLength: 1, maxLength: 6 },
);

const lambdas: ReadonlyMap<string, { type: DataType; fn: (row: RowObject) => RowValue }> = new Map([
  ['isLong', { type: boolean, fn: (row) => String(row['string'] ?? '').length > 3 }],
  ['first', { type: string, fn: (row) => Array.from(String(row['string?'] ?? ''))[0] ?? null }],
  ['half', { type: float64, fn: (row) => Number(row['int32'] ?? 0) / 2 }],
  ['echo', { type: int64, fn: (row) => row['int64?'] ?? null }],
  ['keep', { type: json, fn: (row) => row['json'] ?? null }],
]);

const functions: ReadonlyMap<FunctionId, UserFunction> = new Map(
  [...lambdas].map(([id, { fn }]) => [id as FunctionId, { kind: 'scalar', fn: (row) => fn(row) }]),
);

type Make = (type: DataType) => fc.Arbitrary<Expr>;

function leaf(type: DataType): fc.Arbitrary<Expr> {
  const columns = fields
    .filter((field) => field.type.kind === type.kind)
    .map(({ name, nullable }): Expr => ({ kind: 'column', name, type, nullable }));
  const calls = [...lambdas]
    .filter(([, lambda]) => lambda.type.kind === type.kind)
    .map(([id]): Expr => {
      const all = fields.map((field) => field.name);
      return { kind: 'lambda', id: id as FunctionId, columns: all, type, nullable: true };
    });
  const literal = fc
    .option(valueOf(type), { freq: 8 })
    .map((value): Expr => ({ kind: 'literal', value, type, nullable: value === null }));
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...columns) },
    { weight: 2, arbitrary: literal },
    ...(calls.length === 0 ? [] : [{ weight: 1, arbitrary: fc.constantFrom(...calls) }]),
  );
}

function call(type: DataType, fn: FunctionName, ...args: fc.Arbitrary<Expr>[]): fc.Arbitrary<Expr> {
  return fc.tuple(...args).map((operands): Expr => {
    const { expr } = buildCall(fn, operands);
    // What the builder refuses is compiled all the same: rules may make it.
    if (expr !== null && expr.type.kind === type.kind) return expr;
    return { kind: 'call', fn, args: operands, type, nullable: true };
  });
}

/** Calls that give `type`, their operands made by `make`. */
function callsOf(type: DataType, make: Make): fc.Arbitrary<Expr>[] {
  const same = [
    call(type, 'if', make(boolean), make(type), make(type)),
    call(type, 'if', make(boolean), make(type)),
    call(type, 'coalesce', make(type), make(type), make(type)),
  ];
  const numbers = [make(int32), make(float64)];
  const number = fc.oneof(...numbers);
  const int = fc.oneof(make(int32), make(float64), make(int64));
  switch (type.kind) {
    case 'boolean':
      return [...same, ...predicates(make)];
    case 'int32':
      return [...same, call(type, 'length', make(string))];
    case 'float64':
      return [
        ...same,
        ...(['add', 'sub', 'mul', 'div', 'mod'] as const).map((fn) => call(type, fn, number, int)),
        ...(['neg', 'abs', 'floor', 'ceil', 'round'] as const).map((fn) => call(type, fn, number)),
        call(type, 'sub', make(timestamp), make(timestamp)),
        ...types.slice(0, 6).map((from) => call(type, 'to-float64', make(from))),
      ];
    case 'int64':
      return [
        ...same,
        ...(['add', 'sub', 'mul', 'div', 'mod'] as const).map((fn) =>
          call(type, fn, make(int64), make(int64)),
        ),
        ...(['neg', 'abs', 'floor', 'ceil', 'round'] as const).map((fn) =>
          call(type, fn, make(int64)),
        ),
        ...types.slice(0, 6).map((from) => call(type, 'to-int64', make(from))),
      ];
    case 'timestamp':
      return [
        ...same,
        call(type, 'add', make(timestamp), number),
        call(type, 'sub', make(timestamp), number),
        ...[int32, int64, float64, timestamp, string].map((from) =>
          call(type, 'to-timestamp', make(from)),
        ),
        ...['second', 'minute', 'hour', 'day', 'week', 'month', 'year'].map((unit) =>
          call(type, 'date-trunc', textLiteral(unit), make(timestamp)),
        ),
      ];
    case 'string':
      return [
        ...same,
        call(type, 'concat', make(string), make(string), make(string)),
        ...(['lower', 'upper', 'trim'] as const).map((fn) => call(type, fn, make(string))),
        call(type, 'substring', make(string), int),
        call(type, 'substring', make(string), make(int32), number),
        ...types.map((from) => call(type, 'to-string', make(from))),
      ];
    case 'json':
      return same;
  }
}

function textLiteral(value: string): fc.Arbitrary<Expr> {
  return fc.constant({ kind: 'literal', value, type: string, nullable: false });
}

function predicates(make: Make): fc.Arbitrary<Expr>[] {
  const orders = ['lt', 'le', 'gt', 'ge'] as const;
  const ordered = [boolean, int32, int64, float64, timestamp, string];
  return [
    call(boolean, 'and', make(boolean), make(boolean), make(boolean)),
    call(boolean, 'or', make(boolean), make(boolean)),
    call(boolean, 'not', make(boolean)),
    ...types.map((type) => call(boolean, 'is-null', make(type))),
    // The interpreter compares JSON objects by identity, which a column does not have.
    ...ordered.flatMap((type) => [
      call(boolean, 'eq', make(type), make(type)),
      call(boolean, 'ne', make(type), make(type)),
      call(boolean, 'in', make(type), make(type), make(type)),
    ]),
    ...ordered.flatMap((type) => orders.map((fn) => call(boolean, fn, make(type), make(type)))),
    ...(['eq', 'lt', 'ge'] as const).map((fn) => call(boolean, fn, make(int64), make(float64))),
    call(boolean, 'in', make(int32), ...[1, 2, 3, 4, 5, 6, 7, 8, 9, NaN].map(numberLiteral)),
    ...(['starts-with', 'ends-with', 'contains'] as const).map((fn) =>
      call(boolean, fn, make(string), make(string)),
    ),
  ];
}

function numberLiteral(value: number): fc.Arbitrary<Expr> {
  return fc.constant({ kind: 'literal', value, type: float64, nullable: false });
}

function exprOf(type: DataType, depth: number): fc.Arbitrary<Expr> {
  if (depth === 0) return leaf(type);
  const make: Make = (inner) => exprOf(inner, depth - 1);
  return fc.oneof(
    { weight: 1, arbitrary: leaf(type) },
    {
      weight: 4,
      arbitrary: fc.constant(null).chain(() => fc.oneof(...callsOf(type, make))),
    },
  );
}

const exprs = fc
  .tuple(fc.constantFrom(...types), fc.integer({ min: 0, max: 3 }))
  .chain(([type, depth]) => exprOf(type, depth));

const ctx: OperatorContext = { batchTimeMs: 0, random: () => 0.5 };

type Bind = (writer: CodeWriter) => BoundColumns;

/** A kernel that appends the expression's value for each row to a builder of one column. */
function kernelOf(expr: Expr, bind: Bind): (input: unknown, rows: number, out: unknown) => void {
  const writer = new CodeWriter();
  const arena = arenaOf(writer);
  writer.block('return (input, rows, out) =>', () => {
    const columns = bind(writer);
    writer.block('for (let row = 0; row < rows; row++)', () => {
      writer.line(`${arena}.reset();`);
      const column = rowColumns(writer, columns, 'row');
      const row = (names: readonly string[], at: CodeWriter): string =>
        rowLiteral(at, names, column);
      const context = { writer, column, functions, row, ctx: writer.constant('ctx', ctx) };
      const value = compileExpression(expr, context);
      appendCode(writer, 'out', value);
    });
  });
  return evaluateSource(writer.text(), Object.fromEntries(writer.scope));
}

type Outcome = { readonly values: readonly RowValue[] } | { readonly error: string };

function attempt(run: () => readonly RowValue[]): Outcome {
  try {
    return { values: run() };
  } catch (error) {
    if (error instanceof StreamError) return { error: error.code };
    throw error;
  }
}

function interpreted(expr: Expr, list: readonly RowObject[]): Outcome {
  return attempt(() =>
    list.map((row) =>
      evaluate(expr, row, (id, seen) => {
        const user = functions.get(id)!;
        return user.kind === 'scalar' ? user.fn(seen, ctx) : null;
      }),
    ),
  );
}

function compiled(expr: Expr, run: (out: unknown) => void): Outcome {
  const name = 'out';
  const builder = new BatchBuilder({
    fields: [{ name, path: [name], type: expr.type, nullable: true }],
  });
  return attempt(() => {
    run(builder.columns[0]);
    builder.rowCount = builder.columns[0]!.count;
    return batchToRows(builder.finish()).map((row) => row[name] ?? null);
  });
}

test('compileExpression over a batch gives what the interpreter gives', () => {
  const bind: Bind = (writer) => bindBatchColumns(writer, fields, 'input.vectors');
  fc.assert(
    fc.property(exprs, rows, (expr, list) => {
      const batch = batchOf(list);
      const seen = batchToRows(batch);
      const kernel = kernelOf(expr, bind);
      const actual = compiled(expr, (out) => kernel(batch, list.length, out));
      assert.deepEqual(actual, interpreted(expr, seen));
    }),
    { numRuns: 3000 },
  );
});

test('compileExpression over scanned columns gives what the interpreter gives', () => {
  const bind: Bind = (writer) =>
    bindScanColumns(writer, {
      fields,
      columns: 'input.columns',
      input: 'input.bytes',
      scratch: 'input.scratch',
    });
  fc.assert(
    fc.property(exprs, rows, (expr, list) => {
      const batch = batchOf(list);
      const kernel = kernelOf(expr, bind);
      const actual = compiled(expr, (out) => kernel(scanned(batch), list.length, out));
      assert.deepEqual(actual, interpreted(expr, batchToRows(batch)));
    }),
    { numRuns: 1500 },
  );
});

function batchOf(list: readonly RowObject[]): Batch {
  return rowsToBatch(schema, list, {
    nowMs: 0,
    timeAheadMsMax: 0,
    timeField: -1,
    onBad: (bad) => assert.fail(bad.message),
  });
}

/** The batch as a scanner would give it: every other string in the scratch bytes. */
function scanned(batch: Batch): object {
  const parts: Uint8Array[] = [];
  let length = 0;
  const columns = batch.vectors.map((vector, index): ScanColumn => {
    const valid = fields[index]!.nullable
      ? (vector.valid ?? new Uint8Array(batch.rowCount).fill(1))
      : null;
    if (vector.kind !== 'string') return { ...vector, valid };
    const base = length;
    parts.push(vector.bytes);
    length += vector.bytes.length;
    const place = (offset: number, row: number): number =>
      row % 2 === 0 ? base + offset : ~(base + offset);
    const starts = vector.offsets.slice(0, -1).map(place);
    return { kind: 'string', starts, ends: vector.offsets.slice(1).map(place), valid };
  });
  const bytes = new Uint8Array(parts.flatMap((part) => [...part]));
  return { columns, bytes, scratch: bytes.slice() };
}
