// Snapshots of keyed state: bytes and milliseconds for a million groups, bases and deltas after a
// share of the groups has changed at random, restoring, and what noting changes costs a fold. The
// cut is what a worker's tasks wait for; it is synchronous, so the thread's processor time says how
// long, and says it on a busy machine, too.

import process from 'node:process';
import { formatBytes, formatCount } from '../src/base/format.ts';
import type { Batch, Vector } from '../src/data/columnar/batch.ts';
import { encodeUtf8 } from '../src/data/columnar/utf8.ts';
import { describeAggregate } from '../src/plan/state-spec.ts';
import { createKeyedState } from '../src/data/state/keyed-state.ts';
import type { KeyedState } from '../src/data/state/keyed-state.ts';
import { PartitionState } from '../src/data/task/partition-state.ts';
import { Random } from '../src/base/random.ts';
import type { AggregateCall, AggregateSpec, WindowSpec } from '../src/plan/logical-plan.ts';
import { partialSchema } from '../src/plan/partials.ts';
import { aggregateCall, column, schemaOf } from '../src/testing/plan-builder.ts';
import { numberArgument, print, spread, spreadText } from './figures.ts';
import type { Spread } from './figures.ts';
import type { BenchOptions } from './main.ts';

const batchRows = 10_000;
const shares = [0.01, 0.1];
const untilMs = 1e12;

type Case = {
  readonly name: string;
  readonly groups: number;
  readonly key: 'int64' | 'string';
  readonly window: WindowSpec;
  readonly calls: readonly AggregateCall[];
};

const value = column('value', 'float64');
const numeric = [
  aggregateCall('rows', 'count'),
  aggregateCall('total', 'sum', { args: [value], type: 'float64?' }),
  aggregateCall('most', 'max', { args: [value], type: 'float64?' }),
];
const hour: WindowSpec = { kind: 'tumbling', sizeMs: 3_600_000, offsetMs: 0 };

function cases(groups: number): readonly Case[] {
  const session: WindowSpec = { kind: 'session', gapMs: 60_000 };
  const ids = [aggregateCall('ids', 'count-distinct', { args: [value] })];
  return [
    { name: 'int64 key', groups, key: 'int64', window: { kind: 'global' }, calls: numeric },
    { name: 'text key', groups, key: 'string', window: hour, calls: numeric },
    { name: 'sessions', groups, key: 'string', window: session, calls: numeric },
    { name: 'exact distinct', groups: groups / 10, key: 'int64', window: hour, calls: ids },
  ];
}

/** Keyed state of one aggregate, fed with partials as they come over an exchange. */
class Subject {
  readonly state: KeyedState;
  readonly partition: PartitionState;
  readonly #spec: AggregateSpec;
  readonly #case: Case;

  constructor(given: Case) {
    const { key, window, calls: aggregates } = given;
    this.#case = given;
    const keys = [{ name: 'key', expr: column('key', key) }];
    const time = window.kind === 'global' ? null : column('time', 'timestamp');
    const rest = { allowedLatenessMs: 0, late: null, emit: 'close' } as const;
    this.#spec = { keys, window, aggregates, time, ...rest };
    const schema = schemaOf({ key });
    const functions = new Map<never, never>();
    this.state = createKeyedState({ aggregate: this.#spec, schema, functions });
    const aggregate = describeAggregate(this.#spec);
    const description = {
      pipeline: 'bench',
      stage: 1,
      operator: 'a',
      inputs: [],
      producers: [],
      aggregate,
    };
    const identity = { partition: 0, partitionCount: 1, description };
    this.partition = new PartitionState(identity, [this.state]);
  }

  /** Partials of the groups with these numbers. */
  partials(groups: Int32Array): Batch {
    const { key, window, calls } = this.#case;
    const count = groups.length;
    const numbers = (values: Float64Array): Vector => ({ kind: 'number', values, valid: null });
    const constant = (each: number): Vector => numbers(new Float64Array(count).fill(each));
    const vectors: Vector[] = [key === 'int64' ? longs(groups) : texts(groups)];
    if (window.kind === 'session') vectors.push(constant(untilMs), constant(untilMs + 60_000));
    else if (window.kind !== 'global') vectors.push(constant(untilMs));
    vectors.push(constant(1));
    for (const { fn } of calls) {
      if (fn === 'count-distinct') vectors.push(lists(groups));
      else vectors.push(numbers(Float64Array.from(groups)));
    }
    return { schema: partialSchema(this.#spec), rowCount: count, vectors };
  }

  fold(batches: readonly Batch[]): void {
    for (const batch of batches) this.state.fold(batch, 0);
  }
}

function longs(groups: Int32Array): Vector {
  return { kind: 'int64', values: BigInt64Array.from(groups, BigInt), valid: null };
}

/** 18 bytes each. */
function texts(groups: Int32Array): Vector {
  return strings(Array.from(groups, (group) => `customer-${String(group).padStart(9, '0')}`));
}

function lists(groups: Int32Array): Vector {
  return strings(Array.from(groups, (group) => JSON.stringify([group, group + 1, group + 2])));
}

function strings(values: readonly string[]): Vector {
  const offsets = new Int32Array(values.length + 1);
  values.forEach((text, row) => (offsets[row + 1] = offsets[row]! + text.length));
  return { kind: 'string', offsets, bytes: encodeUtf8(values.join('')), valid: null };
}

function batchesOf(subject: Subject, groups: Int32Array): Batch[] {
  const batches: Batch[] = [];
  for (let from = 0; from < groups.length; from += batchRows) {
    batches.push(subject.partials(groups.subarray(from, from + batchRows)));
  }
  return batches;
}

function shuffled(count: number, random: Random): Int32Array {
  const numbers = Int32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = random.integer(0, last);
    [numbers[last], numbers[other]] = [numbers[other]!, numbers[last]!];
  }
  return numbers;
}

/** Milliseconds of processor time of this thread. */
function timed<Result>(run: () => Result): { readonly ms: number; readonly result: Result } {
  const before = process.threadCpuUsage();
  const result = run();
  const { user, system } = process.threadCpuUsage(before);
  return { ms: (user + system) / 1000, result };
}

type CaseFigures = {
  readonly name: string;
  readonly groups: number;
  readonly baseBytes: number;
  readonly baseMs: Spread;
  readonly deltas: readonly {
    readonly share: number;
    readonly bytes: number;
    readonly ms: Spread;
  }[];
  readonly restoreMs: Spread;
};

function measure(given: Case, rounds: number): CaseFigures {
  const random = new Random(1);
  const subject = new Subject(given);
  const all = shuffled(given.groups, random);
  subject.fold(batchesOf(subject, all));
  const baseMs: number[] = [];
  const restoreMs: number[] = [];
  const deltaMs = shares.map(() => [] as number[]);
  const deltaBytes = shares.map(() => 0);
  let baseBytes = 0;
  for (let round = 0; round <= rounds; round++) {
    const base = timed(() => subject.partition.snapshot(round, 'base'));
    const fresh = new Subject(given);
    const restored = timed(() => fresh.partition.restore([base.result.bytes]));
    baseBytes = base.result.bytes.length;
    const isWarm = round > 0;
    if (isWarm) baseMs.push(base.ms);
    if (isWarm) restoreMs.push(restored.ms);
    shares.forEach((share, index) => {
      const changed = shuffled(given.groups, random).subarray(0, given.groups * share);
      subject.fold(batchesOf(subject, changed));
      const delta = timed(() => subject.partition.snapshot(round, 'delta'));
      if (delta.result.kind !== 'delta') throw new Error('a delta was wanted');
      deltaBytes[index] = delta.result.bytes.length;
      if (isWarm) deltaMs[index]!.push(delta.ms);
    });
  }
  return {
    name: given.name,
    groups: given.groups,
    baseBytes,
    baseMs: spread(baseMs),
    deltas: shares.map((share, index) => {
      return { share, bytes: deltaBytes[index]!, ms: spread(deltaMs[index]!) };
    }),
    restoreMs: spread(restoreMs),
  };
}

/** Processor time of restoring a group with a text key, µs. */
export function restoreUsPerGroup(groups: number): number {
  const { restoreMs } = measure(cases(groups)[1]!, 3);
  return (1000 * restoreMs.median) / groups;
}

/** Micro-batches of a round: enough that the grain of the processor's clock does not show. */
const foldsPerRound = 16;

/** Time of folding with changes noted over that without, round by round, in turns. */
function foldRatio(given: Case, rounds: number): Spread {
  const random = new Random(2);
  const all = shuffled(given.groups, random);
  const noting = new Subject(given);
  const plain = new Subject(given);
  for (const subject of [noting, plain]) subject.fold(batchesOf(subject, all));
  noting.partition.snapshot(0, 'base');
  const ratios: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const ms = new Map<Subject, number>();
    for (let fold = 0; fold < foldsPerRound; fold++) {
      const batches = batchesOf(noting, shuffled(given.groups, random).subarray(0, 100_000));
      for (const subject of fold % 2 === 0 ? [noting, plain] : [plain, noting]) {
        ms.set(subject, (ms.get(subject) ?? 0) + timed(() => subject.fold(batches)).ms);
      }
    }
    if (round > 0) ratios.push(ms.get(noting)! / ms.get(plain)!);
  }
  return spread(ratios);
}

export async function run({ json, args }: BenchOptions): Promise<void> {
  const rounds = numberArgument(args, 'rounds', 7);
  const groups = numberArgument(args, 'groups', 1_000_000);
  const figures = cases(groups).map((given) => measure(given, rounds));
  const ratio = foldRatio(cases(groups)[1]!, rounds);
  const lines = figures.flatMap(({ name, groups: count, baseBytes, baseMs, deltas, restoreMs }) => {
    const deltaLines = deltas.map(({ share, bytes, ms }) => {
      const what = `delta, ${share * 100} % changed`;
      return `  ${what.padEnd(20)}${formatBytes(bytes).padStart(8)}  ${spreadText(ms, 1)} ms`;
    });
    return [
      `${name}, ${formatCount(count)} groups`,
      `  ${'base'.padEnd(20)}${formatBytes(baseBytes).padStart(8)}  ${spreadText(baseMs, 1)} ms`,
      ...deltaLines,
      `  ${'restore of the base'.padEnd(30)}${spreadText(restoreMs, 1)} ms`,
    ];
  });
  const share = `folding text keys with changes noted takes ${spreadText(ratio, 3)} of`;
  print(
    [
      ...lines,
      `${share} the time without`,
      `processor time of the thread, ${rounds} rounds: median (least–greatest)`,
    ],
    json ? { figures, foldRatio: ratio, rounds } : null,
  );
}
