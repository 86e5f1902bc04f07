// Columns in generated code: binding the arrays of a scanner or of a batch to locals, loading the
// values of one row, appending a value to a batch builder. Loads are written once a row, at first
// use: ask for a column in the scope where the row's other code can see it.

import { assert, unreachable } from '../../base/assert.ts';
import type { Field } from '../../schema/data-type.ts';
import { vectorKind } from '../columnar/batch-builder.ts';
import { named, scalar, spanArgs } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';

/** Writes the load of one column at a row, whose index the code names. */
export type ColumnLoad = (writer: CodeWriter, row: string) => CodeValue;

/** The columns of one input, by name. */
export type BoundColumns = ReadonlyMap<string, ColumnLoad>;

export type ScanBinding = {
  readonly fields: readonly Field[];
  /** Code of `Scanner.columns`. */
  readonly columns: string;
  /** Names of locals that hold the scanned bytes and `Scanner.scratch`, read behind the scan. */
  readonly input: string;
  readonly scratch: string;
};

/** Writes locals for a scanner's arrays; they hold for the scanner's life. */
export function bindScanColumns(writer: CodeWriter, binding: ScanBinding): BoundColumns {
  const { input, scratch } = binding;
  return bindFields(binding.fields, (field, index) => {
    const column = `${binding.columns}[${index}]`;
    const valid = field.nullable ? named(writer, hint(field, '_valid'), `${column}.valid`) : null;
    const isNullAt = (at: CodeWriter, row: string): string | null =>
      valid === null ? null : named(at, hint(field, '_none'), `${valid}[${row}] === 0`);
    if (vectorKind(field.type) !== 'string') {
      const values = named(writer, hint(field, '_values'), `${column}.values`);
      return (at, row) => loadScalar(at, { field, values, row, isNull: isNullAt(at, row) });
    }
    const starts = named(writer, hint(field, '_starts'), `${column}.starts`);
    const ends = named(writer, hint(field, '_ends'), `${column}.ends`);
    return (at, row) => {
      const { type } = field;
      const isNull = isNullAt(at, row);
      const first = named(at, hint(field), `${starts}[${row}]`);
      // All ones when the string is unescaped in the scratch bytes: then it negates both ends.
      const flip = named(at, hint(field, '_flip'), `${first} >> 31`);
      const bytes = named(at, hint(field, '_bytes'), `${flip} === 0 ? ${input} : ${scratch}`);
      const start = named(at, hint(field, '_start'), `${first} ^ ${flip}`);
      const end = named(at, hint(field, '_end'), `${ends}[${row}] ^ ${flip}`);
      return { kind: 'span', type, bytes, start, end, isNull };
    };
  });
}

/** Writes locals for the vectors of a batch; `vectors` is code of `Batch.vectors`. */
export function bindBatchColumns(
  writer: CodeWriter,
  fields: readonly Field[],
  vectors: string,
): BoundColumns {
  return bindFields(fields, (field, index) => {
    const vector = `${vectors}[${index}]`;
    const valid = field.nullable ? named(writer, hint(field, '_valid'), `${vector}.valid`) : null;
    const isNullAt = (at: CodeWriter, row: string): string | null => {
      if (valid === null) return null;
      return named(at, hint(field, '_none'), `${valid} !== null && ${valid}[${row}] === 0`);
    };
    if (vectorKind(field.type) !== 'string') {
      const values = named(writer, hint(field, '_values'), `${vector}.values`);
      return (at, row) => loadScalar(at, { field, values, row, isNull: isNullAt(at, row) });
    }
    const offsets = named(writer, hint(field, '_offsets'), `${vector}.offsets`);
    const bytes = named(writer, hint(field, '_bytes'), `${vector}.bytes`);
    return (at, row) => {
      const { type } = field;
      const isNull = isNullAt(at, row);
      const start = named(at, hint(field, '_start'), `${offsets}[${row}]`);
      const end = named(at, hint(field, '_end'), `${offsets}[${row} + 1]`);
      return { kind: 'span', type, bytes, start, end, isNull };
    };
  });
}

function bindFields(
  fields: readonly Field[],
  bind: (field: Field, index: number) => ColumnLoad,
): BoundColumns {
  return new Map(fields.map((field, index) => [field.name, bind(field, index)]));
}

/** The prefix keeps columns called `if` or `Math` from meaning it. */
function hint(field: Field, suffix = ''): string {
  return `c_${field.name}${suffix}`;
}

type ScalarLoad = {
  readonly field: Field;
  readonly values: string;
  readonly row: string;
  readonly isNull: string | null;
};

function loadScalar(writer: CodeWriter, load: ScalarLoad): CodeValue {
  const { type } = load.field;
  const value = `${load.values}[${load.row}]`;
  const code = named(writer, hint(load.field), type.kind === 'boolean' ? `${value} === 1` : value);
  return { kind: 'scalar', type, code, isNull: load.isNull };
}

/** The columns of the row at index `row`, each loaded at first use; for `ExpressionContext`. */
export function rowColumns(
  writer: CodeWriter,
  columns: BoundColumns,
  row: string,
): (name: string) => CodeValue {
  const loaded = new Map<string, CodeValue>();
  return (name) => {
    const known = loaded.get(name);
    if (known !== undefined) return known;
    const load = columns.get(name);
    assert(load !== undefined, `the input has no column ${name}`);
    const value = load(writer, row);
    loaded.set(name, value);
    return value;
  };
}

/** Writes the append of a value to a builder column; `column` is code, best a local. */
export function appendCode(writer: CodeWriter, column: string, value: CodeValue): void {
  const append = `${column}.${appendCall(value)};`;
  if (value.isNull === null) {
    writer.line(append);
    return;
  }
  writer.line(`if (${value.isNull}) ${column}.appendNull();`);
  writer.line(`else ${append}`);
}

function appendCall(value: CodeValue): string {
  const kind = vectorKind(value.type);
  switch (kind) {
    case 'number':
    case 'int32':
      return `appendNumber(${scalar(value).code})`;
    case 'int64':
      return `appendBigint(${scalar(value).code})`;
    case 'boolean':
      return `appendBoolean(${scalar(value).code})`;
    case 'string':
      return `appendSpan(${spanArgs(value)})`;
    default:
      return unreachable(kind);
  }
}
