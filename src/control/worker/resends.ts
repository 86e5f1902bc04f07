// Sends blocks again after a recovery: as far as receivers have room, and what lies on disk once it
// is read from there.

import type { BatchNumber, WorkerId } from '../protocol/ids.ts';
import type { BlockEntry, Handle } from '../protocol/messages.ts';
import type { Blocks } from './delivery.ts';
import type { Resend } from './resend-queue.ts';
import { ResendQueue } from './resend-queue.ts';

/** What it may see and do of its worker. */
export type ResendsHost = {
  /** Bytes that are read from the disk at once. */
  readonly loadBytesMax: number;
  /** A checkpoint covers everything through here. */
  retiredThrough(): BatchNumber;
  give(to: WorkerId, blocks: Blocks, only: readonly number[] | null): void;
  /** Orders the outputs of blocks from the disk; `blocksRead` follows. */
  read(read: number, stored: readonly Handle[]): void;
};

/** A null entry is on disk. */
type Loading = { readonly resend: Resend; readonly entries: readonly (BlockEntry | null)[] };

export class Resends {
  readonly #host: ResendsHost;
  #queue = new ResendQueue([], () => -1 as BatchNumber);
  #reads = 0;
  #reading: {
    readonly read: number;
    readonly to: WorkerId;
    readonly resends: readonly Loading[];
  } | null = null;

  constructor(host: ResendsHost) {
    this.#host = host;
  }

  /** All start over. `takenBy`: where a receiver does. */
  begin(resends: readonly Resend[], takenBy: (worker: WorkerId) => BatchNumber): void {
    this.#queue = new ResendQueue(resends, takenBy);
    this.#reading = null;
    this.#send();
  }

  /** What has not gone out. */
  get rest(): readonly Resend[] {
    const reading = this.#reading?.resends.map(({ resend }) => resend) ?? [];
    return [...reading, ...this.#queue.rest];
  }

  /** How far the tasks of a receiver have come. */
  heard(worker: WorkerId, takenThrough: BatchNumber): void {
    if (this.#queue.heard(worker, takenThrough)) this.#send();
  }

  /** Takes its place among those that wait for the same receiver; false: none does. */
  insert(resend: Resend): boolean {
    if (!this.#queue.insert(resend)) return false;
    this.#send();
    return true;
  }

  /** False: nobody waits for it any more. */
  blocksRead(read: number, outputs: readonly Handle[]): boolean {
    if (this.#reading?.read !== read) return false;
    const { to, resends } = this.#reading;
    this.#reading = null;
    this.#queue.read(to, false);
    let next = 0;
    for (const loading of resends) {
      const end = next + loading.entries.filter((entry) => entry === null).length;
      this.#give(loading, outputs.slice(next, end));
      next = end;
    }
    this.#send();
    return true;
  }

  /** Sends what its receivers have room for, and orders from the disk what is not in memory. */
  #send(): void {
    for (const to of this.#queue.receivers) {
      while (!this.#queue.isReading(to)) {
        const resend = this.#next(to);
        if (resend === null) break;
        const entries = resend.entries.map(inMemory);
        if (entries.includes(null)) {
          if (this.#reading === null) this.#read(to);
          break;
        }
        this.#queue.shift(to);
        this.#give({ resend, entries }, []);
      }
    }
  }

  #next(to: WorkerId): Resend | null {
    for (;;) {
      const resend = this.#queue.first(to);
      if (resend === null || resend.batch > this.#host.retiredThrough()) return resend;
      // A checkpoint covers it by now: everybody has done with it.
      this.#queue.shift(to);
    }
  }

  /** Several at once, since each waits for the disk; not more than there is room for. */
  #read(to: WorkerId): void {
    const resends: Loading[] = [];
    const stored: Handle[] = [];
    let bytes = 0;
    this.#queue.read(to, true);
    while (bytes < this.#host.loadBytesMax) {
      const resend = this.#next(to);
      if (resend === null) break;
      this.#queue.shift(to);
      // What goes to the disk from now on is sent from here.
      const entries = resend.entries.map(inMemory);
      resends.push({ resend, entries });
      resend.entries.forEach((kept, index) => {
        if (entries[index] !== null) return;
        stored.push(kept.stored);
        bytes += kept.bytes;
      });
    }
    const read = this.#reads++;
    this.#reading = { read, to, resends };
    this.#host.read(read, stored);
  }

  /** `loaded`: the outputs of those of its blocks that were on disk. */
  #give({ resend, entries: present }: Loading, loaded: readonly Handle[]): void {
    const { to, batch, exchange, partitions } = resend;
    let next = 0;
    const entries = present.map((entry, index): BlockEntry => {
      return entry ?? { ...resend.entries[index]!.entry, output: loaded[next++] };
    });
    this.#host.give(to, { batch, exchange, entries }, partitions);
  }
}

function inMemory({ place, entry }: Resend['entries'][number]): BlockEntry | null {
  return place === 'disk' ? null : entry;
}
