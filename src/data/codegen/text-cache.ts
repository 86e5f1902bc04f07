// Strings that one column had lately, so that a lambda's row does not make them again: event types,
// ids and names repeat. A direct-mapped table by a hash of a few bytes; a hit compares all bytes. A
// column whose strings do not repeat is found out, and decoded plainly for a while.

import { decodeUtf8 } from '../columnar/utf8.ts';

const slotsMin = 256;
const slotsMax = 4096;
/** Longer strings are not kept: comparing and copying them would cost as much as decoding. */
const cachedBytesMax = 40;
/** Look-ups after which the hits are counted up. */
const trialCount = 4096;
/** Strings that are decoded plainly after a trial with too few hits. */
const restCount = 16 * trialCount;

export class TextCache {
  mask = slotsMin - 1;
  bytes = new Uint8Array(slotsMin * cachedBytesMax);
  /** -1 where a slot is free. */
  lengths = new Int8Array(slotsMin).fill(-1);
  texts: string[] = new Array<string>(slotsMin).fill('');
  lookUps = 0;
  misses = 0;
  rest = 0;

  /** The string whose UTF-8 is bytes[start, end). */
  decode(bytes: Uint8Array, start: number, end: number): string {
    const length = end - start;
    if (length > cachedBytesMax || this.rest > 0) {
      if (this.rest > 0) this.rest--;
      return decodeUtf8(bytes, start, end);
    }
    if (length === 0) return '';
    if (++this.lookUps === trialCount) this.judge();
    const slot = hashOf(bytes, start, end) & this.mask;
    if (this.lengths[slot] === length) {
      const kept = this.bytes;
      const from = slot * cachedBytesMax - start;
      let at = end - 1;
      while (at >= start && bytes[at] === kept[from + at]) at--;
      if (at < start) return this.texts[slot]!;
    }
    return this.decodeInto(slot, bytes, start, end);
  }

  decodeInto(slot: number, bytes: Uint8Array, start: number, end: number): string {
    this.misses++;
    const text = decodeUtf8(bytes, start, end);
    const from = slot * cachedBytesMax - start;
    for (let at = start; at < end; at++) this.bytes[from + at] = bytes[at]!;
    this.lengths[slot] = end - start;
    this.texts[slot] = text;
    return text;
  }

  /** Under a half misses: go on. Otherwise a larger table, and if that is no help, a rest. */
  judge(): void {
    const slots = this.mask + 1;
    if (this.misses * 8 > trialCount && slots < slotsMax) this.resize(slots * 4);
    else if (this.misses * 2 > trialCount) this.rest = restCount;
    this.lookUps = 0;
    this.misses = 0;
  }

  resize(slots: number): void {
    this.mask = slots - 1;
    this.bytes = new Uint8Array(slots * cachedBytesMax);
    this.lengths = new Int8Array(slots).fill(-1);
    this.texts = new Array<string>(slots).fill('');
  }
}

/** Of the last four bytes, where ids differ, and one each of the first half and the middle. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start;
  let hash = bytes[end - 1]! | (bytes[start]! << 8) | (bytes[start + (length >> 1)]! << 16);
  if (length > 3) {
    const tail = bytes[end - 2]! | (bytes[end - 3]! << 8) | (bytes[end - 4]! << 16);
    hash = Math.imul(hash, 0x2c1b3c6d) ^ tail;
  }
  hash = Math.imul(hash ^ length, 0x297a2d39);
  return hash ^ (hash >>> 15);
}
