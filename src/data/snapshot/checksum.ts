// A checksum of 32-bit words, for bytes that lie in stores: four lanes of xor, multiply, rotate, in
// the manner of xxHash (Collet). Each step is a bijection of the lane for any word, and of the word
// for any lane: so damage within one word always shows, wider damage with a chance of 2⁻³² to hide.
// In plain JavaScript it is four times as quick as CRC-32 by tables.

const prime1 = 0x9e3779b1 | 0;
const prime2 = 0x85ebca77 | 0;

/** The checksum of bytes[start, end): multiples of 4, also in their buffer. */
export function checksum(bytes: Uint8Array, start: number, end: number): number {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + start, (end - start) >> 2);
  const whole = words.length & ~3;
  let a = prime1;
  let b = prime2;
  let c = ~prime1;
  let d = ~prime2;
  for (let at = 0; at < whole; at += 4) {
    a = Math.imul(a ^ words[at]!, prime1);
    a = (a << 13) | (a >>> 19);
    b = Math.imul(b ^ words[at + 1]!, prime1);
    b = (b << 13) | (b >>> 19);
    c = Math.imul(c ^ words[at + 2]!, prime1);
    c = (c << 13) | (c >>> 19);
    d = Math.imul(d ^ words[at + 3]!, prime1);
    d = (d << 13) | (d >>> 19);
  }
  for (let at = whole; at < words.length; at++) {
    a = Math.imul(a ^ words[at]!, prime1);
    a = (a << 13) | (a >>> 19);
  }
  let sum = mix(words.length, a);
  sum = mix(sum, b);
  sum = mix(sum, c);
  return mix(sum, d) >>> 0;
}

/** One sum of two; a bijection of either. */
export function mix(sum: number, lane: number): number {
  const mixed = Math.imul(sum ^ lane, prime2);
  return Math.imul(mixed ^ (mixed >>> 15), prime1);
}
