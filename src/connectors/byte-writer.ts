// A growing buffer of text bytes that is used again. Callers reserve room, then put bytes without
// further checks.

import { assert } from '../base/assert.ts';

const zero = 48;
const minus = 45;

export class ByteWriter {
  bytes = new Uint8Array(16_384);
  length = 0;

  reset(): void {
    this.length = 0;
  }

  reserve(byteCount: number): void {
    if (this.length + byteCount <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + byteCount));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  putByte(byte: number): void {
    this.reserve(1);
    this.bytes[this.length++] = byte;
  }

  putBytes(source: Uint8Array, start: number, end: number): void {
    const count = end - start;
    this.reserve(count);
    // A call of `set` costs as much as copying about fifty bytes one by one.
    if (count > 48) {
      this.bytes.set(source.subarray(start, end), this.length);
    } else {
      const to = this.length - start;
      for (let at = start; at < end; at++) this.bytes[to + at] = source[at];
    }
    this.length += count;
  }

  /** ASCII only. */
  putText(text: string): void {
    this.reserve(text.length);
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      assert(code < 128, 'text that is put as it is has ASCII only');
      this.bytes[this.length++] = code;
    }
  }

  /** A finite number as JavaScript and JSON write it. */
  putNumber(value: number): void {
    if (Number.isSafeInteger(value)) this.putInteger(value);
    else this.putText(String(value));
  }

  putInteger(value: number): void {
    this.reserve(17);
    const { bytes } = this;
    if (value < 0) bytes[this.length++] = minus;
    let rest = Math.abs(value);
    let count = 1;
    for (let power = 10; power <= rest; power *= 10) count++;
    let at = this.length + count;
    this.length = at;
    // Whole 32-bit numbers divide quicker.
    while (rest > 0x7fffffff) {
      const high = Math.floor(rest / 10);
      bytes[--at] = zero + (rest - high * 10);
      rest = high;
    }
    for (let left = at - (this.length - count); left > 0; left--) {
      const high = (rest / 10) | 0;
      bytes[--at] = zero + (rest - high * 10);
      rest = high;
    }
  }
}
