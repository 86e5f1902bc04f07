// Real processes of the command line, with what they say and how they end. Whatever a test leaves
// behind is ended by its process id.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const root = join(import.meta.dirname, '..', '..');
export const jobs = join(import.meta.dirname, 'jobs.fixture.ts');

/** A cluster that is stuck must not hold up the tests for ever; a busy machine takes its time. */
const endMs = 120_000;

export type Ended = {
  readonly code: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
};

export class Process {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  stdout = '';
  stderr = '';

  /** `limitMs`: after so long it is ended. */
  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}, limitMs = endMs) {
    this.child = spawn(process.execPath, [...args], {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(this.child);
    this.child.stdout!.on('data', (chunk) => (this.stdout += String(chunk)));
    this.child.stderr!.on('data', (chunk) => (this.stderr += String(chunk)));
    const { promise, resolve } = Promise.withResolvers<Ended>();
    const timer = setTimeout(() => {
      this.stderr += '\nended by the test: it took too long';
      this.child.kill('SIGKILL');
    }, limitMs);
    this.child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(this.child);
      resolve({ code, signal, stdout: this.stdout, stderr: this.stderr });
    });
    this.ended = promise;
  }

  /** Waits until it has said something that matches, and gives the first group. */
  async says(pattern: RegExp): Promise<string> {
    for (let waitedMs = 0; waitedMs < endMs; waitedMs += 20) {
      const match = pattern.exec(this.stderr) ?? pattern.exec(this.stdout);
      if (match !== null) return match[1] ?? match[0];
      if (this.child.exitCode !== null) break;
      await sleep(20);
    }
    throw new Error(`it never said ${String(pattern)}:\n${this.stderr}\n${this.stdout}`);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

const running = new Set<ChildProcess>();

/** Ends what tests have left. */
export function endAll(): void {
  for (const child of running) child.kill('SIGKILL');
}

export function mizzle(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  limitMs = endMs,
): Process {
  return new Process([join(root, 'bin', 'mizzle.js'), ...args], env, limitMs);
}

export type DriverOptions = {
  /** Default: the tests' own jobs. */
  readonly module?: string;
  readonly job: string;
  readonly out: string;
  readonly workers: number;
  readonly port?: number;
  readonly options?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
};

export function startDriver(driver: DriverOptions): Process {
  const { module = jobs, job, out, workers, port = 0, options = [], env } = driver;
  const listen = ['--listen', `127.0.0.1:${port}`, '--workers', String(workers)];
  const more = ['--quiet', '--json', ...options, '--', job, out];
  return mizzle(['driver', module, ...listen, ...more], env);
}

export function startWorker(
  port: number,
  workers: number,
  options: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Process {
  const connect = ['--connect', `127.0.0.1:${port}`, '--workers', String(workers)];
  return mizzle(['worker', ...connect, ...options], env);
}

/** The port that a driver has chosen. */
export async function portOf(driver: Process): Promise<number> {
  return Number(await driver.says(/waiting for \d+ workers at 127\.0\.0\.1:(\d+)/));
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'mizzle-cluster-'));
}

/** The rows of a file, or of all files of a folder, as sorted lines. */
export function rowsOf(path: string): readonly string[] {
  const files = path.endsWith('/') ? filesIn(path) : [path];
  return files
    .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    .filter((line) => line !== '')
    .toSorted();
}

function filesIn(folder: string): readonly string[] {
  const names = readdirSync(folder).filter((name) => !name.startsWith('.'));
  return names.map((name) => join(folder, name));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
