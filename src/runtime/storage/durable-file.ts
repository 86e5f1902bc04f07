// Files that are there whole or not at all, and stay there: written aside, forced to the disk, and
// then given their name by the file system in one step, with the folder forced to the disk too.

import { randomUUID } from 'node:crypto';
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
