import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import type { SourceChunk } from '../../ports/source-chunk.ts';
import { readAll } from '../source-reading.fixture.ts';
import { FileReader } from './file-reader.ts';
import type { FileSegment } from './file-layout.ts';
import type { RecordFormat } from './record-cut.ts';

const folder = mkdtempSync(join(tmpdir(), 'mizzle-reader-'));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'records');

type Case = {
  readonly segments: readonly FileSegment[];
  readonly format: RecordFormat;
  readonly hasHeader: boolean;
  readonly slabBytes: number;
  readonly bytesMax: readonly number[];
};

/** The text of all pieces in order; checks offsets and that bytes hold as long as they must. */
async function read(
  options: Case,
): Promise<{ text: string; columns: (readonly string[] | null)[] }> {
  const { segments, format, hasHeader, slabBytes, bytesMax } = options;
  const reader = new FileReader({ segments, format, hasHeader, slabBytes, follow: false });
  const texts: string[] = [];
  const columns: (readonly string[] | null)[] = [];
  let previous: { chunk: SourceChunk; text: string } | null = null;
  let offset = segments[0]?.from ?? 0;
  let takes = 0;
  await readAll(
    reader,
    () => bytesMax[takes++ % bytesMax.length],
    (chunk) => {
      assert.equal(chunk.from, offset);
      assert.ok(chunk.to >= chunk.from);
      offset = chunk.to;
      if (previous !== null) assert.equal(rawText(previous.chunk), previous.text);
      previous = { chunk, text: rawText(chunk) };
      texts.push(previous.text);
      if (chunk.data.kind === 'bytes') columns.push(...chunk.data.pieces.map((p) => p.columns));
    },
  );
  assert.deepEqual(reader.lag(), { records: 0, bytes: 0, ms: null });
  await reader.close();
  return { text: texts.join(''), columns };
}

function rawText(chunk: SourceChunk): string {
  if (chunk.data.kind !== 'bytes') return '';
  return chunk.data.pieces
    .map(({ bytes, start, end }) => new TextDecoder().decode(bytes.subarray(start, end)))
    .join('');
}

const sizes = {
  slabBytes: fc.integer({ min: 4, max: 200 }),
  bytesMax: fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 5 }),
};

test('FileReader: the ranges of a file cover each record once, whatever the sizes', async () => {
  const arbitrary = fc.record({
    lines: fc.array(fc.stringMatching(/^[a-z]{0,30}$/), { maxLength: 40 }),
    tail: fc.stringMatching(/^[a-z]{0,5}$/),
    borders: fc.array(fc.nat(600), { maxLength: 5 }),
    ...sizes,
  });
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ lines, tail, borders, slabBytes, bytesMax }) => {
      const text = lines.map((line) => `${line}\n`).join('') + tail;
      writeFileSync(path, text);
      const size = text.length;
      const inside = borders.filter((at) => at > 0 && at < size).sort((a, b) => a - b);
      const cuts = [...new Set([0, ...inside, size])];
      let seen = '';
      for (let part = 0; part < Math.max(1, cuts.length - 1); part++) {
        const [from, to] = [cuts[part], cuts[part + 1] ?? size];
        const segments = [{ path, from, to, size }];
        const format = { kind: 'jsonl' } as const;
        seen += (await read({ segments, format, hasHeader: false, slabBytes, bytesMax })).text;
      }
      assert.equal(seen, text);
    }),
    { numRuns: 150 },
  );
});

test('FileReader: CSV is cut between records only and every piece knows its columns', async () => {
  const value = fc
    .stringMatching(/^[a-z"\n,]{0,12}$/)
    .map((text) => `"${text.replaceAll('"', '""')}"`);
  const arbitrary = fc.record({ values: fc.array(value, { maxLength: 40 }), ...sizes });
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ values, slabBytes, bytesMax }) => {
      const body = values.map((one, index) => `${one},${index}\r\n`).join('');
      const text = `\ufeff"na\nme",n\r\n${body}`;
      writeFileSync(path, text);
      const size = Buffer.byteLength(text);
      const segment = { path, from: 0, to: size, size };
      const format = { kind: 'csv', delimiter: 44 } as const;
      const segments = [segment, segment];
      const seen = await read({ segments, format, hasHeader: true, slabBytes, bytesMax });
      assert.equal(seen.text, body + body);
      for (const columns of seen.columns) assert.deepEqual(columns, ['na\nme', 'n']);
    }),
    { numRuns: 100 },
  );
});
