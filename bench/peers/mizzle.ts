// Mizzle as a peer: a command like any other, `mizzle-ysb.ts` on the installed package, which is
// one process of two workers or a cluster of two host processes with a worker each.

import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Engine, YsbJob } from './engine.ts';
import { environmentOf } from './engine.ts';
import type { MizzlePackage } from './mizzle-package.ts';
import type { FromMizzle } from './mizzle-ysb.ts';
import { processTree } from './process-tree.ts';
import type { Processes } from './processes.ts';
import { hasEnded, sleep } from './processes.ts';

const logName = 'mizzle';
const patienceMs = 10_000;

export class MizzleEngine implements Engine {
  readonly name: Engine['name'];
  readonly guarantee: Engine['guarantee'];
  readonly results = 'closed';
  readonly #processes: Processes;
  readonly #package: MizzlePackage;
  readonly #hosts: number;
  /** Of its own, so that its first start finds none, as that of the other engines. */
  readonly #compiled: string;
  #child: ChildProcess | null = null;
  #said: FromMizzle[] = [];

  /** `hosts`: 0, one process. */
  constructor(
    processes: Processes,
    installed: MizzlePackage,
    options: { readonly guarantee: Engine['guarantee']; readonly hosts: number },
  ) {
    this.#processes = processes;
    this.#package = installed;
    this.#hosts = options.hosts;
    this.#compiled = mkdtempSync(join(processes.folder, 'mizzle-code-'));
    const { guarantee } = options;
    this.guarantee = guarantee;
    this.name = guarantee === 'exactly-once' ? 'mizzle' : 'mizzle-at-least-once';
  }

  startCluster(): Promise<boolean> {
    return Promise.resolve(false);
  }

  submit(job: YsbJob): Promise<void> {
    const store = join(this.#processes.folder, 'mizzle-checkpoints');
    rmSync(store, { recursive: true, force: true });
    this.#said = [];
    const child = this.#processes.startPiped(logName, {
      program: process.execPath,
      args: [this.#package.program],
      env: {
        ...environmentOf(job),
        GUARANTEE: this.guarantee,
        HOSTS: String(this.#hosts),
        CHECKPOINTS: store,
        NODE_COMPILE_CACHE: this.#compiled,
      },
    });
    let text = '';
    child.stdout!.setEncoding('utf8').on('data', (part: string) => {
      const lines = (text + part).split('\n');
      text = lines.pop()!;
      for (const line of lines) this.#said.push(JSON.parse(line) as FromMizzle);
    });
    this.#child = child;
    return Promise.resolve();
  }

  processingSince(): Promise<number | null> {
    if (this.#child !== null && hasEnded(this.#child)) {
      const log = this.#processes.logOf(logName);
      const text = existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : '';
      throw new Error(`Mizzle has ended: see ${log}\n${text}`);
    }
    const runs = this.#said.find((each) => each.kind === 'runs');
    return Promise.resolve(runs?.sinceMs ?? null);
  }

  roots(): readonly number[] {
    return this.#child === null ? [] : [this.#child.pid!];
  }

  /** Another host takes its place by itself. */
  killWorker(): Promise<void> {
    const isHost = (pid: number): boolean =>
      readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('local-host');
    const host = [...processTree(this.roots()).keys()].find(isHost);
    if (host === undefined) throw new Error('Mizzle has no host to kill');
    process.kill(host, 'SIGKILL');
    return Promise.resolve();
  }

  /** A process that ends by itself leaves its compiled code for the next one. */
  async endJob(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null) return;
    child.kill('SIGTERM');
    const endMs = Date.now() + patienceMs;
    while (!hasEnded(child) && Date.now() < endMs) await sleep(20);
    await this.#processes.kill(child);
  }

  stopCluster(): Promise<void> {
    return this.endJob();
  }
}
