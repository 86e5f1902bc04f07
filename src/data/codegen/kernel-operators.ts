// The operators of a stage as nested blocks of generated code, from a row down to where it ends:
// a sink's builder, an exchange's builders, a table of partials.

import { assert, unreachable } from '../../base/assert.ts';
import { StreamError } from '../../base/stream-error.ts';
import { mayFail } from '../../expr/walk.ts';
import type { StageOperator } from '../../plan/physical-plan.ts';
import type { BatchBuilder } from '../columnar/batch-builder.ts';
import { accumulatorsOf } from '../state/keyed-table.ts';
import { PartialTable } from '../state/partial-table.ts';
import { partitionOf } from '../shuffle/hash.ts';
import { emitAggregate, keyDictionaries } from './aggregate-code.ts';
import { emitBroadcastJoin } from './broadcast-code.ts';
import { fromRowValue, named, passes } from './code-values.ts';
import type { CodeValue, CodeWriter } from './code.ts';
import { appendCode } from './columns.ts';
import { emitJoin, hoisted } from './join-code.ts';
import type { KernelContext } from './kernel-context.ts';
import { RowScope } from './kernel-row.ts';
import type { RowColumn } from './kernel-row.ts';
import { keyHash, plainKey, valueHash } from './key-code.ts';
import { rowLiteral } from './row-literal.ts';

/** Writes what all `operators` do with a row. */
export function emitOperators(
  context: KernelContext,
  operators: readonly StageOperator[],
  at: { readonly row: RowScope; readonly writer: CodeWriter },
): void {
  const { row, writer } = at;
  if (operators.length === 1) {
    emitOperator(context, operators[0]!, row, writer);
    return;
  }
  for (const operator of operators) {
    writer.block('', () => emitOperator(context, operator, row.fork(), writer));
  }
}

function emitOperator(
  context: KernelContext,
  operator: StageOperator,
  row: RowScope,
  writer: CodeWriter,
): void {
  const at = { row, writer, operator: operator.id };
  const next = (made: RowScope, inside: CodeWriter): void =>
    emitOperators(context, operator.next, { row: made, writer: inside });
  switch (operator.kind) {
    case 'filter': {
      const predicate = context.expression(operator.predicate, at);
      return writer.block(`if (${passes(predicate)})`, () => next(row, writer));
    }
    case 'project':
      return next(projectedRow(context, operator, at), writer);
    case 'join':
      return emitJoin(context, operator, at, next);
    case 'broadcast-join':
      return emitBroadcastJoin(context, operator, at, next);
    case 'map':
    case 'flat-map':
      return emitMap(context, operator, at, next);
    case 'partial-aggregate': {
      const { aggregate, exchange } = operator;
      const table = new PartialTable({
        aggregate,
        dictionaries: keyDictionaries(aggregate, at),
        accumulators: accumulatorsOf(aggregate, context.functionsOf(operator.id)),
      });
      assert(!context.partialExchanges.has(exchange), 'an exchange has one producer');
      context.partialExchanges.set(exchange, table);
      const late = (): void => countLate(context, writer);
      return emitAggregate(context, { aggregate, table, late, watermark: 'bound' }, at);
    }
    case 'to-exchange':
      return emitToExchange(context, operator, at);
    case 'to-sink':
      return emitAppend(context, context.sinkBuilder(operator.sink, operator.schema), at);
    case 'aggregate':
    case 'merge-partials':
      throw new Error(`a stage starts at ${operator.kind}`);
    default:
      return unreachable(operator);
  }
}

type Kind<K extends StageOperator['kind']> = Extract<StageOperator, { kind: K }>;
type At = Parameters<typeof emitAggregate>[2];

function projectedRow(context: KernelContext, project: Kind<'project'>, at: At): RowScope {
  const columns = new Map<string, RowColumn>();
  for (const { name, expr } of project.columns) {
    if (expr.kind === 'column') {
      columns.set(name, at.row.passOn(expr.name));
      continue;
    }
    const operator = at.operator;
    const load = (row: RowScope, writer: CodeWriter): CodeValue =>
      context.expression(expr, { row, writer, operator });
    columns.set(name, { load, dictionary: null });
  }
  const made = new RowScope(columns, at.row);
  // What may fail, or draws random numbers, runs for every row and exactly once.
  for (const { name, expr } of project.columns) if (mayFail(expr)) made.value(name, at.writer);
  return made;
}

function emitMap(
  context: KernelContext,
  operator: Kind<'map' | 'flat-map'>,
  at: At,
  next: (row: RowScope, writer: CodeWriter) => void,
): void {
  const { row, writer } = at;
  context.usesCalls = true;
  const user = context.functionsOf(operator.id).get(operator.fn);
  assert(user?.kind === operator.kind, `the function ${operator.fn} is bound`);
  const columns = operator.columns ?? row.names;
  for (const name of columns) row.value(name, writer);
  const input = rowLiteral(writer, columns, (name) => row.value(name, writer));
  const fn = hoisted(context, 'fn', context.root.constant('fn', user.fn));
  const result = named(
    writer,
    'result',
    `${fn}(${input}, ${context.operatorContext(operator.id)})`,
  );
  if (operator.kind === 'map')
    return next(objectRow(context, operator, { writer, result }), writer);
  const made = writer.fresh('made');
  writer.block(`for (const ${made} of ${result})`, () =>
    next(objectRow(context, operator, { writer, result: made }), writer),
  );
}

/** The row that a user's function gave, its values checked against the declared columns. */
function objectRow(
  context: KernelContext,
  operator: Kind<'map' | 'flat-map'>,
  given: { readonly writer: CodeWriter; readonly result: string },
): RowScope {
  const { writer, result } = given;
  const refuse = context.root.constant('refuseRow', (what: string) => refuseRow(operator, what));
  writer.line(`if (typeof ${result} !== 'object' || ${result} === null) ${refuse}('no row');`);
  const columns = new Map<string, RowColumn>();
  const values = new Map<string, CodeValue>();
  for (const { name, type, nullable } of operator.schema.fields) {
    const what = `column "${name}" of ${operator.id}`;
    const code = `${result}[${JSON.stringify(name)}]`;
    const value = fromRowValue(writer, { type, code, what });
    if (!nullable) {
      writer.line(`if (${value.isNull}) ${refuse}(${JSON.stringify(`null for "${name}"`)});`);
    }
    values.set(name, nullable ? value : { ...value, isNull: null });
    columns.set(name, { load: () => values.get(name)!, dictionary: null });
  }
  return new RowScope(columns, null, values);
}

function refuseRow(operator: Kind<'map' | 'flat-map'>, what: string): never {
  throw new StreamError({
    code: 'lambda-type',
    message: `the function of ${operator.id} gave ${what}`,
    hint: 'return a row with every declared column',
  });
}

function emitToExchange(context: KernelContext, operator: Kind<'to-exchange'>, at: At): void {
  const { row, writer } = at;
  const exchange = context.exchange(operator.exchange);
  const builders = context.exchangeBuilders(exchange);
  const { partitioning } = exchange;
  if (builders.length === 1 || partitioning.kind !== 'hash') {
    return emitAppend(context, builders[0]!, at);
  }
  const parts = partitioning.keys.map((name) =>
    valueHash(context, plainKey(writer, row.value(name, writer))),
  );
  const hash = keyHash(context, writer, parts);
  const of = context.share('partitionOf', partitionOf);
  const list = hoisted(context, 'builders', context.share('exchange', builders));
  const builder = named(writer, 'builder', `${list}[${of}(${hash}, ${builders.length})]`);
  const columns = named(writer, 'columns', `${builder}.columns`);
  exchange.schema.fields.forEach(({ name }, index) => {
    const column = named(writer, 'column', `${columns}[${index}]`);
    appendCode(writer, column, row.value(name, writer));
  });
  writer.line(`${builder}.endRow();`);
}

export function countLate(context: KernelContext, writer: CodeWriter): void {
  writer.line(`${context.share('calls', context.calls)}.lateRows += 1;`);
}

/** Appends the row to a builder; columns go by name. */
export function emitAppend(context: KernelContext, builder: BatchBuilder, at: At): void {
  const { row, writer } = at;
  const name = context.share('builder', builder);
  builder.schema.fields.forEach((field, index) => {
    const column = hoisted(context, 'column', `${name}.columns[${index}]`);
    appendCode(writer, column, row.value(field.name, writer));
  });
  writer.line(`${name}.endRow();`);
}
