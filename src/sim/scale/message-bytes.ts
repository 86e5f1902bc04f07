// How long messages are on the wire, without encoding ten thousand of them: what the codec writes,
// with its numbers at their usual lengths, in a frame of its own.

import { unreachable } from '../../base/assert.ts';
import type { Message } from '../network.ts';

/** Length prefix, envelope, and what TCP and IP add. */
const frameBytes = 4 + 6 + 52;

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
    case 'status':
    case 'recover':
    case 'snapshots-stored':
    case 'snapshot-failed':
      // Jobs of scale lose nobody and keep no state.
      return 1000;
    case 'task-failed':
      return 1000;
    default:
      return unreachable(message);
  }
}
