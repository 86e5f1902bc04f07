// A join with the latest rows of a broadcast stream in generated code: hash the left keys, probe
// the table of the partition that runs, and go on with its row. The table lies behind a holder,
// since all partitions of a stage share one kernel; it does not change while left rows pass.

import type { RowSchema } from '../../schema/data-type.ts';
import type { StageOperator } from '../../plan/physical-plan.ts';
import { named, scalar, spanArgs } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';
import { bindBatchColumns } from './columns.ts';
import type { BoundColumns } from './columns.ts';
import { hoisted } from './join-code.ts';
import type { KernelContext, Place } from './kernel-context.ts';
import { RowScope } from './kernel-row.ts';
import type { RowColumn } from './kernel-row.ts';
import { keyHash, valueHash } from './key-code.ts';
import { spanEquals } from './span.ts';

export type BroadcastJoin = Extract<StageOperator, { kind: 'broadcast-join' }>;

/** Writes the join; `emit` writes what is done with each joined row. */
export function emitBroadcastJoin(
  context: KernelContext,
  join: BroadcastJoin,
  at: Place,
  emit: (row: RowScope, writer: CodeWriter) => void,
): void {
  const { writer } = at;
  const table = hoisted(context, 'broadcast', `${context.share('holder', context.holder)}.table`);
  const found = writer.fresh('found');
  writer.line(`let ${found} = -1;`);
  probe(context, { join, table, at, found });
  const row = joinedRow(context, { join, table, at, found });
  writer.block(join.how === 'left' ? '' : `if (${found} >= 0)`, () => emit(row, writer));
}

type Probe = {
  readonly join: BroadcastJoin;
  /** Code of the table. */
  readonly table: string;
  readonly at: Place;
  readonly found: string;
};

function probe(context: KernelContext, { join, table, at, found }: Probe): void {
  const { writer } = at;
  const values = join.keys.map(({ left }) => context.expression(left, at));
  const nulls = values.map(({ isNull }) => isNull).filter((code) => code !== null);
  writer.block(nulls.length === 0 ? '' : `if (!(${nulls.join(' || ')}))`, () => {
    const slots = hoisted(context, 'joinSlots', `${table}.groups.slots`);
    const mask = hoisted(context, 'joinMask', `${table}.groups.mask`);
    const hashes = hoisted(context, 'joinHashes', `${table}.groups.hashes`);
    const latest = hoisted(context, 'latest', `${table}.latest`);
    const present = values.map((value): CodeValue => ({ ...value, isNull: null }));
    const parts = present.map((value) => valueHash(context, value));
    const hash = keyHash(context, writer, parts);
    const slot = writer.fresh('slot');
    const group = writer.fresh('group');
    const next = `${slot} = (${slot} + 1) & ${mask}`;
    writer.block(`for (let ${slot} = ${hash} & ${mask}; ; ${next})`, () => {
      writer.line(`const ${group} = ${slots}[${slot}] - 1;`);
      writer.line(`if (${group} < 0) break;`);
      const equal = present.map((value, index) =>
        equalsKey(context, value, { name: `${table}.keyColumns[${index}]`, group }),
      );
      const test = [`${hashes}[${group}] === ${hash}`, ...equal].join(' && ');
      writer.block(`if (${test})`, () => {
        writer.line(`${found} = ${latest}[${group}];`);
        writer.line('break;');
      });
    });
  });
}

function equalsKey(
  context: KernelContext,
  value: CodeValue,
  key: { readonly name: string; readonly group: string },
): string {
  const { name, group } = key;
  if (value.kind === 'span') {
    const offsets = hoisted(context, 'joinOffsets', `${name}.offsets`);
    const bytes = hoisted(context, 'joinBytes', `${name}.bytes`);
    const equals = context.share('spanEquals', spanEquals);
    const held = `${bytes}, ${offsets}[${group}], ${offsets}[${group} + 1]`;
    return `${equals}(${spanArgs(value)}, ${held})`;
  }
  const held = `${hoisted(context, 'joinKeys', `${name}.values`)}[${group}]`;
  const { code } = scalar(value);
  return value.type.kind === 'boolean' ? `(${held} === 1) === ${code}` : `${held} === ${code}`;
}

/** The left row's columns and the broadcast row's; those of no match are null. */
function joinedRow(context: KernelContext, { join, table, at, found }: Probe): RowScope {
  const columns = new Map<string, RowColumn>();
  for (const name of at.row.names) columns.set(name, at.row.passOn(name));
  const loads = boundColumns(context, join.tableSchema, table);
  const isLeft = join.how === 'left';
  for (const { name, column } of join.columns) {
    columns.set(name, {
      dictionary: null,
      load: (_row, writer) => {
        const load = loads.get(column)!;
        if (!isLeft) return load(writer, found);
        // Row 0 stands in where nothing was found; its value is under a null then.
        const row = named(writer, 'tableRow', `${found} < 0 ? 0 : ${found}`);
        const value = load(writer, row);
        const isNull = value.isNull === null ? '' : ` || ${value.isNull}`;
        return { ...value, isNull: named(writer, 'none', `${found} < 0${isNull}`) };
      },
    });
  }
  return new RowScope(columns, at.row);
}

function boundColumns(context: KernelContext, schema: RowSchema, table: string): BoundColumns {
  const vectors = hoisted(context, 'tableVectors', `${table}.vectors`);
  return bindBatchColumns(context.prologue, schema.fields, vectors);
}
