// What must hold of every logical plan that reaches the planner. User mistakes were reported by
// the API with their call sites; whatever fails here is a mistake of our own.

import { assert } from '../base/assert.ts';
import type { Expr } from '../expr/expr.ts';
import { columnsOf } from '../expr/walk.ts';
import type { RowSchema } from '../schema/data-type.ts';
import { inputsOf, LogicalGraph } from './logical-graph.ts';
import type { LogicalOperator, LogicalPlan } from './logical-plan.ts';

export function checkPlan(plan: LogicalPlan): void {
  const graph = new LogicalGraph(plan);
  const seen = new Set<string>();
  for (const operator of plan.operators) {
    assert(!seen.has(operator.id), `two operators are called ${operator.id}`);
    for (const input of inputsOf(operator)) {
      assert(seen.has(input), `${operator.id} comes before its input ${input}`);
    }
    seen.add(operator.id);
    const isSink = operator.kind === 'sink';
    assert(
      isSink === (graph.consumersOf(operator.id).length === 0),
      `${operator.id} must have consumers, unless it is a sink`,
    );
    checkOperator(plan, operator, graph);
  }
  assert(
    plan.operators.some((operator) => operator.kind === 'sink'),
    'the plan has no sink',
  );
}

function checkOperator(plan: LogicalPlan, operator: LogicalOperator, graph: LogicalGraph): void {
  checkNames(operator.schema, operator.id);
  if (operator.timeColumn !== null) {
    assert(hasField(operator.schema, operator.timeColumn), `${operator.id} lacks its time column`);
  }
  const inputs = inputsOf(operator).map((id) => graph.get(id).schema);
  const reads = (exprs: readonly Expr[]): void => {
    for (const name of exprs.flatMap((expr) => [...columnsOf(expr)])) {
      assert(
        inputs.every((schema) => hasField(schema, name)),
        `${operator.id} reads the column ${name}, which its input lacks`,
      );
    }
  };
  switch (operator.kind) {
    case 'source':
      return assertListed(plan.sources, operator.source, 'source');
    case 'sink':
      return assertListed(plan.sinks, operator.sink, 'sink');
    case 'filter':
      return reads([operator.predicate]);
    case 'project':
      return reads(operator.columns.map((column) => column.expr));
    case 'map':
    case 'flat-map':
      for (const name of operator.columns ?? []) {
        assert(hasField(inputs[0], name), `${operator.id} reads ${name}, which its input lacks`);
      }
      return assertListed(plan.functions, operator.fn, 'function');
    case 'union':
      assert(operator.inputs.length > 0, `${operator.id} unites nothing`);
      for (const schema of inputs) {
        assert(sameNames(schema, operator.schema), `${operator.id} unites different columns`);
      }
      return;
    case 'join':
      assertListed(plan.tables, operator.table, 'table');
      return reads(operator.keys.map((key) => key.left));
    case 'broadcast-join': {
      const left = graph.get(operator.input).schema;
      const right = graph.get(operator.right).schema;
      for (const name of operator.keys.flatMap((key) => [...columnsOf(key.left)])) {
        assert(hasField(left, name), `${operator.id} reads ${name}, which its input lacks`);
      }
      const columns = operator.columns.map(({ column }) => column);
      for (const name of [...columns, ...operator.keys.map((key) => key.right)]) {
        assert(hasField(right, name), `${operator.id} reads ${name}, which is not broadcast`);
      }
      return;
    }
    case 'aggregate':
      if (operator.late !== null) assertListed(plan.sinks, operator.late, 'sink');
      assert(
        operator.time !== null || operator.window.kind === 'global',
        `${operator.id} has windows but no event time`,
      );
      assert(
        operator.emit === 'close' || operator.window.kind !== 'session',
        `${operator.id} emits updates of sessions`,
      );
      reads([
        ...operator.keys.map((key) => key.expr),
        ...operator.aggregates.flatMap((call) => call.args),
        ...(operator.time === null ? [] : [operator.time]),
      ]);
  }
}

/** Names that start with `$` are the planner's own. */
function checkNames(schema: RowSchema, id: string): void {
  const names = schema.fields.map((field) => field.name);
  assert(new Set(names).size === names.length, `${id} has two columns of one name`);
}

function assertListed(list: readonly { readonly id: string }[], id: string, kind: string): void {
  assert(
    list.some((entry) => entry.id === id),
    `the plan does not list the ${kind} ${id}`,
  );
}

function hasField(schema: RowSchema, name: string): boolean {
  return schema.fields.some((field) => field.name === name);
}

/** The same columns in the same order. */
export function sameNames(a: RowSchema, b: RowSchema): boolean {
  return (
    a.fields.length === b.fields.length &&
    a.fields.every((field, index) => field.name === b.fields[index]?.name)
  );
}
