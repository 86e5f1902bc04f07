// Which Kafka offset the bytes at a position belong to, for the records of one buffer.

/** Ascending in both: where each record begins, framing included, and its offset. */
export class LineTable {
  starts = new Int32Array(0);
  /** Kafka's offsets are far below 2⁵³. */
  offsets = new Float64Array(0);
  count = 0;

  /** Makes room for so many more. */
  reserve(more: number): void {
    const needed = this.count + more;
    if (needed <= this.starts.length) return;
    const size = Math.max(needed, this.starts.length * 2);
    const { starts, offsets } = this;
    this.starts = new Int32Array(size);
    this.offsets = new Float64Array(size);
    this.starts.set(starts.subarray(0, this.count));
    this.offsets.set(offsets.subarray(0, this.count));
  }

  /** The offset of the record that the byte at a position is of. */
  offsetAt(position: number): number {
    return this.offsets[Math.max(0, this.firstAt(position + 1, 0) - 1)]!;
  }

  /** The first record from `from` on that begins at or behind a position; `count`: none. */
  firstAt(position: number, from: number): number {
    return lowerBound(this.starts, { from, to: this.count, wanted: position });
  }

  /** The first record from `from` on with an offset from `offset` on. */
  firstOffset(offset: number, from: number): number {
    return lowerBound(this.offsets, { from, to: this.count, wanted: offset });
  }
}

function lowerBound(
  values: Int32Array | Float64Array,
  { from, to, wanted }: { readonly from: number; readonly to: number; readonly wanted: number },
): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
