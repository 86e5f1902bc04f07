// Which source partitions have ended by themselves, and in which micro-batch.

import type { BatchNumber } from '../protocol/ids.ts';
import { noBatch } from '../protocol/ids.ts';
import type { Place } from '../protocol/messages.ts';
import type { Template } from '../protocol/template.ts';

export class SourceEnds {
  /** By `stage/partition`. */
  readonly #ended = new Map<string, BatchNumber>();
  #partitions = 0;

  placedBy(template: Template): void {
    this.#partitions = 0;
    for (const { source, placement } of template.stages) {
      if (source) this.#partitions += placement.length;
    }
  }

  ended(place: Place, batch: BatchNumber): void {
    this.#ended.set(nameOf(place), batch);
  }

  /** It is read again from where its end is not known. */
  goesOn(place: Place): void {
    this.#ended.delete(nameOf(place));
  }

  get all(): boolean {
    return this.#ended.size === this.#partitions;
  }

  /** The last micro-batch in which one ended; -1: none has. */
  get through(): BatchNumber {
    return Math.max(noBatch, ...this.#ended.values()) as BatchNumber;
  }
}

function nameOf({ stage, partition }: Place): string {
  return `${stage}/${partition}`;
}
