// Where the next line feed is, for bytes that are searched all through: 64 bytes at a time in
// WebAssembly. `Uint8Array.indexOf` looks at one by one, which takes longer than scanning JSON.

import { fixedMemory, startModule } from './wasm-text.ts';

const windowBytes = 65_536;
/** Behind the window: loads reach beyond its end. */
const paddingBytes = 64;

type SearchExports = { search(from: number, to: number): number };

const q = '(local.get $q)';

function hits(offset: number): string {
  return `(i8x16.eq (v128.load offset=${offset} ${q}) (i8x16.splat (i32.const 10)))`;
}

/** Gives a place at or behind `to` where there is none. */
const source = `
(func $search (export "search") (param $q i32) (param $to i32) (result i32) (local $hits i32)
  (loop $wide
    (if (i32.lt_u ${q} (local.get $to)) (then
      (if (i32.eqz (v128.any_true
          (v128.or (v128.or ${hits(0)} ${hits(16)}) (v128.or ${hits(32)} ${hits(48)})))) (then
        (local.set $q (i32.add ${q} (i32.const 64)))
        (br $wide))))))
  (loop $near
    (if (i32.lt_u ${q} (local.get $to)) (then
      (local.set $hits (i8x16.bitmask ${hits(0)}))
      (if (local.get $hits) (then (return (i32.add ${q} (i32.ctz (local.get $hits))))))
      (local.set $q (i32.add ${q} (i32.const 16)))
      (br $near))))
  ${q})`;

export class NewlineSearch {
  readonly #window: Uint8Array;
  readonly #search: SearchExports;
  #bytes: Uint8Array = new Uint8Array(0);
  #from = 0;
  #to = 0;

  constructor() {
    const memory = fixedMemory(windowBytes + paddingBytes);
    this.#window = new Uint8Array(memory.buffer, 0, windowBytes);
    this.#search = startModule<SearchExports>(source, memory);
  }

  /** What was there may have changed: forgets what it has copied. */
  begin(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#from = 0;
    this.#to = 0;
  }

  /**
   * The first line feed in [from, to), or Infinity. Sees a place as it was when it was first
   * passed, so what lies behind the last answer may be overwritten meanwhile.
   */
  next(from: number, to: number): number {
    for (let position = from; position < to;) {
      if (position < this.#from || position >= this.#to) this.#copy(position);
      const end = Math.min(this.#to, to) - this.#from;
      const found = this.#search.search(position - this.#from, end);
      if (found < end) return found + this.#from;
      position = this.#from + end;
    }
    return Number.POSITIVE_INFINITY;
  }

  #copy(from: number): void {
    const to = Math.min(from + windowBytes, this.#bytes.length);
    this.#window.set(this.#bytes.subarray(from, to));
    this.#from = from;
    this.#to = to;
  }
}
