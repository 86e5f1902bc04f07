// How long messages are on the wire, without encoding ten thousand of them: what the codec writes,
// with its numbers at their usual lengths, in a frame of its own.

import { unreachable } from '../../base/assert.ts';
import type { BatchSpan, KnownRanges } from '../../control/protocol/messages.ts';
import type { Message } from '../network.ts';

/** Length prefix, envelope, and what TCP and IP add. */
const frameBytes = 4 + 6 + 52;

/** A record of a range; what names a snapshot's objects. */
const rangeBytes = 50;
const snapshotBytes = 100;

function rangesBytes(known: readonly KnownRanges[]): number {
  return known.reduce((sum, { ranges }) => sum + 8 + rangeBytes * ranges.length, 0);
}

function spansBytes(places: readonly { readonly spans: readonly BatchSpan[] }[]): number {
  return places.reduce((sum, { spans }) => sum + 4 + 6 * spans.length, 0);
}

/** `blockBytes`: what one producer gives one consumer partition, header included. */
export function messageBytes(message: Message, blockBytes: number): number {
  return frameBytes + payloadBytes(message, blockBytes);
}

export function payloadBytes(message: Message, blockBytes: number): number {
  switch (message.kind) {
    case 'install-template':
      return message.template.stages.reduce((sum, stage) => sum + 3 * stage.placement.length, 80);
    case 'start-group':
      return 35;
    case 'report':
      return 26 + 8 * message.report.makespansMs.length + 6 * message.report.ended.length;
    case 'locations':
      return 7 + 2 * message.workers.length;
    case 'blocks':
      return 9 + message.entries.length * (5 + blockBytes);
    case 'backup':
      return 4 + message.copies.reduce((sum, { bytes }) => sum + 8 + bytes, 0);
    case 'template-installed':
    case 'stage-done':
    case 'ask-locations':
    case 'ask-cut':
    case 'hold-back':
    case 'set-boundary':
    case 'cut-answer':
    case 'stop':
    case 'stopped':
    case 'progress':
    case 'frontier':
    case 'pull':
      return 8;
    case 'ask-status':
      return 8 + 4 * message.members.length;
    case 'status': {
      const { owned, ranges, kept } = message.status;
      return 16 + 6 * owned.length + rangesBytes(ranges) + spansBytes(kept);
    }
    case 'recover': {
      const { template, moved, snapshots, known, reruns, done } = message.recovery;
      const partitions = template.stages.reduce((sum, { placement }) => sum + placement.length, 80);
      const lists = 3 * moved.length + snapshotBytes * snapshots.length + 5 * done.length;
      return 3 * partitions + lists + rangesBytes(known) + spansBytes(reruns);
    }
    case 'snapshots-stored':
      return 10 + snapshotBytes * message.snapshots.length;
    case 'snapshot-failed':
    case 'task-failed':
      return 1000;
    default:
      return unreachable(message);
  }
}
