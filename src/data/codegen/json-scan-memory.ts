// Where the generated JSON scan and the code around it find things in the memory that they share.

import { assert } from '../../base/assert.ts';

/** Where things are in the scan's memory. */
export const scanMemory = {
  /** Results of a call: row, records, timeMax, floats to be read. */
  row: 0,
  records: 4,
  timeMax: 8,
  floatCount: 16,
  /** 17 shuffles, each of which moves n leading bytes to the end of the vector. */
  alignments: 64,
  integerPowers: 336,
  floatPowers: 480,
  edges: 640,
  edgesEnd: 66_176,
  /** Floats that need more than a division: row, field, start, end. */
  floats: 66_176,
  columns: 131_712,
} as const;

/** Offsets in an edge; behind the first come further pairs of 16 bytes and their mask. */
export const edgePlace = {
  length: 0,
  action: 4,
  next: 8,
  alternative: 12,
  seen: 16,
  extraPairs: 24,
  text: 32,
  mask: 48,
  extra: 64,
} as const;

/** The bit of a wanted member in a record's set of seen members. */
export function seenBit(node: number): bigint {
  return 1n << BigInt(node - 1);
}

/** Fills the tables that the generated code looks things up in. */
export function writeTables(buffer: ArrayBuffer): void {
  const bytes = new Uint8Array(buffer);
  const view = new DataView(buffer);
  for (let count = 0; count <= 16; count += 1) {
    for (let lane = 0; lane < 16; lane += 1) {
      const from = lane - (16 - count);
      bytes[scanMemory.alignments + count * 16 + lane] = from < 0 ? 255 : from;
    }
    view.setBigInt64(scanMemory.integerPowers + count * 8, 10n ** BigInt(count), true);
    view.setFloat64(scanMemory.floatPowers + count * 8, Number(`1e${count}`), true);
  }
  assert(scanMemory.floatPowers + 17 * 8 <= scanMemory.edges, 'the tables end before the edges');
}
