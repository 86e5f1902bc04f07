// The state of one aggregate in one partition of a stage, and how a micro-batch goes through it:
// `fold` every block in producer order, then `finish` with the watermark after the micro-batch.
// Input is always partial aggregates; rows are made partials before they come here.

import { unreachable } from '../../base/assert.ts';
import type { Batch } from '../columnar/batch.ts';
import type { KeyedStateOptions } from './keyed-table.ts';
import { PaneState } from './pane-state.ts';
import type { StateGroups, StatePart } from './state-part.ts';
import { SessionState } from './session-state.ts';

export type KeyedState = PaneState | SessionState;

/** What every kind of keyed state does. */
export type KeyedStateMethods = {
  /** Adds partials and gives the number of rows behind those that came too late. */
  fold(partials: Batch, watermarkBeforeMs: number): number;
  /** Closes windows and gives the rows that leave, or null. */
  finish(watermarkMs: number): Batch | null;
  /** Earliest watermark at which `finish` has something to close. */
  readonly nextCloseMs: number;
  byteSize(): number;
  /** All groups, for reading state as data. */
  contents(): StateGroups[];
} & StatePart;

export function createKeyedState(options: KeyedStateOptions): KeyedState {
  const { window } = options.aggregate;
  switch (window.kind) {
    case 'tumbling':
    case 'hopping':
    case 'global':
      return new PaneState(options);
    case 'session':
      return new SessionState(options);
    default:
      return unreachable(window);
  }
}
