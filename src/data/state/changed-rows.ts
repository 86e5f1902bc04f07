// Which rows of a growing table have changed since its last snapshot: a bit a row for those that
// it has; all behind them are new. Without a snapshot nothing is marked, and marking costs one
// comparison a call.

export class ChangedRows {
  /** Rows in the last snapshot; -1: no snapshot has the table. */
  savedCount = -1;
  #bits: Int32Array = new Int32Array(0);

  /** A snapshot has the table as it is now, with `count` rows. */
  reset(count: number): void {
    this.savedCount = count;
    const words = (count + 31) >> 5;
    if (this.#bits.length < words) this.#bits = new Int32Array(words + (words >> 2));
    else this.#bits.fill(0);
  }

  mark(rows: Int32Array): void {
    const saved = this.savedCount;
    if (saved <= 0) return;
    const bits = this.#bits;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      if (row < saved) bits[row >> 5]! |= 1 << (row & 31);
    }
  }

  markOne(row: number): void {
    if (row < this.savedCount) this.#bits[row >> 5]! |= 1 << (row & 31);
  }

  /** Changed rows of the last snapshot. */
  count(): number {
    let count = 0;
    for (let word of this.#words()) {
      for (; word !== 0; word &= word - 1) count++;
    }
    return count;
  }

  /** Their numbers, ascending, and behind them all new ones up to `end`. */
  list(end: number): { readonly changed: Int32Array; readonly all: Int32Array } {
    const saved = Math.max(0, this.savedCount);
    const words = this.#words();
    const changedCount = this.count();
    const all = new Int32Array(changedCount + end - saved);
    let at = 0;
    for (let index = 0; index < words.length; index++) {
      for (let word = words[index]!; word !== 0; word &= word - 1) {
        all[at++] = index * 32 + 31 - Math.clz32(word & -word);
      }
    }
    for (let row = saved; row < end; row++) all[at++] = row;
    return { changed: all.subarray(0, changedCount), all };
  }

  #words(): Int32Array {
    return this.#bits.subarray(0, (Math.max(0, this.savedCount) + 31) >> 5);
  }
}
