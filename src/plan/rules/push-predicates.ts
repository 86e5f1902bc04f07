// Moves filters towards the sources: through projects, unions and, where only the left side is
// read, below joins. What may fail, or calls the user's code, never moves to where it meets more
// rows. Across `map` and `flat-map` nothing moves, nor through an operator that others read too.

import type { Expr } from '../../expr/expr.ts';
import {
  columnsOf,
  conjunctionOf,
  conjunctsOf,
  hasLambda,
  mayFail,
  substitute,
} from '../../expr/walk.ts';
import type { LogicalRule } from '../logical-graph.ts';
import { editPlan, LogicalGraph, withInputs } from '../logical-graph.ts';
import type { LogicalOperator, LogicalPlan, OperatorId } from '../logical-plan.ts';

export const pushPredicates: LogicalRule = (plan) => {
  const graph = new LogicalGraph(plan);
  for (const operator of plan.operators) {
    if (operator.kind !== 'filter') continue;
    const below = graph.get(operator.input);
    if (graph.consumersOf(below.id).length > 1) continue;
    const pushed = pushBelow(plan, graph, operator, below);
    if (pushed !== plan) return pushPredicates(pushed);
  }
  return plan;
};

type Filter = Extract<LogicalOperator, { kind: 'filter' }>;

function pushBelow(
  plan: LogicalPlan,
  graph: LogicalGraph,
  filter: Filter,
  below: LogicalOperator,
): LogicalPlan {
  switch (below.kind) {
    case 'project': {
      const meanings = new Map(below.columns.map(({ name, expr }) => [name, expr]));
      const split = splitConjuncts(filter.predicate, (conjunct) => {
        const meaning = substitute(conjunct, meanings);
        // A lambda column must not be called twice.
        const repeats = meaning !== null && hasLambda(meaning) && !hasLambda(conjunct);
        return repeats ? null : meaning;
      });
      return moveInto(plan, graph, { filter, below, inputs: [below.input], ...split });
    }
    case 'join':
    case 'broadcast-join': {
      const added = new Set(below.columns.map((column) => column.name));
      const split = splitConjuncts(filter.predicate, (conjunct) => {
        const reads = columnsOf(conjunct);
        return mayFail(conjunct) || !reads.isDisjointFrom(added) ? null : conjunct;
      });
      return moveInto(plan, graph, { filter, below, inputs: [below.input], ...split });
    }
    case 'union': {
      const split = { moved: conjunctsOf(filter.predicate), kept: [] };
      return moveInto(plan, graph, { filter, below, inputs: below.inputs, ...split });
    }
    default:
      return plan;
  }
}

type Split = { readonly moved: readonly Expr[]; readonly kept: readonly Expr[] };

/** `move` gives a conjunct as it reads below, or null. Conjuncts that may fail keep their turn. */
function splitConjuncts(predicate: Expr, move: (conjunct: Expr) => Expr | null): Split {
  const moved: Expr[] = [];
  const kept: Expr[] = [];
  for (const conjunct of conjunctsOf(predicate)) {
    const below = kept.length > 0 && mayFail(conjunct) ? null : move(conjunct);
    if (below === null) kept.push(conjunct);
    else moved.push(below);
  }
  return { moved, kept };
}

type Move = Split & {
  readonly filter: Filter;
  readonly below: LogicalOperator;
  readonly inputs: readonly OperatorId[];
};

/** Puts a filter of the moved conjuncts under `below`, on each of its inputs. */
function moveInto(plan: LogicalPlan, graph: LogicalGraph, move: Move): LogicalPlan {
  const predicate = conjunctionOf(move.moved);
  if (predicate === null) return plan;
  const rest = conjunctionOf(move.kept);
  // The whole filter moves to one place: it keeps its id.
  const isWhole = rest === null && move.inputs.length === 1;
  const filters = move.inputs.map((input, index) => {
    const { schema, timeColumn } = graph.get(input);
    const suffix = move.inputs.length === 1 ? 'below' : String(index);
    const id = isWhole ? move.filter.id : graph.freshId(`${move.filter.id}/${suffix}`);
    return { id, schema, timeColumn, kind: 'filter' as const, input, predicate };
  });
  const ids = filters.map((filter) => filter.id);
  const below = onTopOf(move.below, ids);
  if (rest !== null) {
    return editPlan(plan, { put: [...filters, below, { ...move.filter, predicate: rest }] });
  }
  // Nothing is left where the filter was: its consumers read `below` instead.
  const gone = editPlan(plan, { put: [], replace: new Map([[move.filter.id, move.below.id]]) });
  return editPlan(gone, { put: [...filters, below] });
}

function onTopOf(operator: LogicalOperator, filters: readonly OperatorId[]): LogicalOperator {
  if (operator.kind === 'union') return { ...operator, inputs: filters };
  // What is broadcast stays whole.
  if (operator.kind === 'broadcast-join') return { ...operator, input: filters[0] };
  return withInputs(operator, () => filters[0]);
}
