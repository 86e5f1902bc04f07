// Blocks on a worker's spill disk: what is read back is what was written, and what nobody needs, or
// nobody can use any more, takes no space.

import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { StreamError } from '../../base/stream-error.ts';
import { SpillFiles } from './spill-files.ts';

const root = mkdtempSync(join(tmpdir(), 'spill-files-'));
after(() => rmSync(root, { recursive: true, force: true }));

const linux = process.platform === 'linux';

function block(batch: number, bytes = 100): { batch: number; pieces: readonly Uint8Array[] } {
  const content = Uint8Array.from({ length: bytes }, (_, index) => batch * 7 + index);
  return { batch, pieces: [content.subarray(0, 30), content.subarray(30)] };
}

function contentOf({ pieces }: ReturnType<typeof block>): number[] {
  return pieces.flatMap((piece) => [...piece]);
}

/** Files of ours in a folder that are open though they have no name: their descriptors. */
function openIn(folder: string): readonly string[] {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(`${folder}/`);
    } catch {
      return false;
    }
  });
}

test('SpillFiles reads back what it wrote, and frees a file when it is covered', async () => {
  const folder = join(root, 'a', 'b');
  const files = new SpillFiles(folder, 250);
  const blocks = [1, 2, 3, 4, 5].map((batch) => block(batch));
  const places = [
    ...(await files.append(blocks.slice(0, 3))),
    ...(await files.append(blocks.slice(3))),
  ];
  assert.equal(files.segments, 2);
  assert.deepEqual(readdirSync(folder), [], 'nothing has a name that could be left behind');
  for (const [index, place] of places.entries()) {
    assert.deepEqual([...(await files.read(place))], contentOf(blocks[index]!));
  }
  files.drop(2);
  assert.equal(files.segments, 2, 'a block of 3 is still needed');
  files.drop(3);
  assert.equal(files.segments, 1);
  assert.deepEqual([...(await files.read(places[4]!))], contentOf(blocks[4]!));
  files.close();
  if (linux) await untilNone(folder);
});

/** Closing takes a turn or two of the event loop. */
async function untilNone(folder: string): Promise<void> {
  while (openIn(folder).length > 0) await new Promise(setImmediate);
}

test('SpillFiles lets a read end that was under way when its file was dropped', async () => {
  const folder = join(root, 'under-way');
  const files = new SpillFiles(folder);
  const written = block(1, 1_000_000);
  const [place] = await files.append([written]);
  const reading = files.read(place!);
  files.drop(1);
  assert.equal(files.segments, 0);
  assert.deepEqual([...(await reading)], contentOf(written));
  if (linux) await untilNone(folder);
});

test('SpillFiles drops what was covered while it was written', async () => {
  const files = new SpillFiles(join(root, 'late'));
  const writing = files.append([block(1)]);
  files.drop(1);
  await writing;
  assert.equal(files.segments, 0);
});

test('SpillFiles names the file of a damaged block, and what to do', { skip: !linux }, async () => {
  const folder = join(root, 'damaged');
  const files = new SpillFiles(folder);
  const [place] = await files.append([block(1)]);
  const [fd] = openIn(folder);
  const file = openSync(`/proc/self/fd/${fd}`, 'r+');
  writeSync(file, Uint8Array.of(0, 0), 0, 2, 50);
  closeSync(file);
  await assert.rejects(files.read(place!), (error: unknown) => {
    assert.ok(error instanceof StreamError);
    assert.equal(error.code, 'spill-damaged');
    assert.match(error.message, /damaged\/mizzle-spill-.*do not match their checksum/);
    assert.match(error.hint ?? '', /spillFolder/);
    return true;
  });
  files.close();
});

test('SpillFiles says which disk fails, and takes the next blocks when it works', async () => {
  const folder = join(root, 'in-the-way');
  writeFileSync(folder, 'a file');
  const files = new SpillFiles(folder);
  await assert.rejects(files.append([block(1)]), (error: unknown) => {
    assert.ok(error instanceof StreamError);
    assert.match(error.message, /could not write kept blocks to ".*in-the-way/);
    return true;
  });
  rmSync(folder);
  const [place] = await files.append([block(2)]);
  assert.deepEqual([...(await files.read(place!))], contentOf(block(2)));
  files.close();
});

const spillOnce = `
  const { parentPort, workerData } = require('node:worker_threads');
  import(workerData.module).then(async ({ SpillFiles }) => {
    const files = new SpillFiles(workerData.folder);
    await files.append([{ batch: 1, pieces: [Uint8Array.of(1)] }]);
    parentPort.on('message', () => files.close());
    parentPort.postMessage('spilled');
  });
`;

test('a thread that is ended leaves no file and no open one', { skip: !linux }, async () => {
  const folder = join(root, 'killed');
  const module = new URL('./spill-files.ts', import.meta.url).href;
  const thread = new Worker(spillOnce, { eval: true, workerData: { folder, module } });
  await new Promise((resolve) => thread.once('message', resolve));
  assert.equal(openIn(folder).length, 1);
  assert.deepEqual(readdirSync(folder), []);
  await thread.terminate();
  await untilNone(folder);
});
