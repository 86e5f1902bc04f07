// Drivers and hosts as processes, and whoever ends gets a successor at once, as an orchestrator
// would see to. Tells whether each end has a cause that a cluster under torture may have.

import { join } from 'node:path';
import type { Process } from '../../cluster/processes.fixture.ts';
import { freePort, mizzle, sleep } from '../../cluster/processes.fixture.ts';
import type { TortureJob } from './torture-job.fixture.ts';

export type ClusterOptions = {
  readonly job: TortureJob;
  readonly store: string;
  readonly hosts: number;
  /** For the driver. */
  readonly options: readonly string[];
  readonly limitMs: number;
  readonly tell: (what: string) => void;
};

type Role = 'driver' | 'host';

/** A place that is filled by one process after the other. */
export type Place = {
  readonly name: string;
  readonly role: Role;
  readonly start: () => Process;
  process: Process;
  /** How long it is left empty when its process was killed, ms. */
  goneMs: number;
  isKilled: boolean;
};

/** What each process has said. */
export type ClusterLog = { readonly name: string; readonly pid: number; readonly said: string };

const module = join(import.meta.dirname, 'torture-job.fixture.ts');
/** A process that is silent for so long is lost. */
const timeoutMs = 3_000;
const restartMs = 100;

export class TortureCluster {
  readonly logs: ClusterLog[] = [];
  /** Ends that no fault explains. */
  readonly unexplained: string[] = [];
  readonly #options: ClusterOptions;
  readonly #places: Place[] = [];
  #isFinishing = false;

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { job, store, hosts, options, limitMs } = this.#options;
    const ports = [await freePort(), await freePort()];
    const common = ['--timeout', `${timeoutMs}ms`];
    const keep = ['--checkpoints', store, '--checkpoint-interval', '500ms', '--drain-on-stop'];
    const more = [...keep, ...common, ...options, '--quiet', '--', JSON.stringify(job)];
    for (const [index, port] of ports.entries()) {
      const at = ['--listen', `127.0.0.1:${port}`, '--workers', String(hosts)];
      this.#fill(`driver ${index + 1}`, 'driver', () =>
        mizzle(['driver', module, ...at, ...more], {}, limitMs),
      );
      if (index === 0) await this.#places[0]!.process.says(/waiting for \d+ workers/);
    }
    const connect = ports.map((port) => `127.0.0.1:${port}`).join(',');
    for (let host = 1; host <= hosts; host++) {
      const args = ['worker', '--connect', connect, '--workers', '1', ...common];
      this.#fill(`host ${host}`, 'host', () => mizzle(args, {}, limitMs));
    }
  }

  /** Kills it, and starts the next one after a while. */
  kill(place: Place, goneMs: number): void {
    if (hasEnded(place)) return;
    place.goneMs = goneMs;
    place.isKilled = true;
    this.#options.tell(`${place.name} (${place.process.child.pid}) killed, next in ${goneMs} ms`);
    place.process.kill('SIGKILL');
  }

  async freeze(place: Place, forMs: number): Promise<void> {
    const { process } = place;
    if (hasEnded(place)) return;
    this.#options.tell(`${place.name} (${process.child.pid}) stands still for ${forMs} ms`);
    process.kill('SIGSTOP');
    await sleep(forMs);
    process.kill('SIGCONT');
    if (place.process !== process || hasEnded(place)) return;
    this.#options.tell(`${place.name} (${process.child.pid}) goes on`);
  }

  get hosts(): readonly Place[] {
    return this.#places.filter(({ role }) => role === 'host');
  }

  /** The drivers: first the one that has the lease, or had it last. */
  get drivers(): readonly Place[] {
    const drivers = this.#places.filter(({ role }) => role === 'driver');
    const leads = ({ process }: Place): boolean => /waiting for \d+ workers/.test(process.stderr);
    return [...drivers.filter(leads), ...drivers.filter((place) => !leads(place))];
  }

  /** Ends the job well: all windows close, and hosts end by themselves. */
  async drain(withinMs: number): Promise<void> {
    this.#isFinishing = true;
    const [driver, standby] = this.drivers;
    standby!.process.kill('SIGKILL');
    driver!.process.kill('SIGINT');
    const late = sleep(withinMs).then((): never => {
      throw new Error(`the job did not end within ${withinMs} ms of SIGINT`);
    });
    const all = [driver!, ...this.hosts].map(async ({ name, process }) => {
      const { code, signal, stderr } = await process.ended;
      if (code !== 0) throw new Error(`${name} ended with ${code ?? signal}: ${stderr}`);
    });
    await Promise.race([Promise.all(all), late]);
  }

  /** Ends what is left. */
  end(): void {
    this.#isFinishing = true;
    for (const { name, process } of this.#places) {
      process.kill('SIGKILL');
      this.logs.push({ name, pid: process.child.pid ?? -1, said: process.stderr });
    }
  }

  #fill(name: string, role: Role, start: () => Process): void {
    const place: Place = { name, role, start, process: start(), goneMs: 0, isKilled: false };
    this.#places.push(place);
    void this.#supervise(place);
  }

  async #supervise(place: Place): Promise<void> {
    for (;;) {
      const { name, role, process } = place;
      const pid = process.child.pid ?? -1;
      const { code, signal, stderr } = await process.ended;
      this.logs.push({ name, pid, said: stderr });
      if (this.#isFinishing) return;
      if (signal === 'SIGKILL') await sleep(place.goneMs);
      else {
        const last = stderr.trimEnd().split('\n').at(-1);
        this.#options.tell(`${name} (${pid}) ended with ${code ?? signal}: ${last}`);
        const isExplained = code === 1 && explained[role].test(stderr);
        if (!isExplained) this.unexplained.push(`${name} ended with ${code ?? signal}: ${stderr}`);
        await sleep(restartMs);
      }
      if (this.#isFinishing) return;
      place.process = place.start();
      place.isKilled = false;
    }
  }
}

/** By itself, or it is about to, by SIGKILL. */
function hasEnded({ process: { child }, isKilled }: Place): boolean {
  return isKilled || child.exitCode !== null || child.signalCode !== null;
}

/**
 * The error with which a process may end that nobody has killed: one that stood still for too long.
 * What else it may have said, and errors of no kind, explain nothing.
 */
const explained: Readonly<Record<Role, RegExp>> = {
  driver: /^error \[(lease-lost|fenced)\]/m,
  host: /^error \[(driver-lost|worker-lost|host-lost)\]/m,
};
