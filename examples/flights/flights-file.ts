// The flights as a file of JSON lines: made from the Parquet file that the package `vega-datasets`
// carries, once, into a cache folder; whole or not at all.

import { existsSync } from 'node:fs';
import { mkdir, open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';

const modules = join(import.meta.dirname, '..', '..', 'node_modules');

export const parquetPath = join(modules, 'vega-datasets', 'data', 'flights-3m.parquet');

export const flightCount = 3_000_000;
const rowsPerWrite = 50_000;

/** The path of a file with the first `limit` flights, or with all of them. */
export async function flightsFile(limit: number | null): Promise<string> {
  const folder = join(modules, '.cache', 'mizzle');
  const path = join(folder, `flights-${limit ?? 'all'}.jsonl`);
  if (existsSync(path)) return path;
  if (!isMainThread) throw new Error(`the main thread made no ${path}`);
  await mkdir(folder, { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  await convert(temporary, limit ?? Infinity);
  await rename(temporary, path);
  return path;
}

async function convert(path: string, limit: number): Promise<void> {
  const file = await asyncBufferFromFile(parquetPath);
  const metadata = await parquetMetadataAsync(file);
  const total = Math.min(limit, Number(metadata.num_rows));
  const output = await open(path, 'w');
  try {
    for (let rowStart = 0; rowStart < total; rowStart += rowsPerWrite) {
      const rowEnd = Math.min(total, rowStart + rowsPerWrite);
      const rows = await parquetReadObjects({ file, metadata, compressors, rowStart, rowEnd });
      await output.write(rows.map((row) => `${JSON.stringify(row, plainNumber)}\n`).join(''));
      showProgress(rowEnd, total);
    }
  } finally {
    await output.close();
  }
}

/** Parquet's 64-bit integers arrive as bigints; delays and distances are small. */
function plainNumber(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}

function showProgress(done: number, total: number): void {
  const line = `converting the flights to JSON lines, once: ${Math.floor((100 * done) / total)} %`;
  if (process.stderr.isTTY) process.stderr.write(`\r${line}${done === total ? '\n' : ''}`);
  else if (done === total) process.stderr.write(`${line}\n`);
}
