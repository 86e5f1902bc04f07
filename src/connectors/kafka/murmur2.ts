// The hash by which Kafka's Java client places keys, so that all producers put a key in one place.
// [MurmurHash2 by Austin Appleby, public domain; the seed is Kafka's]

const seed = 0x9747b28c;
const multiplier = 0x5bd1e995;

/** Of `bytes[start, end)`; a signed number of 32 bits. */
export function murmur2(bytes: Uint8Array, start: number, end: number): number {
  const whole = end - ((end - start) & 3);
  let hash = seed ^ (end - start);
  let at = start;
  for (; at < whole; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    word = Math.imul(word, multiplier);
    word ^= word >>> 24;
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier);
  }
  const rest = end - whole;
  if (rest > 2) hash ^= bytes[at + 2]! << 16;
  if (rest > 1) hash ^= bytes[at + 1]! << 8;
  if (rest > 0) hash = Math.imul(hash ^ bytes[at]!, multiplier);
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}

/** Where the Java client puts a record that has this key. */
export function partitionOfHash(hash: number, partitions: number): number {
  return (hash & 0x7fffffff) % partitions;
}
