// Grouping, windows and aggregates: what `groupBy`, `window`, `aggregate` and `lateTo` do.

import type { CallSite } from '../base/call-site.ts';
import type { Duration } from '../base/duration.ts';
import { buildCall, literalExpr } from '../expr/call.ts';
import type { Expr } from '../expr/expr.ts';
import type { Column, WindowSpec } from '../plan/logical-plan.ts';
import type { Sink } from '../ports/sink.ts';
import type { DataType } from '../schema/data-type.ts';
import type { Mistake } from '../schema/mistake.ts';
import { mistake, placed } from '../schema/mistake.ts';
import { Aggregate } from './aggregates.ts';
import {
  checkChoice,
  checkNames,
  checkOptionNames,
  checkSink,
  columnsOf,
  derived,
  derivedField,
  evaluate,
  isRecord,
} from './build-node.ts';
import type { NamedAggregate, NodeKind, StreamNode, TimeAttribute } from './node.ts';
import { columnExpression } from './scope.ts';
import type { Window } from './windows.ts';
import { DurationCheck } from './windows.ts';

/** Rows by key, on the way to an aggregate. */
export type Grouping = {
  readonly input: StreamNode;
  readonly keys: readonly Column[];
  readonly window: WindowSpec;
  readonly allowedLatenessMs: number;
  readonly mistakes: readonly Mistake[];
};

export function ungrouped(input: StreamNode): Grouping {
  return { input, keys: [], window: { kind: 'global' }, allowedLatenessMs: 0, mistakes: [] };
}

export function groupBy(
  input: StreamNode,
  selection: readonly unknown[],
  site: CallSite,
): Grouping {
  const { columns, mistakes } = columnsOf(input, selection, 'groupBy');
  const json = columns.filter(({ expr }) => expr.type.kind === 'json');
  const own = json.map(({ name }) => {
    return mistake(`"${name}" is json, which is no key`, 'take a part of it by e.$lambda(…)');
  });
  return { ...ungrouped(input), keys: columns, mistakes: placed([...mistakes, ...own], site) };
}

export function window(
  grouping: Grouping,
  options: { readonly window: Window; readonly allowedLateness?: Duration },
  site: CallSite,
): Grouping {
  const check = new DurationCheck();
  const allowedLatenessMs = check.whole('the allowed lateness', options.allowedLateness ?? 0);
  const mistakes = [
    ...grouping.mistakes,
    ...options.window.mistakes,
    ...check.mistakes,
    ...checkOptionNames(options, ['window', 'allowedLateness']),
  ];
  const { time } = grouping.input;
  if (time.column === null && !grouping.input.uncertain) {
    mistakes.push(mistake('a window needs event time', time.hint));
  }
  const { spec } = options.window;
  return { ...grouping, window: spec, allowedLatenessMs, mistakes: placed(mistakes, site) };
}

export function aggregate(
  grouping: Grouping,
  options: {
    readonly define: unknown;
    readonly emit?: 'close' | 'update';
    readonly fanIn?: number;
  },
  site: CallSite,
): StreamNode {
  const { input, keys, window: spec, allowedLatenessMs } = grouping;
  const { value, mistakes } = evaluate(input, options.define);
  const own: Mistake[] = [
    ...mistakes,
    ...checkOptionNames(options, ['define', 'emit', 'fanIn']),
    ...checkChoice('emit', options.emit, ['close', 'update']),
    ...checkFanIn(options.fanIn, keys),
  ];
  const fields = keys.map(({ name, expr }) => derivedField(name, expr.type, expr.nullable));
  const windowed = spec.kind !== 'global';
  if (windowed) {
    const type = windowTimeType(input);
    fields.push(derivedField('windowStart', type, false), derivedField('windowEnd', type, false));
  }
  const aggregates: NamedAggregate[] = [];
  const described = isRecord(value) ? Object.entries(value) : [];
  if (described.length === 0 && own.length === 0) {
    own.push(mistake('no aggregates', 'as in aggregate((e) => ({ total: sum(e.price) }))'));
  }
  for (const [name, one] of described) {
    if (!(one instanceof Aggregate)) {
      own.push(mistake(`"${name}" is no aggregate`, 'use count(), sum(…) and the like'));
      continue;
    }
    own.push(...one.mistakes);
    const { fn, k, custom, type, nullable } = one.spec;
    const args = one.spec.args.map((arg) => arg.expr);
    aggregates.push({ call: { name, fn, args, k, custom: null, type, nullable }, custom });
    fields.push(derivedField(name, type, nullable));
  }
  if (spec.kind === 'session' && options.emit === 'update') {
    const hint = 'a session that grows would leave rows with its old bounds behind: let it close';
    own.push(mistake('sessions emit no updates', hint));
  }
  const columns = [...keys.map(({ name }) => name), ...described.map(([name]) => name)];
  own.push(...checkNames(windowed ? ['windowStart', 'windowEnd', ...columns] : columns));
  const kind: NodeKind = {
    kind: 'aggregate',
    input,
    keys,
    window: spec,
    aggregates,
    timeExpr: windowed || goesByTime(aggregates) ? timeExpr(input) : null,
    allowedLatenessMs,
    late: null,
    emit: options.emit ?? 'close',
    fanIn: options.fanIn ?? null,
  };
  const time: TimeAttribute = windowed
    ? { column: 'windowEnd', minusMs: 1 }
    : { column: null, hint: `the aggregate at ${site} has no window, so its rows have no time` };
  const all = [...grouping.mistakes, ...(input.uncertain ? [] : own)];
  return derived(input, kind, { site, mistakes: all, fields, time });
}

/** More than `partitionsMax` of the control plane never meet. */
const fanInMax = 65_536;

function checkFanIn(fanIn: number | undefined, keys: readonly Column[]): readonly Mistake[] {
  if (fanIn === undefined) return [];
  if (keys.length > 0) {
    const hint = 'groups with keys are spread over partitions already: leave it out';
    return [mistake('a fan-in is for aggregates without keys', hint)];
  }
  if (Number.isInteger(fanIn) && fanIn >= 2 && fanIn <= fanInMax) return [];
  return [
    mistake(`cannot merge ${String(fanIn)} at a time`, `give a whole number from 2 to ${fanInMax}`),
  ];
}

/** Window bounds are written as the event time was; `auto` has no way of writing. */
function windowTimeType(input: StreamNode): DataType {
  const field = input.fields.find((one) => one.name === input.time.column);
  const encoding = field?.type.kind === 'timestamp' ? field.type.encoding : 'auto';
  return { kind: 'timestamp', encoding: encoding === 'auto' ? 'iso' : encoding };
}

/** Without a window, time only tells which value came first. */
function goesByTime(aggregates: readonly NamedAggregate[]): boolean {
  return aggregates.some(({ call }) => call.fn === 'first' || call.fn === 'last');
}

function timeExpr(input: StreamNode): Expr | null {
  const { time } = input;
  const field = input.fields.find((one) => one.name === time.column);
  if (time.column === null || field === undefined) return null;
  const { expr } = columnExpression(field);
  if (time.minusMs === 0) return expr;
  return buildCall('sub', [expr, literalExpr(time.minusMs, null)]).expr;
}

export function lateTo(node: StreamNode, sink: Sink, site: CallSite): StreamNode {
  const hint = 'as in window(…).aggregate(…).lateTo(sink)';
  if (node.kind !== 'aggregate' || node.window.kind === 'global') {
    const wrong = mistake('only a windowed aggregate has late rows', hint);
    return { ...node, mistakes: [...node.mistakes, ...placed([wrong], site)] };
  }
  const twice = node.late === null ? [] : [mistake('late rows already go to a sink')];
  twice.push(...checkSink(sink));
  return { ...node, late: sink, mistakes: [...node.mistakes, ...placed(twice, site)] };
}
