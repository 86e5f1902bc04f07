// A usual order and a usual report: what the measurement of message costs sends.

import type { MessageCodecs } from '../../src/control/protocol/handle-codec.ts';
import type { DriverMessage, WorkerMessage } from '../../src/control/protocol/messages.ts';
import type { SourceId } from '../../src/plan/logical-plan.ts';
import { messageCodecs } from '../../src/runtime/cluster/handle-codecs.ts';
import type {
  BatchNumber,
  GroupId,
  Incarnation,
  PlacementVersion,
  Term,
} from '../../src/control/protocol/ids.ts';

/** What is opaque to the machines, by the codecs that jobs use. */
export const codecs: MessageCodecs = messageCodecs(['clicks' as SourceId]);

export const order: DriverMessage = {
  kind: 'start-group',
  term: 1 as Term,
  version: 0 as PlacementVersion,
  group: 300 as GroupId,
  first: 30_000 as BatchNumber,
  count: 100,
  stage: null,
  intervalMs: 10,
  anchorMs: 300_000,
  reportAt: 30_090 as BatchNumber,
  retireThrough: 29_990 as BatchNumber,
  final: false,
  checkpointAt: -1 as BatchNumber,
};

/** Asks for an echo. */
export const echo: DriverMessage = { kind: 'stop', term: 1 as Term };

export const report: WorkerMessage = {
  kind: 'report',
  term: 1 as Term,
  incarnation: 1 as Incarnation,
  report: {
    version: 0 as PlacementVersion,
    startedThrough: 30_001 as BatchNumber,
    doneThrough: 30_000 as BatchNumber,
    ended: [],
    makespansMs: [1.5, 1.25, 1.75, 1.5, 1.5],
    busyMs: 4.5,
    tasksRun: 20,
    queued: 0,
    keptBytes: 0,
    spilledBytes: 0,
    pressure: 'none' as const,
    gauges: null,
  },
};
