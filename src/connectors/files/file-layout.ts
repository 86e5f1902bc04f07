// Which bytes belong to which partition, decided once at the start of a run: files by name, large
// ones cut into ranges, many small ones put together.

import { access, constants, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { StreamError } from '../../base/stream-error.ts';
import { checkOf } from './file-check.ts';
import type { FileCheck } from './file-check.ts';
import { fileError } from './file-errors.ts';

/** A part of a file that one partition reads: the records that start in [from, to). */
export type FileSegment = {
  /** `-` is standard input. */
  readonly path: string;
  readonly from: number;
  /** Null: to the end, wherever it is. */
  readonly to: number | null;
  /** Bytes from here on are not read, though the file may have grown; null: not known. */
  readonly size: number | null;
  /** How to tell that the file is still the same; absent for pipes and devices. */
  readonly check?: FileCheck;
};

/** By partition. */
export type FileLayout = readonly (readonly FileSegment[])[];

export type LayoutOptions = {
  readonly paths: readonly string[];
  readonly format: 'jsonl' | 'csv';
  /** The user stated the format: all files of a folder count, whatever they are called. */
  readonly formatGiven: boolean;
  readonly follow: boolean;
  /** Large files may be cut. */
  readonly split: boolean;
  readonly workerCount: number;
};

/** More files than this share partitions: each partition has buffers and a task. */
export const partitionCountMax = 64;

/** A file is not cut into smaller ranges: a range costs a task in each micro-batch. */
const rangeBytesMin = 1 << 20;

const extensions = { jsonl: ['.jsonl', '.ndjson', '.json'], csv: ['.csv', '.tsv'] } as const;

export async function layOut(options: LayoutOptions): Promise<FileLayout> {
  const files: FileSegment[] = [];
  for (const path of options.paths) files.push(...(await filesAt(path, options)));
  refuseTwice(files);
  if (options.follow) {
    if (files.length > partitionCountMax) {
      throw new StreamError({
        code: 'too-many-files',
        message: `could not follow ${files.length} files at once`,
        hint: `follow at most ${partitionCountMax}`,
        fields: { files: files.length, filesMax: partitionCountMax },
      });
    }
    return files.map((file) => [{ ...file, to: null, size: null }]);
  }
  if (files.length > partitionCountMax) return together(files);
  return options.split ? cut(files, options.workerCount) : files.map((file) => [file]);
}

/** Its records would be counted twice. */
function refuseTwice(files: readonly FileSegment[]): void {
  const seen = new Set<string>();
  for (const { path } of files) {
    const whole = resolve(path);
    if (seen.has(whole)) {
      throw new StreamError({
        code: 'file-twice',
        message: `could not read "${path}": the paths name it twice`,
        hint: 'name each file once, by itself or by its folder',
        fields: { file: path },
      });
    }
    seen.add(whole);
  }
}

export function formatOf(path: string): 'jsonl' | 'csv' {
  const plain = path.replace(/\.gz$/, '');
  return extensions.csv.some((extension) => plain.endsWith(extension)) ? 'csv' : 'jsonl';
}

async function filesAt(path: string, options: LayoutOptions): Promise<FileSegment[]> {
  if (path === '-') return [{ path, from: 0, to: null, size: null }];
  const info = await attempt(path, () => stat(path));
  if (!info.isDirectory()) return [await fileAt(path)];
  const entries = await attempt(path, () => readdir(path, { withFileTypes: true }));
  const names = entries
    .filter((entry) => !entry.isDirectory() && !entry.name.startsWith('.'))
    .map((entry) => entry.name)
    .sort();
  const chosen = options.formatGiven ? names : names.filter((name) => isOf(name, options.format));
  if (chosen.length > 0) return Promise.all(chosen.map((name) => fileAt(join(path, name))));
  const wanted = extensions[options.format].join(', ');
  const others = names.slice(0, 3).map((name) => `"${name}"`);
  throw new StreamError({
    code: 'folder-empty',
    message: `could not read folder "${path}": it holds no file to read`,
    hint:
      names.length === 0
        ? 'put files into it before the run starts'
        : `found ${others.join(', ')}, looked for ${wanted}: state the format to read all`,
    fields: { file: path, files: names.length },
  });
}

function isOf(name: string, format: 'jsonl' | 'csv'): boolean {
  const plain = name.replace(/\.gz$/, '');
  return extensions[format].some((extension) => plain.endsWith(extension));
}

async function fileAt(path: string): Promise<FileSegment> {
  const info = await attempt(path, async () => {
    await access(path, constants.R_OK);
    return stat(path);
  });
  // The size of compressed data, pipes and devices says nothing about the records in them.
  const size = info.isFile() && !path.endsWith('.gz') ? info.size : null;
  const segment = { path, from: 0, to: size, size };
  if (!info.isFile()) return segment;
  return { ...segment, check: await attempt(path, () => checkOf(path, info.size)) };
}

async function attempt<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw fileError('read', path, error);
  }
}

/** Ranges of about equal size, as many in all as there are workers, or one a file if more. */
function cut(files: readonly FileSegment[], workerCount: number): FileLayout {
  const total = files.reduce((sum, { size }) => sum + (size ?? 0), 0);
  return files.flatMap((file) => {
    const size = file.size ?? 0;
    const wanted = Math.round((size * workerCount) / Math.max(1, total));
    const count = Math.max(1, Math.min(wanted, Math.floor(size / rangeBytesMin)));
    if (count === 1) return [[file]];
    return Array.from({ length: count }, (_, part) => {
      const from = Math.floor((size * part) / count);
      return [{ ...file, from, to: Math.floor((size * (part + 1)) / count) }];
    });
  });
}

/** Runs of files in order of their names. */
function together(files: readonly FileSegment[]): FileLayout {
  return Array.from({ length: partitionCountMax }, (_, partition) => {
    const from = Math.floor((files.length * partition) / partitionCountMax);
    return files.slice(from, Math.floor((files.length * (partition + 1)) / partitionCountMax));
  });
}
