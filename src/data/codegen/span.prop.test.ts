// String functions on bytes against JavaScript's on strings.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareText } from '../../expr/interpret.ts';
import { decodeUtf8, encodeUtf8 } from '../columnar/utf8.ts';
import { ScratchArena } from './scratch-arena.ts';
import {
  appendLower,
  appendNumberText,
  appendUpper,
  spanCompare,
  spanContains,
  spanEndsWith,
  spanEquals,
  spanLength,
  spanSkip,
  spanStartsWith,
  spanTrimEnd,
  spanTrimStart,
} from './span.ts';

const spaces = '\t\n\v\f\r \u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000\ufeff';
const alphabet = [...spaces, ...'abAB', 'é', 'É', 'ß', 'İ', '\u200b', '\u0085', '語', '😀'];
const texts = fc.array(fc.constantFrom(...alphabet), { maxLength: 9 }).map((list) => list.join(''));

type Span = readonly [bytes: Uint8Array, start: number, end: number];

/** The text in the middle of other bytes. */
function spanOf(text: string): Span {
  const bytes = encodeUtf8(`a ${text} a`);
  return [bytes, 2, bytes.length - 2];
}

test('span functions of two texts agree with JavaScript', () => {
  fc.assert(
    fc.property(texts, texts, fc.boolean(), (a, part, joined) => {
      const b = joined ? a.slice(0, part.length) : part;
      fc.pre(b.isWellFormed());
      const x = spanOf(a);
      const y = spanOf(b);
      assert.equal(spanEquals(...x, ...y), a === b);
      assert.equal(Math.sign(spanCompare(...x, ...y)), Math.sign(compareText(a, b)));
      assert.equal(spanStartsWith(...x, ...y), a.startsWith(b));
      assert.equal(spanEndsWith(...x, ...y), a.endsWith(b));
      assert.equal(spanContains(...x, ...y), a.includes(b));
    }),
    { numRuns: 2000 },
  );
});

test('span functions of one text agree with JavaScript', () => {
  const arena = new ScratchArena();
  const made = (append: (arena: ScratchArena, ...span: Span) => void, span: Span): string => {
    const start = arena.length;
    append(arena, ...span);
    return decodeUtf8(arena.bytes, start, arena.length);
  };
  fc.assert(
    fc.property(texts, fc.nat({ max: 12 }), (text, points) => {
      const [bytes, start, end] = spanOf(text);
      const from = spanTrimStart(bytes, start, end);
      assert.equal(decodeUtf8(bytes, from, spanTrimEnd(bytes, from, end)), text.trim());
      assert.equal(spanLength(bytes, start, end), [...text].length);
      const rest = [...text].slice(points).join('');
      assert.equal(decodeUtf8(bytes, spanSkip(bytes, start, end, points), end), rest);
      assert.equal(made(appendLower, [bytes, start, end]), text.toLowerCase());
      assert.equal(made(appendUpper, [bytes, start, end]), text.toUpperCase());
    }),
    { numRuns: 2000 },
  );
});

test('appendNumberText writes what String() writes', () => {
  const arena = new ScratchArena();
  const numbers = fc.oneof(fc.integer(), fc.double(), fc.nat({ max: 1001 }), fc.constant(2 ** 31));
  fc.assert(
    fc.property(numbers, (value) => {
      arena.reset();
      appendNumberText(arena, value);
      assert.equal(decodeUtf8(arena.bytes, 0, arena.length), String(value));
    }),
  );
});

test('ScratchArena keeps earlier spans readable when it grows', () => {
  const arena = new ScratchArena();
  arena.appendText('first');
  const { bytes, length } = arena;
  arena.append(new Uint8Array(100_000), 0, 100_000);
  assert.equal(decodeUtf8(bytes, 0, length), 'first');
  assert.equal(decodeUtf8(arena.bytes, 0, length), 'first');
});
