// The folder where hosts keep job code, a file each, named by its hash. What is read from it is
// trusted only if it has that hash. Only this user may write there.

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { codeHash } from './bundle-job.ts';

/** Jobs whose code is kept; those that were used longest ago are sent again. */
const filesMax = 64;

export class CodeCache {
  readonly #folder: string;

  /** Default: `mizzle/code` in the user's cache folder. */
  constructor(folder: string = defaultFolder()) {
    this.#folder = folder;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    } catch {
      // A user without a home, or a disk that is read-only: a folder for this run.
      this.#folder = mkdtempSync(join(tmpdir(), 'mizzle-code-'));
    }
  }

  /** URL of the code, or null if it is not here. */
  find(hash: string): string | null {
    const path = this.#path(hash);
    try {
      if (codeHash(readFileSync(path)) !== hash) return null;
      const now = new Date();
      utimesSync(path, now, now);
      return pathToFileURL(path).href;
    } catch {
      return null;
    }
  }

  /** Appears whole under its name, also when several processes write it at a time. */
  keep(hash: string, code: Uint8Array): string {
    const path = this.#path(hash);
    const temporary = `${path}.${process.pid}.tmp`;
    writeFileSync(temporary, code, { mode: 0o600 });
    renameSync(temporary, path);
    this.#forgetOldest();
    return pathToFileURL(path).href;
  }

  #forgetOldest(): void {
    const files = readdirSync(this.#folder)
      .filter((name) => name.endsWith('.mjs'))
      .map((name) => join(this.#folder, name))
      .map((path) => ({ path, usedMs: statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
      .toSorted((a, b) => b.usedMs - a.usedMs);
    for (const { path } of files.slice(filesMax)) rmSync(path, { force: true });
  }

  #path(hash: string): string {
    return join(this.#folder, `${hash}.mjs`);
  }
}

function defaultFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'mizzle', 'code');
}
