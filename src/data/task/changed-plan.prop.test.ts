// State that is put into the places of a changed plan goes on as if the plan had always been so,
// for changes that mean the same: other numbers of stages and partitions, other ids, more beside.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { LogicalOperator, LogicalPlan, OperatorId } from '../../plan/logical-plan.ts';
import type { SinkId } from '../../plan/logical-plan.ts';
import { withInputs } from '../../plan/logical-graph.ts';
import { partitionCountsOf } from '../../plan/partition-counts.ts';
import type { PhysicalPlan, StageId } from '../../plan/physical-plan.ts';
import { planCompatibility } from '../../plan/plan-compatibility.ts';
import type { StageMove } from '../../plan/plan-compatibility.ts';
import { planStructure } from '../../plan/plan-structure.ts';
import type { RowObject } from '../../schema/data-type.ts';
import { rowsDifference } from '../../testing/rows-difference.ts';
import { aggregateCall, call, column, literal } from '../../testing/plan-builder.ts';
import { batchToRows } from '../columnar/rows.ts';
import { moveState, partitionsBehind } from './moved-state.ts';
import { physicalOf, randomBindings, randomRun } from './random-plan.fixture.ts';
import type { RandomRun } from './random-plan.fixture.ts';
import { allocateBytes, inputOf } from './run-plan.fixture.ts';
import { TaskExecutor } from './task-executor.ts';
import type { ExchangeOutput } from './task.ts';
import { wideRun } from './wide-run.fixture.ts';

const numRuns = Number(process.env['RUNS'] ?? 150);

/** A plan that runs micro-batch by micro-batch, and whose state can be taken and given. */
class PlanRun {
  readonly plan: PhysicalPlan;
  readonly partitionCounts: readonly number[];
  readonly #run: RandomRun;
  readonly #executor: TaskExecutor;

  constructor(run: RandomRun) {
    this.#run = run;
    this.plan = physicalOf(run);
    const [first] = run.batches;
    this.partitionCounts = partitionCountsOf(
      this.plan,
      (source) => first!.sources.get(source)!.length,
    );
    const { plan, partitionCounts } = this;
    const bindings = randomBindings;
    const options = { plan, bindings, partitionCounts, allocate: allocateBytes };
    this.#executor = new TaskExecutor(options);
  }

  get structure() {
    return planStructure(this.plan, this.partitionCounts);
  }

  /** Rows by sink. */
  batch(index: number): ReadonlyMap<SinkId, readonly RowObject[]> {
    const { plan } = this;
    const sent = new Map<number, ExchangeOutput[]>();
    const rows = new Map<SinkId, RowObject[]>(plan.sinks.map(({ id }) => [id, []]));
    for (const stage of plan.stages) {
      for (let partition = 0; partition < this.partitionCounts[stage.id]!; partition++) {
        const task = { stage: stage.id, partition, batch: index, part: 0 };
        const batch = this.#run.batches[index]!;
        const input = inputOf(plan, stage, { partition, batch, sent });
        const { outputs, sinks } = this.#executor.run(task, input);
        stage.outputs.forEach((exchange, at) => {
          sent.set(exchange, [...(sent.get(exchange) ?? []), outputs[at]!]);
        });
        for (const { sink, batch: out } of sinks) rows.get(sink)!.push(...batchToRows(out));
      }
    }
    return rows;
  }

  snapshot(stage: number, partition: number, kind: 'base' | 'delta'): Uint8Array {
    return this.#executor.snapshot({ stage: stage as StageId, partition }, kind).bytes;
  }

  restore(stage: number, partition: number, chain: readonly Uint8Array[]): void {
    this.#executor.restore({ stage: stage as StageId, partition }, chain);
  }
}

/** By stage and partition: a base and deltas. */
type Chains = Map<string, Uint8Array[]>;

function give(chains: Chains, to: PlanRun, { from, to: stage, isSame }: StageMove): void {
  const chainOf = (partition: number) => chains.get(`${from.stage}/${partition}`)!;
  const count = to.partitionCounts[stage.stage]!;
  for (let partition = 0; partition < count; partition++) {
    if (isSame) {
      to.restore(stage.stage, partition, chainOf(partition));
      continue;
    }
    const operator = stage.source ?? stage.operators[0]!.id;
    const place = { operator, stage: stage.stage, partition, partitionCount: count };
    const behind =
      stage.operators[0]!.kind === 'aggregate'
        ? partitionsBehind(place, from.partitions)
        : [Math.min(partition, from.partitions - 1)];
    to.restore(stage.stage, partition, [moveState(behind.map(chainOf), place)]);
  }
}

type Change = (run: RandomRun) => RandomRun;

/** A filter that all rows pass, in front of everything. */
function withFilter(run: RandomRun): RandomRun {
  const { plan } = run;
  const [source, ...rest] = plan.operators;
  const id = 'all' as OperatorId;
  const yes = call('eq', 'boolean', literal(1, 'int32'), literal(1, 'int32'));
  const filter: LogicalOperator = {
    ...source!,
    kind: 'filter',
    id,
    input: source!.id,
    predicate: yes,
  };
  const behind = rest.map((operator) =>
    withInputs(operator, (input) => (input === source!.id ? id : input)),
  );
  return { ...run, plan: { ...plan, operators: [source!, filter, ...behind] } };
}

/** Another aggregate, and its sink, before all others. */
function withAggregate(run: RandomRun): RandomRun {
  const { plan } = run;
  const [source, ...rest] = plan.operators;
  const schema = { fields: [{ name: 'rows', path: ['rows'], type: float64, nullable: false }] };
  const aggregate: LogicalOperator = {
    kind: 'aggregate',
    id: 'added' as OperatorId,
    input: source!.id,
    keys: [],
    window: { kind: 'global' },
    aggregates: [aggregateCall('rows', 'count')],
    time: column('time', 'timestamp'),
    // No other global window has any: nobody takes it for one that was there.
    allowedLatenessMs: 1,
    late: null,
    emit: 'update',
    schema,
    timeColumn: null,
  };
  const id = 'added-sink' as SinkId;
  const sink: LogicalOperator = {
    kind: 'sink',
    id: id as string as OperatorId,
    input: aggregate.id,
    sink: id,
    schema,
    timeColumn: null,
  };
  const spec = { id, name: id, description: 'more', schema, partitions: null };
  const operators = [source!, aggregate, sink, ...rest];
  return { ...run, plan: { ...plan, operators, sinks: [spec, ...plan.sinks] } };
}

const float64 = { kind: 'float64' } as const;

/** Late rows go nowhere; what is on time comes as before. */
function withoutLate(run: RandomRun): RandomRun {
  const { plan } = run;
  const operators = plan.operators.map((operator) =>
    operator.kind === 'aggregate' ? { ...operator, late: null } : operator,
  );
  const fed = new Set(operators.flatMap((each) => (each.kind === 'sink' ? [each.sink] : [])));
  const sinks = plan.sinks.filter(({ id }) => fed.has(id));
  return { ...run, plan: { ...plan, operators, sinks } };
}

/** Ids that count: aggregates and broadcast joins get other numbers. */
function counted(run: RandomRun, shift: number): RandomRun {
  const rename = (id: OperatorId): OperatorId =>
    id.replace(/^(aggregate|broadcast-join)-(\d+)$/, (_, kind, n) => {
      return `${kind}#${Number(n) + shift}`;
    }) as OperatorId;
  const { plan } = run;
  const operators = plan.operators.map((operator) => {
    return { ...withInputs(operator, rename), id: rename(operator.id) };
  });
  return { ...run, plan: { ...plan, operators } };
}

/** Nobody can be taken for another. */
function hasOneOfEach({ operators }: LogicalPlan): boolean {
  const kinds = operators.map(({ kind }) => kind).filter((kind) => stateful.includes(kind));
  return kinds.length > 0 && new Set(kinds).size === kinds.length;
}

const stateful: readonly string[] = ['aggregate', 'broadcast-join'];

const changes = fc.record({
  filter: fc.boolean(),
  aggregate: fc.boolean(),
  withoutLate: fc.boolean(),
  counted: fc.boolean(),
  partitions: fc.option(fc.integer({ min: 1, max: 7 }), { nil: null }),
});

test('state in the places of a changed plan goes on as if the plan had always been so', () => {
  const seen = { same: 0, anew: 0, split: 0, joins: 0, rows: 0, sessions: 0 };
  const runs = fc.oneof(randomRun, wideRun);
  fc.assert(
    fc.property(runs, changes, fc.nat(), fc.boolean(), (run, change, at, delta) => {
      const isCounted = change.counted && hasOneOfEach(run.plan);
      const first = isCounted ? counted(run, 0) : run;
      const applied: Change[] = [
        // Ties of wide runs go by the order in which parts of sessions meet.
        (from) => (change.withoutLate && run.plan.name !== 'wide' ? withoutLate(from) : from),
        (from) => (change.filter ? withFilter(from) : from),
        (from) => (change.aggregate ? withAggregate(from) : from),
        (from) => ({ ...from, partitions: change.partitions ?? from.partitions }),
      ];
      const begun = isCounted ? counted(run, 7) : run;
      const next = applied.reduce((made, apply) => apply(made), begun);
      const old = new PlanRun(first);
      const before = new PlanRun(next);
      const after = new PlanRun(next);
      const end = at % first.batches.length;
      const chains: Chains = new Map();
      for (let batch = 0; batch <= end; batch++) {
        old.batch(batch);
        before.batch(batch);
        if (batch < end && !delta) continue;
        old.partitionCounts.forEach((count, stage) => {
          for (let partition = 0; partition < count; partition++) {
            const key = `${stage}/${partition}`;
            const kind = delta && batch > 0 ? 'delta' : 'base';
            const bytes = old.snapshot(stage, partition, kind);
            // A base comes where a delta would not be smaller.
            const isBase = new DataView(bytes.buffer, bytes.byteOffset).getUint32(24, true) === 1;
            chains.set(key, isBase ? [bytes] : [...chains.get(key)!, bytes]);
          }
        });
      }
      const found = planCompatibility(old.structure, after.structure, {
        dropsState: false,
        batch: end,
        hasState: () => true,
      });
      assert.ok(found.kind === 'compatible', JSON.stringify(found));
      for (const move of found.stages) {
        give(chains, after, move);
        seen[move.isSame ? 'same' : 'anew']++;
        if (move.from.partitions !== move.to.partitions) seen.split++;
        const isJoin = move.to.operators[0]?.kind === 'broadcast-join';
        if (isJoin && !move.isSame) seen.joins++;
      }
      if (
        first.plan.operators.some(
          (each) => each.kind === 'aggregate' && each.window.kind === 'session',
        )
      ) {
        seen.sessions += found.stages.filter(({ isSame }) => !isSame).length;
      }
      for (let batch = end + 1; batch < first.batches.length; batch++) {
        const expected = before.batch(batch);
        const actual = after.batch(batch);
        for (const [sink, rows] of expected) {
          if (sink === 'added-sink') continue;
          seen.rows += rows.length;
          const difference = rowsDifference(rows, actual.get(sink)!);
          assert.equal(difference, null, `sink ${sink}, micro-batch ${batch}`);
        }
      }
    }),
    { numRuns },
  );
  for (const [what, count] of Object.entries(seen)) {
    assert.ok(count > 0, `${what} never came up`);
  }
});
