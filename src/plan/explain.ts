// Plans as trees for people: `explainLogical` from each sink up to its sources, `explainPhysical`
// stage by stage in the direction of the rows. The text is for reading, never for parsing.

import { assert, unreachable } from '../base/assert.ts';
import { printExpr, printValue } from '../expr/print.ts';
import type { Expr, FunctionId } from '../expr/expr.ts';
import { visit } from '../expr/walk.ts';
import type { DataType, RowSchema } from '../schema/data-type.ts';
import { inputsOf, LogicalGraph } from './logical-graph.ts';
import type {
  AggregateCall,
  AggregateFunction,
  AggregateSpec,
  Column,
  FunctionSpec,
  LogicalOperator,
  LogicalPlan,
  OperatorId,
  RowFunction,
  SinkSpec,
  SourceSpec,
  TableSpec,
  WindowSpec,
} from './logical-plan.ts';
import { flatReason, rowsReason } from './physical-aggregate.ts';
import type {
  Exchange,
  PartitionCount,
  Partitioning,
  PhysicalPlan,
  Stage,
  StageOperator,
} from './physical-plan.ts';

export function explainLogical(plan: LogicalPlan): string {
  const graph = new LogicalGraph(plan);
  const shown = new Set<OperatorId>();
  const nodeOf = (id: OperatorId): TreeNode => {
    const operator = graph.get(id);
    const isShared = graph.consumersOf(id).length > 1;
    const label = describeLogical(plan, operator) + (isShared ? ` [${id}]` : '');
    if (shown.has(id)) return { label: `[${id}], see above`, children: [] };
    shown.add(id);
    return { label, children: inputsOf(operator).map(nodeOf) };
  };
  const sinks = plan.operators.filter((operator) => operator.kind === 'sink');
  return [
    `logical plan of "${plan.name}"`,
    ...sinks.flatMap((sink) => printTree(nodeOf(sink.id))),
    ...opaqueLines(plan.functions, plan.operators.flatMap(functionsOf)),
    '',
  ].join('\n');
}

export function explainPhysical(plan: PhysicalPlan): string {
  const used: FunctionId[] = [];
  const nodeOf = (operator: StageOperator): TreeNode => {
    used.push(...functionsOf(operator));
    return { label: describeStageOperator(plan, operator), children: operator.next.map(nodeOf) };
  };
  const stages = plan.stages.map((stage) => [
    ...printTree({ label: describeStage(plan, stage), children: stage.root.map(nodeOf) }),
  ]);
  const count = (length: number, what: string): string =>
    `${length} ${what}${length === 1 ? '' : 's'}`;
  const sizes = [count(stages.length, 'stage'), count(plan.exchanges.length, 'exchange')];
  return [
    `physical plan of "${plan.name}": ${sizes.join(', ')}`,
    ...stages.flat(),
    ...plan.exchanges.flatMap(describeExchange),
    ...opaqueLines(plan.functions, used),
    ...orderLines(plan),
    '',
  ].join('\n');
}

/** Where the order in which blocks come may decide, which it does in `continuous` mode only. */
function orderLines(plan: PhysicalPlan): string[] {
  const line = (id: OperatorId, what: string): string =>
    `in continuous mode the order of arrival may decide ${id}: ${what}`;
  return plan.stages.flatMap(({ root }) => {
    const [operator] = root;
    if (operator?.kind === 'broadcast-join') return [line(operator.id, 'which row is the latest')];
    if (operator?.kind !== 'aggregate') return [];
    const { aggregates, late, emit } = operator.aggregate;
    const calls = aggregates.filter(({ fn }) => orderSensitive.has(fn)).map(({ name }) => name);
    const why = [
      ...calls,
      ...(late === null ? [] : ['which rows are late']),
      ...(emit === 'update' ? ['how often a row is updated'] : []),
    ];
    if (why.length === 0) return [];
    return [line(operator.id, why.join(', '))];
  });
}

const orderSensitive: ReadonlySet<AggregateFunction> = new Set([
  'first',
  'last',
  'top-k',
  'custom',
]);

type TreeNode = { readonly label: string; readonly children: readonly TreeNode[] };

function printTree(root: TreeNode): readonly string[] {
  const lines = [root.label];
  const print = (nodes: readonly TreeNode[], indent: string): void => {
    nodes.forEach((node, index) => {
      const isLast = index === nodes.length - 1;
      lines.push(`${indent}${isLast ? '└─' : '├─'} ${node.label}`);
      print(node.children, `${indent}${isLast ? '  ' : '│ '} `);
    });
  };
  print(root.children, '');
  return lines;
}

type Listed = Pick<LogicalPlan, 'sources' | 'sinks' | 'tables'>;

function describeLogical(plan: Listed, operator: LogicalOperator): string {
  switch (operator.kind) {
    case 'source': {
      const source = find(plan.sources, operator.source);
      const columns = printColumns(operator.schema);
      return `source "${source.name}" (${source.description}): ${columns}${printTime(source)}`;
    }
    case 'union':
      return `union of ${operator.inputs.length}`;
    case 'aggregate':
      return describeAggregate(plan, operator);
    case 'sink':
      return describeSink(find(plan.sinks, operator.sink));
    default:
      return describeRowOperator(plan, operator);
  }
}

/** What a logical and a stage operator have in common. */
type RowOperator =
  | Extract<LogicalOperator, { kind: RowOperatorKind }>
  | Extract<StageOperator, { kind: RowOperatorKind }>;
type RowOperatorKind = 'filter' | 'project' | 'map' | 'flat-map' | 'join' | 'broadcast-join';

function describeRowOperator(plan: Listed, operator: RowOperator): string {
  switch (operator.kind) {
    case 'filter':
      return `filter ${printExpr(operator.predicate)}`;
    case 'project':
      return `project ${operator.columns.map(printColumn).join(', ') || 'no columns'}`;
    case 'map':
    case 'flat-map': {
      const columns = printColumns(operator.schema);
      return `${operator.kind} ${printFunction(operator)}, opaque → ${columns}`;
    }
    case 'join': {
      const table = find(plan.tables, operator.table);
      const what = `"${table.name}" (${table.rowCount} rows)`;
      return describeJoin(what, operator);
    }
    case 'broadcast-join':
      return describeJoin('the latest broadcast row', operator);
    default:
      return unreachable(operator);
  }
}

function describeJoin(
  what: string,
  { how, keys, columns }: Extract<RowOperator, { kind: 'join' | 'broadcast-join' }>,
): string {
  const on = keys.map(({ left, right }) => `${printExpr(left)} = ${right}`);
  const added = columns.map(({ name, column }) =>
    name === column ? name : `${column} as ${name}`,
  );
  const adds = added.join(', ') || 'no columns';
  return `${how} join ${what} on ${on.join(' and ')}, adds ${adds}`;
}

function printFunction(operator: { readonly fn: FunctionId } & Partial<RowFunction>): string {
  return operator.columns === undefined
    ? operator.fn
    : `${operator.fn}(${operator.columns.join(', ')})`;
}

function describeStageOperator(plan: PhysicalPlan, operator: StageOperator): string {
  switch (operator.kind) {
    case 'partial-aggregate': {
      const { aggregate, exchange } = operator;
      return `partial ${describeAggregate(plan, aggregate)} → exchange ${exchange}`;
    }
    case 'aggregate': {
      const { aggregate } = operator;
      return [describeAggregate(plan, aggregate), inputReason(aggregate), treeReason(operator)]
        .filter((part) => part !== null)
        .join('; ');
    }
    case 'merge-partials':
      return `merge partials of ${aggregateOf(operator)} → exchange ${operator.exchange}`;
    case 'to-exchange':
      return `to exchange ${operator.exchange}`;
    case 'to-sink':
      return describeSink(find(plan.sinks, operator.sink));
    default:
      return describeRowOperator(plan, operator);
  }
}

function inputReason(aggregate: AggregateSpec): string {
  const reason = rowsReason(aggregate);
  return reason === null ? 'of partials' : `of rows, since ${reason}`;
}

/** How many partials one task merges, or why nothing is merged on the way to one partition. */
function treeReason(operator: Extract<StageOperator, { kind: 'aggregate' }>): string | null {
  const { aggregate, fanIn } = operator;
  if (aggregate.keys.length > 0) return null;
  if (fanIn !== null) return `at most ${fanIn} at a time, more in a tree`;
  return `all in one place, since ${flatReason(aggregate)}`;
}

/** The operator that a merging stage works for. */
function aggregateOf({ id }: StageOperator): string {
  return id.slice(0, id.lastIndexOf('/'));
}

function describeStage(plan: PhysicalPlan, stage: Stage): string {
  const { input, partitions } = stage;
  const head = `stage ${stage.id}, ${describeCount(partitions)}`;
  if (input.kind === 'exchanges') return `${head}: from exchange ${input.exchanges.join(', ')}`;
  const { scan } = input;
  const source = find(plan.sources, scan.source);
  const fields = scan.fields.map((field) => `${field.name} ${printType(field.type)}`);
  const equals = scan.equals.map(({ column, value }) => `(${column} = ${printValue(value)})`);
  const only = equals.length === 0 ? '' : `, only ${equals.join(' and ')}`;
  const columns = fields.join(', ') || 'no columns';
  const time = printTime(source);
  return `${head}: scan "${source.name}" (${source.description}): ${columns}${only}${time}`;
}

function describeCount(partitions: PartitionCount): string {
  switch (partitions.kind) {
    case 'source':
      return 'as many partitions as the source';
    case 'fixed':
      return `${partitions.count} partition${partitions.count === 1 ? '' : 's'}`;
    case 'largest':
      return 'as many partitions as the largest of its inputs';
    default:
      return unreachable(partitions);
  }
}

function describeExchange(exchange: Exchange): string {
  const { id, from, to, carries, partitioning, schema } = exchange;
  const how = describePartitioning(partitioning);
  return `exchange ${id}, stage ${from} → ${to}: ${carries} ${how}: ${printColumns(schema)}`;
}

function describePartitioning(partitioning: Partitioning): string {
  switch (partitioning.kind) {
    case 'hash':
      return `by ${partitioning.keys.join(', ')}`;
    case 'single':
      return 'to one partition';
    case 'fan-in':
      return partitioning.fanIn === 1
        ? 'from partition to partition'
        : `from ${partitioning.fanIn} partitions to one each`;
    case 'broadcast':
      return 'to all partitions';
    default:
      return unreachable(partitioning);
  }
}

function describeAggregate(plan: Listed, spec: AggregateSpec): string {
  const keys = spec.keys.map(printColumn).join(', ');
  const calls = spec.aggregates.map(printAggregate).join(', ') || 'nothing';
  const time = spec.time === null ? '' : ` of ${printExpr(spec.time)}`;
  const parts = [`aggregate ${calls}${keys === '' ? '' : ` by ${keys}`}`];
  parts.push(`${printWindow(spec.window)}${time}`);
  if (spec.allowedLatenessMs > 0) parts.push(`waits ${printMs(spec.allowedLatenessMs)} more`);
  parts.push(spec.emit === 'close' ? 'emits closed windows' : 'emits every change');
  if (spec.late !== null) parts.push(`late rows to "${find(plan.sinks, spec.late).name}"`);
  return parts.join('; ');
}

function printAggregate(call: AggregateCall): string {
  const args = call.fn === 'custom' ? [String(call.custom)] : call.args.map(printExpr);
  const k = call.k === null ? [] : [String(call.k)];
  return `${call.fn}(${[...args, ...k].join(', ')}) as ${call.name}`;
}

function printWindow(window: WindowSpec): string {
  const offset = (ms: number): string => (ms === 0 ? '' : ` offset ${printMs(ms)}`);
  switch (window.kind) {
    case 'tumbling':
      return `tumbling ${printMs(window.sizeMs)}${offset(window.offsetMs)}`;
    case 'hopping': {
      const sizes = `${printMs(window.sizeMs)} every ${printMs(window.hopMs)}`;
      return `hopping ${sizes}${offset(window.offsetMs)}`;
    }
    case 'session':
      return `session with gap ${printMs(window.gapMs)}`;
    case 'global':
      return 'global window';
    default:
      return unreachable(window);
  }
}

function describeSink(sink: SinkSpec): string {
  const partitions = sink.partitions === 1 ? ', one partition' : '';
  return `sink "${sink.name}" (${sink.description})${partitions}`;
}

function printColumn({ name, expr }: Column): string {
  const text = printExpr(expr);
  return text === name ? name : `${text} as ${name}`;
}

function printColumns(schema: RowSchema): string {
  return schema.fields.map((field) => field.name).join(', ') || 'no columns';
}

function printType(type: DataType): string {
  return type.kind === 'timestamp' ? `timestamp(${type.encoding})` : type.kind;
}

function printTime({ timeColumn, watermark }: SourceSpec): string {
  if (timeColumn === null) return '';
  const idle = watermark.idleMs === null ? '' : `, idle after ${printMs(watermark.idleMs)}`;
  return `; event time ${timeColumn}, watermark ${printMs(watermark.delayMs)} behind${idle}`;
}

/** `10 s`, `1500 ms`, `5 min`. */
function printMs(ms: number): string {
  const unit = units.find(([, size]) => ms >= size && ms % size === 0) ?? ['ms', 1];
  return `${ms / unit[1]} ${unit[0]}`;
}

const units: readonly (readonly [string, number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** The user's functions that an operator calls. */
function functionsOf(operator: LogicalOperator | StageOperator): readonly FunctionId[] {
  switch (operator.kind) {
    case 'filter':
      return lambdasOf([operator.predicate]);
    case 'project':
      return lambdasOf(operator.columns.map((column) => column.expr));
    case 'map':
    case 'flat-map':
      return [operator.fn];
    case 'join':
    case 'broadcast-join':
      return lambdasOf(operator.keys.map((key) => key.left));
    case 'aggregate':
    case 'partial-aggregate':
    case 'merge-partials':
      return aggregateFunctions('aggregate' in operator ? operator.aggregate : operator);
    default:
      return [];
  }
}

function aggregateFunctions(spec: AggregateSpec): readonly FunctionId[] {
  const exprs = [
    ...spec.keys.map((key) => key.expr),
    ...spec.aggregates.flatMap((call) => call.args),
    ...(spec.time === null ? [] : [spec.time]),
  ];
  const custom = spec.aggregates.flatMap((call) => (call.custom === null ? [] : [call.custom]));
  return [...lambdasOf(exprs), ...custom];
}

function lambdasOf(exprs: readonly Expr[]): readonly FunctionId[] {
  const ids: FunctionId[] = [];
  for (const expr of exprs) {
    visit(expr, (node) => {
      if (node.kind === 'lambda') ids.push(node.id);
    });
  }
  return ids;
}

/** The functions that no rule can look into, each with the start of its text. */
function opaqueLines(
  functions: readonly FunctionSpec[],
  used: readonly FunctionId[],
): readonly string[] {
  const listed = functions.filter((fn) => used.includes(fn.id));
  if (listed.length === 0) return [];
  return [
    'opaque to the planner (column expressions in their place would be compiled and pushed down):',
    ...listed.map((fn) => `   ${fn.id}: ${shorten(fn.source)}`),
  ];
}

function shorten(source: string): string {
  const text = source.replace(/\s+/g, ' ').trim();
  return text.length <= 70 ? text : `${text.slice(0, 69)}…`;
}

function find<T extends SourceSpec | SinkSpec | TableSpec>(list: readonly T[], id: T['id']): T {
  const found = list.find((entry) => entry.id === id);
  assert(found !== undefined, `the plan does not list ${id}`);
  return found;
}
