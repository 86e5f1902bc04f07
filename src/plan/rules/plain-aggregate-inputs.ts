// Makes keys, time and arguments of every aggregate plain columns, by a project in front of it
// where they are computed. Computed columns are called `$key0`, `$time`, `$arg1_0`; equal ones are
// computed once. A custom aggregate gets the columns of its rows as arguments, without the
// planner's own.

import { canonicalJson } from '../../base/canonical-json.ts';
import { assert } from '../../base/assert.ts';
import type { Expr } from '../../expr/expr.ts';
import { columnsOf, hasLambda } from '../../expr/walk.ts';
import type { Field } from '../../schema/data-type.ts';
import type { LogicalRule } from '../logical-graph.ts';
import { editPlan, LogicalGraph } from '../logical-graph.ts';
import type { AggregateCall, Column, LogicalOperator, LogicalPlan } from '../logical-plan.ts';
import { shipsRows } from '../physical-aggregate.ts';

export const plainAggregateInputs: LogicalRule = (plan) => {
  let result = plan;
  for (const operator of plan.operators) {
    if (operator.kind === 'aggregate') result = withPlainInputs(result, operator);
  }
  return result;
};

type Aggregate = Extract<LogicalOperator, { kind: 'aggregate' }>;

function withPlainInputs(plan: LogicalPlan, aggregate: Aggregate): LogicalPlan {
  const graph = new LogicalGraph(plan);
  const input = graph.get(aggregate.input);
  const computed = new ComputedColumns();
  const changed: Aggregate = {
    ...aggregate,
    keys: aggregate.keys.map(({ name, expr }, index) => ({
      name,
      expr: computed.columnFor(expr, `$key${index}`),
    })),
    time: aggregate.time === null ? null : computed.columnFor(aggregate.time, '$time'),
    aggregates: aggregate.aggregates.map((call, index) => ({
      ...call,
      args: argumentsOf(call, input.schema.fields).map((arg, part) =>
        computed.columnFor(arg, `$arg${index}_${part}`),
      ),
    })),
  };
  if (computed.columns.length === 0) return editPlan(plan, { put: [changed] });
  const reads = readsOf(changed);
  const passed = input.schema.fields.filter(
    (field) => shipsRows(aggregate) || reads.has(field.name),
  );
  const columns = [...passed.map(columnOf), ...computed.columns];
  const id = graph.freshId(`${aggregate.id}/inputs`);
  const project: LogicalOperator = {
    id,
    kind: 'project',
    input: input.id,
    columns,
    schema: { fields: columns.map(fieldOf) },
    timeColumn: passed.some((field) => field.name === input.timeColumn) ? input.timeColumn : null,
  };
  return editPlan(plan, { put: [project, { ...changed, input: id }] });
}

/** Collects what must be computed before the aggregate. */
class ComputedColumns {
  readonly columns: Column[] = [];
  readonly #known = new Map<string, Expr>();

  /** The column that holds the expression; it is added as `name` if there is none yet. */
  columnFor(expr: Expr, name: string): Expr {
    if (expr.kind === 'column') {
      assert(!expr.name.startsWith('$'), `the column name ${expr.name} is reserved`);
      return expr;
    }
    const text = canonicalJson(expr);
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const column: Expr = { kind: 'column', name, type: expr.type, nullable: expr.nullable };
    this.columns.push({ name, expr });
    if (!hasLambda(expr)) this.#known.set(text, column);
    return column;
  }
}

function argumentsOf(call: AggregateCall, fields: readonly Field[]): readonly Expr[] {
  return call.fn === 'custom' ? fields.map((field) => columnOf(field).expr) : call.args;
}

/** The columns an aggregate reads. */
export function readsOf(aggregate: Aggregate): ReadonlySet<string> {
  const exprs = [
    ...aggregate.keys.map((key) => key.expr),
    ...aggregate.aggregates.flatMap((call) => call.args),
    ...(aggregate.time === null ? [] : [aggregate.time]),
  ];
  return new Set(exprs.flatMap((expr) => [...columnsOf(expr)]));
}

function columnOf(field: Field): Column {
  const { name, type, nullable } = field;
  return { name, expr: { kind: 'column', name, type, nullable } };
}

function fieldOf({ name, expr }: Column): Field {
  return { name, path: [name], type: expr.type, nullable: expr.nullable };
}
