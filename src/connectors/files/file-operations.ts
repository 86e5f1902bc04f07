// What file sinks do to the file system, one step each, so that a test can stop between any two.

import { constants, existsSync, ftruncateSync, renameSync, rmSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { errnoOf } from './file-errors.ts';

export type OpenFile = {
  /** Writes all of it. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** At once, so that nothing comes between it and what was asked just before. */
  truncate(length: number): void;
  /** To the disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
};

export type FileOperations = {
  /** With what is above it. */
  makeFolders(path: string): Promise<void>;
  /** What is above it must be there. */
  makeFolder(path: string): Promise<void>;
  /** Empty when there is no such folder. */
  list(path: string): Promise<string[]>;
  /** `create`: anew, empty; `change`: keeps what is there. */
  open(path: string, how: 'create' | 'change'): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  /** As `truncate`. */
  renameNow(from: string, to: string): void;
  /** A file, as `truncate`. */
  removeNow(path: string): void;
  /** With what is in it; nothing happens when it is not there. */
  remove(path: string): Promise<void>;
  /** The names in a folder, to the disk. */
  syncFolder(path: string): Promise<void>;
  /** Length of a file, 0 when it is not there; null: a device or a pipe. */
  length(path: string): Promise<number | null>;
  exists(path: string): boolean;
};

export const fileOperations: FileOperations = {
  async makeFolders(path) {
    await mkdir(path, { recursive: true });
  },
  makeFolder: (path) => mkdir(path),
  async list(path) {
    try {
      return await readdir(path);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return [];
      throw error;
    }
  },
  async open(path, how) {
    const { O_CREAT, O_RDWR } = constants;
    return new RealFile(await open(path, how === 'create' ? 'w' : O_CREAT | O_RDWR));
  },
  rename,
  renameNow: renameSync,
  removeNow: (path) => rmSync(path, { force: true }),
  async remove(path) {
    await rm(path, { recursive: true, force: true });
  },
  async syncFolder(path) {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  async length(path) {
    try {
      const info = await stat(path);
      return info.isFile() || info.isDirectory() ? info.size : null;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return 0;
      throw error;
    }
  },
  exists: existsSync,
};

class RealFile implements OpenFile {
  readonly #handle: FileHandle;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const { bytesWritten } = await this.#handle.write(
        bytes,
        at,
        bytes.length - at,
        position + at,
      );
      at += bytesWritten;
    }
  }

  truncate(length: number): void {
    ftruncateSync(this.#handle.fd, length);
  }

  sync(): Promise<void> {
    return this.#handle.sync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}
