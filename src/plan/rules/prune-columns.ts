// Projection push-down: every operator keeps only the columns that someone downstream reads, so
// that scanners skip the others and exchanges do not carry them. A source with event time always
// reads it: the watermark must see all records. `map` and `flat-map` are opaque and keep all they
// make, and unless they say less, all they get. Aggregates and broadcast joins stay as they were
// written: what they keep from one micro-batch to the next must not change with who reads it.

import { assert } from '../../base/assert.ts';
import { columnsOf } from '../../expr/walk.ts';
import type { Field, RowSchema } from '../../schema/data-type.ts';
import { sameNames } from '../check-plan.ts';
import type { LogicalRule } from '../logical-graph.ts';
import { inputsOf, LogicalGraph } from '../logical-graph.ts';
import type { LogicalOperator, LogicalPlan, OperatorId } from '../logical-plan.ts';
import { shipsRows } from '../physical-aggregate.ts';
import { readsOf } from './plain-aggregate-inputs.ts';

export const pruneColumns: LogicalRule = (plan) => {
  const demands = demandsOf(plan);
  const graph = new LogicalGraph(plan);
  const pruned = new Map<OperatorId, LogicalOperator>();
  for (const operator of plan.operators) {
    const keep = (field: Field): boolean => demands.get(operator.id)?.has(field.name) ?? false;
    const narrowed = narrow(operator, keep, (id) => schemaIn(pruned, id));
    const aligned = narrowed.kind === 'union' ? alignUnion(narrowed, pruned, graph) : narrowed;
    pruned.set(operator.id, withTimeColumn(aligned));
  }
  return { ...plan, operators: [...pruned.values()] };
};

type Demands = ReadonlyMap<OperatorId, ReadonlySet<string>>;

/** For each operator, the columns of its rows that its consumers read. */
function demandsOf(plan: LogicalPlan): Demands {
  const graph = new LogicalGraph(plan);
  const demands = new Map<OperatorId, Set<string>>();
  for (const operator of plan.operators.toReversed()) {
    const own = demands.get(operator.id) ?? new Set();
    for (const id of inputsOf(operator)) {
      const ofInput = demands.get(id) ?? new Set();
      for (const name of readsFrom(operator, own, graph.get(id))) ofInput.add(name);
      demands.set(id, ofInput);
    }
  }
  return demands;
}

/** What an operator reads of one input when `own` is wanted of itself. */
function readsFrom(
  operator: LogicalOperator,
  own: ReadonlySet<string>,
  { id, schema: input }: LogicalOperator,
): Iterable<string> {
  switch (operator.kind) {
    case 'source':
      return [];
    case 'filter':
      return own.union(columnsOf(operator.predicate));
    case 'project':
      return operator.columns
        .filter((column) => own.has(column.name))
        .flatMap((column) => [...columnsOf(column.expr)]);
    case 'union':
      return own;
    case 'join': {
      const added = new Set(operator.columns.map((column) => column.name));
      const keys = operator.keys.flatMap((key) => [...columnsOf(key.left)]);
      return own.difference(added).union(new Set(keys));
    }
    case 'broadcast-join': {
      const added = new Set(operator.columns.map((column) => column.name));
      const keys = operator.keys.flatMap((key) => [...columnsOf(key.left)]);
      const left = own.difference(added).union(new Set(keys));
      const right = new Set([
        ...operator.columns.map(({ column }) => column),
        ...operator.keys.map((key) => key.right),
      ]);
      if (operator.input === operator.right) return left.union(right);
      return operator.input === id ? left : right;
    }
    case 'aggregate':
      if (shipsRows(operator)) return input.fields.map((field) => field.name);
      return readsOf(operator);
    case 'map':
    case 'flat-map':
      return operator.columns ?? input.fields.map((field) => field.name);
    case 'sink':
      return input.fields.map((field) => field.name);
  }
}

function narrow(
  operator: LogicalOperator,
  keep: (field: Field) => boolean,
  inputSchema: (id: OperatorId) => RowSchema,
): LogicalOperator {
  switch (operator.kind) {
    case 'source': {
      const isTime = (field: Field): boolean => field.name === operator.timeColumn;
      return withFields(operator, (field) => keep(field) || isTime(field));
    }
    case 'filter':
      return { ...operator, schema: inputSchema(operator.input) };
    case 'project': {
      const kept = new Set(operator.schema.fields.filter(keep).map((field) => field.name));
      const columns = operator.columns.filter((column) => kept.has(column.name));
      return { ...withFields(operator, keep), columns };
    }
    case 'join':
    case 'broadcast-join': {
      const keepAll = operator.kind === 'broadcast-join';
      const added = new Set(operator.columns.map((column) => column.name));
      const fields = operator.schema.fields.filter(
        (field) => added.has(field.name) && (keepAll || keep(field)),
      );
      const kept = new Set(fields.map((field) => field.name));
      return {
        ...operator,
        columns: operator.columns.filter((column) => kept.has(column.name)),
        schema: { fields: [...inputSchema(operator.input).fields, ...fields] },
      };
    }
    case 'union':
      return withFields(operator, keep);
    case 'aggregate':
    case 'map':
    case 'flat-map':
    case 'sink':
      return operator;
  }
}

/** Gives each input of the union exactly the union's columns, by a project where it has others. */
function alignUnion(
  union: Extract<LogicalOperator, { kind: 'union' }>,
  pruned: Map<OperatorId, LogicalOperator>,
  graph: LogicalGraph,
): LogicalOperator {
  const inputs = union.inputs.map((id, index) => {
    if (sameNames(schemaIn(pruned, id), union.schema)) return id;
    const project: LogicalOperator = {
      id: graph.freshId(`${union.id}/${index}`),
      kind: 'project',
      input: id,
      columns: union.schema.fields.map(({ name, type, nullable }) => ({
        name,
        expr: { kind: 'column', name, type, nullable },
      })),
      schema: union.schema,
      timeColumn: union.timeColumn,
    };
    pruned.set(project.id, withTimeColumn(project));
    return project.id;
  });
  return { ...union, inputs };
}

function withFields<T extends LogicalOperator>(operator: T, keep: (field: Field) => boolean): T {
  return { ...operator, schema: { fields: operator.schema.fields.filter(keep) } };
}

function withTimeColumn(operator: LogicalOperator): LogicalOperator {
  const isThere = operator.schema.fields.some((field) => field.name === operator.timeColumn);
  return isThere ? operator : { ...operator, timeColumn: null };
}

function schemaIn(pruned: ReadonlyMap<OperatorId, LogicalOperator>, id: OperatorId): RowSchema {
  const operator = pruned.get(id);
  assert(operator !== undefined, `${id} is not pruned yet`);
  return operator.schema;
}
