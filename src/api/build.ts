// What the fluent methods do: one function an operator, from input node and arguments to the next
// node, with every mistake that can be seen at this point. Untyped: the static types are those of
// `stream.ts`, and whoever casts around them is caught here.

import type { CallSite } from '../base/call-site.ts';
import type { Duration } from '../base/duration.ts';
import { commonType, literalExpr } from '../expr/call.ts';
import type { Expr } from '../expr/expr.ts';
import { columnsReadBy } from '../expr/lambda-columns.ts';
import { Expression } from '../expr/expression.ts';
import type { Column } from '../plan/logical-plan.ts';
import type { Sink } from '../ports/sink.ts';
import type { Source } from '../ports/source.ts';
import type { TypedSource } from '../ports/typed.ts';
import { boolean as booleanType } from '../schema/column-type.ts';
import type { Field } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake, placed } from '../schema/mistake.ts';
import { Schema, flatSchema } from '../schema/schema.ts';
import {
  checkChoice,
  checkFunction,
  checkName,
  checkOptionNames,
  checkSink,
  columnsOf,
  derived,
  derivedField,
  evaluate,
  unknownName,
} from './build-node.ts';
import type { NodeKind, StreamNode, TimeAttribute } from './node.ts';
import type { RowFunction } from './node.ts';
import { columnExpression, lambdaExpression, unknownColumn } from './scope.ts';
import { Table } from './table.ts';
import { DurationCheck } from './windows.ts';

export type FromArguments = {
  readonly source: TypedSource;
  readonly time?: string;
  readonly watermark?: {
    readonly delay?: Duration;
    readonly idle?: Duration;
    readonly ahead?: Duration;
  };
  readonly onError?: 'fail' | 'skip' | { readonly deadLetter: Sink };
  readonly name?: string;
};

/** Event times further ahead of the clock than this are bad records, unless the user says more. */
const defaultAhead: Duration = '1d';

export function from(options: FromArguments, site: CallSite): StreamNode {
  const { source, schema } = isSource(options.source) ? options.source : noSource;
  const { delay = 0, idle, ahead = defaultAhead } = options.watermark ?? {};
  const onError = options.onError ?? 'fail';
  const check = new DurationCheck();
  const watermark = {
    delayMs: check.whole('the watermark delay', delay),
    idleMs: idle === undefined ? null : check.positive('the idle time', idle),
    aheadMsMax: check.whole('the time that events may be ahead', ahead),
  };
  const timed = timeOfSource(schema.fields, options.time);
  const stated = [
    ...checkOptionNames(options, ['source', 'time', 'watermark', 'onError', 'name']),
    ...checkOptionNames(options.watermark ?? {}, ['delay', 'idle', 'ahead']),
    ...(typeof onError === 'object'
      ? [...checkOptionNames(onError, ['deadLetter']), ...checkSink(onError.deadLetter)]
      : checkChoice('onError', onError, ['fail', 'skip'])),
  ];
  const mistakes =
    schema === noSource.schema
      ? [mistake('this is no source', 'give what a connector makes, as files({ path, schema })')]
      : [...schema.mistakes, ...check.mistakes, ...timed.mistakes, ...nestedInCsv(source, schema)];
  return {
    kind: 'source',
    source,
    watermark,
    onError: typeof onError === 'object' ? 'dead-letter' : onError,
    deadLetter: typeof onError === 'object' ? onError.deadLetter : null,
    name: options.name ?? null,
    site,
    fields: schema.fields,
    time: timed.time,
    uncertain: mistakes.length > 0,
    mistakes: placed([...mistakes, ...stated, ...checkName(options.name)], site),
  };
}

/** Stands for what was no source; a plan with it is never made. */
const noSource: TypedSource = { source: {} as Source, schema: new Schema([], []) };

function isSource(value: unknown): boolean {
  const parts = typeof value === 'object' && value !== null ? value : {};
  return 'schema' in parts && 'source' in parts;
}

function nestedInCsv(source: Source, { fields }: Schema): readonly Mistake[] {
  if (source.format.kind !== 'csv') return [];
  const hint = "CSV is flat: name the column of the header, as in string().from('user.id')";
  return fields
    .filter(({ path }) => path.length > 1)
    .map(({ name }) => mistake(`a CSV source has no nested column "${name}"`, hint));
}

type Timed = { readonly time: TimeAttribute; readonly mistakes: readonly Mistake[] };

function timeOfSource(fields: readonly Field[], name: string | undefined): Timed {
  const hint = "name the event-time column: from(source, { time: '…' })";
  const none: TimeAttribute = { column: null, hint };
  if (name === undefined) return { time: none, mistakes: [] };
  const field = fields.find((one) => one.name === name);
  if (field === undefined) return { time: none, mistakes: [unknownName(name, fields)] };
  const mistakes: Mistake[] = [];
  if (field.type.kind !== 'timestamp') {
    const message = `the time column "${name}" is ${field.type.kind}, not timestamp`;
    mistakes.push(mistake(message, "declare it as timestamp('ms'), timestamp('iso') or the like"));
  }
  if (field.nullable) {
    const message = `the time column "${name}" may be null`;
    mistakes.push(mistake(message, 'records without a time have no window: make it not nullable'));
  }
  return { time: { column: name, minusMs: 0 }, mistakes };
}

export function filter(input: StreamNode, predicate: unknown, site: CallSite): StreamNode {
  const { value, mistakes } = evaluate(input, predicate);
  const own: Mistake[] = [...mistakes];
  if (input.uncertain)
    return derived(input, { kind: 'filter', input, predicate: always }, { site, mistakes: [] });
  let expr = always;
  if (value instanceof Expression) {
    own.push(...value.mistakes);
    expr = value.expr;
    if (own.length === 0 && expr.type.kind !== 'boolean') {
      own.push(mistake(`the predicate is ${expr.type.kind}, not boolean`, 'compare it: .eq(…)'));
    }
  } else if (own.length === 0) {
    const hint = 'return an expression, as in filter((e) => e.price.gt(100))';
    own.push(mistake('the callback gives no expression', hint));
  }
  return derived(input, { kind: 'filter', input, predicate: expr }, { site, mistakes: own });
}

const always: Expr = literalExpr(true, null);

export function filterRow(input: StreamNode, predicate: unknown, site: CallSite): StreamNode {
  const names = input.fields.map((field) => field.name);
  const mistakes = checkFunction(predicate);
  const fn = predicate as Parameters<typeof lambdaExpression>[0]['fn'];
  const columns = mistakes.length > 0 ? names : columnsReadBy(fn, 0, names);
  const { expr } = lambdaExpression({ type: booleanType(), columns, fn });
  return derived(input, { kind: 'filter', input, predicate: expr }, { site, mistakes });
}

export function select(
  input: StreamNode,
  selection: readonly unknown[],
  site: CallSite,
): StreamNode {
  const { columns, mistakes } = columnsOf(input, selection, 'select');
  return project(input, columns, { site, mistakes });
}

function project(
  input: StreamNode,
  columns: readonly Column[],
  made: { readonly site: CallSite; readonly mistakes: readonly Mistake[] },
): StreamNode {
  const fields = columns.map(({ name, expr }) => derivedField(name, expr.type, expr.nullable));
  const time = timeAfterProject(input.time, columns, made.site);
  return derived(input, { kind: 'project', input, columns }, { ...made, fields, time });
}

/** The time column goes on where some column is just it, renamed or not. */
function timeAfterProject(
  time: TimeAttribute,
  columns: readonly Column[],
  site: CallSite,
): TimeAttribute {
  if (time.column === null) return time;
  const same = columns.filter(({ expr }) => expr.kind === 'column' && expr.name === time.column);
  const kept = same.find(({ name }) => name === time.column) ?? same[0];
  if (kept !== undefined) return { column: kept.name, minusMs: time.minusMs };
  return { column: null, hint: `the select at ${site} leaves out "${time.column}": keep it there` };
}

export function map(
  input: StreamNode,
  options: {
    readonly kind: 'map' | 'flat-map';
    readonly rowSchema: Schema;
    readonly fn: (...args: never[]) => unknown;
  },
  site: CallSite,
): StreamNode {
  const { kind, rowSchema } = options;
  const fn = { kind, fn: options.fn } as unknown as RowFunction;
  const mistakes = [...rowSchema.mistakes, ...checkFunction(options.fn)];
  const { fields } = flatSchema(rowSchema);
  const kept = fields.some(
    ({ name, type, nullable }) =>
      name === input.time.column && type.kind === 'timestamp' && !nullable,
  );
  const lost = `the ${kind} at ${site} gives no timestamp column "${input.time.column}"`;
  const time: TimeAttribute =
    kept || input.time.column === null ? input.time : { column: null, hint: lost };
  return derived(input, { kind, input, fn }, { site, mistakes, fields, time });
}

export function union(
  first: StreamNode,
  others: readonly StreamNode[],
  site: CallSite,
): StreamNode {
  const mistakes: Mistake[] = [];
  if (others.length === 0) mistakes.push(mistake('union of one stream', 'give it another stream'));
  const all = [first, ...others];
  const fields = first.fields.map((field) => {
    const { name, type } = field;
    const nullable = all.some((node) => node.fields.find((one) => one.name === name)?.nullable);
    return derivedField(name, type, nullable);
  });
  const uncertain = all.some((node) => node.uncertain);
  for (const other of uncertain ? [] : others) {
    mistakes.push(...differences(first.fields, other.fields));
  }
  const order = first.fields.map((field) => field.name);
  const inputs =
    uncertain || mistakes.length > 0 ? all : all.map((node) => inOrder(node, order, site));
  const time = commonTime(all, site);
  const node = derived(first, { kind: 'union', inputs }, { site, mistakes, fields, time });
  return { ...node, uncertain: node.uncertain || uncertain };
}

/** The stream with its columns in that order. */
function inOrder(node: StreamNode, order: readonly string[], site: CallSite): StreamNode {
  if (node.fields.every((field, index) => field.name === order[index])) return node;
  const { columns, mistakes } = columnsOf(node, order, 'union');
  return project(node, columns, { site, mistakes });
}

function differences(left: readonly Field[], right: readonly Field[]): readonly Mistake[] {
  const hint = 'all streams of a union have the same columns: use select to make them so';
  const mistakes: Mistake[] = [];
  for (const { name, type } of left) {
    const other = right.find((field) => field.name === name);
    if (other === undefined) {
      mistakes.push(mistake(`one stream has no column "${name}"`, hint));
    } else if (other.type.kind !== type.kind) {
      const kinds = `${type.kind} in one stream and ${other.type.kind} in another`;
      mistakes.push(mistake(`column "${name}" is ${kinds}`, hint));
    }
  }
  const more = right.filter(({ name }) => !left.some((field) => field.name === name));
  return [
    ...mistakes,
    ...more.map(({ name }) => mistake(`one stream has no column "${name}"`, hint)),
  ];
}

function commonTime(nodes: readonly StreamNode[], site: CallSite): TimeAttribute {
  const [first, ...others] = nodes.map((node) => node.time);
  const untimed = nodes.map((node) => node.time).find((time) => time.column === null);
  if (first === undefined || untimed !== undefined) {
    return untimed ?? { column: null, hint: 'no stream has event time' };
  }
  const same = others.every(
    (time) =>
      time.column !== null &&
      first.column !== null &&
      time.column === first.column &&
      time.minusMs === first.minusMs,
  );
  if (same) return first;
  return { column: null, hint: `the streams of the union at ${site} differ in their time column` };
}

/** What a join finds its matches in: the rows of a table, or the latest of a stream. */
export type JoinSide =
  | { readonly kind: 'table'; readonly table: Table }
  | { readonly kind: 'broadcast'; readonly node: StreamNode };

export function join(
  input: StreamNode,
  options: {
    readonly right: JoinSide;
    readonly on: { readonly [left: string]: string | undefined };
    readonly how?: 'inner' | 'left';
    readonly columns?: readonly string[] | { readonly [name: string]: string };
  },
  site: CallSite,
): StreamNode {
  const { how = 'inner' } = options;
  const right = knownSide(options.right);
  const mistakes: Mistake[] = [
    ...right.mistakes,
    ...checkOptionNames(options, ['right', 'on', 'how', 'columns']),
    ...checkChoice('how', how, ['inner', 'left']),
  ];
  const keys: { left: Expr; right: string }[] = [];
  const pairs = Object.entries(options.on);
  if (pairs.length === 0)
    mistakes.push(mistake('join on nothing', "on: { column: 'tableColumn' }"));
  for (const [leftName, rightName = ''] of pairs) {
    const left = input.fields.find((field) => field.name === leftName);
    const field = right.fields.find((one) => one.name === rightName);
    if (left === undefined && !input.uncertain) mistakes.push(unknownName(leftName, input.fields));
    if (field === undefined) mistakes.push(...notThere(right, rightName));
    if (left === undefined || field === undefined) continue;
    if (commonType(left.type, field.type) === null || left.type.kind === 'json') {
      const kinds = `"${leftName}" is ${left.type.kind}, "${rightName}" is ${field.type.kind}`;
      mistakes.push(mistake(`cannot join ${kinds}`, 'convert the left one by a select before'));
    }
    keys.push({ left: columnExpression(left).expr, right: rightName });
  }
  const added = joinedColumns(right, options.columns ?? null, pairs);
  const fields = [...input.fields];
  for (const { name, column } of added) {
    const field = right.fields.find((one) => one.name === column);
    if (field === undefined) mistakes.push(...notThere(right, column));
    if (fields.some((one) => one.name === name)) {
      const hint = `rename it: columns: { ${right.prefix}_${name}: '${column}' }`;
      mistakes.push(mistake(`the stream already has a column "${name}"`, hint));
    }
    if (field) fields.push(derivedField(name, field.type, field.nullable || how === 'left'));
  }
  const parts = { input, how, keys, columns: added };
  const kind: NodeKind =
    options.right.kind === 'table'
      ? { kind: 'join', table: options.right.table, ...parts }
      : { kind: 'broadcast-join', right: options.right.node, ...parts };
  const node = derived(input, kind, { site, mistakes, fields });
  return { ...node, uncertain: node.uncertain || right.uncertain };
}

/** What is known of a join's right side. */
type KnownSide = {
  readonly called: string;
  readonly prefix: string;
  readonly fields: readonly Field[];
  readonly mistakes: readonly Mistake[];
  readonly uncertain: boolean;
};

/** Whoever gives a stream as it is has forgotten to broadcast it. */
const noSide: KnownSide = {
  called: 'this',
  prefix: 'table',
  fields: [],
  mistakes: [mistake('this is no table', 'give table(…), or a stream as stream.broadcast()')],
  uncertain: true,
};

function knownSide(side: JoinSide): KnownSide {
  if (side.kind === 'table') {
    if (!(side.table instanceof Table)) return noSide;
    const { name, schema, mistakes } = side.table;
    const { fields } = schema;
    return { called: `table "${name}"`, prefix: 'table', fields, mistakes, uncertain: false };
  }
  // The mistakes of a stream are reported at its own nodes.
  const { fields, uncertain } = side.node;
  const called = 'the broadcast stream';
  return { called, prefix: 'latest', fields, mistakes: [], uncertain };
}

function joinedColumns(
  right: KnownSide,
  columns: readonly string[] | { readonly [name: string]: string } | null,
  pairs: readonly (readonly [string, string | undefined])[],
): readonly { readonly name: string; readonly column: string }[] {
  const keys = pairs.map(([, rightName]) => rightName);
  const names = right.fields.map((field) => field.name);
  const chosen = columns ?? names.filter((name) => !keys.includes(name));
  if (Array.isArray(chosen)) return chosen.map((name: string) => ({ name, column: name }));
  return Object.entries(chosen).map(([name, column]) => ({ name, column: column as string }));
}

function notThere({ called, fields, uncertain }: KnownSide, name: string): readonly Mistake[] {
  if (uncertain) return [];
  const { hint } = unknownColumn(
    name,
    fields.map((field) => field.name),
  );
  return [mistake(`${called} has no column "${name}"`, hint)];
}

export function named(node: StreamNode, name: string, site: CallSite): StreamNode {
  return { ...node, name, mistakes: [...node.mistakes, ...placed(checkName(name), site)] };
}

export function to(
  input: StreamNode,
  options: { readonly sink: Sink; readonly name?: string },
  site: CallSite,
): StreamNode {
  const { sink, name = null } = options;
  const mistakes = [...checkSink(sink), ...checkName(options.name)];
  return { ...derived(input, { kind: 'sink', input, sink }, { site, mistakes }), name };
}
