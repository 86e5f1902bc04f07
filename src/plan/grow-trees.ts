// Trees of merging stages: where many partitions give partials to the one partition of an aggregate
// without keys, stages in between merge them a few at a time, so that no task waits for all of them
// [Drizzle §3.2]. Needs to know how many partitions the sources have; where that is not known yet,
// the plan stays as it is.

import { assert } from '../base/assert.ts';
import type { SourceId } from './logical-plan.ts';
import { resolveCount } from './partition-counts.ts';
import type { Exchange, ExchangeId, Stage, StageId, StageOperator } from './physical-plan.ts';

export type StagesAndExchanges = {
  readonly stages: readonly Stage[];
  readonly exchanges: readonly Exchange[];
};

export function growTrees(
  plan: StagesAndExchanges,
  sourcePartitions: ReadonlyMap<SourceId, number>,
): StagesAndExchanges {
  return new TreeGrower(plan, sourcePartitions).grow();
}

type Aggregate = Extract<StageOperator, { kind: 'aggregate' }>;

class TreeGrower {
  readonly #plan: StagesAndExchanges;
  readonly #sourcePartitions: ReadonlyMap<SourceId, number>;
  readonly #stages: Stage[] = [];
  readonly #exchanges: Exchange[];
  /** New number of each stage there was. */
  readonly #renumbered: StageId[] = [];

  constructor(plan: StagesAndExchanges, sourcePartitions: ReadonlyMap<SourceId, number>) {
    this.#plan = plan;
    this.#sourcePartitions = sourcePartitions;
    this.#exchanges = [...plan.exchanges];
  }

  grow(): StagesAndExchanges {
    for (const stage of this.#plan.stages) {
      const input = this.#grownInput(stage);
      const id = this.#stages.length as StageId;
      this.#renumbered.push(id);
      this.#stages.push({ ...stage, id, input });
      for (const output of stage.outputs) this.#change(output, { from: id });
      if (input.kind === 'scan') continue;
      for (const exchange of input.exchanges) this.#change(exchange, { to: id });
    }
    return { stages: this.#stages, exchanges: this.#exchanges };
  }

  #grownInput({ input, root }: Stage): Stage['input'] {
    const [aggregate] = root;
    if (input.kind === 'scan' || aggregate?.kind !== 'aggregate') return input;
    const { fanIn } = aggregate;
    if (fanIn === null) return input;
    const exchanges = input.exchanges.map((id) => this.#growTree(id, aggregate, fanIn));
    return { ...input, exchanges };
  }

  /** Puts merging stages behind the exchange; gives the exchange that leaves the last of them. */
  #growTree(id: ExchangeId, aggregate: Aggregate, fanInMax: number): ExchangeId {
    let producers = this.#producersOf(id);
    const levels = levelsOf(producers, fanInMax);
    const fanIn = smallestFanIn(producers, levels);
    let leaving = id;
    for (let level = 1; level < levels; level++) {
      producers = Math.ceil(producers / fanIn);
      leaving = this.#merge(leaving, { aggregate, level, producers, fanIn });
    }
    return leaving;
  }

  #producersOf(id: ExchangeId): number {
    const from = this.#plan.exchanges[id].from;
    return resolveCount(this.#plan.stages[from].partitions, (source) => {
      const count = this.#sourcePartitions.get(source);
      assert(count !== undefined, `nobody has counted the partitions of source ${source}`);
      return count;
    });
  }

  #merge(
    entering: ExchangeId,
    merge: {
      readonly aggregate: Aggregate;
      readonly level: number;
      readonly producers: number;
      readonly fanIn: number;
    },
  ): ExchangeId {
    const { aggregate, level, producers, fanIn } = merge;
    const stage = this.#stages.length as StageId;
    const leaving = this.#exchanges.length as ExchangeId;
    const { schema, carries } = this.#exchanges[entering];
    const partitioning = { kind: 'single' } as const;
    this.#change(entering, { to: stage, partitioning: { kind: 'fan-in', fanIn } });
    this.#exchanges.push({ id: leaving, from: stage, to: stage, schema, carries, partitioning });
    const root: StageOperator = {
      id: `${aggregate.id}/merge${level}` as StageOperator['id'],
      kind: 'merge-partials',
      schema,
      aggregate: aggregate.aggregate,
      exchange: leaving,
      next: [],
    };
    this.#stages.push({
      id: stage,
      input: { kind: 'exchanges', exchanges: [entering] },
      partitions: { kind: 'fixed', count: producers },
      root: [root],
      outputs: [leaving],
    });
    return leaving;
  }

  #change(id: ExchangeId, change: Partial<Exchange>): void {
    this.#exchanges[id] = { ...this.#exchanges[id], ...change };
  }
}

/** ⌈log of `producers` to the base `fanIn`⌉, at least 1: exchanges on the way to one partition. */
function levelsOf(producers: number, fanIn: number): number {
  let levels = 1;
  for (let reach = fanIn; reach < producers; reach *= fanIn) levels++;
  return levels;
}

/** The levels share the work: 33 partitions at most 32 at a time go 6 and 6, not 32 and 2. */
function smallestFanIn(producers: number, levels: number): number {
  let fanIn = 2;
  while (fanIn ** levels < producers) fanIn++;
  return fanIn;
}
