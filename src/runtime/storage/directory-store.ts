// A folder as a blob store, for one host or on a shared file system. Every change is one step of
// the file system (rename, or link, which fails if the name is taken), so nothing is ever locked
// and a process that dies, or sleeps, at any point leaves nothing in the way.
//
// `replace` cannot be one rename: nobody could tell that the content is still the expected one. So
// a key that was replaced has numbered versions beside it, and who links the next number has won.

import { readdir, open, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname, join, resolve } from 'node:path';
import { checkBlobKey, checkKeyPrefix } from '../../control/storage/blob-key.ts';
import type { BlobEntry, BlobStore, StoredBlob } from '../../ports/blob-store.ts';
import { isErrno, linkTo, makeFolder, moveTo, syncFolder, writeAside } from './durable-file.ts';
import { fileFailure } from './file-failure.ts';
import type { RetryOptions } from './retry.ts';
import { retried, retryDefaults } from './retry.ts';

/**
 * Versions of a replaced key that stay. A writer that slept since it read version n may link n + 1
 * again after that was cleaned away; it then sees at least so many above its own, and knows.
 */
const versionsKept = 16;

/** What writers that died left aside is removed after this time, ms. */
const asideMsMax = 24 * 60 * 60 * 1000;

export class DirectoryStore implements BlobStore {
  readonly description: string;
  readonly #root: string;
  readonly #aside: string;
  readonly #versions: string;
  readonly #retry: RetryOptions;
  #swept: Promise<void> | null = null;

  constructor(folder: string, retry: RetryOptions = retryDefaults) {
    this.#root = resolve(folder);
    this.#aside = join(this.#root, '.mizzle', 'aside');
    this.#versions = join(this.#root, '.mizzle', 'versions');
    this.#retry = retry;
    this.description = this.#root;
  }

  get(key: string): Promise<StoredBlob | null> {
    return this.#run('read', key, () => this.#current(key));
  }

  put(key: string, bytes: Uint8Array): Promise<void> {
    return this.#run('write', key, async () => {
      await moveTo(await this.#writeAside(bytes), this.#path(key));
      // Who replaces makes the folder of versions before it looks at the file: so either it has
      // seen our file, or we see the folder and must give it a version too.
      while ((await this.#newest(key)) !== null) {
        if (await this.#addVersion(key, bytes)) return;
      }
    });
  }

  create(key: string, bytes: Uint8Array): Promise<boolean> {
    return this.#run('create', key, async () => {
      if (((await this.#newest(key)) ?? 0) > 0 || (await exists(this.#path(key)))) return false;
      return this.#linked(bytes, (aside) => linkTo(aside, this.#path(key)));
    });
  }

  replace(key: string, bytes: Uint8Array, tag: string): Promise<string | null> {
    return this.#run('replace', key, async () => {
      const folder = this.#versionsOf(key);
      if ((await this.#current(key))?.tag !== tag) return null;
      await makeFolder(folder);
      if ((await this.#current(key))?.tag !== tag) return null;
      const version = versionOf(tag) + 1;
      const aside = await this.#writeAside(bytes);
      try {
        const written = tagOf(version, await stat(aside, { bigint: true }));
        if (!(await linkTo(aside, join(folder, String(version))))) return null;
        const newest = (await this.#newest(key)) ?? 0;
        await this.#cleanVersions(key, newest);
        return newest >= version + versionsKept ? null : written;
      } finally {
        await rm(aside, { force: true });
      }
    });
  }

  async *list(prefix: string): AsyncIterable<BlobEntry> {
    checkKeyPrefix(prefix);
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    const entries = this.#walk(folder, prefix);
    for (;;) {
      const next = await this.#run('list', prefix, () => entries.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) await this.#run('delete', key, () => this.#remove(key));
  }

  async #current(key: string): Promise<StoredBlob | null> {
    for (;;) {
      const version = (await this.#newest(key)) ?? 0;
      const path = version === 0 ? this.#path(key) : join(this.#versionsOf(key), String(version));
      try {
        const file = await open(path, 'r');
        try {
          const tag = tagOf(version, await file.stat({ bigint: true }));
          const { buffer, byteOffset, length } = await file.readFile();
          return { bytes: new Uint8Array(buffer, byteOffset, length), tag };
        } finally {
          await file.close();
        }
      } catch (error) {
        if (!isErrno(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) throw error;
        // A version that was cleaned away since: there is a newer one.
        if (version === 0) return null;
      }
    }
  }

  /** 0: the folder of versions is there, and empty; null: it is not there. */
  async #newest(key: string): Promise<number | null> {
    const names = await namesIn(this.#versionsOf(key));
    return names === null ? null : Math.max(0, ...numbersOf(names));
  }

  async #addVersion(key: string, bytes: Uint8Array): Promise<boolean> {
    const version = ((await this.#newest(key)) ?? 0) + 1;
    const path = join(this.#versionsOf(key), String(version));
    const added = await this.#linked(bytes, (aside) => linkTo(aside, path));
    if (added) await this.#cleanVersions(key, version);
    return added;
  }

  async #cleanVersions(key: string, newest: number): Promise<void> {
    const folder = this.#versionsOf(key);
    const doomed = numbersOf((await namesIn(folder)) ?? []).filter(
      (version) => version <= newest - versionsKept,
    );
    for (const version of doomed) await rm(join(folder, String(version)), { force: true });
  }

  async #linked(bytes: Uint8Array, action: (aside: string) => Promise<boolean>): Promise<boolean> {
    const aside = await this.#writeAside(bytes);
    try {
      return await action(aside);
    } finally {
      await rm(aside, { force: true });
    }
  }

  async #writeAside(bytes: Uint8Array): Promise<string> {
    this.#swept ??= sweep(this.#aside);
    await this.#swept;
    return writeAside(this.#aside, bytes);
  }

  /** The file first: with versions left, the key still exists and is deleted another time. */
  async #remove(key: string): Promise<void> {
    const path = this.#path(key);
    await unlink(path).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    });
    if ((await this.#newest(key)) !== null) {
      const gone = join(this.#aside, randomUUID());
      await makeFolder(this.#aside);
      await rename(this.#versionsOf(key), gone);
      await syncFolder(dirname(this.#versionsOf(key)));
      await rm(gone, { recursive: true, force: true });
    }
    for (let folder = dirname(path); folder !== this.#root; folder = dirname(folder)) {
      try {
        await rmdir(folder);
      } catch (error) {
        if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT', 'ENOTDIR')) return;
        throw error;
      }
    }
  }

  /** `folder` is empty or ends in `/`. */
  async *#walk(folder: string, prefix: string): AsyncGenerator<BlobEntry> {
    const names = await readdir(join(this.#root, folder), { withFileTypes: true }).catch(
      (error: unknown) => {
        if (isErrno(error, 'ENOENT', 'ENOTDIR')) return [];
        throw error;
      },
    );
    const keys = names
      .filter((entry) => !entry.name.startsWith('.'))
      .map((entry) => `${folder}${entry.name}${entry.isDirectory() ? '/' : ''}`)
      .filter((key) => key.startsWith(prefix) || prefix.startsWith(key))
      .sort((a, b) => (a < b ? -1 : 1));
    for (const key of keys) {
      if (key.endsWith('/')) {
        yield* this.#walk(key, prefix);
        continue;
      }
      if (!key.startsWith(prefix)) continue;
      const version = (await this.#newest(key)) ?? 0;
      const path = version === 0 ? this.#path(key) : join(this.#versionsOf(key), String(version));
      const found = await stat(path).catch(() => null);
      if (found === null) continue;
      yield { key, bytes: found.size, modifiedMs: found.mtimeMs };
    }
  }

  #path(key: string): string {
    return join(this.#root, key);
  }

  #versionsOf(key: string): string {
    return join(this.#versions, key);
  }

  async #run<Result>(attempt: string, key: string, action: () => Promise<Result>): Promise<Result> {
    if (attempt !== 'list') checkBlobKey(key);
    try {
      return await retried(action, isTransient, this.#retry);
    } catch (error) {
      throw fileFailure(`${attempt} "${key}" in the folder`, this.#root, error);
    }
  }
}

function isTransient(error: unknown): boolean {
  return isErrno(error, 'EAGAIN', 'EBUSY', 'EMFILE', 'ENFILE', 'EINTR', 'ESTALE', 'ETIMEDOUT');
}

type FileIdentity = { readonly ino: bigint; readonly mtimeNs: bigint; readonly size: bigint };

/** A file never changes once it has its name, so these name its content. */
function tagOf(version: number, { ino, mtimeNs, size }: FileIdentity): string {
  return `${version}-${ino}-${mtimeNs}-${size}`;
}

function versionOf(tag: string): number {
  return Number.parseInt(tag, 10);
}

function numbersOf(names: readonly string[]): readonly number[] {
  return names.filter((name) => /^\d+$/.test(name)).map(Number);
}

async function namesIn(folder: string): Promise<readonly string[] | null> {
  return readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return false;
    throw error;
  }
}

async function sweep(aside: string): Promise<void> {
  for (const name of (await namesIn(aside)) ?? []) {
    const path = join(aside, name);
    const found = await stat(path).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > asideMsMax) {
      await rm(path, { recursive: true, force: true });
    }
  }
}
