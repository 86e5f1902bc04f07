// Arbitrary messages of every kind, and codecs for handles that stand for the runtime's.

import fc from 'fast-check';
import type { StreamErrorData } from '../../base/stream-error.ts';
import { batchNumberMax, groupSizeMax, partitionsMax, stagesMax } from '../limits.ts';
import type { HandleCodec, MessageCodecs } from './handle-codec.ts';
import type { HandshakeMessage } from './handshake.ts';
import { nonceBytes } from './handshake.ts';
import type { HostMessage } from './host-messages.ts';
import type { BatchNumber, GroupId, Incarnation, PlacementVersion, Term, WorkerId } from './ids.ts';
import type {
  BatchSpan,
  DriverMessage,
  Handle,
  PeerMessage,
  Report,
  WorkerMessage,
  WorkerStatus,
} from './messages.ts';
import type { Recovery } from './recovery.ts';
import type { Template } from './template.ts';
import { workersIn } from './template.ts';
import { protocolVersion } from './version.ts';

/** Handles are texts or null here. */
const textCodec: HandleCodec = {
  write: (to, handle) => {
    to.flag(handle !== null);
    if (handle !== null) to.text(handle as string, 1000);
  },
  read: (from) => (from.flag('handle') ? from.text('handle', 1000) : null),
};

export const textCodecs: MessageCodecs = {
  output: textCodec,
  gauges: textCodec,
  range: textCodec,
  snapshot: textCodec,
};

const number = fc.oneof(fc.nat(), fc.maxSafeNat());
const small = fc.nat({ max: 100 });
const term = number as fc.Arbitrary<Term>;
const incarnation = number as fc.Arbitrary<Incarnation>;
const version = number as fc.Arbitrary<PlacementVersion>;
const batch = fc.oneof(
  fc.integer({ min: -1, max: 100 }),
  fc.integer({ min: -1, max: batchNumberMax }),
) as fc.Arbitrary<BatchNumber>;
const worker = small as fc.Arbitrary<WorkerId>;
const ms = fc.double({ min: 0, max: 1e15, noNaN: true }).map((value) => value + 0);
const stage = fc.nat({ max: stagesMax });
const partition = fc.nat({ max: partitionsMax });
const text = fc.string({ maxLength: 40, unit: 'grapheme' });
const handle = fc.option(text);
const range = fc.option(text);
const place = { stage, partition };
const task = fc.record({ ...place, batch });
const members = fc.array(fc.record({ worker, incarnation }));
/** By micro-batch, by part. */
const ranges = fc.array(fc.array(text, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 5,
});
const snapshots = fc.array(fc.record({ ...place, snapshot: handle, range }));
/** Steps to the next beginning or end of a span, all of them forward. */
const steps = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.integer({ min: 1, max: 4 })), {
  minLength: 1,
  maxLength: 4,
});

function spansOf(first: number, forward: readonly (readonly number[])[]): readonly BatchSpan[] {
  let next = first;
  return forward.map(([gap, length]) => {
    const start = (next + gap!) as BatchNumber;
    next = start + length!;
    return { first: start, end: next as BatchNumber };
  });
}

export const error: fc.Arbitrary<StreamErrorData> = fc.record({
  code: text,
  message: text,
  hint: fc.option(text),
  stack: fc.option(text),
  fields: fc.dictionary(
    text.filter((name) => name !== '__proto__'),
    fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null)),
    { maxKeys: 5, noNullPrototype: true },
  ),
});

/** A chain of stages, each with one exchange to the next: enough for every field to vary. */
const template: fc.Arbitrary<Template> = fc
  .record({
    version,
    planHash: text,
    delivery: fc.constantFrom('push', 'pull'),
    partMs: fc.constantFrom(null, 0.5, 10),
    reach: fc.constantFrom('none' as const, 'lost' as const, 'all' as const),
    sinks: fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
    placements: fc.array(fc.array(worker, { minLength: 1, maxLength: 6 }), {
      minLength: 1,
      maxLength: 5,
    }),
    isRouted: fc.boolean(),
    backed: fc.uniqueArray(fc.nat(100), { maxLength: 4 }),
  })
  .map(({ placements, delivery, isRouted, sinks, backed, ...rest }) => ({
    ...rest,
    backups: backed
      .sort((a, b) => a - b)
      .map((of) => ({ of: of as WorkerId, at: (of + 1) as WorkerId })),
    delivery: delivery as Template['delivery'],
    exchanges: placements.slice(1).map((_, from) => {
      const producers = placements[from]?.length ?? 0;
      const consumers = placements[from + 1]?.length ?? 0;
      const fanIn = Math.ceil(producers / consumers);
      const feedsEach = Math.ceil(producers / fanIn) === consumers;
      return { from, to: from + 1, ...(isRouted && feedsEach ? { fanIn } : {}) };
    }),
    stages: placements.map((placement, id) => ({
      source: id === 0,
      inputs: id === 0 ? [] : [id - 1],
      outputs: id === placements.length - 1 ? [] : [id],
      sinks: sinks[id]!,
      placement,
    })),
  }));

/** What is to happen to one partition of a template. */
const fate = fc.record({
  moved: fc.boolean(),
  snapshot: fc.option(fc.record({ snapshot: handle, range })),
  known: fc.option(ranges),
  rerun: fc.option(steps),
});

/** In itself consistent, as what is planned is. */
export const recovery: fc.Arbitrary<Recovery> = template.chain((installed) => {
  const places = installed.stages.flatMap((stage, id) =>
    stage.placement.map((_, index) => ({ stage: id, partition: index })),
  );
  const checkpointed = fc.oneof(fc.constant(-1), fc.nat({ max: 1000 }));
  const fates = fc.array(fate, { minLength: places.length, maxLength: places.length });
  const through = fc.infiniteStream(batch);
  return fc
    .record({ round: number, cut: number, final: fc.boolean(), checkpointed, fates, through })
    .map(({ checkpointed: checkpoint, fates: all, through: done, ...rest }) => {
      const first = (checkpoint + 1) as BatchNumber;
      const end = (first + 50) as BatchNumber;
      const fated = places.map((at, index) => ({ at, ...all[index]! }));
      const moved = fated.filter((one) => one.moved);
      const isSource = ({ at }: { readonly at: { readonly stage: number } }): boolean =>
        installed.stages[at.stage]!.source;
      const reruns = fated.filter(isSource).flatMap(({ at, moved: isMoved, known, rerun }) => {
        const stop = isMoved ? first + (known?.length ?? 0) : end;
        const spans = spansOf(first, rerun ?? []).filter((span) => span.end <= stop);
        return spans.length === 0 ? [] : [{ ...at, spans }];
      });
      return {
        ...rest,
        template: installed,
        checkpoint: checkpoint as BatchNumber,
        end,
        moved: moved.map(({ at }) => at),
        snapshots: moved.flatMap(({ at, snapshot }) =>
          snapshot === null || checkpoint < 0 ? [] : [{ ...at, ...snapshot }],
        ),
        known: moved
          .filter(isSource)
          .flatMap(({ at, known }) =>
            known === null ? [] : [{ ...at, first, ranges: known as Handle[][] }],
          ),
        reruns,
        done: workersIn(installed).map((id) => ({ worker: id, through: done.next().value })),
      };
    });
});

export const driverMessage: fc.Arbitrary<DriverMessage> = fc.oneof(
  fc.record({ kind: fc.constant('install-template' as const), term, template }),
  fc
    .record({
      kind: fc.constant('start-group' as const),
      term,
      version,
      group: number as fc.Arbitrary<GroupId>,
      first: batch,
      count: fc.nat({ max: groupSizeMax }),
      intervalMs: ms,
      anchorMs: ms,
      reportAt: batch,
      retireThrough: batch,
      final: fc.boolean(),
      stage: fc.option(fc.nat({ max: stagesMax - 1 })),
      checkpointAfter: fc.option(fc.nat({ max: groupSizeMax })),
    })
    .map(({ checkpointAfter: after, ...order }) => {
      const at = after === null || order.count === 0 ? -1 : order.first + (after % order.count);
      return { ...order, checkpointAt: Math.min(at, batchNumberMax) as BatchNumber };
    }),
  fc.record({ kind: fc.constant('ask-cut' as const), term, cut: number, from: batch }),
  fc.record({ kind: fc.constant('set-boundary' as const), term, cut: number, end: batch }),
  fc.record({ kind: fc.constant('stop' as const), term }),
  fc.record({
    kind: fc.constant('locations' as const),
    term,
    batch,
    exchange: stage,
    workers: fc.array(worker),
  }),
  fc.record({
    kind: fc.constant('ask-status' as const),
    term,
    round: number,
    members,
    moves: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('recover' as const), term, recovery }),
  fc.record({
    kind: fc.constant('hold-back' as const),
    term,
    change: number,
    holdsBack: fc.boolean(),
  }),
);

const report: fc.Arbitrary<Report> = fc.record({
  version,
  startedThrough: batch,
  doneThrough: batch,
  ended: fc.array(task),
  makespansMs: fc.array(ms),
  busyMs: ms,
  tasksRun: number,
  queued: number,
  keptBytes: number,
  spilledBytes: number,
  pressure: fc.constantFrom('none', 'checkpoint', 'hold-back'),
  gauges: handle,
});

const status: fc.Arbitrary<WorkerStatus> = fc.record({
  version: fc.oneof(fc.constant(-1), fc.nat()) as fc.Arbitrary<PlacementVersion>,
  owned: fc.array(fc.record({ ...place, next: batch, endedAt: batch })),
  startedThrough: batch,
  doneThrough: batch,
  finalBatch: batch,
  refused: members,
  ranges: fc.array(
    fc.record({ ...place, first: fc.nat() as unknown as fc.Arbitrary<BatchNumber>, ranges }),
  ),
  kept: fc.array(
    fc
      .record({ ...place, first: fc.nat(), forward: steps })
      .map(({ first, forward, ...at }) => ({ ...at, spans: spansOf(first, forward) })),
  ),
});

export const workerMessage: fc.Arbitrary<WorkerMessage> = fc.oneof(
  fc.record({ kind: fc.constant('template-installed' as const), term, incarnation, version }),
  fc.record({ kind: fc.constant('report' as const), term, incarnation, report }),
  fc.record({
    kind: fc.constant('cut-answer' as const),
    term,
    incarnation,
    cut: number,
    from: batch,
  }),
  fc.record({ kind: fc.constant('task-failed' as const), term, incarnation, task, error }),
  fc.record({ kind: fc.constant('stopped' as const), term, incarnation, gauges: handle }),
  fc.record({ kind: fc.constant('stage-done' as const), term, incarnation, version, stage, batch }),
  fc.record({
    kind: fc.constant('ask-locations' as const),
    term,
    incarnation,
    batch,
    exchange: stage,
  }),
  fc.record({
    kind: fc.constant('status' as const),
    term,
    incarnation,
    round: number,
    status,
  }),
  fc.record({
    kind: fc.constant('snapshots-stored' as const),
    term,
    incarnation,
    version,
    batch,
    snapshots,
  }),
  fc.record({
    kind: fc.constant('snapshot-failed' as const),
    term,
    incarnation,
    version,
    batch,
    error,
  }),
);

const sent = { term, incarnation, version };

export const peerMessage: fc.Arbitrary<PeerMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('blocks' as const),
    ...sent,
    batch,
    exchange: stage,
    only: fc.option(
      fc.uniqueArray(partition).map((partitions) => partitions.sort((a, b) => a - b)),
    ),
    entries: fc.array(
      fc.record({
        producer: partition,
        part: fc.nat(1000),
        last: fc.boolean(),
        range,
        output: handle,
      }),
    ),
  }),
  fc.record({
    kind: fc.constant('progress' as const),
    ...sent,
    doneThrough: batch,
    takenThrough: batch,
  }),
  fc.record({ kind: fc.constant('pull' as const), ...sent, batch, exchange: stage }),
  fc.record({ kind: fc.constant('frontier' as const), ...sent, durableThrough: batch }),
  fc.record({
    kind: fc.constant('backup' as const),
    ...sent,
    copies: fc.array(
      fc.record({
        batch,
        exchange: stage,
        producer: partition,
        bytes: fc.nat(1e6),
        output: handle,
      }),
    ),
  }),
);

const bytes = fc.uint8Array({ maxLength: 3000 });
const nonce = fc.uint8Array({ minLength: nonceBytes, maxLength: nonceBytes });
const mac = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }),
  fc.constant(new Uint8Array(0)),
);
const identity = { release: text, runtime: text, timeZone: text };

export const handshakeMessage: fc.Arbitrary<HandshakeMessage> = fc.oneof(
  fc.record({
    kind: fc.constant('hello' as const),
    protocol: fc.constant(protocolVersion),
    role: fc.constantFrom('host' as const, 'peer' as const, 'returning' as const),
    host: text,
    ...identity,
    planHash: text,
    address: text,
    incarnation,
    port: fc.nat({ max: 65_535 }),
    workers: small,
    nonce,
  }),
  fc.record({ kind: fc.constant('challenge' as const), ...identity, nonce }),
  fc.record({ kind: fc.constant('proof' as const), mac }),
  fc.record({ kind: fc.constant('welcome' as const), mac }),
  fc.record({ kind: fc.constant('refused' as const), error }),
);

export const hostMessage: fc.Arbitrary<HostMessage> = fc.oneof(
  fc.record({
    kind: fc.constantFrom('to-worker' as const, 'to-driver' as const),
    worker,
    message: bytes,
  }),
  fc.record({ kind: fc.constant('job' as const), text }),
  fc.record({ kind: fc.constant('need-code' as const) }),
  fc.record({ kind: fc.constant('code' as const), offset: small, bytes }),
  fc.record({ kind: fc.constantFrom('joined' as const, 'closed' as const), worker }),
  fc.record({
    kind: fc.constant('commit' as const),
    worker,
    commit: number,
    sink: small,
    partition,
    since: version,
    batch,
    watermarkMs: fc.oneof(ms, fc.constantFrom(Infinity, -Infinity)),
    rows: bytes,
  }),
  fc.record({
    kind: fc.constant('committed' as const),
    worker,
    commit: number,
    error: fc.option(error),
  }),
  fc.record({ kind: fc.constant('failed' as const), worker: fc.option(worker), error }),
  fc.record({ kind: fc.constant('peer-lost' as const), host: text, error }),
  fc.record({ kind: fc.constant('ping' as const), sentMs: ms }),
  fc.record({ kind: fc.constant('pong' as const), sentMs: ms, nowMs: ms }),
  fc.record({ kind: fc.constant('end' as const), error: fc.option(error) }),
  fc.record({ kind: fc.constant('host-added' as const), text }),
  fc.record({ kind: fc.constant('host-removed' as const), host: text }),
);
