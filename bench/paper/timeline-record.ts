// Records what one machine heard, ordered and ran, by the machine's monotonic clock, which all
// processes share: so that marks of several processes can be put in order.

import process from 'node:process';
import type {
  DriverMessage,
  PeerMessage,
  WorkerMessage,
} from '../../src/control/protocol/messages.ts';
import type { DriverShellTrace, WorkerShellTrace } from '../../src/runtime/host/traces.ts';

/** A worker's number, or the driver. */
export type Node = number | 'driver';

export type Mark = { readonly atMs: number } & (
  | {
      readonly kind: 'heard' | 'sent';
      /** From whom, or to whom. */
      readonly other: Node;
      readonly message: string;
      /** What it is about; null where it is about none, or several. */
      readonly batch: number | null;
    }
  | {
      readonly kind: 'run';
      readonly run: number;
      readonly stage: number;
      readonly partition: number;
      readonly batch: number;
      /** Planned trigger. */
      readonly triggerMs: number;
    }
  | { readonly kind: 'ended'; readonly run: number; readonly tookMs: number }
  | {
      readonly kind: 'visible';
      readonly stage: number;
      readonly partition: number;
      readonly batch: number;
    }
  /** Time passed, or a source has something to read: what nobody's message caused. */
  | { readonly kind: 'woken'; readonly by: string }
);

export class Recorder {
  readonly marks: Mark[] = [];

  worker({ atMs: ownMs, event, effect }: WorkerShellTrace): void {
    const atMs = monotonicMs();
    if (event?.kind === 'message-received') {
      this.#message('heard', event.from, event.message, atMs);
    } else if (event?.kind === 'task-finished') {
      this.marks.push({ kind: 'ended', atMs, run: event.run, tookMs: event.elapsedMs });
    } else if (event?.kind === 'output-committed') {
      this.marks.push({ kind: 'visible', atMs, ...event.task });
    } else if (event !== undefined) {
      this.marks.push({ kind: 'woken', atMs, by: event.kind });
    } else if (effect?.kind === 'send-message') {
      this.#message('sent', effect.to, effect.message, atMs);
    } else if (effect?.kind === 'run-task') {
      const { run, task } = effect;
      const triggerMs = atMs + (effect.triggerMs - ownMs);
      this.marks.push({ kind: 'run', atMs, run, ...task, triggerMs });
    }
  }

  driver({ event, effect }: DriverShellTrace): void {
    const atMs = monotonicMs();
    if (event?.kind === 'message-received') {
      this.#message('heard', event.from, event.message, atMs);
    } else if (event !== undefined) {
      this.marks.push({ kind: 'woken', atMs, by: event.kind });
    } else if (effect?.kind === 'send-message') {
      this.#message('sent', effect.to, effect.message, atMs);
    }
  }

  #message(
    kind: 'heard' | 'sent',
    other: Node,
    message: DriverMessage | WorkerMessage | PeerMessage,
    atMs: number,
  ): void {
    this.marks.push({ kind, atMs, other, message: message.kind, batch: batchOf(message) });
  }
}

function batchOf(message: DriverMessage | WorkerMessage | PeerMessage): number | null {
  if (message.kind === 'start-group') return message.count === 1 ? message.first : null;
  return 'batch' in message ? message.batch : null;
}

function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
