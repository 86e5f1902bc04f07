// The logical plan as a graph: who feeds whom, and how rules rebuild it. Plans stay immutable: an
// edit collects changed operators and gives a new plan, inputs before consumers again.

import { assert } from '../base/assert.ts';
import type { Expr } from '../expr/expr.ts';
import type { LogicalOperator, LogicalPlan, OperatorId } from './logical-plan.ts';

/** A rewrite that keeps the plan's meaning. Gives the same object back when it changes nothing. */
export type LogicalRule = (plan: LogicalPlan) => LogicalPlan;

export function inputsOf(operator: LogicalOperator): readonly OperatorId[] {
  switch (operator.kind) {
    case 'source':
      return [];
    case 'union':
      return operator.inputs;
    case 'broadcast-join':
      return operator.right === operator.input
        ? [operator.input]
        : [operator.input, operator.right];
    default:
      return [operator.input];
  }
}

/** The inputs whose watermark is the operator's: a broadcast stream holds nothing back. */
export function timedInputsOf(operator: LogicalOperator): readonly OperatorId[] {
  return operator.kind === 'broadcast-join' ? [operator.input] : inputsOf(operator);
}

/** The operator with each input replaced by what `rename` gives for it. */
export function withInputs(
  operator: LogicalOperator,
  rename: (id: OperatorId) => OperatorId,
): LogicalOperator {
  if (operator.kind === 'source') return operator;
  if (operator.kind === 'union') return { ...operator, inputs: operator.inputs.map(rename) };
  if (operator.kind === 'broadcast-join') {
    return { ...operator, input: rename(operator.input), right: rename(operator.right) };
  }
  return { ...operator, input: rename(operator.input) };
}

/** Looks operators up by id; an unknown id is our mistake. */
export class LogicalGraph {
  readonly #byId: ReadonlyMap<OperatorId, LogicalOperator>;
  readonly #consumers = new Map<OperatorId, LogicalOperator[]>();

  constructor(plan: LogicalPlan) {
    this.#byId = new Map(plan.operators.map((operator) => [operator.id, operator]));
    for (const operator of plan.operators) {
      for (const input of inputsOf(operator)) {
        const list = this.#consumers.get(input) ?? [];
        this.#consumers.set(input, [...list, operator]);
      }
    }
  }

  get(id: OperatorId): LogicalOperator {
    const operator = this.#byId.get(id);
    assert(operator !== undefined, `the plan has no operator ${id}`);
    return operator;
  }

  /** In the order of the plan; an operator that takes the rows twice is listed twice. */
  consumersOf(id: OperatorId): readonly LogicalOperator[] {
    return this.#consumers.get(id) ?? [];
  }

  /** An id that is not taken yet: `base`, else `base~2`, `base~3`, … */
  freshId(base: string): OperatorId {
    let id = base;
    for (let n = 2; this.#byId.has(id as OperatorId); n++) id = `${base}~${n}`;
    return id as OperatorId;
  }
}

/** What a rule wants changed. */
export type PlanEdit = {
  /** New operators, and new versions of those that were there. */
  readonly put: readonly LogicalOperator[];
  /** Operators that go; their consumers take the rows of the other one. */
  readonly replace?: ReadonlyMap<OperatorId, OperatorId>;
};

export function editPlan(plan: LogicalPlan, edit: PlanEdit): LogicalPlan {
  const replace = edit.replace ?? new Map<OperatorId, OperatorId>();
  const byId = new Map(plan.operators.map((operator) => [operator.id, operator]));
  for (const operator of edit.put) byId.set(operator.id, operator);
  for (const id of replace.keys()) byId.delete(id);
  const rename = (id: OperatorId): OperatorId => replace.get(id) ?? id;
  const operators = new Map(
    [...byId].map(([id, operator]) =>
      edit.put.includes(operator) ? [id, operator] : [id, withInputs(operator, rename)],
    ),
  );
  return { ...plan, operators: inputsFirst(operators) };
}

/** Orders operators so that inputs come before consumers, otherwise as they are. */
function inputsFirst(
  operators: ReadonlyMap<OperatorId, LogicalOperator>,
): readonly LogicalOperator[] {
  const done = new Set<LogicalOperator>();
  const add = (id: OperatorId, depth: number): void => {
    const operator = operators.get(id);
    assert(operator !== undefined, `the plan has no operator ${id}`);
    assert(depth <= operators.size, `operator ${id} is its own input`);
    if (done.has(operator)) return;
    for (const input of inputsOf(operator)) add(input, depth + 1);
    done.add(operator);
  };
  for (const id of operators.keys()) add(id, 0);
  return [...done];
}

/** The plan with every expression changed; the same plan when no expression was. */
export function mapExpressions(plan: LogicalPlan, change: (expr: Expr) => Expr): LogicalPlan {
  const put = plan.operators.flatMap((operator) => {
    const changed = mapOperator(operator, change);
    return changed === operator ? [] : [changed];
  });
  return put.length === 0 ? plan : editPlan(plan, { put });
}

function mapOperator(operator: LogicalOperator, change: (expr: Expr) => Expr): LogicalOperator {
  let isChanged = false;
  const on = (expr: Expr): Expr => {
    const result = change(expr);
    isChanged ||= result !== expr;
    return result;
  };
  const mapped = mapKind(operator, on);
  return isChanged ? mapped : operator;
}

function mapKind(operator: LogicalOperator, on: (expr: Expr) => Expr): LogicalOperator {
  switch (operator.kind) {
    case 'filter':
      return { ...operator, predicate: on(operator.predicate) };
    case 'project':
      return {
        ...operator,
        columns: operator.columns.map(({ name, expr }) => ({ name, expr: on(expr) })),
      };
    case 'join':
    case 'broadcast-join':
      return {
        ...operator,
        keys: operator.keys.map(({ left, right }) => ({ left: on(left), right })),
      };
    case 'aggregate':
      return {
        ...operator,
        keys: operator.keys.map(({ name, expr }) => ({ name, expr: on(expr) })),
        time: operator.time === null ? null : on(operator.time),
        aggregates: operator.aggregates.map((call) => ({ ...call, args: call.args.map(on) })),
      };
    default:
      return operator;
  }
}
