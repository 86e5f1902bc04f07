// Files that are there whole or not at all, and stay there: written aside, forced to the disk, and
// then given their name by the file system in one step, with the folder forced to the disk too. And
// files that grow by writes of which each is on the disk when it returns.

import { randomUUID } from 'node:crypto';
import { constants, write } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { link, mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Writes a file of its own below `folder` and forces it to the disk. */
export async function writeAside(folder: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, `${process.pid}-${randomUUID()}`);
  const file = await open(path, 'wx').catch(async (error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
    await makeFolder(folder);
    return open(path, 'wx');
  });
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
  await file.close();
  return path;
}

/** Gives a file that was written aside its name, over whatever has it. */
export async function moveTo(aside: string, path: string): Promise<void> {
  await inFolder(path, () => rename(aside, path));
  await syncFolder(dirname(path));
}

/** Gives a file that was written aside its name, unless something has it: false. */
export async function linkTo(aside: string, path: string): Promise<boolean> {
  try {
    await inFolder(path, () => link(aside, path));
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    // Over a network file system a link may be made and its answer lost: then it is our own.
    if ((await stat(aside)).nlink < 2) return false;
  }
  await syncFolder(dirname(path));
  return true;
}

/** Where the system has it, a write returns once it is durable, which saves the call that syncs. */
const syncedWrites = process.platform === 'linux';

/** A new file for `writeSynced`. Its name is durable when its folder has been synced. */
export function createSynced(path: string): Promise<FileHandle> {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY;
  return open(path, syncedWrites ? flags | constants.O_DSYNC : flags);
}

/** Resolves when the bytes are on the disk; not before, and never with fewer of them. */
export async function writeSynced(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) done += await writeSome(file.fd, bytes.subarray(done), at + done);
  if (!syncedWrites) await file.datasync();
}

/** By a callback, which costs this thread a third of what a promise of a handle does. */
function writeSome(fd: number, bytes: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, at, (error, written) => {
      if (error === null) resolve(written);
      else reject(error);
    });
  });
}

/** Makes a folder and its parents, durably. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let folder = path; ; folder = dirname(folder)) {
    await syncFolder(dirname(folder));
    if (folder === first || folder === dirname(folder)) return;
  }
}

/** Whoever removes an empty folder may do so between making it and using it. */
async function inFolder(path: string, action: () => Promise<void>): Promise<void> {
  for (let left = 10; ; left--) {
    try {
      return await action();
    } catch (error) {
      if (left === 0 || !isErrno(error, 'ENOENT')) throw error;
      await makeFolder(dirname(path));
    }
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function isErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
