// What every replayable source must do, whoever wrote it: ranges can be read again on another
// instance, in any order, to the byte; and a reader that begins in the middle gives the rest.

import assert from 'node:assert/strict';
import { Random } from '../base/random.ts';
import type { Source, SourceContext, SourceReader } from '../ports/source.ts';
import type { SourceChunk, SourcePiece } from '../ports/source-chunk.ts';
import { offsetAt } from '../ports/source-chunk.ts';

export type SourceCase = {
  /** A fresh instance over the same input, as another process would make it. */
  readonly make: () => Source;
  readonly context: SourceContext;
  readonly seed: number;
  /** Ends a reader that would go on for ever once so much was taken. */
  readonly takesMax?: number;
};

/** Records as text and where each piece of them comes from, however the pieces are cut. */
type Content = { readonly text: string; readonly places: readonly string[] };

/** Throws where the source breaks its contract. Gives the number of ranges that were compared. */
export async function checkSource(options: SourceCase): Promise<number> {
  const { make, seed } = options;
  const random = new Random(seed);
  const source = make();
  assert.ok(source.replayable, 'the source says that it is replayable');
  const layout = (await source.layout?.(options.context)) ?? null;
  const first = { ...options.context, layout };
  const partitions = await source.partitions(first);
  // Who resumes has another number of workers and another clock, and keeps the layout.
  const resumed = { ...first, workerCount: first.workerCount + 3 };
  const kept = (await make().layout?.(resumed)) ?? null;
  assert.deepEqual(kept, layout, 'a layout that is given is kept');
  assert.equal(await make().partitions(resumed), partitions, 'and with it the partitions');
  let compared = 0;
  for (let partition = 0; partition < partitions; partition++) {
    const reader = await source.open(partition, first);
    const chunks = await takeAll(reader, { random, takesMax: options.takesMax ?? Infinity });
    compared += await replayAll(options, { partition, resumed, chunks, random });
    await resumeAll(options, { partition, resumed, chunks, random });
  }
  return compared;
}

type Taken = { readonly from: number; readonly to: number; readonly content: Content };

/** Takes of random sizes, until the end. */
async function takeAll(
  reader: SourceReader,
  { random, takesMax }: { readonly random: Random; readonly takesMax: number },
): Promise<Taken[]> {
  const taken: Taken[] = [];
  let wake = (): void => {};
  reader.onReady(() => wake());
  let at: number | null = null;
  for (;;) {
    if (taken.length >= takesMax) reader.finish();
    while (!reader.ready()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    const chunk = reader.take(2 ** random.integer(0, 14));
    if (at !== null) assert.equal(chunk.from, at, 'a range starts where the one before ended');
    at = chunk.to;
    if (chunk.to > chunk.from || chunk.data.kind !== 'none') {
      taken.push({ from: chunk.from, to: chunk.to, content: contentOf(chunk) });
    }
    if (chunk.ended) break;
  }
  await reader.close();
  return taken;
}

type Partition = {
  readonly partition: number;
  readonly resumed: SourceContext;
  readonly chunks: readonly Taken[];
  readonly random: Random;
};

async function replayAll({ make }: SourceCase, part: Partition): Promise<number> {
  const { partition, resumed, chunks, random } = part;
  const source = make();
  assert.ok(source.replayer !== undefined, 'a replayable source has a replayer');
  const replayer = await source.replayer(partition, resumed);
  let compared = 0;
  // Each range by itself, in random order; then some that are several on end.
  for (const index of shuffled(chunks.length, random)) {
    const { from, to, content } = chunks[index]!;
    const again = await replayer.read(from, to);
    assert.deepEqual([again.from, again.to, again.ended], [from, to, false]);
    assert.deepEqual(contentOf(again), content, `range [${from}, ${to}) again`);
    compared++;
  }
  for (let round = 0; round < 10 && chunks.length > 0; round++) {
    const first = random.integer(0, chunks.length - 1);
    const last = random.integer(first, chunks.length - 1);
    const [from, to] = [chunks[first]!.from, chunks[last]!.to];
    const again = contentOf(await replayer.read(from, to));
    const expected = chunks.slice(first, last + 1).map(({ content }) => content.text);
    assert.equal(again.text, expected.join(''), `ranges [${from}, ${to}) as one`);
    compared++;
  }
  const end = chunks.at(-1)?.to ?? 0;
  assert.equal((await replayer.read(end, end)).data.kind, 'none', 'an empty range has no data');
  await replayer.close();
  return compared;
}

async function resumeAll({ make, takesMax }: SourceCase, part: Partition): Promise<void> {
  const { partition, resumed, chunks, random } = part;
  const starts = [0, chunks.length, random.integer(0, chunks.length)];
  for (const start of starts) {
    const from = chunks[start]?.from ?? chunks.at(-1)?.to;
    if (from === undefined) continue;
    const reader = await make().open(partition, { ...resumed, from });
    const left = takesMax === undefined ? Infinity : chunks.length - start;
    const rest = await takeAll(reader, { random, takesMax: left });
    if (rest.length > 0) assert.equal(rest[0]!.from, from, 'the reader begins where it is told to');
    const text = rest.map(({ content }) => content.text).join('');
    const expected = chunks.slice(start).map(({ content }) => content.text);
    if (takesMax === undefined) assert.equal(text, expected.join(''), `the rest from ${from}`);
    else assertPrefix(text, expected.join(''));
  }
}

/** Of an endless source, one reader may have taken more than the other. */
function assertPrefix(left: string, right: string): void {
  const length = Math.min(left.length, right.length);
  assert.equal(left.slice(0, length), right.slice(0, length), 'the rest, as far as it was read');
}

function contentOf(chunk: SourceChunk): Content {
  const { data } = chunk;
  if (data.kind === 'none') return { text: '', places: [] };
  if (data.kind === 'rows') {
    const lines = data.rows.map((row) => JSON.stringify(row, plainBigint));
    const { origin, offsets } = data.places ?? { origin: '', offsets: [] };
    const places = offsets.map((offset) => `${origin} ${offset}`);
    return { text: lines.map((line) => `${line}\n`).join(''), places };
  }
  let text = '';
  const places: string[] = [];
  let next = '';
  for (const piece of data.pieces) {
    const { bytes, start, end, origin, originOffset, columns } = piece;
    if (piece.locate !== undefined) {
      for (const line of locatedLines(piece)) {
        text += line.text;
        places.push(`${origin} ${line.offset}`);
      }
      continue;
    }
    text += new TextDecoder('latin1').decode(bytes.subarray(start, end));
    const named = `${origin} ${JSON.stringify(columns)}`;
    if (`${named} ${originOffset}` !== next) places.push(`${named} ${originOffset}`);
    next = `${named} ${originOffset + end - start}`;
  }
  return { text, places };
}

/** Where offsets are no byte offsets, lines are what counts, and not what is empty between them. */
function locatedLines(
  piece: SourcePiece,
): readonly { readonly text: string; readonly offset: number }[] {
  const { bytes, start, end } = piece;
  const lines: { readonly text: string; readonly offset: number }[] = [];
  for (let at = start; at < end;) {
    const newline = bytes.indexOf(0x0a, at);
    const next = newline < 0 || newline >= end ? end : newline + 1;
    const text = new TextDecoder('latin1').decode(bytes.subarray(at, next));
    if (text !== '\n') lines.push({ text, offset: offsetAt(piece, at) });
    at = next;
  }
  return lines;
}

function plainBigint(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let at = count - 1; at > 0; at--) {
    const other = random.integer(0, at);
    [order[at], order[other]] = [order[other]!, order[at]!];
  }
  return order;
}
