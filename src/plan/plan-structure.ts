// What of a plan bears on its state, its sources and its sinks, as plain data for a checkpoint: a
// later run with another plan is compared with it, and told what differs.

import { canonicalJson } from '../base/canonical-json.ts';
import type { DataType } from '../schema/data-type.ts';
import type { SinkSpec, SourceSpec } from './logical-plan.ts';
import type { PhysicalPlan, Stage, StageOperator } from './physical-plan.ts';
import { structureHash } from './plan-hash.ts';
import { sinksFedBy } from './sink-partitions.ts';
import type { StateSpec } from './state-spec.ts';

export type PlanStructure = {
  /** Of the whole plan but the text of functions: equal ones differ in nothing else. */
  readonly hash: string;
  readonly sources: readonly SourceStructure[];
  readonly stages: readonly StageStructure[];
  readonly sinks: readonly SinkStructure[];
};

export type SourceStructure = {
  readonly id: string;
  /** Connector and what it reads: `files clicks.jsonl`. */
  readonly description: string;
  /** Where event time is and how the watermark follows it, as text. */
  readonly watermark: string;
};

export type StageStructure = {
  readonly stage: number;
  /** Null: the stage's input comes over exchanges. */
  readonly source: string | null;
  readonly partitions: number;
  /** By input exchange: the operator, or source, that the stage behind it starts with. */
  readonly inputs: readonly string[];
  /** In the order of the rows, each before those that it feeds. */
  readonly operators: readonly OperatorStructure[];
};

export type OperatorStructure = {
  readonly id: string;
  readonly kind: string;
  /** Null: the operator keeps nothing from one micro-batch to the next. */
  readonly state: StateStructure | null;
};

/** Texts for comparison and for people; equal texts mean equal meaning. Names are for people. */
export type StateStructure = {
  readonly keys: readonly NamedText[];
  /** Empty: no windows, and no event time. */
  readonly window: string;
  readonly time: string;
  readonly lateness: string;
  readonly aggregates: readonly NamedText[];
  /** Of the rows that a broadcast join keeps; their names count, too. */
  readonly columns: readonly NamedText[];
};

export type NamedText = { readonly name: string; readonly text: string };

export type SinkStructure = {
  readonly id: string;
  /** Connector and what it writes to. */
  readonly description: string;
  /** Of its rows, as people read them. */
  readonly columns: string;
  /** The sink's name in its ledger: the one that it had when it came into the pipeline. */
  readonly ledger: string;
  /** The stages that write to it, by what they start with, and their partitions. */
  readonly feeds: readonly { readonly from: string; readonly partitions: number }[];
};

/** `ledgers`: by sink, where it is not the sink's id. */
export function planStructure(
  plan: PhysicalPlan,
  partitionCounts: readonly number[],
  ledgers: { readonly [sink: string]: string } = {},
): PlanStructure {
  return {
    hash: structureHash(plan),
    sources: plan.sources.map(sourceStructure),
    stages: plan.stages.map((stage) => ({
      stage: stage.id,
      source: stage.input.kind === 'scan' ? stage.input.scan.source : null,
      partitions: partitionCounts[stage.id]!,
      inputs: inputNames(plan, stage),
      operators: stage.root.flatMap((operator) => withConsumers(plan, operator)),
    })),
    sinks: plan.sinks.map((sink) => ({
      id: sink.id,
      description: sink.description,
      columns: sink.schema.fields.map(({ name, type }) => `${name} ${type.kind}`).join(', '),
      ledger: ledgers[sink.id] ?? sink.id,
      feeds: feedsOf(plan, partitionCounts, sink),
    })),
  };
}

/** What the stage starts with: its source, or the operator that takes its input. */
export function stageName({ input, root }: Stage): string {
  return input.kind === 'scan' ? input.scan.source : root[0]!.id;
}

export function sourceStructure(spec: SourceSpec): SourceStructure {
  const { id, description, timeColumn, watermark } = spec;
  return { id, description, watermark: canonicalJson({ timeColumn, ...watermark }) };
}

function inputNames({ stages, exchanges }: PhysicalPlan, { input }: Stage): readonly string[] {
  if (input.kind === 'scan') return [];
  return input.exchanges.map((exchange) => stageName(stages[exchanges[exchange]!.from]!));
}

function feedsOf(
  plan: PhysicalPlan,
  partitionCounts: readonly number[],
  { id }: SinkSpec,
): SinkStructure['feeds'] {
  const feeding = plan.stages.filter((stage) => sinksFedBy(plan, stage).has(id));
  return feeding.map((stage) => {
    return { from: stageName(stage), partitions: partitionCounts[stage.id]! };
  });
}

function withConsumers(plan: PhysicalPlan, operator: StageOperator): readonly OperatorStructure[] {
  const { id, kind, next } = operator;
  const consumers = next.flatMap((consumer) => withConsumers(plan, consumer));
  return [{ id, kind, state: stateOf(plan, operator) }, ...consumers];
}

function stateOf(plan: PhysicalPlan, operator: StageOperator): StateStructure | null {
  if (operator.kind === 'aggregate') {
    return aggregateState(plan.state.find((spec) => spec.operator === operator.id)!);
  }
  if (operator.kind !== 'broadcast-join') return null;
  const { keys, tableSchema } = operator;
  return {
    keys: keys.map(({ right }) => ({ name: right, text: right })),
    columns: tableSchema.fields.map(({ name, type, nullable }) => {
      return { name, text: typeText(type, nullable) };
    }),
    window: '',
    time: '',
    lateness: '',
    aggregates: [],
  };
}

function aggregateState({ aggregate, time }: StateSpec): StateStructure {
  return {
    keys: aggregate.keys.map(({ name, expr, type, nullable }) => {
      return { name, text: `${expr}: ${typeText(type, nullable)}` };
    }),
    window: canonicalJson(aggregate.window),
    time: time ?? '',
    lateness: `${aggregate.allowedLatenessMs} ms`,
    aggregates: aggregate.aggregates.map(({ name, fn, args, k, type }) => {
      const inputs = args.map((arg) => `${arg.expr}: ${arg.type.kind}`);
      const all = [...inputs, ...(k === null ? [] : [`k ${k}`])].join(', ');
      return { name, text: `${fn}(${all}): ${type.kind}` };
    }),
    columns: [],
  };
}

function typeText({ kind }: DataType, nullable: boolean): string {
  return nullable ? `${kind}?` : kind;
}
