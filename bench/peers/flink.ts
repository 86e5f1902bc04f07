// Apache Flink: a session cluster of one JobManager and two TaskManagers with a slot each, tuned
// for latency (docs/peers.md).

import type { ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Engine, YsbJob } from './engine.ts';
import { environmentOf } from './engine.ts';
import type { PeersHome } from './home.ts';
import { java, opensForFlink } from './java.ts';
import { localJson } from './ports.ts';
import type { Command, Processes } from './processes.ts';
import { freePorts, sleep, until } from './processes.ts';

const taskManagers = 2;
const runnerName = 'org.apache.flink.runtime.taskexecutor.TaskManagerRunner';
/** As long as a supervisor takes to notice. */
const restartMs = 1_000;

type JobPage = {
  readonly state: string;
  readonly vertices: readonly { readonly status: string; readonly 'start-time': number }[];
};

export class FlinkEngine implements Engine {
  readonly name: Engine['name'];
  readonly guarantee: Engine['guarantee'];
  readonly results = 'closed';
  readonly #home: PeersHome;
  readonly #processes: Processes;
  readonly #config: string;
  readonly #checkpointSeconds: number;
  #restPort = 0;
  #members: ChildProcess[] = [];
  #workers: ChildProcess[] = [];
  #runner: Command | null = null;
  #jobId: string | null = null;

  constructor(
    home: PeersHome,
    processes: Processes,
    options: { readonly guarantee: Engine['guarantee']; readonly checkpointSeconds: number },
  ) {
    const { guarantee, checkpointSeconds } = options;
    this.#home = home;
    this.#processes = processes;
    this.guarantee = guarantee;
    this.#checkpointSeconds = checkpointSeconds;
    this.name = guarantee === 'exactly-once' ? 'flink-exactly-once' : 'flink';
    this.#config = join(processes.folder, 'flink-config');
  }

  async startCluster(): Promise<boolean> {
    const [rpcPort, restPort] = await freePorts(2);
    this.#restPort = restPort!;
    const checkpoints = join(this.#processes.folder, 'flink-checkpoints');
    rmSync(checkpoints, { recursive: true, force: true });
    mkdirSync(this.#config, { recursive: true });
    const settings = settingsOf({
      rpcPort: rpcPort!,
      restPort: restPort!,
      checkpoints,
      checkpointSeconds: this.#checkpointSeconds,
    });
    const lines = Object.entries(settings).map(([name, value]) => `${name}: ${value}\n`);
    writeFileSync(join(this.#config, 'config.yaml'), lines.join(''));
    this.#runner = await this.#runnerCommand();
    this.#members = [
      this.#processes.start(
        'flink-jobmanager',
        java({
          classPath: this.#home.flinkClassPath,
          heap: '448m',
          flags: opensForFlink,
          main: 'org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint',
          args: ['--configDir', this.#config],
        }),
      ),
    ];
    for (let worker = 0; worker < taskManagers; worker++) this.#startWorker();
    await until("Flink's TaskManagers", 60, async () => {
      const page = (await localJson(this.#restPort, '/overview')) as {
        taskmanagers: number;
      } | null;
      return page?.taskmanagers === taskManagers ? true : null;
    });
    return true;
  }

  async submit(job: YsbJob): Promise<void> {
    const name = 'flink-client';
    const client = this.#processes.start(
      name,
      java({
        classPath: this.#home.flinkClassPath,
        flags: [...opensForFlink, `-Dlog.file=${this.#processes.logOf(name)}`],
        main: 'org.apache.flink.client.cli.CliFrontend',
        args: ['run', '--detached', '--class', 'FlinkYsb', this.#home.jarOf('flink')],
        env: {
          ...environmentOf(job),
          GUARANTEE: this.guarantee === 'exactly-once' ? 'EXACTLY_ONCE' : 'AT_LEAST_ONCE',
          FLINK_CONF_DIR: this.#config,
        },
      }),
    );
    await this.#processes.ended(name, client);
    const page = (await localJson(this.#restPort, '/jobs/overview')) as {
      readonly jobs: readonly { readonly jid: string; readonly 'start-time': number }[];
    };
    const newestFirst = page.jobs.toSorted((a, b) => b['start-time'] - a['start-time']);
    this.#jobId = newestFirst[0]!.jid;
  }

  async processingSince(): Promise<number | null> {
    const vertices = (await this.#jobPage())?.vertices;
    if (!vertices?.every(({ status }) => status === 'RUNNING')) return null;
    return Math.min(...vertices.map((each) => each['start-time']));
  }

  roots(): readonly number[] {
    return [...this.#members, ...this.#workers].map(({ pid }) => pid!);
  }

  async killWorker(): Promise<void> {
    process.kill(this.#workers[0]!.pid!, 'SIGKILL');
    await sleep(restartMs);
    this.#startWorker();
  }

  async endJob(): Promise<void> {
    if (this.#jobId === null) return;
    await fetch(`http://127.0.0.1:${this.#restPort}/jobs/${this.#jobId}?mode=cancel`, {
      method: 'PATCH',
    });
    await until("the end of Flink's job", 60, async () => {
      return (await this.#jobPage())?.state === 'CANCELED' ? true : null;
    });
    this.#jobId = null;
  }

  async stopCluster(): Promise<void> {
    const all = [...this.#workers, ...this.#members];
    await Promise.all(all.map((child) => this.#processes.kill(child)));
    this.#members = [];
    this.#workers = [];
    this.#jobId = null;
  }

  #startWorker(): void {
    this.#workers.push(this.#processes.start('flink-taskmanager', this.#runner!));
  }

  async #jobPage(): Promise<JobPage | null> {
    return (await localJson(this.#restPort, `/jobs/${this.#jobId}`)) as JobPage | null;
  }

  /** Flink's own scripts let it reckon the sizes of the JVM's memory; so does this. */
  async #runnerCommand(): Promise<Command> {
    const flink = this.#home.path('flink');
    const said = await this.#processes.run(
      'flink-memory',
      java({
        classPath: `${join(flink, 'bin', 'bash-java-utils.jar')}:${join(flink, 'lib', '*')}`,
        main: 'org.apache.flink.runtime.util.bash.BashJavaUtils',
        args: ['GET_TM_RESOURCE_PARAMS', '--configDir', this.#config],
      }),
    );
    const marked = [...said.matchAll(/BASH_JAVA_UTILS_EXEC_RESULT:(.*)/g)];
    const [flags, args] = marked.map((match) => match[1]!.trim().split(/\s+/));
    return java({
      classPath: this.#home.flinkClassPath,
      flags: [...flags!, '-XX:+UseG1GC', ...opensForFlink],
      main: runnerName,
      args: ['--configDir', this.#config, ...args!],
    });
  }
}

function settingsOf(given: {
  readonly rpcPort: number;
  readonly restPort: number;
  readonly checkpoints: string;
  readonly checkpointSeconds: number;
}): Readonly<Record<string, string | number | boolean>> {
  return {
    'jobmanager.rpc.address': '127.0.0.1',
    'jobmanager.rpc.port': given.rpcPort,
    'jobmanager.bind-host': '127.0.0.1',
    'rest.address': '127.0.0.1',
    'rest.bind-address': '127.0.0.1',
    'rest.port': given.restPort,
    'taskmanager.host': '127.0.0.1',
    'taskmanager.bind-host': '127.0.0.1',
    'taskmanager.numberOfTaskSlots': 1,
    'jobmanager.memory.process.size': '1024m',
    'taskmanager.memory.process.size': '2048m',
    'parallelism.default': taskManagers,
    'pipeline.object-reuse': true,
    'pipeline.auto-watermark-interval': '10 ms',
    'execution.buffer-timeout.interval': '5 ms',
    'execution.checkpointing.interval': `${given.checkpointSeconds} s`,
    'execution.checkpointing.dir': `file://${given.checkpoints}`,
    'state.backend.type': 'hashmap',
    'restart-strategy.type': 'fixed-delay',
    'restart-strategy.fixed-delay.attempts': 1000,
    'restart-strategy.fixed-delay.delay': '100 ms',
    'heartbeat.interval': '1000 ms',
    'heartbeat.timeout': '5000 ms',
  };
}
