// Processes that a benchmark starts: each with a log of its own in the run's folder, and none that
// outlives the benchmark.

import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { processTree } from './process-tree.ts';

export type Command = {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
};

export class Processes {
  readonly folder: string;
  readonly #living = new Set<ChildProcess>();

  constructor(folder: string) {
    this.folder = folder;
    process.on('exit', () => this.killAll());
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => process.exit(1));
    }
  }

  /** What it prints goes to `NAME.log`. */
  start(name: string, command: Command): ChildProcess {
    const log = openSync(this.logOf(name), 'a');
    try {
      return this.#spawn(command, log, log);
    } finally {
      closeSync(log);
    }
  }

  /** What it prints is the caller's; only errors go to `NAME.log`. */
  startPiped(name: string, command: Command): ChildProcess {
    const log = openSync(this.logOf(name), 'a');
    try {
      return this.#spawn(command, 'pipe', log);
    } finally {
      closeSync(log);
    }
  }

  /** Resolves with what it printed once it has ended well. */
  async run(name: string, command: Command): Promise<string> {
    const child = this.startPiped(name, command);
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (part: string) => (text += part));
    await this.ended(name, child);
    return text;
  }

  /** Rejects where it ends with an error. */
  async ended(name: string, child: ChildProcess): Promise<void> {
    const code = await exitOf(child);
    if (code !== 0) throw new Error(`${name} ended with ${code}: see ${this.logOf(name)}`);
  }

  /** Kills it and all that it has started. */
  async kill(child: ChildProcess): Promise<void> {
    if (child.pid === undefined || hasEnded(child)) return;
    const exit = exitOf(child);
    killTree(child.pid);
    await exit;
  }

  /** What a measure that failed has left. */
  killAll(): void {
    for (const { pid } of this.#living) if (pid !== undefined) killTree(pid);
  }

  logOf(name: string): string {
    return join(this.folder, `${name}.log`);
  }

  #spawn(command: Command, stdout: number | 'pipe', stderr: number): ChildProcess {
    const { program, args, env = {} } = command;
    const child = spawn(program, args, {
      stdio: ['ignore', stdout, stderr],
      env: { ...process.env, ...env },
      cwd: this.folder,
      // An interrupt at the terminal is for the benchmark, which ends the others.
      detached: true,
    });
    this.#living.add(child);
    child.on('close', () => this.#living.delete(child));
    return child;
  }
}

export function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The exit code, or the signal that ended it. */
function exitOf(child: ChildProcess): Promise<number | NodeJS.Signals> {
  if (hasEnded(child)) return Promise.resolve(child.exitCode ?? child.signalCode!);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve(code ?? signal!));
  });
}

/** The root first, so that nobody starts again what is killed. */
function killTree(root: number): void {
  for (const pid of [root, ...processTree([root]).keys()]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Null is asked again until `seconds` are over. */
export async function until<Result>(
  what: string,
  seconds: number,
  ask: () => Promise<Result | null> | Result | null,
): Promise<Result> {
  const endMs = Date.now() + seconds * 1000;
  for (;;) {
    const answer = await ask();
    if (answer !== null) return answer;
    if (Date.now() > endMs) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await sleep(20);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

/** Ports of 127.0.0.1 that nobody listens on now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
