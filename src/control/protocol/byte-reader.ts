// Reads one message from bytes that nobody vouches for. It never throws and never reads beyond: the
// first problem is kept, everything read after it is zero or empty, and `finish` tells.

/** Why bytes are no message of ours. */
export type Refusal = {
  readonly reason:
    | 'cut-off'
    | 'left-over'
    | 'unknown-kind'
    | 'out-of-range'
    | 'not-text'
    | 'not-ours'
    | 'inconsistent';
  /** What was being read. */
  readonly what: string;
  /** Offset in the message. */
  readonly at: number;
};

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly refusal: Refusal };

const noBytes = new Uint8Array(0);

const strictText = new TextDecoder('utf-8', { fatal: true });

export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  #refusal: Refusal | null = null;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get ok(): boolean {
    return this.#refusal === null;
  }

  get at(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  refuse(reason: Refusal['reason'], what: string): void {
    this.#refusal ??= { reason, what, at: this.#at };
  }

  u8(what: string): number {
    return this.#has(1, what) ? this.#bytes[this.#at++]! : 0;
  }

  u16(what: string): number {
    if (!this.#has(2, what)) return 0;
    const value = this.#view.getUint16(this.#at, true);
    this.#at += 2;
    return value;
  }

  u32(what: string): number {
    if (!this.#has(4, what)) return 0;
    const value = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  f64(what: string): number {
    if (!this.#has(8, what)) return 0;
    const value = this.#view.getFloat64(this.#at, true);
    this.#at += 8;
    return value;
  }

  flag(what: string): boolean {
    const value = this.u8(what);
    if (value > 1) this.refuse('out-of-range', what);
    return value === 1;
  }

  /** A whole number from 0 to `max`. */
  varint(what: string, max: number = Number.MAX_SAFE_INTEGER): number {
    let value = 0;
    let scale = 1;
    for (let index = 0; index < 8; index++) {
      const byte = this.u8(what);
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value <= max && this.ok) return value;
        this.refuse('out-of-range', what);
        return 0;
      }
      scale *= 128;
    }
    this.refuse('out-of-range', what);
    return 0;
  }

  /** How many things follow, each of at least one byte: never more than there are bytes. */
  count(what: string, max: number): number {
    const count = this.varint(what, max);
    if (count <= this.left) return count;
    this.refuse('cut-off', what);
    return 0;
  }

  text(what: string, bytesMax: number): string {
    // A copy: platforms decode no text in shared memory.
    const bytes = this.bytes(what, bytesMax).slice();
    try {
      return strictText.decode(bytes);
    } catch {
      this.refuse('not-text', what);
      return '';
    }
  }

  /** Length and bytes, as a view. */
  bytes(what: string, bytesMax: number): Uint8Array {
    return this.raw(what, this.varint(what, bytesMax));
  }

  /** The next `length` bytes as a view. */
  raw(what: string, length: number): Uint8Array {
    if (!this.#has(length, what)) return noBytes;
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    return this.raw('rest', this.left);
  }

  align(what: string): void {
    while (this.#at % 8 !== 0 && this.ok) {
      if (this.u8(what) !== 0) this.refuse('out-of-range', what);
    }
  }

  /** The value, if there was no problem and nothing is left over. */
  finish<T>(value: T): Decoded<T> {
    if (this.#refusal === null && this.left > 0) this.refuse('left-over', 'end');
    if (this.#refusal === null) return { ok: true, value };
    return { ok: false, refusal: this.#refusal };
  }

  #has(bytes: number, what: string): boolean {
    if (this.#refusal !== null) return false;
    if (bytes <= this.left) return true;
    this.refuse('cut-off', what);
    return false;
  }
}

export function refusalText({ reason, what, at }: Refusal): string {
  return `${what} at byte ${at} is ${reason.replace('-', ' ')}`;
}
