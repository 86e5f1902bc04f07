// Cuts an optimised logical plan into stages at exchanges. Invariants of the result: each sink is
// fed by one stage; each aggregate and each broadcast join has a stage of its own, whatever number
// of exchanges meet in it; a chain below a union is repeated in every stage that feeds it, up to
// the next exchange.

import { assert } from '../base/assert.ts';
import type { RowSchema } from '../schema/data-type.ts';
import { checkPlan } from './check-plan.ts';
import { growTrees } from './grow-trees.ts';
import { LogicalGraph } from './logical-graph.ts';
import type {
  LogicalOperator,
  LogicalPlan,
  OperatorId,
  SinkSpec,
  SourceId,
} from './logical-plan.ts';
import { optimize } from './optimize.ts';
import { partialSchema } from './partials.ts';
import { fanInDefault, flatReason, shipsRows } from './physical-aggregate.ts';
import type {
  Exchange,
  ExchangeId,
  PartitionCount,
  Partitioning,
  PhysicalPlan,
  Stage,
  StageId,
  StageOperator,
} from './physical-plan.ts';
import { planHash } from './plan-hash.ts';
import { pushEqualities } from './rules/push-equalities.ts';
import { stateSpecs } from './state-spec.ts';

export type PlanOptions = {
  /** Partitions of every stage behind a hash exchange: fixed for the life of the pipeline. */
  readonly partitions: number;
  /** Partitions of every source; missing before they are known, as for `explain`. */
  readonly sourcePartitions?: ReadonlyMap<SourceId, number>;
};

export function planPhysical(logical: LogicalPlan, options: PlanOptions): PhysicalPlan {
  assert(options.partitions >= 1, 'a plan needs at least one partition');
  checkPlan(logical);
  const optimized = optimize(logical);
  checkPlan(optimized);
  const { sourcePartitions } = options;
  const cut = new StageCutter(optimized, options).cut();
  const { stages, exchanges } =
    sourcePartitions === undefined ? cut : growTrees(cut, sourcePartitions);
  const { name, sources, tables, functions } = logical;
  const sinks = logical.sinks.map((sink) => (isFed(logical, sink) ? sink : sideSink(sink)));
  const plan = { name, stages, exchanges, sources, sinks, tables, functions };
  return { ...plan, hash: planHash(plan), state: stateSpecs(logical, optimized) };
}

function isFed(plan: LogicalPlan, sink: SinkSpec): boolean {
  return plan.operators.some((operator) => operator.kind === 'sink' && operator.sink === sink.id);
}

/** Late rows and dead letters are written where they are found, never gathered. */
function sideSink(sink: SinkSpec): SinkSpec {
  return { ...sink, partitions: null };
}

type Aggregate = Extract<LogicalOperator, { kind: 'aggregate' }>;
type Join = Extract<LogicalOperator, { kind: 'broadcast-join' }>;
type Sink = Extract<LogicalOperator, { kind: 'sink' }>;

/** Heads whose stages give rows to others. */
type Feeder = Extract<LogicalOperator, { kind: 'source' }> | Aggregate | Join;
/** What starts a stage; operators between two heads are inside one. */
type Head = Feeder | Sink;

class StageCutter {
  readonly #graph: LogicalGraph;
  readonly #plan: LogicalPlan;
  readonly #partitions: number;
  readonly #feeders: readonly Feeder[];
  /** In the order of stages: sources, aggregates and joins, then sinks behind an exchange. */
  readonly #heads: readonly Head[];
  readonly #exchanges: Exchange[] = [];

  constructor(plan: LogicalPlan, options: PlanOptions) {
    this.#plan = plan;
    this.#graph = new LogicalGraph(plan);
    this.#partitions = options.partitions;
    const sources = plan.operators.filter((operator) => operator.kind === 'source');
    const others = plan.operators.filter(
      (operator) => operator.kind === 'aggregate' || operator.kind === 'broadcast-join',
    );
    const sinks = plan.operators.filter((operator) => operator.kind === 'sink');
    this.#feeders = [...sources, ...others];
    const gathered = sinks.filter((sink) => this.#mustGather(sink));
    this.#heads = [...this.#feeders, ...gathered];
  }

  cut(): { readonly stages: readonly Stage[]; readonly exchanges: readonly Exchange[] } {
    // Operators first, stage by stage: that fixes the exchanges.
    const roots = this.#heads.map((head, index) => this.#rootOf(head, index as StageId));
    const stages = this.#heads.map((head, index) => this.#stage(head, index as StageId, roots));
    return { stages, exchanges: this.#exchanges };
  }

  #stage(head: Head, id: StageId, roots: readonly (readonly StageOperator[])[]): Stage {
    const root = roots[id];
    const outputs = this.#exchanges
      .filter(({ from }) => from === id)
      .map((exchange) => exchange.id);
    const partitions = this.#partitionsOf(head);
    if (head.kind !== 'source') {
      const exchanges = this.#exchanges
        .filter(({ to }) => to === id)
        .map((exchange) => exchange.id);
      return { id, input: { kind: 'exchanges', exchanges }, partitions, root, outputs };
    }
    const { source, schema, timeColumn } = head;
    const scan = { source, fields: schema.fields, timeColumn, equals: [] };
    const pushed = pushEqualities({ scan, root });
    return {
      id,
      input: { kind: 'scan', scan: pushed.scan },
      partitions,
      root: pushed.root,
      outputs,
    };
  }

  #partitionsOf(head: Head): PartitionCount {
    switch (head.kind) {
      case 'source':
        return { kind: 'source', source: head.source };
      case 'aggregate':
        return { kind: 'fixed', count: head.keys.length === 0 ? 1 : this.#partitions };
      case 'broadcast-join':
        return largest(this.#feedersOf(head).map((feeder) => this.#partitionsOf(feeder)));
      case 'sink':
        return { kind: 'fixed', count: 1 };
    }
  }

  #rootOf(head: Head, stage: StageId): readonly StageOperator[] {
    switch (head.kind) {
      case 'source':
        return this.#consumers(head.id, stage);
      case 'sink':
        return [{ id: head.id, kind: 'to-sink', sink: head.sink, schema: head.schema, next: [] }];
      case 'broadcast-join': {
        const { id, kind, schema, how, keys, columns } = head;
        const inputSchema = this.#graph.get(head.input).schema;
        const tableSchema = this.#tableSchema(head);
        const next = this.#consumers(id, stage);
        return [{ id, kind, schema, how, keys, columns, inputSchema, tableSchema, next }];
      }
      case 'aggregate': {
        const next = this.#consumers(head.id, stage);
        const inputSchema = this.#exchangeSchema(head);
        const { id, schema } = head;
        const aggregate = specOf(head);
        const input = shipsRows(head) ? 'rows' : 'partials';
        const lateSchema = head.late === null ? null : this.#sinkSpec(head.late).schema;
        const fanIn = flatReason(aggregate) === null ? (head.fanIn ?? fanInDefault) : null;
        const crossing = { input, inputSchema, lateSchema, fanIn } as const;
        return [{ id, kind: 'aggregate', schema, aggregate, ...crossing, next }];
      }
    }
  }

  #consumers(id: OperatorId, stage: StageId): readonly StageOperator[] {
    return this.#graph
      .consumersOf(id)
      .flatMap((consumer) => this.#operatorsOf(consumer, id, stage));
  }

  /** What `consumer` does with the rows of `input`, inside the stage. */
  #operatorsOf(
    consumer: LogicalOperator,
    input: OperatorId,
    stage: StageId,
  ): readonly StageOperator[] {
    const { id, schema } = consumer;
    switch (consumer.kind) {
      case 'source':
        throw new Error('a source has no input');
      case 'union':
        return this.#consumers(id, stage);
      case 'sink':
        return [this.#toSink(consumer, input, stage)];
      case 'aggregate':
        return [this.#toAggregate(consumer, stage)];
      case 'broadcast-join':
        return this.#toJoin(consumer, input, stage);
      case 'filter': {
        const { kind, predicate } = consumer;
        return [{ id, kind, schema, predicate, next: this.#consumers(id, stage) }];
      }
      case 'project': {
        const { kind, columns } = consumer;
        return [{ id, kind, schema, columns, next: this.#consumers(id, stage) }];
      }
      case 'map':
      case 'flat-map': {
        const { kind, fn, columns } = consumer;
        const next = this.#consumers(id, stage);
        return [{ id, kind, schema, fn, ...(columns === undefined ? {} : { columns }), next }];
      }
      case 'join': {
        const { kind, table, how, keys, columns } = consumer;
        const next = this.#consumers(id, stage);
        return [{ id, kind, schema, table, how, keys, columns, next }];
      }
    }
  }

  #toAggregate(head: Aggregate, stage: StageId): StageOperator {
    const schema = this.#exchangeSchema(head);
    const carries = shipsRows(head) ? 'rows' : 'partials';
    const keys = head.keys.map(({ name, expr }) =>
      carries === 'rows' && expr.kind === 'column' ? expr.name : name,
    );
    const exchange = this.#addExchange({
      from: stage,
      to: this.#stageOf(head),
      schema,
      carries,
      partitioning: keys.length === 0 ? { kind: 'single' } : { kind: 'hash', keys },
    });
    const { id } = head;
    if (carries === 'rows') return { id, kind: 'to-exchange', schema, exchange, next: [] };
    return {
      id,
      kind: 'partial-aggregate',
      schema,
      aggregate: specOf(head),
      exchange,
      next: [],
    };
  }

  /** The joined rows stay in their partition; a stream may be joined with itself. */
  #toJoin(join: Join, input: OperatorId, stage: StageId): readonly StageOperator[] {
    const to = this.#stageOf(join);
    const { id } = join;
    const made: StageOperator[] = [];
    const add = (schema: RowSchema, partitioning: Partitioning): void => {
      const carries = 'rows';
      const exchange = this.#addExchange({ from: stage, to, schema, carries, partitioning });
      made.push({ id, kind: 'to-exchange', schema, exchange, next: [] });
    };
    if (join.input === input) add(this.#graph.get(input).schema, { kind: 'fan-in', fanIn: 1 });
    if (join.right === input) add(this.#tableSchema(join), { kind: 'broadcast' });
    return made;
  }

  /** Of what is broadcast: keys and the columns that are added. */
  #tableSchema({ right, keys, columns }: Join): RowSchema {
    const used = new Set([...keys.map((key) => key.right), ...columns.map(({ column }) => column)]);
    const { fields } = this.#graph.get(right).schema;
    return { fields: fields.filter(({ name }) => used.has(name)) };
  }

  #toSink(sink: Sink, input: OperatorId, stage: StageId): StageOperator {
    const { id } = sink;
    if (!this.#heads.includes(sink)) {
      return { id, kind: 'to-sink', schema: sink.schema, sink: sink.sink, next: [] };
    }
    const { schema } = this.#graph.get(input);
    const exchange = this.#addExchange({
      from: stage,
      to: this.#stageOf(sink),
      schema,
      carries: 'rows',
      partitioning: { kind: 'single' },
    });
    return { id, kind: 'to-exchange', schema, exchange, next: [] };
  }

  #addExchange(exchange: Omit<Exchange, 'id'>): ExchangeId {
    const id = this.#exchanges.length as ExchangeId;
    this.#exchanges.push({ id, ...exchange });
    return id;
  }

  #stageOf(head: Head): StageId {
    const index = this.#heads.indexOf(head);
    assert(index >= 0, `no stage starts at ${head.id}`);
    return index as StageId;
  }

  /** Rows of all its input, or partials: the columns of every exchange into the aggregate. */
  #exchangeSchema(head: Aggregate): RowSchema {
    return shipsRows(head) ? this.#graph.get(head.input).schema : partialSchema(specOf(head));
  }

  /**
   * The sink wants one partition where there are more, or several stages feed it: then its rows
   * meet in a stage of their own, since a sink partition has one writer.
   */
  #mustGather(sink: Sink): boolean {
    const stages = this.#feedersOf(sink);
    assert(stages.length > 0, `nothing feeds the sink ${sink.id}`);
    if (stages.length > 1) return true;
    const count = this.#partitionsOf(stages[0]);
    const isSingle = count.kind === 'fixed' && count.count === 1;
    return this.#sinkSpec(sink.sink).partitions === 1 && !isSingle;
  }

  /** Stages whose rows come to a sink, or are joined by a join. */
  #feedersOf(head: Sink | Join): readonly Feeder[] {
    return this.#feeders.filter((feeder) => this.#reaches(feeder.id, head));
  }

  /** Without crossing an exchange. */
  #reaches(from: OperatorId, head: Sink | Join): boolean {
    return this.#graph.consumersOf(from).some((consumer) => {
      if (consumer === head) return head.kind === 'sink' || head.input === from;
      const isHead = consumer.kind === 'aggregate' || consumer.kind === 'broadcast-join';
      return !isHead && this.#reaches(consumer.id, head);
    });
  }

  #sinkSpec(id: SinkSpec['id']): SinkSpec {
    const sink = this.#plan.sinks.find((spec) => spec.id === id);
    assert(sink !== undefined, `the plan does not list the sink ${id}`);
    return sink;
  }
}

function largest(counts: readonly PartitionCount[]): PartitionCount {
  const distinct = new Map(counts.map((count) => [JSON.stringify(count), count]));
  const [first, ...others] = distinct.values();
  return others.length === 0 ? first : { kind: 'largest', of: [...distinct.values()] };
}

function specOf(head: Aggregate): Extract<StageOperator, { kind: 'aggregate' }>['aggregate'] {
  const { keys, window, aggregates, time, allowedLatenessMs, late, emit } = head;
  return { keys, window, aggregates, time, allowedLatenessMs, late, emit };
}
