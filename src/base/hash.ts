// A 128-bit hash of text in plain JavaScript: SHA-256 (FIPS 180-4), cut to its first half, so that
// pure code can name content without a platform's crypto. For names and comparisons, not secrets.

/** 32 hex digits that stand for the text. */
export function hashText(text: string): string {
  return hashBytes(new TextEncoder().encode(text));
}

/** 32 hex digits that stand for the bytes. */
export function hashBytes(bytes: Uint8Array): string {
  const state = Int32Array.from(initialState);
  const words = new Int32Array(64);
  const whole = bytes.length - (bytes.length % blockBytes);
  for (let offset = 0; offset < whole; offset += blockBytes) mixBlock(state, words, bytes, offset);
  const tail = paddedTail(bytes, whole);
  for (let offset = 0; offset < tail.length; offset += blockBytes) {
    mixBlock(state, words, tail, offset);
  }
  return Array.from(state.subarray(0, 4), hexOfWord).join('');
}

const blockBytes = 64;
const primes = firstPrimes(64);
const initialState = primes.slice(0, 8).map((prime) => fractionBits(Math.sqrt(prime)));
const roundConstants = Int32Array.from(primes, (prime) => fractionBits(Math.cbrt(prime)));

/** The first 32 bits of a number's fraction: where SHA-256 takes its constants from. */
function fractionBits(value: number): number {
  return Math.floor((value - Math.floor(value)) * 2 ** 32) | 0;
}

function firstPrimes(count: number): readonly number[] {
  const found: number[] = [];
  for (let candidate = 2; found.length < count; candidate++) {
    if (found.every((prime) => candidate % prime !== 0)) found.push(candidate);
  }
  return found;
}

/** What is left behind the whole blocks, a one bit, zeros, and the length in bits. */
function paddedTail(bytes: Uint8Array, from: number): Uint8Array {
  const rest = bytes.length - from;
  const tail = new Uint8Array(rest + 9 > blockBytes ? 2 * blockBytes : blockBytes);
  tail.set(bytes.subarray(from));
  tail[rest] = 0x80;
  const view = new DataView(tail.buffer);
  view.setUint32(tail.length - 8, Math.floor((bytes.length * 8) / 2 ** 32));
  view.setUint32(tail.length - 4, (bytes.length * 8) % 2 ** 32);
  return tail;
}

function mixBlock(state: Int32Array, words: Int32Array, bytes: Uint8Array, offset: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, blockBytes);
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(i * 4);
  for (let i = 16; i < 64; i++) {
    const early = at(words, i - 15);
    const late = at(words, i - 2);
    const spreadEarly = rotate(early, 7) ^ rotate(early, 18) ^ (early >>> 3);
    const spreadLate = rotate(late, 17) ^ rotate(late, 19) ^ (late >>> 10);
    words[i] = (at(words, i - 16) + spreadEarly + at(words, i - 7) + spreadLate) | 0;
  }
  let a = at(state, 0);
  let b = at(state, 1);
  let c = at(state, 2);
  let d = at(state, 3);
  let e = at(state, 4);
  let f = at(state, 5);
  let g = at(state, 6);
  let h = at(state, 7);
  for (let i = 0; i < 64; i++) {
    const choice = (e & f) ^ (~e & g);
    const spreadE = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25);
    const first = (h + spreadE + choice + at(roundConstants, i) + at(words, i)) | 0;
    const majority = (a & b) ^ (a & c) ^ (b & c);
    const spreadA = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22);
    h = g;
    g = f;
    f = e;
    e = (d + first) | 0;
    d = c;
    c = b;
    b = a;
    a = (first + spreadA + majority) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((value, i) => (state[i] = at(state, i) + value));
}

function at(values: Int32Array, index: number): number {
  return values[index] as number;
}

function rotate(value: number, bits: number): number {
  return (value >>> bits) | (value << (32 - bits));
}

function hexOfWord(word: number): string {
  return (word >>> 0).toString(16).padStart(8, '0');
}
