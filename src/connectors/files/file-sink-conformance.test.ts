import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import type { RowObject } from '../../schema/data-type.ts';
import type { HaltingProcess } from '../../testing/halting-process.ts';
import {
  checkKept,
  checkKills,
  checkPreparing,
  checkReopening,
  checkZombies,
} from '../../testing/sink-conformance.ts';
import type { NewWorld } from '../../testing/sink-conformance.ts';
import { FileSink } from './file-sink.ts';
import { haltingFiles } from './halting-files.fixture.ts';

const root = mkdtempSync(join(tmpdir(), 'mizzle-conformance-'));
after(() => rmSync(root, { recursive: true }));

let worlds = 0;
const format = { kind: 'jsonl', timestamps: 'ms', delimiter: ',' } as const;

/** The sink of a path, as a process makes it; its hold on the path ends with the process. */
function sinkOf(path: string): (process: HaltingProcess) => FileSink {
  let last: FileSink | null = null;
  return (process) => {
    void last?.finish();
    last = new FileSink(path, format, { operations: haltingFiles(process), overwrite: true });
    return last;
  };
}

function rowsIn(path: string): RowObject[] {
  const text = readFileSync(path, 'utf8');
  assert.ok(text === '' || text.endsWith('\n'), `"${path}" has whole lines`);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RowObject);
}

/** A reader that leaves the files, or one that takes each of them away as soon as it is there. */
function folderWorld(isTaken: boolean): NewWorld {
  return async () => {
    const folder = `${join(root, String(worlds++))}/`;
    const taken = join(root, `taken-${worlds}`);
    mkdirSync(taken);
    const visible = async (): Promise<RowObject[]> => {
      const names = readdirSync(folder).filter((name) => !name.startsWith('.'));
      if (!isTaken) return names.sort().flatMap((name) => rowsIn(join(folder, name)));
      const before = readdirSync(taken);
      for (const name of names) {
        assert.ok(!before.includes(name), `"${name}" is made once`);
        renameSync(join(folder, name), join(taken, name));
      }
      return readdirSync(taken)
        .sort()
        .flatMap((name) => rowsIn(join(taken, name)));
    };
    const close = async (): Promise<void> => {
      for (const path of [folder, taken]) rmSync(path, { recursive: true, force: true });
    };
    return { sink: sinkOf(folder), visible, fencesForeignRows: true, close };
  };
}

const fileWorld: NewWorld = async () => {
  const path = join(root, `${worlds++}.jsonl`);
  const visible = async (): Promise<RowObject[]> => rowsIn(path);
  const close = async (): Promise<void> => {
    for (const name of [path, join(root, `.${basename(path)}.mizzle`)]) {
      rmSync(name, { recursive: true, force: true });
    }
  };
  return { sink: sinkOf(path), visible, fencesForeignRows: false, close };
};

for (const [name, newWorld, next] of [
  ['a folder', folderWorld(false), { term: 2 }],
  ['a folder that is emptied', folderWorld(true), { incarnation: 2 }],
  ['a file', fileWorld, { incarnation: 2 }],
] as const) {
  test(`files sink, ${name}: killed at any step, it loses and repeats nothing`, async () => {
    assert.ok((await checkKills(newWorld)) > 30);
  });

  test(`files sink, ${name}: a writer that was replaced at any step is fenced`, async () => {
    assert.ok((await checkZombies(newWorld, next)) > 10);
  });

  test(`files sink, ${name}: a new history keeps what another has left at any step`, async () => {
    assert.ok((await checkKept(newWorld)) > 30);
  });

  test(`files sink, ${name}: goes on behind what is visible`, async () => {
    await checkReopening(newWorld);
  });
}

test('files sink: one replaced while it prepares takes nothing away', async () => {
  assert.ok((await checkPreparing(folderWorld(false))) > 3);
  assert.ok((await checkPreparing(fileWorld)) > 3);
});
