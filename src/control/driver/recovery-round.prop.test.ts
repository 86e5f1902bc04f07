// Planning a recovery over random jobs and losses. A model says what each worker really had; the
// plan, which sees only what survivors and the log tell, must lose none of it and run none twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../../base/random.ts';
import { ByteReader } from '../protocol/byte-reader.ts';
import { ByteWriter } from '../protocol/byte-writer.ts';
import type { BatchNumber, PlacementVersion, WorkerId } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import { textCodecs } from '../protocol/messages.fixture.ts';
import type { BatchSpan, KnownRanges, OwnedPartition, WorkerStatus } from '../protocol/messages.ts';
import { readRecovery, writeRecovery } from '../protocol/recovery-codec.ts';
import { rerunnersOf } from '../protocol/recovery.ts';
import type { Execution } from './modes.ts';
import type { PlanShape } from './placement.ts';
import type { PlannedRecovery, RoundInput } from './recovery-round.ts';
import { planRecovery } from './recovery-round.ts';

const lineage: Execution = { delivery: 'push', partMs: null, reach: 'lost' };
const rollback: Execution = { delivery: 'push', partMs: 10, reach: 'all' };
const launched: Execution = { delivery: 'pull', partMs: null, reach: 'all' };

/** One partition as it really was when the round began. */
type Partition = {
  readonly stage: number;
  readonly partition: number;
  readonly owner: WorkerId;
  /** The first micro-batch that it has not run. */
  readonly next: number;
  /** Source partitions, by micro-batch after the checkpoint: who has kept its blocks. */
  readonly keepers: ReadonlyMap<number, WorkerId>;
  /** Source partitions: ranges that the log has, and that some survivor has seen: through here. */
  readonly loggedThrough: number;
  readonly seenThrough: ReadonlyMap<WorkerId, number>;
};

type Model = {
  readonly input: RoundInput;
  readonly partitions: readonly Partition[];
  readonly survivors: readonly WorkerId[];
};

/** Some of the items, in their order. */
function some<Item>(random: Random, items: readonly Item[]): Item[] {
  return items.filter(() => random.chance(0.5));
}

function oneOf<Item>(random: Random, items: readonly Item[]): Item {
  return items[random.integer(0, items.length - 1)]!;
}

function drawShape(random: Random): PlanShape {
  const stages = Array.from({ length: random.integer(1, 4) }, () => {
    return { partitionCount: random.integer(1, 7), sinks: random.chance(0.3) };
  });
  const exchanges = stages.flatMap((_, to) =>
    some(random, [...stages.keys()].slice(0, to)).map((from) => ({ from, to })),
  );
  const of = (end: 'from' | 'to', stage: number): number[] =>
    [...exchanges.keys()].filter((index) => exchanges[index]![end] === stage);
  return {
    planHash: 'random',
    exchanges,
    stages: stages.map((stage, id) => {
      const inputs = of('to', id);
      return { ...stage, source: inputs.length === 0, inputs, outputs: of('from', id) };
    }),
  };
}

function drawModel(random: Random, execution: Execution): Model {
  const shape = drawShape(random);
  const workers = Array.from({ length: random.integer(1, 6) }, (_, index) => {
    return (3 * index + random.integer(0, 2)) as WorkerId;
  });
  const survivors = some(random, workers);
  if (survivors.length === 0) survivors.push(oneOf(random, workers));
  const checkpoint = random.integer(-1, 30);
  const partitions = shape.stages.flatMap((stage, id) =>
    Array.from({ length: stage.partitionCount }, (_, partition): Partition => {
      const owner = oneOf(random, workers);
      const next = checkpoint + 1 + random.integer(0, 8);
      // Before it came to its owner, others ran its tasks, from what the log has.
      const adoptedAt = stage.sinks ? checkpoint + 1 : random.integer(checkpoint + 1, next);
      const keepers = new Map<number, WorkerId>();
      for (let batch = checkpoint + 1; batch < next && stage.source; batch++) {
        keepers.set(batch, batch < adoptedAt ? oneOf(random, workers) : owner);
      }
      return {
        stage: id,
        partition,
        owner,
        next,
        keepers,
        loggedThrough: random.integer(adoptedAt - 1, next - 1),
        seenThrough: new Map(
          survivors.map((worker) => [worker, random.integer(checkpoint, next - 1)]),
        ),
      };
    }),
  );
  const from = { survivors, partitions, shape, checkpoint };
  const input: RoundInput = {
    round: 3,
    shape,
    execution,
    version: 7 as PlacementVersion,
    checkpoint: {
      batch: checkpoint as BatchNumber,
      snapshots:
        checkpoint < 0
          ? []
          : partitions.map(({ stage, partition }) => {
              return { stage, partition, snapshot: `${stage}/${partition}`, range: null };
            }),
    },
    hosts: new Map(survivors.map((worker) => [worker, worker])),
    statuses: new Map(survivors.map((worker) => [worker, drawStatus(random, { worker, ...from })])),
    logged: partitions
      .filter(({ stage }) => shape.stages[stage]!.source)
      .flatMap((place) => rangesOf(place, checkpoint + 1, place.loggedThrough)),
    rebalances: false,
    finalBatch: random.integer(checkpoint + 1, checkpoint + 12) as BatchNumber,
    cut: 5,
  };
  return { input, partitions, survivors };
}

function drawStatus(
  random: Random,
  model: Pick<Model, 'partitions' | 'survivors'> & {
    readonly worker: WorkerId;
    readonly shape: PlanShape;
    readonly checkpoint: number;
  },
): WorkerStatus {
  const { worker, survivors, partitions, shape, checkpoint } = model;
  const own = partitions.filter(({ owner }) => owner === worker);
  // Whoever has no partition has done all it was permitted.
  const least = Math.min(...own.map(({ next }) => next), checkpoint + 20);
  const isSource = ({ stage }: Partition): boolean => shape.stages[stage]!.source;
  const lost = partitions.filter((place) => isSource(place) && !survivors.includes(place.owner));
  return {
    version: 6 as PlacementVersion,
    owned: own.map(({ stage, partition, next }): OwnedPartition => {
      return { stage, partition, next: next as BatchNumber, endedAt: noBatch };
    }),
    // It is behind what it has run, where it took over what others had run.
    startedThrough: random.integer(-1, checkpoint + 9) as BatchNumber,
    doneThrough: random.integer(-1, least - 1) as BatchNumber,
    finalBatch: noBatch,
    refused: [],
    ranges: lost.flatMap((place) =>
      rangesOf(place, checkpoint + 1, place.seenThrough.get(worker)!),
    ),
    kept: partitions.filter(isSource).flatMap((place) => {
      const spans = spansOf([...place.keepers].filter(([, by]) => by === worker).map(([at]) => at));
      const { stage, partition } = place;
      // Without consumers there is nothing to keep.
      const keeps = shape.stages[stage]!.outputs.length > 0 && spans.length > 0;
      return keeps ? [{ stage, partition, spans }] : [];
    }),
  };
}

function rangesOf({ stage, partition }: Partition, first: number, through: number): KnownRanges[] {
  if (through < first) return [];
  const ranges: string[][] = [];
  for (let batch = first; batch <= through; batch++)
    ranges.push([rangeName(stage, partition, batch)]);
  return [{ stage, partition, first: first as BatchNumber, ranges }];
}

function rangeName(stage: number, partition: number, batch: number): string {
  return `${stage}/${partition}@${batch}`;
}

function spansOf(batches: readonly number[]): readonly BatchSpan[] {
  const spans: BatchSpan[] = [];
  for (const batch of batches) {
    const last = spans.at(-1);
    const end = (batch + 1) as BatchNumber;
    if (last?.end === batch) spans[spans.length - 1] = { ...last, end };
    else spans.push({ first: batch as BatchNumber, end });
  }
  return spans;
}

/** What can be known of a lost source partition: ranges without a gap, through here. */
function knownThrough({ input, survivors }: Model, place: Partition): number {
  const seen = survivors.map((worker) => place.seenThrough.get(worker)!);
  const { reach } = input.execution;
  return Math.max(place.loggedThrough, ...(reach === 'lost' ? seen : []));
}

function holdsFor(
  execution: Execution,
  check: (model: Model, planned: PlannedRecovery, random: Random) => void,
): void {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = new Random(seed);
      const model = drawModel(random, execution);
      check(model, planRecovery(model.input), random);
    }),
    // A smaller seed is no smaller case.
    { numRuns: 400, endOnFailure: true },
  );
}

test('planRecovery gives each lost partition one living owner, and survivors keep theirs', () => {
  holdsFor(lineage, ({ partitions, survivors }, { recovery }) => {
    const { template, moved } = recovery;
    const isMoved = new Set(moved.map(({ stage, partition }) => `${stage}/${partition}`));
    assert.equal(isMoved.size, moved.length);
    for (const { stage, partition, owner } of partitions) {
      const now = template.stages[stage]!.placement[partition]!;
      assert.ok(survivors.includes(now));
      assert.equal(isMoved.has(`${stage}/${partition}`), !survivors.includes(owner));
      if (survivors.includes(owner)) assert.equal(now, owner);
    }
    const count = template.stages.reduce((sum, { placement }) => sum + placement.length, 0);
    assert.equal(count, partitions.length);
  });
});

test('planRecovery spreads what was lost of each stage evenly over all', () => {
  holdsFor(lineage, ({ survivors }, { recovery: { template, moved } }) => {
    template.stages.forEach(({ placement }, id) => {
      const load = (worker: WorkerId): number =>
        placement.filter((owner) => owner === worker).length;
      const least = Math.min(...survivors.map(load));
      for (const { stage, partition } of moved) {
        if (stage === id) assert.ok(load(placement[partition]!) <= least + 1);
      }
    });
  });
});

test('planRecovery: each source task that somebody needs is kept or runs again, once', () => {
  holdsFor(lineage, (model, { recovery }) => {
    const { input, partitions, survivors } = model;
    const { shape, checkpoint } = input;
    const rerunnerOf = rerunnersOf(recovery);
    for (const place of partitions) {
      const { source, sinks, outputs } = shape.stages[place.stage]!;
      if (!source || outputs.length === 0) continue;
      const consumers = partitions.filter(({ stage }) =>
        outputs.some((exchange) => shape.exchanges[exchange]!.to === stage),
      );
      const lives = survivors.includes(place.owner);
      const through = lives ? place.next - 1 : knownThrough(model, place);
      const spans = recovery.reruns
        .filter(({ stage, partition }) => stage === place.stage && partition === place.partition)
        .flatMap((rerun) => rerun.spans);
      for (let batch = checkpoint.batch + 1; batch <= input.checkpoint.batch + 20; batch++) {
        const at = batch as BatchNumber;
        const times = spans.filter(({ first, end }) => first <= batch && batch < end).length;
        const kept = survivors.includes(place.keepers.get(batch)!);
        // What a lost partition with sinks had read, its new owner reads again in order.
        const replayed = sinks && !lives;
        const isNeeded = consumers.some(({ owner, next }) => {
          return !survivors.includes(owner) || batch >= next;
        });
        if (batch > through || kept || replayed) assert.equal(times, 0);
        else if (isNeeded) assert.equal(times, 1);
        if (times === 0) continue;
        assert.equal(times, 1);
        const rerunner = rerunnerOf(place, at);
        assert.ok(survivors.includes(rerunner));
        if (lives) assert.equal(rerunner, place.owner);
      }
    }
  });
});

test('planRecovery: known ranges are all there are, true, and without a gap', () => {
  for (const execution of [lineage, rollback, launched]) {
    holdsFor(execution, (model, { recovery, unlogged }) => {
      const { input, partitions, survivors } = model;
      const first = input.checkpoint.batch + 1;
      const lost = partitions.filter(({ stage, owner }) => {
        const stays = execution.reach === 'lost' && survivors.includes(owner);
        return input.shape.stages[stage]!.source && !stays;
      });
      assert.deepEqual(
        recovery.known,
        lost.flatMap((place) => rangesOf(place, first, knownThrough(model, place))),
      );
      assert.deepEqual(
        unlogged,
        lost.flatMap((place) =>
          rangesOf(place, place.loggedThrough + 1, knownThrough(model, place)),
        ),
      );
    });
  }
});

test('planRecovery ends permission behind all that was begun or decided', () => {
  holdsFor(lineage, (model, { recovery }) => {
    const { input, partitions, survivors } = model;
    assert.ok(recovery.end > input.checkpoint.batch);
    for (const { startedThrough } of input.statuses.values()) {
      assert.ok(recovery.end > startedThrough);
    }
    for (const place of partitions) {
      if (survivors.includes(place.owner)) assert.ok(recovery.end >= place.next);
      else if (input.shape.stages[place.stage]!.source) {
        assert.ok(recovery.end > knownThrough(model, place));
      }
    }
    assert.equal(recovery.final, recovery.end - 1 === input.finalBatch);
  });
});

test('planRecovery makes everything anew where the reach of a loss is all', () => {
  for (const execution of [rollback, launched]) {
    holdsFor(execution, ({ input, partitions }, { recovery }) => {
      assert.equal(recovery.moved.length, partitions.length);
      assert.deepEqual(recovery.reruns, []);
      assert.deepEqual(recovery.done, []);
      assert.equal(recovery.snapshots.length, input.checkpoint.snapshots.length);
      if (execution === launched) assert.equal(recovery.end, input.checkpoint.batch + 1);
    });
  }
});

test('planRecovery says the same for the same answers, in whatever order they came', () => {
  holdsFor(lineage, ({ input }, planned, random) => {
    assert.deepEqual(planRecovery(structuredClone(input)), planned);
    const entries = [...input.statuses];
    const chosen = some(random, entries);
    const shuffled = [...entries.filter((entry) => !chosen.includes(entry)), ...chosen];
    const again = planRecovery({ ...input, statuses: new Map(shuffled) });
    const sorted = ({ recovery, unlogged }: PlannedRecovery): unknown => {
      const done = recovery.done.toSorted((a, b) => a.worker - b.worker);
      return { unlogged, recovery: { ...recovery, done } };
    };
    assert.deepEqual(sorted(again), sorted(planned));
  });
});

test('planRecovery plans what every worker accepts when it reads it', () => {
  for (const execution of [lineage, rollback, launched]) {
    holdsFor(execution, (_, { recovery }) => {
      const writer = new ByteWriter();
      writeRecovery(writer, recovery, textCodecs);
      const reader = new ByteReader(Buffer.concat(writer.finish()));
      assert.deepEqual(reader.finish(readRecovery(reader, textCodecs)), {
        ok: true,
        value: recovery,
      });
    });
  }
});

test('planRecovery: whom an older placement gave a partition has no say in what it has run', () => {
  const [older, newer] = [1 as WorkerId, 2 as WorkerId];
  const statusOf = (version: number, next: number): WorkerStatus => ({
    version: version as PlacementVersion,
    owned: [{ stage: 0, partition: 0, next: next as BatchNumber, endedAt: noBatch }],
    startedThrough: (next - 1) as BatchNumber,
    doneThrough: (next - 1) as BatchNumber,
    finalBatch: noBatch,
    refused: [],
    ranges: [],
    kept: [{ stage: 0, partition: 0, spans: spansOf([3, 4]) }],
  });
  const statuses = new Map([
    [newer, statusOf(6, 5)],
    [older, statusOf(5, 9)],
  ]);
  const stage = { partitionCount: 1, sinks: false };
  const { recovery } = planRecovery({
    round: 1,
    shape: {
      planHash: 'two',
      exchanges: [{ from: 0, to: 1 }],
      stages: [
        { ...stage, source: true, inputs: [], outputs: [0] },
        { ...stage, source: false, inputs: [0], outputs: [] },
      ],
    },
    execution: lineage,
    version: 7 as PlacementVersion,
    checkpoint: { batch: 2 as BatchNumber, snapshots: [] },
    statuses,
    hosts: new Map(),
    logged: [],
    rebalances: false,
    finalBatch: -1 as BatchNumber,
    cut: 0,
  });
  assert.deepEqual(recovery.template.stages[0]!.placement, [newer]);
  // Micro-batches 5 to 8 have no range at the owner: it cannot run them again.
  assert.deepEqual(recovery.reruns, []);
});
