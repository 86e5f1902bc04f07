// What stands before a value that was written with a schema registry: a zero byte, the schema's id
// in four bytes, and for Protobuf the path to the message type within the schema's text.

export const prefixBytes = 5;

/** Null: the bytes do not begin like that. */
export function schemaIdOf(value: Uint8Array): number | null {
  if (value.length < prefixBytes || value[0] !== 0) return null;
  return ((value[1]! << 24) | (value[2]! << 16) | (value[3]! << 8) | value[4]!) >>> 0;
}

export function prefixOf(id: number): Uint8Array {
  const prefix = new Uint8Array(prefixBytes);
  new DataView(prefix.buffer).setUint32(1, id);
  return prefix;
}

/** Messages lie in messages; more levels than this are broken bytes. */
const indexCountMax = 100;

export type MessageIndexes = { readonly indexes: readonly number[]; readonly end: number };

const firstMessage: readonly number[] = [0];

/** Null: the bytes are no indexes. */
export function messageIndexesOf(value: Uint8Array, start: number): MessageIndexes | null {
  // Nearly every schema's first message is the one that is written, so it has a short form.
  if (value[start] === 0) return { indexes: firstMessage, end: start + 1 };
  const at = { position: start };
  const count = readZigzag(value, at);
  if (count === null || count < 0 || count > indexCountMax) return null;
  const indexes: number[] = [];
  for (let i = 0; i < count; i++) {
    const index = readZigzag(value, at);
    if (index === null || index < 0) return null;
    indexes.push(index);
  }
  return { indexes: count === 0 ? firstMessage : indexes, end: at.position };
}

export function messageIndexBytes(indexes: readonly number[]): Uint8Array {
  if (indexes.length === 1 && indexes[0] === 0) return Uint8Array.of(0);
  const bytes: number[] = [];
  for (const each of [indexes.length, ...indexes]) {
    let rest = each * 2;
    while (rest > 0x7f) {
      bytes.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    bytes.push(rest);
  }
  return Uint8Array.from(bytes);
}

function readZigzag(bytes: Uint8Array, at: { position: number }): number | null {
  let result = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[at.position];
    if (byte === undefined) return null;
    at.position++;
    result |= (byte & 0x7f) << shift;
    if (byte < 0x80) return (result >>> 1) ^ -(result & 1);
  }
  return null;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
