// A join with a static table in generated code: hash the left keys, probe the table's index, and go
// on once for every matching row. Table columns are loads from the table's vectors at that row.

import type { DataType } from '../../schema/data-type.ts';
import type { StageOperator } from '../../plan/physical-plan.ts';
import type { LookupTable } from '../state/lookup-table.ts';
import { hashNumber, sampleHash } from '../shuffle/hash.ts';
import { named, scalar, shared, span, spanArgs } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';
import { bindBatchColumns } from './columns.ts';
import type { KernelContext, Place } from './kernel-context.ts';
import { RowScope } from './kernel-row.ts';
import type { RowColumn } from './kernel-row.ts';
import { keyHash, valueHash } from './key-code.ts';
import { spanEquals, viewEquals, viewOf } from './span.ts';

export type JoinOperator = Extract<StageOperator, { kind: 'join' }>;

/** Writes the join; `emit` writes what is done with each joined row. */
export function emitJoin(
  context: KernelContext,
  join: JoinOperator,
  at: Place,
  emit: (row: RowScope, writer: CodeWriter) => void,
): void {
  const { writer } = at;
  const lookup = context.lookup(
    join.table,
    join.keys.map(({ right }) => right),
  );
  const found = writer.fresh('found');
  writer.line(`let ${found} = -1;`);
  probe(context, { join, lookup, at, found });
  const row = joinedRow(context, { join, lookup, at, found });
  const isLeft = join.how === 'left';
  if (!lookup.hasDuplicates) {
    writer.block(isLeft ? '' : `if (${found} >= 0)`, () => emit(row, writer));
    return;
  }
  const next = hoisted(context, 'joinNext', `${shared(context.root, 'lookup', lookup)}.next`);
  const step = `${found} = ${found} < 0 ? -1 : ${next}[${found}] - 1`;
  if (isLeft) {
    writer.block('do', () => {
      emit(row, writer);
      writer.line(`${step};`);
    });
    writer.line(`while (${found} >= 0);`);
  } else {
    writer.block(`for (; ${found} >= 0; ${step})`, () => emit(row, writer));
  }
}

type Probe = {
  readonly join: JoinOperator;
  readonly lookup: LookupTable;
  readonly at: Place;
  readonly found: string;
};

function probe(context: KernelContext, { join, lookup, at, found }: Probe): void {
  const { writer } = at;
  const values = join.keys.map(({ left }) => context.expression(left, at));
  const nulls = values.map(({ isNull }) => isNull).filter((code) => code !== null);
  writer.block(nulls.length === 0 ? '' : `if (!(${nulls.join(' || ')}))`, () => {
    const name = shared(context.root, 'lookup', lookup);
    const slots = hoisted(context, 'joinSlots', `${name}.slots`);
    const hashes = hoisted(context, 'joinHashes', `${name}.hashes`);
    const present = values.map((value): CodeValue => ({ ...value, isNull: null }));
    const rightTypes = join.keys.map(({ right }) => typeOf(lookup, right));
    const hash = probeHash(context, { lookup, writer, values: present, rightTypes });
    const slot = writer.fresh('slot');
    const candidate = writer.fresh('candidate');
    writer.block(
      `for (let ${slot} = ${hash} & ${lookup.mask}; ; ${slot} = (${slot} + 1) & ${lookup.mask})`,
      () => {
        writer.line(`const ${candidate} = ${slots}[${slot}] - 1;`);
        writer.line(`if (${candidate} < 0) break;`);
        const equal = present.map((value, index) =>
          equalsTableValue(context, value, tableVector(context, lookup, index, candidate)),
        );
        const test = [`${hashes}[${candidate}] === ${hash}`, ...equal].join(' && ');
        writer.block(`if (${test})`, () => {
          writer.line(`${found} = ${candidate};`);
          writer.line('break;');
        });
      },
    );
  });
}

function typeOf(lookup: LookupTable, column: string): DataType {
  return lookup.batch.schema.fields.find(({ name }) => name === column)!.type;
}

function probeHash(
  context: KernelContext,
  key: {
    readonly lookup: LookupTable;
    readonly writer: CodeWriter;
    readonly values: readonly CodeValue[];
    readonly rightTypes: readonly DataType[];
  },
): string {
  const { lookup, writer, values, rightTypes } = key;
  if (lookup.hashing === 'sample') {
    const sample = context.share('sampleHash', sampleHash);
    return named(writer, 'keyHash', `${sample}(${spanArgs(values[0]!)})`);
  }
  const parts = values.map((value, index) => joinHash(context, value, rightTypes[index]!));
  return keyHash(context, writer, parts);
}

/** int64 against another number goes by its value as a number. */
function joinHash(context: KernelContext, value: CodeValue, right: DataType): string {
  const isLeftInt64 = value.type.kind === 'int64';
  if (isLeftInt64 === (right.kind === 'int64')) return valueHash(context, value);
  return `${context.share('hashNumber', hashNumber)}(Number(${scalar(value).code}))`;
}

type TableValue = { readonly name: string; readonly kind: string; readonly row: string };

function tableVector(
  context: KernelContext,
  lookup: LookupTable,
  key: number,
  row: string,
): TableValue {
  const name = `${shared(context.root, 'lookup', lookup)}.keys[${key}]`;
  return { name, kind: lookup.keys[key]!.kind, row };
}

function equalsTableValue(context: KernelContext, value: CodeValue, right: TableValue): string {
  const { name, row } = right;
  if (right.kind === 'string') {
    const offsets = hoisted(context, 'joinOffsets', `${name}.offsets`);
    const bytes = hoisted(context, 'joinBytes', `${name}.bytes`);
    const equals = context.share('spanEquals', spanEquals);
    const ends = `${offsets}[${row}], ${offsets}[${row} + 1]`;
    const bytewise = `${equals}(${spanArgs(value)}, ${bytes}, ${ends})`;
    if (!context.scansInput) return bytewise;
    const viewed = context.share('viewEquals', viewEquals);
    const view = context.share('viewOf', viewOf);
    const { bytes: of, start, end } = span(value);
    const left = `${hoisted(context, 'inputView', `${view}(input)`)}, ${start}, ${end}`;
    const keys = hoisted(context, 'joinView', `${view}(${bytes})`);
    return `(${of} === input ? ${viewed}(${left}, ${keys}, ${ends}) : ${bytewise})`;
  }
  const values = hoisted(context, 'joinKeys', `${name}.values`);
  const { code } = scalar(value);
  if (right.kind === 'boolean') return `(${values}[${row}] === 1) === ${code}`;
  // `==` compares a bigint with a number by value.
  const isMixed = (value.type.kind === 'int64') !== (right.kind === 'int64');
  return `${values}[${row}] ${isMixed ? '==' : '==='} ${code}`;
}

/** The left row's columns and the table's; those of no match are null. */
function joinedRow(context: KernelContext, { join, lookup, at, found }: Probe): RowScope {
  const columns = new Map<string, RowColumn>();
  for (const name of at.row.names) columns.set(name, at.row.passOn(name));
  const { fields } = lookup.batch.schema;
  const isLeft = join.how === 'left';
  for (const { name, column } of join.columns) {
    const index = fields.findIndex((field) => field.name === column);
    const field = fields[index]!;
    const load = tableLoad(context, lookup, index);
    columns.set(name, {
      load: (_row, writer) => {
        if (!isLeft) return load(writer, found);
        // Row 0 stands in where nothing was found; its value is under a null then.
        const row = named(writer, 'tableRow', `${found} < 0 ? 0 : ${found}`);
        const value = load(writer, row);
        const isNull = value.isNull === null ? '' : ` || ${value.isNull}`;
        return { ...value, isNull: named(writer, 'none', `${found} < 0${isNull}`) };
      },
      dictionary: {
        dictionary: lookup.dictionary(index).dictionary,
        id: (_row, writer) => {
          const { ids } = lookup.dictionary(index);
          const array = hoisted(context, 'joinIds', context.share('ids', ids));
          const id = `${array}[${found}]`;
          return named(writer, `id_${field.name}`, isLeft ? `${found} < 0 ? 0 : ${id}` : id);
        },
      },
    });
  }
  return new RowScope(columns, at.row);
}

function tableLoad(context: KernelContext, lookup: LookupTable, index: number) {
  const { fields } = lookup.batch.schema;
  const field = fields[index]!;
  // An empty table has no row 0 to stand in for none: reading beyond the end gives undefined,
  // which only ever is under a null.
  return (writer: CodeWriter, row: string): CodeValue => {
    const column = context.share('tableColumn', lookup.column(index));
    const columns = bindBatchColumns(context.prologue, [field], column);
    return columns.get(field.name)!(writer, row);
  };
}

const hoists = new WeakMap<CodeWriter, Map<string, string>>();

/** A local of the function for `code`, which does not change while it runs. */
export function hoisted(context: KernelContext, hint: string, code: string): string {
  let known = hoists.get(context.prologue);
  if (known === undefined) {
    known = new Map();
    hoists.set(context.prologue, known);
  }
  let name = known.get(code);
  if (name === undefined) {
    name = named(context.prologue, hint, code);
    known.set(code, name);
  }
  return name;
}
