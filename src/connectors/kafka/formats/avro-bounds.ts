// Whether bytes are a whole value of an Avro schema. avsc believes the counts of arrays and maps:
// broken bytes could keep it busy for good, or out of memory.

import type Avsc from 'avsc';
import type { Type } from 'avsc';
import { avroKind, plainKind } from './avro-library.ts';
import type { AnnotatedType } from './avro-library.ts';

/** Throws where the value does not end within the bytes. */
export type BoundsCheck = (bytes: Uint8Array, start: number) => void;

type At = { readonly bytes: Uint8Array; position: number; valuesLeft: number };
type Walk = (at: At) => void;

/** For values that take no bytes, such as nulls in an array, beyond what the bytes could hold. */
const emptyValuesMax = 10_000;

/** Null: no array, map or ring, so whatever the bytes are, reading ends soon. */
export function boundsCheckOf(type: Type): BoundsCheck | null {
  const walks = new Map<Type, Walk>();
  const state = { isOpen: false };
  const walk = walkOf(type, walks, state);
  if (!state.isOpen) return null;
  return (bytes, start) => {
    const valuesLeft = bytes.length + emptyValuesMax;
    walk({ bytes, position: start, valuesLeft });
  };
}

function walkOf(type: Type, walks: Map<Type, Walk>, state: { isOpen: boolean }): Walk {
  const known = walks.get(type);
  if (known !== undefined) {
    if (known === unfinished) state.isOpen = true;
    return (at) => walks.get(type)!(at);
  }
  walks.set(type, unfinished);
  const made = makeWalk(type, (of) => walkOf(of, walks, state), state);
  walks.set(type, made);
  return made;
}

const unfinished: Walk = () => {};

function makeWalk(type: Type, of: (type: Type) => Walk, state: { isOpen: boolean }): Walk {
  const plain = plainKind(type);
  const bare = avroKind(type) === plain ? type : (type as AnnotatedType).underlyingType;
  switch (plain) {
    case 'null':
      return () => {};
    case 'boolean':
      return (at) => skip(at, 1);
    case 'float':
      return (at) => skip(at, 4);
    case 'double':
      return (at) => skip(at, 8);
    case 'bytes':
    case 'string':
      return (at) => skip(at, readLong(at));
    case 'fixed': {
      const { size } = bare as Avsc.types.FixedType;
      return (at) => skip(at, size);
    }
    case 'record': {
      const walks = (bare as Avsc.types.RecordType).fields.map((field) => of(field.type));
      return (at) => {
        for (const walk of walks) walk(at);
      };
    }
    case 'union': {
      const walks = (bare as Avsc.types.WrappedUnionType).types.map(of);
      return (at) => {
        const walk = walks[readLong(at)];
        if (walk === undefined) throw new Error('it has a union of no such branch');
        walk(at);
      };
    }
    case 'array': {
      state.isOpen = true;
      return blocks(of((bare as Avsc.types.ArrayType).itemsType));
    }
    case 'map': {
      state.isOpen = true;
      const values = of((bare as Avsc.types.MapType).valuesType as Type);
      return blocks((at) => {
        skip(at, readLong(at));
        values(at);
      });
    }
    default:
      return (at) => void readLong(at);
  }
}

function blocks(item: Walk): Walk {
  return (at) => {
    for (;;) {
      let count = readLong(at);
      if (count === 0) return;
      if (count < 0) {
        count = -count;
        readLong(at);
      }
      at.valuesLeft -= count;
      if (!(at.valuesLeft >= 0)) throw new Error('it is cut off, or no Avro of this schema');
      for (let i = 0; i < count; i++) item(at);
    }
  };
}

function skip(at: At, bytes: number): void {
  if (bytes < 0) throw new Error('it has a negative length');
  at.position += bytes;
  if (at.position > at.bytes.length) throw new Error('it is cut off, or no Avro of this schema');
}

/** Counts and lengths, for which a rounded number does, too. */
function readLong(at: At): number {
  let result = 0;
  let unit = 1;
  for (let i = 0; i < 10; i++) {
    const byte = at.bytes[at.position++];
    if (byte === undefined) throw new Error('it is cut off, or no Avro of this schema');
    result += (byte & 0x7f) * unit;
    unit *= 128;
    if (byte < 0x80) return result % 2 === 1 ? -(result + 1) / 2 : result / 2;
  }
  throw new Error('it has a number of more than 64 bits');
}
