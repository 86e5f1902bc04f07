// CRC-32C of long runs of bytes in WebAssembly, sixteen bytes a step without a table: a multiple of
// the polynomial with few terms, all of whose exponents are multiples of 128, takes a vector out of
// the message by adding it (exclusive or) to seven later ones; what is left behind them all is
// divided by tables. The idea is that of Chorba [Russell, "Chorba: A novel CRC32 implementation",
// 2024]. The multiple is ours: the first of weight eight there is, to the 128th power, which over
// two elements puts every exponent 128 times as far out. That it is a multiple is what the test
// shows that divides bit by bit.

import { crc32c, crc32cTables } from '../../base/crc32c.ts';
import { fixedMemory, startModule } from './wasm-text.ts';
import type { WasmMemory } from './wasm-text.ts';

/** How many vectors later each is added. None is nearer than those that one step takes together. */
const taps = [4, 8, 21, 61, 67, 78, 79];
const vectorBytes = 16;
const stepBytes = 64;
/** What one vector reaches. */
const reachBytes = taps.at(-1)! * vectorBytes;

/** With the tables it fits into the nearest cache of a core. */
const windowBytes = 16_384;
const tableBytes = 8_192;
// In the memory: tables, the vectors in front of the window, the window, the rest.
const historyAt = tableBytes;
const windowAt = historyAt + reachBytes;
const restAt = windowAt + windowBytes;
const restBytes = reachBytes + stepBytes;

/** Below, tables alone are as fast. */
const wideBytesMin = 512;

const p = '(local.get $p)';

/** The vector at `offset` and what reaches it. */
function reduced(offset: number): string {
  return reaching(`(v128.load offset=${offset} ${p})`, p, offset);
}

function reaching(vector: string, base: string, offset: number): string {
  return taps.reduce((sum, tap) => {
    const earlier = `(v128.load (i32.add ${base} (i32.const ${offset - tap * vectorBytes})))`;
    return `(v128.xor ${sum} ${earlier})`;
  }, vector);
}

function table(index: number, byte: string): string {
  return `(i32.load offset=${1024 * index} (i32.shl ${byte} (i32.const 2)))`;
}

function byteOf(word: string, shift: number): string {
  const shifted = shift === 0 ? word : `(i32.shr_u ${word} (i32.const ${shift}))`;
  return shift === 24 ? shifted : `(i32.and ${shifted} (i32.const 255))`;
}

function xor(terms: readonly string[]): string {
  return terms.reduce((sum, term) => `(i32.xor ${sum} ${term})`);
}

const steps = [0, 16, 32, 48];

const source = `
(func $eliminate (export "eliminate") (param $p i32) (param $to i32)
  (loop $next
    (if (i32.lt_u ${p} (local.get $to)) (then
      ${steps.map((at) => `(v128.store offset=${at} ${p} ${reduced(at)})`).join('\n      ')}
      (local.set $p (i32.add ${p} (i32.const ${stepBytes})))
      (br $next)))))
;; Adds to the rest what reaches it; where the rest stood, the window has zeros.
(func $settle (export "settle") (local $p i32)
  (loop $next
    (if (i32.lt_u ${p} (i32.const ${reachBytes})) (then
      (v128.store offset=${restAt} ${p}
        ${reaching(`(v128.load offset=${restAt} ${p})`, p, windowAt)})
      (local.set $p (i32.add ${p} (i32.const ${vectorBytes})))
      (br $next)))))
(func $divide (export "divide") (param $p i32) (param $to i32) (param $value i32) (result i32)
  (local $low i32) (local $high i32)
  (loop $eight
    (if (i32.le_u (i32.add ${p} (i32.const 8)) (local.get $to)) (then
      (local.set $low (i32.xor (local.get $value) (i32.load ${p})))
      (local.set $high (i32.load offset=4 ${p}))
      (local.set $value ${xor([
        ...[0, 1, 2, 3].map((n) => table(7 - n, byteOf('(local.get $low)', 8 * n))),
        ...[0, 1, 2, 3].map((n) => table(3 - n, byteOf('(local.get $high)', 8 * n))),
      ])})
      (local.set $p (i32.add ${p} (i32.const 8)))
      (br $eight))))
  (loop $one
    (if (i32.lt_u ${p} (local.get $to)) (then
      (local.set $value (i32.xor
        ${table(0, byteOf(`(i32.xor (local.get $value) (i32.load8_u ${p}))`, 0))}
        (i32.shr_u (local.get $value) (i32.const 8))))
      (local.set $p (i32.add ${p} (i32.const 1)))
      (br $one))))
  (local.get $value))`;

type Exports = {
  eliminate(from: number, to: number): void;
  settle(): void;
  divide(from: number, to: number, value: number): number;
};

class Divider {
  readonly #memory: WasmMemory = fixedMemory(restAt + restBytes);
  readonly #bytes = new Uint8Array(this.#memory.buffer);
  readonly #code: Exports;

  constructor() {
    new Int32Array(this.#memory.buffer).set(crc32cTables);
    this.#code = startModule<Exports>(source, this.#memory);
  }

  of(bytes: Uint8Array, from: number, to: number): number {
    const memory = this.#bytes;
    const wide = Math.floor((to - from - reachBytes) / stepBytes) * stepBytes;
    if (wide <= 0) {
      memory.set(bytes.subarray(from, to), windowAt);
      return ~this.#code.divide(windowAt, windowAt + to - from, -1) >>> 0;
    }
    memory.fill(0, historyAt, windowAt);
    for (let done = 0; done < wide; done += windowBytes) {
      const count = Math.min(windowBytes, wide - done);
      memory.set(bytes.subarray(from + done, from + done + count), windowAt);
      // As if all bits of the register were set in the beginning.
      if (done === 0) for (let at = 0; at < 4; at++) memory[windowAt + at]! ^= 255;
      this.#code.eliminate(windowAt, windowAt + count);
      memory.copyWithin(historyAt, historyAt + count, windowAt + count);
    }
    memory.fill(0, windowAt, windowAt + reachBytes);
    memory.set(bytes.subarray(from + wide, to), restAt);
    this.#code.settle();
    return ~this.#code.divide(restAt, restAt + to - from - wide, 0) >>> 0;
  }
}

let divider: Divider | null = null;

/** Of the bytes from `from` to before `to`, unsigned. */
export function wideCrc32c(bytes: Uint8Array, from: number, to: number): number {
  if (to - from < wideBytesMin) return crc32c(bytes, from, to);
  divider ??= new Divider();
  return divider.of(bytes, from, to);
}
