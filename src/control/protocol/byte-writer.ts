// Writes one message as bytes: little-endian, counts and ids as varints. Large blocks are taken by
// reference, so that a message is a list of pieces which a socket writes together without a copy.

import { assert } from '../../base/assert.ts';

/** Below this a copy is cheaper than a piece of its own. */
const copyBytesMax = 1024;

const encoder = new TextEncoder();

export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  /** Start of what is in `#bytes` and not yet a piece. */
  #from = 0;
  #at = 0;
  #pieces: Uint8Array[] = [];
  /** Bytes in `#pieces`. */
  #before = 0;
  readonly #allocate: (bytes: number) => Uint8Array;

  /** `allocate` gives the memory of what is not taken by reference. */
  constructor(allocate: (bytes: number) => Uint8Array = (bytes) => new Uint8Array(bytes)) {
    this.#allocate = allocate;
    this.#bytes = allocate(copyBytesMax);
    this.#view = viewOf(this.#bytes);
  }

  /** Bytes so far. */
  get length(): number {
    return this.#before + this.#at - this.#from;
  }

  u8(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }

  u16(value: number): void {
    this.#room(2);
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
  }

  u32(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  f64(value: number): void {
    this.#room(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  flag(value: boolean): void {
    this.u8(value ? 1 : 0);
  }

  /** Seven bits a byte, the lowest first; up to 2^53 - 1. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'a varint is a whole number from 0');
    this.#room(8);
    let rest = value;
    while (rest >= 128) {
      this.#bytes[this.#at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#at++] = rest;
  }

  /** Length and UTF-8. */
  text(value: string, bytesMax: number): void {
    const bytes = encoder.encode(value);
    assert(bytes.length <= bytesMax, 'a text fits its bound');
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /** Length and bytes. */
  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value);
  }

  /** Bytes as they are; long ones by reference, so they must not change any more. */
  raw(value: Uint8Array): void {
    if (value.length > copyBytesMax) {
      this.#cut();
      this.#pieces.push(value);
      this.#before += value.length;
      return;
    }
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  /** Zeros up to the next multiple of 8 from the message's first byte. */
  align(): void {
    while (this.length % 8 !== 0) this.u8(0);
  }

  /** The message as pieces; the writer is not used again. */
  finish(): readonly Uint8Array[] {
    this.#cut();
    return this.#pieces;
  }

  #cut(): void {
    if (this.#at === this.#from) return;
    this.#pieces.push(this.#bytes.subarray(this.#from, this.#at));
    this.#before += this.#at - this.#from;
    this.#from = this.#at;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#bytes.length) return;
    const grown = this.#allocate(Math.max(copyBytesMax, 2 * (this.#at - this.#from) + bytes));
    grown.set(this.#bytes.subarray(this.#from, this.#at));
    this.#bytes = grown;
    this.#view = viewOf(grown);
    this.#at -= this.#from;
    this.#from = 0;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
